"""Changes between two sets of records: what counts as one, and in which order they are told."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpk.changes import KINDS, Change, blinder, changed_inputs, changes, grouped_inputs, moved, read_records
from fpk.errors import StoreError

ROW: dict[str, Any] = {
    "id": "one", "variant": "stated", "case": "grid", "expected": "CONFIRMED", "verdict": "CONFIRMED", "holds": True, "seed": 3, "size": "quick",
    "key": "a" * 64, "functional": "φ1", "difference": 0.01, "budget": 0.001, "standard_error": 0.0, "tolerance": 0.1, "mde": 0.02, "error": "",
    "versions": {"numpy": "2.0"}, "inputs": {"version": "1", "engine": "aaaa", "one.py": "bbbb"},
}  # fmt: skip


def row(**changed: Any) -> dict[str, Any]:
    return ROW | changed


def kinds(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[str]:
    return [change.kind for change in changes(before, after)]


# -- kinds ------------------------------------------------------------------------------------------------------------------


def test_nothing_changed() -> None:
    assert changes([ROW], [row()]) == []
    assert changes([], []) == []


def test_what_is_told_about_each_kind() -> None:
    refuted = {"verdict": "REFUTED", "holds": False}
    pairs = {
        "CONFIRMED → REFUTED, not as expected": (row(), row(**refuted)),
        "REFUTED → CONFIRMED": (row(**refuted), row()),
        "CONFIRMED → CRASHED, not as expected": (row(), row(verdict=None, holds=False, error="boom")),
        "CONFIRMED → REFUTED, not as expected (differs: size quick → full)": (row(), row(**refuted, size="full")),
        "vanished; was CONFIRMED": (row(), None),
        "new; is REFUTED": (None, row(**refuted)),
        "engine aaaa → cccc": (row(), row(inputs=ROW["inputs"] | {"engine": "cccc"})),
        "difference +0.01 → +0.02 at φ1; 0.002 is allowed": (row(), row(difference=0.02)),
        "smallest effect seen 0.02 → 0.2, above the tolerance 0.1": (row(), row(mde=0.2)),
    }
    for text, (before, after) in pairs.items():
        (change,) = changes([before] if before else [], [after] if after else [])
        assert change.text == text
        assert change.bad is ("not as expected" in text)
        assert change.check == "one · stated · grid"


def test_inputs_and_numbers_of_one_record_are_both_told() -> None:
    assert kinds([row()], [row(size="full", difference=0.5)]) == ["inputs", "numbers"]


def test_a_flip_is_told_once_with_its_inputs() -> None:
    (change,) = changes([row()], [row(verdict="REFUTED", holds=False, size="full", difference=0.5)])
    assert change.inputs == (("size", "quick", "full"),)


def test_flips_come_first_and_among_them_those_that_are_not_expected() -> None:
    before = [row(id=name) for name in "abcdef"]
    after = [
        row(id="a", difference=0.9),
        row(id="b", size="full"),
        row(id="c", verdict="UNDECIDED", expected="UNDECIDED"),
        row(id="d", verdict="REFUTED", holds=False),
        row(id="new"),
        row(id="f"),
    ]
    for order in list(permutations(after))[::97]:
        found = changes(before, order)
        assert [change.kind for change in found] == sorted((c.kind for c in found), key=KINDS.index)
        assert [change.id for change in found] == ["d", "c", "e", "new", "b", "a"]


def test_an_expectation_that_changed_is_an_input() -> None:
    (change,) = changes([row()], [row(expected="REFUTED", holds=False)])
    assert change.inputs == (("expected", "CONFIRMED", "REFUTED"),)


# -- rows of others ---------------------------------------------------------------------------------------------------------


def test_rows_need_no_more_than_an_id_and_a_verdict() -> None:
    bare = {"id": "one", "verdict": "CONFIRMED"}
    assert changes([bare], [bare]) == []
    (change,) = changes([bare], [bare | {"verdict": "UNDECIDED"}])
    assert change.bad, "expected is CONFIRMED where nothing is said"


def test_rows_without_numbers_are_compared_with_rows_that_have_them() -> None:
    verdicts = {name: ROW[name] for name in ("id", "variant", "case", "expected", "verdict")}
    assert changes([verdicts], [row()]) == []
    assert changes([row()], [verdicts]) == []


def test_remarks_hold_without_a_verdict() -> None:
    remark = {"id": "wording", "variant": "wording", "case": "", "expected": None, "verdict": None, "holds": True}
    assert changes([remark], [remark]) == []
    assert not changes([], [remark])[0].bad


# -- inputs -----------------------------------------------------------------------------------------------------------------


def test_files_that_came_and_went_are_inputs() -> None:
    found = changed_inputs(row(), row(inputs={"version": "1", "engine": "aaaa", "two.py": "dddd"}))
    assert found == (("one.py", "bbbb", "–"), ("two.py", "–", "dddd"))


def test_libraries_are_inputs() -> None:
    assert changed_inputs(row(), row(versions={"numpy": "2.1"})) == (("numpy", "2.0", "2.1"),)


def test_a_key_tells_where_inputs_were_not_recorded() -> None:
    old = {name: value for name, value in ROW.items() if name != "inputs"}
    assert changed_inputs(old, row()) == ()
    assert changed_inputs(old, row(key="b" * 64)) == (("key", "a" * 12, "b" * 12),)


def test_inputs_are_counted_over_records() -> None:
    engine = ("engine", "a", "b")
    found = [Change(str(k), "", "", "inputs", {}, {}, (engine, ("seed", str(k), "9"))) for k in range(3)]
    found.append(Change("x", "", "", "inputs", {}, {}, (engine,)))
    assert grouped_inputs(found) == [("engine a → b", 4), ("seed", 3)]


# -- numbers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "has_moved"),
    [
        ({"difference": 0.0119}, False),  # two budgets
        ({"difference": 0.0121}, True),
        ({"difference": -0.01}, True),  # the same size, the other sign
        ({"difference": -0.01, "functional": "φ2"}, False),  # of another functional only sizes are compared
        ({"difference": -0.02, "functional": "φ2"}, True),
        ({"difference": 0.5, "budget": None}, False),  # an infinite budget
        ({"difference": 0.03, "standard_error": 0.01}, False),
        ({"difference": 0.09, "standard_error": 0.01}, True),
        ({"difference": None}, False),
        ({"difference": True}, False),
    ],
)
def test_differences_move_beyond_budgets_and_noise(changed: dict[str, Any], has_moved: bool) -> None:
    assert moved(row(), row(**changed)) is has_moved
    assert moved(row(**changed), row()) is has_moved


def test_round_off_is_no_news_even_without_a_budget() -> None:
    exact = {"difference": 0.0, "budget": 0.0}
    assert not moved(row(**exact), row(**exact | {"difference": 1e-16}))
    assert moved(row(**exact), row(**exact | {"difference": 1e-9}))


def test_sharper_eyes_are_no_news_and_weaker_ones_are() -> None:
    assert blinder(row(mde=0.02), row(mde=0.2))
    assert not blinder(row(mde=0.2), row(mde=0.02))
    assert not blinder(row(mde=0.2), row(mde=0.3)), "never saw it"
    assert not blinder(row(), row(tolerance=None))
    assert blinder(row(), row(mde=None)), "infinite"


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["CONFIRMED", "REFUTED", None]), st.floats(-1, 1)), max_size=8
    )
)
def test_no_set_of_rows_differs_from_itself_and_both_ways_find_the_same_records(
    found: list[tuple[str, Any, float]],
) -> None:
    rows = [row(id=f"{id}{k % 3}", verdict=verdict, difference=d) for k, (id, verdict, d) in enumerate(found)]
    assert changes(rows, rows) == []
    there, back = changes(rows, [ROW]), changes([ROW], rows)
    swap = {"vanished": "new", "new": "vanished"}
    assert sorted((c.check, swap.get(c.kind, c.kind)) for c in there) == sorted((c.check, c.kind) for c in back)


# -- reading ----------------------------------------------------------------------------------------------------------------


def test_rows_are_read_from_a_folder_a_file_or_a_baseline(tmp_path: Path) -> None:
    odd = [row(id="one\u2028two\x85three"), row(id="other")]
    (tmp_path / "records.jsonl").write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in odd), encoding="utf-8"
    )
    (tmp_path / "verdicts.json").write_text("[\n" + json.dumps({"id": "v", "verdict": "REFUTED"}) + "\n]\n")
    assert read_records(tmp_path) == odd
    assert read_records(tmp_path / "records.jsonl") == odd
    assert read_records(tmp_path / "verdicts.json") == [{"id": "v", "verdict": "REFUTED"}]
    (tmp_path / "records.jsonl").unlink()
    assert read_records(tmp_path) == [{"id": "v", "verdict": "REFUTED"}]


def test_an_empty_report_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("")
    assert read_records(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [("{", 1), (json.dumps(ROW) + "\n[]\n", 2), (json.dumps(ROW) + "\n\n" + json.dumps(ROW)[:-9], 3),
     ("[1]", 1), ('{"id": "x"}', 1), ("[" * 9999, 1)],
)  # fmt: skip
def test_what_is_no_row_is_named_by_its_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "records.jsonl").write_text(text)
    with pytest.raises(StoreError, match=rf"records\.jsonl, line {line}\b"):
        read_records(tmp_path)


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"records\.jsonl or verdicts\.json"):
        read_records(tmp_path)
    (tmp_path / "records.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreError, match="cannot be read"):
        read_records(tmp_path)
