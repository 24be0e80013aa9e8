"""Which mistake fits: the planted one is named, in its size, and nothing is said where nothing can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.catalogue import Catalogue
from fpk.diagnosis import Fit, agreeing, explains, ranked
from fpk.laws import Array
from fpk.marginals import Estimate, residual, zero_estimate
from fpk.records import judged
from fpk.runner import Done
from fpk.study import Claim, Evidence, Study
from fpk.tasks import Task
from fpk.verdict import Outcome

NAMES = ("a", "b", "c")


def found(*values: float, bound: float = 1e-6, panel: str = "") -> Evidence:
    return Evidence(residual(np.array(values), bound), zero_estimate(len(values)), NAMES[: len(values)], panel=panel)


CONTROLS = {
    "score sign": found(1.0, -0.5, 0.2),
    "½ missing": found(0.3, 0.4, -0.1),
    "g² + 2 %": found(0.0, 0.01, 0.02),
}


@pytest.mark.parametrize("mistake", CONTROLS)
def test_the_planted_mistake_is_ranked_first(mistake: str) -> None:
    best = ranked(CONTROLS[mistake], CONTROLS)[0]
    assert best == Fit(mistake, 0.0, pytest.approx(1.0), pytest.approx(0.0, abs=1e-9))
    assert str(best) == f"fits {mistake!r} (0 s.e.)"


def test_a_mistake_of_another_size_is_named_with_its_size() -> None:
    best = ranked(found(0.0, 0.025, 0.05), CONTROLS)[0]
    assert best.mistake == "g² + 2 %"
    assert best.ratio == pytest.approx(2.5)
    assert str(best) == "fits 2.5 × 'g² + 2 %' (0 s.e.)" or best.distance_scaled < 1e-3


def test_a_mistake_of_the_other_sign_does_not_fit() -> None:
    best = ranked(found(-1.0, 0.5, -0.2), {"score sign": CONTROLS["score sign"]})[0]
    assert not best.fits
    assert best.ratio == pytest.approx(-1.0)


def test_a_difference_of_its_own_kind_fits_nothing() -> None:
    best = ranked(found(0.2, 0.5, 0.9), CONTROLS)[0]
    assert not best.fits
    assert str(best).startswith("fits no control; nearest is ")


def test_sampling_noise_is_the_unit_of_the_distance() -> None:
    def sampled(value: float) -> Evidence:
        first = Estimate(np.array([value]), np.zeros(1), covariance=np.array([[0.01**2]]), samples=10_000)
        return Evidence(first, Estimate(np.zeros(1), np.zeros(1)), ("a",))

    best = ranked(sampled(0.52), {"slip": sampled(0.5)})[0]
    assert best.distance == pytest.approx(0.02 / 0.02)
    assert ranked(sampled(0.52), {"slip": sampled(0.9)})[0].distance > 10


def correlated(values: Array, spread: float) -> Evidence:
    """Two functionals that share nearly all of their noise."""
    covariance = spread**2 * np.array([[1.0, 0.99], [0.99, 1.0]])
    first = Estimate(np.asarray(values, float), np.zeros(2), covariance=covariance, samples=1_000_000)
    return Evidence(first, Estimate(np.zeros(2), np.zeros(2)), ("a", "b"))


def test_functionals_are_taken_together_where_they_share_their_noise() -> None:
    """Left over: two standard errors in each, of one sign (S = 4 by hand, nothing unusual) or of both (S = 800)."""
    refuted, spread = correlated(np.array([1.0, 1.0]), 0.1), 0.1
    same, apart = (found(*(1.0 - 2 * spread * np.array(signs)), bound=0.0) for signs in ([1, 1], [1, -1]))
    same, apart = (Evidence(e.first, e.second, ("a", "b")) for e in (same, apart))
    assert explains(refuted, same)
    assert not explains(refuted, apart)
    assert all(fit.distance < 3 for fit in ranked(refuted, {"same": same, "apart": apart}))


def test_what_is_left_is_a_share_of_the_difference() -> None:
    fits = {fit.mistake: fit.left for fit in ranked(found(1.0, 0.0), {"it": found(1.0, 0.0), "half": found(0.5, 0.0)})}
    assert fits == {"it": pytest.approx(0.0, abs=1e-9), "half": pytest.approx(0.5)}


def test_controls_on_another_panel_are_not_ranked() -> None:
    assert ranked(found(1.0, 2.0, panel="p"), {"other panel": found(1.0, 2.0, panel="q"), "shorter": found(1.0)}) == []


def test_unrefined_sides_and_vanishing_controls_are_ranked_without_trouble() -> None:
    best = ranked(found(1.0, 0.0, bound=np.inf), {"nothing": found(0.0, 0.0), "same": found(1.0, 0.0)})[0]
    assert best.mistake == "same"


# -- in the records ---------------------------------------------------------------------------------------------------------


def records_of(variants: dict[str, Evidence]) -> dict[str, Any]:
    expected = {name: Outcome.CONFIRMED if name == "stated" else Outcome.REFUTED for name in variants}
    claim = Claim("id", "identity", "", "", "", expected)
    study = Study("id", lambda *a: None, dict.fromkeys(variants), ("",), 1, False, "made")  # type: ignore[arg-type, return-value]
    catalogue = Catalogue(Path("made"), {"id": claim}, (study,))
    dones = [Done(Task("made", "id", name, "", "quick", 0, "k"), e, {}) for name, e in variants.items()]
    return {j.record.variant: j.record for j in judged(catalogue, dones)}


def test_a_refuted_stated_form_says_which_mistake_fits() -> None:
    records = records_of({"stated": found(1.0, -0.5, 0.2)} | CONTROLS)
    assert records["stated"].verdict == "REFUTED"
    assert records["stated"].reason.endswith(" It fits 'score sign' (0 s.e.).")


def test_controls_and_confirmed_forms_say_nothing() -> None:
    records = records_of({"stated": found(0.0, 0.0, 0.0)} | CONTROLS)
    assert all(record.holds for record in records.values())
    assert not any("fits" in record.reason for record in records.values())


def test_a_slip_in_a_solved_problem_is_named() -> None:
    """The drift of the probability flow with the score's sign wrong, against the controls a study would have."""
    forward = fpk.noising(fpk.VPSchedule(1.0), fpk.Gaussian(0.5, 0.6))
    exact = fpk.exact(forward, times=[1.0])
    panel = fpk.law_panel({1.0: exact.law(1.0)})

    def evidence(factor: float) -> Evidence:
        def score(x: Array, t: float) -> Array:
            return factor * exact.score(x, t)

        flow = fpk.probability_flow(forward, score)
        solved = fpk.refine(lambda k: fpk.solve(flow, fpk.Grid(-6, 7, cells=64 * k), times=[1.0], steps=16 * k))
        return Evidence(solved.expect(panel), exact.expect(panel), panel.names, panel=panel.digest)

    controls = {"score sign": evidence(-1.0), "½ missing": evidence(2.0), "score + 2 %": evidence(1.02)}
    assert ranked(evidence(-1.0), controls)[0].mistake == "score sign"
    best = ranked(evidence(1.03), controls)[0]
    assert best.mistake == "score + 2 %"
    assert best.ratio == pytest.approx(1.5, rel=0.05)
    assert best.fits


def test_a_mistake_shared_with_the_controls_is_named_by_the_control_that_undoes_it() -> None:
    """A factor 2 in what all forms share: the halved control agrees, the near miss is as wrong as the stated form."""
    shared = {
        "½ extra": found(1e-7, 0.0, 0.0),
        "score + 2 %": found(1.02, 0.51, -0.2),
        "score sign": found(-3.0, 2.0, 1.0),
    }
    assert agreeing(found(1.0, 0.5, -0.2), shared) == ["½ extra"]
    assert agreeing(found(1.0, 0.5, -0.2), CONTROLS) == []
