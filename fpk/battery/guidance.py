r"""Guidance of other people: what is made of two outputs of a model, or of an output and the gradient of a classifier.

On data p, a Gaussian mixture, of which y = X_0 + N(0, R) is observed, everything is a mixture again (:func:`fpk.fields.guidance.observed`):

    at t = 0   the guided score is that of p(x) p(y | x)^w                    (w = 1: the conditional one, w = 0: the unconditional one)
    at t > 0   an output moved by ∇ log p_t(y | x) is that of the posterior p(x | y), noised

so that a combination is held against the field of a law in closed form, never against another combination. The gradient is a difference quotient of
p_t(y | x) = E[N(y; X_0, R) | X_t = x]. Two conventions of w are in use: ``"scale"`` u + w (c − u), and ``"weight"`` (1 + w) c − w u.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fpk.battery.fields import EXPLAINS, OFF_CENTRE, TIMES, FieldExamination, named
from fpk.comparison import settle
from fpk.errors import ComparisonError, UnknownName
from fpk.fields import exact_field
from fpk.fields.guidance import observed
from fpk.laws import Array, GaussianMixture, central_derivative
from fpk.marginals import ROUND_OFF, Estimate, zero_estimate
from fpk.schedules import Schedule, VPSchedule

#: What was observed, and the variance of the observation.
VALUE, SPREAD = 3.1, 0.3
CONVENTIONS = ("scale", "weight")
#: Step of the difference quotient, and how far that leaves a field, relatively.
STEP, QUOTIENT = 1e-3, 1e-8


def posterior(power: float = 1.0) -> GaussianMixture:
    """The law ∝ p(x) p(y | x)^power."""
    return observed(OFF_CENTRE, [VALUE], matrix=[[1.0]], covariance=[[SPREAD]], power=power)


def examine_guidance(
    combined: Callable[..., Any],
    *,
    scale: float = 2.5,
    convention: str = "scale",
    points: int = 256,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> FieldExamination:
    """Hold a combination of a conditional and an unconditional output against the score of the tilted law.

    Parameters
    ----------
    combined : callable
        (conditional, unconditional, scale) ↦ the guided output; arrays of shape (n, d).
    scale : float
        Strength of the guidance.
    convention : {"scale", "weight"}
        Whether 1 or 0 stands for the conditional output.
    points : int
        Positions.
    tolerance : float
        Relative distance that counts as equal.
    seed : int
        Of the positions.

    Examples
    --------
    >>> print(examine_guidance(lambda c, u, w: (1 + w) * c - w * u, convention="weight").verdict.outcome)
    CONFIRMED
    >>> examine_guidance(lambda c, u, w: w * u + (1 - w) * c).suspects[0].mistake
    'weights of the two outputs swapped'
    """
    if convention not in CONVENTIONS:
        raise UnknownName("convention of guidance", convention, CONVENTIONS)
    power = scale + (convention == "weight")
    if not power > 0:
        raise ComparisonError(
            f"the tilted law needs a positive power of p(y | x), got {power:g}: choose another scale."
        )
    x = OFF_CENTRE.sample(points, np.random.default_rng(seed))
    conditional, unconditional = posterior().score(x), OFF_CENTRE.score(x)
    found, exact = np.asarray(combined(conditional, unconditional, scale), float), posterior(power).score(x)
    others = {
        name: unconditional + other * (conditional - unconditional)
        for name, other in _other_powers(power, convention).items()
    } | {
        "unconditional output left out": power * conditional,
        "difference not taken": unconditional + power * conditional,
        "outputs added": conditional + power * unconditional,
        "sign": -exact,
    }
    return _examined([found], [exact], [others], names=("relative distance at t=0",), tolerance=tolerance)


def _other_powers(power: float, convention: str) -> dict[str, float]:
    """Powers that other combinations have whose weights sum to 1."""
    other = power + 1 if convention == "scale" else power - 1
    return {
        "weights of the two outputs swapped": 1 - power,
        "the other convention of the scale": other,
        "guidance left out": 1.0,
        "condition left out": 0.0,
        "sign of the guidance": -power,
    }


def examine_classifier_guidance(
    combined: Callable[..., Any],
    *,
    kind: str,
    schedule: Schedule | None = None,
    times: Sequence[float] = TIMES,
    points: int = 64,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> FieldExamination:
    """Hold an output that was moved by the gradient of a classifier against the field of the posterior.

    Parameters
    ----------
    combined : callable
        (output, gradient, t) ↦ the guided output; arrays of shape (n, d), and a time of the path.
    kind : str
        What the output is.
    schedule : Schedule, optional
        Default: ``VPSchedule(0.1, 20)``.
    times : sequence of float
        Times of the path.
    points, tolerance, seed
        As for :func:`examine_guidance`.

    Examples
    --------
    >>> path = VPSchedule(0.1, 20.0)
    >>> print(examine_classifier_guidance(lambda e, g, t: e - path.sigma(t) * g, kind="noise").verdict.outcome)
    CONFIRMED
    >>> examine_classifier_guidance(lambda e, g, t: e - g, kind="noise").suspects[0].mistake
    'factor σ of the gradient missing'
    """
    path, rng = VPSchedule(0.1, 20.0) if schedule is None else schedule, np.random.default_rng(seed)
    before, after = exact_field(OFF_CENTRE, path, kind=kind), exact_field(posterior(), path, kind=kind)
    found, exact, others = [], [], []
    for t in times:
        alpha, sigma = path.alpha(t), path.sigma(t)
        x = OFF_CENTRE.pushed(alpha * np.eye(1), np.zeros(1), sigma**2 * np.eye(1)).sample(points, rng)
        gradient, output = classifier_gradient(x, path, t), before(x, t)
        found.append(np.asarray(combined(output, gradient, t), float))
        exact.append(after(x, t))
        others.append(_other_gains(output, exact[-1] - output, sigma))
    names = tuple(f"relative distance at t={t:.4g}" for t in times)
    return _examined(found, exact, others, names=names, tolerance=tolerance)


def _other_gains(output: Array, move: Array, sigma: float) -> dict[str, Array]:
    """The output moved by other multiples of the right move."""
    return {
        "factor σ of the gradient missing": output + move / sigma,
        "factor σ² of the gradient missing": output + move / sigma**2,
        "factor σ of the gradient too many": output + move * sigma,
        "sign of the gradient": output - move,
        "sign of the gradient, factor σ missing": output - move / sigma,
        "gradient left out": output,
    }


def classifier_gradient(x: Array, schedule: Schedule, t: float) -> Array:
    """∇_x log p_t(y | x) by sixth-order differences, shape (n, 1)."""
    alpha, noise = schedule.alpha(t), schedule.sigma(t) ** 2
    marginal = OFF_CENTRE.pushed(alpha * np.eye(1), np.zeros(1), noise * np.eye(1))

    def likelihood(y: Array) -> Array:
        seen = 0.0
        for share, mean, variance in zip(
            marginal.responsibilities(y), OFF_CENTRE.means[:, 0], OFF_CENTRE.covariances[:, 0, 0], strict=True
        ):
            gain = alpha * variance / (alpha**2 * variance + noise)
            middle = mean + gain * (y[:, 0] - alpha * mean)
            spread = variance * (1 - alpha * gain) + SPREAD
            seen = seen + share * np.exp(-0.5 * (VALUE - middle) ** 2 / spread) / np.sqrt(spread)
        return np.log(seen)[:, None]  # type: ignore[index]

    return central_derivative(likelihood, x, STEP)


def _examined(
    found: Sequence[Array],
    exact: Sequence[Array],
    others: Sequence[Mapping[str, Array]],
    *,
    names: tuple[str, ...],
    tolerance: float,
) -> FieldExamination:
    """Relative distances at each time, and what the other combinations leave of them."""
    scales = [float(np.sqrt(np.mean(b**2))) for b in exact]

    def left(values: Sequence[Array]) -> Array:
        pairs = zip(found, values, scales, strict=True)
        return np.array([np.sqrt(np.mean((a - b) ** 2)) / scale for a, b, scale in pairs])

    gaps = left(exact)
    estimate = Estimate(gaps, np.full(len(gaps), QUOTIENT + ROUND_OFF), source="the combination")
    verdict = settle(estimate, zero_estimate(len(gaps)), names=names, tolerance=tolerance, kind="identity")
    explained = {name: float(np.linalg.norm(left([other[name] for other in others]))) for name in others[0]}
    suspects = named(explained, among=EXPLAINS * float(np.linalg.norm(gaps)))
    return FieldExamination(verdict, tuple(suspects) if np.any(gaps > tolerance) else (), "guidance")
