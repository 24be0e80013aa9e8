"""Charts: numbers that fit together, drawings that show them truly, tables that sum them up; and the SVG they become."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpk import reporting
from fpk.calibration import Limited, Rate, held
from fpk.catalogue import Catalogue
from fpk.charts import Chart, Series
from fpk.errors import ProblemError
from fpk.figures import chart_figures
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.records import Judged, judged
from fpk.reporting import write_report
from fpk.runner import Done
from fpk.store import Store
from fpk.study import Claim, Evidence, Study
from fpk.svg import COLOURS, compacted
from fpk.tables import charted, charts_of
from fpk.tasks import Task
from fpk.verdict import Outcome

CONFIRMED, REFUTED = Outcome.CONFIRMED, Outcome.REFUTED
SEVEN = {"first", "second", "confirmed", "control", "ink", "undecided", "refuted"}
THREE, FOUR, NONE = np.arange(3.0), np.arange(4.0), np.zeros(0)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": THREE, "y": FOUR},
        {"x": THREE, "y": THREE, "lower": THREE},
        {"x": THREE, "y": THREE, "lower": FOUR, "upper": FOUR},
        {"x": np.eye(2), "y": np.eye(2)},
    ],
)
def test_series_of_unequal_lengths_are_refused_by_name(arrays: dict[str, Any]) -> None:
    with pytest.raises(ProblemError, match=r"'rate'.*\(\d"):
        Series("rate", **arrays)


def test_empty_series_and_plain_lists_are_allowed() -> None:
    assert Series("none", NONE, NONE).kind == "points"
    listed: Any = [1.0, 2.0]
    assert Series("listed", listed, listed, listed, listed, kind="line").y == listed


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ProblemError, match="points, line, reference, control"):
        Series("rate", THREE, THREE, kind="bars")


def test_a_chart_without_series_and_categories_on_a_logarithmic_axis_are_refused() -> None:
    with pytest.raises(ProblemError, match="no series"):
        Chart("Power", "x", "y", ())
    with pytest.raises(ProblemError, match="log_x"):
        Chart("Coverage", "", "y", (Series("rate", THREE, THREE),), log_x=True, x_names=("a", "b", "c"))


# -- drawings ----------------------------------------------------------------------------------------------------------

HOSTILE = '<script>alert("x")</script> | $x_{1$ </text> 漢 \x00'
NOMINAL = 10.0 ** -np.arange(1, 6)


def rates(name: str, factor: float = 1.0) -> Series:
    y = np.minimum(factor * NOMINAL, 1)
    return Series(name, NOMINAL, y, 0.7 * y, 1.4 * y)


def lines(count: int) -> tuple[Series, ...]:
    x = np.linspace(0, 3, 9)
    return tuple(Series(f"curve {k}", x, x + k, x + k - 0.2, x + k + 0.2, kind="line") for k in range(count))


PLANE = Chart(
    "False alarms",
    "nominal level",
    "measured rate",
    (rates("counted"), rates("weighted", 1.1), Series("ideal", NOMINAL, NOMINAL, kind="reference")),
    log_x=True,
    log_y=True,
)
CURVES = Chart("Power", "error (%)", "P(REFUTED)", lines(7), {"smallest detectable effect": 1.5, "δ": 1.45, "T": 3.0})
CLASSES = Chart(
    "Coverage",
    "",
    "share",
    (
        Series("budget", THREE, np.array([0.97, 1.0, 0.0])),
        Series("claimed", THREE[:2], np.full(2, 0.99), kind="reference"),
    ),
    x_names=("springs", "rings", "walls that reflect " * 4),
)


def group(*charts: Chart, cases: tuple[str, ...] = ("",)) -> list[Judged]:
    """A claim whose stated form and control both hand over charts."""
    claim = Claim("calibration.x", "bound", "Rates are kept.", "p", "here", {"stated": CONFIRMED, "wrong": REFUTED})
    study = Study(claim.id, group, {"stated": 0, "wrong": 1}, cases, 1, True, "studies.synthetic")
    done = []
    for case in cases:
        for variant, events in (("stated", 900), ("wrong", 9000)):
            first, names = held([Limited("rate", Rate(events, 10**6), at_most=1.3e-3)], source="repeats")
            task = Task("studies", claim.id, variant, case, "quick", 7, "0" * 64)
            done.append(Done(task, Evidence(first, zero_estimate(1), names, charts=charts), {"versions": {}}))
    return judged(Catalogue(Path("studies"), {claim.id: claim}, (study,)), done)


def drawn(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(chart_figures(group(chart))[0])


def texts(root: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Where each text stands, by its words."""
    return {e.text or "": (float(e.get("x", 0)), float(e.get("y", 0))) for e in root.iter("text")}


def marks(root: ElementTree.Element) -> dict[str, list[tuple[float, float]]]:
    """Places of marks by the shape they use, without those of the legend at the left edge."""
    found: dict[str, list[tuple[float, float]]] = {}
    for use in root.iter("use"):
        if float(use.get("x", 0)) > 40:
            found.setdefault(use.get("href", ""), []).append((float(use.get("x", 0)), float(use.get("y", 0))))
    return found


def dashes(root: ElementTree.Element) -> dict[str, set[str]]:
    """Dash pattern by colour of stroke, of paths and groups."""
    found: dict[str, set[str]] = {}
    for style in (e.get("style", "") for e in root.iter()):
        if colour := re.search(r"stroke:var\(--([\w-]+)\)", style):
            pattern = re.search(r"stroke-dasharray:([\d.,]+)", style)
            found.setdefault(colour[1], set()).add(pattern[1] if pattern else "")
    return found


@pytest.mark.parametrize("chart", [PLANE, CURVES, CLASSES], ids=lambda c: c.title)
def test_a_drawing_names_its_series_axes_and_marks_and_is_small(chart: Chart) -> None:
    root, svg = drawn(chart), chart_figures(group(chart))[0]
    words = {chart.title, chart.x_label, chart.y_label, *(one.name for one in chart.series), *chart.marks} - {""}
    assert words <= set(texts(root))
    assert len(svg.encode()) < 12_000
    assert "nan" not in svg
    assert "inf" not in svg


def test_points_stand_where_the_ticks_say_on_logarithmic_axes() -> None:
    """x of the tick texts, which are centred, is linear in log x; so are the marks between them."""
    root = drawn(Chart("t", "x", "y", (Series("counted", NOMINAL, 200 + np.arange(5.0)),), log_x=True))
    ticks = {
        float(word.replace("−", "-")): x for word, (x, _) in texts(root).items() if re.match(r"[\d.]+(e−\d)?$", word)
    }
    known = np.array([(np.log10(value), x) for value, x in ticks.items() if value < 1])
    slope, start = np.polyfit(known[:, 0], known[:, 1], 1)
    assert np.allclose(slope * known[:, 0] + start, known[:, 1], atol=0.2)
    (places,) = marks(root).values()
    expected = {round(slope * np.log10(v) + start, 1) for v in NOMINAL}
    assert all(min(abs(x - e) for x, _ in places) < 0.2 for e in expected)


def test_seven_series_differ_by_dash_and_by_shape_and_not_only_by_colour() -> None:
    found = {name: max(own, key=len) for name, own in dashes(drawn(CURVES)).items() if name in SEVEN}
    assert len(found) == len(set(found.values())) == 7
    shown = drawn(Chart("t", "x", "y", tuple(rates(f"set {k}", 2.0**-k) for k in range(7)), log_x=True, log_y=True))
    outlines = {path.get("d") for path in shown.iter("path") if path.get("id")}
    assert len(outlines) == 7


def test_a_series_named_by_a_verdict_has_the_colour_of_its_badge() -> None:
    curves = (Series(f"{name} at n/4", THREE, THREE + k, kind="line") for k, name in enumerate(Outcome))
    assert {"confirmed", "refuted", "undecided"} <= set(dashes(drawn(Chart("t", "x", "y", tuple(curves)))))


def test_zero_events_stand_as_an_open_mark_on_the_edge_of_a_logarithmic_axis() -> None:
    y = np.array([1e-2, 0.0, 1e-3])
    root = drawn(Chart("t", "x", "y", (Series("rate", THREE, y, 0 * y, y + 1e-3),), log_y=True))
    (hollow,) = [e for e in root.iter() if "fill-opacity:0" in e.get("style", "")]
    edge = max(y for _, y in marks(root)[hollow.get("href") or ""])
    assert edge == max(y for places in marks(root).values() for _, y in places)


@pytest.mark.parametrize("chart", [PLANE, CURVES], ids=lambda c: c.title)
def test_the_legend_and_the_words_of_marks_stand_above_the_axes_and_apart(chart: Chart) -> None:
    root = drawn(chart)
    top = min(float(y) for e in root.iter("path") for y in re.findall(r"M58 ([\d.]+)", e.get("d", "")))
    bottom_up = re.findall(r"M58 ([\d.]+)v-([\d.]+)", " ".join(e.get("d", "") for e in root.iter("path")))
    top = min([top, *(float(y) - float(length) for y, length in bottom_up)])
    placed = texts(root)
    assert all(placed[one.name][1] < top for one in chart.series)
    boxes = [(placed[word][0], placed[word][0] + 5.8 * len(word), placed[word][1]) for word in chart.marks]
    assert all(left >= 0 and right <= 400 and y < top for left, right, y in boxes)
    apart = [a[1] <= b[0] or b[1] <= a[0] or abs(a[2] - b[2]) > 10 for a, b in combinations(boxes, 2)]
    assert all(apart)


def test_thousands_are_written_in_full_at_ticks_and_small_numbers_are_not_rounded_away() -> None:
    n = np.array([500.0, 1000.0, 10_000.0])
    root = drawn(Chart("t", "samples", "y", (Series("rate", n, 1e-18 * n, kind="line"),), log_x=True, log_y=True))
    assert {"1,000", "10,000", "1e−15", "1e−14"} <= set(texts(root))


def test_a_case_that_the_title_names_is_not_said_twice() -> None:
    for title, said in (("Power of few", 0), ("Power", 1)):
        chart = Chart(title, "x", "y", (rates("a"),))
        svg = chart_figures(group(chart, cases=("few", "many")))[0]
        assert svg.count(">few</text>") == said


def test_points_at_one_place_step_aside_for_each_other() -> None:
    both = marks(drawn(Chart("t", "x", "y", (rates("a"), rates("b")), log_x=True, log_y=True)))
    first, second = (sorted(x for x, _ in places) for places in both.values())
    assert min(abs(a - b) for a in first for b in second if abs(a - b) < 20) > 3


@pytest.mark.parametrize(
    "series",
    [
        Series("none", NONE, NONE),
        Series("nothing", THREE, np.full(3, np.nan)),
        Series("one", THREE[:1], THREE[:1]),
        Series("level", THREE, np.ones(3), kind="line"),
        Series("endless", THREE, THREE, THREE - 1, np.full(3, np.inf)),
    ],
    ids=lambda s: s.name,
)
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("names", [(), ("a", "b", "c")])
def test_empty_constant_and_infinite_series_are_drawn(series: Series, log: bool, names: tuple[str, ...]) -> None:
    svg = chart_figures(group(Chart("t", "x", "y", (series,), log_y=log, x_names=names)))[0]
    assert "nan" not in svg
    assert ElementTree.fromstring(svg) is not None


# -- controls, and both signs ------------------------------------------------------------------------------------------

T = np.linspace(0.1, 1.0, 19)


def trace(values: Array, *, title: str = "Mass", with_controls: bool = True, even_within: float = 0.0) -> Chart:
    own = Series("own", T, values, kind="line")
    bound = Series("bound", T[[0, -1]], np.full(2, 1e-12), kind="reference")
    return Chart(title, "t", "lost", (own, bound), log_y=True, even_within=even_within, with_controls=with_controls)


def traced(cases: tuple[str, ...] = ("",), **charts: Chart) -> list[Judged]:
    """A claim whose variants hand over charts of their own; underscores stand for spaces."""
    names = {name: name.replace("_", " ").replace("two percent", "+ 2 %") for name in charts}
    expected = {name: CONFIRMED if name == "stated" else REFUTED for name in names.values()}
    claim = Claim("grid.x", "bound", "Mass is kept.", "p", "here", expected)
    compute: Any = traced
    study = Study(claim.id, compute, dict.fromkeys(expected), cases, 1, False, "studies.synthetic")
    done = []
    for case in cases:
        for name, chart in charts.items():
            events = 900 if name == "stated" else 9000
            first, what = held([Limited("rate", Rate(events, 10**6), at_most=1.3e-3)], source="repeats")
            task = Task("studies", claim.id, names[name], case, "quick", 7, "0" * 64)
            done.append(Done(task, Evidence(first, zero_estimate(1), what, charts=(chart,)), {"versions": {}}))
    return judged(Catalogue(Path("studies"), {claim.id: claim}, (study,)), done)


def test_controls_are_drawn_into_charts_that_ask_for_them_near_misses_first() -> None:
    given = {
        name: trace(10.0**-k + 0 * T) for k, name in enumerate(("stated", "sign", "half", "none", "flux_two_percent"))
    }
    ((_, chart),) = charts_of(traced(**given))
    assert [(one.name, one.kind) for one in chart.series] == [
        ("own", "line"), ("flux + 2 %", "control"), ("sign", "control"), ("half", "control"), ("bound", "reference")
    ]  # fmt: skip
    root = ElementTree.fromstring(chart_figures(traced(**given))[0])
    assert {"own", "flux + 2 %", "sign", "half", "bound"} <= set(texts(root))
    assert len(dashes(root)["control"]) == 3
    assert not dashes(root)["control"] & dashes(root)["first"]


def test_tables_and_words_tell_of_the_controls_too() -> None:
    records = traced(stated=trace(1e-15 + 0 * T), sign=trace(0.1 * T))
    (table,) = charted(records)
    assert {row[0] for row in table.rows} == {"own", "sign", "bound"}
    said = next(e.text or "" for e in ElementTree.fromstring(chart_figures(records)[0]).iter("desc"))
    assert "sign: 19 places, 0.01 to 0.1, x 0.1 to 1. bound: 1e−12 throughout." in said


@pytest.mark.parametrize("other", [{"title": "Least"}, {"with_controls": False}])
def test_charts_of_other_titles_and_that_do_not_ask_stay_alone(other: dict[str, Any]) -> None:
    stated = trace(T, with_controls=other.get("with_controls", True))
    ((_, chart),) = charts_of(traced(stated=stated, sign=trace(T, **other)))
    assert [one.name for one in chart.series] == ["own", "bound"]


def test_each_case_has_the_controls_of_its_own() -> None:
    records = traced(("line", "ring"), stated=trace(T), sign=trace(2 * T))
    ring = [j for j in records if j.record.case == "ring" and not j.record.stated]
    lone = [j for j in records if j not in ring]
    assert [len(chart.series) for _, chart in charts_of(lone)] == [3, 2]


def test_several_lines_of_a_control_are_told_apart() -> None:
    double = replace(trace(T), series=(Series("low", T, T, kind="line"), Series("high", T, 2 * T, kind="line")))
    ((_, chart),) = charts_of(traced(stated=trace(T), sign=double))
    assert [one.name for one in chart.series] == ["own", "sign: low", "sign: high", "bound"]


def test_both_signs_stand_on_their_sides_of_zero() -> None:
    """Ticks tell where zero is and how far a decade reaches; words stand a little lower than their ticks."""
    root = drawn(trace(np.where(T < 0.5, -0.1, 1e-30), even_within=1e-12))
    told = {
        word.replace("−", "-"): y - 0.35 * 11.5
        for word, (x, y) in texts(root).items()
        if x < 100 and word[-1].isdigit()
    }
    ticks = {float(word): y for word, y in told.items()}
    near, *_, far = sorted((value for value in ticks if value < 0), reverse=True)
    decade = (ticks[far] - ticks[near]) / np.log10(far / near)
    paths = [e.get("d", "") for e in root.iter("path") if "--first" in e.get("style", "")]
    y = [place for _, place in places_of(max(paths, key=len))]
    assert max(y) == pytest.approx(ticks[far] + decade * np.log10(-0.1 / far), abs=0.6)
    assert min(y) == pytest.approx(ticks[0.0], abs=0.6)
    wide = texts(drawn(trace(-(10.0 ** (-14 - T)), even_within=1e-18)))
    assert {"−1e−16", "−1e−15"} & set(wide), "numbers as wide as they get are at the axis"
    assert wide["lost"][0] >= 8, "and its name is not cut off at the left"


def test_charts_come_back_from_the_store_as_they_were(tmp_path: Path) -> None:
    chart = trace(T, even_within=1e-12)
    first, names = held([Limited("rate", Rate(9, 10**6), at_most=1.3e-3)], source="repeats")
    Store(tmp_path).save("a" * 64, Evidence(first, zero_estimate(1), names, charts=(chart,)), {})
    loaded = Store(tmp_path).load("a" * 64)
    assert loaded is not None
    (back,) = loaded[0].charts
    assert (back.even_within, back.with_controls, back.log_y) == (1e-12, True, True)
    assert [(one.name, one.kind, one.y.tolist()) for one in back.series] == [
        (one.name, one.kind, one.y.tolist()) for one in chart.series
    ]


def test_hostile_words_of_a_chart_do_nothing(tmp_path: Path) -> None:
    chart = Chart(HOSTILE, HOSTILE, HOSTILE, (Series(HOSTILE, THREE, THREE),), {HOSTILE: 1.0})
    records = group(chart, cases=(HOSTILE, "b"))
    page = write_report(records, tmp_path, claims={}, command="fpk run", seconds=1.0, size="quick").read_text()
    assert "<script" not in page
    assert "alert" in page
    assert "<script" not in (tmp_path / "report.md").read_text().replace("\\<script", "")


# -- in reports --------------------------------------------------------------------------------------------------------


def test_a_report_draws_the_charts_of_stated_forms_case_by_case(tmp_path: Path) -> None:
    records = group(PLANE, CURVES, cases=("few", "many"))
    page = write_report(records, tmp_path, claims={}, command="fpk run", seconds=1.0, size="quick").read_text()
    titles = re.findall(r'<title id="\w+">calibration.x, stated, (\w+): (.*?)</title>', page)
    assert titles == [("few", "False alarms"), ("few", "Power"), ("many", "False alarms"), ("many", "Power")]
    assert "counted: 5 points, 1e−5 to 0.1, x 1e−5 to 0.1." in page


def test_a_table_has_the_first_the_last_and_at_most_fifteen_points() -> None:
    few, curves, classes = (charted(group(chart)[:1])[0] for chart in (PLANE, CURVES, CLASSES))
    assert [row[1] for row in few.rows[:5]] == ["0.1", "0.01", "0.001", "0.0001", "1e−5"]
    assert few.rows[0] == ("counted", "0.1", "0.1", "0.07 – 0.14")
    assert few.left_out == 0
    assert len(curves.rows) <= 15
    assert {row[1] for row in curves.rows} == {"0", "3"}
    assert curves.left_out == 7 * 9 - len(curves.rows)
    assert ("budget", "springs", "0.97", "") in classes.rows
    assert classes.rows[-1] == ("claimed", "", "0.99", "")


def test_controls_have_neither_drawings_nor_tables() -> None:
    controls = [j for j in group(PLANE) if not j.record.stated]
    assert chart_figures(controls) == charted(controls) == []


# -- SVG ---------------------------------------------------------------------------------------------------------------


def places_of(d: str) -> list[tuple[float, float]]:
    """Absolute places of a path in m, l, h, v, z, read as the SVG standard says."""
    x = y = 0.0
    start, found = (0.0, 0.0), []
    for letter, body in re.findall(r"([MmlhvzL])([^MmlhvzL]*)", d):
        numbers = [float(n) for n in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", body)]
        if letter == "z":
            x, y = start
            continue
        along = letter in "hv"
        xs, ys = (numbers, [0.0] * len(numbers)) if along else (numbers[::2], numbers[1::2])
        pairs = list(zip(ys, xs, strict=True)) if letter == "v" else list(zip(xs, ys, strict=True))
        for dx, dy in pairs:
            x, y = (dx, dy) if letter in "ML" else (x + dx, y + dy)
            found.append((round(x, 6), round(y, 6)))
        start = found[-1] if letter in "Mm" else start
    return found


@given(st.lists(st.tuples(*[st.floats(-500, 500)] * 2), min_size=2, max_size=30))
def test_short_paths_lead_to_every_place_within_half_a_tenth(points: list[tuple[float, float]]) -> None:
    d = "M " + " L ".join(f"{x:.6f} {y:.6f}" for x, y in points)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="{d}" style="stroke: #010101"/></svg>'
    short = ElementTree.fromstring(compacted(svg, title="t", description="d"))[2].get("d", "")
    found = np.array(places_of(short))
    assert len(short) <= len(d)
    for point in points:  # those on the way along an axis may have been left out: then they lie between two others
        ends = np.stack([found, np.roll(found, -1, axis=0)])[:, : max(len(found) - 1, 1)]
        inside = (ends.min(axis=0) - 0.0501 <= point) & (point <= ends.max(axis=0) + 0.0501)
        assert inside.all(axis=1).any()
    assert np.allclose(found[[0, -1]], [points[0], points[-1]], atol=0.0501)


def test_bars_without_length_do_not_become_lines_between_points() -> None:
    zero = Series("rate", THREE, 0 * THREE, 0 * THREE, np.array([0.0, 0.0, 1.0]))
    bars = [
        p.get("d", "") for p in drawn(Chart("t", "x", "y", (zero,))).iter("path") if "--first" in p.get("style", "")
    ]
    moves = [n for d in bars for n in re.findall(r"[Mm]([^a-zA-Z]*)", d)]
    assert moves
    assert all(len(re.findall(r"-?(?:\d+\.?\d*|\.\d+)", n)) == 2 for n in moves)


def test_circles_keep_their_size_and_centre() -> None:
    (outline,) = [p.get("d", "") for p in drawn(Chart("t", "x", "y", (rates("a"),))).iter("path") if p.get("id")]
    assert outline == "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"


def test_the_page_defines_every_colour_of_the_drawings_in_both_schemes() -> None:
    css = (Path(reporting.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    for scheme in re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL):
        assert set(COLOURS) <= set(re.findall(r"--([\w-]+):", scheme))


def test_badges_show_the_symbols_of_the_verdicts() -> None:
    css = (Path(reporting.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    assert {k.upper(): v for k, v in re.findall(r'\.(\w+) \{ --symbol: "(.)"', css)} == reporting.SYMBOLS
