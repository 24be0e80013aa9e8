r"""Short steps of an SDE, and what remains of the powers of their noise.

Given X_t = x, X_{t+h} ≈ N(x + hf, h GQGᵀ); with dw ~ N(0, σ²dt), E dw² = σ²dt, E dw⁴ = 3σ⁴dt², and Σ φ(W) dw² → ∫ φ(W) σ²dt in the mean square.
Expectations are quadratures. Mean squares over all paths are computed, not sampled: what is still to come is taken back step by step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.moments import transition
from fpk.study import Claim, Evidence, Size, order_evidence, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from .._systems import DATA
from ._steps import Mover, mean_square, normal

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S4.E18-20",
        "order",
        "Over a short time an SDE moves by a Gaussian step with mean hf and covariance hGQGᵀ: right to second order in law, so that chains of steps have weak order 1, and strong order ½.",
        r"X_{t+h}\,|\,X_t=x\;\approx\;\mathcal N\bigl(x+hf,\;h\,GQG^{\mathsf T}\bigr)",
        "GM (2023), equations 18 to 20; Chen (2024), equation 7; Wei (2024), equation 3; Rakitin, equations 16 and 17",
        {
            "stated": C,
            "one order higher": R,
            "half an order lower": R,
            "drift sign": R,
            "½ extra on g²": R,
            "Q dropped": R,
            "g² − 1 %": R,
        },
        {
            "one order higher": "an order more than claimed",
            "half an order lower": "half an order less than claimed",
            "drift sign": "x − hf",
            "½ extra on g²": "½hGQGᵀ",
            "Q dropped": "independent noises of the same strengths",
            "g² − 1 %": "the covariance is 1 % too small",
        },
        assumptions="relative entropy of the steps in the plane, where everything is linear; expectations elsewhere.",
    ),
    Claim(
        "S4.E21",
        "identity",
        "Even moments of dw are odd factorials times powers of σ²dt; odd ones vanish.",
        r"\mathbb E\,dw^{2n}=(2n-1)!!\,\sigma^{2n}dt^n,\qquad \mathbb E\,dw^{2n+1}=0",
        "GM (2023), equation 21",
        {"stated": C, "(2n)!!": R, "(2n + 1)!!": R, "n!": R, "σⁿ for σ²ⁿ": R, "odd ones kept": R, "σ² + 0.1 %": R},
        {
            "(2n)!!": "even factorials",
            "(2n + 1)!!": "the next odd factorial",
            "n!": "factorials of n",
            "σⁿ for σ²ⁿ": "σ in the place of σ²",
            "odd ones kept": "(p − 1)!! for odd powers p too",
            "σ² + 0.1 %": "σ² is 0.1 % too large",
        },
    ),
    Claim(
        "S4.E25",
        "identity",
        "In the mean square, once summed along the path, dw² may be replaced by σ²dt and higher powers by 0; dw itself may not.",
        r"\mathbb E\Bigl(\sum_n\varphi(W_n)\bigl(\Delta W_n^2-\sigma^2\Delta t\bigr)\Bigr)^2\to0,\qquad \mathbb E\Bigl(\sum_n\varphi(W_n)\,\Delta W_n^{3,4}\Bigr)^2\to0",
        "GM (2023), equation 25",
        {"stated": C, "dt for σ²dt": R, "dw² for 0": R, "dw for 0": R, "3dt² for dw²": R, "σ² + 5 %": R},
        {
            "dt for σ²dt": "σ² forgotten",
            "dw² for 0": "the squares replaced by nothing",
            "dw for 0": "dw replaced by its mean",
            "3dt² for dw²": "the fourth moment in the place of the second",
            "σ² + 5 %": "σ² is 5 % too large",
        },
    ),
)

# -- short steps -------------------------------------------------------------------------------------------------------------

TURN, SHIFT = np.array([[-1.0, -2.0], [1.5, -0.5]]), np.array([0.4, -0.3])
NOISE, SHARED = np.array([[0.8, 0.0], [0.3, 0.6]]), np.array([[1.0, 0.5], [0.5, 1.0]])
PLANE = fpk.Problem(fpk.Linear(TURN, SHIFT), NOISE, initial=fpk.Gaussian([0.0, 0.0], 1.0), noise_covariance=SHARED)


def _entropies(drift: float, variance: float, mixed: bool) -> tuple[Array, Array, float]:
    """KL(exact step ‖ claimed step) from (.7, −.4) over h = 1/16 ... 1/1024."""
    steps, x = 2.0 ** -np.arange(4, 11), np.array([0.7, -0.4])
    spread = variance * NOISE @ (SHARED if mixed else np.eye(2)) @ NOISE.T

    def entropy(h: float) -> float:
        exact = transition(PLANE, 0.0, h)
        V = np.linalg.solve(h * spread, exact.covariance)
        off = exact.slope @ x + exact.shift - x - drift * h * (TURN @ x + SHIFT)
        quadratic = float(off @ np.linalg.solve(h * spread, off))
        return 0.5 * (float(np.trace(V)) - 2 - float(np.log(np.linalg.det(V))) + quadratic)

    return steps, np.array([entropy(float(h)) for h in steps]), 1e-12


#: dX = (.4 √(1 + X²) + .18 X) dt + .6 √(1 + X²) dW has the solution X_h = sinh(arsinh X_0 + .4 h + .6 W_h).
SINH = fpk.Problem(lambda x, t: 0.4 * np.sqrt(1 + x**2) + 0.18 * x, lambda x, t: 0.6 * np.sqrt(1 + x**2), initial=DATA)


def _expectations(drift: float, variance: float, mixed: bool) -> tuple[Array, Array, float]:
    """Root-mean-square error, over three places, of E cos(X_h + .5) by one claimed step, noise depending on the state."""
    steps, x, (z, w) = 0.1 / 2.0 ** np.arange(6), np.array([[-0.8], [0.5], [1.4]]), normal(32)
    mover = Mover(SINH)

    def error(h: float) -> float:
        exact = np.sinh(np.arcsinh(x) + 0.4 * h + 0.6 * h**0.5 * z)
        still, moved = mover(x, 0.0, h) - x, mover(x, (variance * h) ** 0.5 * z, h)
        step = moved + (drift - 1) * still
        return float((((np.cos(step + 0.5) - np.cos(exact + 0.5)) @ w) ** 2).mean() ** 0.5)

    return steps, np.array([error(float(h)) for h in steps]), 1e-14


GROWTH = fpk.Problem(lambda x, t: 0.3 * x, lambda x, t: 0.6 * x, initial=fpk.Gaussian(1.0, 0.05))


def _geometric(drift: float, variance: float, *, strong: bool) -> tuple[Array, Array, float]:
    """Errors at t = 1 of chains of steps for dX = .3X dt + .6X dW from 1, in the mean square or of E X²: all factors by quadrature."""
    z, w = normal(32)
    mover, one = Mover(GROWTH), np.ones(1)
    counts = 4 ** np.arange(2, 9)

    def error(n: int) -> float:
        h = 1 / n
        step = mover(one, (variance * h) ** 0.5 * z, h) + (drift - 1) * (mover(one, 0.0, h) - one)
        exact = np.exp((0.3 - 0.18) * h + 0.6 * h**0.5 * z)
        a, b, c = w @ step**2, w @ (step * exact), w @ exact**2
        return float(max(a**n - 2 * b**n + c**n, 0.0) ** 0.5 if strong else a**n - c**n)

    return 1 / counts, np.array([error(int(n)) for n in counts]), 1e-7 if strong else 1e-9


ROUTES: dict[str, tuple[Callable[[float, float, bool], tuple[Array, Array, float]], float]] = {
    "relative entropy, plane": (_entropies, 2.0),
    "expectations, noise of the state": (_expectations, 2.0),
    "chains, strong": (lambda drift, variance, mixed: _geometric(drift, variance, strong=True), 0.5),
    "chains, weak": (lambda drift, variance, mixed: _geometric(drift, variance, strong=False), 1.0),
}


@study(
    "S4.E18-20",
    variants={
        "stated": (0.0, 1.0, 1.0, True),
        "one order higher": (1.0, 1.0, 1.0, True),
        "half an order lower": (-0.5, 1.0, 1.0, True),
        "drift sign": (0.0, -1.0, 1.0, True),
        "½ extra on g²": (0.0, 1.0, 0.5, True),
        "Q dropped": (0.0, 1.0, 1.0, False),
        "g² − 1 %": (0.0, 1.0, 0.99, True),
    },
    cases=tuple(ROUTES),
    applies=lambda variant, case: variant != "Q dropped" or case == "relative entropy, plane",
)
def short_steps(variant: tuple[float, float, float, bool], case: str, size: Size, seed: int) -> Evidence:
    more, drift, variance, mixed = variant
    route, order = ROUTES[case]
    steps, errors, floor = route(drift, variance, mixed)
    return order_evidence(errors, steps, order + more, floor=floor, source=f"{case}, from exact steps")


# -- powers of dw ------------------------------------------------------------------------------------------------------------

SIGMA = 1.3


def _odd_factorial(p: int) -> float:
    """(p − 1)!! for every p ≥ 1."""
    return float(np.prod(np.arange(p - 1, 0, -2)))


#: E dw^p in units of (σ²dt)^{p/2}, for p ≥ 1.
MOMENTS: dict[str, Callable[[int], float]] = {
    "stated": lambda p: 0.0 if p % 2 else _odd_factorial(p),
    "(2n)!!": lambda p: 0.0 if p % 2 else _odd_factorial(p + 1),
    "(2n + 1)!!": lambda p: 0.0 if p % 2 else _odd_factorial(p + 2),
    "n!": lambda p: 0.0 if p % 2 else float(np.prod(np.arange(1, p // 2 + 1))),
    "σⁿ for σ²ⁿ": lambda p: 0.0 if p % 2 else _odd_factorial(p) * SIGMA ** (-p / 2),
    "odd ones kept": _odd_factorial,
    "σ² + 0.1 %": lambda p: 0.0 if p % 2 else _odd_factorial(p) * 1.001 ** (p / 2),
}


@study("S4.E21", variants=MOMENTS)
def moments_of_dw(variant: Callable[[int], float], case: str, size: Size, seed: int) -> Evidence:
    """By quadrature of the density of an increment over dt = .04."""
    scale, powers = SIGMA * 0.2, range(1, 9)
    u, w = np.polynomial.legendre.leggauss(60 if size.quick else 120)
    x = np.concatenate([scale * (centre + u) for centre in range(-15, 16, 2)])
    mass = np.tile(scale * w, 16) * fpk.Gaussian(0.0, scale).density(x[:, None])
    values = np.array([mass @ (x / scale) ** p - variant(p) for p in powers])
    first = fpk.residual(values, 1e-10, proven=True, source="quadrature of the density of dw")
    return Evidence(first, zero_estimate(8), tuple(f"E dw^{p}" for p in powers))


#: σ of the sums.
SPREAD = 0.6
#: What replaces ΔW² from Δt, and the powers of ΔW that are replaced by nothing.
REPLACED: dict[str, tuple[Callable[[float], float], tuple[int, int]]] = {
    "stated": (lambda h: SPREAD**2 * h, (3, 4)),
    "dt for σ²dt": (lambda h: h, (3, 4)),
    "dw² for 0": (lambda h: SPREAD**2 * h, (2, 4)),
    "dw for 0": (lambda h: SPREAD**2 * h, (1, 4)),
    "3dt² for dw²": (lambda h: 3 * SPREAD**4 * h**2, (3, 4)),
    "σ² + 5 %": (lambda h: 1.05 * SPREAD**2 * h, (3, 4)),
}


@study("S4.E25", variants=REPLACED)
def powers_of_dw(
    variant: tuple[Callable[[float], float], tuple[int, int]], case: str, size: Size, seed: int
) -> Evidence:
    """Mean squares of the sums over [0, 1] with φ = 1 + W, W_0 = .3, as the steps tend to 0."""
    square, powers = variant
    mover = Mover(fpk.Problem(0.0, SPREAD, initial=DATA))

    def left(h: float) -> Array:
        def total(gain: Callable[[Array], Array]) -> float:
            return mean_square(0.3, round(1 / h), mover.over(h), lambda x, y, z: (1 + x) * gain(y - x), lambda x: 0 * x)

        return np.array([total(lambda d: d**2 - square(h)), *(total(lambda d, p=p: d**p) for p in powers)])

    names = ("Δw² − σ²Δt", "the first of the higher powers", "Δw⁴")
    return limit_evidence(left, np.zeros(3), step=1 / 32, names=names, source="mean squares over all paths")
