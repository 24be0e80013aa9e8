"""Drawings of orders and functionals: marks stand where the numbers say, what does not count is shaded, and odd numbers are drawn too."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from fpk.catalogue import Catalogue
from fpk.figures import functional_figures, order_figures
from fpk.laws import Array
from fpk.marginals import Estimate, zero_estimate
from fpk.records import Judged, judged
from fpk.runner import Done
from fpk.study import Claim, Evidence, Study
from fpk.tasks import Task
from fpk.verdict import Outcome

H = 2.0 ** -np.arange(2, 9)
HOSTILE = '</text><script>alert("x")</script> \x00\u202e'


def settled(kind: str, evidence: dict[tuple[str, str], Evidence]) -> list[Judged]:
    """A claim from evidence by (variant, case): ``stated`` must be confirmed, all else refuted."""
    variants, cases = (tuple(dict.fromkeys(key[k] for key in evidence)) for k in (0, 1))
    expected = {name: Outcome.REFUTED if name != "stated" else Outcome.CONFIRMED for name in variants}
    claim = Claim("S0.E1", kind, "One is one.", "1 = 1", "here", expected)
    study = Study(claim.id, settled, dict.fromkeys(variants), cases, 1, False, "studies.synthetic")
    tasks = {key: Task("studies", claim.id, *key, "quick", 7, "0" * 64) for key in evidence}
    done = [Done(tasks[key], found, {"versions": {}}) for key, found in evidence.items()]
    return judged(Catalogue(Path("studies"), {claim.id: claim}, (study,)), done)


def levels(errors: Array, *, order: float = 2.0, floor: float = 0.0, noise: float = 0.0, h: Array = H) -> Evidence:
    covariance = np.diag((noise * errors) ** 2) if noise else None
    bound = np.full(len(h), floor)
    first = Estimate(errors, bound, covariance=covariance, samples=100 if noise else None, source="errors")
    return Evidence(first, Estimate(h, np.zeros(len(h)), source="steps"), (str(order),))


def values(*differences: float, budget: float = 1e-9, names: tuple[str, ...] = ()) -> Evidence:
    size = len(differences)
    first = Estimate(np.array(differences), np.full(size, budget), coarser=np.array(differences), source="grid")
    return Evidence(first, zero_estimate(size), names or tuple(f"φ{k}" for k in range(size)))


def marks(svg: str, colour: str) -> np.ndarray:
    """Places of round marks and diamonds of a colour, in the order of the drawing, without those of the legend."""
    found = []
    for style, d in painted(ElementTree.fromstring(svg)):
        if f"stroke:var(--{colour});stroke-width:1.6" in style:
            found += re.findall(r"M([\d.]+)[ ]?([\d.]+)m", d)
    return np.array([(float(x), float(y)) for x, y in found if float(y) > 44])


def painted(element: ElementTree.Element, style: str = "") -> list[tuple[str, str]]:
    """Style and path of every path."""
    own = element.get("style", "") or style
    here = [(own, element.get("d", ""))] if element.tag == "path" else []
    return here + [pair for child in element for pair in painted(child, own)]


def rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    """Left, top, width and height of what is filled grey."""
    paths = [d for style, d in painted(ElementTree.fromstring(svg)) if "fill:var(--noise)" in style]
    found = [re.fullmatch(r"M([\d.]+)[ ]?([\d.]+)h(-?[\d.]+)v(-?[\d.]+)h-?[\d.]+z", d) for d in paths]
    return [tuple(float(n) for n in one.groups()) for one in found if one]  # type: ignore[misc]


def described(svg: str) -> str:
    return next(e.text or "" for e in ElementTree.fromstring(svg).iter("desc"))


# -- orders ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1.0, 2.0, 4.0])
def test_errors_stand_on_a_line_of_their_order(order: float) -> None:
    """Ticks tell how many units a decade has along both axes; the slope of the marks in decades is the order."""
    (svg,) = order_figures(
        settled("order", {("stated", ""): levels(3 * H**order, order=order), ("wrong", ""): levels(H, order=order)})
    )
    places = marks(svg, "first")[: len(H)]
    slope = np.polyfit(np.log10(H), places[:, 0], 1)[0], np.polyfit(np.log10(3 * H**order), -places[:, 1], 1)[0]
    for axis, unit in zip((0, 1), slope, strict=True):
        ticks = ticks_of(svg, axis)
        fitted = np.polyfit(np.log10([v for v, _ in ticks]), [p for _, p in ticks], 1)[0]
        assert abs(abs(fitted) / unit - 1) < 0.01
    line = np.polyfit(places[:, 0] / slope[0], -places[:, 1] / slope[1], 1)[0]
    assert line == pytest.approx(order, rel=0.01)


def ticks_of(svg: str, axis: int) -> list[tuple[float, float]]:
    """Numbers at an axis of the upper drawing (y) or the lower (x), with their places."""
    root = ElementTree.fromstring(svg)
    out = []
    for element, style in texts(root):
        word, x, y = (element.text or "").replace("−", "-"), float(element.get("x", 0)), float(element.get("y", 0))
        at_axis = y > 300 if axis == 0 else ("text-anchor:end" in style and y < 200)
        if at_axis and re.fullmatch(r"[\d.]+(e-?\d+)?", word):
            out.append((float(word), x if axis == 0 else y))
    return out


def texts(element: ElementTree.Element, style: str = "") -> list[tuple[ElementTree.Element, str]]:
    own = f"{style};{element.get('style', '')}"
    here = [(element, own)] if element.tag == "text" else []
    return here + [pair for child in element for pair in texts(child, own)]


def test_levels_within_the_floor_are_shaded_and_the_others_are_not() -> None:
    floor = 1e-5
    stated = levels(H**2 + floor, floor=floor)
    (svg,) = order_figures(settled("order", {("stated", ""): stated, ("wrong", ""): levels(H)}))
    x = marks(svg, "first")[: len(H), 0]
    dropped = np.cumsum(stated.first.value <= 30 * floor) > 0
    assert 0 < dropped.sum() < len(H) - 2
    left, _, width, _ = next(r for r in rectangles(svg) if r[3] > 100)
    assert (x[dropped] <= left + width).all()
    assert (x[~dropped] > left + width).all()
    assert f"{dropped.sum()} of {len(H)} levels are within 30 floors" in described(svg)


def test_the_interval_and_the_band_of_the_claimed_order_stand_in_the_lower_drawing() -> None:
    group = settled("order", {("stated", ""): levels(H**2 * (1 + H)), ("wrong", ""): levels(H)})
    (svg,) = order_figures(group)
    band = next(r for r in rectangles(svg) if r[1] > 200)
    (bar,) = [d for style, d in painted(ElementTree.fromstring(svg)) if "stroke:var(--ink);stroke-width:3.2" in style]
    start, length = re.fullmatch(r"M[\d.]+[ ]?([\d.]+)[lv](?:0)?(-?[\d.]+)", bar).groups()  # type: ignore[union-attr]
    verdict = group[0].verdict
    assert verdict is not None
    unit = band[3] / 0.5  # 2 ± 0.25
    middle = float(start) + float(length) / 2
    assert band[1] + band[3] / 2 - middle == pytest.approx(unit * verdict.difference[0], abs=0.2)
    assert abs(float(length)) == pytest.approx(max(2 * unit * verdict.budget[0], 1.0), abs=0.2)
    assert "From level to level the order is" in described(svg)


def test_noisy_levels_have_bars_of_three_standard_errors() -> None:
    stated = levels(H, order=1.0, noise=0.05)
    (svg,) = order_figures(
        settled("order", {("stated", ""): stated, ("wrong", ""): levels(H**2, order=1.0, noise=0.05)})
    )
    bars = [d for style, d in painted(ElementTree.fromstring(svg)) if "stroke:var(--first);stroke-width:1.4" in style]
    found = [float(n) for d in bars for n in re.findall(r"(?:l0|v)(-[\d.]+)", d)]
    places = marks(svg, "first")[: len(H), 1]
    per_e = np.diff(places)[0] / np.log(2.0)
    assert len(found) == len(H)
    assert np.allclose(np.abs(found), per_e * np.log((1 + 3.09 * 0.05) / (1 - 3.09 * 0.05)), atol=0.3)


def test_a_control_is_drawn_where_its_errors_are_wrong_and_not_where_its_claim_is() -> None:
    other_claim = settled(
        "order", {("stated", ""): levels(H**2), ("one order too high", ""): levels(1.01 * H**2, order=3.0)}
    )
    assert "one order too high" not in order_figures(other_claim)[0]
    other_errors = settled("order", {("stated", ""): levels(H**2), ("half the field", ""): levels(H)})
    assert "to be refuted: half the field" in order_figures(other_errors)[0]


@pytest.mark.parametrize(
    "stated",
    [
        levels(np.zeros(7)), levels(np.where(np.arange(7) == 3, 0.0, H)), levels(-(H**2)), levels(np.ones(7)), levels(H**2, floor=1.0),
        levels(H[:2] ** 2, h=H[:2]), levels(1e-300 * H), levels(H**2 * (-1.0) ** np.arange(7)), levels(H[::-1] ** 2, h=H[::-1]),
    ],
    ids=["zero", "one zero", "negative", "constant", "drowned", "two", "tiny", "alternating", "fine to coarse"],
)  # fmt: skip
def test_odd_errors_are_drawn_or_left_out(stated: Evidence) -> None:
    for svg in order_figures(settled("order", {("stated", ""): stated, ("wrong", ""): levels(H)})):
        assert not re.search(r"nan|inf[^o]", svg)
        assert ElementTree.fromstring(svg) is not None


def test_every_case_up_to_three_has_a_drawing_and_other_kinds_have_none() -> None:
    evidence = {(v, f"case {k}"): levels(H**p) for k in range(5) for v, p in (("stated", 2), ("wrong", 1))}
    assert [f"(case {k})" in svg for k, svg in enumerate(order_figures(settled("order", evidence)))] == [True] * 3
    assert (
        order_figures(settled("identity", {("stated", ""): values(1e-9, 0.0), ("wrong", ""): values(1.0, 1.0)})) == []
    )


# -- functionals -------------------------------------------------------------------------------------------------------


def test_every_functional_has_its_difference_its_bar_and_its_share_of_the_nearest_control() -> None:
    stated, near, far = values(1e-6, -1e-4, 1e-5, budget=1e-7), values(0.1, 1e-3, 0.1), values(5.0, 5.0, 5.0)
    (svg,) = functional_figures(settled("equality", {("stated", ""): stated, ("near", ""): near, ("far", ""): far}))
    own, wrong = marks(svg, "first"), marks(svg, "control")
    assert np.allclose(own[:, 1], wrong[:, 1])
    x = np.concatenate([own[:, 0], wrong[:, 0]])
    logs = np.log10([1e-6, 1e-4, 1e-5, 0.1, 1e-3, 0.1])
    assert np.abs(np.polyval(np.polyfit(logs, x, 1), logs) - x).max() < 0.2
    slope, start = np.polyfit(logs, x, 1)
    assert [left + width for left, _, width, _ in rectangles(svg)] == pytest.approx([slope * -7 + start] * 3, abs=0.2)
    assert "φ1: −0.0001, budget 1e−7" in described(svg)


def test_of_many_functionals_the_worst_are_drawn_and_the_others_are_counted() -> None:
    shifts = np.geomspace(1e-9, 1e-5, 20)
    (svg,) = functional_figures(
        settled("identity", {("stated", ""): values(*shifts), ("wrong", ""): values(*(shifts + 1))})
    )
    words = [element.text for element, _ in texts(ElementTree.fromstring(svg))]
    assert "8 smaller ones not drawn" in words
    assert [word for word in words if word and word.startswith("φ")] == [f"φ{k}" for k in range(8, 20)]


def test_the_case_with_the_smallest_margin_is_drawn() -> None:
    cases = {"good": 1e-9, "tight": 1e-2, "fine": 1e-5}
    evidence = {("stated", name): values(shift, 0.0) for name, shift in cases.items()}
    evidence |= {("wrong", name): values(1.0, 1.0) for name in cases}
    (svg,) = functional_figures(settled("identity", evidence))
    assert "S0.E1 (tight)" in svg


@pytest.mark.parametrize(
    "stated", [values(0.0, 0.0, budget=0.0), values(1e-9, 1e-9, budget=np.inf), values(1e-320, 1e100)]
)
def test_odd_numbers_of_functionals_are_drawn(stated: Evidence) -> None:
    for svg in functional_figures(settled("identity", {("stated", ""): stated, ("wrong", ""): values(1.0, 1.0)})):
        assert not re.search(r"nan|inf[^o]", svg)


def test_one_functional_and_bounds_have_no_such_drawing() -> None:
    assert functional_figures(settled("identity", {("stated", ""): values(1e-9), ("wrong", ""): values(1.0)})) == []
    assert (
        functional_figures(settled("bound", {("stated", ""): values(-1.0, -1.0), ("wrong", ""): values(1.0, 1.0)}))
        == []
    )


def test_hostile_names_are_text() -> None:
    names = (HOSTILE, "b")
    evidence = {("stated", HOSTILE): values(1e-9, 0.0, names=names), (HOSTILE, HOSTILE): values(1.0, 1.0, names=names)}
    orders = {("stated", HOSTILE): levels(H**2), (HOSTILE, HOSTILE): levels(H)}
    for svg in [*functional_figures(settled("identity", evidence)), *order_figures(settled("order", orders))]:
        assert "<script" not in svg
        assert not re.search("[\x00\u202e]", svg)
        assert "alert" in svg
