"""Formula text is bounded before anything is computed with it, and formulas of ordinary size are read as ever."""

from __future__ import annotations

import ast
import time

import numpy as np
import pytest
import sympy  # noqa: F401 (no test is to measure its import)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fpk
from fpk.coefficients import Coefficient
from fpk.errors import FpkError, ProblemError
from fpk.expressions import Expression
from fpk.formula_text import BITS, CHARACTERS, DEPTH, LARGEST, PARTS, quoted, tree
from fpk.symbolic import FUNCTIONS

X = np.array([[0.3], [0.7]])
#: CPU seconds that reading and evaluating any text may take; the slowest known takes half a second.
AT_MOST = 5.0

GREEDY = {
    "9**9**9**9": r"the number 9 \*\* 9 \*\* 9 is beyond",
    "9**-9**9**9": r"the number 9 \*\* 9 \*\* 9 is beyond",
    "exp(exp(exp(1000)))": r"the number exp\(1000\) is beyond",
    "x*exp(exp(10))": r"the number exp\(exp\(10\)\) is beyond",
    "(x+1)**100000": "the powers in .* are too high",
    "((x+1)**1000)**100": "the powers in .* are too high",
    "(1+1/10**9)**(10**9)": "the powers in .* are too high",
    "2**-100000": "the powers in .* are too high",
    "gamma(10**7)": r"the number gamma\(10 \*\* 7\) is beyond",
    "loggamma(10**7)": "is beyond",
    "Mod(10**1000000000, 7)": "is beyond",
    "x**Piecewise((10**9, True))": "the powers in .* are too high",
    "1e999*x": "the number 1e309 is beyond",
    "1" * 4000: "is beyond",
    "sin(" * 60 + "x" + ")" * 60: f"nested 51 deep, at most {DEPTH} are read",
    "-" * 100_000 + "x": f"100,001 characters, at most {CHARACTERS:,}",
    "-" * 5000 + "x": "nested too deeply",
    "+".join(["x"] * 4000): "too many terms",
    "+".join(["x"] * 300): f"599 parts, at most {PARTS:,} are read",
    "x" * 1_000_000: "1,000,000 characters",
}


@pytest.mark.parametrize("text", GREEDY, ids=lambda text: quoted(text[:30]))
def test_what_would_take_for_ever_is_refused_at_once_in_few_words(text: str) -> None:
    start = time.process_time()
    with pytest.raises(ProblemError, match=GREEDY[text]) as refusal:
        Coefficient(text, 1, "drift")
    assert len(str(refusal.value)) < 800
    assert "Write it in x, t" in str(refusal.value)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    "text", ["9**9**9**9", "exp(exp(1000))", "1e400", "-" * 2000 + "x", "x+" * 5000 + "x", "x" * 10**6]
)
def test_formulas_that_are_checked_have_the_same_bounds(text: str) -> None:
    with pytest.raises(ProblemError, match=r"It may use x, t, numbers") as refusal:
        Expression(text, ("x", "t"))
    assert len(str(refusal.value)) < 800


@pytest.mark.parametrize(
    "text",
    [
        "1/(1 + x + sin(x + cos(x + t))**5)**7",
        "(x + t + 1)**100",
        "(x + 1)**1000",
        "sin(" * (DEPTH - 1) + "x" + ")" * (DEPTH - 1),
        "x**(" * 20 + "x" + ")" * 20,
        "+".join(f"sin({k}*x)" for k in range(1, 80)),
        "*".join(f"sin({k}*x)" for k in range(1, 80)),
        "x*(sin(1/(1+t+sin(t+cos(t))**5)**7)**2 + cos(1/(1+t+sin(t+cos(t))**5)**7)**2)",
        "1e300*x",
        "(" * 150 + "x" + ")" * 150,
    ],
)
def test_large_formulas_within_the_bounds_are_answered(text: str) -> None:
    start = time.process_time()
    drift = Coefficient(text, 1, "drift")
    assert np.all(np.isfinite(drift(X, 0.5)))
    drift.gradient(X, 0.5)
    assert time.process_time() - start < AT_MOST


numbers = st.one_of(st.integers(0, 12), st.integers(0, 10**12), st.floats(0, 1e6, allow_subnormal=False)).map(repr)
leaves = st.one_of(st.sampled_from(["x", "t", "pi"]), numbers)
texts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "**"]), inner).map(
            lambda p: f"({p[0]}){p[1]}({p[2]})"
        ),
        st.tuples(st.sampled_from(["exp", "log", "sqrt", "sin", "tanh", "gamma", "floor", "erf"]), inner).map(
            lambda p: f"{p[0]}({p[1]})"
        ),
        inner.map(lambda part: f"-({part})"),
    ),
    max_leaves=12,
)


@given(text=texts)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_arithmetic_is_answered_or_refused_within_seconds(text: str) -> None:
    start = time.process_time()
    try:
        drift = Coefficient(text, 1, "drift")
        drift(X, 0.5)
        drift.gradient(X, 0.5)
    except FpkError:
        pass
    assert time.process_time() - start < AT_MOST


@given(text=texts)
def test_the_bounds_of_a_tree_are_kept(text: str) -> None:
    """What is let through has no number beyond the largest one, and no power of numbers with more digits than BITS allows."""
    try:
        found = tree(text)
    except ValueError:
        return
    for node in ast.walk(found):
        names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        calls = any(isinstance(inner, ast.Call) for inner in ast.walk(node))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not names and not calls:
            try:
                value = complex(eval(compile(ast.Expression(node), "", "eval"), {}))  # numbers and operators alone
            except ZeroDivisionError:
                continue
            assert abs(value) <= LARGEST * (1 + 1e-9)


def test_bits_grow_with_powers_of_powers() -> None:
    power = int(BITS**0.5) // 2
    tree(f"(x**{power})**{power}")
    with pytest.raises(ValueError, match="too high"):
        tree(f"((x**{power})**{power})**5")


@pytest.mark.parametrize("text", ["1if x else 2", "x\0", "\ud800", "x == = 2", "", " "])
def test_what_is_no_python_is_refused_without_warnings(text: str) -> None:
    with pytest.raises(ProblemError, match="cannot read"):
        Coefficient(text, 1, "drift")


# --- what formulas may call is there


TWO = {"root", "atan2", "Max", "Min", "Mod"}
PIECES = {"Eq", "Ne", "Lt", "Le", "Gt", "Ge"}


def called(name: str) -> str:
    """A formula that calls a function between 1.2 and 1.7, its argument an ordinary one."""
    if name.startswith("bessel"):
        return f"{name}(2, x + 1)"
    if name in TWO:
        return f"{name}(x, 2)"
    if name in PIECES:
        return f"Piecewise((x, {name}(x, 1)), (2*x, True))"
    others = {
        "Rational": "x*Rational(1, 2)", "Piecewise": "Piecewise((x, x < 1), (2*x, True))", "acosh": "acosh(x + 1)",
        "And": "Piecewise((x, And(x < 1, x > 0)), (2*x, True))", "Or": "Piecewise((x, Or(x < 1, x > 2)), (2*x, True))",
        "Not": "Piecewise((x, Not(x < 1)), (2*x, True))",
    }  # fmt: skip
    return others.get(name, f"{name}(x)")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_that_is_offered_is_computed_with_its_derivative(name: str) -> None:
    drift = Coefficient(called(name), 1, "drift")
    values = [np.broadcast_to(drift(X + shift, 0.5), X.shape) for shift in (1e-6, -1e-6)]
    assert np.all(np.isfinite(values))
    slope = (values[0] - values[1]) / 2e-6
    np.testing.assert_allclose(drift.gradient(X, 0.5), slope, rtol=1e-6, atol=1e-6)


def test_special_functions_have_their_values() -> None:
    from scipy import special

    for text, value in (
        ("erf(x)", special.erf(X)),
        ("gamma(x)", special.gamma(X)),
        ("besselj(2, x)", special.jv(2, X)),
    ):
        np.testing.assert_allclose(Coefficient(text, 1, "drift")(X, 0.5), value, rtol=1e-13)


@pytest.mark.parametrize(
    ("text", "slope", "shift"),
    [
        ("-x", -1.0, 0.0),
        ("(x + 1)**2 - x**2", 2.0, 1.0),
        ("x*sin(x)**2 + x*cos(x)**2 - 3", 1.0, -3.0),
        ("(x**2 - 1)/(x - 1)", 1.0, 1.0),
        ("(x**2 + x)/x", 1.0, 1.0),
        ("x*cos(t)**2 + t", np.cos(0.5) ** 2, 0.5),
    ],
)
def test_formulas_that_are_linear_are_seen_to_be(text: str, slope: float, shift: float) -> None:
    linear = Coefficient(text, 1, "drift").linear
    assert linear is not None
    np.testing.assert_allclose(linear(X, 0.5), slope * X + shift, rtol=1e-13)


@pytest.mark.parametrize(
    "text", ["x + 1e-3*sin(x)", "x*abs(x)", "x**1.0001", "Piecewise((x, x < 10), (2*x, True))", "floor(x)"]
)
def test_formulas_that_are_not_linear_are_not_taken_for_it(text: str) -> None:
    assert Coefficient(text, 1, "drift").linear is None


def test_problems_of_special_functions_are_solved() -> None:
    from scipy import special

    problem = fpk.Problem("-x - erf(x)/2", "0.8", initial=fpk.Gaussian(0.5, 0.4))
    grid = fpk.solve(problem, fpk.Grid(-4, 4, cells=96), times=[0.5])
    same = fpk.Problem(lambda x, t: -x - special.erf(x) / 2, "0.8", initial=fpk.Gaussian(0.5, 0.4))
    again = fpk.solve(same, fpk.Grid(-4, 4, cells=96), times=[0.5])
    np.testing.assert_allclose(grid.density(0.5), again.density(0.5), atol=1e-9)
