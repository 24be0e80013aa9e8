"""Examinations as evidence: what the findings measured, and at which place the right mistake is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import fpk
from fpk.marginals import Estimate, zero_estimate
from fpk.study import Evidence

#: A mistake that is not named at all has this place.
UNNAMED = 99
#: The mistake must be among this many.
FIRST = 3


@dataclass(frozen=True)
class Written:
    """A twin and its slips with the mistakes to be named, near misses, and how all of them are examined."""

    twin: Any
    slips: dict[str, tuple[Any, str]]
    near: dict[str, Any]
    examine: Callable[[Any], Any]


def variants_of(written: Mapping[str, Written]) -> dict[str, str]:
    """The forms of a claim: the twins, every slip and every near miss."""
    names = (name for w in written.values() for name in (*w.slips, *w.near))
    return {"stated": ""} | {name: name for name in names}


def applies_to(written: Mapping[str, Written]) -> Callable[[str, str], bool]:
    """Whether a case has the slip or near miss of that name."""
    return lambda variant, case: variant == "stated" or variant in written[case].slips or variant in written[case].near


def found_of(written: Written, variant: str) -> Any:
    """The examination of the twin (an empty name), of a slip or of a near miss."""
    subject = written.twin if not variant else written.near.get(variant) or written.slips[variant][0]
    return written.examine(subject)


def measured(findings: Iterable[Any]) -> Evidence:
    """Every number that findings hold against zero, with its budget and five standard errors."""
    verdicts = [(finding.check, finding.verdict) for finding in findings]
    values = np.concatenate([verdict.difference for _, verdict in verdicts])
    budget = np.concatenate([verdict.budget + 5 * verdict.standard_error for _, verdict in verdicts])
    names = tuple(f"{check}: {name}" for check, verdict in verdicts for name in verdict.names)
    return Evidence(
        fpk.residual(values, budget, source="battery"),
        zero_estimate(len(values)),
        names,
    )


def examined(*groups: Mapping[str, Written]) -> dict[str, tuple[Any, str]]:
    """For each slip of what is written in the groups what is found of it, and the mistake to be named."""
    return {
        f"{case}: {slip}": (written.examine(subject), mistake)
        for group in groups
        for case, written in group.items()
        for slip, (subject, mistake) in written.slips.items()
    }


def place(suspects: Sequence[Any], mistake: str) -> int:
    """Where a mistake is named, counted from 1; shared places count as the first of them."""
    found = {suspect.mistake: k for k, suspect in enumerate(suspects, 1)}
    return found.get(mistake, UNNAMED)


def places(found: Mapping[str, tuple[Any, str]], shift: int = 0) -> Evidence:
    """For each slip: the place of its mistake among the suspects, less what is still among the first three.

    Parameters
    ----------
    found : mapping from slip to (examination, mistake)
    shift : int
        Instead of its own, the mistake of the slip that many places further down the list.
    """
    wanted = [mistake for _, mistake in found.values()]
    asked = wanted[shift:] + wanted[:shift]
    ranks = [place(examination.suspects, m) for (examination, _), m in zip(found.values(), asked, strict=True)]
    values = np.array(ranks) - FIRST - 0.5
    return Evidence(
        Estimate(values, np.zeros(len(values)), proven=True, source="place of the right mistake"),
        zero_estimate(len(values)),
        tuple(found),
    )
