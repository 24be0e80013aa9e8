"""The gallery: short programs that people start from run as they are, and say what their docstrings promise."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

import fpk
from fpk.catalogue import load_catalogue

FOLDER = Path(fpk.__file__).parents[1] / "studies" / "examples"
FILES = sorted(FOLDER.glob("*.py"))
#: What each prints, in this order.
PRINTED = {
    "convergence": [r"2 of 2 records hold \(1 CONFIRMED, 1 REFUTED\)", r"reports/latest/index\.html"],
    "data_to_samples": ["^CONFIRMED: probability flow, 20,000 × 8 steps", "^(UNDECIDED|CONFIRMED): .* × 2 steps"],
    "likelihood": ["^CONFIRMED: the log-likelihood", "^With the sign of the divergence changed: REFUTED"],
    "my_sampler": ["^CONFIRMED: 7 checks", "^CONFIRMED  labels", "^CONFIRMED  order", "^The law itself: CONFIRMED"],
    "notebook": ["^CONFIRMED: grid", r"^the drift as a formula: -x \+ sin\(2\*x\)", r"two_wells\.nc|pip install 'fpk\[xarray\]'"],
    "own_study": [r"3 of 3 records hold \(1 CONFIRMED, 2 REFUTED\)", r"reports/latest/index\.html"],
    "reverse_sde": ["^CONFIRMED: grid", "^And with ½ g²", "REFUTED: .*assert_reverse_equivalent", "that is the probability flow"],
    "torch_score": ["^noise × 1: CONFIRMED", "^noise × 1.05: REFUTED"],
}  # fmt: skip
#: Files left where the program was run.
LEFT = {
    "notebook": ["cards.html"],
    "own_study": ["reports/latest/index.html"],
    "convergence": ["reports/latest/index.html"],
}


def test_the_gallery_is_small_and_every_example_is_tried() -> None:
    assert {file.stem for file in FILES} == set(PRINTED)
    assert len(FILES) <= 8
    for file in FILES:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 40, file.name
        assert "You learn" in (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""), file.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_examples_run_as_they_are(file, tmp_path, monkeypatch, capsys) -> None:
    if file.stem == "torch_score":
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(file)])
    code = 0
    try:
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as end:
        code = end.code
    printed = "".join(capsys.readouterr())
    assert not code, printed
    for pattern in PRINTED[file.stem]:
        found = re.search(pattern, printed, re.MULTILINE)
        assert found, f"no {pattern!r} in what is left of the output:\n{printed}"
        printed = printed[found.end() :]
    for name in LEFT.get(file.stem, ()):
        assert (tmp_path / name).stat().st_size > 1000


def test_examples_are_no_part_of_the_studies_and_can_be_run_by_their_path() -> None:
    ids = set(load_catalogue(FOLDER.parent).claims)
    for name in ("own_study", "convergence"):
        alone = load_catalogue(FOLDER / f"{name}.py")
        assert len(alone.studies) == 1
        assert not ids & set(alone.claims)


def test_a_folder_of_that_name_inside_the_studies_is_not_imported(tmp_path) -> None:
    own = (FOLDER / "own_study.py").read_text(encoding="utf-8")
    (tmp_path / "examples" / "deeper").mkdir(parents=True)
    (tmp_path / "examples_of_mine").mkdir()
    (tmp_path / "examples" / "one.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "examples" / "deeper" / "two.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "examples_of_mine" / "three.py").write_text(own, encoding="utf-8")
    assert set(load_catalogue(tmp_path).claims) == {"mine.spring"}
