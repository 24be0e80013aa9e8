"""The report: complete, self-contained, well-formed, safe with hostile texts, small, and failures first."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from fpk import figures, reporting, wording
from fpk.catalogue import Catalogue
from fpk.errors import StoreError
from fpk.marginals import Estimate, residual, zero_estimate
from fpk.records import Judged, judged
from fpk.runner import Done
from fpk.study import Claim, Evidence, Study
from fpk.svg import COLOURS
from fpk.tasks import Task
from fpk.verdict import Outcome

K = 4
NAMES = tuple(f"φ{k}" for k in range(1, K + 1))
CONTROLS = ("g² + 2 %", "f + 5 %", "½ missing on g²", "sign of the drift", "g for g²", "time reversed", "score dropped")
VOID = {"meta", "link", "br"}
SUMMARY = {"command": "fpk run studies --quick", "seconds": 93.4, "size": "quick"}


# -- material: claims, evidence and what becomes of them ---------------------------------------------------------------


def density_evidence(shift: float, *, sampled: bool = False, budget: float = 1e-6) -> Evidence:
    """Two Gaussians, one shifted; the sampled first side carries noise."""
    x = np.linspace(-4, 4, 241)
    first, second = (np.exp(-((x - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (shift, 0.0))
    curves = {"x": x, "t": np.array([0.7]), "first": first, "second": second}
    value, bound = np.full(K, shift) / np.arange(1, K + 1), np.full(K, budget)
    if sampled:
        a = Estimate(value, bound, covariance=np.eye(K) * 1e-6, samples=10**6, source="particles, Euler–Maruyama")
    else:
        a = Estimate(value, bound, coarser=value, source="grid, 192 cells")
    return Evidence(a, Estimate(np.zeros(K), np.zeros(K), coarser=np.zeros(K), source="closed form"), NAMES, curves)


def residual_evidence(value: float) -> Evidence:
    return Evidence(residual(np.full(K, value), 1e-13, proven=True), zero_estimate(K), NAMES)


def equality_claim(id: str = "S0.E19", **changed: str) -> Claim:
    plain = {
        "statement": "The law follows the Fokker–Planck equation ∂ₜp = −∇·(f p) + ½ g² Δp.",
        "formula": r"\partial_t p = -\nabla\cdot(f p) + \tfrac12 g^2 \Delta p",
        "source": "Chen 2024, equation 19",
        "assumptions": "smooth coefficients",
    }
    expected = {"stated": Outcome.CONFIRMED} | dict.fromkeys(CONTROLS, Outcome.REFUTED)
    return Claim(id=id, kind="equality", expected=expected, notes={"f + 5 %": "Drift too strong."}, **(plain | changed))


def settled(claim: Claim, evidence: dict[tuple[str, str], Evidence | str]) -> list[Judged]:
    """Records of one claim from evidence by (variant, case); a text in its place is the error of a crash."""
    cases = tuple(dict.fromkeys(case for _, case in evidence))
    study = Study(claim.id, density_evidence, dict.fromkeys(claim.expected), cases, 1, False, "studies.synthetic")
    done = []
    for (variant, case), found in evidence.items():
        task = Task("studies", claim.id, variant, case, "quick", 7, "0" * 64)
        versions = {"cost_seconds": 0.4, "versions": {"fpk": "0.1.0"}}
        crashed = isinstance(found, str)
        done.append(Done(task, None if crashed else found, versions, found if crashed else ""))
    return judged(Catalogue(Path("studies"), {claim.id: claim}, (study,)), done)


def good_claim(id: str = "S0.E19", *, cases: Sequence[str] = ("grid",)) -> tuple[Claim, list[Judged]]:
    claim = equality_claim(id)
    evidence: dict[tuple[str, str], Evidence | str] = {}
    for case in cases:
        shifts = {"stated": 1e-7} | {c: 0.1 * k + 0.1 for k, c in enumerate(CONTROLS)}
        evidence |= {(v, case): density_evidence(s, sampled=case == "particles") for v, s in shifts.items()}
    return claim, settled(claim, evidence)


def bad_claim() -> tuple[Claim, list[Judged]]:
    """A crash, a control that is confirmed, an infinite budget."""
    right = dict.fromkeys(("stated", "corrected"), Outcome.CONFIRMED)
    claim = replace(equality_claim("S9.E1"), expected=right | dict.fromkeys(CONTROLS[:2], Outcome.REFUTED))
    evidence: dict[tuple[str, str], Evidence | str] = {
        ("stated", ""): density_evidence(0.0, budget=np.inf),
        (CONTROLS[0], ""): density_evidence(0.3),
        (CONTROLS[1], ""): density_evidence(0.0, budget=0.0),
        ("corrected", ""): "LinAlgError: singular matrix",
    }
    return claim, settled(claim, evidence)


def identity_claim() -> tuple[Claim, list[Judged]]:
    expected = {"printed": Outcome.REFUTED, "corrected": Outcome.CONFIRMED}
    claim = Claim("err:S1.E8", "identity", "Tweedie's formula.", r"\frac{x+\sigma^2 s}{\alpha}", "Wei 2024", expected)
    evidence = {("printed", ""): residual_evidence(0.2), ("corrected", ""): residual_evidence(0.0)}
    return claim, settled(claim, evidence)


def bound_claim() -> tuple[Claim, list[Judged]]:
    expected = {"inside": Outcome.CONFIRMED, "outside": Outcome.REFUTED, "degenerate": Outcome.UNDECIDED}
    claim = Claim("S2.E5", "bound", "KL decays.", r"\mathrm{KL}(p_t\,\|\,\pi)\le C", "Chen 2024", expected)
    values = {"inside": -0.2, "outside": 0.3, "degenerate": 0.0}
    return claim, settled(claim, {(variant, ""): residual_evidence(v) for variant, v in values.items()})


HOSTILE = '<script>alert("x")</script> | `code` </svg><img src="http://evil.example/x" onerror="alert(1)">'


def hostile_claim() -> tuple[Claim, list[Judged]]:
    variant = "$x_{1$ </text><script> \x00\x1b 漢 \U0001f600 " + "long " * 60
    claim = Claim(
        HOSTILE + "-very-long" * 40, "identity", HOSTILE, r"\text{<script>alert(1)</script>}", HOSTILE,
        {"stated": Outcome.CONFIRMED, variant: Outcome.REFUTED}, {variant: HOSTILE}, HOSTILE,
    )  # fmt: skip
    return claim, settled(claim, {("stated", HOSTILE): residual_evidence(0.0), (variant, HOSTILE): HOSTILE})


def written(tmp_path: Path, *pairs: tuple[Claim, list[Judged]]) -> tuple[str, list[Judged]]:
    records = [j for _, group in pairs for j in group]
    index = reporting.write_report(records, tmp_path, claims={claim.id: claim for claim, _ in pairs}, **SUMMARY)
    return index.read_text(encoding="utf-8"), records


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder with nothing beside it: other reports there would be told of."""
    (tmp_path / "report").mkdir()
    return tmp_path / "report"


@pytest.fixture
def mixed() -> list[tuple[Claim, list[Judged]]]:
    return [good_claim(cases=("grid", "particles")), identity_claim(), bound_claim(), bad_claim(), hostile_claim()]


class Page(HTMLParser):
    """Elements of a page, and whether every one is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]


def drawings(group: Sequence[Judged]) -> list[str]:
    return [*figures.density_figures(group), figures.effect_figure(group)]


# -- the three files ---------------------------------------------------------------------------------------------------


def test_every_record_is_in_every_file(tmp_path, mixed):
    page, records = written(tmp_path, *mixed)
    lines = (tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines()
    rows = re.split(r"\| Claim \| Variant .*\n", (tmp_path / "report.md").read_text(encoding="utf-8"))[1].splitlines()
    assert [json.loads(line)["variant"] for line in lines] == [j.record.variant for j in records]
    assert sum(line.startswith("| ") for line in rows) == len(records)
    assert len(re.findall(r'<tr class="(?:stated|control)', page)) == len(records)


def test_json_lines_are_strict_json(tmp_path, mixed):
    written(tmp_path, *mixed)
    for line in (tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_writing_leaves_only_whole_files_and_the_same_ones_again(tmp_path, mixed):
    first, _ = written(tmp_path, *mixed)
    assert written(tmp_path, *mixed)[0] == first
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "index.html", "junit.xml", "records.jsonl", "report.md", "run.json", "verdicts.json",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        written(tmp_path / "file" / "report", good_claim())


def test_an_empty_run_gives_a_report(tmp_path):
    assert "0 of 0 records hold" in written(tmp_path)[0]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_is_well_formed_with_unique_ids_and_links_that_lead_somewhere(tmp_path, mixed):
    page = Page(written(tmp_path, *mixed)[0])
    assert page.open == []
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in page.values("href")} - {"data:,"} <= set(ids)


def test_the_page_refers_to_nothing_outside(tmp_path, mixed):
    text, _ = written(tmp_path, *mixed)
    page = Page(text)
    assert not page.values("src")
    assert all(link.startswith(("#", "data:,")) for link in page.values("href"))
    assert not {"script", "iframe", "img", "object", "base", "form"} & {tag for tag, _ in page.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|url\((?!#)", text)
    assert page.values("content")[0] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_hostile_text_is_shown_and_does_nothing(tmp_path):
    text, _ = written(tmp_path, hostile_claim())
    assert HOSTILE in "".join(Page(text).text)
    assert "\x00" not in text
    assert "<code>\\text{&lt;script&gt;" in text


def test_failures_come_before_the_claims_and_the_urgent_ones_first(tmp_path):
    page, _ = written(tmp_path, good_claim(), bad_claim())
    assert "9 of 12 records hold" in page
    assert "1 crashed" in page
    order = ["records hold", "LinAlgError", "Remedy", 'id="claims"', 'id="S0.E19"', 'id="S9.E1"']
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert page.index("LinAlgError") < page.index("wrap it in fpk.refine")


def test_the_page_of_a_good_run_says_so(tmp_path):
    page, _ = written(tmp_path, good_claim())
    assert "8 of 8 records hold" in page
    assert "None: every record has the verdict expected of it." in page
    assert "7/7" in page
    assert "fpk run S0.E19 --quick" in page


def test_stated_forms_come_before_controls(tmp_path):
    page, _ = written(tmp_path, good_claim(cases=("grid", "particles")))
    rows = re.findall(r'<tr class="(stated|control)', page)
    assert rows == sorted(rows, reverse=True)


def test_a_page_of_25_claims_is_under_a_megabyte(tmp_path):
    pairs = [good_claim(f"S0.E{k}", cases=("grid",) if k % 2 else ("grid", "particles")) for k in range(25)]
    assert len(written(tmp_path, *pairs)[0].encode()) < 1_000_000


def paged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[str]]:
    """The index and the names of the pages of a report whose claims come from two study files, none of which may be large."""
    monkeypatch.setattr(reporting, "LARGEST_PAGE", 60_000)
    pairs = [good_claim("S0.E1"), good_claim("S0.E2"), bad_claim()]
    for _, group in pairs[1:]:
        group[:] = [replace(j, record=replace(j.record, study="../odd <name>.first")) for j in group]
    index, _ = written(tmp_path, *pairs)
    return index, sorted(p.name for p in (tmp_path / "pages").iterdir())


def test_a_large_report_has_a_page_for_each_study_and_links_lead_there(tmp_path, monkeypatch):
    index, names = paged(tmp_path, monkeypatch)
    assert names == ["odd-name.html", "synthetic.html"]
    links = [link for link in Page(index).values("href") if ".html#" in link]
    assert {link.partition("#")[0] for link in links} == {f"pages/{name}" for name in names}
    for link in links:
        file, _, anchor = link.partition("#")
        assert anchor in Page((tmp_path / file).read_text(encoding="utf-8")).values("id")
    assert 'class="records"' not in index


def test_pages_of_studies_are_whole_lead_back_and_ask_for_nothing(tmp_path, monkeypatch):
    index, names = paged(tmp_path, monkeypatch)
    for name in names:
        page = Page((tmp_path / "pages" / name).read_text(encoding="utf-8"))
        assert page.open == []
        assert "../index.html#claims" in page.values("href")
        assert "claims" in page.values("id")
        assert page.values("content")[0] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert 'id="claims"' in index


def test_pages_that_a_new_report_has_not_are_removed(tmp_path, monkeypatch):
    paged(tmp_path, monkeypatch)
    monkeypatch.undo()
    assert 'class="records"' in written(tmp_path, good_claim())[0]
    assert list((tmp_path / "pages").iterdir()) == []


# -- formulas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tex", [r"\frac{", r"\left( x", r"\unknown{x}", "a & b", r"\text{<b>x</b>}", "x" * 2000])
def test_tex_that_is_not_understood_is_shown_as_it_is(tex):
    shown = reporting.mathml(tex)
    assert shown.startswith("<code>")
    assert "".join(Page(shown).text) == tex


def test_formulas_lose_attributes_that_reach_beyond_mathematics():
    assert "javascript" not in reporting.mathml(r"\href{javascript:alert(1)}{x}")
    assert "style" not in reporting.mathml(r"\style{position:fixed}{x}")


# -- figures -----------------------------------------------------------------------------------------------------------


def test_drawings_are_xml_small_titled_and_use_the_pages_colours(mixed):
    for _, group in mixed:
        for drawing in drawings(group):
            root = ElementTree.fromstring(drawing)
            assert len(drawing.encode()) < 25_000
            assert root.attrib["role"] == "img"
            assert [child.tag.rpartition("}")[2] for child in root[:2]] == ["title", "desc"]
            assert root[0].text
            assert root[1].text
            assert not any(drawn in drawing for drawn in COLOURS.values())
            assert "#ffffff" not in drawing


def test_a_claim_with_curves_has_a_drawing_for_each_case_and_one_of_effects():
    assert len(drawings(good_claim(cases=("grid", "particles"))[1])) == 3
    assert len(drawings(identity_claim()[1])) == 1


def test_text_in_drawings_is_text():
    drawing = figures.effect_figure(good_claim()[1])
    assert all(f">{variant}</text>" in drawing for variant in ("stated", *CONTROLS))


def test_crashed_records_infinite_budgets_and_zero_differences_are_drawn():
    drawing = figures.effect_figure(bad_claim()[1])
    assert ">crashed</text>" in drawing
    assert "budget ∞" in drawing
    assert "nan" not in drawing.lower()


@pytest.mark.parametrize(
    "curves", [{}, {"x": np.zeros(0), "first": np.zeros(0), "second": np.zeros(0)}, {"x": np.arange(3.0)}]
)
def test_evidence_without_whole_curves_has_no_density_drawing(curves):
    group = [replace(j, evidence=replace(j.evidence, curves=curves)) for j in good_claim()[1]]
    assert figures.density_figures(group) == []


def test_constant_and_broken_densities_are_drawn():
    x = np.linspace(0, 1, 50)
    for first in (np.zeros(50), np.full(50, np.nan)):
        curves = {"x": x, "first": first, "second": np.zeros(50)}
        group = [replace(j, evidence=replace(j.evidence, curves=curves)) for j in good_claim()[1]]
        assert len(figures.density_figures(group)) == 1


def test_a_single_record_and_one_without_numbers_are_drawn():
    group = good_claim()[1]
    assert all(ElementTree.fromstring(drawing) for drawing in drawings(group[:1]))
    bare = [Judged(replace(group[0].record, verdict=None, difference=None, tolerance=None), None, None)]
    assert ">crashed</text>" in figures.effect_figure(bare)


def test_drawing_leaves_matplotlibs_settings_alone():
    before = dict(matplotlib.rcParams)
    drawings(good_claim()[1])
    assert dict(matplotlib.rcParams) == before


# -- Markdown and words ------------------------------------------------------------------------------------------------


def test_markdown_tables_have_the_columns_of_their_heads(mixed):
    text = reporting.markdown([j for _, group in mixed for j in group], claims={}, **SUMMARY)
    columns = 0
    for line in text.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert cells == columns or not (cells and columns)
        columns = cells
    assert text.startswith("# ")
    assert "<script>" not in text.replace("\\<script\\>", "")


def test_margins_say_how_often_the_error_fits_into_the_tolerance():
    stated = good_claim()[1][0]
    reach = 1e-7 + 1e-6
    assert wording.margin(stated) == pytest.approx(stated.record.tolerance / reach)
    assert wording.margin_text([stated]).endswith("×")
    assert wording.margin_text(bound_claim()[1][:1]) == "0.2 to spare"
    assert wording.margin_text([]) == "–"


def test_a_claim_is_summed_up_in_words():
    assert wording.summary(good_claim()[1]) == (
        "1 to be confirmed: difference at most 1e−7, tolerance 0.0333. 7 to be refuted: difference at least 0.1."
    )
    assert wording.summary(bad_claim()[1]).endswith("1 crashed.")
