"""The elimination with many shifts at once against dense complex solves."""

import numpy as np
import pytest

from fpk.fokker_planck.exponentials import CRAM16
from fpk.fokker_planck.sweep import LANES, room_for, solve_shifted


def banded(width, n, seed):
    """Random rows (2w + 1, n), nothing outside the matrix, with a numerical range left of the shifts."""
    rows = np.random.default_rng(seed).normal(size=(2 * width + 1, n))
    rows[width] -= 4.0 * width
    for k in range(-width, width + 1):
        rows[width + k, : max(0, -k)] = 0.0
        rows[width + k, n - max(0, k) :] = 0.0
    return rows


def dense(rows):
    w, n = len(rows) // 2, rows.shape[1]
    return sum(np.diag(rows[w + k, max(0, -k) : n - max(0, k)], k) for k in range(-w, w + 1))


@pytest.mark.parametrize(("width", "n"), [(1, 8), (1, 41), (3, 9), (5, 11), (5, 60)])
@pytest.mark.parametrize("step", [1.0, 0.37])
def test_the_sweep_is_a_sum_of_dense_resolvents(width, n, step):
    rng = np.random.default_rng(n)
    rows, p = banded(width, n, 3), rng.normal(size=n)
    poles = np.stack([rng.uniform(1, 9, LANES), rng.uniform(-9, 9, LANES)])
    residues = rng.normal(size=(2, LANES))
    room, out = np.full(room_for(n, width), np.nan), np.empty(n)  # whatever was in the room before does not matter
    solve_shifted(rows, step, p, poles, residues, 0.37, room, out)
    expected = 0.37 * p
    for z, c in zip(poles[0] + 1j * poles[1], residues[0] + 1j * residues[1], strict=True):
        expected = expected + (c * np.linalg.solve(step * dense(rows) - z * np.eye(n), p)).real
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shift", range(LANES))
def test_where_the_room_starts_in_memory_changes_no_bit(shift):
    n, width = 23, 5
    rows, p, (poles, residues) = banded(width, n, 1), np.linspace(-1, 2, n), CRAM16._lanes
    room = np.empty(room_for(n, width) + LANES)
    first, second = np.empty(n), np.empty(n)
    solve_shifted(rows, 1.0, p, poles, residues, CRAM16.direct, room, first)
    solve_shifted(rows, 1.0, p, poles, residues, CRAM16.direct, room[shift:], second)
    assert np.array_equal(first, second)
