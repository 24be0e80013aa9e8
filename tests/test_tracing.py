"""Tracing: arithmetic that is written down gives the numbers of the arithmetic done, and what cannot be written down is never guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit, types  # type: ignore[import-untyped]
from scipy import stats

import fpk
from fpk.coefficients import GradientDrift
from fpk.laws import Array, as_law
from fpk.particles.clock import Clock
from fpk.particles.compilation import ADVANCE, compiled, symbols
from fpk.particles.engine import Engine
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama, Heun, Scheme
from fpk.tracing import (
    Instant,
    NotTraceable,
    Trace,
    Traced,
    clocked,
    greater,
    known,
    logical_and,
    maximum,
    minimum,
    reading,
    where,
)

SAMPLES = 257


@njit(types.void(types.FunctionType(ADVANCE), *ADVANCE.args))
def called(advance: Any, x: Any, w: Any, y: Any, p: Any) -> None:
    """Call a loop from compiled code, the only place it can be called from."""
    advance(x, w, y, p)


def evaluated(functions: Sequence[Callable[[Any, Any], Any]], x: Array) -> Array:
    """The functions, traced and compiled as one loop, at columns of x of shape (2, n); shape (len(functions), n)."""
    trace, rows = Trace(1), max(2, len(functions))
    names = symbols(trace, "x", rows)[0]
    results = [function(*names[:2]) for function in functions]
    advance = compiled(trace, np.array([*results, 0.0], object)[:rows], {"x": rows, "w": 1, "y": 1})
    states, still = np.zeros((rows, x.shape[1])), np.zeros((1, x.shape[1]), np.float32)
    states[:2] = x
    called(advance, states, still, still, trace.table[0])
    return states[: len(functions)]


def samples(seed: int = 3) -> Array:
    return np.random.default_rng(seed).uniform(0.2, 3.0, (2, SAMPLES)) * [[1.0], [-1.0]]


# -- expressions -------------------------------------------------------------------------------------------------------------

NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2, -0.75, 3.5, np.float64(0.3), np.int64(2)])
LEAVES = st.one_of(st.just("a"), st.just("b"), NUMBERS)
#: Bounded functions, so that deep trees stay within the numbers.
UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": lambda u: -u,
    "abs": abs,
    "sin": lambda u: np.sin(u),
    "tanh": lambda u: np.tanh(u),
    "arctan": lambda u: np.arctan(u),
    "exp": lambda u: np.exp(-(u**2)),
    "log": lambda u: np.log(1.0 + u * u),
    "root": lambda u: np.sqrt(abs(u)),
    "cube": lambda u: np.tanh(u) ** 3,
    "half": lambda u: (1.0 + u * u) ** 0.5,
    "inverse": lambda u: (1.0 + u * u) ** -1.5,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda u, v: u + v,
    "-": lambda u, v: u - v,
    "*": lambda u, v: np.tanh(u) * v,
    "/": lambda u, v: u / (1.0 + v * v),
    "min": minimum,
    "max": maximum,
    "choice": lambda u, v: where(greater(u, v), v, 2.0 * u),
}
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(sorted(UNARY)), inner),
        st.tuples(st.sampled_from(sorted(BINARY)), inner, inner),
    ),
    max_leaves=8,
)


def grown(tree: Any, a: Any, b: Any) -> Any:
    """The value of an expression tree."""
    if not isinstance(tree, tuple):
        return {"a": a, "b": b}[tree] if isinstance(tree, str) else tree
    parts = [grown(branch, a, b) for branch in tree[1:]]
    return UNARY[tree[0]](*parts) if len(parts) == 1 else BINARY[tree[0]](*parts)


@settings(max_examples=4)
@given(st.lists(TREES, min_size=12, max_size=12))
def test_compiled_expressions_have_the_values_of_numpy(trees: list[Any]) -> None:
    """Where rounding decides a comparison either way, which changes in the arguments show, either value is allowed."""
    x = samples()
    got = evaluated([lambda a, b, tree=tree: grown(tree, a, b) for tree in trees], x)
    for tree, value in zip(trees, got, strict=True):
        plain, lower, upper = (grown(tree, *(x * factor)) for factor in (1.0, 1 - 1e-13, 1 + 1e-13))
        room = 1e-12 * (1 + np.abs(plain))
        torn = np.abs(upper - lower) > room
        assert np.all((np.abs(value - plain) <= room) | torn), tree
        assert np.mean(torn) < 0.1


@pytest.mark.parametrize(
    "power", [0, 1, 2, 3, 7, 64, -1, -4, 0.5, 1.5, 4.5, -0.5, -2.5, 1 / 3, np.float32(1.5), np.int64(3)]
)
def test_powers_are_those_of_numpy(power: Any) -> None:
    x = samples()
    x[0] = 0.9 + 0.1 * x[0]
    assert np.allclose(evaluated([lambda a, b: a**power], x), x[0] ** float(power), rtol=1e-13, atol=0)


def test_whole_and_half_powers_are_products_and_roots() -> None:
    trace = Trace(1)
    Traced(trace, "x0") ** 6.5
    assert not any("**" in line for line in trace.statements)
    assert sum("sqrt" in line for line in trace.statements) == 1


@pytest.mark.parametrize("base", [2, 0.5, -2.0])
def test_traced_exponents_are_those_of_numpy(base: float) -> None:
    x = np.floor(samples())
    assert np.allclose(evaluated([lambda a, b: base**a], x), base ** x[0], rtol=1e-13)


@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "sqrt", "floor"])
def test_elementary_functions_are_those_of_numpy(name: str) -> None:
    x, function = samples(), getattr(np, name)
    assert np.allclose(evaluated([lambda a, b: function(a)], x), function(x[0]), rtol=1e-14, atol=1e-15)


def test_choices_follow_every_condition() -> None:
    def chosen(a: Any, b: Any) -> Any:
        return where(logical_and(greater(a, 1.0), greater(b, -1.0)), minimum(a, 2.0), maximum(b, -2.0))

    x = samples()
    plain = np.where((x[0] > 1) & (x[1] > -1), np.minimum(x[0], 2), np.maximum(x[1], -2))
    assert np.array_equal(evaluated([chosen], x)[0], plain)
    assert np.array_equal(chosen(*x), plain)


# -- what is not written -----------------------------------------------------------------------------------------------------


def test_zeros_and_ones_leave_no_statement() -> None:
    trace = Trace(1)
    x = Traced(trace, "x0")
    assert (0 * x, x * 0.0, 0.0 / x) == (0.0, 0.0, 0.0)
    assert all(same is x for same in (x + 0, 0.0 + x, x - 0, x * 1, np.float64(1) * x, x**1))
    assert not trace.statements


def test_zero_minus_a_number_is_its_negative() -> None:
    x = samples()
    negative, complement = evaluated([lambda a, b: 0.0 - a, lambda a, b: 1.0 - a], x)
    assert np.array_equal(negative, -x[0])
    assert np.array_equal(complement, 1.0 - x[0])


def test_equal_statements_are_written_once() -> None:
    trace = Trace(1)
    x = Traced(trace, "x0")
    assert np.exp(x) * 2.0 is np.exp(x) * 2.0
    assert len(trace.statements) == 2


def test_parameters_of_equal_values_are_one_and_zero_ones_none() -> None:
    trace = Trace(3)
    assert trace.parameter(np.zeros(3)) == 0.0
    column = trace.parameter(np.array([0.0, 1.0, 2.0]))
    assert column is trace.parameter(np.array([0.0, 1.0, 2.0]))
    assert trace.table.shape == (3, 0)
    assert str(column) == "p0"
    assert trace.table.tolist() == [[0.0], [1.0], [2.0]]


def test_arithmetic_of_parameters_is_done_once_for_all_particles() -> None:
    trace = Trace(2)
    a, b = (trace.parameter(np.array(values)) for values in ([1.0, 2.0], [3.0, 5.0]))
    x = Traced(trace, "x0")
    moved = x + a * (b * x) * 2.0 - (a - b) ** 2 / b * 0.5 * x  # type: ignore[operator]
    assert str(moved) == "v3"
    assert trace.statements == ["v0 = p0 * x0", "v1 = x0 + v0", "v2 = p1 * x0", "v3 = v1 - v2"]
    assert np.allclose(trace.table, [[6.0, 2 / 3], [20.0, 0.9]], rtol=1e-15)


DECISIONS: dict[str, Callable[[Any], Any]] = {
    "if": lambda x: 1.0 if x else 0.0,
    "==": lambda x: x == 0.0,
    "!=": lambda x: x != 0.0,
    "<": lambda x: x < 1.0,
    "≥": lambda x: x >= 1.0,
    "np.equal": lambda x: np.equal(np.array([x]), 0.0),
    "np.where": lambda x: np.where(np.array([x]) > 0, 1.0, 2.0),
    "float": float,
    "infinite constant": lambda x: x + np.inf,
    "undefined constant": lambda x: np.nan * x,
}


@pytest.mark.parametrize("what", DECISIONS)
def test_what_only_numbers_can_do_is_refused(what: str) -> None:
    with pytest.raises(NotTraceable):
        DECISIONS[what](Traced(Trace(1), "x0"))


# -- times -------------------------------------------------------------------------------------------------------------------


def test_functions_of_time_are_called_once_an_instant_and_keep_their_shape() -> None:
    calls: list[float] = []

    def matrix(t: float) -> Array:
        calls.append(t)
        return np.array([[t, 0.0], [2.0, -t]])

    trace = Trace(4)
    numbers = Instant(trace, np.array([0.0, 0.5, 0.0, 1.0])).numbers(matrix)
    assert sorted(calls) == [0.0, 0.5, 1.0]
    assert numbers.shape == (2, 2)
    assert numbers[0, 1] == 0.0
    place = int(numbers[1, 1].name[1:])
    assert np.array_equal(trace.table[:, place], [0.0, -0.5, 0.0, -1.0])


def test_clocks_map_instants_as_they_map_times() -> None:
    instant = Instant(Trace(3), np.array([0.0, 0.5, 2.0]))
    assert clocked(lambda t: 2.0 - t, instant).times.tolist() == [2.0, 1.5, 0.0]
    assert clocked(lambda t: 2.0 - t, 0.5) == 1.5
    assert known(np.cos, 0.5) == np.cos(0.5)
    assert reading(0.5) == 0.5


# -- coefficients: compiled and served ---------------------------------------------------------------------------------------


def engines(problem: fpk.Problem, scheme: Scheme | None = None, *, steps: int = 6) -> tuple[Engine, Engine]:
    """The compiled engine and its twin that serves."""
    motion = Motion(problem, scheme or EulerMaruyama())
    clock = Clock.even((problem.horizon / 2, problem.horizon), steps, 2)
    first, second = (Engine(motion, clock, 300, 11, 5, 1, compiled=wanted) for wanted in (True, False))
    return first, second


def assert_same_numbers(first: Engine, second: Engine) -> None:
    assert first.traced is not None, "this was to be compiled"
    a, b = first.run(), second.run()
    assert np.array_equal(np.isfinite(a), np.isfinite(b))
    assert np.allclose(a, b, rtol=1e-12, atol=1e-12)


@njit
def falling(x: Any, t: Any) -> Any:
    return np.exp(-x * x) - x * np.cos(t)


@njit
def turning(x: Any, t: Any) -> Any:
    r = np.exp(-(x[0] ** 2) - x[1] ** 2)
    return -x[1] * r - x[0], x[0] * r - (1.0 + t) * x[1]


@njit
def loud(x: Any, t: Any) -> Any:
    return 0.4 + 0.1 * np.sin(x)


LINE, PLANE = fpk.Gaussian(0.5, 0.4), fpk.Gaussian([0.5, -0.3], 0.4)
MIXTURE = fpk.GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=[0.3, 0.5])
ROUND, FLAT = [[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.05], [-0.05, 0.4]]
PLANE_MIXTURE = fpk.GaussianMixture([0.4, 0.6], [[-1.0, 0.0], [1.0, 0.5]], covariances=[ROUND, FLAT])
COUPLED = np.array([[1.0, 0.6], [0.6, 1.0]])
VP = fpk.VPSchedule(0.1, 8.0)


def learnt(law: fpk.GaussianMixture) -> tuple[fpk.Problem, Any]:
    """A noising problem and its exact score."""
    problem = fpk.noising(VP, law)
    return problem, fpk.exact(problem, times=[1.0]).score


def plainly(score: Any) -> Any:
    """The same score as a function nobody vouches for."""
    return lambda x, t: score(x, t)


COMPILED: dict[str, Callable[[], fpk.Problem]] = {
    "formula": lambda: fpk.Problem("sin(2*x) - x**3 + t", "0.5 + 0.2*cos(x)", initial=LINE),
    "half powers": lambda: fpk.Problem("(1 + x**2)**(-3/2) - x", "sqrt(1 + x**2)/2", initial=LINE),
    "formulas of the plane": lambda: fpk.Problem(["-x0 + x1*t", "-x1 - x0**2"], "exp(-t)", initial=PLANE),
    "matrix of formulas": lambda: fpk.Problem(["-x0", "-x1"], [["1", "x0", "t"], ["0", "2", "cos(x1)"]], initial=PLANE),
    "constant matrix": lambda: fpk.Problem(["-x0", "0"], np.array([[1.0, 0.3], [0.0, 0.5]]), initial=PLANE),
    "correlated noises": lambda: fpk.Problem(
        ["-x0", "-x1"], ["1 + x1**2/4", "exp(-x0)/2"], initial=PLANE, noise_covariance=COUPLED
    ),
    "linear": lambda: fpk.Problem(fpk.Linear(lambda t: -1.0 - t, 0.5), lambda t: 1.0 + t, initial=LINE),
    "matrix linear": lambda: fpk.Problem(
        fpk.Linear(lambda t: np.array([[-1.0, t], [-t, -1.0]]), lambda t: np.array([t, 1.0])), 0.6, initial=PLANE
    ),
    "matrix function of time": lambda: fpk.Problem(
        fpk.Linear(-1.0), lambda t: np.array([[[1.0, t], [0.0, 0.5]]]), initial=PLANE
    ),
    "potential": lambda: fpk.Problem(GradientDrift("x**4/4 - x**2/2", force="cos(t)"), 0.7, initial=LINE),
    "numba": lambda: fpk.Problem(falling, loud, initial=LINE),
    "numba in the plane": lambda: fpk.Problem(turning, 0.5, initial=PLANE),
    "reflecting walls": lambda: fpk.Problem("4*x", 2.0, initial=LINE, boundary=fpk.Boundary("no_flux", -1.0, 1.5)),
    "a ring": lambda: fpk.Problem("3", 2.0, initial=LINE, boundary=fpk.Boundary("periodic", -1.0, 1.5)),
    "absorbing walls": lambda: fpk.Problem("x", 1.0, initial=LINE, boundary=fpk.Boundary("absorbing", -1.0, 1.5)),
    "noising": lambda: learnt(MIXTURE)[0],
    "reverse": lambda: fpk.reverse_time(*learnt(MIXTURE), initial=LINE),
    "reverse in the plane": lambda: fpk.reverse_time(*learnt(PLANE_MIXTURE), initial=PLANE),
    "reverse with noise of its own": lambda: fpk.reverse_time(*learnt(MIXTURE), initial=LINE, noise=lambda t: 0.5 + t),
    "flow": lambda: fpk.probability_flow(*learnt(MIXTURE)),
    "flow with noise": lambda: fpk.with_noise(*learnt(MIXTURE), noise="1 + sin(x)/4"),
}
SERVED: dict[str, Callable[[], fpk.Problem]] = {
    "function": lambda: fpk.Problem(lambda x, t: -x, 1.0, initial=LINE),
    "function for the noise": lambda: fpk.Problem("-x", lambda x, t: 1.0 + 0 * x, initial=LINE),
    "score that is a function": lambda: fpk.reverse_time(learnt(MIXTURE)[0], plainly(learnt(MIXTURE)[1]), initial=LINE),
    "flow of such a score": lambda: fpk.probability_flow(learnt(MIXTURE)[0], plainly(learnt(MIXTURE)[1])),
    "noise of its own that is a function": lambda: fpk.with_noise(*learnt(MIXTURE), noise=lambda x, t: 1.0 + 0 * x),
    "potential that is a function": lambda: fpk.Problem(GradientDrift(lambda x: x**2 / 2), 1.0, initial=LINE),
    "correlated function": lambda: fpk.Problem(
        ["0", "0"], lambda x, t: 1.0 + 0 * x, initial=PLANE, noise_covariance=COUPLED
    ),
    "branches": lambda: fpk.Problem("Max(x, 0) - x", 1.0, initial=LINE),
    "a value at one point": lambda: fpk.Problem("Piecewise((1, Eq(x, 0)), (-x, True))", 1.0, initial=LINE),
    "law that is no mixture": lambda: fpk.probability_flow(
        fpk.Problem("0", 1.0, initial=LINE),
        fpk.LawMarginals(lambda t: as_law(stats.t(4)), (1.0,)).score,
    ),
}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_coefficients_give_the_numbers_of_called_ones(name: str) -> None:
    assert_same_numbers(*engines(COMPILED[name]()))


@pytest.mark.parametrize("name", ["formula", "matrix of formulas", "numba", "linear", "reverse", "correlated noises"])
def test_stages_of_a_step_are_compiled_as_they_are_called(name: str) -> None:
    assert_same_numbers(*engines(COMPILED[name](), Heun()))


@pytest.mark.parametrize("name", SERVED)
def test_what_is_not_written_for_it_is_never_compiled(name: str) -> None:
    assert engines(SERVED[name]())[0].traced is None


TWINS = {
    "formula": fpk.Problem(
        lambda x, t: np.sin(2 * x) - x**3 + t, lambda x, t: 0.5 + 0.2 * np.cos(x), initial=LINE
    ),
    "formulas of the plane": fpk.Problem(
        lambda x, t: np.stack([-x[:, 0] + x[:, 1] * t, -x[:, 1] - x[:, 0] ** 2], 1), lambda t: np.exp(-t), initial=PLANE
    ),
    "matrix of formulas": fpk.Problem(
        lambda x, t: -x,
        lambda x, t: np.stack(
            [np.stack([1 + 0 * x[:, 0], x[:, 0], t + 0 * x[:, 0]], 1), np.stack([0 * x[:, 0], 2 + 0 * x[:, 0], np.cos(x[:, 1])], 1)], 1
        ),
        initial=PLANE,
    ),
    "numba": fpk.Problem(
        lambda x, t: np.exp(-x * x) - x * np.cos(t), lambda x, t: 0.4 + 0.1 * np.sin(x), initial=LINE
    ),
    "linear": fpk.Problem(lambda x, t: (-1.0 - t) * x + 0.5, lambda t: 1.0 + t, initial=LINE),
}  # fmt: skip


@pytest.mark.parametrize("name", TWINS)
def test_the_same_functions_as_plain_python_give_the_same_numbers(name: str) -> None:
    first, second = (
        fpk.simulate(problem, particles=500, steps=5, times=[1.0], seed=3)
        for problem in (COMPILED[name](), TWINS[name])
    )
    assert np.abs(first.positions - second.positions).max() <= 1e-12 * (1 + np.abs(second.positions).max())


def test_functions_of_one_shape_but_other_constants_are_not_confused() -> None:
    """The text of the loop is the same, so what is compiled once must not keep the numbers of another problem."""
    ends = [
        fpk.simulate(fpk.Problem(f"-{rate}*x", 0.0, initial=LINE), particles=10, steps=4, times=[1.0], seed=1).fine
        for rate in (1.0, 2.0)
    ]
    assert np.allclose(ends[0] / ends[1], ((1 - 1 / 8) / (1 - 1 / 4)) ** 8, rtol=1e-12)


def test_numba_functions_that_close_over_different_numbers_are_not_confused() -> None:
    def made(rate: float) -> Any:
        @njit
        def drift(x: Any, t: Any) -> Any:
            return -rate * x

        return drift

    ends = [
        fpk.simulate(fpk.Problem(made(rate), 0.0, initial=LINE), particles=10, steps=4, times=[1.0], seed=1).fine
        for rate in (1.0, 2.0)
    ]
    assert np.allclose(ends[0] / ends[1], ((1 - 1 / 8) / (1 - 1 / 4)) ** 8, rtol=1e-12)
