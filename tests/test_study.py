"""Studies and claims: what is refused before anything is computed, how files are found, and how seeds and sizes are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.catalogue import load_catalogue
from fpk.errors import ProblemError, UnknownName
from fpk.marginals import residual, zero_estimate
from fpk.study import Claim, Evidence, Size, evidence, near_miss, order_evidence, seed_for, study
from fpk.verdict import Outcome

C, R, U = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED

CATALOGUE = """
from fpk.study import Claim
from fpk.verdict import Outcome

CLAIMS = (
    Claim("one", "identity", "First.", "1", "nobody", {"stated": Outcome.CONFIRMED, "wrong": Outcome.REFUTED}),
    Claim("two", "identity", "Second.", "2", "nobody", {"stated": Outcome.CONFIRMED, "wrong": Outcome.REFUTED}),
)
"""

STUDY = """
import numpy as np
import fpk
from fpk.marginals import zero_estimate
from fpk.study import Evidence, study
from ._shared import BOUND


@study("{claim}", variants={{"stated": 0.0, "wrong": 1.0}})
def {name}(variant, case, size, seed):
    return Evidence(fpk.residual(np.array([variant]), BOUND), zero_estimate(1), ("r",))
"""


def claim(**changed: Any) -> Claim:
    plain = {
        "id": "a",
        "kind": "identity",
        "statement": "",
        "formula": "",
        "source": "",
        "expected": {"stated": C, "wrong": R},
    }
    return Claim(**(plain | changed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two studies in two files, listed against the catalogue's order, with a shared file."""
    path = tmp_path / "questions"
    path.mkdir()
    (path / "catalogue.py").write_text(CATALOGUE)
    (path / "_shared.py").write_text("BOUND = 1e-12\n")
    (path / "alpha.py").write_text(STUDY.format(claim="two", name="second"))
    (path / "beta.py").write_text(STUDY.format(claim="one", name="first"))
    return path


# -- claims -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [{"stated": C}, {"stated": C, "starved": U}, {}])
def test_a_claim_without_a_control_is_refused(expected: dict[str, Outcome]) -> None:
    with pytest.raises(ProblemError, match=r"claim a has no control.*REFUTED"):
        claim(expected=expected)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ProblemError, match=r"unknown kind 'guess'; one of equality, identity, order, bound"):
        claim(kind="guess")


def test_errata_are_known_by_their_id() -> None:
    assert claim(id="err:S0.E21").erratum
    assert not claim(id="S0.E21").erratum


@pytest.mark.parametrize(
    ("variant", "meaning"),
    [
        ("g² + 2 %", ("g²", 2.0)),
        ("score + 0.5 %", ("score", 0.5)),
        ("c − 30 %", ("c", 30.0)),
        ("c - 30 %", ("c", 30.0)),
        ("½ on ∂(g²) + 10 %", ("½ on ∂(g²)", 10.0)),
        ("stated", None),
        ("g² for g", None),
        ("smaller by 3 % everywhere", None),
        ("g² + 2%", None),
        ("g² + 1.2.3 %", None),
        ("g² + . %", None),
    ],
)
def test_near_misses_are_read_from_the_name_of_a_control(variant: str, meaning: tuple[str, float] | None) -> None:
    assert near_miss(variant) == meaning


# -- seeds and sizes --------------------------------------------------------------------------------------------------------


def test_seeds_derive_from_root_and_check_alone() -> None:
    checks = ["S0.E19/stated/grid", "S0.E19/stated/particles", "S0.E19/g² + 2 %/grid"]
    seeds = {seed_for(root, check) for root in (0, 1) for check in checks}
    assert len(seeds) == 6
    assert seed_for(0, checks[0]) == seed_for(0, checks[0])
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_full_size_has_more_of_everything() -> None:
    quick, full = Size("quick"), Size()
    assert quick.quick
    assert not full.quick
    assert (quick.cells(72), quick.particles(1000)) == (72, 1000)
    assert (full.cells(72), full.particles(1000)) == (144, 4000)


# -- a decorated function ---------------------------------------------------------------------------------------------------


def test_a_decorated_function_stays_callable() -> None:
    @study("nothing", variants={"stated": 0.0})
    def zero(variant: float, case: str, size: Size, seed: int) -> Evidence:
        return Evidence(residual(np.array([variant]), 1e-9), zero_estimate(1), ("r",))

    assert zero(0.5, "", Size(), 0).first.value[0] == 0.5


def test_evidence_asks_both_sides_on_one_frozen_panel() -> None:
    problem = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.5))
    particles = fpk.simulate(problem, particles=500, steps=4, times=[1.0], seed=0)
    exact = fpk.exact(problem, times=[1.0])
    found = evidence(particles, exact)
    assert found.names == tuple(f"φ{k} at t=1" for k in (1, 2, 3, 4))
    assert found.panel == fpk.law_panel({1.0: exact.law(1.0)}).digest, "the references are those of the exact side"
    assert found.curves["x"].shape == found.curves["first"].shape == found.curves["second"].shape
    assert found.curves["t"] == [1.0]


# -- catalogues -------------------------------------------------------------------------------------------------------------


def test_a_folder_of_studies_is_ordered_by_its_catalogue(folder: Path) -> None:
    catalogue = load_catalogue(folder)
    assert list(catalogue.claims) == ["one", "two"]
    assert [s.name for s in catalogue.studies] == ["beta.first", "alpha.second"]
    assert catalogue.study_of("two").name == "alpha.second"


def test_a_file_with_its_own_claims_is_a_catalogue(tiny: Path) -> None:
    catalogue = load_catalogue(tiny)
    assert list(catalogue.claims) == ["tiny.sum"]
    assert catalogue.studies[0].name == "tiny.total"
    assert catalogue.studies[0].checks == [("stated", ""), ("two + 5 %", ""), ("sign", "")]


def test_two_folders_with_files_of_the_same_names_do_not_mix(folder: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "elsewhere" / "questions"
    shutil.copytree(folder, other)
    (other / "catalogue.py").write_text(CATALOGUE.replace("First.", "Another."))
    assert load_catalogue(folder).claims["one"].statement == "First."
    assert load_catalogue(other).claims["one"].statement == "Another."


def test_loading_twice_gives_the_same_studies(folder: Path) -> None:
    assert load_catalogue(folder).studies == load_catalogue(folder).studies


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], ["one", "two"]),
        (["two"], ["two"]),
        (["alpha"], ["two"]),
        (["alpha.second", "one"], ["one", "two"]),
    ],
)
def test_claims_studies_and_modules_can_be_named(folder: Path, names: list[str], chosen: list[str]) -> None:
    assert [s.claim for s in load_catalogue(folder).selected(names)] == chosen


def test_an_unknown_name_lists_the_known_ones_and_the_closest(folder: Path) -> None:
    with pytest.raises(
        UnknownName, match=r"unknown study or claim 'alpa'\. Did you mean alpha.*Known: alpha.*one.*two"
    ):
        load_catalogue(folder).selected(["one", "alpa"])


def test_a_study_left_out_of_a_full_run_can_be_named(folder: Path) -> None:
    text = (folder / "alpha.py").read_text().replace("1.0})", "1.0}, only_when_named=True)")
    (folder / "alpha.py").write_text(text)
    catalogue = load_catalogue(folder)
    assert [s.claim for s in catalogue.selected([])] == ["one"]
    assert [s.claim for s in catalogue.selected(["two"])] == ["two"]


def test_the_dotted_beginning_of_claims_selects_them_all() -> None:
    catalogue = load_catalogue(Path(fpk.__file__).parents[1] / "studies")
    chosen = {s.claim for s in catalogue.selected(["perf.grid1d"])}
    assert chosen == {id for id in catalogue.claims if id.startswith("perf.grid1d.")}
    assert len(chosen) > 3


def test_a_control_is_left_out_where_it_says_the_same_as_the_stated_form(folder: Path) -> None:
    changed = 'cases=("a", "b"), applies=lambda variant, case: (variant, case) != ("wrong", "b"))'
    text = (folder / "alpha.py").read_text().replace("1.0})", "1.0}, " + changed)
    (folder / "alpha.py").write_text(text)
    assert load_catalogue(folder).study_of("two").checks == [("stated", "a"), ("wrong", "a"), ("stated", "b")]


def test_a_missing_folder_is_refused_and_names_what_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match=r"unknown studies folder 'studdies'.*Known: questions.*--studies PATH"):
        load_catalogue(Path("studdies"))


def test_names_that_begin_so_are_suggested_and_a_long_list_is_left_out() -> None:
    known = [f"S0.E{k}" for k in range(40)]
    told = str(UnknownName("study or claim", "s0.e1", known))
    assert "Did you mean S0.E1 or S0.E10 or S0.E11 or S0.E12 or S0.E13 or S0.E14? (5 more begin so.)" in told
    assert "Known" not in told
    assert "Known: S0.E0, " in str(UnknownName("study or claim", "zzz", known))


def test_a_name_in_other_letters_is_taken_where_one_is_meant(folder: Path) -> None:
    catalogue = load_catalogue(folder)
    assert catalogue.selected(["TWO"]) == catalogue.selected(["two"])
    with pytest.raises(UnknownName, match="--studies"):
        catalogue.selected([str(folder)])


def test_variants_must_be_those_the_catalogue_expects(folder: Path) -> None:
    (folder / "alpha.py").write_text(STUDY.format(claim="two", name="second").replace('"wrong"', '"wrung"'))
    with pytest.raises(ProblemError, match=r"alpha\.second.*two differ in \['wrong', 'wrung'\]"):
        load_catalogue(folder)


def test_a_study_of_an_unknown_claim_lists_the_known_claims(folder: Path) -> None:
    (folder / "alpha.py").write_text(STUDY.format(claim="three", name="third"))
    with pytest.raises(UnknownName, match=r"claim \(of a study\) 'three'.*Known: one, two"):
        load_catalogue(folder)


def test_a_claim_without_a_study_is_refused(folder: Path) -> None:
    """It would otherwise count as a run in which nothing failed."""
    (folder / "alpha.py").unlink()
    with pytest.raises(ProblemError, match=r"no study computes the claim 'two'"):
        load_catalogue(folder)


def test_two_studies_of_one_claim_are_refused(folder: Path) -> None:
    (folder / "gamma.py").write_text(STUDY.format(claim="two", name="again"))
    with pytest.raises(ProblemError, match=r"two studies of the claim 'two'"):
        load_catalogue(folder)


def test_two_claims_with_one_id_are_refused(folder: Path) -> None:
    (folder / "catalogue.py").write_text(CATALOGUE.replace('"two"', '"one"'))
    with pytest.raises(ProblemError, match=r"two claims or remarks 'one'"):
        load_catalogue(folder)


REMARK = """
from fpk.study import Remark

REMARKS = (Remark("{id}", "N[...] for a variance.", "The variance is meant.", "nobody, text"),)
"""


def test_remarks_are_selected_by_id_and_need_no_study(folder: Path) -> None:
    (folder / "gamma.py").write_text(REMARK.format(id="err:three.dots"))
    found = load_catalogue(folder)
    assert [remark.id for remark in found.remarked([])] == ["err:three.dots"]
    assert [remark.id for remark in found.remarked(["err:three"])] == ["err:three.dots"]
    assert found.remarked(["one"]) == ()
    assert [s.claim for s in found.selected(["one", "err:three.dots"])] == ["one"]


def test_a_remark_with_the_id_of_a_claim_is_refused(folder: Path) -> None:
    (folder / "gamma.py").write_text(REMARK.format(id="two"))
    with pytest.raises(ProblemError, match=r"two claims or remarks 'two'"):
        load_catalogue(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import a_module_nobody_has\n", r"alpha\.py \(alpha\.py line 1\): ModuleNotFoundError: .*a_module_nobody_has"),
        ("def f(:\n", r"alpha\.py \(.*\): SyntaxError: .*line 1"),
        ("x = 1\ny = x / 0\n", r"alpha\.py \(alpha\.py line 2\): ZeroDivisionError"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_and_can_be_mended(folder: Path, text: str, message: str) -> None:
    good = (folder / "alpha.py").read_text()
    (folder / "alpha.py").write_text(text + good)
    with pytest.raises(ProblemError, match=message):
        load_catalogue(folder)
    (folder / "alpha.py").write_text(good + "# mended, and longer than before\n")
    assert [s.claim for s in load_catalogue(folder).studies] == ["one", "two"]


def test_one_file_of_a_package_of_studies_imports_what_is_beside_and_above_it(tiny: Path) -> None:
    whole = tiny.parent / "questions"
    inner = whole / "inner"
    inner.mkdir(parents=True)
    for package in (whole, inner):
        (package / "__init__.py").touch()
    (whole / "_above.py").write_text("ABOVE = 1\n")
    (inner / "tiny.py").write_text(
        tiny.read_text().replace("import fpk\n", "import fpk\n\nfrom .._above import ABOVE\n", 1)
    )
    for path in (inner / "tiny.py", inner):
        assert [s.claim for s in load_catalogue(path).studies] == ["tiny.sum"]


def test_a_study_registered_before_its_file_failed_is_forgotten(tiny: Path) -> None:
    good = tiny.read_text()
    tiny.write_text(good + "\nraise RuntimeError('after the study')\n")
    with pytest.raises(ProblemError, match="after the study"):
        load_catalogue(tiny)
    tiny.write_text(good)
    assert len(load_catalogue(tiny).studies) == 1


def test_files_that_print_while_imported_leave_stdout_alone(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.write_text("print('hello')\n" + tiny.read_text())
    load_catalogue(tiny)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "hello\n"


def test_evidence_of_an_order_has_one_step_for_each_error() -> None:
    steps = 0.5 ** np.arange(4)
    given = order_evidence(3 * steps**2, steps, 2, floor=1e-9)
    assert (given.names, given.second.source, given.first.bias_bound.tolist()) == (("2",), "order 2", [1e-9] * 4)
    assert order_evidence(given.first, steps, 1.5).first is given.first
    with pytest.raises(ProblemError, match=r"4 errors go with 3 steps: give one step for each error"):
        order_evidence(3 * steps**2, steps[1:], 2)
