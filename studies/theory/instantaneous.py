r"""Log-densities along the paths of ẋ = f(x, t), and at places that stay.

    d/dt log p_t(x_t) = −∇·f,     ∂_t log p_t = −∇·f − f·∇log p_t,     ∮ (p n_t + p f·n_x) dS = 0.

The densities are those of maps in closed form (:mod:`._volume`); their rates are differences, their fluxes sums over spheres in space and time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fokker_planck.characteristics import divergence, followed, moved
from fpk.laws import Array, central_derivative
from fpk.study import Evidence, Size, study

from ._motions import MOTIONS, WHERE
from ._rates import two_levels
from ._volume import DECAY, LINE, SINE, SWIRL, TURNING, VORTEX, Motion
from ._volume_charts import paths_chart
from ._volume_claims import ALONG, ALONG_REMARKS

CLAIMS, REMARKS = ALONG, ALONG_REMARKS

MOTION = {"line": LINE, "ẋ = sin x": SINE, "vortex": VORTEX, "turning plane": TURNING}
#: When rates are looked at.
LATE = 0.4


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"point {k + 1}" for k in range(count))


# -- rates -------------------------------------------------------------------------------------------------------------


class Rates(NamedTuple):
    """At some points at one time: rates of log p along the path and at the place, ∇·f, and f·∇log p."""

    along: Array
    there: Array
    spread: Array
    against: Array


def _rates_at(motion: Motion, x: Array, t: float, level: int) -> Rates:
    """Differences of log p along the path, in time and in the direction of f."""
    f, step = motion.velocity(x, t), 0.04 / level
    along, there, against = (
        central_derivative(lambda h, way=way: way(float(h[0])), np.zeros(1), step)
        for way in (
            lambda h: motion.log_density(motion.image(motion.origin(x, t), t + h), t + h),
            lambda h: motion.log_density(x, t + h),
            lambda h: motion.log_density(x + h * f, t),
        )
    )
    return Rates(along, there, divergence(motion.problem, x, t), against)


@lru_cache(maxsize=16)
def _rates(case: str, level: int) -> Rates:
    motion = MOTION[case]
    return _rates_at(motion, motion.image(motion.places, LATE), LATE, level)


#: Weights of ∇·f along a path, of f·∇log p along it; the same at a place.
WEIGHTS = {
    "stated": (1.0, 0.0, 1.0, 1.0),
    "sign": (-1.0, 0.0, -1.0, -1.0),
    "paths and places exchanged": (1.0, 1.0, 1.0, 0.0),
    "divergence dropped": (0.0, 0.0, 0.0, 1.0),
    "½ extra": (0.5, 0.0, 0.5, 0.5),
    "f + 1 %": (1.01, 0.0, 1.01, 1.01),
}


@study("S4.E111", variants=WEIGHTS, cases=tuple(MOTION))
def rates(variant: tuple[float, float, float, float], case: str, size: Size, seed: int) -> Evidence:
    def gap(level: int) -> Array:
        found = _rates(case, level if size.quick else 2 * level)
        a, b, c, d = variant
        along = found.along + a * found.spread + b * found.against
        return np.concatenate([along, found.there + c * found.spread + d * found.against])

    count = len(MOTION[case].places)
    names = tuple(f"{what}, point {k + 1}" for what in ("along the path", "at the place") for k in range(count))
    return two_levels(gap, names=names, source=f"rates of log p, {case}")


#: ẏ = 1 − y from N(0, 1), whose peak moves: x = y with its own mean.
DRIVEN = Motion(
    lambda x, t: 1 - x,
    lambda x, t: 1 + np.exp(-t) * (x - 1),
    lambda x, t: 1 + np.exp(t) * (x - 1),
    fpk.Gaussian(0.0, 1.0),
    np.zeros((1, 1)),
)
LINES = {"decay at .8": (DECAY, np.array([[0.8]])), "line": (LINE, LINE.places)}


@study(
    "err:S4.E111",
    variants={"printed": 0.0, "corrected": 1.0, "degenerate": None},
    cases=("decay at .8", "line"),
    applies=lambda variant, case: variant != "degenerate" or case == "line",
)
def partial_derivative(variant: float | None, case: str, size: Size, seed: int) -> Evidence:
    """∂_t log p at places at t = ½; the degenerate form looks at the peak of a law that moves."""
    motion, x = LINES[case]
    if variant is None:
        motion, x = DRIVEN, DRIVEN.image(np.zeros((1, 1)), 0.5)

    def gap(level: int) -> Array:
        found = _rates_at(motion, x, 0.5, level if size.quick else 2 * level)
        return found.there + found.spread + (variant or 0.0) * found.against

    return two_levels(gap, names=_names(len(x)), source="rates of log p at places")


# -- along paths -------------------------------------------------------------------------------------------------------

UNTIL = 0.7


@lru_cache(maxsize=32)
def _gained(motion: Motion, factor: float, steps: int) -> tuple[Array, Array]:
    """Ends of paths, and the integral of the divergence along them."""
    return followed(motion.changed(factor), motion.places, np.linspace(0.0, UNTIL, steps + 1))


def _risen(motion: Motion, x: Array) -> Array:
    """log p(x) at the end less log p_0 at the start of the paths."""
    return motion.log_density(x, UNTIL) - motion.initial.log_density(motion.places)


#: Weights of ∫∇·f and of t ∇·f at the start.
INTEGRALS = {
    "stated": (1.0, 0.0),
    "sign": (-1.0, 0.0),
    "divergence dropped": (0.0, 0.0),
    "½ extra": (0.5, 0.0),
    "at the start only": (0.0, UNTIL),
    "div + 0.5 %": (1.005, 0.0),
}


@study(
    "S4.E113",
    variants=INTEGRALS,
    cases=tuple(MOTION),
    applies=lambda variant, case: case != "turning plane" or variant != "at the start only",
)
def integrated(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Log-densities at the ends of paths; the divergence of the turning plane is constant."""
    motion = MOTION[case]
    at_start = variant[1] * divergence(motion.problem, motion.places, 0.0)

    def gap(level: int) -> Array:
        x, volume = _gained(motion, 1.0, size.cells(10) * level)
        return _risen(motion, x) + variant[0] * volume + at_start

    found = two_levels(gap, names=_names(len(motion.places)), source=f"log-densities along paths, {case}")
    return (
        replace(found, charts=(paths_chart(motion, UNTIL, f"Paths until t = {UNTIL:g}"),))
        if case == "vortex"
        else found
    )


@study(
    "err:S1.T67",
    variants={"printed": 0.0, "corrected": 1.0, "degenerate": None},
    cases=("decay", "vortex"),
    applies=lambda variant, case: variant != "degenerate" or case == "vortex",
)
def constant_density(variant: float | None, case: str, size: Size, seed: int) -> Evidence:
    """log p along paths less log p_0, less what is said of it."""
    motion = SWIRL if variant is None else {"decay": DECAY, "vortex": VORTEX}[case]

    def gap(level: int) -> Array:
        x, volume = _gained(motion, 1.0, size.cells(10) * level)
        return _risen(motion, x) + (variant or 0.0) * volume

    return two_levels(gap, names=_names(len(motion.places)), source="log-densities along paths")


# -- the continuity equation -------------------------------------------------------------------------------------------

#: A positive function that is no solution of anything: a mixture whose parts move on their own.
Function = Callable[[Array, float], Array]


def _strange(x: Array, t: float) -> Array:
    d = x.shape[1]
    law = fpk.GaussianMixture([0.4, 0.6], [[-0.8 + t] * d, [0.9 - t**2] * d], stds=[0.6 + 0.3 * t, 0.8])
    return law.log_density(x)


SOLVING = {
    "line, any p": (MOTIONS["d = 1"], _strange, WHERE["d = 1"]),
    "plane, any p": (MOTIONS["d = 2"], _strange, WHERE["d = 2"]),
    "vortex, its density": (VORTEX.problem, VORTEX.log_density, VORTEX.image(VORTEX.places, LATE)),
}
#: Weights of ∇·(f p) and f·∇p in the continuity equation.
FLUXES = {
    "stated": (1.0, 0.0),
    "sign of the flux": (-1.0, 0.0),
    "f outside": (0.0, 1.0),
    "divergence of p f dropped": (0.0, 0.0),
    "½ extra": (0.5, 0.0),
    "f + 1 %": (1.01, 0.0),
}


@lru_cache(maxsize=8)
def _equations(case: str, level: int) -> tuple[Array, Array]:
    """What log p misses the equation along paths by, shape (n,); ∂_t p, ∇·(f p) and f·∇p by differences of products, over p, shape (3, n)."""
    problem, log_p, x = SOLVING[case]
    f, step = problem.drift(x, LATE), 0.03 / level

    def rate(way: Callable[[float], Array]) -> Array:
        return central_derivative(lambda h: way(float(h[0])), np.zeros(1), step)

    def p(y: Array, t: float) -> Array:
        return np.exp(log_p(y, t) - log_p(x, LATE))

    axes = enumerate(np.eye(x.shape[1]))
    flux = [rate(lambda h, i=i, e=e: p(x + h * e, LATE) * problem.drift(x + h * e, LATE)[:, i]) for i, e in axes]
    along = rate(lambda h: log_p(moved(problem, x, LATE, h), LATE + h))
    terms = rate(lambda h: p(x, LATE + h)), np.sum(flux, axis=0), rate(lambda h: p(x + h * f, LATE))
    return along + divergence(problem, x, LATE), np.stack(terms)


@study("S4.E112eq", variants=FLUXES, cases=tuple(SOLVING))
def characteristics(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """What is missing along paths less what is missing in the continuity equation."""

    def gap(level: int) -> Array:
        missing, terms = _equations(case, level if size.quick else 2 * level)
        return missing - np.array([1.0, *variant]) @ terms

    count = len(SOLVING[case][2])
    return two_levels(gap, names=_names(count), source=f"two equations for p, {case}")


# -- the current in space and time -------------------------------------------------------------------------------------

#: Centres of balls in space at LATE, and their radius.
BALLS = {"line": np.array([[-0.6], [0.2], [0.9]]), "vortex": np.array([[0.5, 0.2], [-0.3, 0.4]])}
RADIUS = 0.25


@lru_cache(maxsize=8)
def _on_spheres(case: str, level: int) -> tuple[Array, Array, Array, Array, Array]:
    """Weights, n_t, n_x, p and v on the spheres around the centres: shapes (m,), (m,), (m, d), (c, m), (c, m, d)."""
    motion, centres = MOTION[case], BALLS[case]
    if centres.shape[1] == 1:
        angles = np.pi * (np.arange(24 * level) + 0.5) / (12 * level)
        normals, weights = (
            np.stack([np.cos(angles), np.sin(angles)], axis=1),
            np.full(len(angles), 2 * np.pi / len(angles)),
        )
    else:
        heights, w = np.polynomial.legendre.leggauss(5 * level)
        angles = 2 * np.pi * np.arange(10 * level) / (10 * level)
        high, around = (grid.ravel() for grid in np.meshgrid(heights, angles, indexing="ij"))
        flat = np.sqrt(1 - high**2)
        normals = np.stack([high, flat * np.cos(around), flat * np.sin(around)], axis=1)
        weights = np.repeat(w, len(angles)) * 2 * np.pi / len(angles)
    p, v = _carried(motion, centres, normals)
    return weights, normals[:, 0], normals[:, 1:], p, v


def _carried(motion: Motion, centres: Array, normals: Array) -> tuple[Array, Array]:
    """Density and velocity on the spheres, one time after the other."""
    x = centres[:, None] + RADIUS * normals[:, 1:]
    p, v = np.empty(x.shape[:2]), np.empty(x.shape)
    times, which = np.unique((LATE + RADIUS * normals[:, 0]).round(13), return_inverse=True)
    for k, t in enumerate(times):
        here = which == k
        places = x[:, here].reshape(-1, x.shape[2])
        p[:, here] = motion.density(places, float(t)).reshape(len(x), -1)
        v[:, here] = motion.velocity(places, float(t)).reshape(len(x), -1, x.shape[2])
    return p, v


class Current(NamedTuple):
    """Factor on the velocity, and whether it is multiplied by p."""

    factor: float = 1.0
    carries: bool = True


def _net_flux(case: str, current: Current, level: int) -> Array:
    """Net flux out of balls over their surface, for a density of order 1."""
    weights, up, out, p, v = _on_spheres(case, level)
    space = current.factor * np.einsum("cmi,mi->cm", v, out) * (p if current.carries else 1.0)
    return (p * up + space) @ weights / weights.sum() / RADIUS


def _along_paths(case: str, current: Current, level: int) -> Array:
    motion = MOTION[case]
    x, volume = _gained(motion, current.factor, 10 * level)
    return _risen(motion, x) + volume


CURRENTS = {
    "stated": Current(),
    "sign": Current(-1.0),
    "v dropped": Current(0.0),
    "½ extra": Current(0.5),
    "v without p": Current(carries=False),
    "v + 1 %": Current(1.01),
}
SURFACES = {
    f"{what}, {case}": (value, case)
    for what, value in (("balls", _net_flux), ("paths", _along_paths))
    for case in ("line", "vortex")
}


@study(
    "S1.T67",
    variants=CURRENTS,
    cases=tuple(SURFACES),
    applies=lambda variant, case: variant != "v without p" or case.startswith("balls"),
)
def space_time_current(variant: Current, case: str, size: Size, seed: int) -> Evidence:
    value, motion = SURFACES[case]

    def gap(level: int) -> Array:
        return value(motion, variant, level if size.quick else 2 * level)

    return two_levels(gap, names=_names(len(gap(1))), source=f"the current in space and time, {case}")
