"""The likely mistake: planted ones are named, in laws, problems and reversals; nothing is claimed that the data do not tell; nothing is hidden."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.testing import (
    assert_marginals,
    assert_reverse_equivalent,
    assert_same_law,
    assert_stationary,
    explanations,
    reversals,
    suspects,
)
from fpk.testing.misreadings import MISREADINGS
from fpk.testing.mistakes import MISTAKES, Mistake


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Enough time on a busy machine, but where the time is what is tested."""
    if "seconds" not in request.node.name:
        monkeypatch.setattr(suspects, "PATIENCE", 60.0)


def told(check: Callable[[], Any]) -> list[str]:
    """The lines about suspects of an assertion that fails."""
    with pytest.raises(fpk.Refuted) as failure:
        check()
    return [line.split(maxsplit=1)[1] for line in str(failure.value).splitlines() if line.startswith("suspect ")]


# --- mistakes in problems, found by planting them in the right one

#: Linear, so that its exact law is known; nothing in it is symmetric, equal to 1, or steady.
MOVING = fpk.Problem("(0.4 - 1.3*t)*x + 0.7", "0.6 + 0.5*t", initial=fpk.Gaussian(0.8, 0.4))
MIXED = fpk.Problem(
    fpk.Linear(np.array([[-1.0, -2.0], [0.5, -1.0]])),
    np.array([[0.8, 0.5], [0.0, 0.6]]),
    initial=fpk.Gaussian([1.5, 0.0], 0.3),
)
#: With noise that depends on x, on a grid.
BENT = fpk.Problem("-x", "0.5 + 0.3*sin(x)", initial=fpk.Gaussian(0.5, 0.4), horizon=0.5)


def exactly(problem: fpk.Problem) -> fpk.LawMarginals:
    return fpk.exact(problem, times=[0.4, 1.0])


def on_grid(problem: fpk.Problem) -> Any:
    return fpk.solve(problem, fpk.Grid(-4, 4.5, cells=96), times=[0.5])


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_a_planted_mistake_is_named(mistake: Mistake) -> None:
    problem, wrong, route = next(
        (p, w, route)
        for p, route in ((MOVING, exactly), (MIXED, exactly), (BENT, on_grid))
        if (w := mistake.made(p)) is not None
    )
    lines = told(lambda: assert_marginals(route(wrong), route(problem), tolerance=1e-4))
    assert lines[0].startswith(f"the data fit {mistake.name!r} (")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_what_mends_a_mistake_is_its_inverse(mistake: Mistake) -> None:
    x = np.linspace(-1.1, 1.3, 5)
    for problem in (MOVING, MIXED, BENT):
        wrong = mistake.made(problem)
        mended = None if wrong is None else mistake.mended(wrong)
        if mended is None:
            continue
        at = np.stack([x] * problem.dimension, axis=1)
        for t in (0.0, 0.3, problem.horizon):
            assert np.allclose(mended.drift(at, t), problem.drift(at, t), atol=1e-9)
            assert np.allclose(mended.diffusivity_matrix(at, t), problem.diffusivity_matrix(at, t), atol=1e-9)


def test_a_factor_that_is_no_known_mistake_is_measured() -> None:
    (line,) = told(lambda: assert_marginals(exactly(rewritten(1.07)), exactly(MOVING), tolerance=1e-4))
    assert line.startswith("the data fit 'drift × 1.07' (")


def rewritten(factor: float) -> fpk.Problem:
    """MOVING with another factor, written by hand."""
    return fpk.Problem(f"{factor}*((0.4 - 1.3*t)*x + 0.7)", "0.6 + 0.5*t", initial=fpk.Gaussian(0.8, 0.4))


def test_samples_of_somebody_elses_program_are_explained_in_standard_errors() -> None:
    """Euler–Maruyama by hand with half the drift, against the problem it should solve."""
    problem, n, steps = (
        fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=0.8, initial=fpk.Gaussian(2.0, 0.3)),
        20_000,
        200,
    )
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 0.3, size=(n, 1))
    for _ in range(steps):
        x = x - 0.5 * x / steps + 0.8 * rng.normal(size=x.shape) / np.sqrt(steps)
    lines = told(lambda: assert_same_law(x, fpk.exact(problem, times=[1.0]), tolerance=0.02))
    assert lines[0].startswith("the data fit 'drift × ½' (")
    assert float(lines[0].partition("½' (")[2].partition(" s.e.")[0]) < suspects.FITS


# --- found by undoing them in the wrong one


def test_an_unstable_law_is_explained_by_what_would_make_it_stable() -> None:
    well, law = (
        fpk.problems.double_well(diffusion=0.8, initial=fpk.Gaussian(0.0, 1.0), horizon=0.5),
        fpk.problems.double_well_law(0.8),
    )
    halved = replace(well, drift="(x - x**3)/2")
    lines = told(lambda: assert_stationary(halved, law))
    assert {line.partition("'")[2].partition("'")[0] for line in lines} == {"drift × ½", "g² × 2 (noise × √2)"}
    assert "these data cannot tell" in lines[1]  # half the drift and twice the noise leave the same law at rest
    assert told(lambda: assert_stationary(replace(well, diffusion=0.64), law))[0].startswith(
        "the data fit 'g² for g' ("
    )


def test_a_problem_on_the_actual_side_is_mended() -> None:
    wrong = fpk.Problem("-0.5*x", "1", initial=fpk.Gaussian(1.0, 0.3))
    law = fpk.exact(fpk.Problem("-x", "1", initial=fpk.Gaussian(1.0, 0.3)), times=[1.0]).law(1.0)
    assert told(lambda: assert_same_law(fpk.exact(wrong, times=[1.0]), law, tolerance=1e-3))[0].startswith(
        "the data fit 'drift × ½' ("
    )


# --- reversals

VP = fpk.noising(fpk.VPSchedule(0.6, 3.4), fpk.problems.two_peaks())


def test_half_of_the_score_term_is_named() -> None:
    score = fpk.exact(VP, times=[1.0]).score
    lines = told(lambda: assert_reverse_equivalent(VP, score=lambda x, t: score(x, t) / 2, cells=32))
    assert lines[0].startswith("the data fit '½ too many on g² score (that is the probability flow)' (")


def test_times_that_are_not_reversed_are_those_of_their_names() -> None:
    score, x, u, t = fpk.exact(VP, times=[1.0]).score, np.linspace(-2, 2, 7)[:, None], 0.3, 0.7
    for name, which in reversals.TIMES.items():
        f, g, s = (u if letter in which else t for letter in "fgs")
        expected = -VP.drift(x, f) + VP.diffusion(x, g) ** 2 * score(x, s)
        assert np.allclose(reversals.known(VP)[name](VP, score, initial=VP.initial).drift(x, u), expected, rtol=1e-12)
    assert "time not reversed in g" not in reversals.known(BENT)  # it is steady


def test_a_score_that_is_somewhat_off_is_measured() -> None:
    score = fpk.exact(VP, times=[1.0]).score
    assert told(lambda: assert_reverse_equivalent(VP, score=lambda x, t: 1.05 * score(x, t)))[0].startswith(
        "the data fit 'score × 1.05' ("
    )


def test_a_reversal_written_by_hand_without_its_divergence_term_is_named() -> None:
    def reverse(problem: fpk.Problem, score: Any, *, initial: Any) -> fpk.Problem:
        T, f, g = problem.horizon, problem.drift, problem.diffusion
        return fpk.Problem(
            lambda x, u: -f(x, T - u) + g(x, T - u) ** 2 * score(x, T - u),
            lambda x, u: g(x, T - u),
            initial=initial,
            horizon=T,
        )

    assert told(lambda: assert_reverse_equivalent(BENT, reverse=reverse))[0].startswith(
        "the data fit '∂(g²)/∂x missing' ("
    )


def test_the_reversal_without_a_mistake_is_the_library_s() -> None:
    score = fpk.exact(VP, times=[1.0]).score
    x = np.linspace(-2, 2, 7)[:, None]
    for problem, s in ((VP, score), (BENT, lambda x, t: -x)):
        own = reversals.reversal()(problem, s, initial=problem.initial)
        known = fpk.reverse_time(problem, s, initial=problem.initial)
        for u in (0.1, 0.4):
            assert np.allclose(own.drift(x, u), known.drift(x, u), rtol=1e-9)
            assert np.allclose(own.diffusion(x, u), known.diffusion(x, u))


# --- laws


@pytest.mark.parametrize("mistake", MISREADINGS)
def test_misread_laws_are_named(mistake: str) -> None:
    line = fpk.GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.3, 0.6])
    plane = fpk.Gaussian([1.0, 0.3], covariance=[[0.5, 0.2], [0.2, 0.3]])
    law = plane if "between coordinates" in mistake else line
    wrong = MISREADINGS[mistake](law)
    assert wrong is not None
    assert told(lambda: assert_same_law(wrong, law, tolerance=1e-4))[0].startswith(f"the data fit {mistake!r} (")


# --- what is not claimed


def test_a_difference_of_another_kind_fits_nothing_and_says_so() -> None:
    skewed = np.random.default_rng(0).gamma(2.0, size=(20_000, 1))
    (line,) = told(lambda: assert_same_law(skewed, fpk.exact(MOVING, times=[1.0]), tolerance=0.02))
    assert re.match(r"none of \d+ known mistakes fits; nearest is '.+', which leaves [\d.e+]+ s\.e\.$", line)


def test_two_mistakes_at_once_are_not_one() -> None:
    wrong = fpk.Problem("0.5*((0.4 - 1.3*t)*x + 0.7)", "1.41*(0.6 + 0.5*t)", initial=fpk.Gaussian(0.8, 0.4))
    (line,) = told(lambda: assert_marginals(exactly(wrong), exactly(MOVING), tolerance=1e-4))
    assert line.startswith("none of ")


def test_laws_of_which_nothing_is_known_have_no_suspects() -> None:
    samples = np.random.default_rng(0).normal(size=(5000, 1))
    assert told(lambda: assert_same_law(samples, samples + 0.5, tolerance=0.02)) == []


def test_nothing_is_looked_for_when_a_check_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("of_sides", "farthest"):
        monkeypatch.setattr(f"fpk.testing.laws.{name}", lambda *given, name=name: asked.append(name) or [])
    assert assert_marginals(exactly(MOVING), exactly(MOVING), tolerance=1e-3).outcome is fpk.Outcome.CONFIRMED
    assert asked == []
    told(lambda: assert_marginals(exactly(rewritten(0.5)), exactly(MOVING), tolerance=1e-4))
    assert sorted(asked) == ["farthest", "of_sides"]


def test_trouble_in_the_search_does_not_hide_what_was_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "cheap", lambda *given: 1 / 0)
    (line,) = told(lambda: assert_marginals(exactly(rewritten(0.5)), exactly(MOVING), tolerance=1e-4))
    assert line == "could not be looked for: ZeroDivisionError: division by zero"


def test_the_search_ends_when_its_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects, "PATIENCE", 0.0)
    assert told(lambda: assert_marginals(exactly(rewritten(0.5)), exactly(MOVING), tolerance=1e-4)) == [
        f"{len(MISTAKES)} known mistakes were not tried, for time"
    ]


def test_a_failure_costs_seconds_at_most() -> None:
    """Particles in the plane with a drift that is a Python function: nothing is known exactly, nothing is compiled."""
    turning = fpk.Problem(
        lambda x, t: -x - 0.3 * x**3 + x[:, ::-1] * [1, -1], 0.7, initial=fpk.Gaussian([1.0, 0.0], 0.4), horizon=0.5
    )
    halved = replace(turning, drift=lambda x, t: 0.5 * turning.drift(x, t))
    sides = [fpk.simulate(p, particles=20_000, steps=16, times=[0.5], seed=s) for s, p in enumerate((halved, turning))]
    law = fpk.Gaussian([0.7, -0.4], 0.5)
    panel = fpk.law_panel({0.5: law}, directions=[np.array([1.0, 0.0]), np.array([0.0, 1.0])])
    begun = time.process_time()
    lines = explanations.of_sides(*sides, panel, (sides[0].expect(panel), sides[1].expect(panel)))
    assert time.process_time() - begun < suspects.PATIENCE + 1.0
    assert any(line.startswith("the data fit 'drift × ½' (") for line in lines)
