r"""Noise schedules: the law of X_t given the data.

A schedule is a pair of functions with

    X_t = α_t X_0 + σ_t Z,   Z ~ N(0, I) independent of X_0,   α_0 = 1, σ_0 = 0,

(flow matching may leave σ_0 = σ_min > 0 at the data, see :class:`OTSchedule`) and it is realised by the linear Itô SDE

    dX = (α̇/α) X dt + √(d(σ²)/dt − 2 (α̇/α) σ²) dW.

``alpha`` and ``sigma`` state the law, ``drift_rate`` and ``diffusion`` state the SDE. For the named schedules the two are written
down separately, from their sources, so that holding one against the other tests something. β(t) is the *rate* of the
variance-preserving SDE and B(t) = ∫₀ᵗ β its integral. :func:`rates` are α̇ and σ̇: stated by the named schedules, else those of the SDE.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np

from fpk.errors import ProblemError
from fpk.shown import Shown
from fpk.symbolic import formula, numeric


@runtime_checkable
class Schedule(Protocol):
    """What a schedule says: α_t, σ_t of the law and rate f(t), g(t) of the SDE dX = f(t) X dt + g(t) dW."""

    def alpha(self, t: float) -> float:
        """Scale α_t of the data."""
        ...

    def sigma(self, t: float) -> float:
        """Standard deviation σ_t of the noise."""
        ...

    def drift_rate(self, t: float) -> float:
        """f(t) in dX = f(t) X dt + g(t) dW."""
        ...

    def diffusion(self, t: float) -> float:
        """g(t) in dX = f(t) X dt + g(t) dW."""
        ...


def rates(schedule: Schedule, t: float) -> tuple[float, float]:
    """α̇_t and σ̇_t: by the schedule's own ``rates``, or else α̇ = f α and σ̇ = f σ + g²/(2σ) from its SDE.

    Returns
    -------
    tuple of float
        σ̇ is ∞ where σ² leaves 0 with a positive slope (VP and VE at t = 0), and NaN where σ = g = 0 and the schedule states no rates.
    """
    if hasattr(schedule, "rates"):
        return schedule.rates(t)  # type: ignore[attr-defined]
    sigma, f, g = schedule.sigma(t), schedule.drift_rate(t), schedule.diffusion(t)
    return f * schedule.alpha(t), f * sigma + _slope_of_root(0.5 * g**2, sigma, np.nan)


def _slope_of_root(half_slope: float, sigma: float, otherwise: float) -> float:
    """σ̇ from ½ d(σ²)/dt; at σ = 0 infinite, or ``otherwise`` if the slope vanishes too."""
    if sigma > 0:
        return half_slope / sigma
    return np.inf if half_slope > 0 else otherwise


@dataclass(frozen=True)
class _LinearRate(Shown):
    """β(t) = beta_min + t (beta_max − beta_min), t in units of the horizon 1; constant when ``beta_max`` is omitted."""

    beta_min: float = 0.1
    beta_max: float | None = None

    def __post_init__(self) -> None:
        if not (self.beta_min >= 0 and self._top >= 0):
            raise ProblemError(
                f"the rate β(t) must not be negative, got beta_min={self.beta_min}, beta_max={self._top}."
            )

    @property
    def _top(self) -> float:
        return self.beta_min if self.beta_max is None else self.beta_max

    def beta(self, t: float) -> float:
        """The rate β(t)."""
        return self.beta_min + t * (self._top - self.beta_min)

    def integrated_beta(self, t: float) -> float:
        """B(t) = ∫₀ᵗ β."""
        return self.beta_min * t + 0.5 * t**2 * (self._top - self.beta_min)


class VariancePreserving(ABC):
    """dX = −½β X dt + √β dW, α = e^{−B/2}, σ² = 1 − e^{−B}, for any rate β with its integral B; subclasses say these.

    References
    ----------
    Song et al. (2021), equation 11; Chen (2024), equations 16 to 19.
    """

    @abstractmethod
    def beta(self, t: float) -> float:
        """The rate β(t)."""

    @abstractmethod
    def integrated_beta(self, t: float) -> float:
        """B(t) = ∫₀ᵗ β."""

    def alpha(self, t: float) -> float:
        """α_t = e^{−B(t)/2}."""
        return float(np.exp(-0.5 * self.integrated_beta(t)))

    def sigma(self, t: float) -> float:
        """σ_t = √(1 − e^{−B(t)})."""
        return float(np.sqrt(-np.expm1(-self.integrated_beta(t))))

    def drift_rate(self, t: float) -> float:
        """−½β(t)."""
        return -0.5 * self.beta(t)

    def diffusion(self, t: float) -> float:
        """√β(t)."""
        return float(np.sqrt(self.beta(t)))


class VPSchedule(_LinearRate, VariancePreserving):
    """Variance preserving: dX = −½β X dt + √β dW, α = e^{−B/2}, σ² = 1 − e^{−B}.

    Parameters
    ----------
    beta_min, beta_max : float
        β(t) = beta_min + t (beta_max − beta_min); ``beta_max`` omitted: constant rate.

    References
    ----------
    Song et al. (2021), equations 11 and 29; Chen (2024), equations 16 to 19.
    """

    def rates(self, t: float) -> tuple[float, float]:
        """α̇ = −½βα and σ̇ = ½βα²/σ, which starts at ∞, or at √(½β̇) where β starts at 0."""
        half, alpha = 0.5 * self.beta(t), self.alpha(t)
        return -half * alpha, _slope_of_root(half * alpha**2, self.sigma(t), float(np.sqrt(0.5 * self._top)))


class SubVPSchedule(_LinearRate):
    """Sub-VP: dX = −½β X dt + √(β(1 − e^{−2B})) dW, α = e^{−B/2}, σ = 1 − e^{−B}.

    Parameters
    ----------
    beta_min, beta_max : float
        As for :class:`VPSchedule`.

    References
    ----------
    Song et al. (2021), equations 12 and 29; Chen (2024), equations 21 and 22.
    """

    def alpha(self, t: float) -> float:
        """α_t = e^{−B(t)/2}."""
        return float(np.exp(-0.5 * self.integrated_beta(t)))

    def sigma(self, t: float) -> float:
        """σ_t = 1 − e^{−B(t)}."""
        return float(-np.expm1(-self.integrated_beta(t)))

    def drift_rate(self, t: float) -> float:
        """−½β(t)."""
        return -0.5 * self.beta(t)

    def diffusion(self, t: float) -> float:
        """√(β(1 − e^{−2B}))."""
        return float(np.sqrt(-self.beta(t) * np.expm1(-2 * self.integrated_beta(t))))

    def rates(self, t: float) -> tuple[float, float]:
        """α̇ = −½βα and σ̇ = βα²."""
        beta, alpha = self.beta(t), self.alpha(t)
        return -0.5 * beta * alpha, beta * alpha**2


@dataclass(frozen=True)
class VESchedule(Shown):
    """Variance exploding, geometric: dX = √(dσ²/dt) dW with σ_t² = s(t)² − s(0)², s(t) = sigma_min (sigma_max/sigma_min)^t.

    References
    ----------
    Song et al. (2021), equations 9 and 30; Chen (2024), equation 20.
    """

    sigma_min: float = 0.01
    sigma_max: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max:
            raise ProblemError(
                f"a VE schedule needs 0 < sigma_min < sigma_max, got {self.sigma_min}, {self.sigma_max}."
            )

    def _scale(self, t: float) -> float:
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** t

    def alpha(self, t: float) -> float:
        """α_t = 1."""
        return 1.0

    def sigma(self, t: float) -> float:
        """σ_t = √(s(t)² − s(0)²)."""
        return float(np.sqrt(self._scale(t) ** 2 - self.sigma_min**2))

    def drift_rate(self, t: float) -> float:
        """0."""
        return 0.0

    def diffusion(self, t: float) -> float:
        """s(t) √(2 log(sigma_max/sigma_min))."""
        return float(self._scale(t) * np.sqrt(2 * np.log(self.sigma_max / self.sigma_min)))

    def rates(self, t: float) -> tuple[float, float]:
        """0 and σ̇ = s² log(sigma_max/sigma_min) / σ, which starts at ∞."""
        return 0.0, _slope_of_root(self._scale(t) ** 2 * np.log(self.sigma_max / self.sigma_min), self.sigma(t), np.inf)


@dataclass(frozen=True)
class OTSchedule(Shown):
    """The straight path X_t = (1 − t) X_0 + σ_t Z with σ_t = σ_min + (1 − σ_min) t of rectified flows and flow matching, t in [0, 1].

    No SDE reaches t = 1, where the data are forgotten: ``drift_rate`` and ``diffusion`` end before; α, σ and the rates do not.

    Parameters
    ----------
    sigma_min : float, default 0
        What is left of the noise at t = 0, from 0 to below 1. Where it is positive the path ends in the data blurred by N(0, σ_min² I), not in the
        data, and no SDE that starts from the data has it: follow a velocity.

    Raises
    ------
    ProblemError
        If ``sigma_min`` is not in [0, 1).

    References
    ----------
    Liu, Gong and Liu (2023), equation 1; Lipman et al. (2023), equation 20. Both let the time run from noise to data.

    Examples
    --------
    >>> OTSchedule().sigma(0.5), OTSchedule(sigma_min=0.5).sigma(0.5)
    (0.5, 0.75)
    """

    sigma_min: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_min < 1:
            raise ProblemError(f"the straight path needs 0 ≤ sigma_min < 1, got {self.sigma_min!r}.")

    def alpha(self, t: float) -> float:
        """α_t = 1 − t."""
        return 1.0 - t

    def sigma(self, t: float) -> float:
        """σ_t = σ_min + (1 − σ_min) t."""
        return float(self.sigma_min + (1.0 - self.sigma_min) * t)

    def rates(self, t: float) -> tuple[float, float]:
        """−1 and 1 − σ_min."""
        return -1.0, 1.0 - self.sigma_min

    def _before_the_end(self, t: float) -> float:
        if not t < 1:
            raise ProblemError(
                f"no SDE reaches the end t = 1 of the straight path, asked at t={t:g}: end the problem before (horizon=), "
                "or follow a velocity field instead."
            )
        return 1.0 - t

    def drift_rate(self, t: float) -> float:
        """−1/(1 − t), t < 1."""
        return -1.0 / self._before_the_end(t)

    def diffusion(self, t: float) -> float:
        """√(2σ_t/(1 − t)), t < 1."""
        return float(np.sqrt(2 * self.sigma(t) / self._before_the_end(t)))


@dataclass(frozen=True)
class AffineSchedule(Shown):
    """Any pair (α, σ) given by functions or formulas of t; the SDE is derived from it.

    Parameters
    ----------
    alpha_function, sigma_function : callable, text or sympy expression in t
        α(t) > 0 and σ(t) ≥ 0 with α(0) = 1, σ(0) = 0 and σ/α non-decreasing (otherwise no real noise realises the pair).
    step : float
        Step of the sixth-order differences that give α̇ and d(σ²)/dt (one-sided values outside the domain are the caller's to allow).

    Raises
    ------
    ProblemError
        If one is neither, or a formula of something else than t; where σ/α decreases: the message says where.

    Examples
    --------
    >>> path = AffineSchedule("cos(pi*t/2)", "sin(pi*t/2)")
    >>> round(path.alpha(0.5), 12) == round(path.sigma(0.5), 12) == round(0.5**0.5, 12)
    True
    """

    alpha_function: Any
    sigma_function: Any
    step: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("alpha", "sigma"):
            _of_time(getattr(self, f"{name}_function"), name)

    def alpha(self, t: float) -> float:
        """α_t."""
        return float(_of_time(self.alpha_function, "alpha")(t))

    def sigma(self, t: float) -> float:
        """σ_t."""
        return float(_of_time(self.sigma_function, "sigma")(t))

    def _positive_alpha(self, t: float) -> float:
        if not self.alpha(t) > 0:
            raise ProblemError(
                f"α must be positive, got {self.alpha(t):.3g} at t={t:g}: end the problem before (horizon=), as no SDE reaches α = 0."
            )
        return self.alpha(t)

    def _slope(self, function: Callable[[float], float], t: float) -> float:
        h = self.step
        offsets, weights = _one_sided(t / h)
        return sum(w * function(max(t + k * h, 0.0)) for k, w in zip(offsets, weights, strict=True)) / h

    def drift_rate(self, t: float) -> float:
        """α̇/α."""
        return self._slope(self.alpha, t) / self._positive_alpha(t)

    def diffusion(self, t: float) -> float:
        """√(α² d(σ²/α²)/dt)."""
        squared = self.alpha(t) ** 2 * self._slope(lambda u: (self.sigma(u) / self._positive_alpha(u)) ** 2, t)
        if squared < -1e-8:
            raise ProblemError(
                f"σ/α decreases at t={t:g} (g² would be {squared:.3g}): no SDE with real noise has this schedule."
            )
        return float(np.sqrt(max(squared, 0.0)))

    def rates(self, t: float) -> tuple[float, float]:
        """α̇ and σ̇, the latter from the slope of σ², which is smooth where σ is a root."""
        half = 0.5 * self._slope(lambda u: self.sigma(u) ** 2, t)
        if self.sigma(t) == 0 and abs(half) < 1e-8:
            return self._slope(self.alpha, t), self._slope(self.sigma, t)
        return self._slope(self.alpha, t), _slope_of_root(half, self.sigma(t), np.inf)


def _of_time(given: Any, name: str) -> Callable[[float], Any]:
    """A function of t, from itself or a formula."""
    if isinstance(given, (str, int, float)) or hasattr(given, "free_symbols"):
        return _read(given, name)
    if callable(given):
        return given
    raise ProblemError(f"{name} must be a function of t, or a formula in t; got {given!r}.")


@lru_cache(maxsize=256)
def _read(given: Any, name: str) -> Callable[[float], float]:
    import sympy

    t = sympy.Symbol("t", real=True)
    return numeric((t,), formula(given, {"t": t}, name))


def _one_sided(room: float) -> tuple[range, np.ndarray]:
    """Seven-point first-derivative weights, shifted to the right when fewer than three steps of ``room`` are left of t."""
    left = -int(min(3, np.floor(room + 1e-9)))
    offsets = range(left, left + 7)
    powers = np.vander(np.asarray(offsets, float), increasing=True).T
    return offsets, np.linalg.solve(powers, np.eye(7)[1])
