"""Records: one tolerance for all variants of a claim in a case, what holds, exit codes, and the documents made of records."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpk.catalogue import Catalogue
from fpk.marginals import Estimate, residual, zero_estimate
from fpk.records import Judged, Record, as_document, baseline_rows, counted, exit_code, judged
from fpk.runner import Done
from fpk.study import Claim, Evidence, Study
from fpk.tasks import Task
from fpk.verdict import Outcome

C, R, U = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED
PANEL = "a" * 64


def proven(value: float, bound: float = 1e-9) -> Evidence:
    return Evidence(residual(np.array([value, 0.0]), bound, proven=True), zero_estimate(2), ("r", "0"), panel=PANEL)


def sampled(value: float, error: float = 1e-4) -> Evidence:
    first = Estimate(
        np.array([value]), np.array([1e-6]), covariance=np.array([[error**2]]), samples=10**6, source="particles"
    )
    return Evidence(first, Estimate(np.zeros(1), np.zeros(1), source="exact"), ("φ1",), panel=PANEL)


def below() -> Evidence:
    return Evidence(residual(np.array([-0.5, -0.1]), 1e-9, proven=True), zero_estimate(2), ("r", "0"), panel=PANEL)


def claim(id: str = "S0.E19", kind: str = "identity", **expected: Outcome) -> Claim:
    expected = expected or {"stated": C, "g² + 2 %": R, "gross": R}
    return Claim(id, kind, "It is so.", "x=x", "somebody, equation 1", expected, {"gross": "twice as much"})


def catalogue_of(*claims: Claim, cases: tuple[str, ...] = ("",)) -> Catalogue:
    def nothing(variant: Any, case: str, size: Any, seed: int) -> Evidence:
        raise AssertionError("judging computes nothing")

    studies = tuple(Study(c.id, nothing, dict.fromkeys(c.expected), cases, 1, False, "tests.made") for c in claims)
    return Catalogue(Path("made"), {c.id: c for c in claims}, studies)


def done(id: str, variant: str, evidence: Evidence | str, case: str = "") -> Done:
    task = Task("made", id, variant, case, "quick", 11, "k" * 64)
    if isinstance(evidence, str):
        return Done(task, None, {}, evidence)
    return Done(task, evidence, {"cost_seconds": 0.5, "versions": {"numpy": "2"}})


def records_of(stated: Claim, found: dict[str, Evidence | str]) -> dict[str, Record]:
    results = [done(stated.id, variant, evidence) for variant, evidence in found.items()]
    return {j.record.variant: j.record for j in judged(catalogue_of(stated), results)}


RIGHT = {"stated": proven(0.0), "g² + 2 %": proven(0.03), "gross": proven(1.0)}


# -- tolerances -------------------------------------------------------------------------------------------------------------


def test_the_tolerance_is_a_third_of_the_smallest_effect_among_the_controls() -> None:
    records = records_of(claim(), RIGHT)
    assert records["g² + 2 %"].effect == pytest.approx(0.03, rel=1e-6)
    assert {r.tolerance for r in records.values()} == {records["g² + 2 %"].effect / 3}


@pytest.mark.parametrize("kind", ["identity", "equality", "bound"])
def test_all_variants_of_a_claim_in_a_case_share_tolerance_and_panel(kind: str) -> None:
    found = {"stated": proven(-0.5), "g² + 2 %": proven(0.03), "gross": proven(1.0)} if kind == "bound" else RIGHT
    records = records_of(claim(kind=kind), found)
    assert len({(r.tolerance, r.panel, r.alpha) for r in records.values()}) == 1
    assert {r.panel for r in records.values()} == {PANEL}


def test_cases_have_tolerances_of_their_own() -> None:
    catalogue = catalogue_of(claim(), cases=("fine", "coarse"))
    effects = {"fine": 0.03, "coarse": 0.3}
    results = [
        done("S0.E19", variant, proven(value * effects[case]), case)
        for case in effects
        for variant, value in (("stated", 0.0), ("g² + 2 %", 1.0), ("gross", 30.0))
    ]
    tolerances = {j.record.case: j.record.tolerance for j in judged(catalogue, results)}
    assert tolerances["fine"] == pytest.approx(0.01, rel=1e-6)
    assert tolerances["coarse"] == pytest.approx(0.1, rel=1e-6)


def test_a_stated_form_coarser_than_its_controls_is_undecided() -> None:
    """A budget above half the tolerance cannot tell the claim from the mistake its control makes."""
    found = RIGHT | {"stated": Evidence(residual(np.zeros(2), 0.02), zero_estimate(2), ("r", "0"))}
    record = records_of(claim(), found)["stated"]
    assert record.verdict == U
    assert not record.holds
    assert "refine" in record.remedy


def test_without_any_control_computed_nothing_is_confirmed() -> None:
    record = records_of(claim(), {"stated": proven(0.0)})["stated"]
    assert record.verdict == U
    assert record.tolerance is None


def test_a_control_without_effect_leaves_the_claim_unconfirmed() -> None:
    """A control that changes nothing shows that the check sees nothing."""
    records = records_of(claim(), {"stated": proven(0.0), "g² + 2 %": proven(0.0), "gross": proven(1.0)})
    assert records["stated"].verdict != C
    assert not records["g² + 2 %"].holds


def test_an_erratum_is_confirmed_only_if_its_budget_explains_the_rest() -> None:
    def corrected(id: str) -> Record:
        expected = {"printed": R, "corrected": C}
        rest = Evidence(residual(np.array([8e-6]), 1e-6), zero_estimate(1), ("r",))
        found: dict[str, Evidence | str] = {"printed": proven(1.0), "corrected": rest}
        return records_of(claim(id, **expected), found)["corrected"]

    assert corrected("S0.E21").verdict == C
    assert corrected("err:S0.E21").verdict == U


# -- what holds -------------------------------------------------------------------------------------------------------------


def test_a_right_claim_and_its_controls_hold() -> None:
    records = records_of(claim(), RIGHT)
    assert [r.verdict for r in records.values()] == [C, R, R]
    assert all(r.holds for r in records.values())
    assert exit_code(list(records.values())) == 0


@pytest.mark.parametrize(
    ("found", "hoped", "evidence"),
    [
        (C, C, proven(0.0)),
        (C, U, proven(0.0)),
        (R, C, proven(0.5)),
        (R, R, proven(0.5)),
        (R, U, proven(0.5)),
        (U, C, sampled(0.0, error=0.1)),
        (U, R, sampled(0.0, error=0.1)),
        (U, U, sampled(0.0, error=0.1)),
    ],
)
def test_a_record_holds_exactly_if_its_verdict_is_the_expected_one(
    found: Outcome, hoped: Outcome, evidence: Evidence
) -> None:
    record = records_of(claim(probe=hoped, control=R), {"probe": evidence, "control": proven(0.03)})["probe"]
    assert record.verdict == found
    assert record.holds is (found == hoped)
    assert record.expected == hoped


def test_an_expected_undecided_holds_and_keeps_exit_code_zero() -> None:
    stated = claim(stated=C, starved=U, control=R)
    records = records_of(stated, {"stated": proven(0.0), "starved": sampled(0.0, 0.1), "control": proven(0.03)})
    assert records["starved"].verdict == U
    assert records["starved"].holds
    assert exit_code(list(records.values())) == 0


def test_forms_of_the_claim_are_told_from_controls() -> None:
    record = records_of(claim(), RIGHT)["stated"]
    forms = ("stated", "printed", "corrected", "inside", "outside", "degenerate")
    assert all(replace(record, variant=form).stated for form in forms)
    assert not replace(record, variant="g² + 2 %").stated


def test_a_record_says_where_it_came_from() -> None:
    record = records_of(claim(), RIGHT)["gross"]
    assert (record.study, record.seed, record.key, record.note) == ("made.nothing", 11, "k" * 64, "twice as much")
    assert (record.size, record.cost_seconds, record.versions) == ("quick", 0.5, {"numpy": "2"})
    assert record.pair == ["residual", "zero"]


def test_records_come_in_catalogue_order_whatever_the_order_of_arrival() -> None:
    claims = claim("b"), claim("a")
    catalogue = catalogue_of(*claims, cases=("second", "first"))
    results = [done(c.id, v, e, case) for c in claims for case in ("second", "first") for v, e in RIGHT.items()]
    expected = [(c.id, case, v) for c in claims for case in ("second", "first") for v in RIGHT]
    for arrival in (results, results[::-1], results[3:] + results[:3]):
        found = [(j.record.id, j.record.case, j.record.variant) for j in judged(catalogue, arrival)]
        assert found == expected


# -- the minimum detectable effect in model units ---------------------------------------------------------------------------


def test_the_smallest_visible_effect_is_told_in_units_of_the_near_miss() -> None:
    """The control g² + 2 % moves a functional by .03, the check sees 1e-9: that is a 15-millionth of 2 %."""
    record = records_of(claim(), RIGHT)["stated"]
    assert record.mde is not None
    name, _, rest = record.mde_model.partition(" + ")
    assert name == "g²"
    assert float(rest.removesuffix(" %")) == pytest.approx(2 * record.mde / 0.03, rel=0.05)


def test_without_a_near_miss_there_are_no_model_units() -> None:
    record = records_of(claim(stated=C, gross=R), {"stated": proven(0.0), "gross": proven(1.0)})["stated"]
    assert record.mde_model == ""


# -- exit codes -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kinds() -> dict[int, Record]:
    """A record of each kind, by the exit code it asks for."""
    good = records_of(claim(), RIGHT)["stated"]
    return {
        0: good,
        1: replace(good, verdict=str(R), holds=False),
        3: replace(good, verdict=str(U), holds=False),
        4: replace(good, verdict=None, holds=False, error="RuntimeError: dry"),
    }


def test_exit_codes_rank_crash_contradiction_undecided(kinds: dict[int, Record]) -> None:
    rank = [4, 1, 3, 0]
    for count in (1, 2, 3, 4):
        for chosen in itertools.permutations(kinds, count):
            assert exit_code([kinds[code] for code in chosen]) == min(chosen, key=rank.index)


def test_a_control_that_is_confirmed_is_a_contradiction() -> None:
    records = records_of(claim(kind="bound"), {"stated": below(), "g² + 2 %": below(), "gross": proven(1.0)})
    assert records["g² + 2 %"].verdict == C
    assert not records["g² + 2 %"].holds
    assert exit_code(list(records.values())) == 1


def test_a_crash_shows_its_error_and_leaves_the_others_judged() -> None:
    records = records_of(claim(), RIGHT | {"stated": "RuntimeError: dry"})
    assert records["stated"].error == "RuntimeError: dry"
    assert (records["stated"].verdict, records["stated"].found, records["stated"].holds) == (None, "CRASHED", False)
    assert {records[name].verdict for name in ("gross", "g² + 2 %")} == {R}
    whole = records_of(claim(), RIGHT)
    assert all(records[name].tolerance == whole[name].tolerance for name in ("gross", "g² + 2 %"))
    assert exit_code(list(records.values())) == 4


def test_without_all_controls_there_is_no_tolerance_and_nothing_is_confirmed() -> None:
    """Whichever is gone: what the others would give is a tolerance of another claim."""
    for gone in ("gross", "g² + 2 %"):
        crashed = records_of(claim(), RIGHT | {gone: "RuntimeError: dry"})
        left_out = records_of(claim(), {name: evidence for name, evidence in RIGHT.items() if name != gone})
        for records in (crashed, left_out):
            assert records["stated"].verdict == U
            assert records["stated"].tolerance is None
            assert records["stated"].reason == (
                f"the tolerance follows from the controls, and there is no evidence of {gone!r}."
            )
            assert {record.verdict for name, record in records.items() if name not in ("stated", gone)} == {R}
        assert exit_code(list(crashed.values())) == 4


def test_bounds_need_no_tolerance_and_are_judged_without_their_controls() -> None:
    records = records_of(claim(kind="bound"), {"stated": below(), "gross": proven(1.0), "g² + 2 %": "dry"})
    assert records["stated"].verdict == C


def test_what_a_case_need_not_have_is_not_missed() -> None:
    made = catalogue_of(claim(), cases=("a", "b"))
    (study,) = made.studies
    some = replace(study, applies=lambda variant, case: (variant, case) != ("gross", "b"))
    results = [done("S0.E19", variant, evidence, case) for variant, evidence in RIGHT.items() for case in "ab"]
    results = [one for one in results if (one.task.variant, one.task.case) != ("gross", "b")]
    found = {(j.record.variant, j.record.case): j.record for j in judged(replace(made, studies=(some,)), results)}
    assert found["stated", "b"].verdict == found["stated", "a"].verdict == C


def test_a_missing_record_does_not_hold_and_is_told_from_a_crash() -> None:
    results = [done("S0.E19", variant, evidence) for variant, evidence in RIGHT.items() if variant != "gross"]
    missing = replace(done("S0.E19", "gross", "not there"), missing=True)
    records = [j.record for j in judged(catalogue_of(claim()), [*results, missing])]
    (gross,) = (record for record in records if record.variant == "gross")
    assert (gross.verdict, gross.found, gross.holds, gross.error) == (None, "MISSING", False, "not there")
    assert exit_code(records) == 4
    assert counted(records) == {"records": 3, "hold": 1, "REFUTED": 1, "UNDECIDED": 1, "missing": 1}
    assert {row["variant"]: row.get("missing") for row in baseline_rows(records)} == dict.fromkeys(RIGHT) | {
        "gross": True
    }


def test_a_crash_of_a_control_shows_its_error() -> None:
    records = records_of(claim(), RIGHT | {"gross": "RuntimeError: dry"})
    assert records["gross"].error == "RuntimeError: dry"
    assert records["gross"].verdict is None
    assert not records["gross"].holds
    assert exit_code(list(records.values())) == 4


def test_counts_name_every_verdict_and_crashes(kinds: dict[int, Record]) -> None:
    assert counted(list(kinds.values())) == {
        "records": 4, "hold": 1, "CONFIRMED": 1, "REFUTED": 1, "UNDECIDED": 1, "crashed": 1,
    }  # fmt: skip


# -- documents --------------------------------------------------------------------------------------------------------------


def test_the_document_is_strict_json_even_with_infinite_budgets() -> None:
    unrefined = Evidence(residual(np.zeros(2), np.inf), zero_estimate(2), ("r", "0"))
    records = list(records_of(claim(), RIGHT | {"stated": unrefined}).values())
    document = json.loads(json.dumps(as_document(records), allow_nan=False))
    assert document["schema"] == "fpk/1"
    assert document["exit"] == exit_code(records) == 3
    assert document["counts"] == counted(records)
    assert document["claims"][0]["budget"] is None
    assert [c["variant"] for c in document["claims"]] == [r.variant for r in records]


def test_baseline_rows_are_sorted_and_hold_no_numbers(kinds: dict[int, Record]) -> None:
    records = [replace(r, case=str(code)) for code, r in kinds.items()]
    rows = baseline_rows(records)
    assert rows == baseline_rows(records[::-1])
    assert all(list(row) == ["id", "variant", "case", "expected", "verdict"] for row in rows)
    assert [row["verdict"] for row in rows] == ["CONFIRMED", "REFUTED", "UNDECIDED", None]
    assert json.loads(json.dumps(rows)) == rows


def test_judging_again_with_another_alpha_needs_no_new_evidence() -> None:
    catalogue, noisy = catalogue_of(claim()), RIGHT | {"stated": sampled(5e-4, 1e-4)}
    results = [done("S0.E19", variant, evidence) for variant, evidence in noisy.items()]

    def stated(alpha: float) -> Judged:
        return next(j for j in judged(catalogue, results, alpha=alpha) if j.record.variant == "stated")

    assert stated(1e-9).record.verdict == C
    assert stated(1e-2).record.verdict == R
