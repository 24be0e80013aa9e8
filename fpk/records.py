r"""Records: stored evidence judged against the catalogue.

All variants of a claim in one case share one tolerance: a third of the smallest effect among its controls, as measured. Where one of these
crashed or is missing there is none, and no form that needs one is confirmed. A record *holds* when its verdict is the expected one.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from fpk.catalogue import Catalogue
from fpk.comparison import below_zero, settle
from fpk.diagnosis import agreeing, ranked
from fpk.difference import ALPHA, effect_size
from fpk.orders import order_of
from fpk.runner import Done
from fpk.study import Claim, Evidence, Remark, near_miss
from fpk.tasks import short_inputs
from fpk.verdict import Outcome, Verdict

SCHEMA = "fpk/1"
#: An erratum's corrected form must be explained by its budget, up to this factor.
ERRATUM_AGREEMENT = 3.0
#: Kind and variant of a remark's record.
WORDING = "wording"
#: Controls that are named one by one.
FEW = 3


@dataclass(frozen=True)
class Record:
    """One verdict with everything needed to read, check and repeat it.

    ``verdict`` is None when the case crashed, when there is nothing in the store of what should be there (``missing``), and for remarks.
    """

    id: str
    kind: str
    variant: str
    case: str
    expected: str | None
    verdict: str | None
    holds: bool
    study: str
    statement: str
    formula: str
    source: str
    note: str
    seed: int
    key: str
    pair: list[str] = field(default_factory=list)
    functional: str = ""
    difference: float | None = None
    budget: float | None = None
    standard_error: float | None = None
    tolerance: float | None = None
    mde: float | None = None
    mde_model: str = ""
    effect: float | None = None
    statistic: float | None = None
    threshold: float | None = None
    alpha: float | None = None
    reason: str = ""
    remedy: str = ""
    method: str = ""
    error: str = ""
    missing: bool = False
    panel: str = ""
    resolution: str = ""
    size: str = ""
    cost_seconds: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def stated(self) -> bool:
        """Whether this is a form of the claim itself and not one of its controls."""
        return self.variant in ("stated", "printed", "corrected", "inside", "outside", "degenerate")

    @property
    def found(self) -> str:
        """The verdict, or MISSING or CRASHED where there should be one."""
        return self.verdict or ("MISSING" if self.missing else "CRASHED")

    def as_json(self) -> dict[str, Any]:
        """Plain data; infinite numbers become None."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: (None if isinstance(v, float) and not np.isfinite(v) else v) for k, v in plain.items()}


@dataclass(frozen=True)
class Judged:
    """A record with the arrays behind it, for figures."""

    record: Record
    verdict: Verdict | None
    evidence: Evidence | None


def judged(catalogue: Catalogue, results: Sequence[Done], *, alpha: float = ALPHA) -> list[Judged]:
    """Judge finished tasks, in catalogue order.

    Parameters
    ----------
    catalogue : Catalogue
    results : sequence of Done
    alpha : float
        Probability of refuting a true equality, for each record.
    """
    order = {id: k for k, id in enumerate(catalogue.claims)}
    groups: dict[tuple[str, str], list[Done]] = {}
    for done in results:
        groups.setdefault((done.task.claim, done.task.case), []).append(done)
    out: list[Judged] = []

    def place(key: tuple[str, str]) -> tuple[int, int]:  # not the order of arrival, which workers make random
        return order[key[0]], catalogue.study_of(key[0]).cases.index(key[1])

    for id, case in sorted(groups, key=place):
        out += _judged_group(catalogue, catalogue.claims[id], groups[id, case], alpha)
    return out


def _judged_group(catalogue: Catalogue, claim: Claim, group: Sequence[Done], alpha: float) -> list[Judged]:
    rank = {variant: k for k, variant in enumerate(claim.expected)}
    group = sorted(group, key=lambda done: rank[done.task.variant])
    compared = [d for d in group if d.evidence is not None and claim.kind in ("equality", "identity")]
    effects = {d.task.variant: effect_size(d.evidence.first, d.evidence.second) for d in compared if d.evidence}
    controls = {v: e for v, e in effects.items() if claim.expected[v] == Outcome.REFUTED}
    lacking = _without_evidence(catalogue, claim, group)
    smallest = min(controls.values()) if controls and not lacking else None
    mistakes = {d.task.variant: d.evidence for d in group if d.task.variant in controls and d.evidence is not None}
    out = []
    for done in group:
        verdict = None if done.evidence is None else _verdict(claim, done.evidence, smallest, alpha)
        record = _record(catalogue, claim, done, verdict, effects, controls)
        if record.verdict == Outcome.UNDECIDED and record.tolerance is None and lacking:
            record = replace(
                record,
                reason=f"the tolerance follows from the controls, and there is no evidence of {lacking}.",
                remedy="",
            )
        fits = "" if record.holds or verdict is None else _fitting(verdict, done, mistakes)
        out.append(Judged(replace(record, reason=record.reason + fits), verdict, done.evidence))
    return out


def _without_evidence(catalogue: Catalogue, claim: Claim, group: Sequence[Done]) -> str:
    """The controls that a case should have and that crashed or are missing, in words; empty where there are none."""
    known = {done.task.variant for done in group if done.evidence is not None}
    study, case = catalogue.study_of(claim.id), group[0].task.case
    controls = [variant for variant in study.variants if claim.expected[variant] == Outcome.REFUTED]
    lacking = [variant for variant in controls if variant not in known and study.applies(variant, case)]
    return ", ".join(map(repr, lacking[:FEW])) + (f" and {len(lacking) - FEW} more" if len(lacking) > FEW else "")


def _fitting(verdict: Verdict, done: Done, mistakes: Mapping[str, Evidence]) -> str:
    """Which of the claim's own mistakes explains a refutation that was not expected; empty where there is none."""
    if verdict.outcome != Outcome.REFUTED or done.evidence is None:
        return ""
    undone = agreeing(done.evidence, mistakes)
    if undone:
        return f" Its control {undone[0]!r} agrees instead: look for the opposite mistake in what both share."
    # A near miss of the size of the whole difference says only that both carry the same mistake.
    fits = [f for f in ranked(done.evidence, mistakes) if not near_miss(f.mistake) or abs(f.ratio - 1) > 0.1]
    return f" It {fits[0]}." if fits else ""


def _verdict(claim: Claim, evidence: Evidence, smallest: float | None, alpha: float) -> Verdict:
    if claim.kind == "bound":
        return below_zero(evidence.first, names=evidence.names, alpha=alpha)
    if claim.kind == "order":
        floor = float(evidence.first.bias_bound.max())
        return order_of(
            evidence.second.value,
            evidence.first.value,
            order=float(evidence.names[0]),
            floor=floor,
            covariance=evidence.first.covariance,
            alpha=alpha,
        )
    agreement = ERRATUM_AGREEMENT if claim.erratum else np.inf
    return settle(
        evidence.first,
        evidence.second,
        names=evidence.names,
        effect=smallest,
        kind=claim.kind,
        agreement=agreement,
        alpha=alpha,
    )


def _record(
    catalogue: Catalogue,
    claim: Claim,
    done: Done,
    verdict: Verdict | None,
    effects: Mapping[str, float],
    controls: Mapping[str, float],
) -> Record:
    task, expected = done.task, claim.expected[done.task.variant]
    found = verdict.as_dict() if verdict is not None else {"verdict": None, "kind": claim.kind}
    return Record(
        id=claim.id,
        variant=task.variant,
        case=task.case,
        expected=str(expected),
        holds=verdict is not None and verdict.outcome == expected,
        study=catalogue.study_of(claim.id).name,
        statement=claim.statement,
        formula=claim.formula,
        source=claim.source,
        note=claim.notes.get(task.variant, ""),
        seed=task.seed,
        key=task.key,
        mde_model=_model_units(verdict, controls),
        effect=effects.get(task.variant),
        error=done.error,
        missing=done.missing,
        panel=done.evidence.panel if done.evidence is not None else "",
        resolution=f"{task.size}: {done.evidence.first.source}" if done.evidence is not None else task.size,
        size=task.size,
        cost_seconds=done.provenance.get("cost_seconds"),
        versions=done.provenance.get("versions", {}),
        inputs=short_inputs(done.provenance.get("inputs", {})),
        **found,
    )


def remark_record(remark: Remark, *, size: str) -> Record:
    """The record of a remark: it always holds, and has no verdict."""
    return Record(
        id=remark.id,
        kind=WORDING,
        variant=WORDING,
        case="",
        expected=None,
        verdict=None,
        holds=True,
        study="",
        statement=remark.statement,
        formula="",
        source=remark.source,
        note=remark.explanation,
        seed=0,
        key="",
        size=size,
    )


def _model_units(verdict: Verdict | None, controls: Mapping[str, float]) -> str:
    """The minimum detectable effect as a percentage of what a near-miss control perturbs, by proportion."""
    if verdict is None or not np.isfinite(verdict.mde):
        return ""
    for variant, effect in controls.items():
        miss = near_miss(variant)
        if miss and effect > 0:
            percent = float(f"{miss[1] * verdict.mde / effect:.2g}")
            return f"{miss[0]} + {percent:.7g} %" if percent < 100 else f"{miss[0]} × {1 + percent / 100:.2g}"
    return ""


def run_command(names: Sequence[str], options: Sequence[str]) -> str:
    """The command that computes what is named, to be copied into a shell."""
    dashed = any(name.startswith("-") for name in names)
    return shlex.join(["fpk", "run", *(() if dashed else names), *options, *(("--", *names) if dashed else ())])


def exit_code(records: Sequence[Record]) -> int:
    """4 if a case crashed or is missing, 1 if a record contradicts its expectation, 3 if something is undecided that should not be, else 0."""
    if any(r.error for r in records):
        return 4
    failing = [r for r in records if not r.holds]
    if any(r.verdict != Outcome.UNDECIDED for r in failing):
        return 1
    return 3 if failing else 0


def counted(records: Sequence[Record]) -> dict[str, int]:
    """How many records, how many hold, how many of each verdict."""
    by_verdict = Counter(r.verdict or (WORDING if r.kind == WORDING else r.found.lower()) for r in records)
    return {"records": len(records), "hold": sum(r.holds for r in records), **dict(sorted(by_verdict.items()))}


def baseline_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """What a baseline pins, sorted: which verdict every variant of every claim must have, and no numbers, which other processors change.

    What is missing says so.
    """
    names = ("id", "variant", "case", "expected", "verdict")
    rows = [{n: getattr(r, n) for n in names} | ({"missing": True} if r.missing else {}) for r in records]
    return sorted(rows, key=lambda row: tuple(str(row[name]) for name in names))


def as_document(records: Sequence[Record]) -> dict[str, Any]:
    """The JSON document of a run: ``schema``, ``claims``, ``counts`` and ``exit``."""
    return {
        "schema": SCHEMA,
        "claims": [r.as_json() for r in records],
        "counts": counted(records),
        "exit": exit_code(records),
    }
