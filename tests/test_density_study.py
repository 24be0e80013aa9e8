"""The other route of the density races is what it says: scipy's kernel density estimate, numpy's histogram, as good as they get."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import fpk
from fpk.catalogue import load_catalogue

CATALOGUE = load_catalogue(Path(fpk.__file__).parents[1] / "studies")
STUDIES = [s for s in CATALOGUE.studies if s.claim.startswith("perf.particles.density-")]
races: Any = importlib.import_module(STUDIES[0].module)
EXACT = races.LAW.density(races.CENTRES[:, None])


@pytest.fixture(scope="module")
def run() -> Any:
    return races._exact(1.0, 20_000, 7)


def test_the_exact_law_is_the_textbook_one() -> None:
    law = stats.norm(2 * np.exp(-1), np.sqrt(1 - 0.75 * np.exp(-2)))
    np.testing.assert_allclose(EXACT, law.pdf(races.CENTRES), rtol=1e-12)
    assert law.cdf(races.LOWER) + law.sf(races.UPPER) < 1e-6


def test_kernel_density_estimates_are_those_of_scipy(run: Any) -> None:
    x, bandwidth = run.fine[0, :, 0], 0.1
    scipy = stats.gaussian_kde(x, bw_method=bandwidth / x.std(ddof=1))
    every = races.CENTRES[::240]
    # cells of 9.4e-4 move each particle by at most half of that: 1e-2 of a bandwidth at most, and 1e-5 of it in the mean square
    np.testing.assert_allclose(races.smoothed(races.shares_of(run), bandwidth)[::240], scipy(every), atol=1e-4)


@pytest.mark.parametrize("width", [6, 63, 504])
def test_histograms_are_those_of_numpy(run: Any, width: int) -> None:
    ends = (races.LOWER, races.UPPER)
    heights, _ = np.histogram(run.fine[0, :, 0], bins=races.CELLS // width, range=ends, density=True)
    np.testing.assert_allclose(races.binned(races.shares_of(run), width)[::width], heights, atol=1e-4)


def test_two_levels_are_extrapolated() -> None:
    run = races._euler(1.0, 5000, 3)
    fine, coarse = (replace(run, positions=run.positions[k : k + 1]) for k in (0, 1))
    expected = 2 * races.shares_of(fine) - races.shares_of(coarse)
    np.testing.assert_allclose(races.shares_of(run), expected, atol=1e-12)


def test_neither_the_widest_nor_the_narrowest_candidates_are_best() -> None:
    shares = races.shares_of(races._exact(1.0, 2**17, 1))
    for candidates, estimate in ((races.WIDTHS, races.binned), (races.BANDWIDTHS, races.smoothed)):
        errors = [np.abs(estimate(shares, c) - EXACT).sum() for c in candidates]
        assert 0 < np.argmin(errors) < len(candidates) - 1


def test_all_of_it_runs_only_when_named() -> None:
    assert {s.claim for s in STUDIES} == set(races.RACES)
    assert all(s.only_when_named for s in STUDIES)
