"""Reports for people who hear them, use no mouse, see no colours, hold a phone: read from the pages themselves, and by axe-core in a browser.

Without a browser: titles and descriptions of drawings, ids, language, headings, heads and captions of tables, names of links, landmarks, places
that take the focus, and the contrast of every pair of colours. The tests in a browser need a Chromium and axe-core: the extra ``accessibility``, or
the path of an ``axe.min.js`` in the environment variable ``AXE``.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from fpk import reporting
from fpk.catalogue import Catalogue
from fpk.charts import Chart, Series
from fpk.marginals import Estimate, residual, zero_estimate
from fpk.records import Judged, judged
from fpk.runner import Done
from fpk.study import CHECKS, Claim, Evidence, Study
from fpk.svg import COLOURS
from fpk.tasks import Task
from fpk.verdict import Outcome

CONFIRMED, REFUTED = Outcome.CONFIRMED, Outcome.REFUTED
CSS = (Path(reporting.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
VOID = {"meta", "link", "br"}
H = 2.0 ** -np.arange(3, 10)


# -- a report with everything in it ------------------------------------------------------------------------------------


def settled(id: str, kind: str, evidence: dict[str, Evidence | str], study: str) -> list[Judged]:
    """A claim whose first variant must be confirmed and whose others must be refuted; a text is the error of a crash."""
    expected = {name: REFUTED if k else CONFIRMED for k, name in enumerate(evidence)}
    claim = Claim(
        id,
        kind,
        f"The statement of {id}.",
        r"\partial_t p = \tfrac12 g^2 \Delta p",
        "here",
        expected,
        assumptions="none",
    )
    made = Study(id, settled, dict.fromkeys(expected), ("",), 1, False, study)
    done = []
    for name, found in evidence.items():
        task = Task("studies", id, name, "", "quick", 7, "0" * 64)
        crashed = isinstance(found, str)
        done.append(Done(task, None if crashed else found, {"versions": {"fpk": "0"}}, found if crashed else ""))
    return judged(Catalogue(Path("studies"), {id: claim}, (made,)), done)


def densities(shift: float) -> Evidence:
    x = np.linspace(-4, 4, 81)
    curves = {"x": x, "t": np.array([0.7]), "first": np.exp(-((x - shift) ** 2)), "second": np.exp(-(x**2))}
    value = np.full(4, shift)
    first = Estimate(value, np.full(4, 1e-6), coarser=value, source="grid")
    second = Estimate(np.zeros(4), np.zeros(4), coarser=np.zeros(4), source="closed form")
    points = Series("points", np.arange(3.0), np.arange(3.0), np.arange(3.0) - 1, np.arange(3.0) + 1)
    chart = Chart("A chart", "x", "y", (points, Series("band", *[np.arange(3.0)] * 4, kind="reference")), {"mark": 1.0})
    return Evidence(first, second, ("a", "b", "c", "d"), curves, charts=(chart,))


def sampled(shift: float) -> Evidence:
    """As of particles: with standard errors and a budget, and a trace that controls are drawn into."""
    x = np.linspace(-3, 3, 61)
    first, second = np.exp(-((x - shift) ** 2)), np.exp(-(x**2))
    curves = {"x": x, "t": np.ones(1), "first": first, "second": second, "error": 0.01 + 0 * x, "budget": 0.03 * second}
    t, drawn = np.linspace(0.1, 1, 9), {"log_y": True, "with_controls": True}
    least = Chart("Least", "t", "value", (Series("stated", t, -shift * t, kind="line"),), even_within=1e-9, **drawn)
    mass = Chart("Mass", "t", "|change|", (Series("stated", t, shift * t + 1e-9, kind="line"),), **drawn)
    return replace(densities(shift), curves=curves, charts=(least, mass))


def levels(order: float, *, noise: float = 0.0, floor: float = 1e-7) -> Evidence:
    errors = H**order + (0.0 if noise else floor)
    covariance = noise**2 * np.diag(errors**2) if noise else None
    first = Estimate(
        errors, np.full(len(H), floor), covariance=covariance, samples=1000 if noise else None, source="errors"
    )
    return Evidence(first, Estimate(H, np.zeros(len(H)), source="steps"), ("2",))


def value(shift: float, names: tuple[str, ...] = ("a", "b")) -> Evidence:
    return Evidence(residual(np.full(len(names), shift), 1e-13, proven=True), zero_estimate(len(names)), names)


def checks(*said: float) -> Evidence:
    names = ("law", "order")
    return Evidence(Estimate(np.array(said), np.full(2, 1e-9), source="x"), zero_estimate(2), names, panel=CHECKS)


def everything() -> list[Judged]:
    """Claims of all kinds, drawings of all kinds, failures of all kinds, in two studies."""
    groups = [
        settled("S0.E1", "equality", {"stated": densities(1e-7), "score + 2 %": densities(0.2), "sign": densities(0.5)}, "studies.one"),
        settled("S0.E7", "equality", {"stated": sampled(1e-7), "score + 2 %": sampled(0.2), "sign": sampled(0.5)}, "studies.one"),
        settled("S0.E2", "order", {"stated": levels(2.0), "half the field": levels(1.0)}, "studies.one"),
        settled("S0.E3", "order", {"stated": levels(2.0, noise=0.01), "half the field": levels(1.0, noise=0.01)}, "studies.two"),
        settled("S0.E4", "bound", {"stated": value(-0.2), "outside": value(0.3), "unclear": value(0.0)}, "studies.two"),
        settled("S0.E5", "identity", {"stated": value(0.1), "crash": "LinAlgError: singular"}, "studies.two"),
        settled("S0.E6", "bound", {"stated": checks(-1.0, -1.0), "sign": checks(1.0, 0.0)}, "studies.two"),
    ]  # fmt: skip
    remark = replace(groups[0][0].record, id="err:S0.E9", kind="wording", variant="wording", verdict=None, holds=True)
    return [j for group in groups for j in group] + [Judged(remark, None, None)]


@lru_cache(maxsize=1)
def _pages(folder: Path) -> dict[str, str]:
    records = everything()
    before = [j.record.as_json() | {"versions": {"fpk": "1"}} for j in records[1:]]
    before[0]["verdict"] = "UNDECIDED"
    summary = {"claims": {}, "command": "fpk run --quick", "seconds": 3.0, "size": "quick", "since": before}
    reporting.write_report(records[:4], folder / "before", **summary)
    reporting.write_report(records, folder / "whole", **summary)
    largest = reporting.LARGEST_PAGE
    try:
        reporting.LARGEST_PAGE = 45_000
        reporting.write_report(records, folder / "split", **summary)
    finally:
        reporting.LARGEST_PAGE = largest
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*.html"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    """Pages of a report in one piece and of one that is split, and their indices of runs."""
    found = _pages(folder)
    assert {"whole/index.html", "whole/runs.html", "split/index.html", "split/pages/one.html"} <= set(found)
    return found


class Node:
    """An element: its tag, attributes, children (elements and texts)."""

    def __init__(self, tag: str, attributes: dict[str, str], parent: Node | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Node | str] = []

    def all(self, *tags: str) -> Iterator[Node]:
        """Elements below with one of the tags (all without), in the order of the page."""
        for child in self.children:
            if isinstance(child, Node):
                if not tags or child.tag in tags:
                    yield child
                yield from child.all(*tags)

    @property
    def text(self) -> str:
        """What is read aloud: hidden texts are not, labels are."""
        if self.attributes.get("aria-hidden") == "true":
            return ""
        label = self.attributes.get("aria-label", "")
        return label or "".join(c if isinstance(c, str) else c.text for c in self.children)


class Tree(HTMLParser):
    """A page as a tree; every element must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = self.here = Node("", {}, None)
        self.feed(text)
        self.close()
        assert self.here is self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: text or "" for name, text in attrs}, self.here)
        self.here.children.append(node)
        if tag not in VOID:
            self.here = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.here.children.append(Node(tag, {name: text or "" for name, text in attrs}, self.here))

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)


@pytest.fixture(scope="module")
def trees(pages: dict[str, str]) -> dict[str, Node]:
    return {name: Tree(text).root for name, text in pages.items()}


# -- what is heard -----------------------------------------------------------------------------------------------------


def test_every_drawing_has_a_title_and_a_description_with_numbers(trees: dict[str, Node]) -> None:
    drawings = [svg for page in trees.values() for svg in page.all("svg")]
    assert len(drawings) > 15
    for svg in drawings:
        title, description = (c for c in svg.children[:2] if isinstance(c, Node))
        assert (svg.attributes["role"], title.tag, description.tag) == ("img", "title", "desc")
        assert svg.attributes["aria-labelledby"].split() == [title.attributes["id"], description.attributes["id"]]
        assert title.text.strip()
        assert re.search(r"\d", description.text), description.text


def test_ids_are_unique_and_what_is_named_by_them_exists(trees: dict[str, Node]) -> None:
    for name, page in trees.items():
        ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
        assert len(ids) == len(set(ids)), name
        named = [id for node in page.all() for id in node.attributes.get("aria-labelledby", "").split()]
        named += [
            link[1:] for node in page.all("a", "use") if (link := node.attributes.get("href", "")).startswith("#")
        ]
        assert set(named) <= set(ids), name


def test_pages_say_their_language_and_title_and_headings_skip_no_level(trees: dict[str, Node]) -> None:
    for name, page in trees.items():
        assert next(page.all("html")).attributes["lang"] == "en"
        head = next(page.all("head"))
        assert next(head.all("title")).text.strip(), name
        found = [(int(node.tag[1]), node.text.strip()) for node in page.all("h1", "h2", "h3", "h4")]
        assert [level for level, _ in found].count(1) == 1
        assert found[0][0] == 1
        assert all(after <= before + 1 for (before, _), (after, _) in pairwise(found)), name
        assert all(text for _, text in found), name


def test_tables_have_captions_and_every_head_says_of_what_it_is_the_head(trees: dict[str, Node]) -> None:
    tables = [(name, table) for name, page in trees.items() for table in page.all("table")]
    assert len(tables) > 8
    for name, table in tables:
        first = next(c for c in table.children if isinstance(c, Node))
        assert first.tag == "caption", name
        assert first.text.strip()
        heads = list(table.all("th"))
        assert heads
        assert all(head.attributes.get("scope") in ("col", "row", "rowgroup") for head in heads), name
        assert all(head.text.strip() for head in heads), name


def test_landmarks_are_few_and_named_and_the_first_link_skips_to_the_results(trees: dict[str, Node]) -> None:
    for name, page in trees.items():
        mains = list(page.all("main"))
        assert [main.attributes["id"] for main in mains] == ["main"], name
        assert next(page.all("a")).attributes["href"] == "#main", name
        marks = [node for node in page.all("section", "nav", "article") if not _decorative(node)]
        labels = [node.attributes.get("aria-label") or node.attributes.get("aria-labelledby") for node in marks]
        assert all(labels), name
        assert len(labels) == len(set(labels)), name


def _decorative(node: Node) -> bool:
    """An article within a section that names itself by its heading: no landmark."""
    return node.tag == "article" and node.attributes.get("class") == "failure"


def test_links_have_words_and_symbols_have_labels(trees: dict[str, Node]) -> None:
    for name, page in trees.items():
        assert all(re.search(r"\w", node.text) for node in page.all("a")), name
        for node in page.all("span"):
            if node.text.strip() in ("✓", "✗"):
                raise AssertionError(
                    f"{name}: a symbol that is read as a symbol in {node.parent and node.parent.text!r}"
                )


def test_whatever_scrolls_can_be_reached_by_keyboard_and_says_what_it_is(trees: dict[str, Node]) -> None:
    scrolling = [
        node for page in trees.values() for node in page.all() if "scrolls" in node.attributes.get("class", "")
    ]
    assert scrolling
    for node in scrolling:
        assert node.attributes["tabindex"] == "0"
        assert node.attributes["aria-label"]
        assert node.attributes["role"] == "group"
    orders = {
        node.attributes["tabindex"] for page in trees.values() for node in page.all() if "tabindex" in node.attributes
    }
    assert orders <= {"0", "-1"}
    assert re.search(r"\[tabindex\]:focus-visible.*outline: 2px solid", CSS)


def test_verdicts_are_told_by_words_in_every_badge_and_by_shape_in_every_drawing(trees: dict[str, Node]) -> None:
    page = trees["whole/index.html"]
    badges = [node for node in page.all("span") if node.attributes.get("class", "").startswith("badge")]
    assert {node.text for node in badges} >= {"CONFIRMED", "REFUTED", "UNDECIDED", "CRASHED", "WORDING"}
    fails = [node for node in page.all("tr") if "fails" in node.attributes.get("class", "").split()]
    assert fails
    assert all(re.search(r"does not hold|✗ no|not as expected", node.text) for node in fails)


# -- what is seen ------------------------------------------------------------------------------------------------------


def palette(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#\w{6})", light if scheme == "light" else dark))


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def drawn(pages: dict[str, str]) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """Tag, property (fill or stroke), colour and the whole style of everything in the drawings, groups' styles included."""
    for text in pages.values():
        for svg in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
            yield from _styled(ElementTree.fromstring(svg.replace("xlink:", "")), {})


def _styled(element: ElementTree.Element, inherited: dict[str, str]) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    own = inherited | dict(re.findall(r"([\w-]+):\s*([^;]+)", element.get("style", "")))
    for name in ("fill", "stroke"):
        colour = re.fullmatch(r"var\(--([\w-]+)\)", own.get(name, ""))
        if colour and element.tag in ("path", "text", "use"):
            yield element.tag, name, colour[1], own
    for child in element:
        yield from _styled(child, own)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_marks_of_drawings_stand_out(pages: dict[str, str], scheme: str) -> None:
    """Text 4.5 : 1, marks 3 : 1, on the page and on the tint of what fails; grid lines may be faint, and grey areas that have an outline."""
    colours, found = palette(scheme), list(drawn(pages))
    assert {colour for _, _, colour, _ in found} <= set(COLOURS)
    assert {"first", "second", "control", "confirmed", "refuted", "failed", "noise", "muted", "ink"} <= {
        c for _, _, c, _ in found
    }
    for tag, name, colour, style in found:
        share = float(style.get(f"{name}-opacity", 1))
        if colour == "rule" or (name == "fill" and (colour == "noise" or share < 0.5)):
            assert colour == "rule" or "stroke" in style, style
            continue
        for ground in ["page"] if tag == "text" or colour == "muted" or share < 1 else ["page", "noise"]:
            seen = blended(colours[colour], colours[ground], share)
            assert contrast(seen, colours[ground]) >= (4.5 if tag == "text" else 3.0), (tag, colour, ground, share)


def blended(colour: str, ground: str, share: float) -> str:
    """A colour of some opacity on a ground."""
    parts = [(int(colour[k : k + 2], 16), int(ground[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(share * over + (1 - share) * under):02x}" for over, under in parts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_of_pages_stand_out(scheme: str) -> None:
    """Every colour that a rule of the style sheet gives to text, on each ground that a rule gives to boxes."""
    colours = palette(scheme)
    texts = set(re.findall(r"(?<![\w-])color: var\(--([\w-]+)\)", CSS))
    grounds = set(re.findall(r"background: var\(--([\w-]+)\)", CSS))
    assert {"ink", "muted", "link", "failed"} <= texts
    assert grounds == {"page", "raised", "failed-tint"}
    for text in texts:
        for ground in grounds:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground, scheme)
    outlines = set(re.findall(r"(?:outline: 2px solid|border-left: 4px solid|inset 4px 0) var\(--([\w-]+)\)", CSS))
    assert all(contrast(colours[name], colours[ground]) >= 3 for name in outlines for ground in grounds)


# -- in a browser ------------------------------------------------------------------------------------------------------


def _browser() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fpk_browser", Path(__file__).parent / "browser.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _axe() -> Path | None:
    """An ``axe.min.js``: the one that is named, or that of an installed package."""
    if os.environ.get("AXE"):
        return Path(os.environ["AXE"])
    spec = importlib.util.find_spec("axe_core_python")
    places = [Path(place) / "axe.min.js" for place in (spec.submodule_search_locations or [])] if spec else []
    return next((place for place in places if place.is_file()), None)


browser = _browser()
needs_chromium = pytest.mark.skipif(browser.chromium() is None, reason="no Chromium")
RUN = """axe.run(document, {resultTypes: ['violations']}).then(found => ({
  rules: found.passes.concat(found.violations, found.inapplicable).length,
  wrong: found.violations.map(one => [one.id, one.help, one.nodes.map(node => node.html.slice(0, 200))])
}))"""


@needs_chromium
@pytest.mark.skipif(_axe() is None, reason="no axe.min.js: install the extra accessibility, or name one in AXE")
def test_axe_finds_nothing(pages: dict[str, str], folder: Path) -> None:
    script = (_axe() or Path()).read_text(encoding="utf-8")
    with browser.Browser(browser.chromium()) as window:
        for view in ("desktop", "dark", "phone"):
            for name in pages:
                window.show(folder / name, *browser.VIEWS[view])
                window.run(f"{script};0")
                found = window.run(RUN)
                assert found["rules"] > 60
                assert found["wrong"] == [], (name, view)


@needs_chromium
def test_nothing_is_wider_than_a_phone_or_a_sheet_of_paper(pages: dict[str, str], folder: Path) -> None:
    """390 pixels, and A4 without margins of 15 mm."""
    with browser.Browser(browser.chromium()) as window:
        for width, medium in ((390, "screen"), (680, "print")):
            for name in pages:
                window.show(folder / name, width, 900, "light", medium)
                assert window.run("document.documentElement.scrollWidth") <= width, (name, medium)


@needs_chromium
def test_the_keyboard_reaches_the_skip_link_first_and_the_results_next(pages: dict[str, str], folder: Path) -> None:
    with browser.Browser(browser.chromium()) as window:
        window.show(folder / "whole/index.html", *browser.VIEWS["desktop"])
        press(window, "Tab", 9)
        where = "JSON.stringify([document.activeElement.className, document.activeElement.getBoundingClientRect().left >= 0])"
        assert window.run(where) == '["skip",true]'
        press(window, "Enter", 13, text="\r")
        assert window.run("document.activeElement.id") == "main"
        press(window, "Tab", 9)
        outlined = "getComputedStyle(document.activeElement).outlineStyle + document.querySelector('main').contains(document.activeElement)"
        assert window.run(outlined) == "solidtrue"


def press(window: Any, key: str, code: int, **more: str) -> None:
    """A key goes down and up."""
    for kind in ("keyDown", "keyUp"):
        window("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)
