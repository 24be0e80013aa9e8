r"""Differential equations without noise: Euler's steps, uniqueness, and the noiseless half of the variance-preserving chain.

x(T) = x_0 + ∫ f(x(t), t) dt,    |x(t) − y(t)| ≤ e^{Lt} |x_0 − y_0| for |f(x) − f(y)| ≤ L |x − y|.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.integrate import solve_ivp

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.particles.schemes import RungeKutta4
from fpk.study import Claim, Evidence, Size, order_evidence, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from .._systems import DATA
from ._steps import Mover

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S2.E10-11",
        "order",
        "An ordinary differential equation is its integral equation, and Euler's steps follow the solution with an error of first order.",
        r"\dot x=f(x,t)\iff x(T)=x(0)+\int_0^Tf(x(t),t)\,dt,\qquad x_{n+1}=x_n+hf(x_n,t_n):\ |x_N-x(T)|=O(h)",
        "Rakitin, equations 10 and 11; GM (2023), equations 1, 102 and 103",
        {"stated": C, "order 2": R, "order ½": R, "drift sign": R, "½ extra": R, "f + 1 %": R},
        {
            "order 2": "second order",
            "order ½": "order one half",
            "drift sign": "steps with −f",
            "½ extra": "steps with ½f",
            "f + 1 %": "steps with 1.01 f, whose error stops falling",
        },
    ),
    Claim(
        "S2.E12",
        "bound",
        "A drift with Lipschitz constant L has one solution from each start: two of them part no faster than exp(Lt).",
        r"|f(x)-f(y)|\le L|x-y| \;\Rightarrow\; |x(t)-y(t)|\le e^{Lt}|x(0)-y(0)|",
        "Rakitin, equation 12",
        {"stated": C, "drift √|x|": R, "drift x²": R, "half of L": R, "L − 1 %": R},
        {
            "drift √|x|": "no Lipschitz constant at 0, from where 0 and t²/4 are solutions",
            "drift x²": "no Lipschitz constant far out: from x₀ > 0 the solution ends at 1/x₀",
            "half of L": "exp(Lt/2)",
            "L − 1 %": "exp(.99 Lt)",
        },
        assumptions="here f = sin x, L = 1.",
    ),
    Claim(
        "S2.E13",
        "identity",
        "Without its noise the variance-preserving chain tends to the solution of dX/dt = −½βX, the start damped by e^{−B/2}.",
        r"X_{t+h}=\sqrt{1-h\beta(t)}\,X_t \;\to\; \dot X=-\tfrac12\beta X,\qquad X_t=X_0e^{-B(t)/2}",
        "Rakitin, equation 13",
        {"stated": C, "½ missing": R, "root missing": R, "sign": R, "β(t)t for ∫β": R, "β + 0.1 %": R},
        {
            "½ missing": "−βX and e^{−B}",
            "root missing": "the chain with 1 − hβ",
            "sign": "growth in the place of decay",
            "β(t)t for ∫β": "e^{−½β(t)t}",
            "β + 0.1 %": "β is 0.1 % too large",
        },
    ),
)

# -- Euler's steps -----------------------------------------------------------------------------------------------------------

#: Drifts as functions of (x, t), and where solutions start.
DRIFTS: dict[str, tuple[Callable[[Array, float], Array], fpk.GaussianMixture]] = {
    "driven decay": (lambda x, t: -x + np.sin(3 * t), fpk.Gaussian(1.3, 0.3)),
    "pendulum": (lambda x, t: np.stack([x[:, 1], -np.sin(x[:, 0])], axis=1), fpk.Gaussian([1.2, 0.3], 0.2)),
}
#: Steps of the coarsest level, and levels.
COARSEST, LEVELS = 16, 5


def _problem(name: str, factor: float) -> fpk.Problem:
    drift, start = DRIFTS[name]
    return fpk.Problem(lambda x, t: factor * drift(x, t), 0, initial=start)


def _solved(name: str, start: Array, times: Array) -> Array:
    """Solutions at the times from starts of shape (n, d), shape (len(times), n, d), by an eighth-order method."""
    drift = DRIFTS[name][0]
    found = solve_ivp(
        lambda t, flat: drift(flat.reshape(start.shape), t).ravel(), (0.0, 1.0), start.ravel(), "DOP853", times, rtol=1e-12, atol=1e-13,
    )  # fmt: skip
    return found.y.T.reshape(len(times), *start.shape)


def _euler_errors(name: str, factor: float, seed: int) -> Array:
    """Root-mean-square distances of Euler's steps to the solutions from the same starts, coarse to fine."""
    run = fpk.simulate(_problem(name, factor), particles=16, steps=COARSEST, levels=LEVELS, times=[1.0], seed=seed)
    exact = _solved(name, run.start, np.array([1.0]))[0]
    return np.sqrt(((run.positions[::-1, 0] - exact) ** 2).sum(-1).mean(-1))


def _sum_errors(name: str, factor: float, seed: int) -> Array:
    """What sums of f along the solutions leave of x(1) − x(0), as steps are halved."""
    problem = _problem(name, factor)
    counts = COARSEST * 2 ** np.arange(LEVELS)
    times = np.arange(counts[-1] + 1) / counts[-1]
    x = _solved(name, problem.initial.sample(16, np.random.default_rng(seed)), times)
    rates = np.stack(
        [np.broadcast_to(problem.drift(y, float(t)), y.shape) for y, t in zip(x[:-1], times[:-1], strict=True)]
    )
    gaps = [x[-1] - x[0] - rates[:: counts[-1] // n].sum(0) / n for n in counts]
    return np.array([np.sqrt((gap**2).sum(-1).mean()) for gap in gaps])


ROUTES = {
    "Euler, driven decay": (_euler_errors, "driven decay"),
    "Euler, pendulum": (_euler_errors, "pendulum"),
    "integral, pendulum": (_sum_errors, "pendulum"),
}


@study(
    "S2.E10-11",
    variants={
        "stated": (1.0, 1.0),
        "order 2": (1.0, 2.0),
        "order ½": (1.0, 0.5),
        "drift sign": (-1.0, 1.0),
        "½ extra": (0.5, 1.0),
        "f + 1 %": (1.01, 1.0),
    },
    cases=tuple(ROUTES),
)
def euler_steps(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    factor, order = variant
    errors, name = ROUTES[case]
    steps = 1.0 / (COARSEST * 2 ** np.arange(LEVELS))
    found = errors(name, factor, seed)
    return order_evidence(found, steps, order, floor=1e-11, source=f"errors at t = 1, {case}")


# -- uniqueness --------------------------------------------------------------------------------------------------------------

#: Starts of pairs of solutions, and when they are looked at.
PAIRS = np.array([[0.0, 0.1], [0.3, 0.8], [-1.5, -0.7]])
PAIR_TIMES = (0.5, 1.0)


@lru_cache(maxsize=8)
def _parted(drift: str, steps: int) -> Array:
    """log |x(t) − y(t)| / |x(0) − y(0)| for every pair at every time, shape (times, pairs)."""
    mover, x, found = Mover(fpk.Problem(drift, 0, initial=DATA), RungeKutta4()), PAIRS, []
    for n in range(steps):
        x = mover(x, 0.0, 1 / steps)
        if (n + 1) / steps in PAIR_TIMES:
            found.append(np.log(np.abs(x[:, 1] - x[:, 0]) / (PAIRS[:, 1] - PAIRS[:, 0])))
    return np.array(found)


@study(
    "S2.E12",
    variants={
        "stated": ("sin(x)", 1.0),
        "drift √|x|": ("sqrt(Abs(x))", 1.0),
        "drift x²": ("x**2", 1.0),
        "half of L": ("sin(x)", 0.5),
        "L − 1 %": ("sin(x)", 0.99),
    },
)
def gronwall(variant: tuple[str, float], case: str, size: Size, seed: int) -> Evidence:
    drift, constant = variant
    steps = 64 if size.quick else 256
    fine, coarse = _parted(drift, steps), _parted(drift, steps // 2)
    excess = fine - constant * np.array(PAIR_TIMES)[:, None]
    first = fpk.residual(excess.ravel(), np.abs(fine - coarse).ravel(), source="logarithms of distances less Lt")
    names = tuple(f"from {a:g} and {b:g}, t = {t:g}" for t in PAIR_TIMES for a, b in PAIRS)
    return Evidence(first, zero_estimate(len(names)), names)


# -- the chain without noise -------------------------------------------------------------------------------------------------

SCHEDULE = fpk.VPSchedule(0.4, 2.8)
#: X_t/X_0 and the slope of log X at t that are claimed; the power of 1 − hβ in the chain.
DAMPED: dict[str, tuple[Callable[[float], float], Callable[[float], float], float]] = {
    "stated": (SCHEDULE.alpha, SCHEDULE.drift_rate, 0.5),
    "½ missing": (lambda t: SCHEDULE.alpha(t) ** 2, lambda t: 2 * SCHEDULE.drift_rate(t), 0.5),
    "root missing": (SCHEDULE.alpha, SCHEDULE.drift_rate, 1.0),
    "sign": (lambda t: 1 / SCHEDULE.alpha(t), lambda t: -SCHEDULE.drift_rate(t), 0.5),
    "β(t)t for ∫β": (lambda t: np.exp(SCHEDULE.drift_rate(t) * t), SCHEDULE.drift_rate, 0.5),
    "β + 0.1 %": (lambda t: SCHEDULE.alpha(t) ** 1.001, lambda t: 1.001 * SCHEDULE.drift_rate(t), 0.5),
}


@study("S2.E13", variants=DAMPED)
def chain_without_noise(
    variant: tuple[Callable[[float], float], Callable[[float], float], float], case: str, size: Size, seed: int
) -> Evidence:
    """β = .4 + 2.4t; the chain as its steps tend to 0, and its slope at t = ½."""
    kept, slope, power = variant

    def chain(h: float) -> Array:
        factors = (1 - h * (0.4 + 2.4 * h * np.arange(round(1 / h)))) ** power
        half = len(factors) // 2
        return np.array([np.prod(factors[:half]), np.prod(factors), (factors[half] - 1) / h])

    return limit_evidence(
        chain,
        np.array([kept(0.5), kept(1.0), slope(0.5)]),
        step=0.05 if size.quick else 0.025,
        names=("X_½/X_0", "X_1/X_0", "slope of log X at ½"),
        source="the chain as its steps tend to 0",
    )
