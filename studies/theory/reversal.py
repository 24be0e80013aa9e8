r"""The reverse SDE: its noise, its Euler steps, what it returns from which start, and its family of noises.

dX = (f − σ²∇log p) dt + σ dW̄,   dt < 0:   W̄ has increments independent of what is later, {X_u, u ≥ t}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array, central_derivative
from fpk.marginals import zero_estimate
from fpk.paths import two_time_panel
from fpk.study import Evidence, Size, evidence, order_evidence, study

from .._limits import limit_evidence
from .._systems import DATA, Score, constant_law, on_grid, scaled, walled
from ._reversal_catalogue import CLAIMS, REMARKS
from ._reversed import Noising, euler_moments, euler_second_moment, path_entropy, total_variation, wasserstein
from ._three_times import CONSTANT, PAST, PRESENT, levels

__all__ = ["CLAIMS", "REMARKS"]


# -- the noise ---------------------------------------------------------------------------------------------------------------

#: What the drift has of f and of g²∇log p, and the earlier time the functions look at.
NOISES = {
    "stated": (1.0, -1.0, PRESENT),
    "forward noise": (1.0, 0.0, PRESENT),
    "past for present": (1.0, -1.0, PAST),
    "½ extra on g²": (1.0, -0.5, PRESENT),
    "score sign": (1.0, 1.0, PRESENT),
    "score + 0.5 %": (1.0, -1.005, PRESENT),
}


@study("S0.E24", variants=NOISES)
def backward_noise(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """Expectations over three times of the forward process, by quadrature."""
    *shares, at = variant
    fine, coarse = (np.array([1.0, *shares]) @ parts / CONSTANT.beta_min**0.5 for parts in levels(at))
    names = tuple(f"E ΔW̄ {name}" for name in ("", "x", "u", "sin x", "x cos u"))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-12, coarser=coarse, source="quadrature over three times")
    return Evidence(first, zero_estimate(len(fine)), names)


# -- steps and starts --------------------------------------------------------------------------------------------------------

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
FORWARD = fpk.noising(SCHEDULE, DATA)
EXACT = fpk.exact(FORWARD, times=[1.0])

#: Order, factor on the score, factor on the noise variance.
STEPS = {
    "stated": (1.0, 1.0, 1.0),
    "order 2": (2.0, 1.0, 1.0),
    "order ½": (0.5, 1.0, 1.0),
    "½ extra on g²": (1.0, 0.5, 1.0),
    "½ missing on g²": (1.0, 1.0, 2.0),
    "score − 2 %": (1.0, 0.98, 1.0),
}
COUNTS = 6 * 2 ** np.arange(5)


@lru_cache(maxsize=8)
def _step_errors(factor: float, noise: float) -> Array:
    """Errors of E X² of reverse chains from the law at T = 1."""
    back = fpk.reverse_time(FORWARD, scaled(EXACT.score, factor), initial=EXACT.law(1.0))
    truth = float(DATA.covariance[0, 0] + DATA.mean[0] ** 2)
    return np.array([euler_second_moment(back, int(n), noise**0.5) - truth for n in COUNTS])


@study("S0.E25", variants=STEPS)
def reverse_steps(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    order, *factors = variant
    errors = _step_errors(*factors)
    return order_evidence(errors, 1 / COUNTS, order, floor=1e-9, source="E X² after the reverse chain")


# -- starts ------------------------------------------------------------------------------------------------------------------


def _return_evidence(noising: Noising, back: fpk.Problem) -> Evidence:
    """The law that a linear reverse problem ends in, against the data."""
    end, data = noising.horizon, noising.data
    found, claimed = fpk.exact(back, times=[end]), constant_law(data, time=end, source="the data law")
    return evidence(found, claimed, panel=fpk.law_panel({end: data}))


def _constant(total: float, mean: float = 2.0, variance: float = 0.25) -> Noising:
    """VP at the constant rate ``total`` until t = 1, Gaussian data."""
    return Noising(fpk.VPSchedule(total), mean, variance, 1.0)


STANDARD = fpk.Gaussian(0.0, 1.0)


@study(
    "err:S0.A1",
    variants={
        "inside": (28.0, False),
        "corrected": (1.0, True),
        "B = 1": (1.0, False),
        "B = 3": (3.0, False),
        "outside": (6.0, False),
    },
)
def start_of_the_algorithm(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    total, own = variant
    noising = _constant(total)
    return _return_evidence(noising, noising.reversed_from(noising.end if own else STANDARD))


EXPLODING = Noising(fpk.VESchedule(1.0, 17**0.5), 0.0, 9.0, 1.0)
PRESERVING = _constant(28.0, 0.0, 9.0)


@study(
    "err:S0.A1-VE",
    variants={
        "printed": (EXPLODING, STANDARD),
        "N(0, B)": (EXPLODING, fpk.Gaussian(0.0, 4.0)),
        "corrected": (EXPLODING, EXPLODING.end),
        "degenerate": (PRESERVING, STANDARD),
    },
)
def start_of_the_exploding(variant: tuple[Noising, fpk.Gaussian], case: str, size: Size, seed: int) -> Evidence:
    noising, start = variant
    return _return_evidence(noising, noising.reversed_from(start))


@study(
    "err:S1.E13-E14-E16",
    variants={"printed": (False, 1.0), "read forwards": (True, 1.0), "score + 1 %": (False, 1.01)},
    cases=("σ = g", "σ = ½g"),
)
def direction_of_time(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    forwards, factor = variant
    noising = _constant(1.7)
    back = noising.reversed_from(noising.end, factor=factor, noise=1.0 if case == "σ = g" else 0.5)
    if not forwards:
        return _return_evidence(noising, back)
    assert back.drift.linear is not None
    slope, shift = back.drift.linear.slope, back.drift.linear.shift
    ahead = fpk.Problem(
        fpk.Linear(lambda t: -slope(1 - t), lambda t: -shift(1 - t)), back.diffusion, initial=noising.data
    )
    return evidence(fpk.exact(ahead, times=[1.0]), noising.exact, panel=fpk.law_panel({1.0: noising.data}))


# -- the equation ------------------------------------------------------------------------------------------------------------

END, EARLY, LATE = 0.8, 0.3, 0.7
SPRING = fpk.noising(fpk.VPSchedule(1.7), DATA, horizon=END)
AHEAD = fpk.exact(SPRING, times=[END])


def _backwards(early: float, late: float) -> fpk.GaussianMixture:
    """The law of (X_{T−early}, X_{T−late})."""
    assert AHEAD.joint is not None
    return AHEAD.joint(END - late, END - early).pushed(np.eye(2)[::-1], np.zeros(2), np.zeros((2, 2)))


BACKWARDS = fpk.LawMarginals(lambda tau: AHEAD.law(END - tau), (EARLY, LATE), source="forward laws", joint=_backwards)

#: Factor on the score, clock of the score, noise in units of σ.
REVERSED: dict[str, tuple[float, Callable[[float], float], float]] = {
    "stated": (1.0, lambda t: t, 1.0),
    "score sign": (-1.0, lambda t: t, 1.0),
    "½ extra on σ²": (0.5, lambda t: t, 1.0),
    "½σ for σ": (1.0, lambda t: t, 0.5),
    "score at τ for T − τ": (1.0, lambda t: END - t, 1.0),
    "score + 1 %": (1.01, lambda t: t, 1.0),
}


@lru_cache(maxsize=1)
def _pairs_and_times() -> fpk.Panel:
    laws = {tau: BACKWARDS.law(tau) for tau in (EARLY, LATE)}
    return fpk.Panel((*two_time_panel(laws).smooth, *fpk.law_panel(laws).smooth))


@study("S1.E14", variants=REVERSED)
def returned_along_the_law(
    variant: tuple[float, Callable[[float], float], float], case: str, size: Size, seed: int
) -> Evidence:
    factor, clock, noise = variant
    score: Score = lambda x, t: factor * AHEAD.score(x, clock(t))  # noqa: E731
    back = fpk.reverse_time(SPRING, score, initial=AHEAD.law(END), noise=noise * 1.7**0.5)
    solved = on_grid(walled(back), size, times=[EARLY, LATE], cells=40, steps=8)
    return evidence(solved, BACKWARDS, panel=_pairs_and_times())


#: Share of σ² in the drift, and a factor on the score.
FAMILY = {
    "stated": (1.0, 1.0),
    "score sign": (1.0, -1.0),
    "σ² not in the drift": (0.0, 1.0),
    "g² − σ²": (-1.0, 1.0),
    "score + 0.1 %": (1.0, 1.001),
}
#: σ at the forward time t.
FREE: dict[str, Callable[[float], float]] = {
    "σ = 0": lambda t: 0.0,
    "σ = ½g": lambda t: 0.5 * SCHEDULE.diffusion(t),
    "σ = 2g": lambda t: 2.0 * SCHEDULE.diffusion(t),
    "σ = 1 + sin 5t": lambda t: 1 + np.sin(5 * t),
}
POSITIONS = np.array([-1.3, -0.5, 0.2, 1.1, 2.0])


def _in_the_equation(share: float, factor: float, sigma: Callable[[float], float], step: float) -> Array:
    """∂q/∂τ + ∂(bq) − ½σ²∂²q for q = p_{T−τ} at T − τ = .4, b the drift of the library with a ``share`` of σ²."""
    t, x = 0.4, POSITIONS
    score = scaled(EXACT.score, factor)
    back = fpk.reverse_time(FORWARD, score, initial=EXACT.law(1.0), noise=sigma)

    def density(x: Array) -> Array:
        return EXACT.density_on(x, t)

    def current(x: Array) -> Array:
        missing = 0.5 * (share - 1) * sigma(t) ** 2 * score(x[:, None], t)
        return (back.drift(x[:, None], 1.0 - t) + missing)[:, 0] * density(x)

    def slope(x: Array) -> Array:
        return central_derivative(density, x, step)

    in_time = central_derivative(lambda h: EXACT.density_on(x, t + float(h[0])), np.zeros(1), step)
    second = central_derivative(slope, x, step)
    return -in_time + central_derivative(current, x, step) - 0.5 * sigma(t) ** 2 * second


@study(
    "S1.E30-32",
    variants=FAMILY,
    cases=tuple(FREE),
    applies=lambda variant, case: case != "σ = 0" or variant not in ("σ² not in the drift", "g² − σ²"),
)
def any_noise(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    fine, coarse = (_in_the_equation(*variant, FREE[case], step) for step in (0.01, 0.02))
    names = tuple(f"residual at {x:g}" for x in POSITIONS)
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="Fokker–Planck residual of p")
    return Evidence(first, zero_estimate(len(fine)), names)


# -- difference quotients ----------------------------------------------------------------------------------------------------

ROUND = fpk.GaussianMixture([0.4, 0.6], np.array([[-0.8, 0.5], [0.9, -0.2]]), stds=[0.6, 0.5])


@study("err:S1.E32", variants={"inside": (1, 0.0), "outside": (1, 0.1), "in the plane": (2, 0.0)})
def difference_quotient(variant: tuple[int, float], case: str, size: Size, seed: int) -> Evidence:
    """The gradients, in closed form, are those of Gaussian mixtures."""
    d, finite = variant
    law: fpk.GaussianMixture = ROUND if d == 2 else ROUND.projected(np.array([1.0, 0.0]))
    x, along = np.array([[0.3, 0.4]])[:, :d], np.array([0.6, 0.8])[:d] / (0.6 if d == 1 else 1.0)

    def quotient(h: float) -> Array:
        return (law.density(x + h * along) - law.density(x))[0] / h * along

    gradient = (law.density(x)[:, None] * law.score(x))[0]
    names = tuple(f"∂{i} p" for i in range(d))
    if finite:
        first = fpk.residual(quotient(finite) - gradient, 1e-12, source="quotient over a finite step")
        return Evidence(first, zero_estimate(d), names)
    return limit_evidence(quotient, gradient, step=0.05, names=names, source="quotient, dx → 0")


# -- the bound ---------------------------------------------------------------------------------------------------------------

#: Data, steps and factor on the score: starts that matter, steps that matter, a score that is wrong.
RUNS = (
    (_constant(0.02), 16, 1.0),
    (_constant(1.0), 200, 1.0),
    (_constant(6.0), 60, 1.0),
    (_constant(6.0), 120, 1.1),
    (_constant(1.0, 0.0, 9.0), 100, 1.0),
)
Distance = Callable[[tuple[float, float], tuple[float, float]], float]


@lru_cache(maxsize=1)
def _outcomes() -> list[tuple[float, float]]:
    """Mean and variance of what each run returns, started from N(0, 1)."""
    return [euler_moments(run.reversed_from(STANDARD, factor=pull), n, (0.0, 1.0)) for run, n, pull in RUNS]


@study(
    "S0.A1",
    variants={
        "stated": (total_variation, 1.0, 1.0),
        "N(0, 1) is enough": (total_variation, 0.0, 1.0),
        "score and steps free": (total_variation, 1.0, 0.0),
        "W₂ for TV": (wasserstein, 1.0, 1.0),
        "first term − 3 %": (total_variation, 0.97, 1.0),
    },
)
def how_far_from_the_data(variant: tuple[Distance, float, float], case: str, size: Size, seed: int) -> Evidence:
    distance, start, rest = variant
    excess = []
    for (run, n, pull), returned in zip(RUNS, _outcomes(), strict=True):
        (mean,), (variance,) = run.at(np.array([run.horizon]))
        bound = start * distance((0.0, 1.0), (mean, variance)) + rest * (0.5 * path_entropy(run, n, pull)) ** 0.5
        excess.append(distance(returned, (run.mean, run.variance)) - bound)
    names = tuple(f"N({r.mean:g}, {r.variance:g}), B = {r.total:g}, {n} steps, score × {k:g}" for r, n, k in RUNS)
    first = fpk.residual(np.array(excess), 1e-6, source="distance returned less the bound")
    return Evidence(first, zero_estimate(len(RUNS)), names)
