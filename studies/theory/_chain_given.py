"""Posteriors between two ends of a step: the formulas, wrong ones too, a step of DDPM, and Bayes' rule after a step of the family."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.fields import Field
from fpk.laws import Array
from fpk.samplers import DDPM

from ._chain_laws import AHEAD, LATER, NOW, SCHEDULE, STARTS, after, before, kept, moments, normal_moments
from ._posteriors import normal_log


def between(
    a: float, ends: tuple[float, float] = (NOW, LATER), below: float | None = None, start: Array = STARTS
) -> tuple[Array, float]:
    """Mean and variance given both ends, α = a; ``below``: what stands in the denominator of the mean."""
    early, late = kept(ends[0]), a * kept(ends[0])
    top = early**0.5 * (1 - a) * start + a**0.5 * (1 - early) * AHEAD
    return top / (1 - late if below is None else below), (1 - a) * (1 - early) / (1 - late)


def exchanged(a: float) -> tuple[Array, float]:
    top = kept(NOW) ** 0.5 * (1 - a) * AHEAD + a**0.5 * (1 - kept(NOW)) * STARTS
    return top / (1 - a * kept(NOW)), between(a)[1]


def rootless(a: float) -> tuple[Array, float]:
    top = kept(NOW) * (1 - a) * STARTS + a * (1 - kept(NOW)) * AHEAD
    return top / (1 - a * kept(NOW)), between(a)[1]


POSTERIORS: dict[str, Callable[[float], tuple[Array, float]]] = {
    "stated": between,
    "1 − α below": lambda a: between(a, below=1 - a),
    "ends exchanged": exchanged,
    "√ missing": rootless,
    "variance of the step": lambda a: (between(a)[0], 1 - a),
    "α + 0.2 %": lambda a: between(1.002 * a),
}


def step_of_ddpm() -> Array:
    """Moments of DDPM's step where the model answers x₀, from one position after the other."""
    field = Field(lambda x, t: STARTS[:, None], "denoised", SCHEDULE)
    (step,) = DDPM(field, times=[LATER, NOW]).kernels(0)
    return normal_moments(step.mean(AHEAD[:, None])[:, 0], step.std**2)


def first_step(t: float) -> Array:
    """Means of x_t given both ends, t small."""
    log = lambda x: before(x, t=t) + after(x, ends=(t, LATER))  # noqa: E731
    return moments(log, centre=SCHEDULE.alpha(t) * STARTS, width=SCHEDULE.sigma(t))[0][:3]


STEP = LATER - NOW
MULTIPLES = {"σ² = 0.4 g²": 0.4, "σ = g": 1.0, "σ² = 2 g²": 2.0}


@lru_cache(maxsize=8)
def _members(multiple: float) -> list[tuple[fpk.Problem, fpk.LawMarginals]]:
    """The family's member with σ² = multiple · g² for data at each start, and the law of x_t."""
    noise = lambda t: multiple**0.5 * SCHEDULE.diffusion(t)  # noqa: E731
    out = []
    for start in STARTS:
        forward = fpk.noising(SCHEDULE, fpk.Gaussian(float(start), 1e-6))
        path = fpk.exact(forward, times=[NOW])
        out.append((fpk.with_noise(forward, path.score, noise=noise), path))
    return out


@lru_cache(maxsize=8)
def after_euler(multiple: float, frozen: bool) -> tuple[Array, Array]:
    """Moments of x_t given both ends of an Euler step; ``frozen``: its score is read at x_{t+Δ}."""
    members = _members(multiple)

    def log(x: Array) -> Array:
        columns = []
        for (problem, path), ahead, y in zip(members, AHEAD, x.T, strict=True):
            drift = problem.drift(y[:, None], NOW)[:, 0]
            if frozen:
                score = path.score(np.append(y, ahead)[:, None], NOW)[:, 0]
                drift = drift + lack(multiple) * (score[:-1] - score[-1])
            variance = float(problem.diffusion(np.zeros((1, 1)), NOW).ravel()[0]) ** 2 * STEP
            columns.append(path.law(NOW).log_density(y[:, None]) + normal_log(ahead, y + STEP * drift, variance))
        return np.stack(columns, axis=1)

    return moments(log)


def lack(multiple: float) -> float:
    """½(g² − σ²)."""
    return 0.5 * (1 - multiple) * SCHEDULE.diffusion(NOW) ** 2


def family(
    multiple: float,
    *,
    frozen: bool = False,
    sign: float = 1.0,
    known: float = 1.0,
    root: float = 0.5,
    factor: float = 1.0,
) -> Array:
    """The completed square."""
    centre, spread = kept(NOW) ** root * STARTS, 1 - kept(NOW)
    rest, a = sign * lack(multiple) * STEP, 1 + SCHEDULE.drift_rate(NOW) * STEP
    noise = factor * multiple * SCHEDULE.diffusion(NOW) ** 2 * STEP
    pulled = -(AHEAD - centre) if frozen else centre
    a = a if frozen else a + rest / spread
    precision = a**2 / noise + known / spread
    return normal_moments(
        (a * (AHEAD + rest * pulled / spread) / noise + known * centre / spread) / precision, 1 / precision
    )


FAMILY: dict[str, dict[str, Any]] = {
    "stated": {},
    "score frozen": {"frozen": True},
    "score sign": {"sign": -1.0},
    "x₀ left out": {"known": 0.0},
    "√ missing on ᾱ": {"root": 1.0},
    "σ² + 0.5 %": {"factor": 1.005},
}
