r"""Rectified flow: what it keeps, how straight it is, and when it is optimal.

Plane: N(0, diag(4, .05)) and the same law turned, all in closed form but for one ordinary differential equation (:mod:`_reflow`). Line: a mixture
and N(0, 1), with the velocity of fpk's exact field; places by quadrature, paths by Runge–Kutta.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.models.points import law_points
from fpk.samplers import reflowed_field
from fpk.samplers.coupling import monotone_map, quantiles
from fpk.study import Evidence, Size, evidence, study

from .._systems import on_grid
from ._reflow import (
    DATA,
    FIELD,
    NOISE,
    Coupling,
    Flow,
    Slip,
    apart,
    followed,
    kept,
    line_paths,
    optimal_cost,
    plane_flow,
    reflowed,
    rotated,
    simpson,
    turned,
)
from ._reflow_claims import CLAIMS as CLAIMS
from ._reflow_claims import REMARKS as REMARKS

# -- marginals ---------------------------------------------------------------------------------------------------------------


def _larger(v: Callable[[float], Array], t: float) -> Array:
    return 1.01 * v(t)


def _half(v: Callable[[float], Array], t: float) -> Array:
    return 0.5 * v(t)


def _backwards(v: Callable[[float], Array], t: float) -> Array:
    return v(1 - t)


def _remaining(v: Callable[[float], Array], t: float) -> Array:
    return (1 - t) * v(t)


SLIPS: dict[str, Slip] = {
    "stated": kept,
    "½ of the velocity": _half,
    "clock reversed": _backwards,
    "E[X₁ | X_t] − X_t": _remaining,
    "velocity + 1 %": _larger,
}
BOTH = (0.5, 1.0)


@study("S3.RF1", variants=SLIPS, cases=("line", "plane"))
def marginals_are_kept(variant: Slip, case: str, size: Size, seed: int) -> Evidence:
    return _on_the_line(variant, size) if case == "line" else _in_the_plane(variant, size)


def _on_the_line(slip: Slip, size: Size) -> Evidence:
    """The flow on three grids against (1 − t) X_0 + t X_1."""
    flow = fpk.Problem(lambda x, t: slip(lambda s: FIELD(x, s), t), 0.0, initial=DATA)
    laws = {t: DATA.pushed((1 - t) * np.eye(1), np.zeros(1), t**2 * np.eye(1)) if t < 1 else NOISE for t in BOTH}
    claimed = fpk.LawMarginals(laws, tuple(laws), source="law of (1 − t) X₀ + t X₁")
    return evidence(on_grid(flow, size, times=list(laws), cells=24, steps=6), claimed)


def _normal(table: list[Array], source: str, accuracy: float = 0.0) -> fpk.LawMarginals:
    """Centred normal laws at the two times, by their covariances."""
    laws = {t: fpk.Gaussian(np.zeros(2), covariance=V) for t, V in zip(BOTH, table, strict=True)}
    return fpk.LawMarginals(laws, BOTH, accuracy=accuracy, source=source)


def _in_the_plane(slip: Slip, size: Size) -> Evidence:
    """Φ_t A Φ_tᵀ against Cov X_t."""
    steps, coupling = size.cells(16), apart(1.0)

    def spread(count: int) -> list[Array]:
        maps = [plane_flow(1.0, count, slip).at(t) for t in BOTH]
        return [M @ coupling.first @ M.T for M in maps]

    fine, coarse = spread(steps), spread(steps // 2)
    off = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(fine, coarse, strict=True))
    mixed = _normal([coupling.covariance(t) for t in BOTH], "law of (1 − t) X₀ + t X₁")
    directions = [np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.6, 0.8])]
    panel = fpk.law_panel({t: mixed.law(t) for t in BOTH}, degree=2, directions=directions)
    return evidence(_normal(fine, "flow of the velocity", 4 * off), mixed, panel=panel)


# -- the coupling ------------------------------------------------------------------------------------------------------------

ENTRIES = tuple(f"Cov(Z₁, Z₀){i}{j}" for i in (1, 2) for j in (1, 2))
BACK = tuple(f"Cov Z₁ {i}{j}" for i in (1, 2) for j in (1, 2))
#: A symmetric positive map: its coupling is straight already.
PULL = np.array([[1.4, 0.5], [0.5, 0.7]])
STRAIGHT = Coupling(rotated(0.4), PULL @ rotated(0.4) @ PULL.T, PULL @ rotated(0.4))


@study(
    "err:S3.RFcoup",
    variants={"printed": (apart(1.0), True), "corrected": (apart(1.0), False), "degenerate": (STRAIGHT, True)},
)
def coupling_is_not_kept(variant: tuple[Coupling, bool], case: str, size: Size, seed: int) -> Evidence:
    coupling, jointly = variant

    def off(steps: int) -> Array:
        flow = Flow(coupling, steps)
        law = flow.again
        ends = [law.second - coupling.second]
        return np.concatenate([M.ravel() for M in ends + [law.together - coupling.together] * jointly])

    fine, coarse = off(size.cells(32)), off(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-10, coarser=coarse, source="flow of the velocity")
    return Evidence(first, zero_estimate(len(fine)), BACK + ENTRIES * jointly)


# -- straightness ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _bent(steps: int) -> Flow:
    """Paths that swing about their chords: Φ_t = 1 + t (M − 1) + (sin πt + sin 2πt/20) N, followed along Φ̇ Φ⁻¹."""
    N = 0.15 * turned(0.5)

    def velocity(_: Callable[[float], Array], t: float) -> Array:
        wave = np.pi * np.cos(np.pi * t) + 0.1 * np.pi * np.cos(2 * np.pi * t)
        state = np.eye(2) + t * (PULL - np.eye(2)) + (np.sin(np.pi * t) + 0.05 * np.sin(2 * np.pi * t)) * N
        return np.linalg.solve(state.T, (PULL - np.eye(2) + wave * N).T).T

    return Flow(STRAIGHT, steps, velocity)


def _slowing(v: Callable[[float], Array], t: float) -> Array:
    """Along straight lines, fast first: the clock t(2 − t)."""
    return 2 * (1 - t) * v(t * (2 - t))


#: Slip of the straight flow, share of the displacement in S, factor on π².
BENDS: dict[str, tuple[Slip, float, float]] = {
    "stated": (kept, 1.0, 1.0),
    "displacement dropped": (kept, 0.0, 1.0),
    "half of the displacement": (kept, 0.5, 1.0),
    "straight lines at any speed": (_slowing, 1.0, 1.0),
    "4π² for π²": (kept, 1.0, 4.0),
    "π² + 2 %": (kept, 1.0, 1.02),
}


@study("S3.RF2", variants=BENDS)
def straight_if_nothing_is_left(variant: tuple[Slip, float, float], case: str, size: Size, seed: int) -> Evidence:
    slip, share, factor = variant

    def found(steps: int) -> Array:
        curved = (plane_flow(1.0, steps), _bent(steps))
        bounds = [factor * np.pi**2 * flow.departure - flow.straightness(share) for flow in curved]
        return np.array([Flow(STRAIGHT, steps, slip).straightness(share) - 1e-6, *bounds])

    fine, coarse = found(size.cells(32)), found(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse), source="flows of linear velocities")
    names = ("S of a straight flow − 10⁻⁶", "π²∫E|departure|² − S, turned laws", "π²∫E|departure|² − S, swinging paths")
    return Evidence(first, zero_estimate(3), names)


#: Factors on cost, S and V.
SUMS = {
    "stated": (1.0, 1.0, 1.0),
    "S dropped": (1.0, 0.0, 1.0),
    "V dropped": (1.0, 1.0, 0.0),
    "cost of X for that of Z": (0.0, 1.0, 1.0),
    "V twice": (1.0, 1.0, 2.0),
    "V + 1 %": (1.0, 1.0, 1.01),
}


@study("S3.RF3", variants=SUMS, cases=("plane", "line"))
def cost_is_divided(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    parts = _plane_parts if case == "plane" else _line_parts
    fine, coarse = (np.array([_left(parts(n), variant)]) for n in (size.cells(32), size.cells(16)))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source=f"costs of flows, {case}")
    return Evidence(first, zero_estimate(1), ("E|Z₁ − Z₀|² + S + V − E|X₁ − X₀|²",))


def _left(parts: tuple[float, float, float, float], factors: tuple[float, float, float]) -> float:
    before, *after = parts
    paid, straight, varied = factors
    return paid * after[0] + (1 - paid) * before + straight * after[1] + varied * after[2] - before


def _plane_parts(steps: int) -> tuple[float, float, float, float]:
    """E|X_1 − X_0|², E|Z_1 − Z_0|², S and V."""
    flow = plane_flow(1.0, steps)
    return flow.coupling.cost, flow.cost, flow.straightness(), flow.variance


@lru_cache(maxsize=8)
def _line_parts(steps: int) -> tuple[float, float, float, float]:
    """The same on the line: E over places of the data, V from the second moments of posteriors."""
    paths, mass, t = line_paths(steps), law_points(DATA, nodes=6).weights, np.linspace(0.0, 1.0, steps + 1)
    moved = paths[-1] - paths[0]
    gaps = [mass @ (moved - FIELD(x[:, None], float(s))[:, 0]) ** 2 for s, x in zip(t, paths, strict=True)]
    cost = float(DATA.covariance[0, 0] + DATA.mean[0] ** 2 + 1)
    left = [cost - _squared_velocity(float(s)) for s in t]
    return cost, float(mass @ moved**2), simpson(np.array(gaps)), simpson(np.array(left))


def _squared_velocity(t: float) -> float:
    """E v(X_t, t)², over the law of X_t itself."""
    law = DATA.pushed((1 - t) * np.eye(1), np.zeros(1), t**2 * np.eye(1)) if t < 1 else NOISE
    points = law_points(law, nodes=6)
    return float(points.weights @ FIELD(points.x, t)[:, 0] ** 2)


# -- repetition --------------------------------------------------------------------------------------------------------------

#: The bound from the flow: the cost of the coupling, a share of it, or V.
BOUNDS: dict[str, Callable[[Flow], float]] = {
    "stated": lambda flow: flow.coupling.cost,
    "E|X₁ − X₀|² / 20K": lambda flow: 0.05 * flow.coupling.cost,
    "V for E|X₁ − X₀|²": lambda flow: flow.variance,
    "bound − 5 %": lambda flow: 0.95 * flow.coupling.cost,
}
#: Two ends that are nearly opposite: paths cross in the middle, and the bound is nearly reached.
OPPOSITE = Coupling(np.eye(1), np.eye(1), np.array([[-1 + 1e-3]]))


@lru_cache(maxsize=4)
def _opposite(steps: int) -> Flow:
    return Flow(OPPOSITE, 4 * steps)


def _straightness(steps: int) -> Array:
    """S of the first three repetitions in the plane."""
    return np.array([flow.straightness() for flow in reflowed(1.0, 3, steps)])


@study("S3.RF4", variants=BOUNDS)
def repetition_straightens(variant: Callable[[Flow], float], case: str, size: Size, seed: int) -> Evidence:
    def found(steps: int) -> Array:
        S, bound, opposite = _straightness(steps), variant(plane_flow(1.0, steps)), _opposite(steps)
        least = np.minimum.accumulate(S) - bound / np.arange(1, 4)
        return np.array([*least, np.sum(S) - bound, opposite.straightness() - variant(opposite)])

    fine, coarse = found(size.cells(32)), found(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse), source="repeated flows")
    names = (*(f"min S − bound/{k}" for k in (1, 2, 3)), "S₁ + S₂ + S₃ − bound", "S − bound, opposite ends")
    return Evidence(first, zero_estimate(5), names)


#: The first k, and a factor on the bound.
FIRST = {"printed": (0, 1.0), "from k = 1": (1, 1.0), "a twentieth, from k = 1": (1, 0.05), "bound − 5 %": (1, 0.95)}


@study("err:S3.RFb", variants=FIRST)
def bound_from_zero(variant: tuple[int, float], case: str, size: Size, seed: int) -> Evidence:
    """S(Z⁰) = 0 for the straight lines one starts with."""
    begin, share = variant

    def found(steps: int) -> Array:
        interpolation, opposite = np.zeros(1 - begin), _opposite(steps).straightness()
        least = np.minimum.accumulate(np.concatenate([interpolation, _straightness(steps)]))[1 - begin :]
        ends = np.append(interpolation, opposite).min() - share * OPPOSITE.cost
        return np.append(least - share * apart(1.0).cost / np.arange(1, 4), ends)

    fine, coarse = found(size.cells(32)), found(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse), source="repeated flows")
    return Evidence(first, zero_estimate(4), (*(f"min S − cost/{k}" for k in (1, 2, 3)), "S − cost, opposite ends"))


# -- optimal transport -------------------------------------------------------------------------------------------------------

LEVELS = (np.arange(9) + 0.5) / 9
PLACES = quantiles(DATA, LEVELS)
AGAIN = reflowed_field(DATA)


#: Slip of the velocity, and the map that is claimed.
MAPS: dict[str, tuple[Slip, Callable[[Array], Array]]] = {
    "stated": (kept, monotone_map(DATA, NOISE)),
    "decreasing map": (kept, lambda x: -monotone_map(DATA, NOISE)(x)),
    "the best linear map": (kept, lambda x: (x - DATA.mean[0]) / DATA.covariance[0, 0] ** 0.5),
    "½ of the velocity": (_half, monotone_map(DATA, NOISE)),
    "velocity + 1 %": (_larger, monotone_map(DATA, NOISE)),
}


@study("S3.RF5", variants=MAPS)
def monotone_on_the_line(variant: tuple[Slip, Callable[[Array], Array]], case: str, size: Size, seed: int) -> Evidence:
    """The flow from nine places of the data; the repeated one, half the way back from where these should have arrived."""
    slip, claimed = variant
    ends = claimed(PLACES)

    def off(steps: int) -> Array:
        once = followed(FIELD, slip, PLACES, np.linspace(0.0, 1.0, steps + 1))[-1]
        twice = followed(AGAIN, slip, ends, np.linspace(1.0, 0.5, steps // 4 + 1))[-1]
        return np.concatenate([once - ends, twice - 0.5 * (PLACES + ends)])

    fine, coarse = off(size.cells(16)), off(size.cells(8))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="paths by Runge–Kutta")
    names = tuple(f"{what} of the {u:.2g} quantile" for what in ("end", "middle, repeated,") for u in LEVELS)
    return Evidence(first, zero_estimate(2 * len(LEVELS)), names)


#: Angle between the laws, and how many times the optimal cost the rectified one is at least.
RATIOS = {
    "stated": (1.0, 1.7),
    "twice": (1.0, 2.0),
    "along one axis": (0.0, 1.7),
    "1.7 + 2 %": (1.0, 1.734),
}


@study("S3.RF6", variants=RATIOS)
def more_than_optimal(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    angle, ratio = variant

    def found(steps: int) -> Array:
        flow, coupling = plane_flow(angle, steps), apart(angle)
        turn = abs(flow.map[0, 1] - flow.map[1, 0])
        best = optimal_cost(coupling.first, coupling.second)
        return np.array([ratio * best - flow.cost + 1e-6, flow.cost - coupling.cost, 1.0 - turn])

    fine, coarse = found(size.cells(32)), found(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse), source="flow between turned laws")
    names = (f"{ratio:g} W₂² − E|Z₁ − Z₀|²", "E|Z₁ − Z₀|² − E|X₁ − X₀|²", "1 − |Φ₁₂ − Φ₂₁|")
    return Evidence(first, zero_estimate(3), names)


@study("err:S3.RFot", variants={"inside": "line", "outside": "plane"})
def optimal_on_the_line_only(variant: str, case: str, size: Size, seed: int) -> Evidence:
    def excess(steps: int) -> Array:
        if variant == "plane":
            return np.array([plane_flow(1.0, steps).cost - optimal_cost(apart(1.0).first, apart(1.0).second)])
        points, moved = law_points(DATA, nodes=6), line_paths(steps)
        best = points.weights @ (monotone_map(DATA, NOISE)(points.x[:, 0]) - points.x[:, 0]) ** 2
        return np.array([points.weights @ (moved[-1] - moved[0]) ** 2 - best])

    fine, coarse = excess(size.cells(32)), excess(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source=f"costs in the {variant}")
    return Evidence(first, zero_estimate(1), ("E|Z₁ − Z₀|² − W₂²",))
