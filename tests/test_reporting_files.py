"""What lies beside the page: JUnit XML, the index of runs, changes, pages of bounded size, Markdown; and hostile texts in all of them."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from markdown_it import MarkdownIt

from fpk import reporting
from fpk.catalogue import Catalogue
from fpk.errors import StoreError
from fpk.junit import junit
from fpk.marginals import residual, zero_estimate
from fpk.records import Judged, Record, judged
from fpk.runner import Done
from fpk.runs import runs_beside
from fpk.study import Claim, Evidence, Study
from fpk.tasks import Task
from fpk.verdict import Outcome

SUMMARY = {"claims": {}, "command": "fpk run studies --quick", "seconds": 3.4, "size": "quick"}
#: Ends of elements, scripts, ways out of a folder, escape sequences, characters that turn the direction of text, code fences, entities, length.
HOSTILE = (
    '</title></summary></details><script>alert("x")</script><img src=x onerror=alert(1)>[a](javascript:alert(2)) ```\n# h1 | `c` '
    "../../etc/passwd \x00\x07\x1b[31m\x85 \u202eright to left\u202c \u2066isolated\u2069 שלום &lt;b&gt; ]]> <!-- "
    + "long "
    * 400
)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A folder for reports with nothing else in it."""
    (tmp_path / "reports").mkdir()
    return tmp_path / "reports"


def record(id: str = "S0.E1", variant: str = "stated", case: str = "", verdict: str | None = "CONFIRMED", **more: object) -> Judged:  # fmt: skip
    """A record without evidence; one without a verdict has crashed."""
    expected = "CONFIRMED" if variant == "stated" else "REFUTED"
    plain = {
        "id": id, "kind": "identity", "variant": variant, "case": case, "expected": expected, "verdict": verdict, "holds": verdict == expected,
        "study": "studies.synthetic.study", "statement": "One is one.", "formula": "1 = 1", "source": "here", "note": "", "seed": 0, "key": "0" * 64,
        "reason": "because", "error": "" if verdict else "LinAlgError: singular", "cost_seconds": 0.25,
    }  # fmt: skip
    return Judged(Record(**(plain | more)), None, None)


def evident(id: str, cases: Sequence[str], *, controls: int = 2) -> list[Judged]:
    """A claim with evidence, all of which is drawn."""
    expected = {"stated": Outcome.CONFIRMED} | {f"wrong {k}": Outcome.REFUTED for k in range(controls)}
    claim = Claim(id, "identity", "One is one.", "1 = 1", "here", expected)
    study = Study(id, evident, dict.fromkeys(expected), tuple(cases), 1, False, "studies.large")
    done = []
    for case in cases:
        for k, variant in enumerate(expected):
            value = residual(np.full(3, 0.1 * k), 1e-13, proven=True)
            task = Task("studies", id, variant, case, "quick", 7, "0" * 64)
            done.append(Done(task, Evidence(value, zero_estimate(3), ("a", "b", "c")), {"versions": {}}))
    return judged(Catalogue(Path("studies"), {id: claim}, (study,)), done)


class Elements(HTMLParser):
    """Elements and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.found if name in attributes]


# -- JUnit -------------------------------------------------------------------------------------------------------------

THREE = [record(), record(variant="sign", verdict="CONFIRMED"), record(variant="factor", verdict=None)]


def test_every_record_is_a_test_case_and_what_does_not_hold_fails_with_its_reason() -> None:
    root = ElementTree.fromstring(junit([j.record for j in THREE]))
    assert root.attrib["tests"] == "3"
    assert (root.attrib["failures"], root.attrib["errors"]) == ("1", "1")
    (suite,) = root
    assert [case.attrib["name"] for case in suite] == ["S0.E1: stated", "S0.E1: sign", "S0.E1: factor"]
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["error"]]
    failure, error = suite[1][0], suite[2][0]
    assert failure.attrib == {"message": "CONFIRMED, expected REFUTED. because", "type": "CONFIRMED"}
    assert error.attrib["message"] == "LinAlgError: singular"
    assert suite.attrib["time"] == "0.750"


def test_only_names_that_every_reader_knows_are_written() -> None:
    """Of the schema that Jenkins publishes: elements, their attributes, those that must be there."""
    known = {
        "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
        "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
        "testcase": {"classname", "name", "time"}, "failure": {"message", "type"}, "error": {"message", "type"},
    }  # fmt: skip
    for element in ElementTree.fromstring(junit([j.record for j in THREE])).iter():
        assert set(element.attrib) == known[element.tag]


def test_a_record_that_stays_undecided_fails_and_a_remark_passes() -> None:
    undecided = record(verdict="UNDECIDED", remedy="more particles")
    remark = record(kind="wording", variant="wording", verdict=None, error="", expected=None, holds=True, study="")
    root = ElementTree.fromstring(junit([undecided.record, remark.record]))
    ((failure,),) = root[0]
    assert failure.attrib["type"] == "UNDECIDED"
    assert "remedy: more particles" in (failure.text or "")
    assert [list(case) for case in root[1]] == [[]]


# -- runs beside each other --------------------------------------------------------------------------------------------


def written(folder: Path, *records: Judged, when: str = "", **more: object) -> Path:
    """A report of some records, made when it says."""
    page = reporting.write_report(records, folder, **(SUMMARY | more))
    if when:
        facts = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(facts | {"written": f"{when}T12:00:00+00:00"}))
    return page


def test_the_index_lists_runs_newest_first_with_flips_from_the_last_run_that_had_the_check(reports: Path) -> None:
    written(reports / "one", record(), record("S0.E2"), when="2024-01-01")
    written(reports / "two", record("S0.E2", verdict="REFUTED"), when="2024-01-02")
    written(reports / "three", record(verdict="UNDECIDED"), record("S0.E2"), when="2024-01-03")
    found = runs_beside(reports / "three")
    assert [run.name for run in found] == ["three", "two", "one"]
    assert [(f.check, f.run, f.before, f.after, f.holds) for f in found[0].flips] == [
        ("S0.E1 · stated", "one", "CONFIRMED", "UNDECIDED", False),
        ("S0.E2 · stated", "two", "REFUTED", "CONFIRMED", True),
    ]
    assert [(run.held, run.records, len(run.flips)) for run in found[1:]] == [(0, 1, 1), (2, 2, 0)]


def test_the_index_is_a_page_that_leads_to_the_runs(reports: Path) -> None:
    written(reports / "one", record(), when="2024-01-01")
    assert not (reports / "one" / "runs.html").exists()
    written(reports / "nightly & best", record(), when="2024-01-02")
    page = written(reports / "latest", record(verdict="REFUTED"))
    text = (page.parent / "runs.html").read_text(encoding="utf-8")
    links = Elements(text).values("href")
    assert {"../one/index.html", "../nightly%20%26%20best/index.html", "index.html"} <= set(links)
    assert "runs.html" in Elements(page.read_text()).values("href")
    assert all(f'id="{link[1:]}"' in text for link in links if link.startswith("#"))


def test_what_is_no_report_is_left_out_of_the_index(reports: Path) -> None:
    written(reports / "good", record(), when="2024-01-02")
    for name, text in {
        "torn": '[{"id": "a", "ver',
        "other": '{"a": 1}',
        "odd": '[{"id": "a", "verdict": ["list"]}]',
    }.items():
        (reports / name).mkdir()
        (reports / name / "verdicts.json").write_text(text)
    (reports / "odd" / "run.json").write_text('{"written": 7, "size": [], "command": null}')
    (reports / "early").mkdir()
    (reports / "early" / "verdicts.json").write_text("[]")
    (reports / "early" / "run.json").write_text('{"written": "0001-01-01T00:00+14:00", "size": "", "command": ""}')
    (reports / ".hidden").mkdir()
    (reports / ".hidden" / "verdicts.json").write_text("[]")
    (reports / "notes.txt").write_text("verdicts.json")
    assert {run.name for run in runs_beside(reports / "good")} == {"good", "odd", "early"}
    written(reports / "good", record())


def test_a_baseline_of_verdicts_alone_is_dated_by_its_file(reports: Path) -> None:
    (reports / "baseline").mkdir()
    path = reports / "baseline" / "verdicts.json"
    path.write_text(
        '[{"id": "S0.E1", "variant": "stated", "case": "", "expected": "CONFIRMED", "verdict": "CONFIRMED"}]'
    )
    os.utime(path, (86400 * 365, 86400 * 365))
    written(reports / "latest", record(verdict=None))
    latest, baseline = runs_beside(reports / "latest")
    assert (baseline.written, baseline.link) == ("1971-01-01 00:00", "../baseline/verdicts.json")
    assert [(f.before, f.after) for f in latest.flips] == [("CONFIRMED", "CRASHED")]


@pytest.mark.parametrize("name", ["index.html", "runs.html", "report.md", "records.jsonl", "junit.xml", "run.json"])
def test_files_of_others_are_not_replaced(reports: Path, name: str) -> None:
    (reports / name).write_text("mine")
    with pytest.raises(StoreError, match=rf"would replace .*{name}, which fpk has not written.*--report"):
        written(reports, record())
    assert [path.name for path in reports.iterdir()] == [name]
    assert (reports / name).read_text() == "mine"


def test_files_of_others_stay_beside_a_report_that_is_written_again(
    reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "LARGEST_PAGE", 1000)
    written(reports, record("S0.E1"))
    stale = [reports / "pages" / "gone.html", reports / ".index.html.0123456789abcdef.part"]
    for path in stale:
        path.write_bytes((reports / "index.html").read_bytes())
    mine = [reports / "notes.html", reports / "pages" / "mine.html", reports / ".notes.part", reports / "notes.part"]
    for path in mine:
        path.write_text("mine")
    for path in (*stale, *mine):
        os.utime(path, (0, 0))
    (reports / "pages" / "folder.html").mkdir()
    (reports / "pages" / "link.html").symlink_to(reports / "index.html")
    written(reports, record("S0.E1"))
    assert not any(path.exists() for path in stale)
    assert all(path.read_text() == "mine" for path in mine)
    assert (reports / "pages" / "folder.html").is_dir()
    assert (reports / "pages" / "link.html").is_symlink()


@pytest.mark.parametrize("which", ["records.jsonl", "report.md", "index.html", "pages/studies.synthetic.html"])
def test_a_disk_that_fills_up_leaves_no_mixture_of_two_reports(
    reports: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """Whatever cannot be written, all are of the one before, the pages too that the new one would not have."""
    monkeypatch.setattr(reporting, "LARGEST_PAGE", 1000)
    written(reports, record())
    before = {path: path.read_text() for path in reports.rglob("*.*") if path.is_file()}
    opened = Path.open

    def full(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        if mode == "xb" and path.name.startswith(f".{Path(which).name}."):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, mode, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        if which == "index.html":
            patch.setattr(reporting, "LARGEST_PAGE", 10**7)
        with pytest.raises(StoreError, match=rf"cannot write .*{which}: .*No space left"):
            written(reports, record(verdict="REFUTED"))
    after = {path: path.read_text() for path in reports.rglob("*.*") if path.is_file()}
    assert after.keys() == before.keys(), "and no part"
    assert after == before


def test_a_lone_surrogate_is_written_as_its_escape(reports: Path) -> None:
    page = written(reports, record("S0.E1", statement="half \ud800 of a letter"))
    row = json.loads((page.parent / "records.jsonl").read_text(encoding="utf-8"))
    assert row["statement"] == "half \ud800 of a letter"


def test_an_index_of_runs_that_are_gone_is_removed(reports: Path) -> None:
    written(reports / "one", record(), when="2024-01-01")
    page = written(reports / "two", record())
    for file in (reports / "one").iterdir():
        file.unlink()
    written(reports / "two", record())
    assert not (page.parent / "runs.html").exists()
    assert "runs.html" not in page.read_text()


# -- changes -----------------------------------------------------------------------------------------------------------


def test_what_changed_is_told_flips_first_with_the_inputs_that_differ(reports: Path) -> None:
    before = [record(), record("S0.E2", versions={"numpy": "2.0"}), record("S0.E3")]
    after = [record("S0.E4"), record("S0.E2", versions={"numpy": "2.1"}), record(verdict="REFUTED")]
    written(reports / "before", *before)
    for since in (reports / "before", str(reports / "before"), [j.record.as_json() for j in before]):
        page = written(reports / "after", *after, since=since).read_text()
        text = (reports / "after" / "report.md").read_text()
        for told in (page[page.index('id="since"') :], text[text.index("## Changed since") :]):
            places = [told.index(words) for words in ("CONFIRMED → REFUTED", "S0.E3", "S0.E4")]
            assert places == sorted(places)
            assert "numpy 2.0 → 2.1" in told
    assert "Changed since before" in written(reports / "after", *after, since=reports / "before").read_text()


def test_a_report_may_be_held_against_the_one_it_replaces(reports: Path) -> None:
    written(reports / "latest", record())
    assert (
        "CONFIRMED → REFUTED"
        in written(reports / "latest", record(verdict="REFUTED"), since=reports / "latest").read_text()
    )
    same = written(reports / "latest", record(verdict="REFUTED"), since=reports / "latest").read_text()
    assert "Nothing: the same records" in same


def test_without_a_report_to_tell_changes_from_nothing_is_written(reports: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        written(reports / "latest", record(), since=reports / "nowhere")
    assert not (reports / "latest").exists()


# -- sizes -------------------------------------------------------------------------------------------------------------


def pages_of(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*.html")}


def test_a_study_of_more_than_a_megabyte_has_several_pages_each_below_it(reports: Path) -> None:
    records = [j for k in range(40) for j in evident(f"claim {k}", [f"case {c}" for c in range(5)], controls=8)]
    written(reports, *records)
    pages = pages_of(reports)
    assert max(len(text.encode()) for text in pages.values()) <= reporting.LARGEST_PAGE
    assert {"index.html", "pages/large.html", "pages/large_2.html"} <= set(pages)
    rows = sum(len(re.findall(r'<tr class="(?:stated|control)', text)) for text in pages.values())
    assert rows == len(records)
    for link in {
        link for link in Elements(pages["index.html"]).values("href") if link.startswith("pages/") and "#" in link
    }:
        file, _, anchor = link.partition("#")
        assert f'id="{anchor}"' in pages[file]


def test_a_claim_of_very_many_records_is_told_in_parts(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "LARGEST_PAGE", 400_000)
    records = evident("claim", [f"case {c}" for c in range(500)])
    written(reports, *records)
    pages = pages_of(reports)
    assert max(len(text.encode()) for text in pages.values()) <= 400_000
    assert sum(len(re.findall(r'<tr class="(?:stated|control)', text)) for text in pages.values()) == len(records)
    assert "and 496 more" in pages["index.html"]
    assert any("part 5 of 5" in text for text in pages.values())


def test_an_index_of_too_many_claims_lists_their_pages(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "LARGEST_PAGE", 60_000)
    records = [record(f"S0.E{k}", verdict="REFUTED" if k % 100 == 50 else "CONFIRMED") for k in range(300)]
    written(reports, *records)
    pages = pages_of(reports)
    assert max(len(text.encode()) for text in pages.values()) <= 60_000
    links = {link for link in Elements(pages["index.html"]).values("href") if link.startswith("pages/")}
    assert {link.partition("#")[0] for link in links} == set(pages) - {"index.html"}
    assert pages["index.html"].count('<article class="failure">') == 3


def test_two_studies_whose_names_differ_by_case_share_a_page(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "LARGEST_PAGE", 1)
    written(reports, record("a", study="studies.One.x"), record("b", study="studies.one.x"))
    assert {p.rpartition("/")[2].partition("_")[0].removesuffix(".html") for p in pages_of(reports)} == {
        "index",
        "studies.one",
    }


def test_markdown_is_cut_to_what_code_hosts_show_and_keeps_what_does_not_hold() -> None:
    records = [
        record(f"S{k}", study=f"studies.s{k % 30}.x", verdict="REFUTED" if k == 777 else "CONFIRMED")
        for k in range(6000)
    ]
    text = reporting.markdown(records, **SUMMARY)
    assert len(text.encode()) <= reporting.LARGEST_MARKDOWN
    assert text.index("## Records that do not hold") < text.index("**S777**") < text.index("## Claims")
    assert text.count("<details") == text.count("</details>") == 30
    assert text.count("<details open>") == 1


def test_an_index_of_very_many_failures_names_some_and_counts_the_others(reports: Path) -> None:
    records = [record(f"S0.E{k}", verdict="REFUTED", reason="é" * 5000, remedy="ü" * 5000) for k in range(400)]
    written(reports / "latest", *records)
    pages = pages_of(reports / "latest")
    assert max(len(text.encode()) for text in pages.values()) <= reporting.LARGEST_PAGE
    shown = pages["index.html"].count('<article class="failure">')
    assert f"And {len(records) - shown} more" in pages["index.html"]


def test_texts_of_megabytes_are_cut_on_every_page(reports: Path) -> None:
    names = (
        "id",
        "case",
        "study",
        "statement",
        "formula",
        "source",
        "note",
        "reason",
        "remedy",
        "error",
        "functional",
        "mde_model",
    )
    long = dict.fromkeys(names, "long text " * 60_000)
    pair = {"pair": [long["id"]] * 2, "versions": {"numpy": long["id"]}}
    records = [record(**(long | pair | {"variant": v, "verdict": o})) for v, o in (("stated", "REFUTED"), ("b", None))]
    written(
        reports / "latest", *records, command=long["id"], since=[records[0].record.as_json() | {"verdict": "CONFIRMED"}]
    )
    assert max(len(text.encode()) for text in pages_of(reports).values()) <= reporting.LARGEST_PAGE
    for name in ("report.md", "junit.xml"):
        assert (reports / "latest" / name).stat().st_size <= reporting.LARGEST_MARKDOWN


# -- hostile texts -----------------------------------------------------------------------------------------------------

UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def hostile_records() -> list[Judged]:
    texts = dict.fromkeys(("id", "statement", "formula", "source", "note", "reason", "remedy"), HOSTILE)
    odd = {
        "case": HOSTILE,
        "study": f"studies.{HOSTILE}.x",
        "pair": [HOSTILE, HOSTILE],
        "functional": HOSTILE,
        "mde_model": HOSTILE,
    }
    texts |= odd | {"versions": {HOSTILE: HOSTILE}}
    failing = record(variant=HOSTILE, **texts)
    return [
        failing,
        record(variant="b", verdict=None, **(texts | {"error": HOSTILE})),
        record(variant="stated", **texts),
    ]


def hostile_files(reports: Path) -> dict[str, str]:
    """Every file of a report of hostile records, held against a hostile earlier one, with a hostile report beside it."""
    beside = reports / "<script>alert(1)</script>"[:25].replace("/", "\u2215")
    records = hostile_records()
    rows = [j.record.as_json() | {"verdict": "UNDECIDED", "versions": {HOSTILE: "1"}} for j in records]
    written(beside, *[replace(j, record=replace(j.record, verdict="UNDECIDED")) for j in records], command=HOSTILE)
    written(reports / "latest", *records, command=HOSTILE, since=rows)
    return {
        p.relative_to(reports / "latest").as_posix(): p.read_text(encoding="utf-8")
        for p in (reports / "latest").rglob("*.*")
    }


@pytest.mark.parametrize("largest", [1_000_000, 1000])
def test_hostile_texts_are_inert_in_every_file(reports: Path, monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    monkeypatch.setattr(reporting, "LARGEST_PAGE", largest)
    files = hostile_files(reports)
    for name, text in files.items():
        assert not UNSEEN.search(text), name
    for name in (name for name in files if name.endswith(".html")):
        page = Elements(files[name])
        assert not {"script", "img", "iframe", "object", "base", "form", "input"} & {tag for tag, _ in page.found}, name
        assert not [a for _, attributes in page.found for a in attributes if a.startswith("on")], name
        assert all(re.match(r"(#|data:,$|(\.\./|pages/)?[\w.%/-]+\.html)", link) for link in page.values("href")), name
        assert [tag for tag, _ in page.found].count("title") == 1 + [tag for tag, _ in page.found].count("svg")
    for line in files["records.jsonl"].splitlines():
        json.loads(line)
    root = ElementTree.fromstring(files["junit.xml"])
    assert {element.tag for element in root.iter()} == {"testsuites", "testsuite", "testcase", "failure", "error"}


def test_hostile_texts_are_inert_in_markdown(reports: Path) -> None:
    """As a code host shows it: HTML allowed, which lets the details through, and nothing else."""
    text = hostile_files(reports)["report.md"]
    page = Elements(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    tags = [tag for tag, _ in page.found]
    assert set(tags) <= {
        "h1",
        "h2",
        "p",
        "ul",
        "li",
        "strong",
        "pre",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
    }
    assert tags.count("h1") == 1
    assert not page.values("href")
    assert tags.count("details") == text.count("\n</details>\n")
    assert "alert" in text


def test_hostile_names_stay_in_the_folder_of_the_report(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "LARGEST_PAGE", 1000)
    hostile_files(reports)
    assert {p.name for p in reports.parent.iterdir()} == {"reports"}
    names = [p.name for p in (reports / "latest").rglob("*.html")]
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]{0,80}\.html", name) for name in names)


def test_text_from_right_to_left_keeps_its_letters_and_turns_nothing_else(reports: Path) -> None:
    text = hostile_files(reports)["index.html"]
    assert "שלום" in text
    css = (Path(reporting.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    assert "unicode-bidi: isolate" in css
