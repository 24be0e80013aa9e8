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
from fpk.battery.matrices import DRAWS, FEWER, INTEGRATED, SAMPLED, GridKernel, grid_kernel, settled_kernel
from fpk.battery.moves import Move, langevin_mistakes
from fpk.comparison import settle
from fpk.difference import ALPHA
from fpk.errors import ComparisonError
from fpk.laws import Array, Law
from fpk.marginals import Estimate, zero_estimate
from fpk.orders import order_of
from fpk.verdict import Outcome, Verdict

#: What to say beyond a mistake's name.
ADVICE = {
    "accept step missing": "unadjusted steps leave a law at rest that is wrong by O(h), defect_order tells them from slips"
}


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
        ``"rng"``, ``"normal"`` or ``"normal and uniform"``: what the kernel takes. Injected noise is integrated (d = 1; the uniform number
        decides between two outcomes, with one place where it turns) or drawn.
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
        Pairs that are drawn, up to 16 times where the tolerance needs more.
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
    seen = settled_kernel(move, target, tolerance, draws, seed)
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
    shares = {name: distance / scale for name, distance in left.items()}
    return named(shares, lambda name: ADVICE.get(name, ""), among=EXPLAINS)


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
