"""From an example to evidence: what the battery says of a loop, check by check, and whether the mistake is among the first three it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fpk.battery import Examination, examine_sampler
from fpk.marginals import Estimate, zero_estimate
from fpk.study import CHECKS, Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._examples import Example, Loop, Slip

#: What a verdict counts as.
WORTH = {Outcome.CONFIRMED: -1.0, Outcome.UNDECIDED: 0.0, Outcome.REFUTED: 1.0}
#: Sizes of an examination.
QUICK: dict[str, Any] = {"particles": 2000, "tolerance": 0.4, "counts": (6, 12, 24)}
FULL: dict[str, Any] = {"particles": 10_000, "tolerance": 0.25, "counts": (8, 16, 32, 64)}
#: Suspects that are read.
FIRST = 3


def examined(loop: Loop, declared: Mapping[str, Any], *, quick: bool, seed: int) -> Examination:
    """What the battery finds.

    Parameters
    ----------
    loop : Loop
    declared : mapping
    quick : bool
        Fewer particles.
    seed : int
    """
    offered = {"prior": loop.prior, "times": loop.times, "seed": seed} | (
        {"step": loop.step} if loop.memoryless else {}
    )
    sizes = QUICK if quick else FULL
    with np.errstate(all="ignore"):  # what breaks down is a finding
        return examine_sampler(loop, **{**sizes, **offered, **declared})


def rank(found: Examination, slip: Slip) -> int:
    """Place of the mistake among the suspects, from 1; one more than there are where it is none of them."""
    named = [suspect.mistake for suspect in found.suspects]
    return next((k for k, name in enumerate(named, 1) if name in slip.mistakes), len(named) + 1)


def answered(found: Examination, named: bool = True) -> Evidence:
    """Verdicts as numbers: −1 for confirmed, 1 for refuted; a refutation whose mistake is not named counts as undecided."""
    values = np.array([WORTH[f.verdict.outcome] for f in found.findings])
    values = values if named else np.minimum(values, 0.0)
    names = tuple(f.check for f in found.findings)
    said = ", ".join(suspect.mistake for suspect in found.suspects[:FIRST])
    source = f"{sum(values > 0):g} of {len(values)} checks refuted" + (f"; suspects: {said}" if said else "")
    return Evidence(
        Estimate(values, np.full(len(values), 1e-3), source=source), zero_estimate(len(values)), names, panel=CHECKS
    )


def claimed(family: str, statement: str, formula: str, source: str, examples: Iterable[Example]) -> Claim:
    """The claim of a class of mistakes: twins are confirmed, slips refuted."""
    slips = [slip for example in examples for slip in example.slips]
    return Claim(
        f"bugs.{family}",
        "bound",
        statement,
        formula,
        source,
        {"stated": Outcome.CONFIRMED} | {slip.name: Outcome.REFUTED for slip in slips},
        {slip.name: slip.note for slip in slips},
        assumptions="Below 0: confirmed; above 0: refuted, and the mistake is among the first three suspects.",
    )


def studied(family: str, examples: Sequence[Example], *, module: str) -> Callable[..., Evidence]:
    """Register the study of a class."""
    cases = {example.name: example for example in examples}
    slips = {slip.name: slip for example in examples for slip in example.slips}

    def examination(variant: str, case: str, size: Size, seed: int) -> Evidence:
        example = cases[case]
        if variant == "stated":
            return answered(examined(example.twin, example.declared, quick=size.quick, seed=seed))
        slip = slips[variant]
        found = examined(slip.loop, {**example.declared, **slip.declared}, quick=size.quick, seed=seed)
        return answered(found, rank(found, slip) <= FIRST)

    def applies(variant: str, case: str) -> bool:
        return variant == "stated" or variant in (slip.name for slip in cases[case].slips)

    examination.__name__ = f"class_{family.lower()}"
    examination.__module__ = module
    variants = {name: name for name in ("stated", *slips)}
    return study(f"bugs.{family}", variants=variants, cases=tuple(cases), applies=applies, judging=True)(examination)
