r"""Selling's decomposition of a diffusivity into one-dimensional diffusions along offsets between cells.

    D = Σ_k λ_k e_k e_kᵀ,   λ_k ≥ 0,  e_k with whole entries,

with three terms in the plane and six in space, so that Σ_ij ∂_i ∂_j (D_ij p) ≈ Σ_k Δ_{e_k}(λ_k p) with second differences
Δ_e q(x) = q(x + e) − 2 q(x) + q(x − e): a difference scheme with no negative weight between cells, whatever the tensor. D is read in units of the
cell widths, D_ij/(h_i h_j).

A *superbase* is a set of d + 1 whole vectors b_i with Σ b_i = 0, d of which span the lattice. It is *obtuse* for D if b_i · D b_j ≤ 0 for all i ≠ j;
then λ = −b_i · D b_j belongs to the offset that is orthogonal to all the other b_k. Selling's steps replace b_i by −b_i for a pair with
b_i · D b_j > 0 and mend the others, until none is left. A D that varies continuously has continuous λ_k: they rise and fall like tents.

Offsets are about as long as the root of the condition of D. Where D is singular along a curve, as G(x) often is, they are without bound: a trace of
noise in all directions, 1/256 of the strongest, keeps them within :data:`REACH` there.

References
----------
Selling (1874); Conway and Sloane (1992), Low-dimensional lattices VI; Fehrenbach and Mirebeau (2014), for differences on grids.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numba import njit  # type: ignore[import-untyped]
from numpy.typing import NDArray

from fpk.errors import SchemeError
from fpk.fokker_planck.product.fields import pairs
from fpk.grids import ProductGrid
from fpk.laws import Array

Whole = NDArray[np.int64]
compiled = njit(cache=True, error_model="numpy", fastmath=False, nogil=True)

#: The longest offset of a stencil along any axis, in cells.
REACH = 16
#: Offsets of a matrix of condition κ are no longer than this times √κ in any entry (seen in 10⁵ random matrices of each kind, not proven).
LENGTH = 1.0
#: Noise that may be added to bring neighbours within reach, as a part of the strongest and averaged over the box.
RAISED = 1e-3
#: Products b_i · D b_j and weights that are not above this multiple of the terms they come from are round-off.
ROUNDING = 1e-14
#: Selling's steps for one tensor; a condition of 1e12 takes some dozens.
MOST_STEPS = 1000
#: The longest vector of a superbase: beyond it the matrix is singular to round-off.
LONGEST = 2**24


@dataclass(frozen=True, eq=False)
class Stencil:
    """Second differences along offsets, Σ_k λ_k e_k e_kᵀ = D in every cell.

    Parameters
    ----------
    offsets : int array, shape (k, d)
        e_k in cells, the first entry that is not 0 positive: all that occur in any cell.
    weights : array, shape (k, *shape), or (k, 1, ..., 1) where D is one matrix
        λ_k ≥ 0 in 1/time; 0 in the cells that do not use the offset.
    """

    offsets: Whole
    weights: Array


def stencil_of(diffusivity: Array, grid: ProductGrid) -> Stencil:
    """The decomposition of a diffusivity field on a grid.

    Parameters
    ----------
    diffusivity : array, shape (d (d + 1)/2, *shape) or (d (d + 1)/2, 1, ..., 1)
        D_ij for the pairs i ≤ j.
    grid : ProductGrid

    Raises
    ------
    SchemeError
        Where D is not positive semi-definite, or where, in much of the box, neighbours lie more than :data:`REACH` cells away.
    """
    D = in_cells(diffusivity, grid.spacings)
    weights, offsets = decomposed(D)
    far = _longest(weights, offsets) > reach(grid)
    if far.any():
        weights[far], offsets[far] = decomposed(_raised(D, far, grid))
    found, rows = _united(weights, offsets)
    cells = np.broadcast_to(np.arange(len(D))[:, None], rows.shape)
    table = np.zeros((len(found) + 1, len(D)))
    table[rows, cells] = weights  # the last row takes the terms that weigh nothing
    return Stencil(found, table[:-1].reshape(len(found), *diffusivity.shape[1:]))


def in_cells(diffusivity: Array, spacings: tuple[float, ...]) -> Array:
    """D_ij/(h_i h_j) as full matrices, shape (cells, d, d)."""
    d = len(spacings)
    D = np.empty((diffusivity[0].size, d, d))
    for entry, (i, j) in zip(diffusivity, pairs(d), strict=True):
        D[:, i, j] = D[:, j, i] = entry.ravel() / (spacings[i] * spacings[j])
    return D


def decomposed(matrices: Array) -> tuple[Array, Whole]:
    """Selling's decomposition of each of many matrices, exact up to round-off.

    Parameters
    ----------
    matrices : array, shape (n, d, d)
        Symmetric, positive semi-definite, d = 2 or 3.

    Returns
    -------
    weights : array, shape (n, d (d + 1)/2)
        λ_k; NaN where no obtuse superbase is found: the matrix is not definite, or singular along no whole direction.
    offsets : int array, shape (n, d (d + 1)/2, d)
        e_k, the first entry that is not 0 positive.

    Examples
    --------
    >>> weights, offsets = decomposed(np.array([[[2.0, 1.0], [1.0, 2.0]]]))
    >>> weights[0], offsets[0].tolist()
    (array([1., 1., 1.]), [[1, 1], [1, 0], [0, 1]])
    """
    n, d = len(matrices), matrices.shape[1]
    bases = np.empty((n, d + 1, d), np.int64)
    obtuse_superbases(np.ascontiguousarray(matrices), bases)
    count = d * (d + 1) // 2
    weights, offsets = np.empty((n, count)), np.empty((n, count, d), np.int64)
    for k, (i, j) in enumerate(combinations(range(d + 1), 2)):
        others = [bases[:, m] for m in range(d + 1) if m not in (i, j)]
        offsets[:, k] = _directed(_orthogonal(others))
        weights[:, k] = -np.einsum("na,nab,nb->n", bases[:, i], matrices, bases[:, j])
    weights[~bases.any((1, 2))] = np.nan
    traces = np.einsum("nii->n", matrices)[:, None]
    return np.where(weights <= ROUNDING * traces, 0.0, weights), offsets


def _orthogonal(others: list[Whole]) -> Whole:
    """The whole vector orthogonal to one vector in the plane, or to two in space; (n, d)."""
    if len(others) == 1:
        return np.stack([-others[0][:, 1], others[0][:, 0]], axis=1)
    return np.cross(others[0], others[1])


def _directed(offsets: Whole) -> Whole:
    """The one of e and −e whose first entry that is not 0 is positive."""
    lead = np.take_along_axis(offsets, np.argmax(offsets != 0, axis=1)[:, None], axis=1)
    return np.where(lead < 0, -offsets, offsets)


def _united(weights: Array, offsets: Whole) -> tuple[Whole, Whole]:
    """All offsets that carry weight anywhere, and for each term its place among them; that of terms without weight is one past the end."""
    d, base = offsets.shape[-1], 2 * REACH + 1
    powers = base ** np.arange(d)
    used = weights > 0
    codes = (np.clip(offsets, -REACH, REACH) + REACH) @ powers
    present = np.flatnonzero(np.bincount(codes[used], minlength=base**d))
    places = np.full(base**d, len(present))
    places[present] = np.arange(len(present))
    return present[:, None] // powers % base - REACH, np.where(used, places[codes], len(present))


def _longest(weights: Array, offsets: Whole) -> Whole:
    """The largest entry of the offsets that carry weight, for each matrix; one more than :data:`REACH` where there is no decomposition."""
    longest = np.where(weights > 0, np.abs(offsets).max(axis=2), 0).max(axis=1)
    return np.where(np.isnan(weights).any(axis=1), REACH + 1, longest)


def reach(grid: ProductGrid) -> int:
    """The longest offset along any axis that a stencil on this grid may have, in cells."""
    return min(REACH, min(grid.shape) // 2)


def _raised(D: Array, far: NDArray[np.bool_], grid: ProductGrid) -> Array:
    """The matrices of the cells that are ``far``, with so much noise in all directions that their neighbours come within reach."""
    values = np.linalg.eigvalsh(D[far])
    least, most, places = values[:, 0], values[:, -1], np.flatnonzero(far)
    worst = int(np.argmin(least / most))
    where = f" at x = {np.round(grid.points[places[worst]], 4).tolist()}" if len(D) > 1 else ""
    if least[worst] < -1e-10 * most[worst]:
        raise SchemeError(
            f"the diffusivity{where} is not positive semi-definite: eigenvalues from {least[worst]:.3g} to {most[worst]:.3g} (cells²/time). "
            "Check the matrix G, or the noise_covariance."
        )
    added = np.maximum(most * (LENGTH / reach(grid)) ** 2 - least, 0.0)
    if (added / most).sum() > RAISED * len(D):
        raise SchemeError(
            f"a positive scheme needs neighbours more than {reach(grid)} cells away{where}: the noise is {_ratio(most[worst], least[worst])} "
            "stronger in one direction, in units of the cells, than across. Use cells whose widths follow the noise, coordinates along it, or "
            "positive=False."
        )
    return D[far] + added[:, None, None] * np.eye(grid.dimension)


def _ratio(most: float, least: float) -> str:
    return f"{most / least:.3g} times" if least > 1e-12 * most else "infinitely"


@compiled
def obtuse_superbases(matrices: Any, bases: Any) -> None:
    """Fill ``bases`` (n, d + 1, d), each from the one before, as fields vary slowly, or else from the axes; zeros where none is found."""
    base = np.zeros(bases.shape[1:], np.int64)
    _reset(base)
    for n in range(len(matrices)):
        found = _made_obtuse(matrices[n], base)
        if not found:
            _reset(base)
            found = _made_obtuse(matrices[n], base)
        for m in range(bases.shape[1]):
            for a in range(bases.shape[2]):
                bases[n, m, a] = base[m, a] if found else 0
        if not found:
            _reset(base)


@compiled
def _reset(base: Any) -> None:
    """The superbase of the axes."""
    d = base.shape[1]
    base[:] = 0
    for i in range(d):
        base[i, i], base[d, i] = 1, -1


@compiled
def _made_obtuse(D: Any, base: Any) -> bool:
    """Take Selling's steps in place; tells whether they came to an end."""
    d = len(D)
    share = 2 // (d - 1)  # of b_i that the others take over, so that the sum stays zero
    for _ in range(MOST_STEPS):
        i, j = _acute(D, base)
        if i < 0:
            return True
        for a in range(d):
            step = base[i, a]
            for m in range(d + 1):
                base[m, a] += 0 if m == j else share * step
            base[i, a] = -step
        for m in range(d + 1):
            for a in range(d):
                if abs(base[m, a]) > LONGEST:
                    return False
    return False


@compiled
def _acute(D: Any, base: Any) -> tuple[int, int]:
    """The first pair with b_i · D b_j > 0; −1 where there is none."""
    for i in range(len(base)):
        for j in range(i):
            product, size = 0.0, 0.0
            for a in range(len(D)):
                for b in range(len(D)):
                    term = base[i, a] * D[a, b] * base[j, b]
                    product += term
                    size += abs(term)
            if product > ROUNDING * size:
                return i, j
    return -1, -1
