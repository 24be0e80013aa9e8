r"""Rectified flow: what it keeps, how straight it is, and when it is optimal.

Plane: N(0, diag(4, .05)) and the same law turned, all in closed form but for one ordinary differential equation (:mod:`_reflow`). Line: N(0, 1)
and a mixture, with the velocity of fpk's exact field; places by quadrature. Flows are followed, measured and repeated by fpk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.integrate import simpson

import fpk
from fpk.fields import Field
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.models.points import quadrature_pairs, time_integral
from fpk.samplers import Transported, reflowed_field, transported
from fpk.samplers.coupling import monotone_map, quantiles
from fpk.schedules import OTSchedule
from fpk.study import Evidence, Size, evidence, study

from .._systems import on_grid
from ._reflow import (
    DATA,
    FIELD,
    FINER,
    LONG,
    NOISE,
    PLACES,
    Coupling,
    Linear,
    Slip,
    Slipped,
    apart,
    kept,
    line_flow,
    optimal_cost,
    plane_flow,
    root,
    rotated,
    rounds,
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


#: Couplings in the plane: of ends that know nothing of each other, and of ends that do, turned against each other.
COUPLINGS = {
    "plane": apart(1.0),
    "plane, dependent ends": Coupling(LONG, rotated(1.0), 0.7 * root(rotated(1.0)) @ turned(2.0) @ root(LONG)),
}


@study("S3.RF1", variants=SLIPS, cases=("line", *COUPLINGS))
def marginals_are_kept(variant: Slip, case: str, size: Size, seed: int) -> Evidence:
    return _on_the_line(variant, size) if case == "line" else _in_the_plane(variant, COUPLINGS[case], size)


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


def _in_the_plane(slip: Slip, coupling: Coupling, size: Size) -> Evidence:
    """Covariances of points that follow the flow against Cov X_t."""
    steps = size.cells(24)

    def spread(count: int) -> list[Array]:
        paths = rounds(coupling, 1, count, slip)[0].paths
        places = [paths[round(t * FINER * count)] for t in BOTH]
        return [x.T @ x / len(x) for x in places]

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
        flow = rounds(coupling, 1, steps)[0]
        law = Coupling.of(flow.noise, flow.data)
        ends = [law.second - coupling.second]
        return np.concatenate([M.ravel() for M in ends + [law.together - coupling.together] * jointly])

    fine, coarse = off(size.cells(32)), off(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-10, coarser=coarse, source="flow of the velocity")
    return Evidence(first, zero_estimate(len(fine)), BACK + ENTRIES * jointly)


# -- straightness ------------------------------------------------------------------------------------------------------------


def _swinging(t: float) -> Array:
    """The velocity Φ̇ Φ⁻¹ of paths that swing about their chords: Φ_t = 1 + t (M − 1) + (sin πt + sin 2πt/20) N."""
    N = 0.15 * turned(0.5)
    wave = np.pi * np.cos(np.pi * t) + 0.1 * np.pi * np.cos(2 * np.pi * t)
    state = np.eye(2) + t * (PULL - np.eye(2)) + (np.sin(np.pi * t) + 0.05 * np.sin(2 * np.pi * t)) * N
    return np.linalg.solve(state.T, (PULL - np.eye(2) + wave * N).T).T


@lru_cache(maxsize=4)
def _bent(steps: int) -> Transported:
    return transported(Linear(_swinging), STRAIGHT.ends[0], steps=FINER * steps)


def _departure(flow: Transported) -> float:
    """∫ E|Z_t − (1 − t) Z_0 − t Z_1|² dt, by Simpson's rule."""
    t = np.linspace(0.0, 1.0, len(flow.paths))[:, None, None]
    off = flow.paths - (1 - t) * flow.noise - t * flow.data
    return float(simpson((off**2).sum(2).mean(1), x=t.ravel()))


def _straightness(flow: Transported, share: float) -> float:
    """S with a share of the displacement: ∫ E|c (Z_1 − Z_0) − Ż|² dt = S + (1 − c)² E|Z_1 − Z_0|²."""
    return flow.straightness + (1 - share) ** 2 * flow.cost


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
        straight = rounds(STRAIGHT, 1, steps, slip)[0]
        bounds = [
            factor * np.pi**2 * _departure(flow) - _straightness(flow, share)
            for flow in (plane_flow(1.0, steps), _bent(steps))
        ]
        return np.array([_straightness(straight, share) - 1e-6, *bounds])

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
    fine, coarse = (np.array([_unpaid(parts(n), variant)]) for n in (size.cells(32), size.cells(16)))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source=f"costs of flows, {case}")
    return Evidence(first, zero_estimate(1), ("E|Z₁ − Z₀|² + S + V − E|X₁ − X₀|²",))


def _unpaid(parts: tuple[float, float, float, float], factors: tuple[float, float, float]) -> float:
    before, *after = parts
    paid, straight, varied = factors
    return paid * after[0] + (1 - paid) * before + straight * after[1] + varied * after[2] - before


def _plane_parts(steps: int) -> tuple[float, float, float, float]:
    """E|X_1 − X_0|², E|Z_1 − Z_0|², S and V."""
    flow = plane_flow(1.0, steps)
    return apart(1.0).cost, flow.cost, flow.straightness, apart(1.0).variance


def _line_parts(steps: int) -> tuple[float, float, float, float]:
    """The same on the line: V is what is left of X_1 − X_0 when the velocity is taken away, over pairs of places."""
    flow, cost = line_flow(steps), float(DATA.covariance[0, 0] + DATA.mean[0] ** 2 + 1)
    return cost, flow.cost, flow.straightness, _crossing(3 * steps // 8)


@lru_cache(maxsize=8)
def _crossing(nodes: int) -> float:
    """∫ E|X_1 − X_0 − v(X_t, t)|² dt."""

    def left(t: float) -> float:
        pairs = quadrature_pairs(DATA, OTSchedule(), t=t, nodes=3, normals=32)
        return float(pairs.weights @ (pairs.target("velocity") - FIELD(pairs.x, t)).ravel() ** 2)

    return time_integral(left, start=0.0, end=1.0, nodes=nodes)


# -- repetition --------------------------------------------------------------------------------------------------------------

#: The bound from the coupling: its cost, a share of it, or V.
BOUNDS: dict[str, Callable[[Coupling], float]] = {
    "stated": lambda coupling: coupling.cost,
    "E|X₁ − X₀|² / 20K": lambda coupling: 0.05 * coupling.cost,
    "V for E|X₁ − X₀|²": lambda coupling: coupling.variance,
    "bound − 5 %": lambda coupling: 0.95 * coupling.cost,
}
#: Two ends that are nearly opposite: paths cross in the middle, and the bound is nearly reached.
OPPOSITE = Coupling(np.eye(1), np.eye(1), np.array([[-1 + 1e-3]]))


@lru_cache(maxsize=4)
def _left(steps: int) -> tuple[Array, float]:
    """S of the first three repetitions in the plane, and of the one flow between ends that are nearly opposite."""
    in_the_plane = [flow.straightness for flow in rounds(apart(1.0), 3, steps)]
    return np.array(in_the_plane), rounds(OPPOSITE, 1, 4 * steps)[0].straightness


@study("S3.RF4", variants=BOUNDS)
def repetition_straightens(variant: Callable[[Coupling], float], case: str, size: Size, seed: int) -> Evidence:
    def found(steps: int) -> Array:
        (S, opposite), bound = _left(steps), variant(apart(1.0))
        least = np.minimum.accumulate(S) - bound / np.arange(1, 4)
        return np.array([*least, np.sum(S) - bound, opposite - variant(OPPOSITE)])

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
        interpolation, (S, opposite) = np.zeros(1 - begin), _left(steps)
        least = np.minimum.accumulate(np.concatenate([interpolation, S]))[1 - begin :]
        ends = np.append(interpolation, opposite).min() - share * OPPOSITE.cost
        return np.append(least - share * apart(1.0).cost / np.arange(1, 4), ends)

    fine, coarse = found(size.cells(32)), found(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse), source="repeated flows")
    return Evidence(first, zero_estimate(4), (*(f"min S − cost/{k}" for k in (1, 2, 3)), "S − cost, opposite ends"))


# -- optimal transport -------------------------------------------------------------------------------------------------------

LEVELS = (np.arange(9) + 0.5) / 9
BEGUN = quantiles(NOISE, LEVELS)
AGAIN = reflowed_field(DATA)


#: Slip of the velocity, and the map from N(0, 1) to the data that is claimed.
MAPS: dict[str, tuple[Slip, Callable[[Array], Array]]] = {
    "stated": (kept, monotone_map(NOISE, DATA)),
    "decreasing map": (kept, lambda x: monotone_map(NOISE, DATA)(-x)),
    "the best linear map": (kept, lambda x: DATA.mean[0] + DATA.covariance[0, 0] ** 0.5 * x),
    "½ of the velocity": (_half, monotone_map(NOISE, DATA)),
    "velocity + 1 %": (_larger, monotone_map(NOISE, DATA)),
}


@study("S3.RF5", variants=MAPS)
def monotone_on_the_line(variant: tuple[Slip, Callable[[Array], Array]], case: str, size: Size, seed: int) -> Evidence:
    """The flow from nine places of the noise; the repeated one, half its way."""
    slip, claimed = variant
    ends = claimed(BEGUN)

    def ways(field: Field, steps: int) -> Array:
        return transported(Slipped(field, slip), BEGUN[:, None], steps=steps).paths[:, :, 0]

    def off(steps: int) -> Array:
        once, twice = ways(FIELD, steps), ways(AGAIN, steps // 4)
        return np.concatenate([once[-1] - ends, twice[steps // 8] - 0.5 * (BEGUN + ends)])

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
        law = Coupling.of(flow.noise, flow.data)
        map = law.together @ np.linalg.inv(law.first)
        turn = abs(map[0, 1] - map[1, 0])
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
        x = PLACES.x[:, 0]
        best = PLACES.weights @ (monotone_map(NOISE, DATA)(x) - x) ** 2
        return np.array([line_flow(steps).cost - best])

    fine, coarse = excess(size.cells(32)), excess(size.cells(16))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source=f"costs in the {variant}")
    return Evidence(first, zero_estimate(1), ("E|Z₁ − Z₀|² − W₂²",))
