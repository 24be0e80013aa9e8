"""Released libraries: the list of configurations, what is said about them, and the scripts that reproduce what is wrong."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fpk.study import Study
from studies.clients import _found, accusations, examinations, identities
from studies.clients._configurations import GROUPS, Configuration
from studies.clients._libraries import MODULES, found, loadable, state
from studies.clients._remarks import ACCUSED, RULES, remarks
from studies.clients._repairs import gaps
from studies.clients._schedules import Levels
from studies.clients._table import LISTS, configurations

SCRIPTS = sorted((Path(accusations.__file__).parent / "reproductions").glob("_*.py"))
NAMES = {library.replace("-", "_"): library for library in MODULES}
CONFIGURATIONS = [(library, c) for library in LISTS for c in configurations(library)]
ACCUSATIONS = {a.id for a in accusations.ACCUSATIONS}


def library_of(script: Path) -> str:
    return next(library for name, library in NAMES.items() if script.stem.startswith(f"_{name}_"))


def test_there_are_sixty_configurations_of_four_libraries_with_names_of_their_own() -> None:
    assert len(CONFIGURATIONS) >= 60
    assert len(LISTS) >= 4
    assert len({(library, c.name) for library, c in CONFIGURATIONS}) == len(CONFIGURATIONS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: " ".join((*rule.pieces, *rule.groups)))
def test_every_remark_is_about_something(rule) -> None:
    assert set(rule.groups) <= GROUPS.keys()
    assert any(rule.applies(library, c.name) for library, c in CONFIGURATIONS)
    assert not rule.words.startswith(ACCUSED) or rule.words in ACCUSATIONS


def test_every_configuration_has_some_group_of_checks_that_holds() -> None:
    for library, c in CONFIGURATIONS:
        held = [g for g in GROUPS if not any(remarks(library, c.name, g)) and not (g == "order" and c.stochastic)]
        assert held, c.name


def test_every_accusation_has_a_script_of_its_own() -> None:
    assert len(SCRIPTS) == len(ACCUSATIONS)
    assert {library_of(script) for script in SCRIPTS} <= {id.split(".")[1] for id in ACCUSATIONS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_are_small_and_need_the_library_alone(script: Path) -> None:
    text = script.read_text()
    needed = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) else [])
        if name
    }  # fmt: skip
    assert len(text.splitlines()) <= 30
    assert needed <= {"numpy", "torch", library_of(script).replace("-", "_")}
    assert "assert " in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_show_what_they_say(script: Path) -> None:
    library = library_of(script)
    if not found(library):
        pytest.skip(f"{library} is not installed: pip install 'fpk[clients]'")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("library", MODULES)
def test_a_library_that_is_missing_makes_no_record_and_is_listed_as_skipped(library: str) -> None:
    from fpk.study import REGISTERED

    studies: list[Study] = [
        s for module in (examinations, accusations, identities) for s in REGISTERED[module.__name__]
    ]
    own = [s for s in studies if s.claim.split(".")[1] == library]
    assert all(s.only_when_named for s in own)
    if not loadable(library):
        assert not any(s.checks for s in own)
        assert state(library).endswith("skipped.") or found(library)
    assert f"## {library}" in _found.table([], {}) or library not in LISTS


def test_gaps_lead_to_the_next_label_also_where_one_comes_twice() -> None:
    assert gaps([9, 6, 4, 0]) == [3, 2, 4, 1]
    assert gaps([8, 5, 5, 2]) == [3, 3, 3, 3]  # the second step of PNDM repeats the first


@pytest.mark.parametrize(("difference", "tolerance", "holds"), [(0.02, 0.1, True), (0.3, 0.1, False)])
def test_margins_have_the_sign_of_the_verdict(difference: float, tolerance: float, holds: bool) -> None:
    from fpk.battery import Finding
    from fpk.comparison import settle
    from fpk.marginals import Estimate, zero_estimate

    first = Estimate(np.array([difference]), np.array([1e-6]), proven=True)
    verdict = settle(first, zero_estimate(1), tolerance=tolerance)
    size, bound = examinations.margin(Finding("law", verdict, ""))
    assert (size < 0) == holds
    assert bound == 0


def test_an_order_is_read_off_its_line() -> None:
    assert examinations.interval_of("order in [0.98, 1.01], declared 1 (1, 1 from level to level)") == (0.98, 1.01)
    assert examinations.interval_of("too few levels above round-off") is None


def test_levels_are_the_products_they_were_made_of() -> None:
    products = np.cumprod(1 - np.linspace(1e-4, 0.02, 50))
    levels = Levels(products)
    t = (np.arange(50) + 1) / 50
    assert np.allclose([levels.alpha(u) ** 2 for u in t], products, rtol=1e-12)
    assert np.allclose([levels.alpha(u) ** 2 + levels.sigma(u) ** 2 for u in (0.003, 0.5, 0.777)], 1)
    assert levels.sigma(0.0) == 0
    assert np.all(np.diff([levels.ratio(u) for u in np.linspace(0, 1, 333)]) > 0)


def test_the_table_says_what_records_say() -> None:
    name = next(c.name for c in configurations("azula"))
    assert isinstance(next(iter(configurations("azula"))), Configuration)
    record = {
        "id": "clients.azula.law",
        "case": name,
        "variant": "stated",
        "verdict": "CONFIRMED",
        "resolution": "full: order in [0.98, 1.01]; law",
    }
    pair = [
        {
            "id": "clients.azula.reab",
            "case": "VPSchedule",
            "variant": v,
            "verdict": o,
            "note": "t for s",
            "resolution": "",
        }
        for v, o in (("printed", "REFUTED"), ("corrected", "CONFIRMED"))
    ]
    text = _found.table([record, *pair], {"azula": "1.2"})
    assert f"| {name} | [0.98, 1.01] | ✓ |" in text
    assert "✗ clients.azula.reab" in text
    assert "| clients.azula.reab | VPSchedule | REFUTED | CONFIRMED | t for s |" in text
    assert "diffusers (not installed: skipped)" in text
