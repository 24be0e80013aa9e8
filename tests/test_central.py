"""Eighth-order central differences of the Fokker–Planck operator against sparse matrices, symbols and formulas."""

from __future__ import annotations

from itertools import pairwise
from math import comb, pi
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from fpk.fokker_planck.product import central
from fpk.fokker_planck.product.central import Central, Room, framed, symbols, unframed
from fpk.fokker_planck.product.fields import Fields, pairs
from fpk.grids import Grid

PLANE = Grid(-2, 1, cells=13) * Grid(0, 3, cells=17)
EVEN = Grid(-2, 1, cells=14) * Grid(0, 3, cells=10)
SPACE = Grid(-1, 1, cells=9) * Grid(0, 1, cells=11) * Grid(-2, 0, cells=12)


def differences(axis):
    """First and second differences of order 8, by the closed form of their coefficients (m = 4)."""
    ratios = [comb(8, 4 - k) / comb(8, 4) * (-1) ** (k + 1) for k in range(1, 5)]
    first, second = [r / k for k, r in enumerate(ratios, 1)], [2 * r / k**2 for k, r in enumerate(ratios, 1)]
    offsets, n, h = np.arange(-4, 5), axis.cells, axis.spacing
    shape = (n, n)
    diags: Any = sparse.diags
    slope = diags([-c for c in first[::-1]] + [0.0] + first, offsets, shape=shape) / h
    bend = diags([*second[::-1], -2 * sum(second), *second], offsets, shape=shape) / h**2
    return slope, bend


def lifted(matrix, axis, grid):
    out: Any = sparse.eye(1)
    for k, n in enumerate(grid.shape):
        out = sparse.kron(out, matrix if k == axis else sparse.eye(n))
    return out


def matrix_of(fields, grid):
    """A as a sparse matrix, from Kronecker products."""
    S = [lifted(differences(a)[0], k, grid) for k, a in enumerate(grid.axes)]
    B = [lifted(differences(a)[1], k, grid) for k, a in enumerate(grid.axes)]
    total: Any = sum(-S[k] @ sparse.diags(fields.drift[k].ravel()) for k in range(grid.dimension))
    for k, (i, j) in enumerate(pairs(grid.dimension)):
        D = sparse.diags(np.broadcast_to(fields.diffusivity[k], grid.shape).ravel())
        total = total + (B[i] @ D if i == j else 2 * S[i] @ S[j] @ D)
    return total


def random_fields(grid, *, varying, seed=0):
    rng = np.random.default_rng(seed)
    count = len(pairs(grid.dimension))
    shape = grid.shape if varying else (1,) * grid.dimension
    return Fields(rng.normal(size=(grid.dimension, *grid.shape)), rng.normal(size=(count, *shape)))


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("grid", [PLANE, EVEN, SPACE], ids=["plane", "even plane", "space"])
def test_the_operator_and_its_transpose_are_those_of_kronecker_products(grid, varying):
    fields = random_fields(grid, varying=varying)
    A, p = matrix_of(fields, grid), np.random.default_rng(1).normal(size=grid.shape)
    operator = Central(fields, grid)
    for matrix, transposed in ((A, False), (A.T, True)):
        wanted = (matrix @ p.ravel()).reshape(grid.shape)
        assert np.allclose(operator.applied(p, transposed=transposed), wanted, rtol=0, atol=1e-13 * abs(wanted).max())


@pytest.mark.parametrize("grid", [PLANE, SPACE], ids=["plane", "space"])
def test_a_stage_mixes_four_terms_and_keeps_its_frame_empty(grid):
    fields, rng = random_fields(grid, varying=False), np.random.default_rng(2)
    p, v, y = (rng.normal(size=grid.shape) for _ in range(3))
    out = framed(y)
    with Room(grid, varying=False) as room:
        Central(fields, grid).staged(room, framed(p), np.array([0.5, 2.0, -3.0, 0.7]), framed(v), out)
    wanted = 0.5 * v + 2 * (matrix_of(fields, grid) @ p.ravel()).reshape(grid.shape) - 3 * p + 0.7 * y
    assert np.allclose(unframed(out), wanted, rtol=1e-12, atol=1e-11)
    unframed(out)[...] = 0
    assert not out.any()


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("grid", [PLANE, SPACE], ids=["plane", "space"])
def test_results_do_not_depend_on_the_number_of_threads(grid, varying, transposed, monkeypatch):
    operator, p = Central(random_fields(grid, varying=varying), grid), np.random.default_rng(3).normal(size=grid.shape)
    alone = operator.applied(p, transposed=transposed)
    monkeypatch.setattr(central, "SHARED", 1)
    for threads in (2, 3):
        monkeypatch.setattr(central, "THREADS", threads)
        assert np.array_equal(operator.applied(p, transposed=transposed), alone)


def test_mass_changes_by_nothing_but_what_crosses_the_edges():
    box = Grid(-1, 1, cells=20) * Grid(-1, 1, cells=20)
    p = np.zeros(box.shape)
    p[8:12, 8:12] = np.random.default_rng(4).random((4, 4))
    assert abs(Central(random_fields(box, varying=True), box).applied(p).sum()) < 1e-11


def test_differences_are_exact_for_polynomials_of_degree_eight_and_no_higher():
    box = Grid(-1, 1, cells=9) * Grid(-1, 1, cells=9)
    x, y = box.points.T.reshape(2, *box.shape)
    ones = np.ones(box.shape)
    fields = Fields(np.stack([-ones, ones]), np.array([0.3, 0.2, 0.5]).reshape(3, 1, 1))
    for degree, exact in ((8, True), (9, False)):
        p = x**degree * y
        slope, bend = degree * x ** (degree - 1), degree * (degree - 1) * x ** (degree - 2)
        wanted = slope * y - x**degree + 0.3 * bend * y + 2 * 0.2 * slope
        error = abs(Central(fields, box).applied(p) - wanted)[4, 4]
        assert (error < 1e-12) == exact


def test_symbols_agree_with_those_of_derivatives_to_eighth_order():
    angles = np.array([0.4, 0.2, 0.1])
    first, second = symbols(angles)
    for error in (abs(first / angles - 1), abs(second / angles**2 - 1)):
        assert all(abs(np.log2(a / b) - 8) < 0.2 for a, b in pairwise(error))


def test_diffusion_dissipates_every_wave_whatever_the_correlation():
    angles = np.linspace(-pi, pi, 81)
    first, second = symbols(angles)
    assert np.all(first**2 <= second * (1 + 1e-12))
