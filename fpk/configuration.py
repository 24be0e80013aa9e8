r"""Configuration: what fpk does where nobody says otherwise, and who said so.

A setting is looked for in this order, and the first that has it decides:

1. the option on the command line (``--jobs 2``; ``--fpk-seed=7`` for pytest),
2. the environment (``FPK_JOBS=2``, ``FPK_PYTEST_SEED=7``; an empty variable counts as absent),
3. the table ``[tool.fpk]`` (``[tool.fpk.pytest]``) of the nearest ``pyproject.toml`` above the working directory that has one,
4. the default.

Where to compute is one thing that three settings say (:data:`WHERE`): whoever says one of them decides it alone, and more than one is refused.

Keys are named like the options. Paths in the file are relative to the file, and so are the defaults of studies, store and report where there is
such a file; others to the working directory. Unknown keys, and variables that look like a misspelt one, are refused: a setting that is silently
ignored is worse than none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fpk.errors import ProblemError

FILE, PREFIX = "pyproject.toml", "FPK_"
#: The part of the table that the pytest plugin reads.
PLUGIN = "pytest"
#: Most worker processes that may be asked for.
MOST_JOBS = 512
#: Smallest and largest probability of a false alarm.
ALPHAS = (1e-15, 0.5)
DEFAULT = "default"
#: Where to compute: processes of this machine, or a cluster, named in one of two ways.
WHERE = ("jobs", "scheduler", "scheduler-file")
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Setting:
    """One thing that can be set.

    Parameters
    ----------
    name : str
        The key in the table, for example ``scheduler-file``; those of the plugin begin with ``pytest.``.
    default : Any
    read : callable
        The value from what a file or a variable says; raises ValueError where that is none.
    allowed : str
        What it may be, in words.
    path : bool
        Whether it is a path, and relative to the file where it stands in one.
    """

    name: str
    default: Any
    read: Callable[[Any], Any]
    allowed: str
    path: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable, for example ``FPK_SCHEDULER_FILE``."""
        return PREFIX + self.name.replace(".", "_").replace("-", "_").upper()

    @property
    def flag(self) -> str:
        """Its option, for example ``--scheduler-file``, or ``--fpk-seed`` for pytest."""
        table, _, key = self.name.rpartition(".")
        return f"--fpk-{key}" if table else f"--{key}"


@dataclass(frozen=True)
class Value:
    """What a setting is, and who said so: a variable's name, the path of a file, ``default``, or ``default, beside`` a file."""

    setting: Setting
    value: Any
    origin: str = DEFAULT


def _text(given: Any) -> str:
    if not isinstance(given, str) or not given.strip() or "\x00" in given:
        raise ValueError
    return given


def _path(given: Any) -> str:
    return os.path.expanduser(_text(given))


def _whole(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise ValueError
    if isinstance(given, str) and not (given.isascii() and given.isdecimal()):
        raise ValueError
    return int(given)


def _jobs(given: Any) -> int:
    jobs = _whole(given)
    if not 1 <= jobs <= MOST_JOBS:
        raise ValueError
    return jobs


def _seed(given: Any) -> str:
    """As text, like the option's: a number, or the word random."""
    if given == "random":
        return "random"
    seed = _whole(given)
    if seed < 0:
        raise ValueError
    return str(seed)


def _alpha(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise ValueError
    alpha = float(given)
    if not ALPHAS[0] <= alpha <= ALPHAS[1]:
        raise ValueError
    return alpha


def _switch(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    if not isinstance(given, str) or given.lower() not in _WORDS:
        raise ValueError
    return _WORDS[given.lower()]


def _undecided(given: Any) -> str:
    if given not in ("fail", "skip", "xfail"):
        raise ValueError
    return given


_A_PATH, _A_SEED = "a path", "a whole number ≥ 0 or the word random"
_AN_ALPHA = f"a number from {ALPHAS[0]:g} to {ALPHAS[1]:g}"
#: Everything that can be set.
SETTINGS = (
    Setting("studies", "studies", _path, _A_PATH, path=True),
    Setting("store", ".fpk", _path, _A_PATH, path=True),
    Setting("report", "reports/latest", _path, _A_PATH, path=True),
    Setting("since", None, _path, _A_PATH, path=True),
    Setting("quick", False, _switch, "true or false"),
    Setting("jobs", 1, _jobs, f"a whole number from 1 to {MOST_JOBS}"),
    Setting("seed", "0", _seed, _A_SEED),
    Setting("alpha", 1e-6, _alpha, _AN_ALPHA),
    Setting("scheduler", None, _text, "an address such as tcp://10.0.0.5:8786"),
    Setting("scheduler-file", None, _path, _A_PATH, path=True),
    Setting("pytest.seed", "0", _seed, _A_SEED),
    Setting("pytest.alpha", None, _alpha, _AN_ALPHA),
    Setting("pytest.report", None, _path, _A_PATH, path=True),
    Setting("pytest.compare", None, _path, _A_PATH, path=True),
    Setting("pytest.summary", None, _path, _A_PATH, path=True),
    Setting("pytest.undecided", "fail", _undecided, "fail, skip or xfail"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def configured(folder: Path | None = None, environ: Mapping[str, str] | None = None) -> dict[str, Value]:
    """Every setting as environment, file and defaults have it, by name; what the command line says goes before.

    Parameters
    ----------
    folder : Path, optional
        Where the search for ``pyproject.toml`` begins; default: the working directory.
    environ : mapping, optional
        Default: the environment of the process.

    Returns
    -------
    dict from str to Value

    Raises
    ------
    ProblemError
        On unknown keys and values that are not allowed: which, where, and what is allowed.

    Examples
    --------
    >>> found = configured(Path("/"), {"FPK_JOBS": "2"})["jobs"]
    >>> found.value, found.origin
    (2, 'FPK_JOBS')
    """
    values = {setting.name: Value(setting, setting.default) for setting in SETTINGS}
    return values | _decided(_of_file(folder or Path()), _of_environment(os.environ if environ is None else environ))


def _decided(lower: dict[str, Value], higher: dict[str, Value]) -> dict[str, Value]:
    """Both, the higher first; where that says where to compute, nothing of it is left to the lower."""
    labels = {name: BY_NAME[name].variable for name in WHERE if name in higher}
    origin = f"{DEFAULT}, as {', '.join(labels.values())} is set"
    given_way = [BY_NAME[name] for name in others_of_where(labels) if name in lower]
    rest = {setting.name: Value(setting, setting.default, origin) for setting in given_way}
    return lower | rest | higher


def others_of_where(said: Mapping[str, str]) -> list[str]:
    """The settings of :data:`WHERE` that give way to the one that is said.

    Parameters
    ----------
    said : mapping from name to str
        Those that one origin says, and how they are called there.

    Raises
    ------
    ProblemError
        If there are several.

    Examples
    --------
    >>> others_of_where({"scheduler": "--scheduler"})
    ['jobs', 'scheduler-file']
    >>> others_of_where({})
    []
    """
    if len(said) > 1:
        raise ProblemError(f"{' and '.join(said.values())} each say where to compute: give one of them.")
    return [name for name in WHERE if said and name not in said]


def given(name: str, folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Any:
    """The value of one setting; parameters as for :func:`configured`.

    Raises
    ------
    ProblemError
        As :func:`configured`, and for a setting that does not exist.

    Examples
    --------
    >>> given("pytest.undecided", Path("/"), {"FPK_PYTEST_UNDECIDED": "skip"})
    'skip'
    """
    if name not in BY_NAME:
        raise ProblemError(f"unknown setting {name!r}.{_known(name, BY_NAME)}")
    return configured(folder, environ)[name].value


def ignored(environ: Mapping[str, str] | None = None) -> list[str]:
    """Variables that begin with ``FPK_`` and mean nothing to fpk."""
    known = {setting.variable for setting in SETTINGS}
    return sorted(n for n in (os.environ if environ is None else environ) if n.startswith(PREFIX) and n not in known)


def table_above(folder: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """The nearest ``pyproject.toml`` above a folder that has a table ``[tool.fpk]``, and that table.

    Raises
    ------
    ProblemError
        If a file on the way cannot be read, or is no TOML.
    """
    try:
        here = folder.absolute()
    except OSError as error:
        raise ProblemError(f"the working directory is gone ({error}): change to one that exists.") from error
    for above in (here, *here.parents):
        file = above / FILE
        if os.path.isfile(file) and (table := _tool(file).get("fpk")) is not None:
            if not isinstance(table, Mapping):
                raise ProblemError(f"{file}: tool.fpk is {table!r}: make it a table, [tool.fpk].")
            return file, table
    return None


def _tool(file: Path) -> Mapping[str, Any]:
    """The tables of tools in a file."""
    try:
        text = file.read_text(encoding="utf-8")
        if "fpk" not in text:
            return {}
        import tomllib

        tool = tomllib.loads(text).get("tool", {})
    except (OSError, ValueError) as error:
        raise ProblemError(
            f"cannot read {file}: {error}. It may hold settings ([tool.fpk]): mend it or move it."
        ) from error
    return tool if isinstance(tool, Mapping) else {}


def _of_file(folder: Path) -> dict[str, Value]:
    found = table_above(folder)
    if found is None:
        return {}
    file, table = found
    plugin = table.get(PLUGIN, {})
    if not isinstance(plugin, Mapping):
        raise ProblemError(f"{file}: tool.fpk.{PLUGIN} is {plugin!r}: make it a table, [tool.fpk.{PLUGIN}].")
    pairs = {name: value for name, value in table.items() if name != PLUGIN}
    pairs |= {f"{PLUGIN}.{name}": value for name, value in plugin.items()}
    others_of_where({name: f"{file}: tool.fpk.{name}" for name in WHERE if name in pairs})
    return _beside(file, folder) | {name: _in_file(file, name, value, folder) for name, value in pairs.items()}


def _beside(file: Path, folder: Path) -> dict[str, Value]:
    """Defaults that are paths, beside the file: a project has one store, one report and one folder of studies, wherever in it one stands."""
    if file.parent == folder.absolute():
        return {}
    paths = [setting for setting in SETTINGS if setting.path and setting.default is not None]
    return {
        setting.name: Value(setting, str(file.parent / setting.default), f"{DEFAULT}, beside {file}")
        for setting in paths
    }


def _in_file(file: Path, name: str, value: Any, folder: Path) -> Value:
    if name not in BY_NAME:
        table, _, key = f"tool.fpk.{name}".rpartition(".")
        raise ProblemError(f"{file}: unknown key {key!r} in [{table}].{_known(name, BY_NAME)}")
    setting = BY_NAME[name]
    read = _read(setting, value, f"{file}: tool.fpk.{name} is {value!r}")
    elsewhere = setting.path and file.parent != folder.absolute()
    return Value(setting, str(file.parent / read) if elsewhere else read, str(file))


def _of_environment(environ: Mapping[str, str]) -> dict[str, Value]:
    variables = {setting.variable: setting for setting in SETTINGS}
    for name in ignored(environ):
        if close := get_close_matches(name, variables, n=1, cutoff=0.8):
            raise ProblemError(
                f"unknown environment variable {name}. Did you mean {close[0]}? Unset it, or mend its name."
            )
    return {
        setting.name: Value(
            setting, _read(setting, environ[name], f"the environment has {name}={environ[name]!r}"), name
        )
        for name, setting in variables.items()
        if environ.get(name)
    }


def _read(setting: Setting, value: Any, said: str) -> Any:
    try:
        return setting.read(value)
    except (ValueError, TypeError, OverflowError):
        raise ProblemError(f"{said}; allowed is {setting.allowed}. Mend it, or leave it out.") from None


def _known(name: str, known: Mapping[str, Any]) -> str:
    """The end of a message about an unknown key: those that are close, and all."""
    close = get_close_matches(name.replace("_", "-"), known, n=2)
    return f"{' Did you mean ' + ' or '.join(close) + '?' if close else ''} Known: {', '.join(known)}."
