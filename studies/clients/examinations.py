r"""The examination of samplers on every configuration of the released libraries.

One claim for each library and group of checks; its cases are the configurations for which all of the group holds. What does not hold stands in
:mod:`accusations` (mistakes, with a repair) or beside the configuration (options, defaults, limits of a schedule), and in the table.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fpk.battery import Examination, Finding
from fpk.charts import Chart, Series
from fpk.marginals import Estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._changes import CONTROLS, controlled
from ._configurations import GROUPS, Configuration, examined
from ._libraries import found, loadable, state
from ._remarks import remarks
from ._table import LISTS, configurations

C, R = Outcome.CONFIRMED, Outcome.REFUTED
STATEMENTS = {
    "finiteness": "Every number of steps from one on, in single and double precision, ends with finite positions.",
    "identities": "Times decrease from the prior's to the data's in as many steps as asked for, and every call is told the label of its noise level.",
    "prior": "The sampler's own start has the law its first step is made for.",
    "law": "With the exact model the law at the end is that of the data.",
    "order": "With the exact model errors fall with the order of the scheme, for numbers of steps that divide the schedule's length and for others.",
}
FORMULAS = {
    "finiteness": r"|X_n| < \infty",
    "identities": r"t_0 = T > t_1 > \dots > t_n = 0,\quad X_{t_k} \sim \alpha_{t_k} X_0 + \sigma_{t_k} Z",
    "prior": r"X_{t_0} \sim p_T",
    "law": r"X_{t_n} \sim p_0",
    "order": r"\bigl(\int_0^1 |x_n(u) - F_0^{-1}(u)|^2 du\bigr)^{1/2} = O(n^{-p})",
}
#: Configurations of each claim on which its control is run too.
CONTROLLED = 2


def margin(finding: Finding) -> tuple[float, float]:
    """How far beyond what is allowed, negative where it holds, and a bias bound: infinite where it could not be told."""
    verdict = finding.verdict
    if verdict.outcome is Outcome.UNDECIDED:
        return 0.0, np.inf
    k, allowed = verdict.worst, verdict.tolerance or 1.0
    size = verdict.difference[k] / allowed if verdict.kind == "bound" else abs(verdict.difference[k]) / allowed - 1
    right = size < 0 if verdict.outcome is C else size > 0
    return float(size if right else -1e-3 if verdict.outcome is C else 1.0), 0.0


def evidence_of(examination: Examination, group: str, only: tuple[str, ...] = ()) -> Evidence:
    """The findings of a group (or those that are named) as one-sided bounds."""
    findings = [f for f in examination.findings if f.check in (only or GROUPS[group])]
    sizes = np.array([margin(f) for f in findings])
    first = Estimate(sizes[:, 0], sizes[:, 1], source=_said(examination, findings))
    zero = Estimate(np.zeros(len(findings)), np.zeros(len(findings)), source="what is allowed")
    return Evidence(first, zero, tuple(f.check for f in findings))


def _said(examination: Examination, findings: list[Finding]) -> str:
    """The order, whatever the findings are about, and their lines: what the table is made of."""
    interval = order_interval(examination)
    order = [] if interval is None else [f"order in [{interval[0]:.2f}, {interval[1]:.2f}]"]
    return "; ".join([*order, *(f"{f.check}: {f.line}" for f in findings)])[:300]


def intervals(library: str) -> Chart:
    """Orders of all deterministic configurations with their intervals."""
    rows = [(c.name, c.make().declared["order"], order_interval(examined(c))) for c in configurations(library)]
    kept = [(name, wanted, interval) for name, wanted, interval in rows if interval is not None]
    x, ends = np.arange(float(len(kept))), np.array([np.clip(interval, -1, 6) for _, _, interval in kept])
    seen = Series("enclosed", x, ends.mean(1), ends[:, 0], ends[:, 1])
    scheme = Series("of the scheme", x, np.array([float(wanted) for _, wanted, _ in kept]), kind="reference")
    return Chart(
        f"Orders, {library} {found(library)}", "", "order", (seen, scheme), x_names=tuple(n for n, _, _ in kept)
    )


def order_interval(examination: Examination) -> tuple[float, float] | None:
    """The enclosure of the order; None for samplers without one."""
    return next((interval_of(f.line) for f in examination.findings if f.check == "order"), None)


def interval_of(line: str) -> tuple[float, float] | None:
    """The numbers of a line that says "order in [a, b]"."""
    if "order in [" not in line:
        return None
    low, high = line.split("order in [")[1].split("]")[0].split(",")
    return float(low), float(high)


def holding(library: str, group: str) -> Iterable[Configuration]:
    """The configurations for which everything in a group holds, and of which it says something."""
    for configuration in configurations(library):
        silent = group == "order" and configuration.stochastic
        if not silent and not any(remarks(library, configuration.name, group)):
            yield configuration


def _register(library: str, group: str) -> None:
    by_name = {c.name: c for c in holding(library, group)}
    control = CONTROLS[group][0]
    first = list(by_name)[:CONTROLLED]

    def examination(variant: str, case: str, size: Size, seed: int) -> Evidence:
        configuration = by_name[case]
        if variant != "stated":
            return evidence_of(controlled(configuration.make(), group), group)
        found = evidence_of(examined(configuration), group)
        if group == "order" and case == first[0]:
            return Evidence(found.first, found.second, found.names, charts=(intervals(library),))
        return found

    examination.__name__ = f"{group}_{library.replace('-', '_')}"
    study(
        f"clients.{library}.{group}",
        variants={name: name for name in ("stated", control)},
        cases=tuple(by_name) if loadable(library) else (),
        only_when_named=True,
        applies=lambda variant, case: variant == "stated" or case in first,
        judging=True,
    )(examination)


def _claim(library: str, group: str) -> Claim:
    control, note, _, _ = CONTROLS[group]
    return Claim(
        f"clients.{library}.{group}",
        "bound",
        STATEMENTS[group],
        FORMULAS[group],
        f"{library}, as released",
        {"stated": C, control: R},
        {control: note},
        assumptions=f"{state(library)} Options and defaults that set a limit are remarks of the table.",
    )


for _library in LISTS:
    for _group in GROUPS:
        _register(_library, _group)

CLAIMS = tuple(_claim(library, group) for library in LISTS for group in GROUPS)
