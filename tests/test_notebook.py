"""Cards of notebooks: whole, escaped, without scripts or requests, in the colours of the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk import notebook
from fpk.battery import examine_sampler
from fpk.cards import Card, Curve
from fpk.samplers import VPChain
from fpk.schedules import OTSchedule
from fpk.shown import Shown, Summarised

HOSTILE = '<script>alert("x")</script>&'
OU = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(2.0, 0.3))


def backwards(model, x, steps, rng):
    for k in range(steps):
        x = x - model(x, 1 - k / steps) / steps
    return x


def things():
    """One object of every class that has a card."""
    solution = fpk.solve(OU, fpk.Grid(-5, 7, cells=48), times=[0.1, 0.7])
    run = fpk.simulate(OU, particles=2_000, steps=8, times=[0.7], seed=0)
    swirl = fpk.Linear(np.array([[-1.0, -2.0], [2.0, -1.0]]))
    plane = fpk.Problem(swirl, 1.0, initial=fpk.Gaussian([1.5, 0.0], 0.5), name=HOSTILE)
    walls = fpk.Boundary("absorbing", -2.0, 2.0)
    free = fpk.Problem(0.0, lambda t: 1 + t, initial=fpk.Gaussian(0.0, 0.3), boundary=walls)
    return [
        OU,
        plane,
        free,
        solution,
        fpk.solve(plane, fpk.Grid(-6, 6, cells=32) ** 2, times=[0.5]),
        fpk.solve(fpk.Problem("-x", 0.0, initial=fpk.Gaussian(1.0, 0.3)), fpk.Grid(-3, 4, cells=32), times=[0.5]),
        fpk.refine(lambda k: fpk.solve(OU, fpk.Grid(-5, 7, cells=48 * k), times=[0.7])),
        run,
        fpk.simulate(free, particles=500, steps=8, times=[0.5], seed=0),
        fpk.exact(OU, times=[0.2, 0.7]),
        fpk.compare(solution, run, tolerance=0.03),
        fpk.VPSchedule(0.1, 20.0),
        fpk.SubVPSchedule(0.1, 20.0),
        fpk.VESchedule(),
        OTSchedule(),
        fpk.AffineSchedule(np.cos, np.sin),
        fpk.problems.two_peaks(),
        fpk.Gaussian([0.0, 1.0], 0.5),
        fpk.TabulatedLaw.gibbs(lambda x: x**2, -4, 4),
        VPChain(np.linspace(1e-4, 0.02, 1000)),
        fpk.laws.as_law(stats.gamma(2.0)),
        examine_sampler(backwards, kind="velocity", schedule=OTSchedule(), order=1, checks=["finiteness", "calls"]),
    ]


@pytest.fixture(scope="module")
def shown():
    return [(thing, thing._repr_html_()) for thing in things()]


def descendants(cls):
    return {cls} | {inner for child in cls.__subclasses__() for inner in descendants(child)}


def test_every_class_that_is_shown_has_a_card_of_its_own(shown):
    tried = {base for thing, _ in shown for base in type(thing).__mro__}
    for cls in descendants(Shown) - {Shown}:  # those of whatever has been imported, which other tests decide
        assert {base.__name__ for base in cls.__mro__} & set(notebook.CARDS), cls
    assert set(notebook.CARDS) <= {cls.__name__ for cls in tried}
    for thing, _ in shown:
        assert {cls.__name__ for cls in type(thing).__mro__} & set(notebook.CARDS), type(thing)


class Balanced(HTMLParser):
    """Fails on scripts, requests and tags that do not close."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        assert tag in {
            "div",
            "strong",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "svg",
            "g",
            "path",
            "text",
            "title",
            "desc",
        }
        assert not {name for name, _ in attrs} & {"src", "href", "onload", "onclick", "class"}
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_cards_are_small_and_inert_html(shown):
    for thing, text in shown:
        parser = Balanced()
        parser.feed(text)
        assert not parser.open
        assert "<script" not in text
        assert len(text) < 12_000, type(thing)
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;" in shown[1][1]


def test_cards_take_the_colours_of_the_page(shown):
    for _, text in shown:
        colours = set(re.findall(r"(?:color|background|stroke|fill|--\w+):([^;\"']+)", text))
        assert colours <= {"inherit", "transparent", "currentColor", "var(--ink)"}


def test_cards_say_what_people_look_for(shown):
    texts = {type(thing).__name__: text for thing, text in shown[::-1]}
    assert "Linear(-1.0, 0.0)" in shown[0][1]
    assert "[[-1.0, -2.0], [2.0, -1.0]]" in texts["Problem"] + shown[1][1]
    assert "48 cells" in texts["GridMarginals"]
    assert "t = 0.1, t = 0.7 over x from" in texts["GridMarginals"]  # for those who do not see the drawing
    assert "φ1 at t=0.7" in texts["Verdict"]
    assert "α, σ over t from 0 to 1" in texts["VPSchedule"]
    assert "seed 0" in texts["ParticleMarginals"]
    assert "steps of the model" in texts["Examination"] or "CONFIRMED" in texts["Examination"]


def test_the_functional_that_decides_comes_first():
    exact = fpk.exact(OU, times=[0.7])
    wrong = fpk.exact(fpk.Problem(fpk.Linear(-1.0), 1.3, initial=fpk.Gaussian(2.0, 0.3)), times=[0.7])
    verdict = fpk.compare(exact, wrong, tolerance=0.01)
    assert verdict.worst > 0  # a wrong variance
    first = re.search(r"<tbody><tr><td[^>]*>([^<]*)</td><td", verdict._repr_html_())
    assert first
    assert first[1] == verdict.names[verdict.worst]


def test_a_density_that_is_not_resolved_is_still_shown_in_words():
    class Unresolved(Shown):
        def __repr__(self):
            return f"Unresolved({HOSTILE})"

        @property
        def dimension(self):
            raise fpk.FpkError("not resolved")

    notebook.CARDS["Unresolved"] = notebook.CARDS["GaussianMixture"]
    try:
        assert "Unresolved(&lt;script" in Unresolved()._repr_html_()
    finally:
        del notebook.CARDS["Unresolved"]


def test_long_tables_and_texts_are_cut_and_say_so():
    text = Card("t", [("long", "a" * 1000)], ("k",), [(k,) for k in range(100)]).html()
    assert "… and 76 more" in text
    assert len(text) < 8000


@pytest.mark.parametrize("y", [[], [1.0], [np.nan, np.inf, np.nan], [0.0, 0.0, 0.0], [1.0, np.inf, 3.0]])
def test_curves_that_cannot_be_drawn_are_left_out(y):
    text = Card("t", curves=[Curve("a", range(len(y)), y)]).html()
    assert ("<svg" in text) == (np.isfinite(y).sum() > 1)
    assert "nan" not in text
    assert "inf" not in text


# -- one line in a terminal --------------------------------------------------------------------------------------------


def test_what_holds_arrays_is_told_in_one_line():
    """By what computed it and its times: never by its arrays."""
    told = [repr(thing) for thing in things() if isinstance(thing, Summarised)]
    assert len(told) >= 7
    for line in told:
        assert re.fullmatch(r"<\w+: [^\n]{10,150}; t = [^\n]{1,40}>", line)
        assert "array" not in line
    many = fpk.exact(OU, times=np.linspace(0.0, 1.0, 21))
    assert repr(many) == "<LawMarginals: closed form of Ornstein–Uhlenbeck; t = 0, 0.05, 0.1, 0.15 ... 1 (21 times)>"
