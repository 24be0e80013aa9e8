import os

import numpy as np
import pytest
import sympy

import fpk
from fpk.coefficients import Coefficient, Linear
from fpk.errors import NonFinite, ProblemError

X = np.array([[-1.0], [0.5], [2.0]])


@pytest.mark.parametrize(
    "given",
    [
        lambda x, t: np.sin(x) * (1 + t),
        "sin(x)*(1 + t)",
        sympy.sin(sympy.Symbol("x")) * (1 + sympy.Symbol("t")),
        ["sin(x)*(1 + t)"],
    ],
    ids=["callable", "text", "sympy", "sequence"],
)
def test_every_way_of_writing_a_drift_means_the_same(given):
    drift = Coefficient(given, 1, "drift")
    np.testing.assert_allclose(np.broadcast_to(drift(X, 0.5), X.shape), 1.5 * np.sin(X), rtol=1e-15)
    # Sixth-order differences of step 2e-3 for callables: 1e-10 is round-off over the step.
    np.testing.assert_allclose(drift.gradient(X, 0.5), 1.5 * np.cos(X), atol=1e-10)
    assert drift.state_dependent
    assert drift.linear is None


@pytest.mark.parametrize("given", [2, 2.0, np.float64(2.0), np.int64(2)])
def test_numbers_are_constants(given):
    drift = Coefficient(given, 1, "drift")
    assert drift.constant == 2.0
    assert not drift.state_dependent
    np.testing.assert_array_equal(drift.gradient(X, 0.0), np.zeros_like(X))


def test_a_function_of_one_argument_is_a_function_of_time():
    g = Coefficient(lambda t: 1 + t, 1, "diffusion")
    assert not g.state_dependent
    assert float(g(X, 2.0)) == 3.0


@pytest.mark.parametrize(
    "given", ["-2*x*(1 + t) + t**2", Linear(lambda t: -2 * (1 + t), lambda t: t**2)], ids=["text", "Linear"]
)
def test_linear_drifts_are_recognised(given):
    drift = Coefficient(given, 1, "drift")
    assert drift.linear is not None
    np.testing.assert_allclose(drift.linear(X, 0.5), -3 * X + 0.25, rtol=1e-14)
    np.testing.assert_allclose(drift(X, 0.5), -3 * X + 0.25, rtol=1e-14)


def test_nonlinear_drifts_are_not_taken_for_linear():
    assert Coefficient("x - x**3", 1, "drift").linear is None
    assert Coefficient(lambda x, t: -x, 1, "drift").linear is None


def test_linear_takes_a_matrix():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    drift = Coefficient(Linear(lambda t: turn, lambda t: np.array([1.0, 0.0])), 2, "drift")
    np.testing.assert_allclose(drift(np.array([[1.0, 2.0]]), 0.0), [[-2.0 + 1.0, 1.0]])


def test_expressions_in_several_dimensions_use_numbered_symbols():
    drift = Coefficient(["x1", "-x0 + t"], 2, "drift")
    np.testing.assert_allclose(drift(np.array([[1.0, 2.0], [3.0, 4.0]]), 0.5), [[2.0, -0.5], [4.0, -2.5]])
    with pytest.raises(ProblemError, match="3 expressions for the drift in dimension 2"):
        Coefficient(["x0", "x1", "t"], 2, "drift")


def test_unknown_symbols_are_named_with_the_known_ones():
    with pytest.raises(ProblemError, match=r"unknown symbols \['kappa', 'y'\]; it may use x, t"):
        Coefficient("kappa*(y - x)", 1, "drift")
    with pytest.raises(ProblemError, match=r"unknown symbols \['x'\]; it may use x0, x1, t"):
        Coefficient(["x", "x1"], 2, "drift")


@pytest.mark.parametrize("text", ["-x +* 2", "sin(", "x.foo"])
def test_text_that_is_no_formula_is_refused(text):
    with pytest.raises(ProblemError, match="cannot read the drift"):
        Coefficient(text, 1, "drift")


@pytest.mark.parametrize("given", [None, object(), np.array([1.0, 2.0])])
def test_what_is_no_coefficient_is_refused_with_what_is(given):
    with pytest.raises(ProblemError, match=r"must be a number, a function of \(x, t\)"):
        Coefficient(given, 1, "drift")


@pytest.mark.parametrize("given", [lambda a, b, c: a, lambda: 1.0, lambda x: -x, lambda x, t=0.0: -x])
def test_a_function_of_the_wrong_arguments_is_refused(given):
    # f(x) alone, or f(x, t=0), would otherwise be read as a function of time.
    with pytest.raises(ProblemError, match=r"must take \(x, t\), or only \(t\)"):
        Coefficient(given, 1, "drift")


@pytest.mark.parametrize(
    ("given", "value", "place"),
    [
        ("log(x)", "nan", r"x=\[-1\.0\]"),
        ("1/(x - 1/2)", "inf", r"x=\[0\.5\]"),
        (lambda x, t: np.where(x > 1, np.nan, x), "nan", r"x=\[2\.0\]"),
    ],
    ids=["log", "pole", "callable"],
)
def test_a_value_that_is_not_finite_says_what_where_and_when(given, value, place):
    with pytest.raises(NonFinite, match=rf"the drift is \[{value}\] at {place}, t=0\.25"):
        Coefficient(given, 1, "drift")(X, 0.25)


def test_a_complex_value_is_refused():
    with pytest.raises(ProblemError, match="complex"):
        Coefficient("I*x", 1, "drift")(X, 0.0)


HOSTILE = "__import__('os').environ.update(READ_AS_CODE='yes')"


@pytest.mark.parametrize("given", [HOSTILE, [HOSTILE], [[HOSTILE]], [[[HOSTILE]]], [(HOSTILE,)]])
def test_no_formula_runs_code(given, monkeypatch):
    monkeypatch.delenv("READ_AS_CODE", raising=False)
    for name in ("drift", "diffusion"):
        with pytest.raises(ProblemError, match=f"the {name} .* as a formula"):
            Coefficient(given, 1, name)
    assert "READ_AS_CODE" not in os.environ


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("().__class__", "no arithmetic"),
        ("(lambda: 1)()", "no arithmetic"),
        ("x.subs(x, 1)", "no arithmetic"),
        ("sympify('x')", "'sympify' is none of the functions"),
        ("open", r"unknown symbols \['open'\]"),
        ("sine(2*x)", r"'sine' is none of the functions a formula may use \(did you mean sin\?\)"),
        (sympy.Function("h")(sympy.Symbol("x")), "'h' is none of the functions"),
        ("x < 0", "no number"),
        ("sin", "no number"),
        ("1/0", "divides by zero"),
        ("(" * 500 + "x" + ")" * 500, "cannot read"),
    ],
)
def test_what_is_no_formula_is_refused_in_words(given, told):
    with pytest.raises(ProblemError, match=told):
        Coefficient(given, 1, "drift")


def test_formulas_may_have_powers_comparisons_and_lines():
    drift = Coefficient("Piecewise((x^2, x > 0),\n (Max(-x, 3/4), True))", 1, "drift")
    np.testing.assert_array_equal(drift(X, 0.0), [[1.0], [0.25], [4.0]])


X0 = sympy.Symbol("x0")


@pytest.mark.parametrize("given", [["-x0"], [-X0], "-x0", -X0], ids=str)
def test_a_formula_of_one_coordinate_does_not_drive_the_others(given):
    with pytest.raises(ProblemError, match="1 expression for the drift in dimension 2: give a list with one for each"):
        fpk.Problem(given, 0.8, initial=fpk.Gaussian([0.0, 0.0], 1.0))
    with pytest.raises(ProblemError, match="1 expression for the diffusion in dimension 2"):
        Coefficient(["1 + x0**2"], 2, "diffusion")


def test_one_formula_for_all_coordinates_is_of_time_or_a_diffusion():
    places = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert np.broadcast_to(Coefficient("2*t", 2, "drift")(places, 0.5), (2, 2)).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    noise = np.broadcast_to(Coefficient("1 + x0", 2, "diffusion")(places, 0.0), (2, 2))
    assert noise.tolist() == [[2.0, 2.0], [4.0, 4.0]]


def test_a_wrong_shape_is_refused_with_the_right_ones():
    with pytest.raises(
        ProblemError, match=r"shape \(3,\) for positions of shape \(3, 1\); expected a number or \(3, 1\)\."
    ):
        Coefficient(lambda x, t: x[:, 0], 1, "drift")(X, 0.0)
    matrix = np.broadcast_to(np.eye(2), (3, 2, 2))
    with pytest.raises(ProblemError, match=r"the drift returned shape \(3, 2, 2\)"):
        Coefficient(lambda x, t: matrix, 2, "drift")(np.zeros((3, 2)), 0.0)
    assert Coefficient(lambda x, t: matrix, 2, "diffusion")(np.zeros((3, 2)), 0.0).shape == (3, 2, 2)


def test_compiled_functions_are_checked_before_they_are_compiled_into_a_step() -> None:
    from numba import njit

    three, index = njit(lambda x, t: (x[0], x[1], t)), njit(lambda x, t: x[0])
    plane = fpk.Problem(three, 1.0, initial=fpk.Gaussian([0.0, 0.0], 1.0))
    with pytest.raises(ProblemError, match=r"drift must return a tuple of 2 numbers .* returned \(0.5, 0.5, 0.5\)"):
        fpk.simulate(plane, particles=10, steps=2, times=[1.0])
    line = fpk.Problem(index, 1.0, initial=fpk.Gaussian(0.0, 1.0))
    with pytest.raises(ProblemError, match=r"drift must take \(x, t\) with x as a number"):
        fpk.simulate(line, particles=10, steps=2, times=[1.0])
