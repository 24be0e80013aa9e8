r"""Times of a sampler: decreasing, from ``start`` (the horizon) to ``end``.

With u = k/N, k = 0 ... N,

    uniform        t = start + u (end − start)
    quadratic      √t is uniform: short steps near the data, where σ_t ~ √t for variance-preserving schedules
    log_snr        λ_t = log(α_t/σ_t) is uniform
    karras         ρ-th roots of the noise level σ_t/α_t are uniform

The noise level of the last two increases with t for every schedule; times are found by bisection.

References
----------
Song, Meng & Ermon (2021), appendix D.3 (quadratic); Lu et al. (2022), section 3.4 (log-SNR); Karras et al. (2022), equation 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpk.errors import SchemeError
from fpk.laws import Array
from fpk.schedules import Schedule


def uniform(steps: int, *, start: float = 1.0, end: float = 0.0) -> Array:
    """N equal steps, shape (N + 1,)."""
    return np.linspace(start, end, _counted(steps) + 1)


def quadratic(steps: int, *, start: float = 1.0, end: float = 0.0) -> Array:
    """N equal steps of √t, shape (N + 1,)."""
    return np.linspace(start**0.5, end**0.5, _counted(steps) + 1) ** 2


def log_snr(schedule: Schedule, steps: int, *, start: float = 1.0, end: float) -> Array:
    """N equal steps of log(α_t/σ_t), shape (N + 1,); ``end`` > 0, where there is noise left."""
    return _spaced(schedule, _counted(steps), start, _noisy(end, "log_snr"), np.log, np.exp)


def karras(schedule: Schedule, steps: int, *, start: float = 1.0, end: float, rho: float = 7.0) -> Array:
    """N − 1 equal steps of (σ_t/α_t)^(1/ρ) down to ``end`` > 0, and one from there to 0; shape (N + 1,)."""
    if _counted(steps) < 2:
        raise SchemeError(f"karras times need 2 or more steps, the last one from end= to 0; got {steps}.")
    inner = _spaced(schedule, steps - 1, start, _noisy(end, "karras"), lambda s: s ** (1 / rho), lambda r: r**rho)
    return np.append(inner, 0.0)


def checked_times(times: ArrayLike) -> Array:
    """The times as an array, shape (N + 1,), refused where they do not decrease to 0 or above.

    Raises
    ------
    SchemeError
        Naming the first place where they do not.
    """
    t = np.asarray(times, float)
    if t.ndim != 1 or len(t) < 2 or not np.all(np.isfinite(t)):
        raise SchemeError(f"times must be a list of two or more finite numbers, start first, got {times!r}.")
    if not np.all(np.diff(t) < 0) or t[-1] < 0:
        k = int(np.argmax(np.append(np.diff(t) >= 0, True)))
        raise SchemeError(
            f"samplers walk down: times must decrease to an end ≥ 0, got {t[k : k + 2].tolist()} at step {k} of {len(t) - 1}."
        )
    return t


def _counted(steps: int) -> int:
    if not (steps >= 1 and steps % 1 == 0):
        raise SchemeError(f"a sampler needs a whole number of steps ≥ 1, got steps={steps!r}.")
    return int(steps)


def _noisy(end: float, name: str) -> float:
    if not end > 0:
        raise SchemeError(f"{name} times have no last noise level at t = 0: give end > 0, got {end!r}.")
    return end


def _spaced(
    schedule: Schedule, steps: int, start: float, end: float, scale: Callable[[float], float], inverse: Callable[[Array], Array]
) -> Array:  # fmt: skip
    """Times whose noise levels σ_t/α_t are equally spaced on a scale; both ends as given."""
    levels = inverse(np.linspace(scale(_level(schedule, start)), scale(_level(schedule, end)), steps + 1))
    return np.array([start, *(time_of(schedule, s, start=start, end=end) for s in levels[1:-1]), end])


def _level(schedule: Schedule, t: float) -> float:
    return schedule.sigma(t) / schedule.alpha(t)


def time_of(schedule: Schedule, level: float, *, start: float, end: float) -> float:
    """The time in [end, start] at which σ_t/α_t = ``level``, to 1e-15."""
    from scipy.optimize import brentq

    root: Any = brentq(lambda t: schedule.sigma(t) - level * schedule.alpha(t), end, start, xtol=1e-15)
    return float(root)
