"""The API reference: every public name says what it takes, gives and raises; the pages are made without a warning."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import fpk
from fpk import reference

NAMES = [name for name in fpk.__all__ if not inspect.ismodule(getattr(fpk, name))]
#: What else people reach by its module, as the README shows it.
REACHED = [
    ("exports", "to_xarray"),
    ("exports", "to_netcdf"),
    ("exports", "to_sympy"),
    ("array_libraries", "written_for"),
    ("reference", "write_reference"),
    ("battery", "examine_sampler"),
    ("fields", "as_field"),
    *(("testing", name) for name in fpk.testing.__all__),
]
FUNCTIONS = [getattr(fpk, n) for n in NAMES if inspect.isfunction(getattr(fpk, n))] + [
    getattr(import_module(f"fpk.{module}"), name) for module, name in REACHED
]
CLASSES = [getattr(fpk, n) for n in NAMES if inspect.isclass(getattr(fpk, n))]


def sections(documented) -> dict[str, str]:
    """The parts of a docstring by their underlined names, what comes before the first under no name."""
    parts = re.split(r"\n(\w[\w ]*)\n-{3,}\n", f"\n{inspect.getdoc(documented) or ''}")
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_say_what_they_take_and_give_with_an_example(function) -> None:
    found, signature = sections(function), inspect.signature(function)
    for name in signature.parameters:
        assert re.search(rf"^(?:\S+, )*\*{{0,2}}{name}(?:, |\b.*(?::|$))", found.get("Parameters", ""), re.MULTILINE), (
            name
        )
    if signature.return_annotation not in (None, "None"):
        assert "Returns" in found
    assert ">>> " in found.get("Examples", "")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_classes_say_what_they_are_made_of(cls) -> None:
    found = sections(cls)
    assert found[""].strip()
    if getattr(cls, "_is_protocol", False) or issubclass(cls, (Exception, fpk.Outcome)):
        return
    for name in (name for name in inspect.signature(cls).parameters if not name.startswith("_")):
        assert re.search(rf"\b{name}\b", found.get("Parameters", found[""])), name


def test_modules_of_the_reference_exist_and_inner_ones_are_left_out() -> None:
    pages = reference.pages()
    assert len(set(pages)) == len(pages)
    assert {"fpk", "fpk.exports", "fpk.fokker_planck.boxes", "fpk.laws"} <= set(pages)
    assert not {"fpk.laws.gaussian", "fpk.command_line.run", "fpk.store"} & set(pages)
    for name in pages:
        assert inspect.getdoc(import_module(name)), name


def test_tables_of_docstrings_become_tables() -> None:
    table = reference.with_tables(fpk.testing.__doc__ or "")
    assert re.search(
        r"^\| ``assert_conserved``, ``assert_positive`` \| what a grid solution promises \|$", table, re.MULTILINE
    )
    assert "===" not in table
    assert "|  |  |\n|---|---|\n| ``assert_marginals" in table  # nothing names these columns
    two = reference.with_tables(import_module("fpk.fokker_planck").__doc__ or "")
    assert two.count("|---|---|") == 2
    assert "===" not in two
    assert "Around the forward solve" in two
    assert reference.with_tables("a = b\n=====\nc") == "a = b\n=====\nc"  # no columns, no table
    assert reference.with_tables("== ==\nleft open") == "== ==\nleft open"


def test_the_pages_are_made_without_a_warning(tmp_path, monkeypatch) -> None:
    pytest.importorskip("pdoc")
    monkeypatch.setattr(reference, "TOPICS", ("exports", "testing", "laws", "schedules"))
    before = dict(vars(fpk))
    first = reference.write_reference(tmp_path / "made")
    left = {name for name in vars(fpk).keys() - before.keys() if not inspect.ismodule(vars(fpk)[name])}
    assert not left  # names are loaded on first use again
    assert fpk.__all__ == before["__all__"]
    made = {str(file.relative_to(first.parent)) for file in first.parent.rglob("*.html")}
    assert made == {
        "index.html",
        "fpk.html",
        *(f"fpk/{name}.html" for name in ("exports", "testing", "laws", "schedules")),
    }
    page = (first.parent / "fpk" / "exports.html").read_text(encoding="utf-8")
    assert "<table>" in page
    assert "to_netcdf" in page
    assert all(name in (first.parent / "fpk.html").read_text(encoding="utf-8") for name in NAMES)
    for file in first.parent.rglob("*.html"):
        assert not re.search(r"(?:src|href)=[\"']?https?://(?!pdoc\.dev)", file.read_text(encoding="utf-8")), file


def test_a_fault_of_a_docstring_is_told(tmp_path, monkeypatch) -> None:
    pytest.importorskip("pdoc")
    monkeypatch.setattr(reference, "TOPICS", ("exports",))
    monkeypatch.setattr(fpk, "__all__", [*fpk.__all__, "Nobody"])
    with pytest.raises(AttributeError, match="Nobody"):
        reference.write_reference(tmp_path / "made")
    monkeypatch.undo()
    monkeypatch.setattr(reference, "TOPICS", ("exports", "no_such_module"))
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        reference.write_reference(tmp_path / "made")


def test_a_warning_of_pdoc_is_an_error(tmp_path, monkeypatch) -> None:
    pdoc = pytest.importorskip("pdoc")
    monkeypatch.setattr(pdoc, "pdoc", lambda *_, **__: warnings.warn("a docstring cannot be read", stacklevel=1))
    with pytest.raises(fpk.FpkError, match="faults:\na docstring cannot be read"):
        reference.write_reference(tmp_path / "made")


def test_without_pdoc_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['pdoc'] = None\n"
        "from fpk.reference import write_reference\n"
        "try:\n    write_reference()\nexcept ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'fpk[docs]'" in done.stdout


def test_the_pages_are_not_committed() -> None:
    ignored = (Path(fpk.__file__).parents[1] / ".gitignore").read_text().splitlines()
    assert f"{reference.FOLDER.parts[0]}/" in ignored
