r"""Langevin dynamics: the SDE dX = ∇log p dt + √2 dW, the chain of its Euler steps, and gradient ascent, which has no noise.

    x ↦ x + γ ∇log p(x) + √(2γ) ξ

keeps p up to O(γ²) a step and settles O(γ) away from it. Laws come from grid solutions run for a long time, from the chain's own transition
kernel (its null vector on a fine grid of points), from closed forms of affine chains, and from quadrature over one step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

import fpk
from fpk.chains import propagate
from fpk.charts import Chart, Series
from fpk.fields import exact_field
from fpk.laws import Array, GaussianMixture, Law, TabulatedLaw
from fpk.marginals import zero_estimate
from fpk.samplers import ULA
from fpk.study import Evidence, Size, evidence, order_evidence, study

from .._limits import limit_evidence
from .._systems import BOX, DATA, boxed, constant_law, on_grid
from ._ascents import climbed, curvatures, maximum
from ._langevin_claims import CLAIMS, REMARKS

__all__ = ["CLAIMS", "REMARKS"]

#: Two peaks with a pass between them that is not rare; one lopsided peak; the same in the plane.
HILLS = GaussianMixture([0.4, 0.6], [-1.0, 1.2], stds=[0.5, 0.6])
LOPSIDED = GaussianMixture([0.5, 0.5], [0.2, 1.3], stds=[0.6, 1.0])
PLANE = GaussianMixture(
    [0.5, 0.5], [[0.3, 0.5], [1.0, 0.2]], covariances=[[[0.4, 0.1], [0.1, 0.3]], [[0.9, -0.2], [-0.2, 0.6]]]
)
FAR = fpk.Gaussian(3.0, 0.5)

# -- where the SDE goes ------------------------------------------------------------------------------------------------------

TARGETS: dict[str, tuple[Law, float]] = {"two peaks": (HILLS, 120.0), "one peak": (fpk.Gaussian(0.3, 0.8), 30.0)}


def _ended(problem: fpk.Problem, time: float, size: Size) -> Any:
    """The law at ``time``, long after the start: one exponential a grid."""
    return on_grid(problem, size, times=[time], cells=96, steps=2)


def _driven(drift: float, noise: float, start: Law, target: str, size: Size) -> Evidence:
    """dX = drift ∇log p dt + noise dW for a long time, against p."""
    law, time = TARGETS[target]
    problem = boxed(lambda x, t: drift * law.score(x), noise, initial=start, horizon=time)
    return _against(law, _ended(problem, time, size), time)


def _against(law: Law, found: Any, time: float) -> Evidence:
    return evidence(found, constant_law(law, time=time, source="p"), panel=fpk.law_panel({time: law}))


def _driven_by_itself(start: Law, target: str, size: Size) -> Evidence:
    """Three stretches of the same SDE, each with the score of the law it begins with."""
    law, time = TARGETS[target]

    def level(k: int) -> Any:
        at: Any = start
        for _ in range(3):
            problem = boxed(lambda x, t, law=at: law.score(x), 2**0.5, initial=at, horizon=time)
            found = fpk.solve(problem, fpk.Grid(*BOX, cells=size.cells(96) * k), times=[time], steps=2 * k)
            at = found.law(time)
        return found

    return _against(law, fpk.refine(level), time)


#: Factor on the score of p and the noise; None: the score of the law itself.
DRIVES: dict[str, tuple[float, float] | None] = {
    "stated": (1.0, 2**0.5),
    "score of its own law": None,
    "½ in the drift": (0.5, 2**0.5),
    "√2 missing": (1.0, 1.0),
    "noise² + 2 %": (1.0, 2.04**0.5),
}


@study("S0.T1c", variants=DRIVES, cases=tuple(TARGETS))
def forgets_the_start(variant: tuple[float, float] | None, case: str, size: Size, seed: int) -> Evidence:
    return _driven_by_itself(FAR, case, size) if variant is None else _driven(*variant, FAR, case, size)


@study(
    "err:S0.T1a",
    variants={"printed": (True, FAR), "corrected": (False, FAR), "degenerate": (True, None)},
    cases=tuple(TARGETS),
)
def own_score(variant: tuple[bool, Law | None], case: str, size: Size, seed: int) -> Evidence:
    own, start = variant
    start = TARGETS[case][0] if start is None else start
    return _driven_by_itself(start, case, size) if own else _driven(1.0, 2**0.5, start, case, size)


#: Factor on the error s_θ − s in log p_θ.
ERRORS = {"stated": 1.0, "law of the exact score": 0.0, "twice the error": 2.0, "error sign": -1.0, "error + 5 %": 1.05}


@study("S2.T1s", variants=ERRORS)
def approximate_score(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """s_θ = ∇log p + .6 sin 2x + .2, p with two peaks."""
    problem = boxed(lambda x, t: HILLS.score(x) + 0.6 * np.sin(2 * x) + 0.2, 2**0.5, initial=FAR, horizon=120.0)

    def law(factor: float) -> TabulatedLaw:
        error: Callable[[Array], Array] = lambda x: 0.2 * x - 0.3 * np.cos(2 * x)  # noqa: E731
        return TabulatedLaw.gibbs(lambda x: -HILLS.log_density(x[:, None]) - factor * error(x), *BOX, cells=600)

    claimed = constant_law(law(variant), time=120.0, source="the law of s_θ")
    return evidence(_ended(problem, 120.0, size), claimed, panel=fpk.law_panel({120.0: law(1.0)}))


# -- how fast ----------------------------------------------------------------------------------------------------------------

#: Functions by parity: odd ones see the first eigenvalue, even ones the second; the times between which their decay is read.
FADING: dict[str, tuple[Callable[[Array], Array], int, tuple[float, float]]] = {
    "x": (lambda x: x, 1, (4.0, 6.0)),
    "sin x": (np.sin, 1, (4.0, 6.0)),
    "x²": (lambda x: x**2, 2, (2.5, 3.5)),
    "cos x": (np.cos, 2, (2.5, 3.5)),
}


def _eigenvalues(sign: float, points: int) -> Array:
    """The lowest of −∂² + ¼U′² + ½ sign U″, U = x⁴/4 − x²/2, by sinc collocation on [−5, 5]."""
    x = np.linspace(-5, 5, points)
    k, h = np.arange(points), x[1] - x[0]
    apart = k[:, None] - k
    with np.errstate(divide="ignore"):
        kinetic = np.where(apart == 0, np.pi**2 / 3, 2.0 * (-1.0) ** apart / np.where(apart == 0, 1, apart) ** 2) / h**2
    return np.linalg.eigvalsh(kinetic + np.diag(0.25 * (x**3 - x) ** 2 + 0.5 * sign * (3 * x**2 - 1)))[:4]


@lru_cache(maxsize=8)
def _faded(noise: float, cells: int) -> tuple[Array, Array]:
    """Rates at which expectations on the grid approach those under p*, and how far off they are in the end."""
    problem = fpk.Problem("x - x**3", noise, initial=fpk.Gaussian(1.2, 0.3), horizon=30.0)
    grid, times = fpk.Grid(-5, 5, cells=cells), [2.5, 3.5, 4.0, 6.0, 30.0]
    solved = fpk.solve(problem, grid, times=times, steps=cells)
    rest = np.exp(-(grid.centers**4) / 4 + grid.centers**2 / 2)
    values = np.array([[p @ f(grid.centers) * grid.widths[0] for p in solved.densities] for f, *_ in FADING.values()])
    off = values - np.array([[rest @ f(grid.centers) / rest.sum()] for f, *_ in FADING.values()])
    rates = [
        np.log(abs(o[times.index(a)] / o[times.index(b)])) / (b - a)
        for o, (_, _, (a, b)) in zip(off, FADING.values(), strict=True)
    ]
    return np.array(rates), off[:, -1]


#: Noise, sign of U″ and factor on the eigenvalues.
FORGETTING = {
    "stated": (2**0.5, -1.0, 1.0),
    "potential sign": (2**0.5, 1.0, 1.0),
    "½ missing": (2**0.5, -1.0, 2.0),
    "√2 missing": (1.0, -1.0, 1.0),
    "rate + 0.1 %": (2**0.5, -1.0, 1.001),
}


@study("S3.N2", variants=FORGETTING)
def rates_of_forgetting(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """The double well; densities on the grid know nothing of eigenvalues."""
    noise, sign, factor = variant
    claimed = factor * _eigenvalues(sign, 80)[[index for _, index, _ in FADING.values()]]
    (fine, end), (coarse, coarse_end) = _faded(noise, size.cells(200)), _faded(noise, size.cells(100))
    values, coarser = np.append(fine - claimed, end), np.append(coarse - claimed, coarse_end)
    first = fpk.residual(values, np.abs(values - coarser) + 1e-6, coarser=coarser, source="decay on the grid")
    names = (*(f"rate of {f}" for f in FADING), *(f"E {f} in the end" for f in FADING))
    return Evidence(first, zero_estimate(len(values)), names)


# -- finite steps ------------------------------------------------------------------------------------------------------------

#: Variances after one step and at rest as claimed from V and s.
SPREADS: dict[str, Callable[[float, float], tuple[float, float]]] = {
    "stated": lambda V, s: (V + s**2 / V, V / (1 - s / (2 * V))),
    "invariant": lambda V, s: (V, V),
    "first order": lambda V, s: (V + s, V + s / 2),
    "s/V for s/(2V)": lambda V, s: (V + s**2 / V, V / (1 - s / V)),
    "s + 1 %": lambda V, s: (V + (1.01 * s) ** 2 / V, V / (1 - 1.01 * s / (2 * V))),
}


@study("S0.T1s", variants=SPREADS)
def finite_steps(variant: Callable[[float, float], tuple[float, float]], case: str, size: Size, seed: int) -> Evidence:
    """Laws of the chain itself: V = 1 and .49, s = .5 and .2; 250 steps for the law at rest."""
    values, names = [], []
    for V in (1.0, 0.49):
        law = fpk.Gaussian(0.0, V**0.5)
        field = exact_field(law, fpk.VPSchedule(1.0))
        for s in (0.5, 0.2):
            for steps, claimed in zip((1, 250), variant(V, s), strict=True):
                chain: Any = propagate(ULA(field, size=s, steps=steps), initial=law).law(0.0)
                values.append(chain.covariance[0, 0] - claimed)
            names += [f"variance {when}, V = {V:g}, s = {s:g}" for when in ("after a step", "at rest")]
    first = fpk.residual(np.array(values), 1e-12, source="law of the chain less the formula")
    return Evidence(first, zero_estimate(len(values)), tuple(names))


def _stepped(law: Law, f: Callable[[Array], Array], step: float) -> float:
    """E f(X + s∇log p + √(2s) ξ) by the trapezoidal rule over X and Gauss–Hermite quadrature over ξ; E f(X) for s = 0."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    x = np.linspace(-9, 9, 501)[:, None]
    mass = np.exp(law.log_density(x)) * (x[1, 0] - x[0, 0])
    return float(mass @ f(x + step * law.score(x) + (2 * step) ** 0.5 * nodes) @ weights / weights.sum())


@study("err:S0.T1b", variants={"inside": 0.0, "outside": 0.5})
def only_for_short_steps(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """x², x⁴ and cos x under N(0, 1)."""
    law, names = fpk.Gaussian(0.0, 1.0), ("x²", "x⁴", "cos x")
    functions: Sequence[Callable[[Array], Array]] = (lambda x: x**2, lambda x: x**4, np.cos)

    def rate(step: float) -> Array:
        return np.array([(_stepped(law, f, step) - _stepped(law, f, 0.0)) / step for f in functions])

    if variant == 0.0:
        return limit_evidence(rate, np.zeros(3), step=0.04, names=names, source="rate of change as s → 0")
    return Evidence(fpk.residual(rate(variant), 1e-9, source="rate of change"), zero_estimate(3), names)


X = sp.Symbol("x", real=True)
#: Whether as printed; what f are looked at.
TERMS = {"printed": (True, (X**4, sp.sin(X))), "corrected": (False, (X**4, sp.sin(X))), "degenerate": (True, (X**2,))}


@study("err:S0.E4", variants=TERMS)
def second_order_terms(variant: tuple[bool, tuple[Any, ...]], case: str, size: Size, seed: int) -> Evidence:
    """Limits τ → 0 of E f(X′) and of its second-order coefficient, p with two peaks; x² is centred."""
    printed, functions = variant
    claimed, made = [], []
    for f in functions:
        centred = f - (_stepped(HILLS, lambda x: x**2, 0.0) if f == X**2 else 0)
        made.append(sp.lambdify(X, centred, "numpy"))
        claimed += list(_claimed_terms(centred, printed))
    names = tuple(
        f"{what}, f = {f}" for f in functions for what in ("E f(X′) as τ → 0", "coefficient of τ", "coefficient of τ²")
    )

    def quantity(step: float) -> Array:
        pairs = [(_stepped(HILLS, f, step), _stepped(HILLS, f, 0.0)) for f in made]
        return np.array([v for late, early in pairs for v in (late, (late - early) / step, (late - early) / step**2)])

    return limit_evidence(quantity, np.array(claimed), step=0.01, names=names, source="one step by quadrature")


def _claimed_terms(f: Any, printed: bool) -> tuple[float, float, float]:
    """E f(X) and the coefficients of τ and τ², s = ∇log p."""
    parts = [sp.lambdify(X, sp.diff(f, X, k) + 0 * X, "numpy") for k in (0, 2, 3, 4)]
    x = np.linspace(-9, 9, 501)
    mass, s = HILLS.density(x[:, None]) * (x[1] - x[0]), HILLS.score(x[:, None])[:, 0]
    mean, bent, third, fourth = (mass * np.broadcast_to(part(x), x.shape) for part in parts)
    one = 0.5 * float(s**2 @ bent)
    return (0.0, 0.0, one) if printed else (float(mean.sum()), 0.0, one + float(s @ third) + 0.5 * float(fourth.sum()))


# -- the law of the chain ----------------------------------------------------------------------------------------------------

#: Law, interval and longest step of the chains; the factor of the double well is tamed.
CHAINS: dict[str, tuple[Law, tuple[float, float], float]] = {
    "N(0, 1)": (fpk.Gaussian(0.0, 1.0), (-7.0, 7.0), 0.2),
    "two peaks": (HILLS, (-4.5, 5.0), 0.04),
    "double well": (fpk.problems.double_well_law(2**0.5), (-4.5, 4.5), 0.05),
}


def _kernel(x: Array, moved: Array, variance: float) -> Array:
    """The matrix that takes a density at x to that after a step to N(moved, variance)."""
    return np.exp(-((x[:, None] - moved) ** 2) / (2 * variance)) * ((x[1] - x[0]) / np.sqrt(2 * np.pi * variance))


def _off(case: str, gamma: float, variance: float) -> float:
    """W₁ between the chain's law at rest and p, both by sums over 200 points."""
    law, (lower, upper), _ = CHAINS[case]
    x = np.linspace(lower, upper, 200)
    s = law.score(x[:, None])[:, 0]
    tamed = s / (1 + gamma * np.abs(s)) if case == "double well" else s
    K = _kernel(x, x + gamma * tamed, variance)
    rest = np.linalg.solve(K - np.eye(len(x)) + 1 / len(x), np.full(len(x), 1 / len(x)))
    p = np.exp(law.log_density(x[:, None]))
    return float(np.abs(np.cumsum(rest / rest.sum() - p / p.sum())).sum() * (x[1] - x[0]))


def _left(gammas: Array) -> Array:
    """The share of untamed chains on the double well that have left [−8, 8] within 5,000 steps."""
    x = np.linspace(-8, 8, 121)
    start = np.exp(-(x**4) / 4 + x**2 / 2)
    powers = [np.linalg.matrix_power(_kernel(x, x + g * (x - x**3), 2 * g), 5000) for g in gammas]
    return np.array([1 - (K @ start).sum() / start.sum() for K in powers])


def _leaving() -> Chart:
    gammas = np.linspace(0.1, 0.3, 5)
    shares = (Series("", gammas, _left(gammas)),)
    return Chart("Untamed chains on the double well", "γ", "share that has left after 5,000 steps", shares)


#: Claimed order, noise variance over γ.
BIASES = {
    "stated": (1.0, 2.0),
    "order 2": (2.0, 2.0),
    "order ½": (0.5, 2.0),
    "√2 missing": (1.0, 1.0),
    "noise² + 5 %": (1.0, 2.1),
}


@study("S2.E1", variants=BIASES, cases=tuple(CHAINS))
def chains_at_rest(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    order, noise = variant
    gammas = CHAINS[case][2] / 2.0 ** np.arange(5)
    errors, source = [_off(case, g, noise * g) for g in gammas], "W₁ of the law at rest to p"
    charts = (_leaving(),) if case == "double well" and variant == BIASES["stated"] else ()
    return order_evidence(errors, gammas, order, floor=1e-5, source=source, charts=charts)


# -- without noise -----------------------------------------------------------------------------------------------------------

#: Law and starts of the ascents.
ASCENTS: dict[str, tuple[GaussianMixture, Array]] = {
    "one peak": (LOPSIDED, np.array([[-1.0], [2.5]])),
    "two peaks": (DATA, np.array([[-1.3], [2.0]])),
    "plane": (PLANE, np.array([[-0.5, 1.0], [1.5, -0.5]])),
}


#: Length of a step over 1/L, whether the mean is claimed, a factor on the claimed maximum.
CLIMBS = {
    "stated": (0.5, False, 1.0),
    "descent": (-0.5, False, 1.0),
    "step 2.2/L": (2.2, False, 1.0),
    "mean for maximum": (0.5, True, 1.0),
    "maximum + 1 %": (0.5, False, 1.01),
}


@study("S2.GA", variants=CLIMBS, cases=tuple(ASCENTS))
def ascents(variant: tuple[float, bool, float], case: str, size: Size, seed: int) -> Evidence:
    """Maxima and curvatures from the density, by other means than its score."""
    length, at_mean, factor = variant
    law, starts = ASCENTS[case]
    values, bounds, names = [], [], []
    for k, start in enumerate(starts):
        top = maximum(law, start)
        curved = curvatures(law, top)
        end, shrinking = climbed(law, start, length / curved[-1], 100)
        values += [*(end - factor * (law.mean if at_mean else top)), shrinking - (1 - 0.5 * curved[0] / curved[-1])]
        bounds += [1e-6] * len(top) + [1e-4]
        names += [f"x{i} from start {k}" for i in range(len(top))] + [f"shrinking from start {k}"]
    first = fpk.residual(np.array(values), np.array(bounds), source="end of the ascent less the maximum")
    return Evidence(first, zero_estimate(len(values)), tuple(names))


@study("err:S2.GA", variants={"inside": 1.8, "outside": 2.2})
def only_with_short_steps(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """A Gaussian in the plane, whose curvature is the same everywhere; the slowest mode leaves max |1 − γλ| of the distance."""
    law = fpk.Gaussian([0.4, -0.2], covariance=[[0.7, 0.3], [0.3, 0.5]])
    start = np.array([1.5, 1.0])
    top = maximum(law, start)
    curved = curvatures(law, top)
    gamma = variant / curved[-1]
    end, shrinking = climbed(law, start, gamma, 80)
    values = np.append(end - top, shrinking - np.abs(1 - gamma * curved).max())
    first = fpk.residual(values, np.array([1e-6, 1e-6, 1e-4]), source="end of the ascent less the maximum")
    return Evidence(first, zero_estimate(3), ("x₁", "x₂", "shrinking"))
