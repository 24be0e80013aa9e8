r"""Tables: the charts of a run as rows of text, for Markdown and terminals, and what every check said in claims whose numbers are verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpk.charts import Chart, Series
from fpk.records import Judged
from fpk.study import CHECKS, near_miss
from fpk.verdict import Outcome
from fpk.wording import number_text

#: Rows of one table, about; controls in one chart, at most.
ROWS, CONTROLS = 15, 3


@dataclass(frozen=True)
class Table:
    """A chart as text.

    Parameters
    ----------
    claim, where, title : str
        ``where`` names the form (unless *stated*) and the case.
    head : tuple of str
        Names of the four columns: series, x, y, ends of bar or band.
    rows : tuple of tuple of str
    left_out : int
        Points that have no row.
    """

    claim: str
    where: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int

    def __str__(self) -> str:
        """Columns for a terminal, below the title."""
        cells = [self.head, *self.rows]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.head))]
        where = f" ({self.where})" if self.where else ""
        more = f"; {self.left_out} further points are drawn in the report" if self.left_out else ""
        lines = [
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
            for row in cells
        ]
        return "\n".join([f"{self.title}{where}{more}", *("    " + "  ".join(line).rstrip() for line in lines)])


def charted(judged: Iterable[Judged]) -> list[Table]:
    """The charts of all stated forms, in the order of the records."""
    return [_table(j, chart) for j, chart in charts_of(judged)]


def charts_of(judged: Iterable[Judged]) -> list[tuple[Judged, Chart]]:
    """The charts of all stated forms, in the order of the records, with the series of controls where they ask for them, near misses first."""
    known = [j for j in judged if j.evidence is not None and j.evidence.charts]
    return [(j, _beside_controls(j, chart, known)) for j in known if j.record.stated for chart in j.evidence.charts]  # type: ignore[union-attr]


def _beside_controls(stated: Judged, chart: Chart, known: Sequence[Judged]) -> Chart:
    if not chart.with_controls:
        return chart
    own = [j for j in known if (j.record.id, j.record.case) == (stated.record.id, stated.record.case)]
    others = {
        j.record.variant: one
        for j in sorted(own, key=lambda j: near_miss(j.record.variant) is None)
        if j.record.expected == Outcome.REFUTED and not j.record.stated
        for one in j.evidence.charts  # type: ignore[union-attr]
        if one.title == chart.title
    }
    return chart.beside(dict(list(others.items())[:CONTROLS]))


def _table(judged: Judged, chart: Chart) -> Table:
    record = judged.record
    where = ", ".join(part for part in (record.variant.replace("stated", ""), record.case) if part)
    own = [one for one in chart.series if one.kind != "reference"]
    share = max(2, ROWS // max(len(own), 1))
    rows = [_row(chart, one, k) for one in own for k in _kept(len(one.x), share)]
    left_out = sum(len(one.x) for one in own) - len(rows)
    rows += [_row(chart, one, k) for one in chart.series if one.kind == "reference" for k in _ends(one)]
    head = ("", chart.x_label or "case", chart.y_label, "from – to")
    return Table(record.id, where, chart.title, head, tuple(rows), left_out)


def _kept(count: int, share: int) -> Sequence[int]:
    """Places evenly spread over a series, its ends among them."""
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, share))})


def _ends(one: Series) -> Sequence[int]:
    """First and last place of what others are held against; one where it is constant."""
    return [0] if len(one.y) and np.ptp(one.y) == 0 else _kept(len(one.y), 2)


def _row(chart: Chart, one: Series, k: int) -> tuple[str, str, str, str]:
    x, names = float(one.x[k]), chart.x_names
    place = names[int(x)] if names and x in range(len(names)) else number_text(x)
    constant = one.kind == "reference" and len(_ends(one)) == 1
    ends = f"{number_text(float(one.lower[k]))} – {number_text(float(one.upper[k]))}" if len(one.lower) else ""
    return one.name, "" if constant else place, number_text(float(one.y[k])), ends


# -- verdicts as numbers -----------------------------------------------------------------------------------------------

#: What a check's verdict is counted as, where a study hands over verdicts: below 0 confirmed, above 0 refuted.
ANSWERS = {-1.0: Outcome.CONFIRMED, 0.0: Outcome.UNDECIDED, 1.0: Outcome.REFUTED}


@dataclass(frozen=True)
class Answers:
    """What every check said of every variant: the matrix of mistakes and checks.

    Parameters
    ----------
    checks : tuple of str
        Columns.
    rows : tuple of (Judged, tuple of Outcome or None)
        None where a check was not made.
    """

    checks: tuple[str, ...]
    rows: tuple[tuple[Judged, tuple[Outcome | None, ...]], ...]

    def refuted(self, check: str) -> int:
        """How many variants a check refutes."""
        k = self.checks.index(check)
        return sum(row[k] is Outcome.REFUTED for _, row in self.rows)


def answered(judged: Iterable[Judged]) -> list[Answers]:
    """The records whose evidence is the verdicts of checks, one matrix for those that share some, each in the order of the records."""
    groups: list[list[tuple[Judged, dict[str, Outcome]]]] = []
    for one in judged:
        if said := _said(one):
            _joined(groups, said).append((one, said))
    return [_matrix(group) for group in groups]


def _joined(groups: list[Any], said: dict[str, Outcome]) -> list[Any]:
    """The group that shares a check, at the place of the first; all that do are one from now on."""
    alike = [group for group in groups if any(said.keys() & other.keys() for _, other in group)]
    if not alike:
        groups.append([])
        return groups[-1]
    for group in alike[1:]:
        alike[0] += group
    groups[:] = [group for group in groups if not any(group is other for other in alike[1:])]
    return alike[0]


def _matrix(found: Sequence[tuple[Judged, dict[str, Outcome]]]) -> Answers:
    checks = tuple(dict.fromkeys(name for _, said in found for name in said))
    return Answers(checks, tuple((j, tuple(said.get(name) for name in checks)) for j, said in found))


def _said(judged: Judged) -> dict[str, Outcome]:
    """Verdicts by check; none for evidence of another kind."""
    evidence = judged.evidence
    if evidence is None or evidence.panel != CHECKS:
        return {}
    return {name: ANSWERS[float(value)] for name, value in zip(evidence.names, evidence.first.value, strict=True)}
