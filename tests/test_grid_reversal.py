from dataclasses import replace

import numpy as np
import pytest

from fpk import problems
from fpk.closed_form import exact
from fpk.errors import GridError, ProblemError, SchemeError
from fpk.fokker_planck.fluxes import ScharfetterGummel
from fpk.fokker_planck.reversal import JUMPS, reversed_on_grid, reversed_rates
from fpk.fokker_planck.solver import solve
from fpk.fokker_planck.stationary import stationary
from fpk.grids import Grid
from fpk.laws import Gaussian, TabulatedLaw
from fpk.problem import Boundary, Problem, noising
from fpk.schedules import VPSchedule
from fpk.transformations import reverse_time

BOX = Boundary("no_flux", -6.5, 7.0)
VP = noising(VPSchedule(0.6, 3.4), problems.two_peaks())
WALLED = replace(VP, boundary=BOX)


def ahead(problem=WALLED, cells=120, steps=60, grid=None):
    grid = grid or Grid(-6.5, 7, cells=cells)
    times = np.linspace(0, problem.horizon, steps + 1)
    return solve(problem, grid, times=times, steps=steps, scheme=JUMPS)


def trip(forward, **options):
    """L¹ distance between the start and where the way there and back ends."""
    back = reversed_on_grid(forward, **options)
    return np.abs(back.density(forward.times[-1]) - forward.density(0.0)) @ forward.grid.widths


def test_there_and_back_again_within_the_time_steps_at_fourth_order():
    one, two = trip(ahead(steps=50)), trip(ahead(steps=100))
    assert two < 2e-6
    assert np.log2(one / two) == pytest.approx(4, abs=0.3)


def test_the_cells_do_not_matter():
    assert trip(ahead(cells=240, steps=100)) == pytest.approx(trip(ahead(cells=120, steps=100)), rel=0.2)


def test_on_a_stretched_grid_and_around_a_ring():
    assert trip(ahead(grid=Grid(-6.5, 7, cells=120, focus=0.0, breadth=2.0), steps=100)) < 2e-6
    ring = Boundary("periodic", 0.0, 2 * np.pi)
    problem = Problem("1/2 + cos(x)", "1 + sin(x)/3", initial=Gaussian(3.0, 0.3), boundary=ring, horizon=0.6)
    assert trip(ahead(problem, grid=Grid(0, 2 * np.pi, cells=80), steps=100)) < 2e-6


def test_on_the_way_back_the_masses_are_those_of_the_way_there():
    forward = ahead(steps=80)
    back = reversed_on_grid(forward, times=[0.25, 0.5, 1.0])
    for tau in back.times:
        there = forward.density(1.0 - tau)
        assert np.abs(back.density(tau) - there) @ forward.grid.widths < 5e-6
    assert back.mass == pytest.approx(1.0, abs=1e-8)
    assert "reversal of" in back.source


def test_reversed_rates_turn_every_flux_round():
    forward = ahead()
    t, rates = forward.times[20], forward.plan.rates_at(forward.times[20])
    turned, m = reversed_rates(forward)(1.0 - t), forward.density(t)
    np.testing.assert_allclose(turned.applied(m), -rates.applied(m), atol=1e-9 * np.abs(rates.applied(m)).max())
    np.testing.assert_allclose(turned.rows.sum(), 0, atol=1e-6)
    assert turned.rows[0].min() >= 0
    assert turned.rows[2].min() >= 0


def test_in_equilibrium_the_reversed_process_is_the_process():
    problem = Problem(
        "x - x**3",
        1.0,
        initial=TabulatedLaw.gibbs(lambda x: x**4 / 2 - x**2, -3, 3),
        boundary=Boundary("no_flux", -3.0, 3.0),
    )
    grid = Grid(-3, 3, cells=80)
    rates = ScharfetterGummel().rates(problem, grid)(0.0)
    density = stationary(problem, grid, flux=ScharfetterGummel()).density
    still = replace(ahead(problem, grid=grid, steps=4), densities=np.tile(density, (5, 1)))
    np.testing.assert_allclose(reversed_rates(still)(0.3).rows, rates.rows, rtol=1e-9, atol=1e-9)


def test_another_start_reaches_another_end_and_the_exact_reverse_law():
    """From N(0, 1) in place of p_T the reverse process ends where the exact reverse SDE from N(0, 1) ends."""
    forward, start = ahead(cells=240, steps=120), Gaussian(0.0, 1.0)
    density = np.exp(start.log_density(forward.grid.centers[:, None]))
    back = reversed_on_grid(forward, start=density)
    reverse = replace(reverse_time(VP, exact(VP, times=[1.0]).score, initial=start), boundary=BOX)
    other = solve(reverse, Grid(-6.5, 7, cells=240), times=[1.0], steps=120)
    assert np.abs(back.density(1.0) - other.density(1.0)) @ forward.grid.widths < 6e-3  # second order in the cells
    assert trip(forward, start=density) > 0.01


def test_what_cannot_be_reversed_is_refused():
    with pytest.raises(SchemeError, match="scheme=fpk"):
        reversed_on_grid(solve(WALLED, Grid(-6.5, 7, cells=80), times=[0.0, 1.0]))
    with pytest.raises(GridError, match="every step from 0 on"):
        reversed_on_grid(solve(WALLED, Grid(-6.5, 7, cells=80), times=[0.5, 1.0], scheme=JUMPS))
    with pytest.raises(ProblemError, match="reverse times"):
        reversed_on_grid(ahead(steps=20), times=[1.5])
    lossy = Problem(0.0, 1.0, initial=Gaussian(0.0, 0.2), boundary=Boundary("absorbing", -2.0, 2.0))
    with pytest.raises(SchemeError, match="walls that reflect"):
        reversed_on_grid(ahead(lossy, grid=Grid(-2, 2, cells=60), steps=10))
