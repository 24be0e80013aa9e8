r"""Conditional paths of flow matching, one data point at a time: φ_t(z|x₁) = σ_t z + μ_t(x₁), the law it makes, the velocity that follows it.

    p_t(x|x₁) = N(μ_t, σ_t² I),      u_t(x|x₁) = (σ̇_t/σ_t)(x − μ_t) + μ̇_t.

Formulas for u are held against points: a flow that is followed in small steps has to arrive where the map says (:mod:`_flow_curves`). The clock runs
from noise to data.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.fields import empirical_field
from fpk.fokker_planck.characteristics import pushed
from fpk.fokker_planck.transitions import TransitionDensities, transition_density
from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.schedules import OTSchedule, Schedule, rates
from fpk.study import Evidence, Size, study

from .._systems import DATA
from ._flow_conditional_claims import CLAIMS, REMARKS
from ._flow_curves import (
    LEFT,
    NORMALS,
    SLIPS,
    STRAIGHT,
    TARGETS,
    TO_LEFT,
    VE,
    VP,
    WAVES,
    Curve,
    Slip,
    Velocity,
    backwards,
    belongs,
    conditional,
    nodes_of,
    on_two_meshes,
    wave_names,
)
from ._flow_figures import EXPLODING, FLOWED, FORMS, TRANSPORT, flowing
from ._matching import gradient, normal_nodes, refined
from ._rates import waves

__all__ = ["CLAIMS", "REMARKS"]

# -- the law of the map ------------------------------------------------------------------------------------------------------

#: What is mapped, σ and μ.
MAPPED: dict[str, tuple[GaussianMixture, float, Array]] = {
    "line": (fpk.Gaussian(0.0, 1.0), 0.6, np.array([0.8])),
    "plane": (fpk.Gaussian(np.zeros(2), 1.0), 0.6, np.array([0.8, -0.5])),
    "two peaks mapped": (DATA, 0.6, np.array([0.8])),
}
#: The density of σX + μ at y that is claimed, from the law of X.
Density = Callable[[GaussianMixture, Array, float, Array], Array]


def _changed(law: GaussianMixture, y: Array, s: float, m: Array) -> Array:
    return law.density((y - m) / s) / s ** len(m)


DENSITIES: dict[str, Density] = {
    "stated": _changed,
    "σ² for σ": lambda law, y, s, m: _changed(law, y, s**2, m),
    "not divided by σᵈ": lambda law, y, s, m: law.density((y - m) / s),
    "μ dropped": lambda law, y, s, m: _changed(law, y, s, 0 * m),
    "the map for its inverse": lambda law, y, s, m: law.density(s * y + m) * s ** len(m),
    "σ + 0.5 %": lambda law, y, s, m: _changed(law, y, 1.005 * s, m),
}


def _mapped(case: str, density: Density, size: Size) -> Evidence:
    """Means over mapped nodes less integrals of the density, of 1 and of waves."""
    law, s, m = MAPPED[case]
    d = len(m)
    tests = waves([[0.0] * d, *WAVES[d]])

    def left(level: int) -> Array:
        nodes, masses = nodes_of(law, level)
        y, volume = 1.1 * normal_nodes(3 * level, d, 0.9)[0], (1.1 * 0.3 / level) ** d
        return tests(s * nodes + m) @ masses - tests(y) @ density(law, y, s, m) * volume

    kept = [k for k in range(2 * len(WAVES[d]) + 2) if k != len(WAVES[d]) + 1]  # sin 0 says nothing
    names = ("mass", *wave_names(d))
    return refined(lambda level: left(level)[kept], size, names=names, source=f"means over mapped nodes, {case}")


@study("S1.E71-74", variants=DENSITIES, cases=tuple(MAPPED))
def law_of_the_map(variant: Density, case: str, size: Size, seed: int) -> Evidence:
    return _mapped(case, variant, size)


def _divided_once(law: GaussianMixture, y: Array, s: float, m: Array) -> Array:
    return law.density((y - m) / s) / s


@study(
    "err:S1.E74",
    variants={
        "printed": ("plane", _divided_once),
        "corrected": ("plane", _changed),
        "degenerate": ("line", _divided_once),
    },
)
def jacobian_of_the_map(variant: tuple[str, Density], case: str, size: Size, seed: int) -> Evidence:
    return _mapped(*variant, size)


@study("err:S1.E72", variants={"printed": (0.0, 0.3), "corrected": (0.3, 0.3), "degenerate": (0.0, 0.0)})
def law_at_the_data(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """σ_min Z + X₁: means over nodes, and the law that is claimed for t = 1."""
    claimed, left_over = variant
    tests = waves(WAVES[1])

    def gaps(level: int) -> Array:
        (x, w), (z, v) = nodes_of(DATA, level, 1.2), normal_nodes(level, 1, 1.2)
        law = DATA.pushed(np.eye(1), np.zeros(1), claimed**2 * np.eye(1))
        y = np.arange(-6.0, 6.5, 0.1 / level)[:, None]
        sums = (x[:, None] + left_over * z[None]).reshape(-1, 1)
        return tests(sums) @ np.kron(w, v) - tests(y) @ law.density(y) * 0.1 / level

    return refined(gaps, size, names=wave_names(1), source="means over nodes of data and noise less those of the law")


# -- the velocity of the map -------------------------------------------------------------------------------------------------


def _bent(x1: Array, t: float) -> Array:
    """A mean that swings to the side and is not linear in x₁."""
    return t * x1 + 0.6 * np.sin(np.pi * t) * np.cos(x1[::-1])


#: Paths with μ̇ and σ̇: one that is bent, and the schedules of fpk with the rates they state.
PATHS: dict[str, tuple[Curve, Callable[[Array, float], Array], Callable[[float], float], str]] = {
    "bent, line": (
        Curve(_bent, lambda t: 1 - 0.9 * t**2),
        lambda x1, t: x1 + 0.6 * np.pi * np.cos(np.pi * t) * np.cos(x1[::-1]),
        lambda t: -1.8 * t,
        "line",
    ),
    "bent, plane": (
        Curve(_bent, lambda t: 1 - 0.9 * t**2),
        lambda x1, t: x1 + 0.6 * np.pi * np.cos(np.pi * t) * np.cos(x1[::-1]),
        lambda t: -1.8 * t,
        "plane",
    ),
    "variance preserving": (
        backwards(VP),
        lambda x1, t: -rates(VP, 1 - t)[0] * x1,
        lambda t: -rates(VP, 1 - t)[1],
        "line",
    ),
    "sub-VP": (
        backwards(fpk.SubVPSchedule(0.6, 3.4)),
        lambda x1, t: -rates(fpk.SubVPSchedule(0.6, 3.4), 1 - t)[0] * x1,
        lambda t: -rates(fpk.SubVPSchedule(0.6, 3.4), 1 - t)[1],
        "line",
    ),
}
#: u from x − μ, x, μ̇, σ and σ̇.
VELOCITIES: dict[str, Callable[[Array, Array, Array, float, float], Array]] = {
    "stated": lambda off, x, m, s, r: r / s * off + m,
    "μ̇ dropped": lambda off, x, m, s, r: r / s * off,
    "x for x − μ": lambda off, x, m, s, r: r / s * x + m,
    "not divided by σ": lambda off, x, m, s, r: r * off + m,
    "sign of σ̇": lambda off, x, m, s, r: -r / s * off + m,
    "σ̇ + 0.5 %": lambda off, x, m, s, r: 1.005 * r / s * off + m,
    "μ̇ + 0.5 %": lambda off, x, m, s, r: r / s * off + 1.005 * m,
}


@study("S1.E75", variants=VELOCITIES, cases=tuple(PATHS))
def velocity_of_the_map(
    variant: Callable[[Array, Array, Array, float, float], Array], case: str, size: Size, seed: int
) -> Evidence:
    curve, mean_rate, std_rate, where = PATHS[case]

    def velocity(x: Array, x1: Array, t: float) -> Array:
        return variant(x - curve.mean(x1, t), x, mean_rate(x1, t), curve.std(t), std_rate(t))

    return belongs(velocity, curve, where, size)


# -- the paths of the figures ------------------------------------------------------------------------------------------------


@study("S1.F16-17", variants=EXPLODING, cases=("line", "plane"))
def exploding_path(variant: Velocity, case: str, size: Size, seed: int) -> Evidence:
    return belongs(variant, backwards(VE), case, size)


@study("S1.F18-19", variants=SLIPS, cases=tuple(FORMS))
def preserving_path(variant: Slip, case: str, size: Size, seed: int) -> Evidence:
    return belongs(variant(FORMS[case]), backwards(VP), "line" if case == "by μ̇ and σ̇" else "plane", size)


@study("S1.F20-21", variants=TRANSPORT, cases=("line", "plane"))
def transport_path(variant: Velocity, case: str, size: Size, seed: int) -> Evidence:
    return belongs(variant, TO_LEFT, case, size)


# -- the flow of the noising equation ----------------------------------------------------------------------------------------

EARLY, LATE, SOURCE = 0.3, 0.9, 1.3


@lru_cache(maxsize=4)
def _from_point(cells: int) -> TransitionDensities:
    """The noising equation from one point, on a grid."""
    grid = fpk.Grid(-5.0, 6.0, cells=cells)
    return transition_density(fpk.noising(VP, DATA), grid, start=SOURCE, times=[EARLY, LATE])


def _kept_levels(velocity: Velocity, steps: int) -> Array:
    """P(X ≤ y) where y has arrived, less P(X ≤ y) where it left: no flow on the line lets points overtake."""
    solved, y = _from_point(12 * steps), SOURCE * VP.alpha(EARLY) + VP.sigma(EARLY) * np.array([-1.2, -0.4, 0.5, 1.3])
    flow = fpk.Problem(lambda x, t: velocity(x, np.array([SOURCE]), EARLY + t), 0.0, initial=DATA)
    return solved.cdf(pushed(flow, y, (LATE - EARLY,), steps)[0], LATE) - solved.cdf(y, EARLY)


@study("S1.F41", variants=FLOWED, cases=("probability flow", "reversed"))
def flow_from_a_point(variant: tuple[float, float, float, float], case: str, size: Size, seed: int) -> Evidence:
    forward = flowing(variant)
    if case == "reversed":
        return belongs(lambda x, x1, t: -forward(x, x1, 1 - t), backwards(VP), "plane", size)
    names = tuple(f"level of point {k}" for k in range(1, 5))
    source = "levels of a transition density on a grid"
    return on_two_meshes(lambda steps: _kept_levels(forward, steps), size, names=names, source=source)


# -- directions --------------------------------------------------------------------------------------------------------------

PLACE, AIM = np.array([[0.6, 1.4]]), np.array([1.3, -0.8])
TIMES = (0.2, 0.5, 0.8)


def _swinging(schedule: Schedule, share: float) -> Schedule:
    """The path with a mean that swings by a share of the data point."""
    return fpk.AffineSchedule(lambda s: schedule.alpha(s) + share * np.sin(np.pi * s), schedule.sigma)


STEADY: dict[str, Schedule] = {"straight": OTSchedule(LEFT), "exploding": VE}
#: What replaces the path.
TURNS: dict[str, Callable[[Schedule], Schedule]] = {
    "stated": lambda path: path,
    "variance preserving": lambda path: VP,
    "sub-VP": lambda path: fpk.SubVPSchedule(0.6, 3.4),
    "swing + 1 %": lambda path: _swinging(path, 0.01),
}


def _field(curve: Curve, t: float, h: float) -> Array:
    """The velocity at PLACE: where the point of the path that is there goes, by differences."""
    z = (PLACE - curve.mean(AIM, t)) / curve.std(t)
    return central_derivative(lambda s: curve.at(z, AIM, t + float(s[0])), np.zeros(1), h)[0]


def _pull(curve: Curve, t: float, h: float) -> Array:
    """The conditional score at PLACE: the gradient of log p_t, by differences."""
    return gradient(fpk.Gaussian(curve.mean(AIM, t), curve.std(t)).log_density, PLACE, h)[0]


def _turned(vectors: list[Array]) -> list[float]:
    """Angles of vectors with the first of them."""
    first = vectors[0]
    return [float(np.arctan2(first[0] * v[1] - first[1] * v[0], first @ v)) for v in vectors[1:]]


@study("S1.T-dir", variants=TURNS, cases=("straight, velocity", "exploding, velocity", "exploding, score"))
def directions(variant: Callable[[Schedule], Schedule], case: str, size: Size, seed: int) -> Evidence:
    """Angles of the vectors at three times with the one at the first: by differences of the path, and by fpk's field of the data point."""
    which, what = case.split(", ")
    path, by_differences = variant(STEADY[which]), _field if what == "velocity" else _pull
    field = empirical_field(AIM[None], path, kind=what)
    ours = [field(PLACE, 1 - t)[0] for t in TIMES]

    def angles(level: int) -> Array:
        found = [by_differences(backwards(path), t, 0.02 / level) for t in TIMES]
        return np.array(_turned(found) + _turned(ours))

    names = tuple(f"angle between t = {TIMES[0]:g} and {t:g}{how}" for how in ("", ", fpk's field") for t in TIMES[1:])
    return refined(angles, size, names=names, source=f"directions at one place, {case}")


# -- the straight path -------------------------------------------------------------------------------------------------------

#: Velocity, and mean (as a factor of x₁) and standard deviation of the law at t.
Straight = tuple[Velocity, Callable[[float], float], Callable[[float], float]]


def _to_the_point(x: Array, x1: Array, t: float) -> Array:
    return (x1 - x) / (1 - t)


def _share(t: float) -> float:
    return STRAIGHT.alpha(1 - t)


def _spread(t: float) -> float:
    return STRAIGHT.sigma(1 - t)


TO_DATA: dict[str, Straight] = {
    "stated": (_to_the_point, _share, _spread),
    "not divided by 1 − t": (lambda x, x1, t: x1 - x, _share, _spread),
    "sign": (lambda x, x1, t: (x - x1) / (1 - t), _share, _spread),
    "mean x₁": (_to_the_point, lambda t: 1.0, _spread),
    "t for 1 − t": (_to_the_point, lambda t: 1 - t, lambda t: t),
    "1 − t for (1 − t)²": (_to_the_point, _share, lambda t: _spread(t) ** 0.5),
    "velocity + 0.5 %": (lambda x, x1, t: 1.005 * _to_the_point(x, x1, t), _share, _spread),
}
#: On the way, and near the data.
STOPS = (0.5, 0.98)
OURS = conditional(STRAIGHT)


@study("S3.P-path", variants=TO_DATA, cases=("line", "plane"))
def straight_path(variant: Straight, case: str, size: Size, seed: int) -> Evidence:
    """Nodes of N(0, I) that follow the velocity: their laws at the stops, and whether points keep the velocity x₁ − x₀."""
    velocity, share, spread = variant
    x1, z = TARGETS[case], NORMALS[case]
    d, tests = len(x1), waves(WAVES[len(x1)])

    def left(level: int) -> Array:
        nodes, masses = normal_nodes(level, d, 0.9)
        flow = fpk.Problem(lambda x, t: velocity(x, x1, t), 0.0, initial=fpk.Gaussian(np.zeros(d), 1.0))
        moved = pushed(flow, np.concatenate([z, nodes]), STOPS, 12 * level)
        kept = [u(x[: len(z)], x1, t) - (x1 - z) for u in (velocity, OURS) for x, t in zip(moved, STOPS, strict=True)]
        means = [tests(x[len(z) :]) @ masses for x in moved]
        claimed = [_normal_waves(share(t) * x1, spread(t)) for t in STOPS]
        return np.concatenate([np.ravel(kept), np.ravel(means) - np.ravel(claimed)])

    kept = tuple(
        f"{what} {i} of z = {a.tolist()}, t = {t:g}"
        for what in ("velocity", "fpk's velocity")
        for t in STOPS
        for a in z
        for i in range(d)
    )
    names = kept + tuple(f"{name}, t = {t:g}" for t in STOPS for name in wave_names(d))
    return refined(left, size, names=names, source=f"nodes that follow the velocity, {case}")


def _normal_waves(mean: Array, std: float) -> Array:
    """E cos k·X and E sin k·X of N(mean, std² I), by its characteristic function."""
    k = np.array(WAVES[len(mean)])
    return (np.exp(-0.5 * std**2 * (k**2).sum(1)) * np.array([np.cos(k @ mean), np.sin(k @ mean)])).ravel()


# -- where the paths begin ---------------------------------------------------------------------------------------------------

#: Schedules and half the widths of their grids; the fast one leaves nothing of the data.
BEGINNINGS: dict[str, tuple[Schedule, float]] = {
    "variance preserving": (VP, 8.0),
    "variance exploding": (VE, 18.0),
    "fast": (fpk.VPSchedule(60.0), 8.0),
}


@lru_cache(maxsize=8)
def _begun(schedule: str, cells: int) -> Array:
    """Means of waves at the noisy end of the path from SOURCE, by the noising equation on a grid."""
    path, half = BEGINNINGS[schedule]
    grid = fpk.Grid(-half, half, cells=cells)
    solved = transition_density(fpk.noising(path, DATA), grid, start=SOURCE, times=[1.0])
    return waves(WAVES[1])(grid.centers[:, None]) @ (solved.density(1.0) * grid.widths)


@study(
    "err:S1.F16-F18",
    variants={"printed": ("", False), "corrected": ("", True), "degenerate": ("fast", False)},
    cases=("variance preserving", "variance exploding"),
    applies=lambda variant, case: variant != "degenerate" or case == "variance preserving",
)
def beginning_of_the_paths(variant: tuple[str, bool], case: str, size: Size, seed: int) -> Evidence:
    """The law at the noisy end from one data point, less N(0, 1) or less the law that the noising equation reaches."""
    name, reached = variant[0] or case, variant[1]
    path = BEGINNINGS[name][0]
    law = (path.alpha(1.0) * SOURCE, path.sigma(1.0)) if reached else (0.0, 1.0)
    claimed = _normal_waves(np.array([law[0]]), law[1])
    return refined(
        lambda level: _begun(name, 48 * level) - claimed,
        size,
        names=wave_names(1),
        source="transition density on a grid at the noisy end",
    )
