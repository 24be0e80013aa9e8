"""The examination of a sampler: every check there is enough declared for, and the mistakes that would explain what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fpk.battery import ends, single_steps, spots, walks
from fpk.battery.declarations import Declaration
from fpk.battery.findings import Finding, Suspect
from fpk.battery.subjects import SMOOTH, Subject
from fpk.battery.suspects import suspects_of
from fpk.counts import counting
from fpk.errors import UnknownName
from fpk.schedules import Schedule
from fpk.shown import Shown
from fpk.verdict import Outcome

#: Every check of a sampler: a subject ↦ findings.
CHECKS: dict[str, Callable[[Subject], list[Finding]]] = {
    "finiteness": walks.finiteness,
    "identities": walks.identities,
    "calls": walks.calls,
    "labels": spots.labels,
    "prior": walks.prior,
    "law": ends.law_at_the_end,
    "order": ends.order,
    "leftover": spots.leftover,
    "single steps": single_steps.single_steps,
    "kinds": walks.kinds,
}


#: Among how many the probability of a false alarm is shared: three laws, twice each, their limits, the order, the prior, the labels, and one over.
SHARES = 13


@dataclass(frozen=True)
class Examination(Shown):
    """What was found, and what would explain it.

    Parameters
    ----------
    findings : tuple of Finding
    suspects : tuple of Suspect
        Best explanation first; empty where nothing was refuted.
    alpha : float
        Probability, at most, that a finding about samples refutes something true.
    """

    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...]
    alpha: float

    @property
    def refuted(self) -> tuple[Finding, ...]:
        """The findings that say the sampler is wrong."""
        return tuple(f for f in self.findings if f.refuted)

    @property
    def undecided(self) -> tuple[Finding, ...]:
        """The findings that could not tell."""
        return tuple(f for f in self.findings if f.verdict.outcome is Outcome.UNDECIDED)

    @property
    def outcome(self) -> Outcome:
        """REFUTED if any finding is, else UNDECIDED if any is, else CONFIRMED."""
        return Outcome.REFUTED if self.refuted else Outcome.UNDECIDED if self.undecided else Outcome.CONFIRMED

    def __getitem__(self, check: str) -> Finding:
        """The finding of a check, by its name."""
        return next(f for f in self.findings if f.check == check)

    def __str__(self) -> str:
        lines = [
            f"{self.outcome}: {counting(len(self.findings), 'check')}, false alarms at most {self.alpha:g}",
            *map(str, self.findings),
        ]
        return "\n".join([*lines, *(f"suspect {k}: {s}" for k, s in enumerate(self.suspects[:3], 1))])


def examine_sampler(
    sampler: Callable[..., Any],
    *,
    kind: str,
    schedule: Schedule,
    time: Any = "path",
    direction: str = "t_noise",
    scale: Any = "path",
    checks: Iterable[str] | None = None,
    alpha: float = 1e-6,
    **more: Any,
) -> Examination:
    """Examine a sampler that somebody else wrote.

    Parameters
    ----------
    sampler : callable
        (model, start, steps, rng) ↦ positions; see :mod:`fpk.battery`.
    kind, schedule, time, direction, scale
        What its model predicts, and how it is called: as for :func:`fpk.fields.as_field`.
    checks : iterable of str, optional
        Names in ``CHECKS``; default all.
    alpha : float, default 1e-6
        Probability, at most, that findings about samples refute something true; the checks share it.
    **more
        ``order`` (claimed order of the law at the end, or None), ``stochastic`` (False), ``last_noise`` (False; whether the scheme means to leave
        the noise of its last step, as Euler–Maruyama does), ``prior``, ``times``, ``step`` (the optional callables), ``visits`` (``"path"``,
        ``"sigma"`` or ``"label"``: how ``times`` are written), ``begin`` and ``end`` (times of the path, 1 and 0), ``counts`` (numbers of steps of
        the sweep), ``extra`` (more of them that should end finite), ``law`` (the data on the line), ``library`` (``"numpy"``, ``"torch"``,
        ``"jax"``), ``dtype``, ``particles``, ``seed``, ``tolerance`` (.1: how far expectations of variance 1 may be off with the largest number
        of steps), ``kinds`` (kind ↦ the sampler for a model of that kind).

    Returns
    -------
    Examination

    Raises
    ------
    ProblemError, ComparisonError, UnknownName
        For declarations that mean nothing: nothing is examined then.

    Examples
    --------
    >>> from fpk.schedules import OTSchedule
    >>> def backwards(model, x, steps, rng):
    ...     for k in range(steps):
    ...         x = x - model(x, 1 - k / steps) / steps
    ...     return x
    >>> found = examine_sampler(backwards, kind="velocity", schedule=OTSchedule(), order=1)
    >>> str(found.outcome)
    'CONFIRMED'
    """
    names = list(CHECKS if checks is None else checks)
    for name in names:
        if name not in CHECKS:
            raise UnknownName("check of a sampler", name, CHECKS)
    subject = Subject(
        sampler,
        Declaration(kind, schedule, time, direction, scale),
        alpha=alpha / SHARES,
        **{"law": SMOOTH, **more},
    )
    findings = tuple(finding for name in names for finding in CHECKS[name](subject))
    return Examination(findings, _suspects(subject, findings), alpha)


def _suspects(subject: Subject, findings: Sequence[Finding]) -> tuple[Suspect, ...]:
    return tuple(suspects_of(subject, findings)) if any(f.refuted for f in findings) else ()
