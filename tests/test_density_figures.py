"""Densities of particles: histograms with honest errors, bins against bins, budgets, and a drawing in standard errors that stands where it should."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.catalogue import Catalogue
from fpk.charts import density_curves
from fpk.figures import density_figures
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.particles.histograms import histogram
from fpk.particles.quasi import quasi_simulate
from fpk.records import Judged, judged
from fpk.runner import Done
from fpk.study import Claim, Evidence, Study, evidence
from fpk.tasks import Task
from fpk.verdict import Outcome

EDGES = np.linspace(-2.0, 2.0, 41)
SHARES = np.diff(stats.norm.cdf(EDGES))
SPRING = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(1.0, 0.5))
EXACT = fpk.exact(SPRING, times=[1.0])
PANEL = fpk.law_panel({1.0: EXACT.law(1.0)})


# -- histograms --------------------------------------------------------------------------------------------------------


def test_a_histogram_is_that_of_numpy(rng: np.random.Generator) -> None:
    x = rng.normal(size=5000)
    counts, _ = np.histogram(x[(x >= -2) & (x < 2)], EDGES)
    np.testing.assert_allclose(histogram(x, EDGES)[0], counts / (5000 * 0.1), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 8])
def test_errors_are_as_wide_as_they_say_whatever_the_units(size: int, rng: np.random.Generator) -> None:
    """Units of equal particles: the mean square of 40 × 50 deviations is that of Student's t, 63/61, with a standard error of 3.3 %; a bar that
    takes the particles of a unit apart is wrong by the size of a unit. Alarms with probability 1e-6; power above 1 − 1e-6 against a factor 2."""
    deviations = []
    for _ in range(50):
        density, error = histogram(np.repeat(rng.normal(size=64_000 // size), size), EDGES, units=64_000 // size)
        deviations.append((density - SHARES / 0.1) / error)
    assert abs(np.mean(np.square(deviations)) * 61 / 63 - 1) < stats.norm.isf(5e-7) * 1.1 * np.sqrt(2 / 2000)


def test_particles_that_are_gone_count_and_bins_without_any_have_the_error_of_one() -> None:
    x = np.concatenate([np.full(75, 0.05), np.full(15, np.inf), np.full(5, -np.inf), np.full(5, np.nan)])
    density, error = histogram(x, EDGES)
    assert density.sum() * 0.1 == pytest.approx(0.75)
    assert np.all(error[density == 0] == pytest.approx(1 / (100 * 0.1)))


def test_fewer_than_eight_units_have_no_error(rng: np.random.Generator) -> None:
    assert np.all(np.isinf(histogram(rng.normal(size=7 * 100), EDGES, units=7)[1]))


# -- curves ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def particles() -> fpk.particles.ensemble.ParticleMarginals:
    return fpk.simulate(SPRING, particles=40_000, steps=8, times=[1.0], seed=1)


def test_both_sides_of_particles_are_means_over_bins(particles) -> None:
    curves = evidence(particles, EXACT).curves
    x = curves["x"]
    edges = np.append(x, x[-1] + x[1] - x[0]) - (x[1] - x[0]) / 2
    law = stats.norm(np.exp(-1), np.sqrt(0.5 - 0.25 * np.exp(-2)))
    np.testing.assert_allclose(curves["second"], np.diff(law.cdf(edges)) / np.diff(edges), atol=1e-6)
    counts, _ = np.histogram(particles.samples(1.0), edges)
    np.testing.assert_allclose(curves["first"], counts / 40_000 / np.diff(edges), atol=2 / 40_000 / (x[1] - x[0]))


def test_sides_without_noise_have_no_errors_and_sides_on_one_noise_neither(particles) -> None:
    assert set(evidence(EXACT, EXACT, panel=PANEL).curves) == {"x", "t", "first", "second"}
    assert set(evidence(particles, particles.level(1), panel=PANEL).curves) == {"x", "t", "first", "second"}
    assert {"error", "budget"} < set(evidence(particles, EXACT, panel=PANEL).curves)


def test_the_budget_is_that_of_the_functionals_spread_over_the_density(particles) -> None:
    """φ_k are orthonormal under the reference f, so ∫ (b |φ_k| f)² / f dx = b²."""
    answers = particles.expect(PANEL), EXACT.expect(PANEL)
    block = PANEL.smooth[-1]
    for k in range(4):
        bound = np.zeros(4)
        bound[k] = 0.01
        given = [
            replace(answer, bias_bound=own, step_bias=None, scheme=None)
            for answer, own in zip(answers, (bound, 0 * bound), strict=True)
        ]
        curves = density_curves(PANEL, (particles, EXACT), given)
        f, width = EXACT.density_on(curves["x"], 1.0), curves["x"][1] - curves["x"][0]
        assert np.sum(curves["budget"] ** 2 / f) * width == pytest.approx(1e-4, rel=0.02), block.names[k]


def test_the_budget_of_time_steps_counts_where_both_sides_do_not_share_them(particles) -> None:
    from fpk.closed_form import euler_chain

    steps = int(re.search(r"× (\d+) steps", particles.source)[1])  # type: ignore[index]
    chain = euler_chain(SPRING, steps=steps, times=[1.0])
    alone, shared = (evidence(particles, other, panel=PANEL).curves["budget"] for other in (EXACT, chain))
    assert shared.max() < 1e-9 < 1e-3 < alone.max()
    unknown = fpk.simulate(SPRING, particles=1000, steps=8, times=[1.0], seed=1, levels=1)
    assert np.isinf(evidence(unknown, EXACT, panel=PANEL).curves["budget"]).any()


def test_replicates_of_a_sequence_give_their_own_errors() -> None:
    run = quasi_simulate(SPRING, points=256, steps=4, times=[1.0], seed=1)
    curves = evidence(run, EXACT, panel=PANEL).curves
    single = np.sqrt(curves["second"] / (run.particles * (curves["x"][1] - curves["x"][0])))
    middle = curves["second"] > 0.3
    assert np.mean(curves["error"][middle] / single[middle]) < 0.8, "Sobol points are spread more evenly than particles"


# -- drawings ----------------------------------------------------------------------------------------------------------

X = np.linspace(-3.0, 3.0, 61)
P = stats.norm.pdf(X)
NOISE = 0.002


def drawn(deviations: Array, wrong: Array, *, budget: Array | None = None, error: Array | None = None) -> str:
    """The drawing of a claim whose sides differ by so many standard errors, and whose control does."""
    made = {"stated": deviations, "sign": wrong}
    claim = Claim("S0.E1", "equality", "One.", "1 = 1", "here", {"stated": Outcome.CONFIRMED, "sign": Outcome.REFUTED})
    compute: Any = drawn
    study = Study(claim.id, compute, dict.fromkeys(made), ("",), 1, False, "studies.synthetic")
    done = []
    for name, apart in made.items():
        curves = {"x": X, "t": np.ones(1), "first": P + NOISE * apart, "second": P}
        curves |= {
            "error": np.full(61, NOISE) if error is None else error,
            "budget": 0 * X if budget is None else budget,
        }
        first = Estimate(
            np.full(1, np.abs(apart).max()), np.zeros(1), covariance=np.eye(1), samples=10**6, source="particles"
        )
        found = Evidence(first, Estimate(np.zeros(1), np.zeros(1), source="law"), ("φ1",), curves)
        done.append(Done(Task("studies", claim.id, name, "", "quick", 7, "0" * 64), found, {"versions": {}}))
    records: list[Judged] = judged(Catalogue(Path("studies"), {claim.id: claim}, (study,)), done)
    (svg,) = density_figures(records)
    return svg


def paths(svg: str, style: str) -> list[np.ndarray]:
    """Places of every line of a style, below the densities."""
    lines = [line for own, d in styled(ElementTree.fromstring(svg)) if style in own for line in walked(d)]
    return [line for line in lines if line[0, 1] > 205]


def styled(element: ElementTree.Element, style: str = "") -> Iterator[tuple[str, str]]:
    own = element.get("style", "") or style
    if element.tag == "path":
        yield own, element.get("d", "")
    for child in element:
        yield from styled(child, own)


def walked(d: str) -> list[np.ndarray]:
    """Absolute places of the lines of a path, which a move begins."""
    place, lines = np.zeros(2), []
    for letter, body in re.findall(r"([Mmlhv])([^Mmlhvz]*)", d):
        numbers = [float(n) for n in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", body)]
        along = {"h": [(n, 0.0) for n in numbers], "v": [(0.0, n) for n in numbers]}
        for step in along[letter] if letter in along else zip(numbers[::2], numbers[1::2], strict=True):
            place = np.array(step) if letter == "M" else place + step
            if letter in "Mm":
                lines.append([])
            lines[-1].append(place)
    return [np.array(line) for line in lines]


def described(svg: str) -> str:
    return next(e.text or "" for e in ElementTree.fromstring(svg).iter("desc"))


INK, CONTROL, LINE, BAND = "--ink", "--control", "stroke-dasharray:4 3", "fill:var(--noise)"


def test_two_standard_errors_stand_on_the_line_of_two() -> None:
    svg = drawn(np.where(X < 0, 2.0, -2.0), np.full(61, 40.0))
    (curve,) = paths(svg, INK)
    upper, lower = sorted(places[0, 1] for places in paths(svg, LINE))
    assert curve[0, 1] == pytest.approx(upper, abs=0.15)
    assert curve[-1, 1] == pytest.approx(lower, abs=0.15)
    (control,) = paths(svg, CONTROL)
    assert control[0, 1] < upper - 10


def test_far_deviations_and_the_numbers_at_the_axis_stand_where_asinh_puts_them() -> None:
    """Places are written in tenths, and those of the two lines are 4.2 times as far apart here."""
    svg = drawn(0 * X, np.full(61, 40.0))
    upper, lower = sorted(places[0, 1] for places in paths(svg, LINE))
    middle, unit = (upper + lower) / 2, (lower - upper) / 2 / np.arcsinh(1)
    (control,) = paths(svg, CONTROL)
    assert control[0, 1] == pytest.approx(middle - unit * np.arcsinh(20), abs=0.3)
    at_axis = [
        e for e in ElementTree.fromstring(svg).iter("text") if float(e.get("x", 0)) == 55 and float(e.get("y", 0)) > 205
    ]
    words = {e.text: float(e.get("y", 0)) - 0.35 * 11.5 for e in at_axis}
    for word, number in {"2": 2, "−2": -2, "10": 10, "−10": -10}.items():
        assert words[word] == pytest.approx(middle - unit * np.arcsinh(number / 2), abs=0.3)


def test_the_band_is_the_budget_in_standard_errors() -> None:
    svg = drawn(0 * X, np.full(61, 20.0), budget=np.full(61, 2 * NOISE))
    outline = next(places for places in paths(svg, BAND) if len(places) > 3 and np.ptp(places[:, 0]) > 100)
    upper, lower = sorted(places[0, 1] for places in paths(svg, LINE))
    assert outline[:, 1].min() == pytest.approx(upper, abs=0.15)
    assert outline[:, 1].max() == pytest.approx(lower, abs=0.15)


def test_the_words_say_how_far_how_often_and_whether_the_budget_explains_it() -> None:
    apart = np.where(np.arange(61) % 10 == 0, 7.0, 1.0) * (np.abs(X) < 2)
    said = described(drawn(apart, np.full(61, 20.0), budget=np.where(X < 0, 6 * NOISE, 0.0)))
    counted = int(np.sum((np.abs(X) < 2) & (apart == 7.0) & (np.maximum(P, P + NOISE * apart) >= 6 * NOISE)))
    explained = int(np.sum((np.abs(X) < 2) & (apart == 7.0) & (X < 0)))
    shown = int(np.sum(np.maximum(P, P + NOISE * apart) >= 6 * NOISE))
    assert f"by at most 7; at {counted} of {shown} places by more than 2" in said
    assert f"at {counted - explained} by more than that and the budget, which is up to 6." in said
    assert "With sign: by up to 20." in said


def test_places_that_few_particles_reach_are_left_out() -> None:
    (whole,) = paths(drawn(0 * X, np.full(61, 20.0)), INK)
    (inner,) = paths(drawn(0 * X, np.full(61, 20.0), error=np.full(61, 0.05)), INK)
    seen = X[P >= 6 * 0.05]
    assert np.ptp(inner[:, 0]) / np.ptp(whole[:, 0]) == pytest.approx(
        np.ptp(seen) / np.ptp(X[P >= 6 * NOISE]), rel=0.05
    )


def test_a_gap_is_not_bridged() -> None:
    error = np.where(np.abs(X) < 0.5, np.nan, NOISE)
    assert len(paths(drawn(0 * X, np.full(61, 20.0), error=error), INK)) == 2


@pytest.mark.parametrize("error", [np.zeros(61), np.full(61, np.inf), np.full(61, 1.0)], ids=["none", "unknown", "all"])
def test_without_errors_the_difference_itself_is_drawn(error: Array) -> None:
    svg = drawn(np.ones(61), np.full(61, 20.0), error=error)
    assert "standard errors" not in svg
    assert "s.e." not in svg


def test_endless_budgets_and_huge_differences_stay_within_the_drawing() -> None:
    svg = drawn(np.full(61, 1.0), np.full(61, 1e6), budget=np.full(61, np.inf))
    assert "nan" not in svg
    assert "inf" not in svg
    assert all(213 <= y <= 302 for style in (INK, CONTROL) for places in paths(svg, style) for _, y in places)
