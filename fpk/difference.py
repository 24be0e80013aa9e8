r"""The difference of two Estimates: value d, budget b, covariance C, and how sharply the pair can be held against each other.

The sharpest reading the two sides allow is taken, and named by ``method``:

deterministic
    No sampling noise: only budgets count.
coupled
    Both sides used the same noise: C is the covariance of the block-wise difference, and the time-step budget is that of the difference.
discrete law
    Both sides are laws of the same discretisation (the same scheme and steps): there is no time-step bias between them.
independent
    Sampled sides with nothing in common: covariances and budgets add.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.marginals import CAUTION, STEP_LUCK, Estimate, panel_step_budget, without_luck

#: Probability of refuting a true equality, and of confirming a difference δ.
ALPHA, BETA = 1e-6, 1e-3
#: Power aimed at by the minimum detectable effect: more than the .99 that is promised, as standard errors grow with the difference.
POWER = 0.995
#: Panels larger than this are tested functional by functional.
LARGE = 96
#: Smallest variance, in units of a standardised functional, that a direction of the panel is believed to have.
COLLINEAR = 1e-3
#: Two deterministic sides disagree beyond an estimated budget times this.
EXCESS = 10.0
#: Values from which on their covariance counts as known.
MANY = 1_000_000
#: Standard errors that the change between two time steps may owe to luck.
CHANCE = 3.0


class Difference:
    """The difference of two Estimates: value d, budget b, covariance C, standard error se."""

    def __init__(self, first: Estimate, second: Estimate, names: tuple[str, ...]) -> None:
        if first.value.shape != second.value.shape:
            raise ComparisonError(
                f"the two sides answered different panels: {first.value.shape} values from {first.source!r}, "
                f"{second.value.shape} from {second.source!r}."
            )
        self.first, self.second, self.names = first, second, names
        self.d = first.value - second.value
        self.deterministic = first.deterministic and second.deterministic
        self.proven = first.proven and second.proven
        self.coupled = first.noise_key is not None and first.noise_key == second.noise_key and not self.deterministic
        self.same_scheme = first.scheme is not None and first.scheme == second.scheme
        self.C, self.blocks = self._covariance()
        self.se = np.sqrt(self.C if self.C.ndim == 1 else np.diag(self.C))
        self.b = self._budget()

    @property
    def method(self) -> str:
        """How the two sides are held against each other, in the words of the module."""
        if self.deterministic:
            return "deterministic"
        return "coupled" if self.coupled else "discrete law" if self.same_scheme else "independent"

    def _budget(self) -> Array:
        a, b = self.first, self.second
        if self.same_scheme:
            return a.bias_without_step + b.bias_without_step
        change = self._coupled_change()
        if change is None:
            return a.bias_bound + b.bias_bound
        return a.bias_without_step + b.bias_without_step + panel_step_budget(*_mean_and_error(change))

    def _coupled_change(self) -> Array | None:
        """What twice the step changes in the difference of coupled sides, block by block; None where it is not known."""
        fine = self._paired("block_means") if self.coupled else None
        coarse = self._paired("coarse_block_means") if self.coupled else None
        return None if fine is None or coarse is None else fine - coarse

    @property
    def budget_parts(self) -> tuple[Array, Array]:
        """The parts (lasting, passing) of the budget, which is about lasting + passing/√n with n times the samples.

        Budgets of time steps are measured with the samples. Of a mean change m with standard error s, CAUTION √(m² − 9 s²) lasts, and
        3 s + CAUTION 3 s passes, whatever the luck of m.
        """
        lasting, passing = self.b, np.zeros_like(self.b)
        for change, budget in self._measured_steps():
            mean, error = _mean_and_error(change)
            known = CAUTION * np.sqrt(np.maximum(mean**2 - (CHANCE * error) ** 2, 0))
            lasting = lasting - budget + without_luck(known, STEP_LUCK)
            passing = passing + without_luck((3 + CHANCE * CAUTION) * error, STEP_LUCK)
        return np.maximum(lasting, 0), passing

    def _measured_steps(self) -> list[tuple[Array, Array]]:
        """Changes from twice the step, block by block, with the part of the budget that they are the ground of."""
        if self.same_scheme:
            return []
        change = self._coupled_change()
        if change is not None:
            return [(change, panel_step_budget(*_mean_and_error(change)))]
        return [
            (side.block_means - side.coarse_block_means, side.step_bias)
            for side in (self.first, self.second)
            if side.block_means is not None and side.coarse_block_means is not None and side.step_bias is not None
        ]

    def _paired(self, name: str) -> Array | None:
        """Block-wise difference of the two sides, shape (B, K); None where a side has no such blocks."""
        a, b = getattr(self.first, name), getattr(self.second, name)
        return None if a is None or b is None or a.shape != b.shape else a - b

    def _covariance(self) -> tuple[Array, int | None]:
        paired = self._paired("block_means") if self.coupled else None
        if paired is not None:
            if len(paired) <= len(self.d):
                raise ComparisonError(
                    f"coupled sides need more than {len(self.d)} block means for {len(self.d)} functionals, got {len(paired)}: "
                    "use more samples, or fewer times in the panel."
                )
            return np.atleast_2d(np.cov(paired, rowvar=False)) / len(paired), len(paired)
        parts = [side.covariance for side in (self.first, self.second) if side.covariance is not None]
        if parts and all(part.ndim == 1 for part in parts):
            return sum(parts, np.zeros(len(self.d))), None
        square = [np.diag(part) if part.ndim == 1 else part for part in parts]
        return sum(square, np.zeros((len(self.d), len(self.d)))), None

    @property
    def large(self) -> bool:
        """Whether the panel is too large for a joint statistic: each functional is then tested with its share of the level."""
        few = self.independent is not None and self.independent <= len(self.d) + 1
        return self.C.ndim == 1 or len(self.d) > LARGE or few

    @property
    def independent(self) -> int | None:
        """How many independent values the covariance was estimated from: blocks, or the samples of the side that has fewest."""
        sampled = [side.samples for side in (self.first, self.second) if side.samples and not side.deterministic]
        return self.blocks or min(sampled, default=None)

    def quantile(self, tail: float, *, times: float = 1.0) -> float:
        """Z with P(T > z) = tail for a standardised mean T: Student's t for the number of values it was estimated from, or so many ``times`` it."""
        from scipy.special import stdtrit

        count = None if self.independent is None else self.independent * (1.0 if self.blocks else times)
        if count is None or count > MANY:
            return normal_quantile(tail)
        return float(-stdtrit(max(count - 1, 1), tail))

    def shrinks(self) -> NDArray[np.bool_]:
        """Whether each |d_k| at least halves from the coarser level to this one."""
        if self.first.coarser is None and self.second.coarser is None:
            return np.zeros(len(self.d), bool)
        levels = [side.value if side.coarser is None else side.coarser for side in (self.first, self.second)]
        return np.abs(self.d) <= 0.5 * np.abs(levels[0] - levels[1])

    def explained(self, agreement: float) -> NDArray[np.bool_]:
        """Whether what is left of each d_k is the budget's: within ε = b + 5 se, or within agreement · ε and falling."""
        if np.isinf(agreement):
            return np.ones(len(self.d), bool)
        epsilon, left = self.b + 5 * self.se, np.abs(self.d)
        return (left <= epsilon) | ((left <= agreement * epsilon) & self.shrinks())

    @property
    def asymmetry(self) -> float:
        """How much of the squared skewness of single samples is left in d: (1/n₁ − 1/n₂)² / (1/n₁ + 1/n₂), 1/n for one sampled side."""
        if self.blocks is not None:
            return 0.0
        sides = (self.first, self.second)
        first, second = (0.0 if s.deterministic or s.averaged or not s.samples else 1 / s.samples for s in sides)
        return (first - second) ** 2 / (first + second) if first + second else 0.0

    def critical(self, level: float) -> float:
        """Quantile of the quadratic statistic: Hotelling's T² for the number of values C was estimated from, χ²_K for many.

        Functionals of single samples are skewed, and then large means go with small estimated variances: S passes Hotelling's quantile c
        too often, 6 times at 1e-6 with 1,000 samples. c (1 + c² h / 2K), h the :attr:`asymmetry`, makes up for it: 1.3 times.
        """
        from scipy import stats

        K, n = len(self.d), self.independent
        if self.large:
            return self.quantile(level / (2 * K)) ** 2
        if n is None or n > MANY:
            return float(stats.chi2.isf(level, K))
        c = float(stats.f.isf(level, K, n - K) * K * (n - 1) / (n - K))
        return c * (1 + c**2 * self.asymmetry / (2 * K))

    def mde(self, alpha: float) -> float:
        """Minimum detectable effect of the worst functional."""
        if self.deterministic:
            return float(np.max(self.b if self.proven else (EXCESS + 1) * self.b))
        spread = np.sqrt(self.critical(alpha / 2)) + self.quantile(1 - POWER)
        return float(np.max(2 * self.b + spread * self.se))


def effect_size(first: Estimate, second: Estimate) -> float:
    """A lower limit for the effect that separates the two: max_k (|d_k| − b_k − 3 se_k), at least 0."""
    evidence = Difference(first, second, ())
    return float(max(0.0, np.max(np.abs(evidence.d) - evidence.b - 3 * evidence.se)))


def _mean_and_error(blocks: Array) -> tuple[Array, Array]:
    """Mean of block means, shape (B, K), and its standard error."""
    return blocks.mean(0), blocks.std(0, ddof=1) / np.sqrt(len(blocks))


def normal_quantile(tail: float) -> float:
    """Z with P(N(0, 1) > z) = tail."""
    from scipy.special import ndtri

    return float(-ndtri(tail))


def box_constrained(d: Array, C: Array, b: Array) -> float:
    """S = min over |e_k| ≤ b_k of (d − e)ᵀ C⁻¹ (d − e); 0 when every budget is infinite and explains everything.

    Directions in which the standardised functionals have less than :data:`COLLINEAR` of variance count with that much: they are nearly
    linear relations between functionals, broken by rare samples only, and no normal approximation holds there.

    Parameters
    ----------
    d, b : array, shape (K,)
    C : array, shape (K, K), positive semi-definite

    Returns
    -------
    float
        Never larger than the statistic of the true bias, when that is admissible: the false-alarm rate is at most nominal.
    """
    from scipy.optimize import lsq_linear

    # A variance of exactly 0 (two sides with the same samples) is taken as the round-off of the values.
    scale = np.sqrt(np.maximum(np.diag(C), np.finfo(float).eps ** 2 * max(1.0, float(np.max(d**2)))))
    variances, axes = np.linalg.eigh(C / np.outer(scale, scale))
    whiten = axes / np.sqrt(np.maximum(variances, COLLINEAR)) / scale[:, None]
    free = np.isfinite(b)
    if not free.any():
        return 0.0
    if np.all(b[free] == 0) and free.all():
        return float(np.sum((d @ whiten) ** 2))
    bound = np.where(free, np.maximum(b, 1e-300), 1e300)
    found = lsq_linear(whiten.T, d @ whiten, bounds=(-bound, bound), method="bvls", tol=1e-14)
    return float(2 * found.cost)
