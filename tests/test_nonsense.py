"""Nonsense is refused by name, with what came and what is allowed."""

from __future__ import annotations

import numpy as np
import pytest

import fpk
from fpk.coefficients import Coefficient
from fpk.comparison import settle
from fpk.errors import ComparisonError, FpkError, ProblemError, UnknownName

LAW = fpk.Gaussian(0.0, 1.0)
EXACT = fpk.LawMarginals({0.5: LAW}, (0.5,))
X = np.ones((3, 1))
NO_NUMBERS = [None, "0.1", [0.1], np.array([0.1, 0.2]), 1j, np.nan, 10**400, -1]


class Answering:
    """A side that answers with whatever it was given."""

    times = 0.5

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def expect(self, panel: fpk.panels.Panel) -> object:
        return self.answer


@pytest.mark.parametrize(
    "side", [None, 3, "x", [], fpk.problems.two_peaks, LAW, X, fpk.LawMarginals], ids=lambda s: type(s).__name__
)
def test_what_is_no_side_is_refused_with_what_would_be(side):
    for pair in ((EXACT, side), (side, EXACT)):
        with pytest.raises(ComparisonError, match=r"cannot be compared.*expect\(panel\).*fpk.exact"):
            fpk.compare(*pair, tolerance=0.1)


@pytest.mark.parametrize("answer", [None, np.zeros(4), 3])
def test_a_side_that_returns_no_estimate_is_refused(answer):
    with pytest.raises(ComparisonError, match=r"must return an fpk.Estimate"):
        fpk.compare(EXACT, Answering(answer), tolerance=0.1)  # type: ignore[arg-type]


def test_a_side_may_state_a_single_time():
    right = EXACT.expect(fpk.panels.law_panel({0.5: LAW}))
    assert fpk.compare(EXACT, Answering(right), tolerance=0.1).outcome is fpk.Outcome.CONFIRMED  # type: ignore[arg-type]


@pytest.mark.parametrize("panel", [3, "p", [], LAW])
def test_what_is_no_panel_is_refused(panel):
    with pytest.raises(ComparisonError, match="must be a Panel"):
        fpk.compare(EXACT, EXACT, panel=panel, tolerance=0.1)


@pytest.mark.parametrize("level", [*NO_NUMBERS, 0, 1, np.inf], ids=lambda v: repr(v)[:12])
def test_levels_are_probabilities(level):
    one = fpk.Estimate(np.zeros(1), np.zeros(1), covariance=np.eye(1), samples=10)
    for name in ("alpha", "beta"):
        with pytest.raises(ComparisonError, match=f"{name} is a probability"):
            settle(one, one, tolerance=0.1, **{name: level})


@pytest.mark.parametrize("given", [v for v in NO_NUMBERS if v is not None], ids=lambda v: repr(v)[:12])
def test_tolerances_and_effects_are_numbers(given):
    one = fpk.Estimate(np.zeros(1), np.zeros(1))
    for name in ("tolerance", "effect"):
        with pytest.raises(ComparisonError, match=f"the {name} must be a finite number"):
            settle(one, one, **{name: given})


@pytest.mark.parametrize(
    ("covariance", "samples", "message"),
    [
        (np.eye(3), 10, "has shape"),
        (-np.eye(2), 10, "variances must be"),
        (np.eye(2), -1, "samples="),
        (np.eye(2), None, "samples="),
    ],
)
def test_an_estimate_has_a_covariance_of_its_values(covariance, samples, message):
    with pytest.raises(ComparisonError, match=message):
        fpk.Estimate(np.zeros(2), np.zeros(2), covariance=covariance, samples=samples)


@pytest.mark.parametrize("horizon", [*NO_NUMBERS, 0, np.inf], ids=lambda v: repr(v)[:12])
def test_horizons_are_positive_numbers(horizon):
    with pytest.raises(ProblemError, match="the horizon must be positive and finite"):
        fpk.Problem("-x", 1.0, initial=LAW, horizon=horizon)


@pytest.mark.parametrize("boundary", [None, 3, "no_flux", [], fpk.Boundary])
def test_boundaries_are_boundaries(boundary):
    with pytest.raises(ProblemError, match="must be a Boundary"):
        fpk.Problem("-x", 1.0, initial=LAW, boundary=boundary)


@pytest.mark.parametrize("lower", [None, "a", [0], np.nan, 1.0])
def test_walls_are_ordered_numbers(lower):
    with pytest.raises(ProblemError, match="finite lower < upper"):
        fpk.Boundary("no_flux", lower, 1.0)


def test_laws_are_laws_and_noises_have_numbers():
    with pytest.raises(ProblemError, match="got the class"):
        fpk.Problem("-x", 1.0, initial=fpk.Gaussian)
    with pytest.raises(ProblemError, match="must be numbers"):
        fpk.Problem("-x", 1.0, initial=LAW, noise_covariance="a")


@pytest.mark.parametrize("time", [None, "a", 1j, np.nan, -1, 2])
def test_times_are_numbers_within_the_horizon(time):
    with pytest.raises(ProblemError, match=r"times must lie in \[0, 1\]"):
        fpk.exact(fpk.Problem("-x", 1.0, initial=LAW), times=[time])


@pytest.mark.parametrize(
    "given",
    [
        lambda x, t: None,
        lambda x, t: "a",
        lambda x, t: np.zeros((5, 2)),
        lambda x, t: 1 / 0,
        lambda x, t: float("a"),
        lambda t: None,
        fpk.Linear("a"),
        fpk.Linear(np.eye(2)),
        fpk.Linear(lambda t: "a"),
        fpk.Gaussian,
        int,
        max,
        10**400,
        np.nan,
        object(),
        lambda: 0,
        lambda x: x,
    ],
)
def test_what_gives_no_drift_is_refused_by_name(given):
    with pytest.raises(FpkError, match="drift"):
        Coefficient(given, 1, "drift")(X, 0.5)


def test_what_a_function_raises_of_its_own_is_what_is_seen():
    with pytest.raises(KeyError):
        Coefficient(lambda x, t: {}[0], 1, "drift")(X, 0.5)


@pytest.mark.parametrize("kind", [None, 3, "", []])
def test_kinds_of_formulas_are_named(kind):
    with pytest.raises(UnknownName, match="kind of formula"):
        fpk.check_formula("x", kind=kind)


@pytest.mark.parametrize(("text", "kind"), [("1e300", "velocity"), ("1e200*x", "score"), ("1e300", "variance")])
def test_formulas_with_huge_values_are_refused(text, kind):
    with pytest.raises(ProblemError, match="nothing can be computed with it"):
        fpk.check_formula(text, kind=kind)
