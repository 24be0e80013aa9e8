r"""Remedies: what would settle a comparison that is undecided, planned for two sides that are equal.

With n times the samples, standard errors are se/√n and budgets b(n) = lasting + passing/√n (:attr:`fpk.difference.Difference.budget_parts`). Two
equal sides then differ by at most b + z se in every functional, up to a probability that is left out of the power, and are confirmed if

    (z + z_β) se/√n + 2 b(n) ≤ δ.

The smallest such n is what is told, rounded up to one figure. It does not depend on the difference that was observed, which is luck as long as
nothing is refuted. No n is large enough where the lasting budget alone is too large: then it has to shrink first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpk.difference import POWER, Difference
from fpk.laws import Array

#: Part of the tolerance that budgets should take: with sampling (where samples × steps is least), and without.
SAMPLED_SHARE, CERTAIN_SHARE = 1 / 6, 1 / 3
#: More than this many times the samples is nothing to advise.
OUT_OF_REACH = 1e9


def figures(start: float = 1.0) -> Iterator[float]:
    """The numbers of one figure from ``start`` (rounded up) on: 1, 2, ..., 9, 10, 20, ...

    Examples
    --------
    >>> next(figures(1.2)), next(figures(0.3)), next(figures(230.0))
    (2.0, 1.0, 300.0)
    """
    unit = 1.0
    while True:
        yield from (digit * unit for digit in range(1, 10) if digit * unit >= start * (1 - 1e-9))
        unit *= 10


def remedy(evidence: Difference, delta: float, beta: float) -> str:
    """What would settle the comparison at the tolerance δ > 0, as a sentence.

    Parameters
    ----------
    evidence : Difference
    delta : float
        The tolerance.
    beta : float
        Probability of confirming a difference as large as the tolerance.

    Returns
    -------
    str
    """
    if not np.all(np.isfinite(evidence.b)):
        return "an unrefined route has no error budget: wrap it in fpk.refine(lambda k: ...)."
    if delta == 0:
        return "nothing is closer than 0: give a tolerance above the budgets; if it follows from a control, mend the control, which has no effect."
    if evidence.deterministic:
        return _of_certain_sides(evidence, delta)
    lasting, passing = evidence.budget_parts
    if np.all(lasting <= CERTAIN_SHARE * delta):
        hidden = bool(np.any(passing > CERTAIN_SHARE * delta))
        return _of_samples(samples_factor(evidence, delta, beta, lasting), hidden)
    room = SAMPLED_SHARE * delta
    factor = samples_factor(evidence, delta, beta, np.minimum(lasting, room))
    more = "" if factor == 1 else f"then take {_times(factor)}, as "
    return f"{_refine(evidence, lasting, room)}; {more}more samples alone cannot settle it."


def samples_factor(evidence: Difference, delta: float, beta: float, lasting: Array) -> float:
    """How many times the samples confirm two equal sides with the power that is aimed at: a number of one figure, infinite beyond reach."""
    _, passing = evidence.budget_parts
    tails = (beta, (1 - POWER) / (2 * len(evidence.d)))
    for n in figures():
        margin = sum(evidence.quantile(tail, times=n) for tail in tails)
        if np.all((margin * evidence.se + 2 * passing) / np.sqrt(n) + 2 * lasting <= delta):
            return n
        if n > OUT_OF_REACH:
            break
    return np.inf


def _of_certain_sides(evidence: Difference, delta: float) -> str:
    if np.all(evidence.b <= delta / 2):
        return "refine further, or accept a larger tolerance."
    return _refine(evidence, evidence.b, CERTAIN_SHARE * delta) + "."


def _of_samples(factor: float, hidden: bool) -> str:
    """Advice to take more samples; ``hidden``: they are too few to see what the time step does."""
    if factor > 1:
        unless = ", if the time step is fine enough, which shows only then" if hidden else ""
        return f"{_times(factor)}: equal sides are then confirmed with probability .99{unless}."
    return (
        "with this many samples equal sides are confirmed with probability .99: if twice as many do not settle it, they are not equal. "
        "Find out why, or accept a larger tolerance."
    )


def _times(factor: float) -> str:
    if np.isinf(factor):
        return f"more than {OUT_OF_REACH:.0e} times as many samples, or rather a larger tolerance or sides on the same noise"
    return f"about {factor:,.0f} times as many samples"


def _refine(evidence: Difference, budget: Array, room: float) -> str:
    """Which side has to be refined, and how far."""
    k = int(np.argmax(budget))
    sides = (evidence.first, evidence.second)
    shares = [(side.bias_without_step if evidence.same_scheme else side.bias_bound)[k] for side in sides]
    large = int(np.argmax(shares))
    both = min(shares) > shares[large] / 2
    source = sides[large].source or ("the first side", "the second side")[large]
    which = "budgets of both sides" if both else f"budget of {source}"
    step = None if evidence.same_scheme else sides[large].step_bias
    how = " (more time steps)" if step is not None and step[k] > shares[large] / 2 else ""
    times = next(figures(budget[k] / room))
    return f"refine first: the {which} must become about {times:,.0f} times smaller in {evidence.names[k]}{how}"
