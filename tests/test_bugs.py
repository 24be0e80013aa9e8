"""Re-created mistakes: twins and slips differ in one piece, the loops are the schemes they are named after, and records say what was seen."""

from __future__ import annotations

import importlib
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fpk
from fpk import reporting
from fpk.catalogue import Catalogue, loaded_module
from fpk.fields import exact_field
from fpk.marginals import zero_estimate
from fpk.records import Judged, judged
from fpk.reporting import write_report
from fpk.runner import Done
from fpk.samplers import DDIM, DDPM, ProbabilityFlow
from fpk.schedules import OTSchedule
from fpk.study import CHECKS, REGISTERED, Claim, Evidence, Size, Study
from fpk.tables import answered
from fpk.tasks import Task
from fpk.verdict import Outcome

ROOT = Path(fpk.__file__).parents[1]
FAMILIES = {
    "labels": "A",
    "noises": "B",
    "ends": "CD",
    "parametrisations": "E",
    "orders": "F",
    "crashes": "J",
    "innocent": "K",
}
LAW = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.2, 0.5])


@pytest.fixture(scope="module")
def bugs() -> Any:
    """The modules of the folder, by name."""
    loaded_module("studies_with_bugs", ROOT / "studies" / "__init__.py", [str(ROOT / "studies")])
    return lambda name: importlib.import_module(f"studies_with_bugs.bugs.{name}")


@pytest.fixture(scope="module")
def examples(bugs: Any) -> list[Any]:
    return [example for name in FAMILIES for example in bugs(f"_{name}").EXAMPLES]


def test_every_class_has_three_slips(examples: list[Any]) -> None:
    counted = dict.fromkeys(chain(*FAMILIES.values()), 0)
    for example in examples:
        counted[example.family] += len(example.slips)
    assert all(count >= 3 for count in counted.values()), counted


def test_a_slip_differs_from_its_twin_in_one_piece(examples: list[Any]) -> None:
    for example in examples:
        for slip in example.slips:
            pieces = {name for name, piece in vars(slip.loop).items() if getattr(example.twin, name) != piece}
            assert type(slip.loop) is type(example.twin), slip.name
            assert len(pieces) == 1 or slip.name in (
                "table on T points",
                "time and sign reversed",
                "a step from 0 to 0",
            ), (
                slip.name,
                pieces,
            )


def exact(kind: str, schedule: Any, label: Any = lambda t: t) -> Any:
    """A model of the law, told what ``label`` makes of it."""
    field = exact_field(LAW, schedule, kind=kind)
    return lambda x, t: field(x, label(t))


def walked(sampler: Any, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    for k in range(sampler.steps):
        x = sampler.step(x, k, z[k][None] if sampler.noises else z[k][None, :0][0])
    return x


def stepped(loop: Any, model: Any, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    for k in range(len(z)):
        x = loop.step(model, x, k, len(z), z[k])
    return x


START = np.linspace(-2.0, 2.0, 9)[:, None]
NOISE = np.random.default_rng(5).standard_normal((10, 9, 1))


@pytest.mark.parametrize(
    ("name", "settings"), [("DDIM", {}), ("DDIM", {"eta": 1.0}), ("DDPM", {"variance": "forward"})]
)
def test_indexed_loops_are_the_samplers_of_the_library(bugs: Any, name: str, settings: dict[str, Any]) -> None:
    own = bugs("_indexed")
    loop = getattr(own, name)(**({"eta": settings["eta"]} if "eta" in settings else {}))
    model = exact("noise", own.VP, lambda label: (label + 1) / own.T)
    known = {"DDIM": DDIM, "DDPM": DDPM}[name](
        exact_field(LAW, own.VP, kind="noise"), times=own.strided(10) / own.T, **settings
    )
    assert np.allclose(stepped(loop, model, START, NOISE), walked(known, START, NOISE), atol=1e-9)


def test_loops_along_flows_are_the_library_s(bugs: Any) -> None:
    own, path = bugs("_flows"), OTSchedule()
    model = exact("velocity", path)
    for loop, method in ((own.FlowEuler(), "euler"), (own.FlowHeun(), "heun")):
        found = stepped(loop, lambda x, u: -model(x, 1 - u), START, NOISE)
        known = ProbabilityFlow(exact_field(LAW, path, kind="velocity"), steps=10, method=method)
        assert np.allclose(found, walked(known, START, NOISE), atol=1e-9)


def test_split_noise_levels_add_up(bugs: Any) -> None:
    up, down = bugs("_levels").split(3.0, 2.0)
    assert up**2 + down**2 == pytest.approx(4.0)


def test_crowded_indices_are_taken_once_each(bugs: Any) -> None:
    own = bugs("_crashes")
    for steps in (1, 2, 3, 7, 32, 100, 125):
        assert len(own.each_once(steps)) == steps + 1
        assert np.all(np.diff(own.each_once(steps)) < 0)
    assert np.any(np.diff(own.repeated(100)) == 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_slip_is_refuted_and_named_and_its_twin_is_not(bugs: Any, examples: list[Any], seed: int) -> None:
    own = bugs("_battery")
    example = next(e for e in examples if e.name == "Euler along a flow" and e.family == "E")
    assert own.examined(example.twin, example.declared, quick=True, seed=seed).outcome is Outcome.CONFIRMED
    slip = example.slips[0]
    found = own.examined(slip.loop, example.declared, quick=True, seed=seed)
    assert found.outcome is Outcome.REFUTED
    assert own.rank(found, slip) <= own.FIRST


def test_a_refutation_without_the_right_name_counts_as_undecided(bugs: Any, examples: list[Any]) -> None:
    own = bugs("_battery")
    example = next(e for e in examples if e.family == "J")
    found = own.examined(example.slips[0].loop, example.declared, quick=True, seed=0)
    named, unnamed = own.answered(found, True), own.answered(found, False)
    assert named.panel == unnamed.panel == CHECKS
    assert named.first.value.max() == 1
    assert unnamed.first.value.max() == 0


def test_the_study_of_a_class_takes_a_slip_in_its_own_case_only(bugs: Any) -> None:
    study = next(s for s in REGISTERED[bugs("slips").__name__] if s.claim == "bugs.C")
    assert ("noise returned", "predictor and corrector") in study.checks
    assert ("noise returned", "DDPM over 1,000 indices") not in study.checks
    found = study.compute(study.variants["last level not 0"], "Euler over noise levels", Size("quick"), 3)
    assert found.first.value[found.names.index("times")] == 1


def checked_records(bugs: Any, names: tuple[str, ...] = ("law", "a <b> | c")) -> list[Judged]:
    """A twin and a slip with two checks, and a record of another kind."""
    claim = Claim(
        "bugs.X", "bound", "It is right.", "x", "here", {"stated": Outcome.CONFIRMED, "slip": Outcome.REFUTED}
    )
    study = Study(claim.id, checked_records, {"stated": 0, "slip": 1}, ("loop",), 1, False, "studies.bugs.slips")
    done = []
    for variant, values in (("stated", (-1.0, -1.0)), ("slip", (0.0, 1.0))):
        first = fpk.Estimate(np.array(values), np.full(2, 1e-3))
        evidence = Evidence(first, zero_estimate(2), names, panel=CHECKS)
        done.append(Done(Task("studies", claim.id, variant, "loop", "quick", 7, "0" * 64), evidence, {"versions": {}}))
    return judged(Catalogue(Path("studies"), {claim.id: claim}, (study,)), done)


def test_the_report_has_the_matrix_of_mistakes_and_checks(bugs: Any, tmp_path: Path) -> None:
    records = checked_records(bugs)
    (found,) = answered(records)
    assert found.checks == ("law", "a <b> | c")
    assert [row for _, row in found.rows] == [(Outcome.CONFIRMED,) * 2, (Outcome.UNDECIDED, Outcome.REFUTED)]
    assert [found.refuted(check) for check in found.checks] == [0, 1]
    write_report(records, tmp_path, claims={}, command="fpk run", seconds=1.0, size="quick")
    page, text = ((tmp_path / name).read_text() for name in ("index.html", "report.md"))
    assert "What the checks catch" in page
    assert "a &lt;b&gt; | c" in page
    assert "| bugs.X | loop | slip | ? | ≠ |" in text


def test_a_large_report_gives_the_matrix_a_page(bugs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "LARGEST_PAGE", 10)
    reporting.write_report(checked_records(bugs), tmp_path, claims={}, command="fpk run", seconds=1.0, size="quick")
    page = f"pages/{reporting.CHECKS_PAGE}.html"
    assert f'href="{page}"' in (tmp_path / "index.html").read_text()
    assert 'href="slips.html#bugs.X"' in (tmp_path / page).read_text()
    assert (tmp_path / "pages" / "slips.html").exists()


def test_records_that_share_checks_stand_in_one_matrix(bugs: Any) -> None:
    one, other, both = (
        checked_records(bugs, names) for names in (("law", "order"), ("mass", "ratio"), ("ratio", "law"))
    )
    assert [matrix.checks for matrix in answered([*one, *other])] == [("law", "order"), ("mass", "ratio")]
    (joined,) = answered([*one, *other, *both])
    assert joined.checks == ("law", "order", "mass", "ratio")
    assert len(joined.rows) == 6
    assert joined.rows[0][1][2:] == (None, None)


def test_a_report_without_checks_has_no_matrix(bugs: Any, tmp_path: Path) -> None:
    records = [Judged(j.record, j.verdict, replace(j.evidence, panel="")) for j in checked_records(bugs) if j.evidence]
    assert not answered(records)
    write_report(records, tmp_path, claims={}, command="fpk run", seconds=1.0, size="quick")
    assert "What the checks catch" not in (tmp_path / "index.html").read_text()
