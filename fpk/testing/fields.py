"""Assertions about fields: scores, velocities and divergences that somebody else computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fpk.battery.divergences import examine_divergence
from fpk.battery.fields import OFF_CENTRE, TIMES, examine_field, examine_static_score
from fpk.errors import ComparisonError
from fpk.laws import Array, GaussianMixture, Law
from fpk.schedules import Schedule
from fpk.testing.examined import concluded
from fpk.testing.failure_text import call_text
from fpk.verdict import Verdict


def assert_score(
    model: Any,
    law: Law = OFF_CENTRE,
    schedule: Schedule | None = None,
    *,
    kind: str = "score",
    time: Any = "path",
    direction: str = "t_noise",
    scale: Any = "path",
    time_as: str | None = None,
    times: Sequence[float] = TIMES,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Verdict:
    """A model is the score of the law, on the path of the schedule, or of the law itself.

    Parameters
    ----------
    model : torch.nn.Module, object with ``predict``, or callable
        (x, t) ↦ values as it is declared by the keywords (:func:`fpk.fields.as_field`); x ↦ values without a schedule.
    law : Law
        The data. With a schedule: a GaussianMixture.
    schedule : Schedule, optional
        None: the score of the law itself is meant.
    kind : str
        What is predicted, if not the score: ``noise``, ``denoised``, ``v``, ``velocity`` or ``edm``.
    time, direction, scale, time_as
        What is declared about the model.
    times : sequence of float
        Where to compare.
    tolerance : float
        Relative distance that counts as equal.
    seed : int
        Of the positions.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted
        Naming what the outputs look like instead.
    ComparisonError
        If what is declared does not fit the law.

    Examples
    --------
    >>> import fpk
    >>> law = fpk.Gaussian(3.0, 0.5)
    >>> print(fpk.testing.assert_score(lambda x: (3.0 - x) / 0.25, law).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    check = call_text("assert_score", "model", "law", kind=kind, tolerance=tolerance, seed=seed)
    if schedule is None:
        if kind != "score":
            raise ComparisonError(f"kind={kind!r} needs a schedule: noise is added along one.")
        found = examine_static_score(model, law, tolerance=tolerance, seed=seed)
        return concluded(found.verdict, found.suspects, check)
    if not isinstance(law, GaussianMixture):
        raise ComparisonError("with a schedule the law is a GaussianMixture: the score of others is not known.")
    found = examine_field(
        model, law, schedule, kind=kind, time=time, direction=direction, scale=scale, time_as=time_as,
        times=times, tolerance=tolerance, seed=seed,
    )  # fmt: skip
    return concluded(found.verdict, found.suspects, check)


def assert_velocity(
    model: Any,
    law: GaussianMixture = OFF_CENTRE,
    schedule: Schedule | None = None,
    *,
    direction: str = "t_noise",
    time: Any = "path",
    time_as: str | None = None,
    times: Sequence[float] = TIMES,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Verdict:
    """A model is the velocity of the flow between the law and noise.

    Parameters
    ----------
    model : torch.nn.Module, object with ``predict``, or callable
        (x, t) ↦ velocity.
    law : GaussianMixture
        The data.
    schedule : Schedule, optional
        Default: the straight path X_t = (1 − t) X_0 + t Z.
    direction : str
        ``"t_data"``: the time runs from noise to data, and so does the velocity.
    time, time_as, times, tolerance, seed
        As for :func:`assert_score`.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted
        Naming what the outputs look like instead.
    ComparisonError
        If what is declared does not fit the law.

    Examples
    --------
    >>> import fpk
    >>> law = fpk.Gaussian(3.0, 1.0)
    >>> def model(x, u):  # E[X₀ − Z | x] on u X₀ + (1 − u) Z
    ...     return 3.0 + (2 * u - 1) / (u**2 + (1 - u) ** 2) * (x - 3.0 * u)
    >>> print(fpk.testing.assert_velocity(model, law, direction="t_data").outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    from fpk.schedules import OTSchedule

    found = examine_field(
        model, law, OTSchedule() if schedule is None else schedule, kind="velocity", direction=direction, time=time,
        time_as=time_as, times=times, tolerance=tolerance, seed=seed,
    )  # fmt: skip
    check = call_text("assert_velocity", "model", "law", direction=direction, tolerance=tolerance, seed=seed)
    return concluded(found.verdict, found.suspects, check)


def assert_divergence(
    divergence: Callable[..., Array],
    field: Callable[..., Array],
    points: Array,
    *,
    times: Sequence[float] | None = None,
    probes: bool = False,
    tolerance: float = 1e-6,
) -> Verdict:
    """A divergence is that of the field.

    Parameters
    ----------
    divergence : callable
        (x, t) ↦ ∇·f, shape (n,); x ↦ ∇·f without times. With ``probes`` it takes one probe of shape (n, d) as its last argument.
    field : callable
        (x, t) ↦ f, shape (n, d); smooth, as it is differentiated by differences.
    points : array, shape (n, d)
    times : sequence of float, optional
    probes : bool
        Whether it is an estimator: then its mean over all signs ±1 of the probe is meant, which is exact.
    tolerance : float
        Relative distance that counts as equal.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted
        Naming what it looks like instead.

    Examples
    --------
    >>> import numpy as np
    >>> import fpk
    >>> x = np.random.default_rng(0).normal(size=(20, 2))
    >>> print(fpk.testing.assert_divergence(lambda x: 3 * (x**2).sum(1), lambda x: x**3, x).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    found = examine_divergence(divergence, field, points, times=times, probes=probes, tolerance=tolerance)
    check = call_text("assert_divergence", "divergence", "field", "points", tolerance=tolerance)
    return concluded(found.verdict, found.suspects, check)
