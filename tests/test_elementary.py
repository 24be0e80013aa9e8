"""Elementary functions against mpmath: errors in units in the last place, special values, the same bits in every place, vectors."""

import json
import os
import re
import subprocess
import sys
from functools import cache

import mpmath
import numpy as np
import pytest
from numba import njit

from fpk.instructions import prefer_wide_vectors
from fpk.particles import elementary
from fpk.particles.elementary import bits_of, number_of, polynomial


def even(low, high):
    return lambda rng: rng.uniform(low, high, 1000)


def sizes(low, high):
    """Both signs, sizes spread evenly over powers of two."""
    return lambda rng: np.exp2(rng.uniform(low, high, 1000)) * rng.choice([-1.0, 1.0], 1000)


QUARTERS = np.arange(1, 1000) * (np.pi / 2)
ANGLES = (even(-7, 7), even(-1e5, 1e5), sizes(-60, 0), sizes(0, 45), lambda rng: QUARTERS, lambda rng: QUARTERS * 1e5)
#: Largest error in units in the last place, as the module states it, and where.
ACCURACY = {
    "exp": (0.9, (even(-1, 1), even(-745, 709.7), even(-745.1, -708))),
    "expm1": (1.7, (even(-1, 1), sizes(-60, 0), even(-40, 709.7))),
    "log": (0.9, (even(0.5, 2), lambda rng: abs(sizes(-1022, 1023.9)(rng)), lambda rng: abs(sizes(-1074, -1022)(rng)))),
    "sin": (1.5, ANGLES),
    "cos": (1.5, ANGLES),
    "sinh": (2.2, (even(-1, 1), sizes(-60, 0), even(-710.4, 710.4))),
    "cosh": (1.3, (even(-1, 1), sizes(-60, 0), even(-710.4, 710.4))),
    "tanh": (2.6, (even(-1, 1), sizes(-60, 0), even(-22, 22))),
    "arctan": (2.2, (even(-1, 1), even(-5, 5), even(0.41, 0.42), sizes(-60, 0), sizes(0, 1000))),
}
NAMES = list(ACCURACY)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-300, -1e-300, 1.0, -1.0, 720.0, -720.0, -760.0])


@cache
def over_arrays(name):
    function = getattr(elementary, name)

    @njit(error_model="numpy")
    def loop(x, out):
        prefer_wide_vectors()
        for i in range(len(x)):
            out[i] = function(x[i])

    return loop


def evaluated(name, x):
    out = np.empty_like(x)
    over_arrays(name)(x, out)
    return out


@pytest.mark.parametrize("name", NAMES)
def test_errors_are_below_the_units_in_the_last_place_stated(name):
    bound, places = ACCURACY[name]
    exact = getattr(mpmath, "atan" if name == "arctan" else name)
    x = np.concatenate([place(np.random.default_rng(i)) for i, place in enumerate(places)])
    with mpmath.workprec(200):
        truth = [exact(mpmath.mpf(value)) for value in x]
        error = [float(abs(mpmath.mpf(got) - t)) for got, t in zip(evaluated(name, x), truth, strict=True)]
    assert np.all(error <= bound * np.spacing(abs(np.array(truth, dtype=float))))


@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_those_of_numpy(name):
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(SPECIAL)
    np.testing.assert_allclose(evaluated(name, SPECIAL), expected, rtol=1e-15)


def test_the_largest_and_smallest_results_are_reached():
    x = np.array([709.782712893384, 709.782712893385, -745.13, -745.14])
    np.testing.assert_allclose(evaluated("exp", x), [np.exp(x[0]), np.inf, 5e-324, 0.0])
    for name in ("sinh", "cosh"):
        np.testing.assert_allclose(evaluated(name, np.array([710.4758, 710.476])), [np.sinh(710.4758), np.inf])


def test_angles_too_large_to_be_told_apart_are_refused_with_nan():
    x = np.array([2.0**45, -(2.0**45), 2.0**45 + 1, -(2.0**60)])
    for name in ("sin", "cos"):
        np.testing.assert_array_equal(np.isnan(evaluated(name, x)), [False, False, True, True])


@pytest.mark.parametrize("name", NAMES)
def test_bits_do_not_depend_on_the_place_in_the_array(name):
    x = np.random.default_rng(1).uniform(0.01, 9, 60)
    alone = np.array([getattr(elementary, name)(value) for value in x])
    for n in range(1, 40):
        start = n % 5
        got = evaluated(name, x[start : start + n])
        np.testing.assert_array_equal(got.view(np.uint64), alone[start : start + n].view(np.uint64))


@pytest.mark.parametrize("name", NAMES)
def test_loops_become_vector_instructions(name):
    evaluated(name, SPECIAL)
    (code,) = over_arrays(name).inspect_llvm().values()
    assert re.search(r"call <\d+ x double> @llvm\.fma\.v\d+f64", code)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_polynomials_are_sums_of_powers_with_one_rounding_for_a_product_and_its_sum(kind):
    """With x = 1 + ε and c = −1 − 2ε, x² + c is ε² in one rounding and 0 in two."""

    @njit
    def evaluate(x, c):
        return polynomial(x, (c, x)), polynomial(x, (x, x, x, x))

    x, c = kind(1 + np.finfo(kind).eps), kind(-1 - 2 * np.finfo(kind).eps)
    fused, cubic = evaluate(x, c)
    assert fused == np.finfo(kind).eps ** 2
    assert cubic == pytest.approx(4.0, rel=1e-5)
    assert evaluate(kind(2), kind(1))[1] == 2 * (1 + 2 + 4 + 8)


@pytest.mark.parametrize(("kind", "word"), [(np.float32, np.uint32), (np.float64, np.uint64)])
def test_bits_are_those_that_numpy_sees(kind, word):
    @njit
    def there_and_back(x):
        return bits_of(x), number_of(bits_of(x))

    for value in (0.0, -0.0, 1.0, -2.5, np.inf):
        bits, back = there_and_back(kind(value))
        assert bits == kind(value).view(word)
        assert back == value


FIRST_CALLER = """
import json, sys
import numpy as np
from numba import njit
from fpk.particles import elementary

names, x = json.loads(sys.argv[1]), np.array(json.loads(sys.argv[2]))
options = {"fastmath": {"contract", "reassoc"}} if sys.argv[3] == "loose" else {}
found = []
for name in names:
    function = getattr(elementary, name)
    found.append([float(njit(lambda v: function(v), **options)(v)).hex() for v in x])
print(json.dumps(found))
"""


def test_what_is_cached_does_not_depend_on_who_compiled_it_first(tmp_path):
    """Numba hands the options of a caller on to a function that is compiled for it and does not state its own."""
    x = np.random.default_rng(3).uniform(0.01, 9, 40)

    def found(first):
        arguments = [json.dumps(list(NAMES)), json.dumps(x.tolist()), first]
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", FIRST_CALLER, *arguments]
        return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    found("loose")
    here = [[float(getattr(elementary, name)(value)).hex() for value in x] for name in NAMES]
    assert found("plain") == here
