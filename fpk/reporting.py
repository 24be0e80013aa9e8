r"""Reports: judged records as pages, as Markdown, as JSON lines and as JUnit XML.

A page needs no script and asks for nothing: styles, formulas (MathML) and drawings (SVG) are in the file, and its
content security policy forbids the rest. Where one page would be larger than a megabyte, the claims of each study file have a page of their own,
or several; a claim with very many records is told in parts. Texts come from catalogues, so :mod:`fpk.rendering` escapes everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from fpk.atomic_files import discard, left_over, parts_in, replace_files
from fpk.changes import Change, changes, grouped_inputs, read_records
from fpk.junit import junit
from fpk.records import WORDING, Judged, Record, baseline_rows, counted
from fpk.rendering import SYMBOLS, json_text, mathml, rendered
from fpk.runs import FACTS, check_own, facts, is_page, runs_beside
from fpk.sections import Section, StudyFile, sections_of, studies_of
from fpk.study import Claim
from fpk.tables import Answers, answered, charted
from fpk.verdict import Outcome

__all__ = ["LARGEST_PAGE", "SYMBOLS", "markdown", "mathml", "write_report"]

#: Bytes of a page beyond which its claims are given pages of their own, and the folder of those.
LARGEST_PAGE, PAGES = 1_000_000, "pages"
#: Bytes of Markdown beyond which the records of claims that hold are left out: code hosts show no more.
LARGEST_MARKDOWN = 500_000
#: The page of the matrix of mistakes and checks, where claims have pages of their own.
CHECKS_PAGE = "what-the-checks-catch"
#: Records that do not hold, changes of a kind, remarks, and rows of a matrix: more of them are counted, not listed.
MOST = 200


@dataclass(frozen=True)
class Since:
    """What changed since an earlier run: its name, and the changes by kind, flips first."""

    name: str
    kinds: dict[str, list[Change]]
    inputs: list[tuple[str, int]]


def write_report(
    judged: Sequence[Judged],
    folder: Path,
    *,
    claims: Mapping[str, Claim],
    command: str,
    seconds: float,
    size: str,
    options: Sequence[str] | None = None,
    left_out: Sequence[str] = (),
    since: Path | str | Iterable[Mapping[str, Any]] | None = None,
) -> Path:
    """Write ``index.html``, ``report.md``, ``records.jsonl``, ``junit.xml``, ``verdicts.json`` (what a baseline pins) and ``run.json``.

    ``pages/`` is added where one page is too little, and ``runs.html`` where there are other reports beside the folder.

    Parameters
    ----------
    judged : sequence of Judged
        All records of a run, in the order of the catalogue.
    folder : Path
        Made if it does not exist. The files with numbers are written beside their places and moved there when all are written, then the pages.
    claims : mapping from id to Claim
    command : str
        What repeats the run.
    seconds : float
        How long it took.
    size : str
        Name of the size, quick or full.
    options : sequence of str, optional
        Of ``fpk run``, with which it gives the same records for a claim that is named; default: those of the size.
    left_out : sequence of str
        Claims that were asked for and of which there is nothing.
    since : Path or str, or rows as :func:`fpk.changes.read_records` gives them, optional
        An earlier report, or its rows: what changed is told first.

    Returns
    -------
    Path
        That of ``index.html``.

    Raises
    ------
    StoreError
        If the folder cannot be written, if that would replace what is not fpk's, or if there is no report to tell changes from; nothing is
        written then.
    """
    check_own(folder)
    records = [j.record for j in judged]
    told = _since(records, since)  # read before anything is written: it may be the same folder
    plain = [record.as_json() for record in records]
    context = _context(judged, claims=claims, command=command, seconds=seconds, size=size, options=options)
    context |= {"since": told, "left_out": left_out}
    rows, said = baseline_rows(records), facts(command, size, seconds, context["counts"])
    files = {
        "records.jsonl": "".join(f"{json_text(row)}\n" for row in plain),
        "verdicts.json": _lines(rows),
        "junit.xml": junit(records),
        "report.md": _short_markdown(context),
        FACTS: json_text(said) + "\n",
    }
    runs = runs_beside(folder, now=(said, rows))
    pages = _html(context | {"others": len(runs) > 1})
    if len(runs) > 1:
        pages["runs.html"] = rendered("runs.html", {"runs": runs, "own": folder.resolve().name, "most": MOST})
    replace_files(folder, {"index.html": pages["index.html"]} | pages | files)
    _forget(folder, pages)
    return folder / "index.html"


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "[\n" + ",\n".join(map(json_text, rows)) + "\n]\n"


def markdown(judged: Sequence[Judged], *, claims: Mapping[str, Claim], command: str, seconds: float, size: str) -> str:
    """The report as Markdown, for git and CI summaries; parameters as for :func:`write_report`."""
    return _short_markdown(_context(judged, claims=claims, command=command, seconds=seconds, size=size))


def _short_markdown(context: dict[str, Any]) -> str:
    """The whole of it, or with less detail where that is more than code hosts show."""
    text = ""
    for detail in ("all", "failing", "none", "brief"):
        text = rendered("report.md", context | {"detail": detail})
        if len(text.encode()) <= LARGEST_MARKDOWN:
            break
    return text


# -- pages -------------------------------------------------------------------------------------------------------------


@dataclass
class _Page:
    """A page below the index: what stands on it."""

    file: str
    title: str
    sections: list[Section] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    weight: int = 0

    @property
    def study(self) -> StudyFile:
        """The claims that begin on it."""
        return StudyFile(self.title, tuple(self.sections))


def _html(context: dict[str, Any]) -> dict[str, str]:
    """The page with all claims, or the one that leads to the pages of the studies, and these; by file name."""
    sections: list[Section] = context["sections"]
    parts = [(section, [rendered("section.html", {"section": part}) for part in section.parts]) for section in sections]
    matrices = [
        rendered("answers.html", {"matrix": matrix, "links": _links(sections)}) for matrix in context["answers"]
    ]
    bodies = [*([_checks_head()] if matrices else []), *matrices, *(body for _, own in parts for body in own)]
    whole = {"pages": [], "places": {}, "bodies": bodies, "links": _links(sections)}
    if sum(map(len, bodies)) < LARGEST_PAGE:
        text = rendered("report.html", context | whole)
        if len(text.encode()) <= LARGEST_PAGE:
            return {"index.html": text}
    return _several(context, parts)


def _several(context: dict[str, Any], parts: Sequence[tuple[Section, list[str]]]) -> dict[str, str]:
    """The index and the pages of the studies; the index names the claims where there is room."""
    pages, places = _packed(parts)
    if context["answers"]:
        pages += _checks_pages(context["answers"], {id: _beside(place, "") for id, place in places.items()}, pages)
    links = {id: _beside(place, f"{PAGES}/") for id, place in places.items()}
    studies = {study.name: f"{PAGES}/{study.name}.html" for study in context["studies"]}
    told = context | {"bodies": [], "links": links, "pages": pages, "places": studies}
    index = rendered("report.html", told)
    if len(index.encode()) > LARGEST_PAGE:
        index = rendered("report.html", told | {"brief": True, "most": MOST // 5})
    out = {"index.html": index}
    for k, page in enumerate(pages):
        around = {"before": pages[k - 1] if k else None, "after": pages[k + 1] if k + 1 < len(pages) else None}
        own = {section.head.id: _beside(places[section.head.id], "") for section in page.sections}
        out[f"{PAGES}/{page.file}"] = rendered("study.html", {"page": page, "links": own, **around})
    return out


def _packed(parts: Sequence[tuple[Section, list[str]]]) -> tuple[list[_Page], dict[str, tuple[str, str]]]:
    """The bodies of all sections on pages of bounded size, by study; and file and address of every claim."""
    pages: dict[str, list[_Page]] = {}
    places: dict[str, tuple[str, str]] = {}
    for section, bodies in parts:
        own = pages.setdefault(section.page, [_Page(f"{section.page}.html", section.page)])
        for k, body in enumerate(bodies):
            weight = len(body.encode()) + 2000  # its row in the list of claims, at most
            if own[-1].bodies and own[-1].weight + weight > 0.95 * LARGEST_PAGE:
                number = len(own) + 1
                own.append(_Page(f"{section.page}_{number}.html", f"{section.page} ({number})"))
            page = own[-1]
            page.bodies.append(body)
            page.weight += weight
            if not k:
                page.sections.append(section)
                places[section.head.id] = page.file, section.anchor
    return [page for own in pages.values() for page in own], places


def _checks_pages(matrices: Sequence[Answers], links: Mapping[str, str], taken: Sequence[_Page]) -> list[_Page]:
    """What the checks catch, on pages of its own."""
    name = CHECKS_PAGE + "_" * any(page.file == f"{CHECKS_PAGE}.html" for page in taken)
    title, pages = "What the checks catch", [_Page(f"{name}.html", "What the checks catch", bodies=[_checks_head()])]
    for matrix in matrices:
        body = rendered("answers.html", {"matrix": matrix, "links": links})
        if pages[-1].weight and pages[-1].weight + len(body.encode()) > 0.95 * LARGEST_PAGE:
            pages.append(_Page(f"{name}_{len(pages) + 1}.html", f"{title} ({len(pages) + 1})"))
        pages[-1].bodies.append(body)
        pages[-1].weight += len(body.encode())
    return pages


def _checks_head() -> str:
    return rendered("checks.html", {})


def _beside(place: tuple[str, str], folder: str) -> str:
    return f"{folder}{place[0]}#{place[1]}"


def _links(sections: Sequence[Section]) -> dict[str, str]:
    """Where each claim is found on the page itself."""
    return {section.head.id: f"#{section.anchor}" for section in sections}


# -- what templates are told -------------------------------------------------------------------------------------------


def _context(
    judged: Sequence[Judged],
    *,
    claims: Mapping[str, Claim],
    command: str,
    seconds: float,
    size: str,
    options: Sequence[str] | None = None,
) -> dict[str, Any]:
    options = ["--quick"] * (size == "quick") if options is None else options
    records = [j.record for j in judged]
    failing = sorted((r for r in records if not r.holds), key=_urgency)
    remarks = [r for r in records if r.kind == WORDING]
    tables = charted(judged)
    sections = list(sections_of([j for j in judged if j.record.kind != WORDING], claims, options))
    return {
        "sections": sections,
        "studies": studies_of(sections),
        "tables": tables[:MOST],
        "tables_left": len(tables[MOST:]),
        "answers": [part for matrix in answered(judged) for part in _in_parts(matrix)],
        "failing": failing,
        "most": MOST,
        "since": None,
        "left_out": (),
        "others": False,
        "brief": False,
        "remarks": remarks,
        "title": f"{len(records) - len(failing)} of {len(records)} records hold",
        "breakdown": _breakdown(failing),
        "counts": counted(records),
        "command": command,
        "seconds": seconds,
        "size": size,
        "versions": _versions(records),
    }


def _in_parts(matrix: Answers) -> list[Answers]:
    """A matrix of at most so many rows each, so that no page is too large."""
    starts = range(0, len(matrix.rows), 2 * MOST)
    return [replace(matrix, rows=matrix.rows[start : start + 2 * MOST]) for start in starts]


def _since(records: Sequence[Record], since: Path | str | Iterable[Mapping[str, Any]] | None) -> Since | None:
    if since is None:
        return None
    place = Path(since) if isinstance(since, str | Path) else None
    before = read_records(place) if place is not None else cast("Iterable[Mapping[str, Any]]", since)
    found = changes(before, [record.as_json() for record in records])
    kinds: dict[str, list[Change]] = {}
    for change in found:
        kinds.setdefault(change.kind, []).append(change)
    name = "the run before" if place is None else place.resolve().name or str(place)
    return Since(name, kinds, grouped_inputs(found))


def _urgency(record: Record) -> int:
    """Crashed and missing records first, then contradictions, then what is undecided."""
    return 0 if record.verdict is None else 2 if record.verdict == Outcome.UNDECIDED else 1


def _breakdown(failing: Sequence[Record]) -> str:
    """What is the matter with the records that do not hold, as the end of a sentence."""
    names = ("", "against expectation", "undecided")
    found = Counter(names[_urgency(record)] or record.found.lower() for record in failing)
    return ", ".join(f"{found[name]} {name}" for name in ("crashed", "missing", *names[1:]) if found[name])


def _versions(records: Sequence[Record]) -> dict[str, str]:
    """Versions behind the records; several of one package, as stored evidence may have, are all named."""
    found: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            found.setdefault(package, set()).add(version)
    return {package: " and ".join(sorted(known)) for package, known in found.items()}


def _forget(folder: Path, pages: Mapping[str, str]) -> None:
    """Remove the pages of an earlier report that this one has not, and what killed ones left half written."""
    for old in [*(folder / PAGES).glob("*.html"), *folder.glob("runs.html")]:
        if old.relative_to(folder).as_posix() not in pages and is_page(old):
            discard(old)
    left_over([*parts_in(folder), *parts_in(folder / PAGES)], remove=True)
