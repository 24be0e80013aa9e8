r"""What a model is shown: the number that stands for the time, and the scale of the position.

A model that was trained on the path X_t = α_t X_0 + σ_t Z itself takes t and x. Others take an index, a noise level, or a time that runs
from noise to data, and positions y = s_t x on the path with α' = s α and σ' = s σ:

===================== ======================= ============================================
scale                 s                       on the scaled path
===================== ======================= ============================================
``"path"``            1                       α' = α, σ' = σ
``"VP"``              1/√(α² + σ²)            α'² + σ'² = 1
``"VE"``              1/α                     α' = 1, σ' = σ/α
``EDM(sigma_data)``   1/√(α² σ_d² + σ²)       unit variance for data of standard deviation σ_d
===================== ======================= ============================================

References
----------
Song et al. (2021), appendix B and C; Karras et al. (2022), equation 7 and table 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fpk.errors import ProblemError
from fpk.schedules import Schedule, rates

DIRECTIONS = ("t_noise", "t_data")
SCALES = ("path", "VP", "VE")
#: How far a time may be from an index, or beyond the last one, by rounding.
SLACK = 1e-6


@dataclass(frozen=True)
class Index:
    """The time of a discrete-time model: ``count`` noise levels, numbered from ``first``, equally spaced from t = ``start`` to 1.

    Parameters
    ----------
    count : int
        Number of levels, at least 2.
    first : int
        Number of the least noisy one, 0 or 1.
    start : float
        Its time: 1/count for the levels t = 1/count, 2/count, ..., 1 of DDPM, 0 for levels that span [0, 1].
    whole : bool, default False
        Whether only whole numbers are understood (tables of embeddings); they are then passed as integers.

    Raises
    ------
    ProblemError
        For counts or starts that make no sense; on use, for times before ``start``, after 1, or between the levels of whole numbers.

    Examples
    --------
    >>> Index(1000, first=0, start=0.001)(0.2504)
    249.4
    """

    count: int
    first: int
    start: float
    whole: bool = False

    def __post_init__(self) -> None:
        if not (self.count >= 2 and self.first in (0, 1) and 0 <= self.start < 1):
            raise ProblemError(
                f"an index needs count ≥ 2, first = 0 or 1 and 0 ≤ start < 1, got count={self.count}, first={self.first}, start={self.start}."
            )

    def __call__(self, t: float) -> float:
        """The index at t, fractional between levels."""
        steps = (t - self.start) / (1 - self.start) * (self.count - 1)
        if not -SLACK <= steps <= self.count - 1 + SLACK:
            raise ProblemError(
                f"the model knows the times {self.start:g} to 1 (indices {self.first} to {self.first + self.count - 1}), asked at t={t:g}: "
                "let the sampler end at the first of them."
            )
        if self.whole and abs(steps - round(steps)) > SLACK:
            spacing = (1 - self.start) / (self.count - 1)
            raise ProblemError(
                f"t={t:g} lies between two whole indices, at {self.first + steps:.6g}: take times {self.start:g} + k × {spacing:g}, "
                "or declare whole=False if the model understands fractions."
            )
        return self.first + (round(steps) if self.whole else min(max(round(steps, 12), 0.0), self.count - 1.0))


@dataclass(frozen=True)
class EDM:
    """The scale x/√(α² σ_d² + σ²) of Karras et al. (2022), for data of the declared standard deviation σ_d."""

    sigma_data: float

    def __post_init__(self) -> None:
        if not self.sigma_data > 0:
            raise ProblemError(f"sigma_data is the standard deviation of the data, got {self.sigma_data}.")


def checked_scale(scale: Any) -> str | EDM:
    """The scale, refused if it is none."""
    if isinstance(scale, EDM) or scale in SCALES:
        return scale
    raise ProblemError(
        f"the scale {scale!r} of a model's input is none of {', '.join(map(repr, SCALES))} and EDM(sigma_data)."
    )


def scaling(scale: str | EDM, schedule: Schedule, t: float) -> float:
    """S_t in y = s_t x."""
    data, noise = _weights(scale)
    if data == noise == 0:
        return 1.0
    squared = data * schedule.alpha(t) ** 2 + noise * schedule.sigma(t) ** 2
    if squared == 0:
        raise ProblemError(f"the scale {scale!r} has no value at t={t:g}, where α = 0: end before that time.")
    return squared**-0.5


def scaling_rate(scale: str | EDM, schedule: Schedule, t: float) -> float:
    """ṡ/s = −s² (w_α α α̇ + w_σ σ σ̇), from 1/s² = w_α α² + w_σ σ²."""
    data, noise = _weights(scale)
    (alpha_rate, sigma_rate), sigma = rates(schedule, t), schedule.sigma(t)
    growth = sigma * sigma_rate if sigma > 0 else 0.5 * schedule.diffusion(t) ** 2
    return -(scaling(scale, schedule, t) ** 2) * (data * schedule.alpha(t) * alpha_rate + noise * growth)


def _weights(scale: str | EDM) -> tuple[float, float]:
    """(w_α, w_σ) in 1/s² = w_α α² + w_σ σ²; both 0 where s = 1."""
    if isinstance(scale, EDM):
        return scale.sigma_data**2, 1.0
    return {"path": (0.0, 0.0), "VP": (1.0, 1.0), "VE": (1.0, 0.0)}[scale]


def clock(time: Any, schedule: Schedule, direction: str) -> Callable[[float], Any]:
    """The function from the time of the path to what the model is given.

    Raises
    ------
    ProblemError
        For declarations that mean nothing.
    """
    if direction not in DIRECTIONS:
        raise ProblemError(
            f"the direction {direction!r} of a model's time is none of 't_noise' (it grows towards the noise) and 't_data'."
        )
    if time == "sigma" and direction == "t_data":
        raise ProblemError("noise levels grow towards the noise: time='sigma' goes with direction='t_noise'.")
    own = _named_clocks(schedule).get(time, time) if time is None or isinstance(time, str) else time
    if not callable(own):
        raise ProblemError(
            f"the time {time!r} of a model is none of 'path', 'sigma', None, an Index, and a function of t."
        )
    return own if direction == "t_noise" else lambda t: own(1 - t)


def _named_clocks(schedule: Schedule) -> dict[str | None, Callable[[float], Any]]:
    return {None: lambda u: None, "path": lambda u: u, "sigma": lambda u: _noise_level(schedule, u)}


def _noise_level(schedule: Schedule, t: float) -> float:
    if schedule.alpha(t) == 0:
        raise ProblemError(f"the noise level σ/α is infinite at t={t:g}, where α = 0: begin after that time.")
    return schedule.sigma(t) / schedule.alpha(t)
