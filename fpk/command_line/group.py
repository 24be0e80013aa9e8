"""The group every command belongs to, and the options several of them share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from fpk.errors import FpkError

INTERRUPTED = 130
# One thread for linear algebra, unless the user says otherwise: the matrices here are small, threads of several processes wait for each other
# (a hundred times as long), and the last bits of a product depend on their number. Read when numpy is imported, which is later.
for _library in ("OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")


class Commands(click.Group):
    """A click group that turns fpk's own errors into one readable line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except FpkError as error:
            click.echo(f"fpk: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("\nfpk: interrupted; what was finished is kept.", err=True)
            sys.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fpk")
def main() -> None:
    """Verify the mathematics of diffusion, score and flow models."""


def study_options(command: Any) -> Any:
    """Options shared by the commands that read studies."""
    options = (
        click.option(
            "--studies",
            default="studies",
            type=click.Path(path_type=Path),
            show_default=True,
            help="Folder (or file) of studies.",
        ),
        click.option(
            "--store",
            default=".fpk",
            type=click.Path(path_type=Path),
            show_default=True,
            help="Folder of stored evidence.",
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, everything else on stderr."),
    )
    for option in reversed(options):
        command = option(command)
    return command
