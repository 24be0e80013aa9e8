"""``fpk demo``, ``fpk doctor`` and ``fpk completion``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.command_line.group import json_option, main

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHELLS = ("bash", "zsh", "fish")


@main.command()
def demo() -> None:
    """A tour in a minute: one statement confirmed, one refuted, one undecided."""
    from fpk.tour import steps

    for text in steps():
        click.echo(text)


@main.command(
    epilog="""\b
Examples:
  fpk doctor                     is this installation well, what is missing, what is set where
  FPK_JOBS=2 fpk doctor --json   the same as one JSON object

Exit codes: 0 all is well; 4 the first result is wrong, or nothing can be compiled or cached."""
)
@json_option
def doctor(as_json: bool) -> None:
    """Check the installation: settings and where they come from, versions, optional packages, the machine, a first result."""
    from fpk.tour import examined

    findings = {"schema": "fpk/1", "settings": _settings(), **examined()}
    if as_json:
        click.echo(json.dumps(findings, ensure_ascii=False))
    else:
        for line in _told(findings):
            click.echo(line)
    sys.exit(0 if findings["well"] else 4)


def _settings() -> dict[str, Any]:
    """Every setting with its value and where it comes from."""
    from fpk.configuration import configured, ignored

    shown = {name: {"value": v.value, "origin": v.origin} for name, v in configured().items()}
    return shown | {name: {"value": os.environ[name], "origin": "means nothing to fpk"} for name in ignored()}


def _told(findings: Mapping[str, Any]) -> Iterator[str]:
    yield "settings (an option on the command line goes before)"
    for name, found in findings["settings"].items():
        value = "none" if found["value"] is None else str(found["value"])
        yield _line(name, value if not isinstance(found["value"], bool) else value.lower(), _near(found["origin"]))
    yield "versions"
    yield from (_line(name, version) for name, version in findings["versions"].items())
    yield "optional packages"
    for name, found in findings["optional"].items():
        missing = f"without it no {found['for']}: {found['install']}"
        yield _line(name, found["version"] or "not installed", "" if found["version"] else missing)
    yield "machine"
    yield from (_line(name, str(value)) for name, value in findings["machine"].items())
    yield _line("first result", findings["first result"], f"after {findings['first result after']:.2f} s")


def _line(name: str, value: str, rest: str = "") -> str:
    return f"  {name:18s} {value:20s} {rest}".rstrip()


def _near(origin: str) -> str:
    """A path as it is seen from here."""
    return os.path.relpath(origin) if Path(origin).is_absolute() else origin


@main.command(
    epilog="""\b
Put into effect with one line:
  bash   fpk completion bash >> ~/.bashrc
  zsh    fpk completion zsh >> ~/.zshrc
  fish   fpk completion fish > ~/.config/fish/completions/fpk.fish"""
)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print the script with which a shell completes commands and options (default: the shell in use)."""
    from click.shell_completion import get_completion_class

    shell = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise click.UsageError(f"name a shell ({', '.join(SHELLS)}); SHELL is {os.environ.get('SHELL')!r}.")
    click.echo(found(main, {}, "fpk", "_FPK_COMPLETE").source())
