r"""Exact marginals.

A linear SDE dX = (a(t) X + b(t)) dt + G(t) dW from a Gaussian mixture has mixture marginals: with

    Φ̇ = a Φ,  ṁ = a m + b,  V̇ = a V + V aᵀ + G Gᵀ,   Φ(0) = I, m(0) = 0, V(0) = 0,

X_t = Φ(t) X_0 + m(t) + N(0, V(t)) in law. Where a schedule states (α, σ), Φ = α, m = 0, V = σ² is used as stated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np

from fpk.errors import NoClosedForm
from fpk.laws import Array, GaussianMixture, Law
from fpk.marginals import ROUND_OFF, Estimate
from fpk.moments import linear_terms, transition
from fpk.panels import Block, LegendreBlock, Panel, ThresholdBlock, integrals, one_time
from fpk.paths import TwoTimeBlock
from fpk.problem import Problem, chain_name, step_plan
from fpk.shown import Shown, Summarised
from fpk.tracing import Instant, traceable

#: Φ, m and V of X_t = Φ X_0 + m + N(0, V).
Moments = tuple[Array, Array, Array]


@dataclass(frozen=True, repr=False)
class LawMarginals(Summarised, Shown):
    """Marginals given by laws: ``law(t)`` is p_t.

    Parameters
    ----------
    law_at : callable or mapping
        t ↦ Law; a constant law is ``lambda t: law``.
    times : tuple of float
        Where comparisons are made by default.
    accuracy : float
        Bound for the error of the laws' expectations themselves (0: exact up to round-off).
    source : str
    joint : callable, optional
        (s, t) ↦ law of (X_s, X_t) on R^{2d}, s ≤ t.
    scheme : str, optional
        Set where the laws are those of a discretisation.
    problem : Problem, optional
        Whose laws they are, where that is known.
    """

    law_at: Callable[[float], Law] | Mapping[float, Law]
    times: tuple[float, ...]
    accuracy: float = 0.0
    source: str = "closed form"
    joint: Callable[[float, float], GaussianMixture] | None = None
    scheme: str | None = None
    problem: Problem | None = field(default=None, compare=False)
    exactness: ClassVar[int] = 2

    def law(self, t: float) -> Law:
        """The law p_t."""
        return self.law_at[t] if isinstance(self.law_at, Mapping) else self.law_at(t)

    @traceable
    def score(self, x: Array, t: float) -> Array:
        """∇ log p_t(x), shape (n, d); can be compiled for Gaussian mixtures."""
        return (GaussianMixture.traced(self.law, t) if isinstance(t, Instant) else self.law(t)).score(x)

    def density_on(self, x: Array, t: float) -> Array:
        """p_t at points x of shape (n,); d = 1."""
        return np.exp(self.law(t).log_density(x[:, None]))

    def expect(self, panel: Panel) -> Estimate:
        """Expectations by composite Gauss–Legendre quadrature, 12 against 8 nodes an interval as the error bound."""
        fine, thresholds = integrals(panel, lambda block: self._expected(block, 12))
        coarse, _ = integrals(panel, lambda block: self._expected(block, 8))
        floor = ROUND_OFF * 10 + self.accuracy
        return Estimate(
            fine,
            np.abs(fine - coarse) + floor,
            coarser=fine,
            thresholds=thresholds,
            threshold_bound=np.full_like(thresholds, floor),
            scheme=self.scheme,
            source=self.source,
        )

    def _expected(self, given: Block, nodes: int) -> Array:
        if isinstance(given, TwoTimeBlock) and self.joint is not None:
            return _joint_quadrature(self.joint(*given.times), given, 4 * nodes)
        block = one_time(given, self.source)
        law = self.law(block.time).projected(block.direction)
        if isinstance(block, ThresholdBlock):
            return law.cdf(block.points)
        return _quadrature(law, block, nodes)


def _quadrature(law: Law, block: LegendreBlock, nodes: int) -> Array:
    """∫ φ dp over the law's breakpoints, each interval split in 4; mass missed by the box is returned as round-off by the caller."""
    edges = law.breakpoints()
    edges = np.unique(
        np.concatenate([np.linspace(a, b, 4, endpoint=False) for a, b in itertools.pairwise(edges)] + [edges[-1:]])
    )
    u, w = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * np.diff(edges)
    x = (edges[:-1, None] + half[:, None] * (1 + u)).ravel()
    mass = np.exp(law.log_density(x[:, None])) * (half[:, None] * w).ravel()
    return block.values_along(x) @ mass


def exact(problem: Problem, *, times: Sequence[float]) -> LawMarginals:
    """The exact marginals of a linear problem started from a Gaussian mixture.

    Parameters
    ----------
    problem : Problem
        Drift :class:`fpk.Linear` (or an expression linear in x), diffusion independent of x, open boundary.
    times : sequence of float
        Where comparisons are made by default; ``law(t)`` answers for every t in [0, horizon].

    Returns
    -------
    LawMarginals

    Raises
    ------
    NoClosedForm
        Saying which assumption fails.

    Accuracy
    --------
    Schedules: round-off. Otherwise moments by an eighth-order Runge–Kutta method, relative error about 1e-12.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(2.0, 0.5))
    >>> law = exact(ou, times=[1.0]).law(1.0)
    >>> round(float(law.mean[0]), 9), round(float(law.covariance[0, 0]), 9)
    (0.735758882, 0.898498538)
    """
    _require_closed_form(problem)
    times = problem.checked_times(times)
    moments = _schedule_map(problem) if problem.schedule is not None else _moment_map(problem)
    accuracy = 0.0 if problem.schedule is not None else 1e-11
    source = f"closed form of {problem.name or 'the linear SDE'}"
    return replace(_pushed_marginals(problem.initial, moments, times, accuracy, source, None), problem=problem)


def euler_chain(problem: Problem, *, steps: int, times: Sequence[float]) -> LawMarginals:
    """The exact law of the Euler–Maruyama chain of a linear problem, step by step: what particles with these steps have, without any bias.

    Parameters
    ----------
    problem : Problem
        As for :func:`exact`.
    steps : int
        Steps from 0 to the last time. ``fpk.simulate(..., steps=m)`` reports an ensemble of 2m steps.
    times : sequence of float

    Returns
    -------
    LawMarginals
        With ``scheme`` set, so that a comparison with particles of the same steps drops their time-step budget: at four steps a skipped last
        step, or coefficients read at the wrong end, stand out.

    Raises
    ------
    NoClosedForm
        As for :func:`exact`.
    """
    _require_closed_form(problem)
    times = problem.checked_times(times)
    table, state, t = {}, _no_step(problem.dimension), 0.0
    for (count, h), target in zip(step_plan(times, steps), times, strict=True):
        for i in range(count):
            state = _euler_step(problem, state, t + i * h, h)
        t = target
        table[target] = state
    source = f"exact law of {steps} Euler–Maruyama steps"
    return _pushed_marginals(
        problem.initial, table.__getitem__, times, 0.0, source, f"Euler–Maruyama {chain_name(times, steps)}"
    )


def _pushed_marginals(
    initial: GaussianMixture,
    moments: Callable[[float], Moments],
    times: tuple[float, ...],
    accuracy: float,
    source: str,
    scheme: str | None,
) -> LawMarginals:
    """Marginals and joint laws of X_t = Φ(t) X_0 + m(t) + N(0, V(t)), a Markov process."""
    known = lru_cache(maxsize=4096)(moments)

    @lru_cache(maxsize=4096)
    def law_at(t: float) -> Law:
        return initial if t == 0 else initial.pushed(*known(t))

    def joint(s: float, t: float) -> GaussianMixture:
        phi_s, m_s, v_s = known(s) if s > 0 else _no_step(initial.dimension)
        phi_t, m_t, v_t = known(t)
        cross = v_s @ np.linalg.solve(phi_s.T, phi_t.T)  # Cov of the noises: V_s Φ(t, s)ᵀ
        noise = np.block([[v_s, cross], [cross.T, v_t]])
        return initial.pushed(np.vstack([phi_s, phi_t]), np.concatenate([m_s, m_t]), noise + 1e-15 * np.eye(len(noise)))

    return LawMarginals(law_at, times, accuracy, source, joint, scheme)


def _no_step(d: int) -> Moments:
    return np.eye(d), np.zeros(d), np.zeros((d, d))


def _euler_step(problem: Problem, state: Moments, t: float, h: float) -> Moments:
    phi, m, v = state
    a, b, g = linear_terms(problem, t)
    step = np.eye(len(m)) + h * a
    return step @ phi, step @ m + h * b, step @ v @ step.T + h * (g @ g.T)


def _joint_quadrature(joint: GaussianMixture, block: TwoTimeBlock, nodes: int) -> Array:
    """E φ_j(X_s) φ_k(X_t) by Gauss–Hermite quadrature over each component of the bivariate law of the two slices."""
    d = len(block.first.direction)
    rows = np.zeros((2, 2 * d))
    rows[0, :d], rows[1, d:] = block.first.direction, block.second.direction
    pair = joint.pushed(rows, np.zeros(2), np.zeros((2, 2)))
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.stack([g.ravel() for g in np.meshgrid(z, z, indexing="ij")], axis=1)
    mass = np.outer(w, w).ravel() / w.sum() ** 2
    flat = [replace(b, direction=np.ones(1)) for b in (block.first, block.second)]
    total = np.zeros(len(block.names))
    for weight, mean, covariance in zip(pair.weights, pair.means, pair.covariances, strict=True):
        x = mean + grid @ np.linalg.cholesky(covariance).T
        total += weight * (TwoTimeBlock(*flat).values(x[:, :1], x[:, 1:]) @ mass)
    return total


def _require_closed_form(problem: Problem) -> None:
    missing = []
    if problem.drift.linear is None:
        missing.append("the drift is not known to be linear in x (use fpk.Linear or an expression that is)")
    if problem.diffusion.state_dependent:
        missing.append("the diffusion depends on x")
    if not isinstance(problem.initial, GaussianMixture):
        missing.append("the initial law is not a Gaussian mixture")
    if problem.boundary.kind != "open":
        missing.append(f"the boundary is {problem.boundary.kind}")
    if missing:
        raise NoClosedForm(f"no closed form: {'; '.join(missing)}. Use fpk.solve or fpk.simulate.")


def _schedule_map(problem: Problem) -> Callable[[float], Moments]:
    schedule, eye = problem.schedule, np.eye(problem.dimension)
    assert schedule is not None
    return lambda t: (schedule.alpha(t) * eye, np.zeros(len(eye)), schedule.sigma(t) ** 2 * eye)


def _moment_map(problem: Problem) -> Callable[[float], Moments]:
    return lru_cache(maxsize=4096)(lambda t: transition(problem, 0.0, t)[:3])
