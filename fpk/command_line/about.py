"""``fpk demo`` and ``fpk doctor``."""

from __future__ import annotations

import json
import sys

import click

from fpk.command_line.group import main


@main.command()
def demo() -> None:
    """A tour in a minute: one statement confirmed, one refuted, one undecided."""
    from fpk.tour import steps

    for text in steps():
        click.echo(text)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def doctor(as_json: bool) -> None:
    """Check the installation: versions, optional packages, processors, a first result."""
    from fpk.tour import examined

    findings = examined()
    if as_json:
        click.echo(json.dumps(findings, ensure_ascii=False))
    else:
        for name, value in findings.items():
            click.echo(f"{name:24s} {value}")
    sys.exit(0 if findings["first result"] == "CONFIRMED" else 4)
