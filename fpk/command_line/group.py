"""The group every command belongs to, and the options several of them share. Defaults come from :mod:`fpk.configuration`."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpk.configuration import ALPHAS, BY_NAME, DEFAULT, MOST_JOBS, WHERE, configured, others_of_where
from fpk.errors import FpkError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fpk.configuration import Value

#: New objects between looks for cyclic garbage. Compilers and formulas make many that stay, and the default looks through all of them all the time.
COLLECTED = (100_000, 50, 100)
INTERRUPTED = 130
#: Errors of the system that are nobody's mistake in the code: full disks, and paths that are too long to be any.
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENAMETOOLONG}
HELP = ("-h", "--help")
#: Options that mean something of their own in a command, and take no setting.
APART = {("mutants", "--quick")}
#: The commands as people look for them, and what ``fpk --help`` says of each.
SECTIONS = {
    "Begin": {
        "demo": "A tour in a minute.",
        "doctor": "Is this installation well, and what is set where?",
        "completion": "Let the shell complete commands and options.",
    },
    "Verify": {
        "run": "Compute, judge and report: everything, or what is named.",
        "report": "Write the report, or certificates, from what is stored.",
        "diff": "What is different between two reports.",
        "rerun": "Compute stored records again, bit for bit.",
    },
    "Look": {
        "list": "The claims.",
        "explain": "One claim: formula, routes, controls, last verdicts.",
        "why": "Why a record would be computed anew.",
        "store": "Look at, check, tidy and export what is stored.",
    },
    "Examine the examination": {
        "plan": "How much work settles a claim.",
        "mutants": "Which claims notice which mistakes in fpk itself.",
    },
}
# One thread for linear algebra, unless the user says otherwise: the matrices here are small, threads of several processes wait for each other
# (a hundred times as long), and the last bits of a product depend on their number. Read when numpy is imported, which is later.
for _library in ("OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")


class Commands(click.Group):
    """A click group whose options take their defaults from the settings, and that turns fpk's own errors into one readable line and exit code 2."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Notice whether help is asked for: it is given whatever the settings are."""
        ctx.meta["fpk.helps"] = bool(set(HELP) & set(args))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        gc.set_threshold(*COLLECTED)
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by who called
                setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 # for as long as there is anything to say
        if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe or a file may take no ½ and no arrow
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            ctx.default_map = self._defaults(ctx)
            return super().invoke(ctx)
        except FpkError as error:
            click.echo(f"fpk: {error}", err=True)
            sys.exit(2)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            what = f"use {quoted(str(error.filename))}" if error.filename else "write what there is to tell"
            with contextlib.suppress(OSError):
                click.echo(f"fpk: cannot {what}: {error.strerror}. What was finished is kept.", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("\nfpk: interrupted; what was finished is kept, the same command goes on.", err=True)
            sys.exit(INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in :data:`SECTIONS`, and any others at the end."""
        told = {name for commands in SECTIONS.values() for name in commands}
        others = {name: self.commands[name].get_short_help_str() for name in self.commands if name not in told}
        for title, commands in {**SECTIONS, "Other": others}.items():
            rows = [(f"{name:10s}", text) for name, text in commands.items() if name in self.commands]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_spacing=4)

    def _defaults(self, ctx: click.Context) -> dict[str, Any]:
        """The settings that somebody made, as defaults of every command's options."""
        try:
            made = {v.setting.flag: v for v in configured().values() if v.origin != DEFAULT}
        except FpkError:
            if ctx.meta["fpk.helps"]:
                return {}
            raise
        return {name: _made(name, command, made) for name, command in self.commands.items()}


def _made(name: str, command: click.Command, made: Mapping[str, Value]) -> dict[str, Any]:
    """Defaults for the options of one command, or of the commands of a group."""
    if isinstance(command, click.Group):
        return {own: _made(own, inner, made) for own, inner in command.commands.items()}
    found = {flag: p.name for p in command.params for flag in p.opts if flag in made and (name, flag) not in APART}
    return {parameter: made[flag].value for flag, parameter in found.items() if parameter}


@click.group(
    cls=Commands,
    context_settings={"help_option_names": list(HELP), "max_content_width": 110},
    epilog="""\b
Examples:
  fpk demo                     a tour
  fpk run --quick              verify all of studies/; the report is reports/latest/index.html
  fpk run --quick S0.E12       one claim
  fpk explain --quick S0.E12   what it says, and what was found
  fpk COMMAND --help           options and examples of a command

\b
Defaults of options: FPK_* variables (FPK_JOBS=2), then [tool.fpk] in pyproject.toml (jobs = 2).
fpk doctor shows each, and where it comes from.

\b
Exit codes: 0 every record holds; 1 a record contradicts its expectation; 2 wrong usage; 3 something
is undecided; 4 a case crashed or its record is missing; 130 interrupted, with everything finished kept.""",
)
@click.version_option(package_name="fpk")
def main() -> None:
    """Verify the mathematics of diffusion, score and flow models."""


def setting(name: str, *short: str, **more: Any) -> Callable[[Any], Any]:
    """An option for a setting: its flag and default are those of the table of settings."""
    found = BY_NAME[name]
    more.setdefault("show_default", found.default is not None)
    into = (more.pop("into"),) if "into" in more else ()
    return click.option(*short, found.flag, *into, default=found.default, **more)


def known_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ids that begin like this, for the shell: those of the last report, as reading the studies takes seconds."""
    try:
        rows = json.loads(Path(configured()["report"].value, "verdicts.json").read_text(encoding="utf-8"))
        return sorted({row["id"] for row in rows if row["id"].startswith(incomplete)})
    except Exception:  # completion is a courtesy, and has nowhere to complain
        return []


def placed(studies: Path, names: tuple[str, ...]) -> tuple[Path, tuple[str, ...]]:
    """Where the studies are and what is named of them: a path that exists may come before the names."""
    return (Path(names[0]), names[1:]) if names and os.path.exists(names[0]) else (studies, names)


studies_option = setting("studies", type=click.Path(path_type=Path), help="Folder (or file) of studies.")
store_option = setting("store", type=click.Path(path_type=Path), help="Folder of stored evidence.")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout, everything else on stderr."
)


def study_options(command: Any) -> Any:
    """Options shared by the commands that read studies."""
    return studies_option(store_option(json_option(command)))


def report_option(text: str = "Where the report goes.") -> Callable[[Any], Any]:
    """The folder of a report, as the argument ``folder``."""
    return setting("report", into="folder", type=click.Path(path_type=Path), help=text)


def where_options(command: Any) -> Any:
    """Where to compute, as the arguments ``jobs``, ``scheduler`` and ``scheduler_file``; :func:`where_to_compute` settles them."""
    cluster = setting("scheduler", metavar="ADDRESS", help="Compute on the Dask cluster with this scheduler.")
    in_file = setting(
        "scheduler-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The same, its address in the file that dask scheduler --scheduler-file wrote.",
    )
    return jobs_option(cluster(in_file(command)))


def where_to_compute() -> dict[str, Any]:
    """Where the running command computes: what its command line says of it goes before all settings; None for what is not said.

    Raises
    ------
    ProblemError
        If the command line says it twice.
    """
    context, names = click.get_current_context(), {name: name.replace("-", "_") for name in WHERE}
    typed = click.core.ParameterSource.COMMANDLINE
    said = {name: BY_NAME[name].flag for name, into in names.items() if context.get_parameter_source(into) is typed}
    found = {into: context.params.get(into) for into in names.values()}
    return found | {names[name]: None for name in others_of_where(said)}


#: What a command does in how many processes, at which size, from which seed, with which rate of false alarms.
jobs_option = setting(
    "jobs", "-j", type=click.IntRange(1, MOST_JOBS), help="Worker processes (more than one need fpk[dask])."
)
size_option = click.option(
    "--quick/--full", default=BY_NAME["quick"].default, help="Same claims and controls, smaller sizes.  [default: full]"
)
seed_option = setting("seed", metavar="N|random", help="Root seed; random draws one and tells it.")
stored_seed_option = setting("seed", metavar="N", help="Root seed of the run.")
alpha_option = setting("alpha", type=click.FloatRange(*ALPHAS), help="False-alarm probability of each record.")
since_option = setting(
    "since",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of an earlier report: say what changed since.",
)
