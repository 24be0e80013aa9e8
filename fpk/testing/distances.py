r"""Distances from a curve of laws p_t to a law q, with error bounds: what is claimed to fall exponentially.

    KL           ∫ p log(p/q)           falls with rate 2λ where q satisfies a logarithmic Sobolev inequality with constant λ,
    chi-square   ∫ (p/q − 1)² q         with rate 2λ where it satisfies Poincaré's inequality,
    Fisher       ∫ p |∇ log(p/q)|²      with rate 2λ where the drift contracts, −½(J + Jᵀ) ≥ λ, and the noise is constant.

All three are expectations under p_t, by quadrature with two numbers of nodes, and on two grids where p_t is a grid's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fpk.errors import ComparisonError, GridError
from fpk.laws import Array, Law
from fpk.marginals import CAUTION, ROUND_OFF

#: Mass of p outside the support of q that is left out.
OUTSIDE = 1e-9
#: Nodes of the quadrature, and of the coarser one that tells its error; the same in d > 1, for each coordinate.
NODES, NODES_PLANE = (12, 8), (24, 16)
#: Share of the nodes, at each end of the line, whose part in an expectation counts as its error, as it may go on outside; up to a share of it.
ENDS, DIVERGING = 0.02, 1e-3


def _kl(p: Law, q: Law, x: Array) -> Array:
    return p.log_density(x) - q.log_density(x)


def _chi_square(p: Law, q: Law, x: Array) -> Array:
    return np.expm1(p.log_density(x) - q.log_density(x))


def _fisher(p: Law, q: Law, x: Array) -> Array:
    return ((p.score(x) - q.score(x)) ** 2).sum(1)


DISTANCES: dict[str, Callable[[Law, Law, Array], Array]] = {
    "KL": _kl,
    "chi-square": _chi_square,
    "Fisher": _fisher,
}


def distances(marginals: Any, law: Law, *, distance: str, times: Sequence[float]) -> tuple[Array, Array]:
    """Distances from the marginals at the times to the law, and bounds for their errors, each of shape (n,).

    Parameters
    ----------
    marginals : Marginals
        With laws: exact ones, or those of a grid.
    law : Law
    distance : str
        ``"KL"``, ``"chi-square"`` or ``"Fisher"``.
    times : sequence of float

    Raises
    ------
    ComparisonError
        For another distance, particles, whose density is not known, and distances that are infinite.
    """
    if distance not in DISTANCES:
        raise ComparisonError(f"unknown distance {distance!r}; one of {', '.join(DISTANCES)}.")
    if not hasattr(marginals, "law") or getattr(marginals, "exactness", 0) < 1:
        raise ComparisonError(
            f"the density of {getattr(marginals, 'source', type(marginals).__name__)} is not known, so its {distance} distance is not: "
            "use an exact law or a grid, or estimate the distances and pass them with standard_errors=."
        )
    found = [_integrated(marginals.law(t), law, DISTANCES[distance]) for t in times]
    values, bounds = (np.array(column) for column in zip(*found, strict=True))
    if not np.all(np.isfinite(bounds)):
        raise ComparisonError(
            f"the {distance} distance at t={times[int(np.argmax(~np.isfinite(bounds)))]:g} is infinite, or its integral does not converge: the law "
            "has too much mass where the one it is held against has almost none. Start later, or take another distance."
        )
    return values, bounds + _of_grid(marginals, law, distance, times, values)


def _of_grid(marginals: Any, law: Law, distance: str, times: Sequence[float], values: Array) -> Array:
    """What the grid adds to the bounds: 1.5 times the change from a coarser one; nothing for exact laws."""
    coarser = marginals.levels[-2] if hasattr(marginals, "levels") else None
    if coarser is None and getattr(marginals, "exactness", 0) > 1:
        return np.zeros(len(values))
    halved = getattr(marginals, "halved", None)
    try:
        coarser = halved() if coarser is None and halved is not None else coarser
        if coarser is None:
            return np.full(len(values), np.inf)
        return CAUTION * np.abs(values - [_integrated(coarser.law(t), law, DISTANCES[distance])[0] for t in times])
    except GridError:
        return np.full(len(values), np.inf)


def _integrated(p: Law, q: Law, integrand: Callable[[Law, Law, Array], Array]) -> tuple[float, float]:
    """The expectation under p, and a bound for the error of its quadrature."""
    fine, coarse = (_expected(p, q, integrand, n) for n in (NODES if p.dimension == 1 else NODES_PLANE))
    return fine[0], abs(fine[0] - coarse[0]) + fine[1] + ROUND_OFF * max(1.0, abs(fine[0]))


def _expected(p: Law, q: Law, integrand: Callable[[Law, Law, Array], Array], nodes: int) -> tuple[float, float]:
    """The expectation, and the part of it that comes from the ends of the line."""
    from fpk.models.points import law_points

    points = law_points(p, nodes=nodes)
    with np.errstate(over="ignore", invalid="ignore"):
        values = integrand(p, q, points.x)
    inside = np.isfinite(values)
    if points.weights[~inside].sum() > OUTSIDE:
        return 0.0, float("inf")
    parts = np.where(inside, points.weights * np.where(inside, values, 0.0), 0.0)
    end = int(np.ceil(ENDS * len(parts))) if p.dimension == 1 else 0
    ends = float(np.abs(parts[:end]).sum() + np.abs(parts[len(parts) - end :]).sum())
    return float(parts.sum()), ends if ends <= DIVERGING * np.abs(parts).sum() else float("inf")
