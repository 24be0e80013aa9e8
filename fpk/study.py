r"""Studies: questions to the theory, each answered by evidence that is computed once and judged as often as one likes.

A *claim* (in a catalogue, declarative) says what is stated, where, and which outcome every *variant* of it must have: the stated form, its
controls (wrong variants that must be refuted), an erratum's printed and corrected forms. A *study* is a decorated function that
computes, for one variant and one case, two Estimates on one frozen panel. It never judges.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fpk.charts import Chart
from fpk.errors import ProblemError, UnknownName
from fpk.laws import Array
from fpk.marginals import Estimate, Marginals, panel_between
from fpk.panels import Panel
from fpk.verdict import Outcome

KINDS = ("equality", "identity", "order", "bound")


@dataclass(frozen=True)
class Claim:
    """One statement of the theory and what must come out of its variants.

    Parameters
    ----------
    id : str
    kind : str
        equality, identity, order or bound.
    statement : str
        One sentence, in words.
    formula : str
        TeX.
    source : str
        Author, year and equation number.
    expected : mapping from variant to Outcome
        ``stated`` (or ``printed``, ``corrected``, ``degenerate``) and every control by its name. A control named like ``g² + 2 %`` gives
        the minimum detectable effect its unit.
    notes : mapping from variant to str, optional
        What the variant is, for the report.
    assumptions : str, optional
    """

    id: str
    kind: str
    statement: str
    formula: str
    source: str
    expected: Mapping[str, Outcome]
    notes: Mapping[str, str] = field(default_factory=dict)
    assumptions: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProblemError(f"claim {self.id}: unknown kind {self.kind!r}; one of {', '.join(KINDS)}.")
        if Outcome.REFUTED not in self.expected.values():
            raise ProblemError(
                f"claim {self.id} has no control: a check that cannot fail is a defect. Add a variant expected REFUTED."
            )

    @property
    def erratum(self) -> bool:
        """Whether the claim is about a misprint: then CONFIRMED also needs the rest to be explained by the budget."""
        return self.id.startswith("err:")


@dataclass(frozen=True)
class Size:
    """How much work: quick keeps every claim, control and statistic and shrinks only numbers."""

    name: str = "full"

    @property
    def quick(self) -> bool:
        """Whether this is the small size."""
        return self.name == "quick"

    def cells(self, quick: int) -> int:
        """Base cells of a grid, from the quick number; the full size doubles it."""
        return quick if self.quick else 2 * quick

    def particles(self, quick: int) -> int:
        """Particles, from the quick number; the full size quadruples it."""
        return quick if self.quick else 4 * quick


@dataclass(frozen=True)
class Evidence:
    """Two Estimates of the same functionals, and curves to draw.

    Parameters
    ----------
    first, second : Estimate
        For identities and bounds, ``second`` is the exact zero.
    names : tuple of str
    curves : mapping from str to array
        ``x``, ``first``, ``second``: densities at the last time, for the report; may be empty.
    panel : str
        Digest of the frozen panel.
    charts : tuple of Chart
        What else to draw in the report.
    """

    first: Estimate
    second: Estimate
    names: tuple[str, ...]
    curves: Mapping[str, Array] = field(default_factory=dict)
    panel: str = ""
    charts: tuple[Chart, ...] = ()


def evidence(first: Marginals, second: Marginals, *, panel: Panel | None = None, curve_points: int = 241) -> Evidence:
    """Ask both routes on one panel, and keep their densities at the last time for the report.

    Parameters
    ----------
    first, second : Marginals
    panel : Panel, optional
        Default: references from the side that knows its law best. Give it when a control changes that side.
    curve_points : int
        Points of the stored curves.
    """
    panel = panel_between(first, second) if panel is None else panel
    return Evidence(
        first.expect(panel),
        second.expect(panel),
        panel.names,
        _curves(panel, first, second, curve_points),
        panel.digest,
    )


def _curves(panel: Panel, first: Any, second: Any, count: int) -> dict[str, Array]:
    block = panel.smooth[-1]
    t = block.time
    if len(block.direction) != 1:
        return {}
    lower, upper = np.interp([1e-4, 1 - 1e-4], *_strictly_rising(block.levels, block.knots))
    margin = 0.1 * (upper - lower)
    x = np.linspace(lower - margin, upper + margin, count)
    return {"x": x, "t": np.array([t]), "first": _curve(first, x, t), "second": _curve(second, x, t)}


def _strictly_rising(levels: Array, knots: Array) -> tuple[Array, Array]:
    keep = np.concatenate([[True], np.diff(np.maximum.accumulate(levels)) > 0])
    return levels[keep], knots[keep]


def _curve(side: Any, x: Array, t: float) -> Array:
    """Density of one side at the points x; empty if it cannot be drawn."""
    return side.density_on(x, t) if hasattr(side, "density_on") else np.zeros(0)


@dataclass(frozen=True)
class Study:
    """A decorated function with the claim it answers, its variants and cases.

    Parameters
    ----------
    claim : str
        Id of the claim.
    compute : callable
        ``compute(variant_value, case, size, seed) -> Evidence``.
    variants : mapping from name to value
        What distinguishes the variants; the value is passed on.
    cases : tuple of str
    version : int
        Raise it when the meaning of stored evidence changes.
    only_when_named : bool
        Left out of a run without names.
    applies : callable
        Whether a variant differs from the stated form in a case: ``applies(variant, case)``.
    judging : bool
        Whether its evidence counts verdicts, and so depends on the rules of judging too.
    """

    claim: str
    compute: Callable[[Any, str, Size, int], Evidence]
    variants: Mapping[str, Any]
    cases: tuple[str, ...]
    version: int
    only_when_named: bool
    module: str = ""
    applies: Callable[[str, str], bool] = lambda variant, case: True
    judging: bool = False

    @property
    def checks(self) -> list[tuple[str, str]]:
        """All (variant, case) pairs to compute."""
        return [(v, c) for c in self.cases for v in self.variants if self.applies(v, c)]

    @property
    def name(self) -> str:
        """Module and function, for example ``reversal.reverse_sde``."""
        return f"{self.module.rpartition('.')[2]}.{self.compute.__name__}"

    @property
    def names(self) -> set[str]:
        """What selects it: the claim, any dotted beginning of that, the study, its module."""
        parts = self.claim.split(".")
        return {".".join(parts[: k + 1]) for k in range(len(parts))} | {self.name, self.name.partition(".")[0]}


_REGISTERED: dict[str, list[Study]] = {}


def study(
    claim: str,
    *,
    variants: Mapping[str, Any],
    cases: Sequence[str] = ("",),
    version: int = 1,
    only_when_named: bool = False,
    applies: Callable[[str, str], bool] = lambda variant, case: True,
    judging: bool = False,
) -> Callable[[Callable[..., Evidence]], Callable[..., Evidence]]:
    """Register a function as the study of a claim.

    Parameters
    ----------
    claim : str
        Id of the claim in the catalogue of the same folder (or file).
    variants : mapping
        Variant name → value handed to the function; the names must be those of the claim's ``expected``.
    cases : sequence of str, default one
        Settings the claim is checked in, for example grid and particles.
    version : int
        Raise it when stored evidence should no longer count.
    only_when_named : bool
        Leave it out of a run without names.
    applies : callable
        ``applies(variant, case)``: False where the variant says the same as the stated form, so that nothing could refute it.
    judging : bool
        Its evidence counts verdicts: a change of the rules of judging makes stored evidence stale.

    Returns
    -------
    decorator
        The function ``(variant, case, size, seed) -> Evidence`` stays callable.
    """

    def register(function: Callable[..., Evidence]) -> Callable[..., Evidence]:
        module = function.__module__
        _REGISTERED.setdefault(module, []).append(
            Study(claim, function, dict(variants), tuple(cases), version, only_when_named, module, applies, judging)
        )
        return function

    return register


@dataclass(frozen=True)
class Catalogue:
    """Claims with their studies, from one folder or file."""

    path: Path
    claims: Mapping[str, Claim]
    studies: tuple[Study, ...]

    def study_of(self, claim: str) -> Study:
        """The study of a claim."""
        return next(s for s in self.studies if s.claim == claim)

    def selected(self, names: Iterable[str]) -> tuple[Study, ...]:
        """Studies by :attr:`Study.names`, in catalogue order; all regular ones without names.

        Raises
        ------
        UnknownName
            Listing the known names.
        """
        names = list(names)
        if not names:
            return tuple(s for s in self.studies if not s.only_when_named)
        known = {name for s in self.studies for name in s.names}
        for name in names:
            if name not in known:
                raise UnknownName("study or claim", name, known)
        return tuple(s for s in self.studies if s.names & set(names))


def load_catalogue(path: Path) -> Catalogue:
    """Import the study files of a folder (or one file) and check them against their catalogue.

    Parameters
    ----------
    path : Path
        A folder whose files define studies, one of them (``catalogue.py``) ``CLAIMS``; or one file with both.

    Raises
    ------
    UnknownName
        If the path does not exist, or a study names a claim that is not in the catalogue.
    ProblemError
        If a study's variants are not the claim's.
    """
    if not path.exists():
        raise UnknownName(
            "studies folder",
            str(path),
            [p.name for p in Path.cwd().iterdir() if p.is_dir() and (p / "catalogue.py").exists()],
        )
    if path.is_file() and path.suffix != ".py":
        raise ProblemError(f"{path} is not a Python file: give a folder of studies, or one file.")
    with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to --json
        modules = list(_imported(path.resolve()))
    stated = [claim for module in modules for claim in getattr(module, "CLAIMS", ())]
    claims = {claim.id: claim for claim in stated}
    if not claims:
        raise ProblemError(
            f"{path} has no claims: define CLAIMS = (fpk.study.Claim(...), ...) in its catalogue.py (or in the one file)."
        )
    studies = [s for module in modules for s in _REGISTERED.get(module.__name__, ())]
    for what, ids in (("claims", [c.id for c in stated]), ("studies of the claim", [s.claim for s in studies])):
        if twice := [id for id, count in Counter(ids).items() if count > 1]:
            raise ProblemError(f"{path}: two {what} {', '.join(map(repr, twice))}; one is needed.")
    for s in studies:
        if s.claim not in claims:
            raise UnknownName("claim (of a study)", s.claim, claims)
        if set(s.variants) != set(claims[s.claim].expected):
            odd = sorted(set(s.variants) ^ set(claims[s.claim].expected))
            raise ProblemError(f"{s.name}: variants and the catalogue's expectations for {s.claim} differ in {odd}.")
    if missing := [id for id in claims if id not in {s.claim for s in studies}]:
        raise ProblemError(
            f"{path}: no study computes the claim {', '.join(map(repr, missing))}; decorate one with @study."
        )
    order = {id: k for k, id in enumerate(claims)}
    return Catalogue(path, claims, tuple(sorted(studies, key=lambda s: order[s.claim])))


def _imported(path: Path) -> Iterator[ModuleType]:
    """Import a study file, or every study file of a folder as a package of its own, so that relative imports work."""
    package = f"fpk_studies_{zlib.crc32(str(path).encode()):08x}"
    if path.is_file():
        yield _loaded(f"{package}.{path.stem}", path, None)
        return
    _loaded(package, path / "__init__.py", [str(path)])
    for file in sorted(path.rglob("*.py")):
        if not file.name.startswith("_"):
            name = ".".join((package, *file.relative_to(path).with_suffix("").parts))
            with _named_failure(name, file):
                module = sys.modules[name] if name in sys.modules else importlib.import_module(name)
            yield module


@contextlib.contextmanager
def _named_failure(name: str, file: Path) -> Iterator[None]:
    """Say which study file failed to import, and forget what it had registered."""
    try:
        yield
    except Exception as error:
        sys.modules.pop(name, None)
        _REGISTERED.pop(name, None)
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise ProblemError(
            f"cannot import the study file {file} ({Path(last.filename).name} line {last.lineno}): {type(error).__name__}: {error}"
        ) from error


def _loaded(name: str, file: Path, search: list[str] | None) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    if search is not None and not file.exists():
        module = ModuleType(name)
        module.__path__ = search
        sys.modules[name] = module
        return module
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=search)
    assert spec is not None, file
    assert spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _named_failure(name, file):
        spec.loader.exec_module(module)
    return module


def seed_for(root: int, check: str) -> int:
    """The seed of a check: derived from the root and the check's id, never chosen."""
    return int(np.random.SeedSequence([root, zlib.crc32(check.encode())]).generate_state(1, np.uint64)[0] >> 1)


def near_miss(variant: str) -> tuple[str, float] | None:
    """Quantity and percentage of a control named like ``g² + 2 %``; None for other names."""
    match = re.fullmatch(r"(.+) [+−-] (\d+(?:\.\d+)?) %", variant)
    return (match[1], float(match[2])) if match else None
