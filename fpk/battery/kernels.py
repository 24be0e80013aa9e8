r"""Markov kernels of other people: does x ↦ K(x, ·) leave π unchanged, is it reversible, and if not, which mistake looks like it?

Moments of long runs see little. The kernel itself is looked at, through its matrix on functionals φ_0 = 1, φ_1, ..., orthonormal in L²(π),

    M_jk = ∫∫ φ_j(x) φ_k(y) π(dx) K(x, dy):   πK = π  ⟺  M_0k = 0 for k ≥ 1,    detailed balance  ⟺  M = Mᵀ.

Where the noise can be injected (d = 1) both integrals are trapezoid sums over a grid of positions and normal numbers, and uniform numbers are
integrated by looking for the place where a decision turns: no sampling error. Else X is drawn from π and Y from K(X, ·), and the pairs are
compared with each other, so that what does not move costs nothing.

Defects of one step are told in units of what one step forgets, 1 − M_11: d/(1 − M_11) is about what the law at rest is wrong by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpk.battery.fields import EXPLAINS, named
from fpk.battery.findings import Finding, Suspect, stated
from fpk.battery.moves import Move, langevin_mistakes
from fpk.comparison import settle
from fpk.difference import ALPHA
from fpk.errors import ComparisonError
from fpk.laws import Array, Law
from fpk.marginals import Estimate, without_luck, zero_estimate
from fpk.orders import order_of
from fpk.panels import law_panel
from fpk.verdict import Outcome, Verdict

#: Functionals, positions and normal numbers of the matrix.
DEGREE, POSITIONS, NORMALS = 6, 161, 65
#: Quantiles between which positions lie, range of the normal numbers; smallest movement that is divided by; lightest node.
TAIL, REACH, SLOWEST, LIGHTEST = 1e-9, 6.5, 1e-3, 1e-14
#: Tolerances by default, and pairs that are drawn.
INTEGRATED, SAMPLED, DRAWS = 0.02, 0.05, 800_000
#: Finer grids that are tried until they can tell, and the share of the draws that mistakes are drawn with.
FINER, FEWER = (1, 2, 4), 2


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


@dataclass(frozen=True)
class KernelExamination:
    """What was found about a kernel: findings, and mistakes that would explain them, best first."""

    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...]
    kernel: GridKernel

    @property
    def outcome(self) -> Outcome:
        """REFUTED if one finding is, CONFIRMED if all are."""
        outcomes = {finding.verdict.outcome for finding in self.findings}
        worst = (Outcome.REFUTED, Outcome.UNDECIDED, Outcome.CONFIRMED)
        return next(outcome for outcome in worst if outcome in outcomes)

    def __str__(self) -> str:
        lines = [*map(str, self.findings), *(f"  {k}. {s}" for k, s in enumerate(self.suspects[:3], 1))]
        return "\n".join(lines)


def examine_kernel(
    kernel: Callable[..., Any],
    target: Law,
    *,
    noise: str = "rng",
    log_acceptance: Callable[[Array, Array], Array] | None = None,
    log_proposal: Callable[[Array, Array], Array] | None = None,
    step: float | None = None,
    preconditioner: float = 1.0,
    gradient: bool = True,
    reversible: bool = True,
    tolerance: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    alpha: float = ALPHA,
) -> KernelExamination:
    """Examine one step of a Markov chain that should leave a law unchanged.

    Parameters
    ----------
    kernel : callable
        Positions after one step, (n, d): ``kernel(x, rng)``, with injected noise ``kernel(x, z)`` or ``kernel(x, z, u)``, z (n, d) normal and u
        (n,) uniform; with ``log_acceptance`` the proposal, ``kernel(x, z)``.
    target : Law
        π.
    noise : str
        ``"rng"``, ``"normal"`` or ``"normal and uniform"``: what the kernel takes. Injected noise is integrated (d = 1) or drawn.
    log_acceptance : callable, optional
        (x, y) ↦ logarithm of the probability that a proposal is taken, (n,).
    log_proposal : callable, optional
        (x, y) ↦ logarithm of the density to propose y at x: then detailed balance is also checked at pairs of points, to round-off.
    step : float, optional
        h, if y = x + h P s(x) + √(2hP) z is meant with the score s: mistakes are then looked for.
    preconditioner : float
        P.
    gradient : bool
        False: a random walk is meant, without h P s(x).
    reversible : bool
        Whether detailed balance is claimed.
    tolerance : float, optional
        How far the law at rest may be off, in units of its spread; default .02, and .05 for draws.
    draws : int
        Pairs that are drawn.
    seed, alpha
        Of the draws; probability of refuting a kernel that leaves π unchanged.

    Examples
    --------
    >>> import fpk
    >>> law, h = fpk.Gaussian(3.0, 0.7), 0.2
    >>> langevin = lambda x, z: x + h * law.score(x) + np.sqrt(2 * h) * z
    >>> found = examine_kernel(langevin, law, noise="normal", step=h)
    >>> print(found.outcome, found.suspects[0].mistake)
    REFUTED accept step missing
    """
    move = Move(kernel, noise, log_acceptance)
    if tolerance is None:
        tolerance = INTEGRATED if move.injected and target.dimension == 1 else SAMPLED
    seen = _settled_kernel(move, target, tolerance, draws, seed)
    findings = [
        stated("moves", seen.moved > 0, f"{seen.moved:.2g} of the steps go anywhere"),
    ]
    findings += [_stationary(seen, tolerance, alpha)]
    if reversible:
        findings.append(_balanced(seen, tolerance, alpha))
    if log_acceptance is not None and log_proposal is not None:
        findings.append(_balanced_at_points(target, move, log_proposal, seed))
    wrong = any(finding.refuted for finding in findings)
    suspects: list[Suspect] = []
    if wrong and step is not None:
        known = _Known(target, step, preconditioner, gradient, draws // FEWER, seed + 1)
        suspects = _suspects(seen, known.matrices)
    return KernelExamination(tuple(findings), tuple(suspects), seen)


def defect_order(
    kernels: Callable[[float], Callable[..., Any]],
    target: Law,
    sizes: Sequence[float],
    *,
    noise: str = "normal",
    order: float = 2.0,
    tolerance: float = 0.25,
) -> Verdict:
    """The order in h of what one step changes in π: 2 for unadjusted Langevin steps, which leave the law at rest wrong by O(h), 1 for most slips.

    Parameters
    ----------
    kernels : callable
        h ↦ kernel with injected noise.
    target : Law
        d = 1.
    sizes : sequence of float
        Falling; five or more are advised.
    noise : str
    order, tolerance : float
        Claimed.

    Raises
    ------
    ComparisonError
        If the noise cannot be injected.
    """
    if noise == "rng":
        raise ComparisonError("an order needs errors without sampling noise: inject it, noise='normal'.")
    seen = [grid_kernel(Move(kernels(h), noise), target) for h in sizes]
    defects = [float(np.sqrt(np.sum(k.matrix[0, 1:] ** 2))) for k in seen]
    floor = max(float(np.max(k.defect.bias_bound)) * k.movement for k in seen)
    return order_of(sizes, defects, order=order, tolerance=tolerance, floor=floor, source="defect of one step")


# -- the matrix --------------------------------------------------------------------------------------------------------


def grid_kernel(move: Move, target: Law, *, finer: int = 1, draws: int = DRAWS, seed: int = 0) -> GridKernel:
    """The matrix of a kernel: integrated where the noise is injected and d = 1, on a grid that many times ``finer``, else from ``draws``."""
    if move.injected and target.dimension == 1:
        return _integrated(move, target, finer)
    return _drawn(move, target, draws, seed)


def _settled_kernel(move: Move, target: Law, tolerance: float, draws: int, seed: int) -> GridKernel:
    """On the first grid whose budget is small enough to tell."""
    for finer in FINER:
        seen = grid_kernel(move, target, finer=finer, draws=draws, seed=seed)
        if max(seen.defect.bias_bound.max(), seen.asymmetry.bias_bound.max()) <= tolerance / 3:
            break
    return seen


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


def _drawn(move: Move, target: Law, draws: int, seed: int) -> GridKernel:
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


# -- findings ----------------------------------------------------------------------------------------------------------


def _stationary(seen: GridKernel, tolerance: float, alpha: float) -> Finding:
    verdict = _settled(seen.defect, "πK", tolerance, alpha)
    line = f"the law at rest is off by about {np.max(np.abs(seen.defect.value)):.2g} of its spread; |πK − π| = {seen.distance:.2g}"
    return Finding("stationary", verdict, line, {"distance": seen.distance, "movement": seen.movement})


def _balanced(seen: GridKernel, tolerance: float, alpha: float) -> Finding:
    verdict = _settled(seen.asymmetry, "detailed balance", tolerance, alpha)
    return Finding(
        "detailed balance",
        verdict,
        f"the matrix differs from its transpose by {np.max(np.abs(seen.asymmetry.value)):.2g}",
    )


def _settled(found: Estimate, source: str, tolerance: float, alpha: float) -> Verdict:
    zero = zero_estimate(len(found.value))
    names = tuple(f"{source}, functional {k + 1}" for k in range(len(found.value)))
    return settle(found, zero, names=names, tolerance=tolerance, kind="identity", alpha=alpha)


def _balanced_at_points(target: Law, move: Move, log_proposal: Callable[[Array, Array], Array], seed: int) -> Finding:
    """log π(x) q(x, y) a(x, y), symmetric in x and y."""
    x, y = (target.sample(256, np.random.default_rng([seed, k])) for k in (1, 2))
    assert move.log_acceptance is not None

    def flux(a: Array, b: Array) -> Array:
        return target.log_density(a) + log_proposal(a, b) + np.minimum(move.log_acceptance(a, b), 0.0)  # type: ignore[misc]

    there, back = flux(x, y), flux(y, x)
    gap = (there - back) / (1 + np.abs(there) + np.abs(back))
    worst = np.array([gap[np.argmax(np.abs(gap))]])
    found = Estimate(worst, np.full(1, 1e-12), source="log π q a")
    verdict = settle(found, zero_estimate(1), names=("detailed balance at points",), tolerance=1e-9, kind="identity")
    return Finding("balance at points", verdict, f"log π(x) q(x, y) a(x, y) differs by {abs(worst[0]):.2g}, relative")


# -- which mistake -----------------------------------------------------------------------------------------------------


def _suspects(seen: GridKernel, known: Mapping[str, Array]) -> list[Suspect]:
    """Mistakes by the distance of their matrices from the one that was seen, over that from the right one."""
    left = {name: float(np.linalg.norm(seen.matrix - matrix)) for name, matrix in known.items()}
    scale = max(left.pop(""), 1e-12)
    return named({name: distance / scale for name, distance in left.items()}, among=EXPLAINS)


class _Known:
    """Matrices of Langevin steps with one mistake each; the last few sets are kept."""

    kept: ClassVar[dict[tuple[Any, ...], tuple[Law, dict[str, Array]]]] = {}

    def __init__(self, target: Law, step: float, preconditioner: float, gradient: bool, draws: int, seed: int) -> None:
        key = (id(target), step, preconditioner, gradient, draws, seed)
        if key not in self.kept:
            moves = langevin_mistakes(target, step, preconditioner, gradient=gradient)
            matrices = {name: grid_kernel(move, target, draws=draws, seed=seed).matrix for name, move in moves.items()}
            self.kept[key] = target, matrices  # the law is held, so that its id stays its own
        while len(self.kept) > 8:
            del self.kept[next(iter(self.kept))]
        self.matrices = self.kept[key][1]
