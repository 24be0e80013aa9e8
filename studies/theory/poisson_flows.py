r"""Poisson flow: lines of the field of charges, forward to noise and backward to data, from a hemisphere or a plane far away.

    dx̃/dt = ±E(x̃),    dx/dz = E_x/E_z,    x̃ ~ U(hemisphere of radius r → ∞)  ⇒  x(z = 0) ~ p.

The truth is what is constant along lines, the angle under which the data are seen or the flux about an axis, distribution functions of the
data, and the other way to walk the same line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.samplers import PoissonField
from fpk.samplers.poisson import coulomb, followed
from fpk.study import Evidence, Size, order_evidence, study

from .._limits import limit
from . import _poisson_charts as charts
from ._poisson import LAWS, LINE, ROUND, seen, walked, within
from ._poisson_collapse import STARTS, collapsed, goals
from ._poisson_flow_claims import FLOWS, REMARKED
from ._poisson_lines import (
    CENTRED,
    DATA,
    EVEN,
    NAMES,
    OtherLines,
    Tilt,
    functionals,
    height,
    landed,
    outward,
    tilted,
)
from ._rates import Lattice, rate_evidence, two_levels, wave_names, waves

CLAIMS, REMARKS = FLOWS, REMARKED


def _augmented(law: fpk.GaussianMixture) -> Callable[[Array], Array]:
    """E as a function of (x, z) in one array."""
    return lambda x: PoissonField(law).vector(x[:, :-1], x[:, -1:])


# -- the continuity equation -------------------------------------------------------------------------------------------------

#: Lattice, field, the law of the particles and wave vectors; the lattice of the half plane is around (0, 3).
STATIC: dict[str, tuple[Lattice, Callable[[Array], Array], fpk.GaussianMixture, list[list[float]]]] = {
    "on the line": (Lattice(6.0, 256), lambda x: coulomb(LINE, x), fpk.Gaussian(0.3, 0.5), [[0.7], [1.3], [2.1]]),
    "augmented": (
        Lattice(2.4, 48, 2),
        lambda x: _augmented(LINE)(x + np.array([0.0, 3.0])),
        fpk.Gaussian([0.3, -0.1], 0.3),
        [[1.0, 0.3], [0.4, 1.2]],
    ),
}


@lru_cache(maxsize=16)
def _carried(case: str, h: float) -> Array:
    """Where particles from the lattice are after a time h."""
    lattice, field, _, _ = STATIC[case]
    return walked(field, lattice.points, h, 2)


#: Weights of E·∇p and p ∇·E.
CARRIED = {
    "stated": (1.0, 1.0),
    "sign": (-1.0, -1.0),
    "E outside": (1.0, 0.0),
    "div E alone": (0.0, 1.0),
    "½ extra": (0.5, 0.5),
    "E + 1 %": (1.01, 1.01),
}


@study(
    "S4.E93-94",
    variants=CARRIED,
    cases=tuple(STATIC),
    applies=lambda variant, case: case == "on the line" or variant != "E outside",
)
def static_field(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """How fast expectations change as particles move, and by the equation for their density."""
    lattice, field, law, vectors = STATIC[case]
    tests, p, E = waves(vectors), law.density(lattice.points), field(lattice.points)
    along = sum((E[:, i] * lattice.derivative(p, i) for i in range(lattice.dimension)), np.zeros(len(p)))
    spread = lattice.divergence(E * p[:, None]) - along
    start = lattice.integrals(tests, p)

    def rate(h: float) -> Array:
        return (tests(_carried(case, h)) @ p * lattice.volume - start) / h

    claimed = -lattice.integrals(tests, variant[0] * along + variant[1] * spread)
    return rate_evidence(
        rate, claimed, names=wave_names(vectors), source=f"particles in the field, {case}", step=0.2 if size.quick else 0.1
    )  # fmt: skip


# -- outward -----------------------------------------------------------------------------------------------------------------

LEVELS = tuple(np.linspace(0.05, 0.95, 13))
DATA_LAWS = {"off centre": (LINE, 1.0, 4.0), "centred": (CENTRED, 2.0, 1.5)}


#: What is added to the order, the power of the kernel, the factor of the slopes.
FORGETTING = {
    "stated": (0.0, 2.0, 1.0),
    "one order higher": (1.0, 2.0, 1.0),
    "half an order lower": (-0.5, 2.0, 1.0),
    "exponent N": (0.0, 1.0, 1.0),
    "v + 2 %": (0.0, 2.0, 1.02),
}


@study("S4.T-noise", variants=FORGETTING, cases=tuple(DATA_LAWS))
def angles(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """The largest distance of the angles' distribution function to that of the uniform law."""
    more, power, factor = variant
    law, order, nearest = DATA_LAWS[case]
    far = tuple(nearest * 2.0**k for k in range(5 if size.quick else 6))
    steps = 96 if size.quick else 240

    def distances(steps: int) -> Array:
        angle = outward(OtherLines(law, power, factor), far, LEVELS, steps)
        return np.abs(angle / np.pi + np.array(LEVELS) - 1).max(1)

    fine, coarse = distances(steps), distances(steps // 2)
    floor = 0.5 * float(np.abs(fine - coarse).max()) + 1e-9
    return order_evidence(fine, 1 / np.array(far), order + more, floor=floor, source=f"lines of {case} data")


# -- there and back ----------------------------------------------------------------------------------------------------------

TRIPS = {
    "N = 1": (LINE, np.array([[0.5, 0.6], [-1.2, 0.5], [2.0, 0.8]]), 8.0),
    "N = 2": (ROUND, np.array([[0.5, 0.2, 0.6], [-0.8, 0.4, 0.5]]), 12.0),
}
#: From E to the velocity on the way back.
BACK: dict[str, Callable[[Array], Array]] = {
    "stated": lambda E: -E,
    "sign": lambda E: E,
    "½ extra": lambda E: -0.5 * E,
    "E_z dropped": lambda E: -E * (np.arange(E.shape[1]) < E.shape[1] - 1),
    "E + 1 %": lambda E: -1.01 * E,
}


def _kept(case: str, x: Array) -> Array:
    """What is constant along lines."""
    return seen(LINE, x[:, 0], x[:, 1]) if case == "N = 1" else within(x[:, :-1], x[:, -1])


@lru_cache(maxsize=8)
def _there(case: str, steps: int) -> Array:
    law, start, duration = TRIPS[case]
    return walked(_augmented(law), start, duration, steps)


@study("S4.E95", variants=BACK, cases=tuple(TRIPS))
def round_trip(variant: Callable[[Array], Array], case: str, size: Size, seed: int) -> Evidence:
    """Where particles come back to, and what should not have changed on the way there and back."""
    law, start, duration = TRIPS[case]
    field, steps = _augmented(law), 24 if size.quick else 96

    def residual_at(level: int) -> Array:
        far = _there(case, level * steps)
        home = walked(lambda x: variant(field(x)), far, duration, level * steps)
        changes = np.concatenate([_kept(case, far) - _kept(case, start), _kept(case, home) - _kept(case, far)])
        return np.concatenate([(home - start).ravel(), changes])

    names = [f"x{i} from {x.tolist()}" for x in start for i in range(len(x))]
    names += [f"flux {way} from {x.tolist()}" for way in ("there", "back") for x in start]
    return two_levels(residual_at, names=names, source=f"there and back, {case}")


# -- without the added dimension ---------------------------------------------------------------------------------------------


@study(
    "S4.T-col",
    variants={name: name for name in ("stated", "mean", "augmented", "sign", "median + 1 %")},
    cases=("N = 1", "one cluster", "two clusters"),
    applies=lambda variant, case: case == "N = 1" or (variant, case) not in (
        ("augmented", "one cluster"), ("augmented", "two clusters"), ("mean", "one cluster")),
)  # fmt: skip
def collapse(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Where particles end, less where they should."""

    def residual_at(level: int) -> Array:
        fineness = level if size.quick else 2 * level
        if variant == "augmented":
            ends = followed(PoissonField(LINE), STARTS[case], 3.0, 1e-3, steps=32 * fineness)
        else:
            ends = collapsed(case, 1.0 if variant == "sign" else -1.0, fineness)
        return (ends - goals(case, variant)).ravel()

    names = tuple(f"x{i} from {x.tolist()}" for x in np.round(STARTS[case], 2) for i in range(len(x)))
    return two_levels(residual_at, names=names, source=f"backward without z, {case}")


@study(
    "err:S4.T-col",
    variants={
        "inside": ("N = 1", "one cluster", "merged"),
        "outside": ("two clusters", "three clusters"),
        "close by": ("close by",),
    },
)
def sinks(variant: tuple[str, ...], case: str, size: Size, seed: int) -> Evidence:
    """How far apart particles end."""

    def residual_at(level: int) -> Array:
        ends = (collapsed(name, -1.0, level if size.quick else 2 * level) for name in variant)
        return np.array([np.linalg.norm(x[:, None] - x, axis=2).max() for x in ends])

    found = two_levels(residual_at, names=variant, source="ends of the backward flow without z")
    return replace(found, charts=tuple(charts.sinks(name) for name in variant if name.endswith("clusters")))


# -- from a hemisphere -------------------------------------------------------------------------------------------------------

#: Distances of starts whose limit is taken.
HIGH = (8.0, 16.0, 32.0, 64.0)
#: Nodes of a start, and steps of a line.
NODES, STEPS = {"N = 1": 24, "N = 2": 8}, {"N = 1": 48, "N = 2": 14}
COSINE: Tilt = lambda t: t[:, -1]  # noqa: E731
ONE_SIDE: Tilt = lambda t: 1 - 0.05 * t[:, -2]  # noqa: E731


def _ends(
    case: str, start: str, tilt: Tilt, far: tuple[float, ...], fineness: int, lines: OtherLines | None = None
) -> Array:
    """Legendre functionals of where a start ends, at each distance, shape (far, K)."""
    nodes = NODES[case] + 2 * (fineness // 2)
    x = landed(case, lines, start, far, nodes, fineness * STEPS[case])
    return functionals(case, x, tilted(start, tilt, DATA[case].dimension, nodes), height(case, lines))


#: What is added to the order, the density of the start on the hemisphere, other lines.
HEMISPHERES: dict[str, tuple[float, Tilt, OtherLines | None]] = {
    "stated": (0.0, EVEN, None),
    "one order higher": (1.0, EVEN, None),
    "half an order lower": (-0.5, EVEN, None),
    "exponent N": (0.0, EVEN, OtherLines(LINE, 1.0)),
    "cosine law": (0.0, COSINE, None),
    "start + 5 %": (0.0, ONE_SIDE, None),
}


@study(
    "S4.T-hem",
    variants=HEMISPHERES,
    cases=tuple(LAWS),
    applies=lambda variant, case: case == "N = 1" or variant != "exponent N",
)
def hemisphere(variant: tuple[float, Tilt, OtherLines | None], case: str, size: Size, seed: int) -> Evidence:
    """The largest functional of the ends, all of which are 0 for the data."""
    more, tilt, lines = variant
    far = tuple(4.0 * 2.0**k for k in range(5 if case == "N = 1" else 4))
    fineness = 2 if size.quick else 4
    fine, coarse = (np.abs(_ends(case, "hemisphere", tilt, far, k, lines)).max(1) for k in (fineness, fineness // 2))
    floor = 0.5 * float(np.abs(fine - coarse).max()) + 1e-9
    source = f"ends of lines from a hemisphere, {case}"
    return order_evidence(fine, 1 / np.array(far), 1.0 + more, floor=floor, source=source)


def _limiting(case: str, start: str, tilt: Tilt, far: tuple[float, ...], size: Size) -> Evidence:
    """The functionals of the ends as the start moves away, with what finer steps change as part of the bound."""
    fineness = 2 if size.quick else 4
    fine, coarse = (_ends(case, start, tilt, far, k) for k in (fineness, fineness // 2))
    found, bound, coarser = limit(list(fine))
    bound = bound + 1.5 * np.abs(found - limit(list(coarse))[0])
    names = NAMES[case]
    first = fpk.residual(found, bound, coarser=coarser, source=f"ends of lines, {start} → ∞, {case}")
    return Evidence(first, zero_estimate(len(names)), names)


@study("err:S4.T-hem", variants={"printed": EVEN, "cosine law": COSINE, "start + 5 %": ONE_SIDE})
def hemisphere_as_printed(variant: Tilt, case: str, size: Size, seed: int) -> Evidence:
    found = _limiting("N = 1", "hemisphere", variant, HIGH, size)
    return replace(found, charts=(charts.lines_home(),)) if variant is EVEN else found


# -- the height as time ------------------------------------------------------------------------------------------------------

DROPS = {
    "N = 1": (LINE, np.array([[0.5, 3.0], [-2.0, 2.5], [4.0, 3.0]]), 18.0),
    "N = 2": (LAWS["N = 2"], np.array([[0.5, 0.3, 3.0], [-2.0, 1.0, 2.5], [1.5, -3.0, 3.0]]), 45.0),
    "on the diagonal": (np.zeros((1, 1)), np.array([[2.0, 2.0], [3.0, 3.0]]), 9.0),
}
#: From v of shape (n, N + 1) to dx/dz.
Slope = Callable[[Array], Array]
SLOPES: dict[str, Slope] = {
    "stated": lambda v: v[:, :-1] / v[:, -1:],
    "v_z/v_x": lambda v: v[:, -1:] / v[:, :-1],
    "v_x alone": lambda v: -v[:, :-1],
    "sign": lambda v: -v[:, :-1] / v[:, -1:],
    "v_x + 1 %": lambda v: 1.01 * v[:, :-1] / v[:, -1:],
}


@dataclass(frozen=True)
class _Sloped:
    """Lines of the normalised field by a rule."""

    field: PoissonField
    slope: Slope

    def velocity(self, x: Array, z: Any) -> Array:
        return self.slope(self.field.normalised(x, z))


@lru_cache(maxsize=8)
def _fallen(case: str, steps: int) -> Array:
    """Where particles are that follow −E for a time."""
    data, start, duration = DROPS[case]
    return walked(lambda x: -PoissonField(data).vector(x[:, :-1], x[:, -1:]), start, duration, steps)


def _by_height(case: str, slope: Slope, size: Size) -> Evidence:
    """Lines to the heights of the fallen particles, less where these are."""
    (data, start, _), steps = DROPS[case], 16 if size.quick else 64

    def residual_at(level: int) -> Array:
        ends = _fallen(case, level * steps)
        lines = _Sloped(PoissonField(data), slope)
        x = followed(lines, start[:, :-1], start[:, -1:], ends[:, -1:], steps=level * steps)
        return (x - ends[:, :-1]).ravel()

    names = tuple(f"x{i} from {x.tolist()}" for x in start for i in range(len(x) - 1))
    return two_levels(residual_at, names=names, source=f"lines by height less lines by time, {case}")


@study("S4.E101", variants=SLOPES, cases=("N = 1", "N = 2"))
def height_as_time(variant: Slope, case: str, size: Size, seed: int) -> Evidence:
    return _by_height(case, variant, size)


@study(
    "err:S4.E101",
    variants={
        "printed": ("N = 1", lambda v: v[:, :-1] / v[:, :-1]),
        "corrected": ("N = 1", SLOPES["stated"]),
        "degenerate": ("on the diagonal", lambda v: v[:, :-1] / v[:, :-1]),
        "v_x + 1 %": ("N = 1", SLOPES["v_x + 1 %"]),
    },
)
def slope_as_printed(variant: tuple[str, Slope], case: str, size: Size, seed: int) -> Evidence:
    return _by_height(*variant, size)


# -- from a plane ------------------------------------------------------------------------------------------------------------


def _against_cauchy(t: Array, logarithm: Callable[[Array], Array]) -> Array:
    """A density of |x|²/z² over that of the projected hemisphere, at points (x, 1)."""
    squares = (t[:, :-1] ** 2).sum(1)
    return np.exp(logarithm(squares) + 0.5 * t.shape[1] * np.log1p(squares))


#: Densities of starts in the plane z = 1, over that of the hemisphere's projection.
PRIORS: dict[str, Tilt] = {
    "stated": EVEN,
    "Gaussian": lambda t: _against_cauchy(t, lambda q: -q / 8),
    "exponent N + 2": lambda t: _against_cauchy(t, lambda q: -0.5 * (t.shape[1] + 1) * np.log1p(q)),
    "z + 3 %": lambda t: _against_cauchy(t, lambda q: -0.5 * t.shape[1] * np.log(1.03**2 + q)),
}


@study("S4.T101", variants=PRIORS, cases=tuple(LAWS))
def plane_start(variant: Tilt, case: str, size: Size, seed: int) -> Evidence:
    return _limiting(case, "plane", variant, HIGH, size)


@study(
    "err:S4.T101",
    variants={"inside": ("plane", "plane"), "outside": ("interval", "Gaussian")},
    cases=("uniform", "normal"),
)
def unspecified_start(variant: tuple[str, str], case: str, size: Size, seed: int) -> Evidence:
    start = variant[0] if case == "uniform" else "plane"
    tilt = PRIORS[variant[1]] if case == "normal" and variant[1] != "plane" else EVEN
    found, nodes = _limiting("N = 1", start, tilt, HIGH, size), NODES["N = 1"]
    x = landed("N = 1", None, start, HIGH, nodes, STEPS["N = 1"])[-1, :, 0]
    named = case if variant[0] == "interval" else "Cauchy"
    return replace(found, charts=(charts.ends({named: (x, tilted(start, tilt, 1, nodes))}),))
