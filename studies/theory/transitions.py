r"""Transition laws: products along a Markov path, Chapman–Kolmogorov, Kramers–Moyal, and the two equations of Kolmogorov.

    P(x; t | y; s) = ∫ P(x; t | z; m) P(z; m | y; s) dz,    ∂_t P = −∂_x(fP) + ½∂_x²(g²P),    −∂_s P = f ∂_y P + ½g² ∂_y²P.

Laws are known here without these equations: from counted outcomes (:mod:`._states`), from a change of variables (:mod:`._sinh`), or
from the solver that goes the other way in time (:mod:`._taken_back`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from math import comb
from typing import NamedTuple

import numpy as np

import fpk
from fpk.laws import Array, TabulatedLaw
from fpk.marginals import zero_estimate
from fpk.study import Evidence, Size, evidence, study

from .._limits import limit_evidence
from .._systems import constant_law
from . import _sinh, _states, _taken_back, _walked
from ._from_point import BETWEEN, END, PLACES, FromPoint, by_density, by_solver, solved
from ._small_increments import LAWS, STARTS, Increments, chain, diffusion
from ._transition_claims import CLAIMS as CLAIMS

#: Rounding of densities and of probabilities, which are of order 1.
ROUNDING = 1e-13


# -- products and sums over states --------------------------------------------------------------------------------------------

Factor = Callable[[Array, int, int], Array]


def _independent(law: Array, i: int, j: int) -> Array:
    """P(X_j) whatever X_i is."""
    return np.ones((_states.STATES, 1)) * _states.marginal(law, j)


#: Another process, the share of its paths, and what is multiplied.
PRODUCTS: dict[str, tuple[str, float, Factor]] = {
    "stated": ("Markov", 1.0, _states.transition),
    "X₂ = X₀": ("recalling", 1.0, _states.transition),
    "one throw for all": ("one throw", 1.0, _states.transition),
    "states independent": ("Markov", 1.0, _independent),
    "looking back": ("Markov", 1.0, _states.looking_back),
    "memory + 2 %": ("recalling", 0.02, _states.transition),
}
#: The same of the paths of particles.
WALKS: dict[str, Callable[[], Array]] = {
    "stated": lambda: _walked.product(lambda k: 0.5 * _walked.VARIANCE * (k**2).sum(1)),
    "one throw for all": lambda: _walked.product(lambda k: 0.5 * _walked.VARIANCE * k.sum(1) ** 2),
    "states independent": _walked.independent,
    "noise² + 10 %": lambda: _walked.product(lambda k: 0.55 * _walked.VARIANCE * (k**2).sum(1)),
}


@study(
    "S4.E37",
    variants={name: name for name in PRODUCTS | WALKS},
    cases=("three states", "particles"),
    applies=lambda variant, case: variant in (PRODUCTS if case == "three states" else WALKS),
)
def path_product(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """The law of a path by counting every outcome of four throws, or from particles, against the product."""
    if case == "particles":
        claimed = fpk.Estimate(WALKS[variant](), np.full(len(_walked.NAMES), 1e-13), source="product of transitions")
        return Evidence(_walked.walked(size.particles(400_000), seed), claimed, _walked.NAMES)
    process, share, factor = PRODUCTS[variant]
    law = _states.mixed(process, share)
    product = _states.marginal(law, 0)
    for k in range(_states.STEPS):
        product = product[..., None] * factor(law, k, k + 1)
    names = tuple("".join(map(str, path)) for path in np.ndindex(law.shape))
    first = fpk.residual((law - product).ravel(), ROUNDING, proven=True, source="counted paths less the product")
    return Evidence(first, zero_estimate(law.size), names)


class Legs(NamedTuple):
    """Whose law is composed, how, and how long the second leg is."""

    process: str = "Markov"
    share: float = 1.0
    power: float = 1.0
    first: str = "conditional"
    second: str = "forwards"
    stretch: float = 1.0


COMPOSITIONS = {
    "stated": Legs(),
    "a memory": Legs(process="recalling", power=2.0),
    "one throw for all": Legs(process="one throw"),
    "first leg unconditional": Legs(first="unconditional"),
    "second leg backwards": Legs(second="backwards"),
    "second leg + 1 %": Legs(stretch=1.01),
    "memory + 2 %": Legs(process="recalling", share=0.02, power=1.02),
}
#: Cases in which a variant can be written down, where that is not all of them.
COMPOSED_IN = {"one throw for all": ("three states",), "second leg + 1 %": ("continuous", "continuous, from a grid")}


@study(
    "S4.E38-41",
    variants=COMPOSITIONS,
    cases=("three states", "continuous", "continuous, from a grid"),
    applies=lambda variant, case: case in COMPOSED_IN.get(variant, (case,)),
)
def chapman_kolmogorov(variant: Legs, case: str, size: Size, seed: int) -> Evidence:
    if case == "three states":
        return _composed_states(variant)
    return _composed_densities(variant, size, by_solver if case == "continuous, from a grid" else by_density)


def _composed_states(legs: Legs) -> Evidence:
    """From the counted law of a path: P(X_4 | X_0) against sums over the states at each time between."""
    law, last = _states.mixed(legs.process, legs.share), _states.STEPS
    start = _independent if legs.first == "unconditional" else _states.transition
    end = _states.transition if legs.second == "forwards" else _states.looking_back
    gaps = [_states.transition(law, 0, last) - start(law, 0, m) @ end(law, m, last) for m in range(1, last)]
    names = tuple(f"{i} to {j} over m = {m}" for m in range(1, last) for i in range(3) for j in range(3))
    first = fpk.residual(np.ravel(gaps), ROUNDING, proven=True, source="counted paths less the sum")
    return Evidence(first, zero_estimate(len(names)), names)


def _composed_densities(legs: Legs, size: Size, route: Callable[[int, float], FromPoint]) -> Evidence:
    """The transition from s = 0 to t = .8: integrals over the place at m, where the second transition is the density of sinh U."""
    kernel = partial(_sinh.density, power=legs.power)

    def gaps(cells: int) -> Array:
        law = route(cells, legs.power)
        z, x = law.nodes, PLACES[:, None]
        composed = []
        for m, conditional in zip(BETWEEN, law.between, strict=True):
            first = _sinh.resting(z) if legs.first == "unconditional" else conditional
            late = m + legs.stretch * (END - m)
            second = kernel(x, late, z, m) if legs.second == "forwards" else kernel(z, late, x, m)
            composed.append(law.direct - second @ (first * law.weights))
        return np.concatenate(composed)

    fine, coarse = (gaps(size.cells(cells)) for cells in (144, 96))
    first = fpk.residual(fine, np.abs(fine - coarse) + ROUNDING, coarser=coarse, source="density less the integral")
    return Evidence(
        first, zero_estimate(len(fine)), tuple(f"x = {a:g} over m = {m:g}" for m in BETWEEN for a in PLACES)
    )


#: Chain and number of steps; whether the sum runs over times.
SUMS = {"printed": ("Markov", 4, True), "corrected": ("Markov", 4, False), "degenerate": ("forced", 2, True)}


@study("err:S4.E38-E39", variants=SUMS, cases=("states summed too", "one state each"))
def sum_over_times(variant: tuple[str, int, bool], case: str, size: Size, seed: int) -> Evidence:
    """Both readings of a sum over k = 1 ... n − 1: of sums over all states, or of one product each at the states i + k."""
    process, steps, over_times = variant
    law = _states.path_law(process, steps)
    start, states = np.arange(_states.STATES)[:, None], np.arange(_states.STATES)

    def term(k: int) -> Array:
        early, late = _states.transition(law, 0, k), _states.transition(law, k, steps)
        if case == "states summed too" or not over_times:
            return early @ late
        at = (start + k) % _states.STATES
        return early[start, at] * late[at, states]

    claimed = sum(term(k) for k in range(1, steps)) if over_times else term(2)
    gap = (_states.transition(law, 0, steps) - claimed).ravel()
    names = tuple(f"{i} to {j}" for i in states for j in states)
    return Evidence(fpk.residual(gap, ROUNDING, proven=True, source="counted paths"), zero_estimate(9), names)


# -- Kramers and Moyal --------------------------------------------------------------------------------------------------------

#: Factors of −(fP)′, ½(g²P)″, −(½gg′P)′ and ½g²P″ on the right of the forward equation.
FORWARD = {
    "stated": (1.0, 1.0, 0.0, 0.0),
    "drift sign": (-1.0, 1.0, 0.0, 0.0),
    "½ missing on g²": (1.0, 2.0, 0.0, 0.0),
    "Stratonovich": (1.0, 1.0, 1.0, 0.0),
    "g² outside": (1.0, 0.0, 0.0, 1.0),
    "g² + 1 %": (1.0, 1.01, 0.0, 0.0),
}
Combination = tuple[float, float, float, float]
POINTS = np.array([-1.5, -0.6, 0.1, 0.7, 1.4, 2.2])


def _pointwise(terms: Array, combination: Combination, source: str) -> Evidence:
    """The first of the terms less a combination of the others, at :data:`POINTS`."""
    gap = terms[0] - np.array(combination) @ terms[1:]
    first = fpk.residual(gap, 1e-12, proven=True, source=source)
    return Evidence(first, zero_estimate(len(gap)), tuple(f"at {p:g}" for p in POINTS))


#: With the rate of jumps N(0, ½²) that the process has besides.
KRAMERS_MOYAL = {name: (combination, 0.0) for name, combination in FORWARD.items()} | {
    "jumps": (FORWARD["stated"], 1.0)
}
#: Where a variant cannot be written down.
NOT_IN = {"g² outside": ("moments", "from one point"), "jumps": ("pointwise", "from one point")}


@study(
    "S4.E42-51",
    variants=KRAMERS_MOYAL,
    cases=("pointwise", "moments", "from one point"),
    applies=lambda variant, case: case not in NOT_IN.get(variant, ()),
)
def forward_equation(variant: tuple[Combination, float], case: str, size: Size, seed: int) -> Evidence:
    combination, jumps = variant
    if case == "pointwise":
        terms = _sinh.forward_terms(POINTS, 0.7, np.array(0.6), 0.2)
        return _pointwise(terms, combination, "derivatives of the transition density")
    return _moments(combination, jumps) if case == "moments" else _from_one_point(combination, size)


def _increments(y: Array, s: float, h: float, jumps: float) -> Array:
    """E[(X_{s+h} − y)ⁿ | X_s = y], n = 0 ... 4, of sinh U plus jumps N(0, ½²) at this rate: the number N of jumps is Poisson. Shape (5, n)."""
    x, w = _sinh.moved(y, s, s + h)
    smooth = np.array([(x - y[:, None]) ** n @ w for n in range(5)])
    number = jumps * h
    jumped = [1.0, 0.0, number / 4, 0.0, 3 * (number + number**2) / 16]
    return np.array([sum(comb(n, k) * smooth[k] * jumped[n - k] for k in range(n + 1)) for n in range(5)])


def _moments(combination: Combination, jumps: float) -> Evidence:
    """E[Δⁿ]/h as h → 0: f, g², 0 and 0 for n = 1, 2, 3 and 4, the variance of jumps counted in g²."""
    flow, spread, shift, _ = combination
    y, s = np.array([-1.5, 0.1, 1.4]), 0.2
    M = _sinh.squared_noise(y, s)
    claimed = [flow * _sinh.drift(y, s) + shift * 0.5 * M * y / (1 + y**2), spread * M + jumps / 4, 0 * y, 0 * y]
    names = tuple(f"n = {n} at {a:g}" for n in range(1, 5) for a in y)
    return limit_evidence(
        lambda h: _increments(y, s, h, jumps)[1:].ravel() / h, np.ravel(claimed), step=0.02, names=names,
        source="moments of increments over h → 0",
    )  # fmt: skip


def _from_one_point(combination: Combination, size: Size) -> Evidence:
    """The equation on a grid from a point mass at .8, against the density."""
    flow, spread, shift, _ = combination
    problem = _sinh.problem(flow=flow, spread=spread, shift=shift, initial=fpk.Gaussian(0.8, 0.1))
    base = size.cells(40)
    levels = fpk.refine(lambda k: solved(problem, 0.8, base * k, (0.5,)))
    return evidence(levels, constant_law(_kernel_law(), time=0.5, source="density of sinh U"))


@lru_cache(maxsize=1)
def _kernel_law() -> TabulatedLaw:
    return _sinh.tabulated(lambda x: _sinh.density(x[:, 0], 0.5, np.array(0.8), 0.0))


START = fpk.GaussianMixture([0.4, 0.6], [-0.7, 0.8], stds=[0.25, 0.35])


def _from_start(values: Callable[[Array], Array], count: int = 161) -> Array:
    """∫ values(y) p(y) dy over the start law, by the trapezoidal rule; values have y along their last axis."""
    y = np.linspace(-3.5, 4.0, count)
    return values(y) @ START.density(y[:, None]) * (y[1] - y[0])


@study(
    "S4.E55-56",
    variants=FORWARD,
    cases=("pointwise", "grid"),
    applies=lambda variant, case: case == "pointwise" or variant != "g² outside",
)
def marginal_equation(variant: Combination, case: str, size: Size, seed: int) -> Evidence:
    """The marginal is the start law carried by the transition density, p(x, t) = ∫ P(x; t | y; s) p(y, s) dy, by quadrature."""
    if case == "pointwise":
        terms = _from_start(lambda y: _sinh.forward_terms(POINTS[:, None], 0.7, y, 0.2))
        return _pointwise(terms, variant, "derivatives of the marginal")
    flow, spread, shift, _ = variant
    problem = _sinh.problem(flow=flow, spread=spread, shift=shift, initial=START)
    base = size.cells(36)
    levels = fpk.refine(lambda k: fpk.solve(problem, _sinh.grid(base * k), times=[0.5]))
    return evidence(levels, constant_law(_carried_law(), time=0.5, source="start law carried by the density of sinh U"))


@lru_cache(maxsize=1)
def _carried_law() -> TabulatedLaw:
    return _sinh.tabulated(lambda x: _from_start(lambda y: _sinh.density(x, 0.5, y, 0.0)))


@study(
    "err:S4.E45",
    variants={
        "printed": (-1, -1, 1.0, 1.0),
        "limits not swapped": (1, -1, 1.0, 1.0),
        "x + Δ in one factor": (-1, -1, -1.0, 1.0),
        "Δ + 1 %": (-1, -1, 1.01, 1.01),
    },
)
def substituted(variant: tuple[int, int, float, float], case: str, size: Size, seed: int) -> Evidence:
    """∫ P(x; t+h | x−Δ; t) P(x−Δ; t | y; s) dΔ with the sign of dk and the direction of the limits as written."""
    order, sign, early, late = variant
    x, y = np.array([-0.4, 0.5, 1.6]), np.array(0.7)

    def gaps(count: int) -> Array:
        step, w = _sinh.nodes(count)
        product = _sinh.density(x[:, None], 0.6, x[:, None] - late * step, 0.4) * _sinh.density(
            x[:, None] - early * step, 0.4, y, 0.0
        )
        return order * sign * product @ w - _sinh.density(x, 0.6, y, 0.0)

    count = 200 if size.quick else 400
    fine, coarse = gaps(2 * count), gaps(count)
    bound = np.abs(fine - coarse) + ROUNDING
    first = fpk.residual(fine, bound, coarser=coarse, source="substituted integral")
    return Evidence(first, zero_estimate(3), tuple(f"x = {a:g}" for a in x))


# -- small increments of any law ----------------------------------------------------------------------------------------------

INCREMENTS = {
    "stated": Increments(),
    "drift sign": Increments(flow=-1.0),
    "½ missing on g²": Increments(spread=2.0),
    "g h for g√h": Increments(law=lambda k, g, h: np.cos(k * g * h)),
    "rare jumps": Increments(law=lambda k, g, h: 1 + 4 * h * (np.cos(k * g / 2) - 1)),
    "no variance": Increments(law=lambda k, g, h: np.exp(-np.abs(k) * g * h)),
    "g² + 1 %": Increments(spread=1.01),
}


@study(
    "S4.E52-54",
    variants=INCREMENTS,
    cases=tuple(LAWS),
    applies=lambda variant, case: case == "two points" or INCREMENTS[variant].law is None,
)
def small_increments(variant: Increments, case: str, size: Size, seed: int) -> Evidence:
    """E cos X at t = ½ on a ring: chains X + f h + ξ as h → 0, by their series in √h, against the diffusion on a grid."""
    names = tuple(f"from {a:.3g}" for a in STARTS)
    chains = limit_evidence(
        lambda root: chain(variant, case, root), np.zeros(len(STARTS)), step=0.5 / 8**0.5, names=names,
        source=f"chain with increments of the law: {case}",
    )  # fmt: skip
    value, error = diffusion(48 if size.quick else 96)
    return Evidence(chains.first, fpk.Estimate(value, error, source="diffusion on a grid"), names)


# -- backwards ----------------------------------------------------------------------------------------------------------------


#: Factors of f u′, ½g²u″, −(fu)′ and ½(g²u)″ on the right of the backward equation.
BACKWARD = {
    "stated": (1.0, 1.0, 0.0, 0.0),
    "time sign": (-1.0, -1.0, 0.0, 0.0),
    "drift sign": (-1.0, 1.0, 0.0, 0.0),
    "½ missing on g²": (1.0, 2.0, 0.0, 0.0),
    "forward operator": (0.0, 0.0, 1.0, 1.0),
    "g² + 1 %": (1.0, 1.01, 0.0, 0.0),
}


@study(
    "S4.E57-61",
    variants=BACKWARD,
    cases=("pointwise", *_taken_back.CASES),
    applies=lambda variant, case: case == "pointwise" or variant != "time sign",
)
def backward_equation(variant: Combination, case: str, size: Size, seed: int) -> Evidence:
    """As it stands at points; then solved by differences, against laws that a grid followed forwards."""
    if case == "pointwise":
        terms = _sinh.backward_terms(np.array(0.6), 0.7, POINTS, 0.2)
        return _pointwise(terms, variant, "derivatives of the transition density")
    levels = ((200, 1 / 8), (160, 1 / 6)) if size.quick else ((320, 1 / 16), (200, 1 / 8))
    fine, coarse = (_taken_back.mismatches(case, variant, *level) for level in levels)
    bound = np.abs(fine - coarse) + 1e-12
    first = fpk.residual(fine, bound, coarser=coarse, source="backward equation less forward laws")
    return Evidence(first, zero_estimate(len(fine)), _taken_back.NAMES)
