r"""What the error of a score costs the law: Girsanov's bound, Pinsker's inequality, and the error of the law itself beside them.

The reverse SDE with a learned score s_θ, started from a prior π in place of p_T and stopped at time t = e, has the law p̂_e. The laws of the two
paths differ by a change of drift g²(s − s_θ), and a marginal knows less than its path, hence

    KL(p_e ‖ p̂_e) ≤ KL(p_T ‖ π) + ½ ∫_e^T g² E |s − s_θ|² dt,            TV(p_e, p̂_e) ≤ √(KL/2).

There is equality in the first where s_θ is the score of some other data law under the same noise and π that law's p_T. The bound is about the reverse
SDE; the probability flow of the same score has no such bound, its law is reported beside.

References
----------
Song, Durkan, Murray and Ermon (2021), theorems 1 and 2; Chen, Chewi et al. (2023), theorem 9; Tsybakov (2009), lemma 2.5 (Pinsker).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fpk.closed_form import exact
from fpk.counts import counting
from fpk.errors import ProblemError
from fpk.fields import Field, exact_field
from fpk.fokker_planck.solutions import GridMarginals
from fpk.fokker_planck.solver import solve
from fpk.grids import Grid
from fpk.laws import Law
from fpk.models.fits import field_error, held_out
from fpk.models.points import Pairs, drawn, law_points, time_integral, time_nodes
from fpk.problem import Boundary, Problem
from fpk.schedules import Schedule
from fpk.transformations import reverse_time

#: Mass outside the support of the other law that a divergence leaves out.
OUTSIDE = 1e-9
#: Points between breakpoints among which crossings of densities are looked for.
BETWEEN = 20


def kl_divergence(first: Law, second: Law) -> float:
    """KL(p ‖ q) = E_p log(p/q) by quadrature over the first law; infinite where more than 1e-9 of it lies outside the second one's support."""
    points = law_points(first, nodes=12 if first.dimension == 1 else 24)
    ratio = first.log_density(points.x) - second.log_density(points.x)
    inside = np.isfinite(ratio)
    if points.weights[~inside].sum() > OUTSIDE:
        return float(np.inf)
    return float(points.weights[inside] @ ratio[inside])


def total_variation(first: Law, second: Law) -> float:
    """TV(p, q) = ½ ∫ |p − q| dx (d = 1): half the total variation of F_p − F_q, which turns where the densities cross.

    Accuracy
    --------
    That of the distribution functions, where densities cross between breakpoints of either law at a distance; about 1e-8 of smooth laws.
    """
    x = np.union1d(first.breakpoints(), second.breakpoints())
    x = np.interp(np.arange(0, len(x) - 1, 1 / BETWEEN), np.arange(len(x)), x)
    with np.errstate(invalid="ignore"):  # beyond the support of one of them
        gap = first.log_density(x[:, None]) - second.log_density(x[:, None])
        crossed = np.flatnonzero(gap[1:] * gap[:-1] < 0)
        turns = x[crossed] - gap[crossed] * np.diff(x)[crossed] / np.diff(gap)[crossed]
    x = np.sort(np.concatenate([x, turns[np.isfinite(turns)]]))
    return 0.5 * float(np.abs(np.diff(first.cdf(x) - second.cdf(x), prepend=0.0, append=0.0)).sum())


@dataclass(frozen=True)
class KLBound:
    """An upper bound for KL(p_e ‖ p̂_e) in its two parts.

    Parameters
    ----------
    start : float
        KL(p_T ‖ π).
    path : float
        ½ ∫ g² E |s − s_θ|² dt.
    source : str
        How the path's part was found.
    """

    start: float
    path: float
    source: str = "quadrature"

    @property
    def kl(self) -> float:
        """The bound."""
        return self.start + self.path

    @property
    def total_variation(self) -> float:
        """√(KL/2), the bound for the total variation (at most 1)."""
        return min(1.0, float(np.sqrt(0.5 * self.kl)))

    def __str__(self) -> str:
        """The bound and its parts."""
        return f"KL ≤ {self.kl:.4g} (prior {self.start:.3g}, score {self.path:.4g} by {self.source}), TV ≤ {self.total_variation:.4g}"


def girsanov(problem: Problem, field: Field, *, prior: Law, end: float = 0.0, nodes: int = 32) -> KLBound:
    """The bound with the score error by quadrature, for data whose exact score is known.

    Parameters
    ----------
    problem : Problem
        The noising problem: linear with a schedule, started from a Gaussian mixture.
    field : Field
        The learned field, of any kind.
    prior : Law
        π, what the reverse SDE starts from.
    end : float, default 0
        Where it is stopped; above 0 for kinds that do not determine the score at σ = 0.
    nodes : int
        Gauss–Legendre nodes in time.

    Raises
    ------
    ProblemError
        If the problem states no schedule.
    """
    schedule, laws, truth = _schedule(problem), exact(problem, times=[problem.horizon]), exact_field(problem)

    def rate(t: float) -> float:
        return 0.5 * schedule.diffusion(t) ** 2 * field_error(field, truth, law_points(laws.law(t), t=t))

    path = time_integral(rate, start=end, end=problem.horizon, nodes=nodes)
    return KLBound(kl_divergence(laws.law(problem.horizon), prior), path)


def girsanov_held_out(
    problem: Problem, field: Field, pairs: Sequence[Pairs], *, prior: Law, end: float, alpha: float = 1e-3
) -> KLBound:
    """The bound with the upper confidence limit of the held-out denoising loss, less the loss of the exact field on the same pairs.

    Parameters
    ----------
    problem, field, prior
        As for :func:`girsanov`.
    pairs : sequence of Pairs
        From :func:`held_out_pairs`, which the field was not fitted to.
    end : float
        As for the pairs.
    alpha : float
        Probability that the bound is below the one of :func:`girsanov`.
    """
    schedule, truth = _schedule(problem), exact_field(problem)
    nodes = time_nodes(end, problem.horizon, nodes=len(pairs))
    weights = [0.5 * w * schedule.diffusion(t) ** 2 for t, w in nodes]
    loss = held_out(field, pairs, weights=weights, kind="score", exact=truth, alpha=alpha)
    at_start = exact(problem, times=[problem.horizon]).law(problem.horizon)
    return KLBound(
        kl_divergence(at_start, prior), loss.upper, f"{loss.samples:,} held-out pairs at {counting(len(pairs), 'time')}"
    )


def held_out_pairs(
    problem: Problem, *, end: float, count: int, rng: np.random.Generator, nodes: int = 16
) -> list[Pairs]:
    """Fresh pairs at the Gauss–Legendre times of [end, horizon], ``count`` at each."""
    times = time_nodes(end, problem.horizon, nodes=nodes)
    return [drawn(problem.initial, _schedule(problem), t=t, count=count, rng=rng) for t, _ in times]


def generated(
    problem: Problem, field: Field, *, prior: Law, grid: Grid, end: float = 0.0, noise: float | None = None
) -> GridMarginals:
    """What a learned field generates from a prior, on a grid (d = 1): marginals at the reverse time τ = T − end.

    Parameters
    ----------
    problem, field, prior, end
        As for :func:`girsanov`.
    grid : Grid
        Its ends reflect: they should lie beyond what the law reaches.
    noise : float, optional
        0 follows the probability flow; default the reverse SDE.
    """
    reverse = reverse_time(problem, field.score, initial=prior, noise=noise)
    if not reverse.noiseless:
        reverse = replace(reverse, boundary=Boundary("no_flux", grid.lower, grid.upper))
    return solve(reverse, grid, times=[problem.horizon - end])


def generated_law(
    problem: Problem, field: Field, *, prior: Law, grid: Grid, end: float = 0.0, noise: float | None = None
) -> Law:
    """The law that :func:`generated` ends with, at time ``end``; the same parameters."""
    clock = problem.horizon - end
    return generated(problem, field, prior=prior, grid=grid, end=end, noise=noise).law(clock)


@dataclass(frozen=True)
class ModelError:
    """How wrong a learned field is: the bound, and the observed divergences of the laws it generates from p_e.

    Parameters
    ----------
    bound : KLBound
    kl_sde, tv_sde : float
        Of the reverse SDE, which the bound is about.
    kl_flow, tv_flow : float
        Of the probability flow.
    """

    bound: KLBound
    kl_sde: float
    tv_sde: float
    kl_flow: float
    tv_flow: float

    def __str__(self) -> str:
        """Bound and observations, side by side."""
        rows = (
            ("", "KL", "TV"),
            ("bound", f"{self.bound.kl:.4g}", f"{self.bound.total_variation:.4g}"),
            ("reverse SDE", f"{self.kl_sde:.4g}", f"{self.tv_sde:.4g}"),
            ("probability flow", f"{self.kl_flow:.4g}", f"{self.tv_flow:.4g}"),
        )
        return "\n".join(f"{name:<18}{kl:>10}{tv:>10}" for name, kl, tv in rows)


def model_error(problem: Problem, field: Field, *, prior: Law, grid: Grid, end: float = 0.0) -> ModelError:
    """The bound and what is observed on a grid, for a one-dimensional problem; parameters as for :func:`girsanov` and :func:`generated`."""
    data = exact(problem, times=[problem.horizon]).law(end)
    sde, flow = (generated_law(problem, field, prior=prior, grid=grid, end=end, noise=noise) for noise in (None, 0.0))
    return ModelError(
        girsanov(problem, field, prior=prior, end=end),
        kl_divergence(data, sde),
        total_variation(data, sde),
        kl_divergence(data, flow),
        total_variation(data, flow),
    )


def _schedule(problem: Problem) -> Schedule:
    if problem.schedule is None:
        raise ProblemError(
            f"{problem.name or 'the problem'} states no schedule: make it with fpk.noising(schedule, data)."
        )
    return problem.schedule
