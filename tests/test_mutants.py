"""Wrong formulas planted in the library: planting leaves no trace, every mutant is refuted by some claim, and tautologies are found."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import fpk
from fpk import transformations
from fpk.catalogue import Catalogue, load_catalogue
from fpk.command_line import main
from fpk.errors import UnknownName
from fpk.fokker_planck.stepping import ESDIRK4
from fpk.kill_matrix import KillMatrix, imported_anew, kill_matrix, mutated_tasks
from fpk.mutants import MUTANTS, Mutant, function_of, planted
from fpk.runner import run
from fpk.store import Store
from fpk.study import Size
from fpk.tasks import Task, tasks_of

STUDIES = Path(fpk.__file__).parent.parent / "studies"
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs fpk[dask]")

#: Two claims about one score: the first holds the formula against itself, the second against the derivative of the density.
SCORES = """
from functools import lru_cache
from pathlib import Path

import numpy as np

import fpk
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, study
from fpk.verdict import Outcome

EXPECTED = {"stated": Outcome.CONFIRMED, "score sign": Outcome.REFUTED, "score + 5 %": Outcome.REFUTED}
CLAIMS = (
    Claim("vain", "identity", "The score is the score.", "s=s", "nobody", EXPECTED),
    Claim("honest", "identity", "The score is the slope of log p.", "s=p'/p", "nobody", EXPECTED),
)
FACTORS = {"stated": 1.0, "score sign": -1.0, "score + 5 %": 1.05}
LAW = fpk.Gaussian(0.5, 0.8)
X = np.linspace(-1.0, 2.0, 7)[:, None]
AT_IMPORT = LAW.score(X)[:, 0]


@lru_cache
def score():
    return LAW.score(X)[:, 0]


def against(claimed, right):
    with Path(__file__).with_name("calls.log").open("a") as log:
        log.write("x")
    return Evidence(fpk.residual(claimed - right, 1e-9), zero_estimate(7), tuple("abcdefg"))


@study("vain", variants=FACTORS)
def vain(variant, case, size, seed):
    return against(variant * score(), score())


@study("honest", variants=FACTORS, cases=("at import", "cached"))
def honest(variant, case, size, seed):
    right = -(X[:, 0] - 0.5) / 0.64
    return against(variant * (AT_IMPORT if case == "at import" else score()), right)
"""
SCORE_MUTANTS = [MUTANTS["score of a mixture: sign"], MUTANTS["score of a mixture + 2 %"]]


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    path = tmp_path / "scores.py"
    path.write_text(SCORES)
    return path


def matrix_of(path: Path, store: Path, *names: str, **options: Any) -> KillMatrix:
    catalogue = load_catalogue(path)
    return kill_matrix(catalogue, catalogue.selected(names), Store(store), **({"mutants": SCORE_MUTANTS} | options))


def outcomes(matrix: KillMatrix) -> dict[tuple[str, str], str]:
    return {(cell.mutant, cell.check): cell.outcome for cell in matrix.cells}


# -- planting ---------------------------------------------------------------------------------------------------------------


def everything_planted() -> dict[str, Any]:
    return {mutant.target: function_of(mutant.target) for mutant in MUTANTS.values()}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_planting_replaces_the_formula_and_restores_everything(mutant: Mutant) -> None:
    before = everything_planted()
    with planted(mutant):
        during = everything_planted()
        assert [t for t in before if during[t] is not before[t]] == [mutant.target]
    assert everything_planted() == before


def test_a_failure_restores_too() -> None:
    right = function_of("transformations:_velocity")
    with pytest.raises(ZeroDivisionError), planted(MUTANTS["velocity sign"]):
        raise ZeroDivisionError
    assert function_of("transformations:_velocity") is right


def test_names_imported_elsewhere_are_replaced_and_restored() -> None:
    from fpk import coefficients, laws
    from fpk.laws import base

    right = base.central_derivative
    with planted(MUTANTS["central differences: sign"]) as calls:
        assert laws.central_derivative is coefficients.central_derivative is base.central_derivative is not right
        assert laws.central_derivative(np.sin, np.zeros(1), 1e-2) == pytest.approx(-1.0)
    assert laws.central_derivative is coefficients.central_derivative is base.central_derivative is right
    assert calls.count == 1
    assert calls.differed


def test_a_module_imported_while_planted_gets_the_right_formula_back(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("fpk_studies_late", tmp_path / "late.py")
    (tmp_path / "late.py").write_text("from fpk.laws import central_derivative\n")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fpk_studies_late"] = module
    try:
        with planted(MUTANTS["central differences: sign"]):
            spec.loader.exec_module(module)
        assert module.central_derivative is fpk.laws.central_derivative
    finally:
        del sys.modules["fpk_studies_late"]


def test_values_cached_before_do_not_hide_a_mutant_nor_the_other_way_round() -> None:
    right = ESDIRK4.nodes.copy()
    with planted(MUTANTS["stage times one step late"]):
        assert np.array_equal(ESDIRK4.nodes, right + 1)
    assert np.array_equal(ESDIRK4.nodes, right)


def test_module_level_caches_are_emptied_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    cached = lru_cache(lambda x: float(transformations._forward(1.0, x)))
    monkeypatch.setattr(transformations, "cached", cached, raising=False)
    assert cached(0.2) == 0.8
    with planted(MUTANTS["time direction"]):
        assert cached(0.2) == 0.2
    assert cached(0.2) == 0.8


def test_what_does_not_differ_is_not_counted_as_different() -> None:
    problem = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0.0, 1.0))
    with planted(MUTANTS["∇·(ggᵀ) dropped"]) as calls:
        fpk.transformations.velocity(problem, lambda x, t: -x)(np.ones((3, 1)), 0.0)
    assert (calls.count, calls.differed) == (1, False)


def test_unknown_targets_and_subjects_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"function \(of a mutant\) in fpk\.laws\.base 'central'.*central_derivative"):
        function_of("laws.base:central")
    with pytest.raises(UnknownName, match="subject of a mutant 'physics'"):
        Mutant("x", "laws.base:central_derivative", lambda f: f, "physics")


def test_names_are_unique_and_every_subject_has_mutants() -> None:
    from fpk.mutants.equations import EQUATIONS
    from fpk.mutants.numerics import NUMERICS
    from fpk.mutants.particles import PARTICLES
    from fpk.mutants.planes import PLANES
    from fpk.mutants.planting import SUBJECTS

    listed = [*EQUATIONS, *NUMERICS, *PLANES, *PARTICLES]
    assert [name for name, count in Counter(m.name for m in listed).items() if count > 1] == []
    assert {m.subject for m in listed} == set(SUBJECTS)
    assert sum(m.near for m in listed) >= 20


# -- the matrix -------------------------------------------------------------------------------------------------------------


def test_a_tautology_survives_what_it_computes_and_is_found(scores: Path, tmp_path: Path) -> None:
    matrix = matrix_of(scores, tmp_path / "s")
    near, gross = "score of a mixture + 2 %", "score of a mixture: sign"
    assert outcomes(matrix) == {
        (mutant, check): "survived" if check == "vain" else "killed"
        for mutant in (near, gross)
        for check in ("vain", "honest [at import]", "honest [cached]")
    }
    assert matrix.tautologies == ("vain",)
    assert matrix.fate(near) == "killed"
    assert matrix.holes == ()


def test_a_mutant_refuted_by_nothing_is_a_hole_unless_excused(scores: Path, tmp_path: Path) -> None:
    matrix = matrix_of(scores, tmp_path / "s", "vain")
    assert matrix.holes == tuple(SCORE_MUTANTS)
    excused = [Mutant(m.name, m.target, m.change, m.subject, m.near, "because") for m in SCORE_MUTANTS]
    assert KillMatrix(matrix.cells, tuple(excused), matrix.claims, {}).holes == ()


def test_which_mistake_fits_is_said_of_a_killed_form(scores: Path, tmp_path: Path) -> None:
    cells = matrix_of(scores, tmp_path / "s", "honest").cells
    reasons = {cell.mutant: cell.reason for cell in cells}
    assert "It fits 'score sign' (0 s.e.)." in reasons["score of a mixture: sign"]
    assert "It fits 0.4 × 'score + 5 %'" in reasons["score of a mixture + 2 %"]


def test_formulas_nobody_calls_are_unreached_and_not_computed(scores: Path, tmp_path: Path) -> None:
    matrix = matrix_of(scores, tmp_path / "s", mutants=[MUTANTS["flux sign"]])
    assert matrix.cells == ()
    assert matrix.fate("flux sign") == "unreached"
    assert matrix.holes == ()


def test_a_form_that_is_not_confirmed_without_mutants_kills_nothing(scores: Path, tmp_path: Path) -> None:
    scores.write_text(SCORES.replace("/ 0.64", "/ 0.65"))
    matrix = matrix_of(scores, tmp_path / "s")
    assert set(matrix.unusable) == {"honest [at import]", "honest [cached]"}
    assert matrix.claims == ("vain",)


def test_a_crash_is_no_proof_against_a_tautology(scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(original: Any) -> Any:
        return lambda self, x: 1 / 0

    mutant = Mutant("broken", SCORE_MUTANTS[0].target, broken, "field", near=True)
    monkeypatch.setitem(MUTANTS, "broken", mutant)
    matrix = matrix_of(scores, tmp_path / "s", mutants=[mutant])
    assert set(outcomes(matrix).values()) == {"crashed"}
    assert matrix.tautologies == ("vain", "honest")
    assert "ZeroDivisionError" in matrix.cells[0].reason


# -- nothing is shared ------------------------------------------------------------------------------------------------------


def clean_and_mutated(path: Path) -> tuple[Catalogue, list[Task], list[Any]]:
    catalogue = load_catalogue(path)
    clean = tasks_of(catalogue, catalogue.selected([]), size=Size("quick"), root_seed=0)
    return catalogue, clean, list(mutated_tasks(clean, [m.name for m in SCORE_MUTANTS]))


def test_mutated_evidence_has_addresses_of_its_own(scores: Path) -> None:
    _, clean, tasks = clean_and_mutated(scores)
    keys = [task.key for task in (*clean, *tasks)]
    assert len(set(keys)) == len(keys)
    assert {task.variant for task in tasks} == {"stated"}
    seeds = {task.check: task.seed for task in clean}
    assert all(task.seed == seeds[task.check] for task in tasks), "the same noise as the clean run"


def test_a_second_run_computes_nothing_and_the_clean_evidence_is_untouched(scores: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    _, clean, _ = clean_and_mutated(scores)
    before = {d.task.key: store.path(d.task.key).read_bytes() for d in run(clean, store)}
    first = matrix_of(scores, tmp_path / "s")
    calls = scores.with_name("calls.log").read_text()
    assert matrix_of(scores, tmp_path / "s") == first
    assert scores.with_name("calls.log").read_text() == calls
    assert {key: store.path(key).read_bytes() for key in before} == before


def test_studies_are_imported_anew_and_the_old_ones_come_back(scores: Path) -> None:
    catalogue = load_catalogue(scores)
    old = catalogue.study_of("honest")
    module = sys.modules[old.module]
    clean = module.score().copy()
    with planted(MUTANTS["score of a mixture: sign"]), imported_anew(catalogue, "honest") as study:
        assert study.compute is not old.compute
        fresh = sys.modules[old.module]
        assert fresh is not module
        assert np.array_equal(fresh.AT_IMPORT, -clean)
        assert np.array_equal(fresh.score(), -clean)
    assert sys.modules[old.module] is module
    assert load_catalogue(scores).studies == catalogue.studies
    assert np.array_equal(module.score(), clean)


def test_studies_of_a_folder_are_imported_anew_with_what_they_share() -> None:
    catalogue = load_catalogue(STUDIES)
    old = catalogue.study_of("S0.E40-41").module
    shared = f"{old.partition('.')[0]}._systems"
    modules = {name: sys.modules[name] for name in (old, shared, old.partition(".")[0])}
    with imported_anew(catalogue, "S0.E40-41"):
        assert all(sys.modules[name] is not module for name, module in modules.items())
    assert all(sys.modules[name] is module for name, module in modules.items())


@needs_dask
def test_workers_find_the_same_matrix(scores: Path, tmp_path: Path) -> None:
    assert matrix_of(scores, tmp_path / "a", jobs=2) == matrix_of(scores, tmp_path / "b")


# -- the command ------------------------------------------------------------------------------------------------------------


def invoked(scores: Path, tmp_path: Path, *names: str) -> tuple[Any, Path]:
    report = tmp_path / "report"
    options = ["--studies", str(scores), "--store", str(tmp_path / "s"), "--report", str(report), "--json"]
    return CliRunner().invoke(main, ["mutants", *names, *options]), report


def test_the_command_fails_on_a_tautology_and_names_it(scores: Path, tmp_path: Path) -> None:
    result, report = invoked(scores, tmp_path)
    assert result.exit_code == 1
    assert "✗ vain is a tautology: no near-miss refutes it" in result.stderr
    assert json.loads(result.stdout) == json.loads((report / "mutants.json").read_text())
    assert json.loads(result.stdout)["tautologies"] == ["vain"]
    assert "vain is a tautology" in (report / "mutants.md").read_text()


def test_the_command_is_content_with_claims_that_can_fail(scores: Path, tmp_path: Path) -> None:
    result, report = invoked(scores, tmp_path, "honest")
    assert result.exit_code == 0, result.stderr
    assert "| score of a mixture: sign |" in (report / "mutants.md").read_text()


def test_the_command_says_where_it_cannot_write(scores: Path, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    result, _ = invoked(scores, tmp_path, "score of a mixture: sign")
    assert result.exit_code == 2
    assert f"cannot write {tmp_path / 'report' / 'mutants.json'}" in result.stderr


def test_the_command_takes_names_of_mutants(scores: Path, tmp_path: Path) -> None:
    result, _ = invoked(scores, tmp_path, "score of a mixture: sign")
    assert result.exit_code == 0, result.stderr
    assert [row["name"] for row in json.loads(result.stdout)["mutants"]] == ["score of a mixture: sign"]
