"""Time reversal on product grids: the reversed rates, their equation solved by scipy, and Anderson's drift."""

import numpy as np
import pytest
from scipy import integrate

import fpk
from fpk import transformations
from fpk.errors import GridError, ProblemError, SchemeError
from fpk.fokker_planck.product.positive import POSITIVE, Jumps
from fpk.fokker_planck.product.reversal import ReversedSteps, reversed_jumps, reversed_on_product_grid

GRID = fpk.Grid(-4, 4, cells=24) ** 2
SPIRAL = fpk.Problem(
    fpk.Linear(np.array([[-1.0, -2.0], [2.0, -1.0]])),
    np.linalg.cholesky(2 * np.array([[0.6, 0.3], [0.3, 0.4]])),
    initial=fpk.Gaussian([1.0, 0.0], 0.6),
)
MOVING = fpk.Problem(
    lambda x, t: -(1 + t**3) * x,
    lambda t: (1 + t**3) ** 0.5,
    initial=fpk.GaussianMixture([0.4, 0.6], [[1, 0], [-1, 0.5]], stds=[0.5, 0.6]),
)


def forward(problem, times, **options):
    return fpk.solve(problem, GRID, times=times, scheme=POSITIVE, **options)


@pytest.mark.parametrize("problem", [SPIRAL, MOVING], ids=["steady", "moving"])
def test_the_round_trip_returns_to_the_data(problem):
    there = forward(problem, np.linspace(0, 0.6, 13), steps=12)
    back = reversed_on_product_grid(there, times=[0.1, 0.6])
    np.testing.assert_allclose(back.density(0.1), there.density(0.5), atol=1e-13)
    np.testing.assert_allclose(back.density(0.6), there.density(0.0), atol=1e-13)


def test_any_start_keeps_its_mass_and_stays_positive():
    there = forward(SPIRAL, np.linspace(0, 0.6, 7))
    start = np.random.default_rng(0).random(GRID.shape)
    back = reversed_on_product_grid(there, times=[0.1, 0.3, 0.6], start=start)
    np.testing.assert_allclose(back.mass, start.sum() * GRID.volume, rtol=1e-12)
    assert back.minimum >= 0


def dense(jumps):
    """The rate matrix of a walk."""
    n = jumps.leaving.size
    A = np.zeros((n, n))
    for stride, up, down in zip(
        jumps.strides, jumps.up.reshape(len(jumps.up), -1), jumps.down.reshape(len(jumps.up), -1), strict=True
    ):
        i = np.arange(n - stride)
        A[i + stride, i] += up[: n - stride]
        A[i, i + stride] += down[: n - stride]
    return A - np.diag(A.sum(0))


def test_the_reversed_steps_solve_the_equation_of_the_reversed_rates():
    grid = fpk.Grid(-3, 3, cells=9) ** 2
    stepper, times = POSITIVE.stepper(SPIRAL, grid), (0.0, 0.05, 0.3)
    p = SPIRAL.initial.density(grid.points).reshape(grid.shape)
    start = np.random.default_rng(0).random(grid.shape)

    def rates(tau, q):
        now = stepper.advanced(p, 0.0, 0.3 - tau)
        return dense(reversed_jumps(stepper.jumps(0.0), now)) @ q

    solution = integrate.solve_ivp(rates, (0, 0.25), start.ravel(), "LSODA", rtol=1e-9, atol=1e-11).y[:, -1]
    stored = np.stack([p, *(stepper.advanced(p, 0.0, t) for t in times[1:])])
    back = ReversedSteps(stepper, times, stored).advanced(start, 0.0, 0.25)
    np.testing.assert_allclose(back.ravel(), solution, atol=1e-6)


def test_reversed_rates_move_as_andersons_drift_says():
    # Σ_k e_k (up − down) h → −f + 2 D ∇ log p, at second order in h
    law, x = fpk.Gaussian([0.3, -0.2], 0.7), None
    errors = []
    for cells in (24, 48):
        grid = fpk.Grid(-3, 3, cells=cells) ** 2
        jumps = POSITIVE.stepper(SPIRAL, grid).jumps(0.0)
        back = reversed_jumps(jumps, law.density(grid.points).reshape(grid.shape))
        moved = np.zeros((*grid.shape, 2))
        for e, up, down in zip(back.offsets, back.up, back.down, strict=True):
            come = np.roll(down, tuple(e), axis=(0, 1))  # stored at x: from x + e to x
            moved += (up - come)[..., None] * e * grid.spacings
        x = grid.points
        expected = -SPIRAL.drift(x, 0.0) + 2 * law.score(x) @ SPIRAL.diffusivity_matrix(x, 0.0)[0].T
        inner = np.abs(x).max(1) < 1.0
        errors.append(np.abs(moved.reshape(-1, 2) - expected)[inner].max())
    assert errors[1] < 0.4 * errors[0] < 0.4


def test_transposes_keep_every_pairing():
    there = forward(MOVING, np.linspace(0, 0.5, 6), steps=5)
    steps, rng = ReversedSteps(there.plan.stepper, there.times, there.densities), np.random.default_rng(0)
    q, u = there.densities[-1] * rng.random(GRID.shape), rng.random(GRID.shape)
    end = [p for _, p in steps.run(q, (0.2, 0.5), 1)][-1]
    begun = [v for _, v in steps.run_back(u, (0.2, 0.5), 1)][-1]
    assert abs((end * u).sum() - (q * begun).sum()) < 1e-12 * abs((end * u).sum())


def test_reversing_twice_gives_the_rates_back():
    jumps = POSITIVE.stepper(SPIRAL, GRID).jumps(0.0)
    p = SPIRAL.initial.density(GRID.points).reshape(GRID.shape)
    again = reversed_jumps(reversed_jumps(jumps, p), p)
    assert isinstance(again, Jumps)
    np.testing.assert_allclose(again.up, jumps.up, rtol=1e-12)
    np.testing.assert_allclose(again.down, jumps.down, rtol=1e-12)


def test_what_is_not_positive_is_refused():
    with pytest.raises(SchemeError, match="positive"):
        reversed_on_product_grid(fpk.solve(SPIRAL, GRID, times=[0.0, 0.2]))
    with pytest.raises(SchemeError, match=r"fpk\.reverse_time"):
        reversed_on_product_grid(fpk.exact(SPIRAL, times=[0.2]))


def test_missing_steps_are_refused():
    with pytest.raises(GridError, match="at every step from 0 on, stored are 1"):
        reversed_on_product_grid(forward(MOVING, [0.5]))
    with pytest.raises(GridError, match="there are several between"):
        reversed_on_product_grid(forward(MOVING, [0.0, 0.5], steps=4))


def test_reverse_times_between_the_stored_are_refused():
    with pytest.raises(GridError, match=r"was not stored at t=0\.17"):
        reversed_on_product_grid(forward(MOVING, np.linspace(0, 0.5, 6), steps=5), times=[0.17])


def test_a_start_that_is_no_density_is_refused():
    there = forward(SPIRAL, [0.0, 0.2])
    with pytest.raises(ProblemError, match="one finite density ≥ 0"):
        reversed_on_product_grid(there, start=-there.densities[-1])


@pytest.mark.parametrize("divergence", [True, False], ids=["with ∇·(GGᵀ)", "without it"])
def test_the_score_field_returns_to_the_data_where_the_matrix_varies(divergence, monkeypatch):
    problem = fpk.Problem(
        ["-x0 + x1/2", "sin(x0) - x1"],
        [["0.6 + 0.25*cos(x1)", "0.2"], ["0.3*sin(x0)", "0.7"]],
        initial=fpk.Gaussian([0.3, -0.2], 0.5),
        horizon=0.2,
    )
    grid = fpk.Grid(-4, 4, cells=32) ** 2
    there = fpk.solve(problem, grid, times=np.linspace(0, 0.2, 6))
    back = fpk.reverse_time(problem, there.score, initial=there.law(0.2))
    if not divergence:
        monkeypatch.setattr(transformations, "_half_divergence", lambda *_: 0.0)
    home = fpk.solve(back, grid, times=[0.2], steps=6).density(0.2)
    error = np.abs(home - problem.initial.density(grid.points).reshape(grid.shape)).sum() * grid.volume
    assert error < 2e-3 if divergence else error > 3e-2
