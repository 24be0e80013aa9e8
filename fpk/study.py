r"""Studies: questions to the theory, each answered by evidence that is computed once and judged as often as one likes.

A *claim* (in a catalogue, declarative) says what is stated, where, and which outcome every *variant* of it must have: the stated form, its
controls (wrong variants that must be refuted), an erratum's printed and corrected forms. A *study* is a decorated function that
computes, for one variant and one case, two Estimates on one frozen panel. It never judges. A *remark* lists a slip of wording.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fpk.charts import Chart, density_curves
from fpk.counts import counting
from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.marginals import Estimate, Marginals, panel_between
from fpk.panels import Panel
from fpk.verdict import Outcome

KINDS = ("equality", "identity", "order", "bound")
#: Panel of evidence whose functionals are checks and whose values are their verdicts: −1 confirmed, 0 undecided, 1 refuted.
CHECKS = "checks"


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
class Remark:
    """A slip of wording in a source: nothing in it can be confirmed or refuted, so it is listed and explained, without a verdict.

    Parameters
    ----------
    id : str
    statement : str
        What the source says.
    explanation : str
        What is meant, and why nothing hangs on it.
    source : str
        Author, year and place.
    """

    id: str
    statement: str
    explanation: str
    source: str

    @property
    def names(self) -> set[str]:
        """What selects it: the id and any dotted beginning of that."""
        return _beginnings(self.id)


def _beginnings(id: str) -> set[str]:
    """An id and its dotted beginnings."""
    parts = id.split(".")
    return {".".join(parts[: k + 1]) for k in range(len(parts))}


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
        ``x``, ``first``, ``second``: densities at the last time, for the report; may be empty. With ``error`` and ``budget``, the standard
        error and the budget of their difference, that is drawn in standard errors.
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


def evidence(first: Marginals, second: Marginals, *, panel: Panel | None = None) -> Evidence:
    """Ask both routes on one panel, and keep their densities at the last time for the report.

    Parameters
    ----------
    first, second : Marginals
    panel : Panel, optional
        Default: references from the side that knows its law best. Give it when a control changes that side.
    """
    panel = panel_between(first, second) if panel is None else panel
    answers = first.expect(panel), second.expect(panel)
    return Evidence(*answers, panel.names, density_curves(panel, (first, second), answers), panel.digest)


def order_evidence(
    errors: Estimate | Array | Sequence[float],
    steps: Array,
    order: float,
    *,
    floor: float | Array = 0.0,
    source: str = "errors",
    charts: tuple[Chart, ...] = (),
) -> Evidence:
    """Evidence for a claim of kind order: that errors fall like steps to the power ``order``.

    Parameters
    ----------
    errors : Estimate, or array of shape (L,)
        With uncertainties of their own (noise, covariance), or certain up to ``floor``.
    steps : array, shape (L,)
        Step sizes h > 0, or whatever the errors are a power of.
    order : float
        What the variant claims.
    floor : float or array of shape (L,), default 0
        Round-off or quadrature bound of errors given as an array.
    source : str, default "errors"
        What errors given as an array are of.
    charts : tuple of Chart, optional

    Raises
    ------
    ProblemError
        If there are not as many errors as steps.

    Examples
    --------
    >>> steps = 0.5 ** np.arange(4)
    >>> order_evidence(3 * steps**2, steps, 2, floor=1e-12).names
    ('2',)
    """
    if not isinstance(errors, Estimate):
        errors = np.asarray(errors, float)
        errors = Estimate(errors, np.broadcast_to(np.asarray(floor, float), errors.shape).copy(), source=source)
    steps, claimed = np.asarray(steps, float), f"{order:g}"
    if steps.shape != errors.value.shape:
        raise ProblemError(
            f"{counting(errors.value.size, 'error')} go with {counting(steps.size, 'step')}: give one step for each error, coarse to fine."
        )
    second = Estimate(steps, np.zeros(len(steps)), source=f"order {claimed}")
    return Evidence(errors, second, (claimed,), charts=charts)


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
        return _beginnings(self.claim) | {self.name, self.name.partition(".")[0]}


#: Studies by the module that defines them.
REGISTERED: dict[str, list[Study]] = {}


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
        REGISTERED.setdefault(module, []).append(
            Study(claim, function, dict(variants), tuple(cases), version, only_when_named, module, applies, judging)
        )
        return function

    return register


def seed_for(root: int, check: str) -> int:
    """The seed of a check: derived from the root and the check's id, never chosen."""
    number = zlib.crc32(check.encode("utf-8", "surrogatepass"))  # a name may hold anything
    return int(np.random.SeedSequence([root, number]).generate_state(1, np.uint64)[0] >> 1)


def near_miss(variant: str) -> tuple[str, float] | None:
    """Quantity and percentage of a control named like ``g² + 2 %``; None for other names."""
    match = re.fullmatch(r"(.+) [+−-] (\d+(?:\.\d+)?) %", variant)
    return (match[1], float(match[2])) if match else None
