"""``fpk mutants``: which claims notice which wrong formula, and which claims nothing can touch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.group import jobs_option, known_names, main, report_option, study_options
from fpk.configuration import WHERE, configured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fpk.catalogue import Catalogue
    from fpk.kill_matrix import KillMatrix
    from fpk.mutants import Mutant
    from fpk.study import Study

#: Checks named in a line before the rest is only counted.
NAMED = 6
FATES = {
    "killed": "killed: some claim refutes it",
    "crashed": "crashed: every claim that reaches it refuses to compute",
    "undecided": "undecided: noticed, but not refuted",
    "survived": "survived: every claim that reaches it confirms",
    "equivalent": "equivalent: reached, and never gives another value",
    "unreached": "unreached: no claim's computation calls the formula",
}


@main.command(
    epilog="""\b
Examples:
  fpk mutants -j 2              all mutants and all claims, many minutes
  fpk mutants S0.E12            which mistakes this claim refutes
  fpk mutants "½ missing on g²" which claims refute this mistake"""
)
@click.argument("names", nargs=-1, shell_complete=known_names)
@study_options
@click.option("--quick/--full", default=True, help="Size of the computations.  [default: quick]")
@jobs_option
@report_option("Where mutants.json and mutants.md go.")
def mutants(
    names: tuple[str, ...], studies: Path, store: Path, as_json: bool, quick: bool, jobs: int, folder: Path
) -> None:
    """Plant wrong formulas in the library and see which claims refute them (all, or the NAMES of claims, studies and mutants).

    Exit codes: 0 every mutant that changes a claim's computation is refuted by some claim, and every claim is flipped by some near-miss;
    1 not so; 3 a claim is not confirmed to begin with.
    """
    from fpk.catalogue import load_catalogue

    _say_where()
    catalogue = load_catalogue(studies)
    chosen, planted, whole = _chosen(catalogue, names)
    matrix = _computed(catalogue, chosen, planted, store, jobs=jobs, quick=quick)
    failures = _failures(matrix, **whole)
    verdict = failures or [_content(**whole)]
    _written(matrix, verdict, folder)
    if as_json:
        click.echo(json.dumps(matrix.as_json(), ensure_ascii=False))
    click.echo("\n".join([*_table(matrix), "", *verdict]), err=True)
    sys.exit(1 if failures else 3 if matrix.unusable else 0)


def _say_where() -> None:
    """Say that a cluster is not used where one is set: its workers may compute for others, and a mutant changes everything in its process."""
    if click.get_current_context().get_parameter_source("jobs") is click.core.ParameterSource.COMMANDLINE:
        return
    settings = configured()
    for found in (settings[name] for name in WHERE[1:]):
        if found.value is not None:
            click.echo(
                f"fpk: {found.setting.name} ({found.origin}) is not used: mutants are planted in processes of this machine only, as many as -j says.",
                err=True,
            )


def _chosen(catalogue: Catalogue, names: Sequence[str]) -> tuple[Sequence[Study], list[Mutant], dict[str, bool]]:
    """Studies and mutants by name, and whether all claims and all mutants take part."""
    from fpk.mutants import MUTANTS

    planted = [MUTANTS[name] for name in names if name in MUTANTS] or list(MUTANTS.values())
    rest = [name for name in names if name not in MUTANTS]
    return catalogue.selected(rest), planted, {"claims": not rest, "mutants": len(planted) == len(MUTANTS)}


def _computed(
    catalogue: Catalogue, chosen: Sequence[Study], planted: Sequence[Mutant], store: Path, *, jobs: int, quick: bool
) -> KillMatrix:
    from fpk.kill_matrix import kill_matrix
    from fpk.store import Store
    from fpk.study import Size

    def advance(check: str, left: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{left:6d} left   {check[:100]:100s}", err=True, nl=False)

    size = Size("quick" if quick else "full")
    return kill_matrix(catalogue, chosen, Store(store), mutants=planted, size=size, jobs=jobs, advance=advance)


def _failures(matrix: KillMatrix, *, claims: bool, mutants: bool) -> list[str]:
    """What makes the command fail; survivors only count against all claims, tautologies only with all mutants."""
    holes = [f"✗ nothing refutes {m.name!r} ({matrix.fate(m.name)})" for m in matrix.holes] if claims else []
    vain = [f"✗ {id} is a tautology: no near-miss refutes it" for id in matrix.tautologies] if mutants else []
    return [*holes, *vain]


def _content(*, claims: bool, mutants: bool) -> str:
    """What was found when nothing failed, and no more than that."""
    refuted = "every mutant is accounted for" if claims else "only some claims were asked, so survivors mean little"
    return f"{refuted}; {'no claim is a tautology' if mutants else 'tautologies need all mutants'}"


def _table(matrix: KillMatrix) -> list[str]:
    """One line for each mutant, by fate."""
    lines = []
    for fate, words in FATES.items():
        if group := [m for m in matrix.mutants if matrix.fate(m.name) == fate]:
            lines += ["", f"{words} ({len(group)})", *(_line(matrix, m, fate) for m in group)]
    lines += [
        f"not confirmed without any mutant, so not used: {check}: {why}" for check, why in matrix.unusable.items()
    ]
    return lines


def _line(matrix: KillMatrix, mutant: Mutant, fate: str) -> str:
    checks = [cell for cell in matrix.of(mutant.name) if cell.outcome == fate]
    by = list(dict.fromkeys(cell.claim for cell in checks))
    more = f" and {len(by) - NAMED} more" if len(by) > NAMED else ""
    why = f" — {mutant.excuse}" if mutant.excuse and fate in ("undecided", "survived") else ""
    counted = f"{len(checks):3d}/{len(matrix.of(mutant.name)):<3d}" if checks else "       "
    return f"  {'≈' if mutant.near else ' '} {mutant.name:38s} {counted} {', '.join(by[:NAMED])}{more}{why}"


def _written(matrix: KillMatrix, verdict: Sequence[str], folder: Path) -> None:
    """``mutants.json`` and ``mutants.md``."""
    from fpk.atomic_files import replace_file

    replace_file(folder / "mutants.json", json.dumps(matrix.as_json(), ensure_ascii=False, indent=1) + "\n")
    replace_file(folder / "mutants.md", "\n".join(_markdown(matrix, verdict)) + "\n")


def _markdown(matrix: KillMatrix, verdict: Sequence[str]) -> list[str]:
    outcomes = ("killed", "crashed", "undecided", "survived", "equivalent")
    lines = [
        "# Kill matrix", "", f"{len(matrix.mutants)} wrong formulas, {len(matrix.claims)} claims. ≈ marks near-misses (at most 5 %).", "",
        "| mutant | formula | fate | " + " | ".join(outcomes) + " | refuted by |", "|---|---|---|" + "--:|" * len(outcomes) + "---|",
    ]  # fmt: skip
    for m in matrix.mutants:
        cells = matrix.of(m.name)
        counts: list[Any] = [sum(cell.outcome == outcome for cell in cells) or "" for outcome in outcomes]
        by = ", ".join(dict.fromkeys(cell.claim for cell in cells if cell.outcome == "killed")) or m.excuse
        name = f"{m.name}{' ≈' if m.near else ''}".replace("|", "\\|")
        lines.append(f"| {name} | `{m.target}` | {matrix.fate(m.name)} | {' | '.join(map(str, counts))} | {by} |")
    return [
        *lines,
        "",
        *(f"* {line}" for line in verdict),
        *(f"* not confirmed, so not used: {check}" for check in matrix.unusable),
    ]
