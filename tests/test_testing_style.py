"""One style: every assertion takes, returns, raises, tells and documents the same things in the same way, wherever it runs."""

from __future__ import annotations

import inspect
import json
import re
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpk
from fpk import testing
from fpk.check_context import SURROUNDINGS, CheckContext
from fpk.errors import ComparisonError
from fpk.schedules import OTSchedule
from fpk.testing.failure_text import HEADINGS, spent

NAMES = testing.__all__
#: The names that options share; each means the same everywhere.
SHARED = {"tolerance": {"float", "float | None"}, "alpha": {"float | None"}, "seed": {"int"}}
#: What is compared comes first; everything else has a name.
FIRST = 3

OU = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.0, initial=fpk.Gaussian(1.0, 0.4), horizon=0.3)
LAW = fpk.Gaussian(3.0, 0.7)
LEAKING = fpk.Problem(
    "0", "1", initial=fpk.Gaussian(0.5, 0.1), boundary=fpk.Boundary("absorbing", 0.0, 1.0), horizon=0.2
)
X = np.random.default_rng(0).normal(3.0, 1.0, size=(2000, 1))


def leaking() -> Any:
    return fpk.solve(LEAKING, fpk.Grid(0, 1, cells=48), times=[0.2])


class Undershooting:
    """A density with a hole below zero."""

    times, densities = (1.0,), np.array([[0.5, 1.0, -0.1]])


def sampler(model: Any, x: Any, steps: int, rng: Any) -> Any:
    return x - model(x, 1.0)  # one step of Euler's


#: An assertion that is refuted, for each name.
WRONG: dict[str, Callable[..., Any]] = {
    "assert_conserved": lambda **o: testing.assert_conserved(leaking(), **o),
    "assert_decays": lambda **o: testing.assert_decays([0, 1], [1, 0.5], rate=2.0, standard_errors=[0.01, 0.01], **o),
    "assert_divergence": lambda **o: testing.assert_divergence(lambda x: x.sum(1), lambda x: x**3, X[:20], **o),
    "assert_kernel_stationary": lambda **o: testing.assert_kernel_stationary(
        lambda x, rng: x + rng.normal(size=x.shape), LAW, draws=10_000, **o
    ),
    "assert_likelihood": lambda **o: testing.assert_likelihood(lambda x: -(x[:, 0] ** 2), LAW, **o),
    "assert_marginals": lambda **o: testing.assert_marginals(
        fpk.simulate(OU, particles=2000, steps=4, times=[0.3]),
        fpk.LawMarginals({0.3: LAW}, (0.3,)),
        **({"tolerance": 0.01} | o),
    ),
    "assert_order": lambda **o: testing.assert_order(
        0.5 ** np.arange(6), 0.5 ** np.arange(6), order=2, standard_errors=np.full(6, 1e-4), **o
    ),
    "assert_positive": lambda **o: testing.assert_positive(Undershooting(), **o),
    "assert_residual": lambda **o: testing.assert_residual(np.ones(3), bound=1e-9, **({"tolerance": 1e-6} | o)),
    "assert_reverse_equivalent": lambda **o: testing.assert_reverse_equivalent(
        OU, score=lambda x, t: 0 * x, cells=24, **o
    ),
    "assert_same_law": lambda **o: testing.assert_same_law(X, LAW, **({"tolerance": 0.02} | o)),
    "assert_sampler": lambda **o: testing.assert_sampler(
        sampler, kind="velocity", schedule=OTSchedule(), checks=["law", "labels"], order=1, **o
    ),
    "assert_score": lambda **o: testing.assert_score(lambda x: x - 3.0, LAW, **o),
    "assert_stationary": lambda **o: testing.assert_stationary(OU, LAW, cells=24, **o),
    "assert_velocity": lambda **o: testing.assert_velocity(lambda x, t: x, LAW, **o),
}


#: Those of them in which nothing is sampled.
CERTAIN = {"assert_likelihood", "assert_residual", "assert_stationary"}


@pytest.fixture
def rows() -> Iterator[list[dict[str, Any]]]:
    """What the running test is told; it offers 10⁻⁴ to each check."""
    told: list[dict[str, Any]] = []
    token = SURROUNDINGS.set(CheckContext("run it again", told.append, 1e-4))
    yield told
    SURROUNDINGS.reset(token)


def failure(name: str, **options: Any) -> fpk.Refuted:
    with pytest.raises(fpk.Refuted) as caught:
        WRONG[name](**options)
    return caught.value


# --- what they take, return and document


def test_every_assertion_is_looked_at() -> None:
    assert set(WRONG) == set(NAMES)
    assert sorted(NAMES) == NAMES
    assert all(f"``{name}" in testing.__doc__ or f"``{name}``" in testing.__doc__ for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_options_have_names_that_mean_the_same_everywhere(name: str) -> None:
    signature = inspect.signature(getattr(testing, name))
    positional = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert 1 <= len(positional) <= FIRST
    assert not {p.name for p in positional} & set(SHARED)
    assert all(
        isinstance(p.default, (type(p.empty), type(None), fpk.Gaussian, fpk.GaussianMixture)) for p in positional
    )
    for option, kinds in SHARED.items():
        if option in signature.parameters:
            assert signature.parameters[option].annotation in kinds, option
    if "alpha" in signature.parameters:
        assert signature.parameters["alpha"].default is None
    assert signature.return_annotation in {"Verdict", "Examination"}


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_have_one_shape(name: str) -> None:
    function = getattr(testing, name)
    text = inspect.getdoc(function) or ""
    sections = re.findall(r"(?m)^(\w+)\n-+$", text)
    assert sections == ["Parameters", "Returns", "Raises", "Examples"]
    assert text.splitlines()[0].endswith(".")
    parameters = text.partition("Parameters\n")[2].partition("Returns\n")[0]
    documented = {
        n.strip(" *")
        for line in re.findall(r"(?m)^\*{0,2}(\w[\w, *]*?)(?: : .*)?$", parameters)
        for n in line.split(",")
    }
    assert set(inspect.signature(function).parameters) <= documented
    assert re.search(r"\n\w*Refuted", text.partition("Raises\n")[2]), "Raises names Refuted"


@pytest.mark.parametrize("name", NAMES)
def test_examples_run_as_they_stand(name: str) -> None:
    """They are run by doctest; here: copied alone, they import what they use."""
    example = (inspect.getdoc(getattr(testing, name)) or "").partition("Examples\n")[2]
    assert f"fpk.testing.{name}(" in example
    assert "import fpk" in example
    assert "import numpy as np" in example or not re.search(r"\bnp\.", example)
    assert "CONFIRMED" in example


# --- what they tell


@pytest.mark.parametrize("name", NAMES)
def test_failures_tell_the_call_the_table_and_how_to_run_it_again(name: str, rows: list[dict[str, Any]]) -> None:
    text = str(failure(name))
    here = Path(__file__).name
    assert re.match(rf"REFUTED: fpk\.testing\.{name}\(.*\) at \S*{re.escape(here)}:\d+\n\n", text)
    assert re.search(r"(?m)^rerun +run it again$", text)
    if name != "assert_sampler":  # whose findings are its table
        assert re.split(r"  +", text.splitlines()[2]) == list(HEADINGS)
        assert re.search(r"(?m)^reason  +\S", text)
    assert not [word for word in text.split() if "/" in word and word.count(".py") and here not in word]
    assert "0x" not in text
    assert [row["check"] for row in rows] == [text.splitlines()[0].removeprefix("REFUTED: ")]


@pytest.mark.parametrize("name", NAMES)
def test_one_row_of_plain_values_is_told(name: str, rows: list[dict[str, Any]]) -> None:
    failure(name)
    (row,) = rows
    assert json.loads(json.dumps(row)) == row
    needed = {
        "check",
        "verdict",
        "pair",
        "difference",
        "budget",
        "standard_error",
        "tolerance",
        "mde",
        "alpha",
        "suspects",
    }
    assert needed <= set(row)
    assert all(isinstance(line, str) for line in row["suspects"])


@pytest.mark.parametrize("name", [n for n in NAMES if "alpha" in inspect.signature(getattr(testing, n)).parameters])
def test_checks_spend_what_the_test_offers_or_what_their_caller_says(name: str, rows: list[dict[str, Any]]) -> None:
    failure(name)
    failure(name, alpha=1e-5)
    assert [float(re.search(r"alpha=([\d.e-]+)", row["check"])[1]) for row in rows] == [1e-4, 1e-5]
    spent = [row["alpha"] for row in rows]
    assert spent in ([1e-4, 1e-5], [0.0, 0.0])  # nothing is spent where nothing is sampled
    assert (spent[0] > 0) is (name not in CERTAIN)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, np.nan])
def test_a_level_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ComparisonError, match="alpha must be between 0 and 1"):
        testing.assert_residual(np.zeros(1), bound=1e-9, tolerance=1e-6, alpha=alpha)


@pytest.mark.usefixtures("outside")
def test_elsewhere_the_level_is_one_in_a_million() -> None:
    assert spent(None) == 1e-6
    assert spent(1e-3) == 1e-3


# --- where no test runner tells


class Example(unittest.TestCase):
    """A unittest as a user would write it."""

    __test__ = False

    def test_wrong(self) -> None:
        testing.assert_residual(np.ones(1), bound=1e-9, tolerance=1e-6)


@pytest.mark.usefixtures("outside")
def test_in_a_unittest_the_failure_gives_its_command() -> None:
    outcome = unittest.TestResult()
    Example("test_wrong").run(outcome)
    ((_, text),) = outcome.failures
    assert re.search(rf"(?m)^rerun +python -m unittest {re.escape(Example.__module__)}\.Example\.test_wrong$", text)


CELL = "import numpy as np, fpk\nfpk.testing.assert_residual(np.ones(1), bound=1e-9, tolerance=1e-6)"


def text_of(filename: str, **known: Any) -> str:
    with pytest.raises(fpk.Refuted) as caught:
        exec(compile(CELL, filename, "exec"), {"__name__": "__main__"} | known)
    return str(caught.value)


@pytest.mark.usefixtures("outside")
def test_in_a_notebook_the_failure_names_the_cell() -> None:
    text = text_of("/tmp/ipykernel_7/1234.py", In=["", "first", "second"])
    assert text.splitlines()[0].endswith(" at In [2], line 2")
    assert re.search(
        r"(?m)^rerun +fpk\.testing\.assert_residual\(residual, tolerance=1e-06, alpha=1e-06\) at In \[2\], line 2$",
        text,
    )


@pytest.mark.usefixtures("outside")
def test_in_a_script_the_failure_gives_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "my check.py"
    script.write_text(CELL)
    monkeypatch.setattr("sys.argv", [str(script), "--large"])
    known = {"__file__": str(script), "__spec__": None}
    assert re.search(rf"(?m)^rerun +python '{re.escape(str(script))}' --large$", text_of(str(script), **known))
    monkeypatch.chdir(tmp_path)
    assert re.search(r"(?m)^rerun +python 'my check\.py' --large$", text_of(str(script), **known))
