"""The public names: pinned, few, documented, and none of them hidden by a module of the same name."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import fpk

PINNED = [
    "AffineSchedule", "Boundary", "Estimate", "FpkError", "Gaussian", "GaussianMixture", "Grid", "LawMarginals", "Linear", "Marginals",
    "Outcome", "Panel", "Problem", "Refuted", "SubVPSchedule", "TabulatedLaw", "Undecided", "VESchedule", "VPSchedule", "Verdict",
    "check_formula", "compare", "exact", "law_panel", "noising", "probability_flow", "problems", "refine", "residual", "reverse_time",
    "simulate", "solve", "testing", "vanishes", "with_noise",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert sorted(fpk.__all__) == PINNED
    assert len(fpk.__all__) <= 35


@pytest.mark.parametrize("name", PINNED)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    found = getattr(fpk, name)
    assert inspect.getdoc(found), f"fpk.{name} has no docstring"
    assert name in dir(fpk)


def test_star_import_gives_the_public_names() -> None:
    namespace: dict[str, object] = {}
    exec("from fpk import *", namespace)
    assert set(PINNED) <= set(namespace)


def test_an_unknown_name_lists_the_public_ones() -> None:
    with pytest.raises(
        AttributeError, match=r"module 'fpk' has no attribute 'Gausian'; its public names are .*Gaussian"
    ):
        fpk.Gausian  # noqa: B018


def test_no_public_name_is_hidden_by_a_module() -> None:
    """Importing fpk.<module> puts the module into the package under its name, in the place of a function so called."""
    modules = {module.name for module in pkgutil.iter_modules(fpk.__path__)}
    assert modules & set(PINNED) == {"problems", "testing"}, "these are modules on purpose"


def test_public_names_survive_the_import_of_every_module() -> None:
    code = (
        "import importlib, pkgutil, fpk\n"
        "names = [m.name for m in pkgutil.walk_packages(fpk.__path__, 'fpk.')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "bad = [n for n in fpk.__all__ if type(getattr(fpk, n)).__name__ == 'module' and n not in ('problems', 'testing')]\n"
        "assert not bad, bad\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_name_lives_where_it_is_defined() -> None:
    for name, module in fpk._HOME.items():
        assert hasattr(importlib.import_module(f"fpk.{module}"), name)


def test_everything_after_the_first_two_arguments_is_keyword_only() -> None:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for name in PINNED:
        found = getattr(fpk, name)
        if inspect.isfunction(found):
            count = sum(p.kind in positional for p in inspect.signature(found).parameters.values())
            assert count <= 2, f"fpk.{name} takes {count} positional arguments"


def test_every_error_derives_from_the_base_and_is_drawn_in_its_tree() -> None:
    from fpk import errors

    classes = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, Exception)]
    for found in classes:
        assert issubclass(found, fpk.FpkError)
        assert found.__name__ in (errors.__doc__ or "")


def test_the_examples_of_the_package_import_only_public_names_from_its_root() -> None:
    for file in sorted((Path(fpk.__file__).parents[1] / "studies").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fpk":
                assert node.attr in PINNED, f"{file.name}:{node.lineno} fpk.{node.attr}"
