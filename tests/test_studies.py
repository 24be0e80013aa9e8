"""The studies themselves: every record of a quick run holds, as pinned in reports/baseline/verdicts.json.

After an intended change of claims, variants or cases, write the baseline again with

    fpk run --quick --report reports/baseline

and read its difference. Only (id, variant, case, expected, verdict) are pinned: other processors give other last digits.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.catalogue import Catalogue, load_catalogue
from fpk.records import Judged, Record, baseline_rows, counted, exit_code, judged, remark_record
from fpk.runner import run
from fpk.store import Store
from fpk.study import Size, near_miss, seed_for
from fpk.tasks import tasks_of
from fpk.verdict import Outcome

ROOT = Path(fpk.__file__).parents[1]
BASELINE = ROOT / "reports" / "baseline" / "verdicts.json"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "studies")


@pytest.fixture(scope="module")
def found(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    """A quick run of everything; two workers of pytest share one store and begin at opposite ends."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    base = tmp_path_factory.getbasetemp()
    store = Store((base.parent if worker else base) / "studies")
    tasks = tasks_of(catalogue, catalogue.selected([]), size=Size("quick"), root_seed=0)
    list(run(tasks[::-1] if worker[-1:] in tuple("13579") else tasks, store))
    return judged(catalogue, list(run(tasks, store)))


@pytest.fixture(scope="module")
def records(found: list[Judged]) -> list[Record]:
    return [j.record for j in found]


def by_claim_and_case(records: list[Record]) -> list[list[Record]]:
    return [list(group) for _, group in groupby(records, key=lambda r: (r.id, r.case))]


def test_every_record_holds(records: list[Record]) -> None:
    failing = [f"{r.id} · {r.variant} · {r.case}: {r.verdict}, {r.error or r.reason}" for r in records if not r.holds]
    assert not failing, "\n".join(failing)
    assert exit_code(records) == 0
    assert counted(records)["hold"] == len(records)


def test_verdicts_are_those_of_the_baseline(catalogue: Catalogue, records: list[Record]) -> None:
    remarks = [remark_record(remark, size="quick") for remark in catalogue.remarks]
    rows, pinned = baseline_rows([*records, *remarks]), json.loads(BASELINE.read_text())
    gained, lost = [r for r in rows if r not in pinned], [r for r in pinned if r not in rows]
    assert not gained, f"not in the baseline: {gained}"
    assert not lost, f"only in the baseline: {lost}"
    assert rows == pinned, "the baseline is sorted, without repetitions"


def test_every_variant_of_every_claim_was_computed_somewhere(catalogue: Catalogue, records: list[Record]) -> None:
    computed = {(r.id, r.variant) for r in records}
    left_out = {s.claim for s in catalogue.studies if s.only_when_named}
    stated = {(c.id, v) for c in catalogue.claims.values() for v in c.expected if c.id not in left_out}
    assert computed == stated


def test_every_claim_in_every_case_has_a_form_that_can_hold_and_a_control_that_was_refuted(
    records: list[Record],
) -> None:
    for group in by_claim_and_case(records):
        assert any(r.stated for r in group), group[0].id
        assert any(r.verdict == Outcome.REFUTED for r in group), group[0].id


def test_controls_share_tolerance_panel_and_level_with_the_stated_form(records: list[Record]) -> None:
    for group in by_claim_and_case(records):
        compared = [r for r in group if r.variant not in ("degenerate", "starved", "inside", "outside")]  # of their own
        assert len({r.panel for r in compared}) <= 1, f"{group[0].id} {group[0].case}"
        assert len({(r.tolerance, r.alpha, r.size) for r in group}) == 1, f"{group[0].id} {group[0].case}"


def test_every_claim_has_a_control_within_five_percent(catalogue: Catalogue) -> None:
    """Gross mistakes are easy to see; errata have the printed form as their only control."""
    for claim in catalogue.claims.values():
        misses = [near_miss(v) for v, outcome in claim.expected.items() if outcome == Outcome.REFUTED]
        if not claim.erratum and claim.kind not in ("bound", "order"):
            assert any(miss is not None and miss[1] <= 5 for miss in misses), claim.id


#: What an erratum shows: a misprint and its correction, a statement and where it ends, or that the print is right.
C, R = Outcome.CONFIRMED, Outcome.REFUTED
ERRATA = ({"printed": R, "corrected": C}, {"inside": C, "outside": R}, {"printed": C})


def test_errata_show_what_is_wrong_and_what_is_right(catalogue: Catalogue) -> None:
    errata = [claim for claim in catalogue.claims.values() if claim.erratum]
    assert errata
    for claim in errata:
        assert any(pair.items() <= dict(claim.expected).items() for pair in ERRATA), claim.id


#: Shares of the tolerance that enclosures of orders may take where half is out of reach: orders up to six on grids that round-off still spares,
#: rates of sampled fits, splines of few pieces, and stochastic Heun, whose finer steps cost a law each.
ROOM = {"grid1d.mms-": 0.8, "models.rate-in-": 0.85, "samplers.order-stochastic-heun": 0.8}


def test_a_confirmed_equality_is_finer_than_any_mistake_of_its_controls(found: list[Judged]) -> None:
    for j in found:
        if j.verdict is not None and j.verdict.outcome == Outcome.CONFIRMED and j.verdict.kind != "bound":
            assert j.verdict.tolerance is not None
            assert np.all(np.abs(j.verdict.difference) + j.verdict.budget <= j.verdict.tolerance), j.record.id
            room = next((share for id, share in ROOM.items() if j.record.id.startswith(id)), 0.5)
            assert np.all(j.verdict.budget <= room * j.verdict.tolerance), j.record.id


def test_seeds_derive_from_the_check(records: list[Record]) -> None:
    assert all(r.seed == seed_for(0, f"{r.id}/{r.variant}/{r.case}") for r in records)


def test_every_claim_names_its_source_and_writes_its_formula(catalogue: Catalogue) -> None:
    for claim in catalogue.claims.values():
        assert claim.source, claim.id
        assert claim.formula, claim.id
        assert claim.statement.endswith("."), claim.id
        forms = {v for v, outcome in claim.expected.items() if v not in ("stated",)}
        assert forms - set(claim.notes) <= {"drift sign", "score sign", "starved"}, (
            f"{claim.id}: explain {forms - set(claim.notes)}"
        )


def test_judging_again_gives_the_same_records(catalogue: Catalogue, found: list[Judged], records: list[Record]) -> None:
    """Judging is a function of the evidence: it takes no part in computing it."""
    from fpk.runner import Done
    from fpk.tasks import Task

    results: list[Any] = [
        Done(
            Task("", r.id, r.variant, r.case, r.size, r.seed, r.key),
            j.evidence,
            {"cost_seconds": r.cost_seconds, "versions": r.versions},
        )
        for j, r in zip(found, records, strict=True)
    ]
    again = [replace(j.record, inputs=r.inputs) for j, r in zip(judged(catalogue, results[::-1]), records, strict=True)]
    assert again == records  # what a record was computed from stands in the store, not in the evidence
