"""``fpk report``: what is stored, written as a report or as certificates again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from fpk.command_line.group import (
    alpha_option,
    known_names,
    main,
    placed,
    report_option,
    since_option,
    size_option,
    stored_seed_option,
    study_options,
)
from fpk.command_line.telling import certified, earlier, repeating, reported, told
from fpk.errors import ProblemError


@main.command(
    epilog="""\b
Examples:
  fpk report --quick                        the report of the last quick run again
  fpk report --quick --since reports/main   with a section on what changed since that one
  fpk report --quick S0.E12 --certificate   reports/latest/certificates: the numbers behind a claim, and a
                                            script that reaches its verdicts from them with numpy alone"""
)
@click.argument("names", nargs=-1, shell_complete=known_names)
@study_options
@size_option
@stored_seed_option
@alpha_option
@report_option()
@since_option
@click.option("--certificate", is_flag=True, help="Write certificates in the folder of the report, not the report.")
def report(
    names: tuple[str, ...],
    studies: Path,
    store: Path,
    as_json: bool,
    quick: bool,
    folder: Path,
    since: Path | None,
    certificate: bool,
    **how: Any,
) -> None:
    """Write the report again (all, or the claims, studies or path NAMES) from what is stored, computing nothing.

    A claim that lacks records, or has damaged ones, does not hold. Claims of which nothing is stored are missing if NAMES ask for them
    (by id, beginning, study or file); in a report of all they are left out, and told.

    Exit codes: as for fpk run; 4 also if records are missing.
    """
    from fpk.command_line.run import computable
    from fpk.command_line.stored import stored
    from fpk.records import as_document, exit_code, run_command

    typed, before = bool(names), earlier(since)
    studies, names = placed(studies, names)
    options = repeating(studies=studies, quick=quick, **how)
    catalogue, judged, found = stored(
        studies, store, names, quick, whole=bool(names) or (typed and studies.is_file()), **how
    )
    computable(catalogue.selected(names), catalogue, names)
    if found and not any(record.path.exists() for record in found.values()):
        again = run_command(names, repeating(studies=studies, store=store, quick=quick, **how))
        raise ProblemError(f"nothing is stored in {store} for this code, size and seed: {again} first.")
    records = [j.record for j in judged]
    left_out = [id for id in dict.fromkeys(claim for claim, *_ in found) if id not in {r.id for r in records}]
    if certificate:
        what, written = "check with: python", certified(judged, catalogue, folder / "certificates", options)
    else:
        more = {"size": "quick" if quick else "full", "seconds": 0.0, "since": before, "left_out": left_out}
        what, written = "report:", reported(judged, folder, catalogue, names, options, **more)
    if as_json:
        click.echo(json.dumps(as_document(records) | {"left_out": left_out}, ensure_ascii=False))
    told(judged, written, 0.0, what=what)
    sys.exit(exit_code(records))
