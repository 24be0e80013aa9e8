"""Flows by masses of cells on product grids: exact conservation, signs, and closed forms."""

import numpy as np
import pytest
from scipy import linalg

import fpk
from fpk.errors import GridError, MassAtEdges, SchemeError
from fpk.fokker_planck.product.remap import conservative_product_flow, face_origins, parabolas, remap

TURN = 2 * np.pi * np.array([[0.0, -1.0], [1.0, 0.0]])
TURNING = fpk.Problem(fpk.Linear(TURN), 0.0, initial=fpk.Gaussian([1.2, 0.0], 0.3))


def off(run, problem, A):
    d, t = run.grid.dimension, run.times[-1]
    law = problem.initial.pushed(linalg.expm(t * A), np.zeros(d), np.zeros((d, d)))
    return np.abs(run.densities[-1].ravel() - law.density(run.grid.points)).sum() * run.grid.volume


def moved(lines, origins):
    out = np.empty_like(lines)
    remap(lines, np.ascontiguousarray(origins), out)
    return out


def test_a_turn_by_a_quarter_converges_at_the_second_order():
    errors = []
    for cells in (32, 64, 128):
        grid = fpk.Grid(-3, 3, cells=cells) ** 2
        errors.append(off(conservative_product_flow(TURNING, grid, times=[0.25], steps=cells // 4), TURNING, TURN))
    assert errors[2] < 5e-3
    assert np.log2(errors[0] / errors[1]) > 1.5
    assert np.log2(errors[1] / errors[2]) > 1.5


def test_mass_and_signs_are_kept_to_the_last_bit_by_a_rough_flow():
    rough = fpk.Problem(
        lambda x, t: np.stack([np.sign(x[:, 1]) - 0.3 * x[:, 0], 2 * np.sin(9 * x[:, 0] + t)], axis=1), 0.0,
        initial=fpk.Gaussian([0.0, 0.0], 0.4),
    )  # fmt: skip
    grid = fpk.Grid(-4, 4, cells=48) ** 2
    run = conservative_product_flow(rough, grid, times=[0.4, 0.8], steps=20)
    before = rough.initial.density(grid.points).sum() * grid.volume
    np.testing.assert_allclose(run.mass, before, rtol=1e-13)
    assert run.minimum >= 0


def test_the_halves_of_a_step_read_the_velocity_at_their_own_times():
    problem = fpk.Problem(
        lambda x, t: np.full_like(x, 3 * np.cos(6 * t)) * [1.0, 0.5], 0.0, initial=fpk.Gaussian([0.0, 0.0], 0.4)
    )
    grid = fpk.Grid(-3, 3, cells=48) ** 2
    run = conservative_product_flow(problem, grid, times=[0.5], steps=8)
    mean = run.densities[0].ravel() @ grid.points * grid.volume
    np.testing.assert_allclose(mean, 0.5 * np.sin(3.0) * np.array([1.0, 0.5]), atol=5e-3)


def test_three_dimensions():
    A = np.array([[-0.3, -1.0, 0.2], [1.0, 0.1, 0.0], [0.0, 0.3, -0.2]])
    problem = fpk.Problem(fpk.Linear(A), 0.0, initial=fpk.Gaussian([0.8, -0.3, 0.2], 0.6))
    run = conservative_product_flow(problem, fpk.Grid(-4, 4, cells=32) ** 3, times=[0.3], steps=6)
    assert off(run, problem, A) < 5e-2
    assert abs(run.mass[0] - 1) < 1e-6


def test_whole_cells_are_moved_exactly():
    lines = np.random.default_rng(0).random((3, 20))
    origins = np.tile(np.clip(np.arange(21.0) - 3, 0, 20), (3, 1))
    out = moved(lines, origins)
    np.testing.assert_allclose(out[:, 3:], lines[:, :-3], atol=1e-14)
    np.testing.assert_allclose(out[:, :3], 0.0, atol=1e-14)


def test_parts_of_cells_of_a_parabola_are_moved_exactly():
    # means of 5 + 2 y − y²/10 over the cells [i, i + 1], increasing on the line; its face values are exact, so are the parabolas
    y = np.arange(9.0)
    integral = 5 * y + y**2 - y**3 / 30
    out = moved(np.diff(integral)[None], np.clip(y - 0.37, 0.0, 8.0)[None])[0]
    at = np.clip(y - 0.37, 0.0, 8.0)
    np.testing.assert_allclose(out[3:-2], np.diff(5 * at + at**2 - at**3 / 30)[3:-2], rtol=1e-13)


def test_parabolas_stay_between_their_neighbours():
    a = np.random.default_rng(0).random(200) ** 4
    left, right = np.empty(200), np.empty(200)
    mass = parabolas(a, left, right)
    np.testing.assert_allclose(mass[1:], np.cumsum(a), rtol=1e-14)
    y = np.linspace(0, 1, 21)[:, None]
    bend = 6 * a - 3 * (left + right)
    values = left + y * (right - left + bend * (1 - y))
    padded = np.concatenate([[0.0], a, [0.0]])
    around = np.stack([padded[:-2], padded[1:-1], padded[2:]])
    assert np.all(values >= around.min(0) - 1e-14)
    assert np.all(values <= around.max(0) + 1e-14)


def test_faces_come_from_where_the_flow_along_their_axis_says():
    problem = fpk.Problem(["-x0*(1 + x1**2)", "x0"], 0.0, initial=fpk.Gaussian([0.0, 0.0], 0.5))
    grid = fpk.Grid(-2, 2, cells=16) * fpk.Grid(-1, 1, cells=8)
    origins = face_origins(problem, grid, 0, 0.2, 0.1)
    faces, y = grid.axes[0].faces[:, None], grid.axes[1].centers[None]
    expected = np.clip((faces * np.exp(0.1 * (1 + y**2)) + 2) / 0.25, 0, 16)
    np.testing.assert_allclose(origins, expected, atol=1e-5)


def test_budgets_cover_the_error():
    run = conservative_product_flow(TURNING, fpk.Grid(-3, 3, cells=64) ** 2, times=[0.25], steps=16)
    law = TURNING.initial.pushed(linalg.expm(0.25 * TURN), np.zeros(2), np.zeros((2, 2)))
    panel = fpk.panels.law_panel({0.25: law})
    ours, exact = run.expect(panel), fpk.LawMarginals({0.25: law}, (0.25,)).expect(panel)
    assert np.all(np.abs(ours.value - exact.value) <= ours.bias_bound)


def test_noise_is_refused():
    with pytest.raises(SchemeError, match=r"use fpk\.solve"):
        conservative_product_flow(
            fpk.Problem("0", 1.0, initial=fpk.Gaussian([0.0, 0.0], 0.3)), fpk.Grid(-2, 2, cells=16) ** 2, times=[1.0]
        )


def test_boxes_that_lose_the_law_are_refused():
    away = fpk.Problem(fpk.Linear(0.0, np.array([5.0, 0.0])), 0.0, initial=fpk.Gaussian([0.0, 0.0], 0.4))
    with pytest.raises(MassAtEdges, match="come to its edges by t=1"):
        conservative_product_flow(away, fpk.Grid(-3, 3, cells=24) ** 2, times=[1.0])
    with pytest.raises(GridError, match="of the initial mass"):
        conservative_product_flow(away, fpk.Grid(0, 3, cells=24) ** 2, times=[1.0])
