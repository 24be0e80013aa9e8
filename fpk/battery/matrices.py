r"""The matrix of a Markov kernel on functionals of the law that it should leave unchanged: integrated where noise can be injected, else from draws.

M_jk = ∫∫ φ_j(x) φ_k(y) π(dx) K(x, dy),   φ_0 = 1,   φ_1, ..., φ_K orthonormal in L²(π).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fpk.battery.moves import Move
from fpk.errors import ComparisonError
from fpk.laws import Array, Law
from fpk.marginals import Estimate, without_luck
from fpk.panels import law_panel

#: Functionals, positions and normal numbers of the matrix.
DEGREE, POSITIONS, NORMALS = 6, 161, 65
#: Quantiles between which positions lie, range of the normal numbers; smallest movement that is divided by; lightest node.
TAIL, REACH, SLOWEST, LIGHTEST = 1e-9, 6.5, 1e-3, 1e-14
#: Tolerances by default, and pairs that are drawn.
INTEGRATED, SAMPLED, DRAWS = 0.02, 0.05, 400_000
#: Standard errors that must fit into the tolerance, and how many times the draws are taken for that at most.
ERRORS, MOST = 6.0, 16
#: Finer grids that are tried until they can tell, and the share of the draws that mistakes are drawn with.
FINER, FEWER = (1, 2, 4), 4


@dataclass(frozen=True)
class GridKernel:
    """A kernel's matrix on functionals of π.

    Parameters
    ----------
    matrix : array, shape (K + 1, K + 1)
        M.
    defect, asymmetry : Estimate
        M_0k for k ≥ 1 and M_jk − M_kj for 1 ≤ j < k, both over 1 − M_11.
    distance : float
        Total variation between π and the part of πK that the first coordinate's functionals see.
    moved : float
        Share of the steps that go anywhere.
    """

    matrix: Array
    defect: Estimate
    asymmetry: Estimate
    distance: float
    moved: float

    @property
    def movement(self) -> float:
        """1 − M_11, what one step forgets of the first functional."""
        return float(1 - self.matrix[1, 1])


def grid_kernel(move: Move, target: Law, *, finer: int = 1, draws: int = DRAWS, seed: int = 0) -> GridKernel:
    """The matrix of a kernel: integrated where the noise is injected and d = 1, on a grid that many times ``finer``, else from ``draws``."""
    if move.injected and target.dimension == 1:
        return _integrated(move, target, finer)
    return _drawn(move, target, draws, seed)


def settled_kernel(move: Move, target: Law, tolerance: float, draws: int, seed: int) -> GridKernel:
    """On the first grid whose budget is small enough to tell, or from as many draws as the first of them say are needed."""
    if move.injected and target.dimension == 1:
        return _on_the_first_fine_grid(move, target, tolerance)
    first = _drawn(move, target, draws, seed)
    value, error = (
        np.concatenate([getattr(e, name) for e in (first.defect, first.asymmetry)])
        for name in ("value", "standard_error")
    )
    if np.any(np.abs(value) > tolerance + 2 * ERRORS * error):  # wrong already
        return first
    more = min(int(np.ceil((ERRORS * error.max() / tolerance) ** 2)), MOST) - 1
    return _pooled([first, *(_drawn(move, target, draws, [seed, k]) for k in range(1, more + 1))])


def _on_the_first_fine_grid(move: Move, target: Law, tolerance: float) -> GridKernel:
    for finer in FINER:
        seen = _integrated(move, target, finer)
        if max(seen.defect.bias_bound.max(), seen.asymmetry.bias_bound.max()) <= tolerance / 3:
            break
    return seen


def _pooled(parts: Sequence[GridKernel]) -> GridKernel:
    """Of equally many draws each."""
    count = len(parts)

    def mean(estimates: Sequence[Estimate]) -> Estimate:
        return replace(
            estimates[0],
            value=np.mean([e.value for e in estimates], axis=0),
            covariance=np.sum([e.covariance for e in estimates if e.covariance is not None], axis=0) / count**2,
            samples=sum(e.samples or 0 for e in estimates),
        )

    matrix = np.mean([part.matrix for part in parts], axis=0)
    moved = float(np.mean([part.moved for part in parts]))
    defect, asymmetry = mean([part.defect for part in parts]), mean([part.asymmetry for part in parts])
    return GridKernel(matrix, defect, asymmetry, _distance(_parts(matrix)[0]), moved)


def _integrated(move: Move, target: Law, finer: int) -> GridKernel:
    """Trapezoid sums over positions and normal numbers; every second node of both makes the coarser sum."""
    from fpk.samplers.coupling import quantiles

    low, high = quantiles(target, np.array([TAIL, 1 - TAIL]))
    places, normals = finer * (POSITIONS - 1) + 1, finer * (NORMALS - 1) + 1
    x, z = np.linspace(low, high, places)[:, None], np.linspace(-REACH, REACH, normals)
    mass = np.outer(np.exp(target.log_density(x)), np.exp(-0.5 * z**2)).ravel()
    kept = np.flatnonzero(mass > LIGHTEST * mass.max())
    which, turn = kept // normals, kept % normals
    branches = move.branches(x[which], z[turn, None])
    even = np.flatnonzero((which % 2 == 0) & (turn % 2 == 0))
    (block,) = law_panel({0.0: target}, degree=DEGREE).smooth
    before = _with_one(block.values(x))[:, which]
    fine, coarse = np.zeros((2, DEGREE + 1, DEGREE + 1))
    moved = 0.0
    for y, share in branches:
        weight, after = share * mass[kept], _with_one(block.values(_checked(y, x[which])))
        fine += (before * weight) @ after.T
        coarse += (before[:, even] * weight[even]) @ after[:, even].T
        moved += float(weight[y[:, 0] != x[which, 0]].sum())
    total = float(mass[kept].sum())
    return _from_sums(fine / total, coarse / float(mass[kept[even]].sum()), moved / total)


def _from_sums(fine: Array, coarse: Array, moved: float) -> GridKernel:
    scale = max(1 - fine[1, 1], SLOWEST)
    parts = [(_parts(fine)[k] / scale, _parts(coarse)[k] / scale) for k in (0, 1)]
    defect, asymmetry = (
        Estimate(value, without_luck(np.abs(value - rough)) + 3e-8, coarser=rough, source="the kernel")
        for value, rough in parts
    )
    return GridKernel(fine, defect, asymmetry, _distance(_parts(fine)[0]), moved)


def _parts(matrix: Array) -> tuple[Array, Array]:
    """M_0k − M_k0, in which the error of ∫ φ_k dπ cancels, and M_jk − M_kj for 1 ≤ j < k."""
    turn = matrix - matrix.T
    return turn[0, 1:], turn[1:, 1:][np.triu_indices(len(matrix) - 1, 1)]


def _drawn(move: Move, target: Law, draws: int, seed: int | list[int]) -> GridKernel:
    """Means over pairs; their functionals are subtracted pair by pair."""
    rng = np.random.default_rng(seed)
    x = target.sample(draws, rng)
    y = _checked(move.drawn(x, rng), x)
    blocks = law_panel({0.0: target}, degree=DEGREE).smooth
    sides = [(block.values(x), block.values(y)) for block in blocks]
    matrix = _with_one(sides[0][0]) @ _with_one(sides[0][1]).T / draws
    scale = max(1 - matrix[1, 1], SLOWEST)
    j, k = np.triu_indices(DEGREE, 1)
    defect = _mean(np.concatenate([after - before for before, after in sides]) / scale)
    asymmetry = _mean(np.concatenate([a[j] * b[k] - a[k] * b[j] for a, b in sides]) / scale)
    moved = float(np.mean(np.any(x != y, axis=1)))
    return GridKernel(matrix, defect, asymmetry, _distance(_parts(matrix)[0]), moved)


def _mean(values: Array) -> Estimate:
    n = values.shape[1]
    covariance = np.atleast_2d(np.cov(values)) / n
    return Estimate(values.mean(1), np.full(len(values), 1e-12), covariance=covariance, samples=n, source="the kernel")


def _checked(y: Array, x: Array) -> Array:
    if y.shape != x.shape:
        raise ComparisonError(f"the kernel returned shape {y.shape} for positions of shape {x.shape}.")
    if not np.isfinite(y).all():
        raise ComparisonError("the kernel returned positions that are not finite.")
    return y


def _with_one(values: Array) -> Array:
    return np.concatenate([np.ones((1, values.shape[1])), values])


def _distance(changes: Array) -> float:
    """½ ∫ |Σ_k d_k φ_k| dπ, in U = F(x)."""
    u = np.linspace(-1, 1, 401)
    series = np.polynomial.legendre.legval(u, np.append(0.0, changes * np.sqrt(2 * np.arange(len(changes)) + 3)))
    return float(0.5 * np.mean(np.abs(series)))
