"""Sections of a report: one claim with its records, as templates want it; groups of them, one for each study file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from fpk.counts import counting
from fpk.figures import chart_figures, density_figures, effect_figure, functional_figures, order_figures
from fpk.figures.drawing import by_case
from fpk.records import Judged, Record, run_command
from fpk.study import Claim
from fpk.verdict import Outcome
from fpk.wording import margin_text, one_line, summary

#: Records of one part of a section, about: a claim with more of them has several.
PART = 300
#: Names of cases that a list of claims shows.
SHOWN_CASES = 4
#: Addresses on a page that are no claim's.
TAKEN = ("claims", "failures", "checks", "wording", "since", "studies", "main", "pages")


@dataclass(frozen=True)
class Section:
    """One claim with its records, ready for a template; ``part`` says which of several parts it is."""

    claim: Claim | None
    group: tuple[Judged, ...]
    anchor: str
    options: Sequence[str]
    part: str = ""

    @property
    def parts(self) -> list[Section]:
        """The section in pieces of at most :data:`PART` records, cases whole where they are no larger; itself where it is one."""
        if len(self.group) <= PART:
            return [self]
        pieces: list[list[Judged]] = [[]]
        for own in by_case(self.group).values():
            for start in range(0, len(own), PART):
                piece = own[start : start + PART]
                if len(pieces[-1]) + len(piece) > PART:
                    pieces.append([])
                pieces[-1] += piece
        total, first = len(pieces), self.anchor
        return [
            replace(self, group=tuple(own), anchor=f"{first}_{k}" if k > 1 else first, part=f"part {k} of {total}")
            for k, own in enumerate(pieces, 1)
        ]

    @property
    def page(self) -> str:
        """The file of its study, without what an address cannot hold."""
        return _plain(self.head.study.rpartition(".")[0]).lower() or "other"

    @property
    def records(self) -> list[Record]:
        """Stated forms first, then controls."""
        return sorted((j.record for j in self.group), key=lambda r: not r.stated)

    @property
    def head(self) -> Record:
        """Any record: what belongs to the claim is the same in all."""
        return self.group[0].record

    @property
    def forms(self) -> dict[str, list[str]]:
        """Verdicts of every stated form, one for each case, without repetition; and what there is in place of verdicts of controls."""
        out: dict[str, list[str]] = {}
        for record in self.records:
            if record.stated or record.verdict is None:
                told = out.setdefault(record.variant if record.stated else "controls", [])
                told += [verdict_text(record)] * (verdict_text(record) not in told)
        return out

    @property
    def margin(self) -> str:
        """Room left for the form to be confirmed, in its worst case."""
        return margin_text([j for j in self.group if j.record.stated and j.record.expected == Outcome.CONFIRMED])

    @property
    def controls(self) -> str:
        """How many of the variants that must be refuted are."""
        wrong = [j.record for j in self.group if j.record.expected == Outcome.REFUTED]
        return f"{sum(r.verdict == Outcome.REFUTED for r in wrong)}/{len(wrong)}"

    @property
    def cases(self) -> list[str]:
        """Names of the cases."""
        return list(dict.fromkeys(j.record.case for j in self.group if j.record.case))

    @property
    def told_cases(self) -> list[str]:
        """Names of the first cases, and how many more there are."""
        more = len(self.cases) - SHOWN_CASES
        return [one_line(case, 80) for case in self.cases[:SHOWN_CASES]] + ([f"and {more} more"] if more > 0 else [])

    @property
    def holds(self) -> bool:
        """Whether every record of the claim does."""
        return all(j.record.holds for j in self.group)

    @property
    def assumptions(self) -> str:
        """Assumptions of the claim, if any."""
        return self.claim.assumptions if self.claim is not None else ""

    @property
    def notes(self) -> dict[str, str]:
        """What each variant is, where the catalogue says so."""
        return {r.variant: r.note for r in self.records if r.note}

    @property
    def routes(self) -> list[str]:
        """The pairs of sources that were compared by the stated forms."""
        return list(dict.fromkeys(" | ".join(r.pair) for r in self.records if r.stated and any(r.pair)))

    @property
    def words(self) -> str:
        """What the effect drawing shows."""
        return summary(self.group)

    @property
    def densities(self) -> list[Markup]:
        """Density drawings; Markup, as :mod:`fpk.figures` escapes."""
        return [Markup(drawing) for drawing in density_figures(self.group)]

    @property
    def charts(self) -> list[Markup]:
        """Chart drawings of the stated forms, case by case."""
        return [Markup(drawing) for drawing in dict.fromkeys(chart_figures(self.group))]

    @property
    def orders(self) -> list[Markup]:
        """Drawings of errors against step sizes."""
        return [Markup(drawing) for drawing in order_figures(self.group)]

    @property
    def functionals(self) -> list[Markup]:
        """The drawing of every functional's difference, if there are several."""
        return [Markup(drawing) for drawing in functional_figures(self.group)]

    @property
    def effects(self) -> Markup:
        """The effect drawing."""
        return Markup(effect_figure(self.group))

    @property
    def rerun(self) -> str:
        """The command that computes and judges exactly this claim."""
        return run_command([one_line(self.head.id, 400)], self.options)


@dataclass(frozen=True)
class StudyFile:
    """The claims of one study file."""

    name: str
    sections: tuple[Section, ...]

    @property
    def anchor(self) -> str:
        """An address that no claim has."""
        return f"study_{self.name}"

    @property
    def records(self) -> int:
        """How many records its claims have."""
        return sum(len(section.group) for section in self.sections)

    @property
    def held(self) -> int:
        """How many of them hold."""
        return sum(j.record.holds for section in self.sections for j in section.group)

    @property
    def holds(self) -> bool:
        """Whether all of them do."""
        return self.held == self.records

    @property
    def words(self) -> str:
        """How many claims, and whether their records hold."""
        claims = counting(len(self.sections), "claim")
        return f"{claims}, {self.held} of {self.records} records hold"


def studies_of(sections: Sequence[Section]) -> list[StudyFile]:
    """The sections by study file, in the order of their first claims."""
    pages: dict[str, list[Section]] = {}
    for section in sections:
        pages.setdefault(section.page, []).append(section)
    return [StudyFile(name, tuple(own)) for name, own in pages.items()]


def sections_of(judged: Sequence[Judged], claims: Mapping[str, Claim], options: Sequence[str]) -> Iterator[Section]:
    """One section for each claim, in the order of the records; ``options`` of ``fpk run`` give these again."""
    groups: dict[str, list[Judged]] = {}
    for j in judged:
        groups.setdefault(j.record.id, []).append(j)
    taken: set[str] = {*TAKEN}
    for id, group in groups.items():
        yield Section(claims.get(id), tuple(group), _anchor(id, taken), options)


def _anchor(id: str, taken: set[str]) -> str:
    """An address within the page: the id where it is plain, and always another one than those taken."""
    plain = _plain(id) or "claim"
    anchor = next(a for k in range(len(taken) + 1) if (a := plain if k == 0 else f"{plain}-{k + 1}") not in taken)
    taken.add(anchor)
    return anchor


def _plain(text: str) -> str:
    """Letters, digits, dots and hyphens of a text, at most 60."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:60]


def verdict_text(record: Record) -> str:
    """The verdict, or that the case crashed or is missing."""
    return record.found
