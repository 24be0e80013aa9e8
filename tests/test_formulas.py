"""Formulas as text, and the verdicts on them: equivalent spellings are confirmed, every listed mistake is refuted by its name."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpk
from fpk import formulas
from fpk.errors import NonFinite, ProblemError, UnknownName
from fpk.expressions import FUNCTIONS, Expression
from fpk.formula_kinds import KINDS, SCHEDULE, TIMES
from fpk.schedules import VPSchedule

CONFIRMED, REFUTED = fpk.Outcome.CONFIRMED, fpk.Outcome.REFUTED
NAMES = ("f", "g", "score", "x", "t")
VALUES = {"f": 1.5, "g": 2.0, "score": -0.7, "x": 0.3, "t": 0.25}


# --- expressions


@pytest.mark.parametrize(
    "text",
    [
        "f - g**2*score/2",
        "f - g^2*score/2",
        "f − ½*g²*score",
        "f - ½g**2*score",
        "f-.5*g*g*score",
        " -(-f + score*(g**2)/2) ",
    ],
)
def test_spellings_of_one_formula_have_one_value(text):
    assert float(Expression(text, NAMES)(VALUES)) == pytest.approx(1.5 + 0.5 * 4 * 0.7, rel=1e-15)


def test_functions_are_those_of_numpy():
    for name, function in FUNCTIONS.items():
        assert float(Expression(f"{name}(x)", NAMES)(VALUES)) == function(0.3)


@given(st.floats(-5, 5), st.floats(0.1, 5), st.integers(-3, 3))
def test_values_agree_with_python(a, b, n):
    text = "(x - 2*t)**2/t + exp(-x**2)*t - pi"
    values = {"x": a + n, "t": b}
    expected = (a + n - 2 * b) ** 2 / b + np.exp(-((a + n) ** 2)) * b - np.pi
    assert float(Expression(text, NAMES)(values)) == pytest.approx(expected, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("f - g**2*scor", "unknown name 'scor'"),
        ("f - g**2 score", "cannot read"),
        ("", "needed as text"),
        ("f if x else g", "not arithmetic"),
        ("__import__('os').getcwd()", "not arithmetic"),
        ("x.__class__", "not arithmetic"),
        ("exp(x, t)", "not arithmetic"),
        ("grad(x)", "not arithmetic"),
        ("[f, g]", "not arithmetic"),
        ("f < g", "not arithmetic"),
        ("True", "not arithmetic"),
        ("'x'", "not arithmetic"),
        ("f := g", "cannot read"),
        ("½**", "cannot read"),
        ("(" * 500 + "x" + ")" * 500, "cannot read"),
    ],
)
def test_what_is_not_a_formula_is_refused_with_the_allowed_names(text, complaint):
    with pytest.raises(ProblemError, match=re.escape(complaint)) as refusal:
        Expression(text, NAMES)
    assert "It may use f, g, score, x, t, numbers, pi" in str(refusal.value)


def test_a_number_is_no_text():
    with pytest.raises(ProblemError, match=r"needed as text, got 3"):
        Expression(3, NAMES)  # type: ignore[arg-type]


def test_used_names_come_in_the_order_of_the_allowed_ones():
    assert Expression("t*score - f", NAMES).used == ("f", "score", "t")


def test_values_that_are_not_finite_say_where():
    with pytest.raises(NonFinite, match=r"'1/x' is \[inf\] at x=\[0.0\], t=0.5"):
        Expression("1/x", NAMES).finite({"x": np.array([[1.0], [0.0]])}, np.array([[1.0], [0.0]]), 0.5)


# --- verdicts on right formulas

SPELLINGS = {
    "reverse_drift": ["f - g**2*score", "-½*β*x − β*score", "f - g*g*score + 0*t", "-(beta/2)*(x + 2*score)"],
    "velocity": ["f - g**2*score/2", "-beta*(x + score)/2", "f - ½g²*score"],
    "drift": ["-beta*x/2", "-g**2*x/2", "-(0.3 + 1.4*t)*x"],
    "variance": ["1 - alpha**2", "sigma**2", "1 - exp(-B)", "-expm1(-B)", "1 - exp(-0.6*t - 1.4*t^2)"],
    "score": ["-(x - alpha*x0)/sigma**2", "(alpha*x0 - x)/(1 - alpha**2)", "-(x - exp(-B/2)*x0)/(1 - exp(-B))"],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SPELLINGS.items() for text in texts])
def test_equivalent_spellings_are_confirmed(kind, text):
    verdict = fpk.check_formula(text, kind=kind)
    assert verdict.outcome is CONFIRMED, verdict
    assert f"{len(KINDS[kind].mistakes)} wrong variants are told apart" in verdict.reason
    assert "right is" not in verdict.reason


@pytest.mark.parametrize("kind", KINDS)
def test_the_tolerance_is_a_third_of_the_smallest_effect_of_the_mistakes(kind):
    verdict = fpk.check_formula(KINDS[kind].right, kind=kind)
    effects = formulas._effects(kind)
    assert verdict.tolerance == pytest.approx(min(effects.values()) / 3)
    assert min(effects.values()) > 0.01
    assert effects[min(effects, key=effects.__getitem__)] == effects[next(k for k in effects if "2 %" in k)]
    assert np.max(np.abs(verdict.difference) + verdict.budget) < 0.1 * min(effects.values())


# --- verdicts on wrong formulas

MISTAKES = [(kind, mistake) for kind, asked in KINDS.items() for mistake in asked.mistakes]


@pytest.mark.parametrize(("kind", "mistake"), MISTAKES, ids=[f"{k}: {m.partition(' (')[0]}" for k, m in MISTAKES])
def test_every_listed_mistake_is_refuted_and_named(kind, mistake):
    verdict = fpk.check_formula(KINDS[kind].mistakes[mistake], kind=kind)
    assert verdict.outcome is REFUTED, verdict
    assert f"Reads like: {mistake}." in verdict.reason
    assert "it gives" in verdict.reason


@pytest.mark.parametrize(
    ("kind", "text", "mistake"),
    [
        ("reverse_drift", "-beta*x/2 - ½*beta*score", "½ too many on g²"),
        ("reverse_drift", "-sqrt(beta)*score + f", "g for g²"),
        ("velocity", "f + score*g*g/2", "wrong sign of the score"),
        ("drift", "-g*g*x", "½ missing on β"),
        ("variance", "sigma", "a root is left"),
        ("score", "(alpha*x0 - x)/sqrt(1 - alpha**2)", "σ for σ²"),
    ],
)
def test_a_mistake_is_recognised_in_another_spelling(kind, text, mistake):
    verdict = fpk.check_formula(text, kind=kind)
    assert verdict.outcome is REFUTED
    assert f"Reads like: {mistake}" in verdict.reason


def test_an_unlisted_mistake_is_likened_to_the_nearest_one():
    verdict = fpk.check_formula("f - 0.51*g**2*score", kind="reverse_drift")
    assert verdict.outcome is REFUTED
    assert "Not a listed mistake, but acts much like: ½ too many on g²" in verdict.reason


def test_an_outlandish_formula_is_not_likened_to_anything():
    verdict = fpk.check_formula("cos(3*x) + t", kind="drift")
    assert verdict.outcome is REFUTED
    assert "like" not in verdict.reason
    assert "it gives" in verdict.reason


def test_the_counterexample_can_be_checked_by_hand():
    reason = fpk.check_formula("sqrt(1 - alpha**2)", kind="variance").reason
    t, alpha, given, right = map(
        float, re.search(r"t = (\S+) \(alpha = (\S+)\) it gives (\S+), right is (\S+)\.$", reason).groups()
    )
    assert alpha == pytest.approx(SCHEDULE.alpha(t), rel=1e-5)
    assert given == pytest.approx(np.sqrt(1 - alpha**2), rel=1e-4)
    assert right == pytest.approx(1 - alpha**2, rel=1e-4)


# --- the check itself


@pytest.mark.parametrize("kind", ["drift", "variance", "score"])
def test_no_verdict_looks_at_the_right_formula(kind, monkeypatch):
    asked = KINDS[kind]
    monkeypatch.setitem(KINDS, kind, replace(asked, right="t"))
    assert fpk.check_formula(asked.right, kind=kind).outcome is CONFIRMED
    assert fpk.check_formula("t", kind=kind).outcome is REFUTED


def test_sigma_squared_says_something_about_the_sde(monkeypatch):
    """The variance is held against the moment equations: were the schedule's σ wrong, σ² would be refuted and 1 − α² confirmed."""
    true = VPSchedule.sigma
    monkeypatch.setattr(VPSchedule, "sigma", lambda self, t: 1.02 * true(self, t))
    assert fpk.check_formula("sigma**2", kind="variance").outcome is REFUTED
    assert fpk.check_formula("1 - alpha**2", kind="variance").outcome is CONFIRMED


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("drift", "f"),
        ("variance", "x"),
        ("variance", "score"),
        ("score", "score"),
        ("score", "log_p"),
        ("velocity", "x0"),
    ],
)
def test_names_that_would_beg_the_question_are_not_offered(kind, name):
    with pytest.raises(ProblemError, match=f"unknown name '{name}'"):
        fpk.check_formula(name, kind=kind)


def test_the_hard_case_hides_nothing():
    for t in TIMES:
        g = SCHEDULE.diffusion(t)
        assert min(abs(g - 1), abs(g - g**2), abs(SCHEDULE.alpha(t) - SCHEDULE.sigma(t))) > 0.02


def test_a_formula_that_is_infinite_where_it_is_needed_is_refused():
    with pytest.raises(ProblemError, match=r"σ vanishes at t=0"):
        fpk.check_formula("f - score/sigma", kind="reverse_drift")


def test_unknown_kinds_list_the_known_ones():
    with pytest.raises(UnknownName, match=r"drift, reverse_drift, score, variance, velocity"):
        fpk.check_formula("f", kind="reverse")


def test_the_verdict_is_returned_with_its_numbers():
    verdict = fpk.check_formula("beta*x/2", kind="drift")
    assert verdict.kind == "equality"
    assert len(verdict.names) == len(verdict.difference) == 16
    assert "the SDE" not in verdict.pair[1]
    assert verdict.as_dict()["verdict"] == "REFUTED"
