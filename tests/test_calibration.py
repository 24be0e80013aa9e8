"""Counting outcomes: exact limits for rates, judged like any bound."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.calibration import Limited, Rate, Tally, held, tally, weighted
from fpk.catalogue import load_catalogue
from fpk.comparison import below_zero
from fpk.difference import ALPHA, BETA
from fpk.errors import ComparisonError
from fpk.records import judged
from fpk.runner import run
from fpk.store import Store
from fpk.study import Size
from fpk.tasks import tasks_of
from fpk.verdict import Outcome


@pytest.mark.parametrize(("events", "repeats"), [(0, 50), (1, 50), (12, 1000), (50, 50), (300, 10**6)])
def test_limits_of_a_rate_are_those_of_the_exact_binomial_test(events: int, repeats: int) -> None:
    for tail in (1e-6, 1e-3, 0.05):
        oracle = stats.binomtest(events, repeats).proportion_ci(1 - 2 * tail, method="exact")
        assert Rate(events, repeats).lower(tail) == pytest.approx(oracle.low, rel=1e-4, abs=1e-15)
        assert Rate(events, repeats).upper(tail) == pytest.approx(oracle.high, rel=1e-4)  # the oracle's root finder


@pytest.mark.parametrize("repeats", [30, 1000])
@pytest.mark.parametrize("limit", [0.01, 0.3])
def test_a_limit_is_confirmed_or_refuted_only_when_exact_limits_say_so(repeats: int, limit: float) -> None:
    for events in range(repeats + 1):
        rate = Rate(events, repeats)
        above, _ = held([Limited("rate", rate, at_most=limit)], "draws")
        below, _ = held([Limited("rate", rate, at_least=limit)], "draws")
        if below_zero(above).outcome == Outcome.CONFIRMED:
            assert rate.upper(BETA) < limit
        if below_zero(above).outcome == Outcome.REFUTED:
            assert rate.lower(ALPHA) > limit
        if below_zero(below).outcome == Outcome.CONFIRMED:
            assert rate.lower(BETA) > limit
        if below_zero(below).outcome == Outcome.REFUTED:
            assert rate.upper(ALPHA) < limit


def test_many_events_leave_no_slack_to_speak_of() -> None:
    rate = Rate(10_000, 1_000_000)
    assert max(rate.slack(1.0), rate.slack(-1.0)) < 0.1 * rate.error
    above, names = held([Limited("rate", rate, at_least=0.009, at_most=0.011)], "draws")
    assert below_zero(above).outcome == Outcome.CONFIRMED
    assert names == ("rate, at most", "rate, at least")


def test_weights_give_the_probability_they_were_made_for() -> None:
    """P(Z > 4) from normals moved to 4: within five standard errors, which are below 2 % (α = 6e-7)."""
    z = 4 + np.random.default_rng(crc32(b"weights")).standard_normal(20_000)
    rate = weighted(np.where(z > 4, np.exp(8 - 4 * z), 0.0))
    assert abs(rate.value - stats.norm.sf(4)) < 5 * rate.error
    assert rate.error < 0.02 * rate.value


def test_outcomes_are_counted_with_seeds_of_their_own() -> None:
    verdicts = {o: fpk.compare(*sides, tolerance=0.1) for o, sides in _pairs().items()}
    seen: list[int] = []

    def check(seed: int) -> fpk.Verdict:
        seen.append(seed)
        return verdicts[list(Outcome)[len(seen) % 2]]

    found = tally(check, repeats=5, seed=3)
    assert found == Tally(confirmed=2, refuted=3, undecided=0)
    assert len(set(seen)) == 5
    assert str(found.rate(Outcome.REFUTED)) == "3 of 5"


def _pairs():
    law = {m: fpk.exact(fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(m, 0.5)), times=[1.0]) for m in (1.0, 3.0)}
    return {Outcome.CONFIRMED: (law[1.0], law[1.0]), Outcome.REFUTED: (law[1.0], law[3.0])}


@pytest.mark.parametrize(("events", "repeats"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(events: int, repeats: int) -> None:
    with pytest.raises(ComparisonError, match="0 ≤ events ≤ repeats"):
        Rate(events, repeats)


def test_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(ComparisonError, match="limits above 0"):
        held([Limited("rate", Rate(0, 5), at_most=0.0)], "draws")


ROOT = Path(fpk.__file__).parents[1]
CATALOGUE = load_catalogue(ROOT / "studies")


@pytest.mark.parametrize("claim", [s.claim for s in CATALOGUE.studies if s.claim.startswith("calibration.")])
def test_every_record_of_the_quick_study_holds(claim: str, tmp_path: Path) -> None:
    """True claims are confirmed with probability .999 or more for any root seed; this one is fixed."""
    tasks = tasks_of(CATALOGUE, CATALOGUE.selected([claim]), size=Size("quick"), root_seed=0)
    records = [j.record for j in judged(CATALOGUE, list(run(tasks, Store(tmp_path))))]
    assert not [f"{r.variant} · {r.case}: {r.verdict}, {r.error or r.reason}" for r in records if not r.holds]
    for case in {r.case for r in records}:
        verdicts = {r.verdict for r in records if r.case == case}
        assert verdicts == {Outcome.CONFIRMED, Outcome.REFUTED}


def test_the_published_study_is_that_of_the_catalogue_and_holds() -> None:
    """Written by ``fpk run calibration -j 2 --report reports/calibration``, half an hour."""
    published = json.loads((ROOT / "reports" / "calibration" / "verdicts.json").read_text())
    stated = {(s.claim, *check) for s in CATALOGUE.studies if s.claim.startswith("calibration.") for check in s.checks}
    assert {(row["id"], row["variant"], row["case"]) for row in published} == stated
    assert all(row["verdict"] == row["expected"] for row in published)


def test_studies_of_calibration_run_only_when_named_and_depend_on_the_rules_of_judging() -> None:
    calibration = [s for s in CATALOGUE.studies if s.claim.startswith("calibration.")]
    assert all(s.judging and s.only_when_named for s in calibration)
