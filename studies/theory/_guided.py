r"""A classifier on a noising path: p(y | x₀) = 1/(1 + e^{−kx₀}), data from a Gaussian mixture, and what guidance with it samples.

Given X_t = x, X_0 is a mixture of normal laws N(m_i(x), v_i) with the responsibilities r_i(x), so that h_t(x) = p_t(y | x) is

    h_t(x) = Σ_i r_i(x) E c(m_i(x) + √v_i Z),      c(x₀) = p(y | x₀).

The reverse SDE with the score s + S ∇log h from q_T ∝ p_T h_T^S is a change of measure of the reverse SDE with s. As h is a martingale along the
latter, (∂_τ + L) h^S = ½ S (S − 1) g² |∇log h|² h^S, and Girsanov's formula makes its law at t = 0

    q_0(x) ∝ p_0(x) c(x)^S w(x),     w(x) = E[exp(−½ S (S − 1) ∫₀ᵀ g² |∇log h_t(X_t)|² dt) | X_0 = x],

over the forward process X. Only for S = 1 (and 0) is w constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import expit, log_expit

import fpk
from fpk.fields import exact_field
from fpk.fields.field import Field
from fpk.laws import Array, GaussianMixture, TabulatedLaw, central_derivative
from fpk.models.points import law_points

from ._posteriors import hermite

SCHEDULE = fpk.VPSchedule(0.6, 3.4)
DATA = GaussianMixture([0.3, 0.7], [-1.2, 1.2], stds=[0.5, 0.7])
#: Slope k of the classifier.
SLOPE = 2.0
LOWER, UPPER = -5.6, 5.9


@dataclass(frozen=True)
class Classified:
    """The classifier's view of the noised data.

    Parameters
    ----------
    data : GaussianMixture
        On the line.
    schedule : fpk.VPSchedule
    slope : float
        k.
    nodes : int
        Of Gauss–Hermite rules.
    """

    data: GaussianMixture = DATA
    schedule: fpk.VPSchedule = SCHEDULE
    slope: float = SLOPE
    nodes: int = 16

    @cached_property
    def rule(self) -> tuple[Array, Array]:
        """Nodes and weights of N(0, 1)."""
        return hermite(self.nodes)

    @cached_property
    def problem(self) -> fpk.Problem:
        """The noising SDE."""
        return fpk.noising(self.schedule, self.data)

    @cached_property
    def field(self) -> Field:
        """The score without a condition."""
        return exact_field(self.data, self.schedule)

    def _posterior(self, x: Array, t: float) -> tuple[Array, Array, Array, Array]:
        """Responsibilities (m, n) and their relative slopes, means (m, n) and, for each component, slope of the mean and std (m, 2)."""
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        centres, variances = self.data.means, self.data.covariances[:, 0]
        total = alpha**2 * variances + sigma**2
        off = x - alpha * centres
        logs = np.log(self.data.weights)[:, None] - 0.5 * off**2 / total - 0.5 * np.log(total)
        shares = np.exp(logs - logs.max(0))
        shares /= shares.sum(0)
        slopes = -off / total
        gain = alpha * variances / total
        return (
            shares,
            slopes - (shares * slopes).sum(0),
            centres + gain * off,
            np.hstack([gain, np.sqrt(variances * sigma**2 / total)]),
        )

    def chance(self, x: Array, t: float) -> tuple[Array, Array]:
        """p_t(y | x) and its derivative at x, each of shape (n,)."""
        (z, w), (shares, relative, means, parts) = self.rule, self._posterior(x, t)
        c = expit(self.slope * (means[:, :, None] + parts[:, 1, None, None] * z))
        value, slope = c @ w, self.slope * (c * (1 - c)) @ w
        return (shares * value).sum(0), (shares * (relative * value + parts[:, :1] * slope)).sum(0)

    def pull(self, x: Array, t: float) -> Array:
        """∂ log p_t(y | x), shape (n,)."""
        value, slope = self.chance(x, t)
        return slope / value

    def raw_pull(self, x: Array, t: float) -> Array:
        """∂ log p(y | x₀) of the classifier of clean data, asked at the noised x."""
        return self.slope * expit(-self.slope * x)

    def tilted(self, t: float, power: float, weight: Array | float = 0.0) -> TabulatedLaw:
        """The law ∝ p_t(x) p_t(y | x)^power e^weight on the points of :meth:`table`."""
        x = self.table
        base = self.problem.initial if t == 0 else fpk.exact(self.problem, times=[t]).law(t)
        return TabulatedLaw(x, base.log_density(x[:, None]) + power * self._log_chance(x, t) + weight, reliable=np.inf)

    def _log_chance(self, x: Array, t: float) -> Array:
        return log_expit(self.slope * x) if t == 0 else np.log(self.chance(x, t)[0])

    @cached_property
    def table(self) -> Array:
        """Points between the walls."""
        return np.linspace(LOWER, UPPER, 401)

    def conditional(self, t: float) -> TabulatedLaw:
        """p_t(x | y) ∝ p_t(x) p_t(y | x)."""
        return self.tilted(t, 1.0)

    def log_weight(self, power: float, steps: int) -> Array:
        """log w at the points of the table, by splitting: the potential at both ends of a step, the exact transition between them."""
        (z, w), x, h = self.rule, self.table, 1.0 / steps
        inside = np.linspace(LOWER, UPPER, 81)
        log = np.zeros_like(inside)
        for k in reversed(range(steps)):
            later = log - 0.5 * h * self._rate(inside, (k + 1) * h, power)
            at = x if k == 0 else inside
            slope = self.schedule.alpha((k + 1) * h) / self.schedule.alpha(k * h)
            moved = np.clip(slope * at[:, None] + np.sqrt(1 - slope**2) * z, LOWER, UPPER)
            mean = np.exp(make_interp_spline(inside, later, k=5)(moved)) @ w
            log = np.log(mean) - 0.5 * h * self._rate(at, k * h, power)
        return log

    def _rate(self, x: Array, t: float, power: float) -> Array:
        """½ S (S − 1) g² |∂ log h|²."""
        return 0.5 * power * (power - 1) * self.schedule.beta(t) * self.pull(x, t) ** 2


@dataclass(frozen=True)
class Blurred:
    """The same by quadrature over the data: joint density of X_t and y, without posteriors.

    Parameters
    ----------
    model : Classified
    t : float
    nodes : int
        Of each interval of the data law.
    """

    model: Classified
    t: float
    nodes: int

    def log_joint(self, x: Array, power: float) -> Array:
        """log ∫ p_0(x₀) c(x₀)^power N(x; αx₀, σ²) dx₀ up to a constant, shape of x."""
        points = law_points(self.model.data, nodes=self.nodes)
        alpha, sigma = self.model.schedule.alpha(self.t), self.model.schedule.sigma(self.t)
        gaps = (x[..., None] - alpha * points.x[:, 0]) / sigma
        chances = expit(self.model.slope * points.x[:, 0]) ** power
        return np.log(np.exp(-0.5 * gaps * gaps) @ (points.weights * chances))

    def score(self, x: Array, power: float) -> Array:
        """Derivative of log p_t(x) p_t(y | x)^power."""

        def log(u: Array) -> Array:
            plain = self.log_joint(u, 0.0)
            return plain + power * (self.log_joint(u, 1.0) - plain)

        return central_derivative(log, x, 0.01)
