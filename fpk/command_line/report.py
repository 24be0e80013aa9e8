"""``fpk report``: what is stored, written as a report again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from fpk.command_line.group import main, study_options
from fpk.command_line.look import stored
from fpk.command_line.telling import reported, told
from fpk.errors import ProblemError


@main.command()
@study_options
@click.option("--quick", is_flag=True, help="Report the results of the quick size.")
@click.option(
    "--report",
    "folder",
    default="reports/latest",
    type=click.Path(path_type=Path),
    show_default=True,
    help="Where the report goes.",
)
def report(studies: Path, store: Path, as_json: bool, quick: bool, folder: Path) -> None:
    """Write the report again from what is stored, computing nothing."""
    from fpk.records import as_document, exit_code

    catalogue, judged = stored(studies, store, [], quick)
    if not any(j.record.key for j in judged):
        raise ProblemError(
            f"nothing is stored in {store} for this code and size: run fpk run{' --quick' if quick else ''} first."
        )
    written = reported(judged, folder, catalogue, "quick" if quick else "full", 0.0)
    records = [j.record for j in judged]
    if as_json:
        click.echo(json.dumps(as_document(records), ensure_ascii=False))
    told(judged, written, 0.0)
    sys.exit(exit_code(records))
