r"""Statistics of other people: distances between weighted points, at places where their values are known without any statistics.

Two points, a shift, weights, unequal numbers: with c = E|θ₁| over directions θ of the sphere (2/π in the plane, ½ in space),

=============== =================== ================================== ==========
places          Wasserstein-1       sliced Wasserstein-1               energy
=============== =================== ================================== ==========
0 | m           \|m\|               c \|m\|                            2 \|m\|
w on m | 0      w \|m\|             c w \|m\|                          2 w² \|m\|
=============== =================== ================================== ==========

with the energy distance 2 E|X − Y| − E|X − X'| − E|Y − Y'|. Distances are 0 between equal points, and the same when both sides change places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fpk.battery.fields import EXPLAINS, FieldExamination, named
from fpk.battery.findings import Suspect
from fpk.comparison import settle
from fpk.errors import ComparisonError, UnknownName
from fpk.laws import Array
from fpk.marginals import Estimate, zero_estimate

KINDS = ("wasserstein", "sliced", "energy")
#: Positions x (n, d) and y (m, d), their weights (n,) and (m,) ↦ a number.
Distance = Callable[[Array, Array, Array, Array], float]


@dataclass(frozen=True)
class Place:
    """Two weighted sets of points."""

    name: str
    x: Array
    y: Array
    a: Array
    b: Array

    def swapped(self) -> Place:
        """Both sides exchanged."""
        return Place(f"{self.name}, exchanged", self.y, self.x, self.b, self.a)

    def unweighted(self) -> Place:
        """With equal weights."""
        equal = (np.full(len(points), 1 / len(points)) for points in (self.x, self.y))
        return Place(self.name, self.x, self.y, *equal)


def places(d: int) -> tuple[Place, ...]:
    """Where distances are known: all points lie on one line, in the direction (1, 2, 3, ...)."""
    along = np.arange(1.0, d + 1) / np.linalg.norm(np.arange(1.0, d + 1))

    def at(*positions: float) -> Array:
        return np.array(positions)[:, None] * along + 0.5

    cloud = np.linspace(-1.0, 1.0, 6)
    same = np.full(6, 1 / 6)
    listed = (
        Place("a shift", at(*cloud), at(*(cloud + 1.7)), same, same),
        Place("two points", at(0.0), at(2.3), np.ones(1), np.ones(1)),
        Place("weights", at(0.0, 1.9), at(0.0), np.array([0.25, 0.75]), np.ones(1)),
        Place("unequal numbers", at(0.0, 1.0, 2.0), at(0.5, 2.5), np.full(3, 1 / 3), np.array([0.5, 0.5])),
        Place("equal points", at(*cloud), at(*cloud), same, same),
    )
    return (*listed, *(place.swapped() for place in listed[2:4]))


def _on_the_line(place: Place) -> tuple[Array, Array]:
    """Places of all points along their line, with weights of x less those of y."""
    s = np.concatenate([place.x, place.y])
    s = (s - 0.5) @ (np.arange(1.0, s.shape[1] + 1) / np.linalg.norm(np.arange(1.0, s.shape[1] + 1)))
    order = np.argsort(s, kind="stable")
    return s[order], np.concatenate([place.a, -place.b])[order]


def _mean_cosine(d: int) -> float:
    """E|θ₁| on the sphere of R^d."""
    from scipy.special import gammaln

    return float(np.exp(gammaln(d / 2) - gammaln((d + 1) / 2)) / np.sqrt(np.pi))


def known_value(kind: str, place: Place) -> float:
    """The distance: ∫ |F − G| along the line, times E|θ₁|, or 2 ∫ (F − G)²."""
    s, jumps = _on_the_line(place)
    gap, lengths = np.cumsum(jumps)[:-1], np.diff(s)
    if kind == "energy":
        return float(2 * lengths @ gap**2)
    return float(lengths @ np.abs(gap)) * (_mean_cosine(place.x.shape[1]) if kind == "sliced" else 1.0)


def examine_distance(
    distance: Distance,
    kind: str,
    *,
    dimension: int = 1,
    projections: int | None = None,
    tolerance: float = 1e-3,
    error: float = 1e-9,
) -> FieldExamination:
    """Hold a distance between weighted points against values that are known, and name what it looks like instead.

    Parameters
    ----------
    distance : callable
        (x, y, weights of x, weights of y) ↦ a number.
    kind : str
        ``"wasserstein"`` (order 1), ``"sliced"`` (Wasserstein-1 over directions) or ``"energy"``.
    dimension : int
    projections : int, optional
        How many directions are taken: then slips in their number are looked for.
    tolerance : float
        How far values may be off.
    error : float
        Of the statistic itself: what more directions would change.

    Examples
    --------
    >>> blind = lambda x, y, a, b: abs(x.mean() - y.mean())
    >>> print(examine_distance(blind, "wasserstein").suspects[0].mistake)
    weights ignored
    """
    if kind not in KINDS:
        raise UnknownName("kind of distance", kind, KINDS)
    listed = places(dimension)
    found = np.array([float(distance(p.x, p.y, p.a, p.b)) for p in listed])
    if not np.isfinite(found).all():
        raise ComparisonError(f"the distance is not finite at {listed[int(np.argmin(np.isfinite(found)))].name}.")
    gap = found - np.array([known_value(kind, p) for p in listed])
    verdict = settle(
        Estimate(gap, np.full(len(gap), error), source=f"the {kind} distance"),
        zero_estimate(len(gap)),
        names=[p.name for p in listed],
        tolerance=tolerance,
        kind="identity",
    )
    wrong = np.any(np.abs(gap) > tolerance)
    suspects = _suspects(found, kind, listed, projections) if wrong else []
    return FieldExamination(verdict, tuple(suspects), f"{kind} distance")


def _suspects(found: Array, kind: str, listed: tuple[Place, ...], projections: int | None) -> list[Suspect]:
    """Mistakes by the distance of their values from those that were found."""
    right, d = np.array([known_value(kind, p) for p in listed]), listed[0].x.shape[1]
    others = {
        "sign": -right,
        "weights ignored": np.array([known_value(kind, p.unweighted()) for p in listed]),
        "square": right**2,
        "root": np.sqrt(np.abs(right)),
        "half": 0.5 * right,
        "twice": 2 * right,
        "sum over the points for their mean": np.array([len(p.x) for p in listed]) * right,
        "divided by the number of points once more": right / np.array([len(p.x) for p in listed]),
        "a factor": right * float(found @ right / (right @ right)),
    }
    if kind != "energy":
        squared = 0.5 * np.array([known_value("energy", p) for p in listed])
        others["squared difference of the distribution functions"] = squared
    if kind == "sliced":
        count = float(projections or 1)
        others |= {
            "directions of the axes only": right / _mean_cosine(d) * _axes_mean(d),
            "divided by the number of coordinates for that of directions": right * count / d,
            "not divided by the number of directions": right * count,
            "divided by the number of directions twice": right / count,
            "largest over the directions for their mean": right / _mean_cosine(d),
        }
    if kind == "energy":
        others |= _self_terms(listed)
    size = max(float(np.linalg.norm(found - right)), 1e-12)
    left = {name: float(np.linalg.norm(found - values)) / size for name, values in others.items()}
    left["a factor"] += 0.01
    return named(left, among=EXPLAINS)


def _axes_mean(d: int) -> float:
    """Mean of |θ·e| over the axes, for the direction of the places."""
    along = np.arange(1.0, d + 1)
    return float(np.mean(along) / np.linalg.norm(along))


def _self_terms(listed: tuple[Place, ...]) -> dict[str, Array]:
    """Energy distances whose self terms carry other weights."""

    def mean(x: Array, y: Array, a: Array, b: Array) -> float:
        return float(a @ np.linalg.norm(x[:, None] - y[None], axis=2) @ b)

    cross = np.array([mean(p.x, p.y, p.a, p.b) for p in listed])
    first, second = (
        np.array([mean(*pair) for pair in pairs])
        for pairs in ([(p.x, p.x, p.a, p.a) for p in listed], [(p.y, p.y, p.b, p.b) for p in listed])
    )
    return {
        "self terms left out": 2 * cross,
        "self terms twice": 2 * cross - 2 * (first + second),
        "one self term left out": 2 * cross - first,
        "other self term left out": 2 * cross - second,
        "sign of the self terms": 2 * cross + first + second,
        "2 missing on the cross term": cross - first - second,
    }
