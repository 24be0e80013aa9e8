"""Assertions about log-likelihoods that somebody else computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fpk.battery.fields import OFF_CENTRE
from fpk.battery.likelihoods import examine_likelihood
from fpk.laws import Array, Law
from fpk.schedules import Schedule
from fpk.testing.examined import examined
from fpk.testing.failure_text import call_text, spent
from fpk.verdict import Verdict

#: Findings of an examination that are about samples: they share the level.
SAMPLED_FINDINGS = 2


def assert_likelihood(
    log_likelihood: Callable[..., Array],
    law: Law = OFF_CENTRE,
    *,
    schedule: Schedule | None = None,
    probes: Sequence[int] = (),
    tolerance: float = 0.01,
    error: float = 1e-6,
    seed: int = 0,
    alpha: float | None = None,
    **known: Any,
) -> Verdict:
    """A log-likelihood is that of the law: equal at points, of mass 1, of mean ratio 1, the same for any number of probes.

    Parameters
    ----------
    log_likelihood : callable
        Positions (n, d) ↦ natural logarithms (n,), computed with an exact model of the law; with ``probes`` an estimator
        ``log_likelihood(x, count, rng)``.
    law : Law
    schedule : Schedule, optional
        Of the path whose flow it follows: then likely mistakes are named.
    probes : sequence of int
        Numbers of probes to compare.
    tolerance : float
        How far log-densities, masses and means may be off.
    error : float
        Of the likelihood's own integration.
    seed : int
        Of the positions.
    alpha : float, optional
        Probability of refuting a true log-likelihood; default 10⁻⁶, or what the running test may spend.
    **known
        ``end`` and ``flows`` of :func:`fpk.battery.likelihoods.examine_likelihood`.

    Returns
    -------
    Verdict
        Of the first finding of the worst outcome.

    Raises
    ------
    Refuted, Undecided
        With a table of the numbers, all findings and the mistakes that would explain them.

    Examples
    --------
    >>> import numpy as np
    >>> import fpk
    >>> law = fpk.Gaussian(3.0, 0.7)
    >>> print(fpk.testing.assert_likelihood(lambda x: -0.5 * ((x[:, 0] - 3) / 0.7) ** 2 - np.log(0.7 * np.sqrt(2 * np.pi)), law).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    alpha = spent(alpha)
    found = examine_likelihood(
        log_likelihood, law, schedule=schedule, probes=probes, tolerance=tolerance, error=error, seed=seed,
        alpha=alpha / SAMPLED_FINDINGS, **known,
    )  # fmt: skip
    check = call_text(
        "assert_likelihood", "log_likelihood", "law", tolerance=tolerance, error=error, seed=seed, alpha=alpha
    )
    return examined(found, check, alpha=alpha)
