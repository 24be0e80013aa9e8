from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm

import fpk.fokker_planck.stepping as stepping
from fpk.fokker_planck.exponentials import _integrated
from fpk.fokker_planck.fluxes import Rates
from fpk.fokker_planck.stepping import BACKWARD_EULER, ESDIRK4, TR_BDF2, DiagonallyImplicit, Factored, RungeKuttaStepper

METHODS = [m for m in vars(stepping).values() if isinstance(m, DiagonallyImplicit)]
by_name = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)


def chain(n=9, *, periodic=False):
    """A tridiagonal jump process: columns sum to zero."""
    up, down = 1 + 0.3 * np.sin(np.arange(n)), 1 + 0.2 * np.cos(np.arange(n))
    if not periodic:
        up[-1] = down[0] = 0.0
    rows = np.stack([np.roll(up, 1), -(up + down), np.roll(down, -1)])
    return Rates(rows, periodic)


def dense(rates):
    return np.stack([rates.applied(e) for e in np.eye(rates.rows.shape[1])], axis=1)


START = np.eye(9)[3]


def amplification(method, z):
    """R(z) of the Butcher table, by a dense solve: 1 + z b (I − z A)⁻¹ 1."""
    s = len(method.table)
    A = np.zeros((s, s))
    for i, row in enumerate(method.table):
        A[i, :i] = row
        A[i, i] = 0.0 if method.explicit_first and i == 0 else method.gamma
    return 1 + z * A[-1] @ np.linalg.solve(np.eye(s) - z * A, np.ones(s))


def test_every_method_of_the_module_is_tested():
    assert {m.name for m in METHODS} == {"backward Euler", "TR-BDF2", "ESDIRK4"}


@by_name
def test_the_last_stage_is_the_step(method):
    assert method.nodes[-1] == pytest.approx(1.0, abs=1e-14)
    assert np.all((method.nodes >= 0) & (method.nodes <= 1))


def test_nodes_are_the_published_ones():
    np.testing.assert_allclose(ESDIRK4.nodes, [0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1], atol=1e-14)
    np.testing.assert_allclose(TR_BDF2.nodes, [0, 2 - 2**0.5, 1], atol=1e-14)
    assert BACKWARD_EULER.nodes.tolist() == [1.0]


@by_name
@pytest.mark.parametrize("z", [-0.3, -3.0, -40.0])
def test_one_step_is_the_butcher_table(method, z):
    rates = Rates(np.array([[0.0] * 8, [z] * 8, [0.0] * 8]), False)
    after = RungeKuttaStepper(lambda t: rates, method).advanced(np.ones(8), 0.0, 1.0)
    np.testing.assert_allclose(after, np.full(8, amplification(method, z)), rtol=1e-12)


@by_name
def test_every_method_is_l_stable(method):
    assert abs(amplification(method, -1e9)) < 1e-8
    imaginary = [abs(amplification(method, 1j * y)) for y in np.geomspace(1e-2, 1e6, 200)]
    assert max(imaginary) <= 1 + 1e-12


@by_name
@pytest.mark.parametrize("periodic", [False, True])
def test_mass_is_conserved_by_every_step(method, periodic):
    rates = chain(periodic=periodic)
    run = RungeKuttaStepper(lambda t: Rates(rates.rows * (1 + t), periodic), method).run(START, (5.0,), 7)
    assert next(iter(run))[1].sum() == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize("periodic", [False, True])
def test_factored_solves_the_dense_system(periodic):
    rates = chain(periodic=periodic)
    p = np.linspace(-1, 2, 9)
    expected = np.linalg.solve(np.eye(9) - 0.37 * dense(rates), p)
    np.testing.assert_allclose(Factored(rates, 0.37).solve(p), expected, rtol=1e-12, atol=1e-13)


def test_only_backward_euler_keeps_vectors_non_negative_and_says_so():
    assert [m.name for m in METHODS if m.positive] == ["backward Euler"]
    wide, spike = chain(101), np.eye(101)[50]
    for method in METHODS:
        steps = np.geomspace(1e-2, 1e5, 60)
        lowest = min(RungeKuttaStepper(lambda t: wide, method).advanced(spike, 0.0, step).min() for step in steps)
        assert lowest >= 0 if method.positive else lowest < 0


def test_a_wanted_time_is_hit_exactly_and_a_time_zero_returns_the_start():
    got = list(RungeKuttaStepper(lambda t: chain(), ESDIRK4).run(START, (0.0, 0.1, 1.0), 20))
    assert [t for t, _ in got] == [0.0, 0.1, 1.0]
    np.testing.assert_array_equal(got[0][1], START)
    for t, p in got[1:]:
        np.testing.assert_allclose(p, expm(t * dense(chain())) @ START, atol=1e-7)


@by_name
def test_a_second_run_does_not_remember_the_first(method):
    stepper = RungeKuttaStepper(lambda t: chain(), method)
    list(stepper.run(np.ones(9), (1.0,), 3))
    (_, again), (_, fresh) = (
        next(iter(s.run(START, (1.0,), 3))) for s in (stepper, RungeKuttaStepper(lambda t: chain(), method))
    )
    np.testing.assert_array_equal(again, fresh)


def test_factors_are_reused_while_nothing_changes(monkeypatch):
    built = []
    original = stepping.Factored
    monkeypatch.setattr(stepping, "Factored", lambda rates, c: built.append(c) or original(rates, c))
    list(RungeKuttaStepper(lambda t: chain(), ESDIRK4).run(START, (1.0,), 8))
    assert len(built) == 1
    built.clear()
    list(RungeKuttaStepper(lambda t: Rates(chain().rows * (1 + t), False), TR_BDF2).run(START, (1.0,), 8))
    assert len(built) == 16  # two implicit stages a step, at times of their own


@pytest.mark.parametrize(
    "rate",
    [
        lambda t: 0.1 + 19.9 * t,
        lambda t: np.exp(12 * t),
        lambda t: 1 + 0.9 * np.sin(40 * t),
        lambda t: 1 + abs(t - 0.37),
    ],
    ids=["line", "exponential", "waves", "kink"],
)
def test_clocks_agree_with_adaptive_quadrature(rate):
    elapsed = _integrated(lambda t: float(rate(t)), 1.0)
    for a, b in [(0.0, 1.0), (0.2, 0.21), (0.9, 0.9001), (0.0, 1e-3)]:
        assert elapsed(a, b) == pytest.approx(quad(rate, a, b, epsabs=0, epsrel=1e-13, points=[0.37])[0], rel=1e-10)


@pytest.mark.parametrize("cells", [3, 7, 12, 41])
@pytest.mark.parametrize("around", [False, True], ids=["line", "ring"])
@pytest.mark.parametrize("transposed", [False, True])
def test_banded_solves_are_those_of_the_dense_matrix(cells, around, transposed):
    rng = np.random.default_rng(0)
    rows: Any = rng.normal(size=(7, cells)) + 0j
    p = rng.normal(size=cells)
    rows[3] += 12
    rows = rows + 1j * rng.normal(size=rows.shape) if around else rows.real
    matrix = np.zeros((cells, cells), rows.dtype)
    for k in range(-3, 4):
        for i in range(cells):
            if around or 0 <= i + k < cells:
                matrix[i, (i + k) % cells] += rows[k + 3, i]
    solved = (stepping.periodic_solver if around else stepping._banded_solver)(rows)(p, transposed)
    np.testing.assert_allclose(solved, np.linalg.solve(matrix.T if transposed else matrix, p), rtol=1e-12, atol=1e-12)
