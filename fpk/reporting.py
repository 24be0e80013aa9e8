r"""Reports: judged records as one self-contained page, as Markdown and as JSON lines.

A page needs no script and asks for nothing: styles, formulas (MathML) and drawings (SVG) are in the file, and its
content security policy forbids the rest. Where one page would be larger than a megabyte, the claims of each study file have a page of their own.
Texts come from catalogues, so everything is escaped; formulas are checked element by element and shown as TeX when anything in them is not
plain MathML.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, PackageLoader, StrictUndefined
from latex2mathml.converter import convert
from markupsafe import Markup

from fpk.errors import StoreError
from fpk.records import WORDING, Judged, Record, baseline_rows, counted
from fpk.sections import Section, sections_of, verdict_text
from fpk.study import Claim
from fpk.tables import answered, charted
from fpk.verdict import Outcome
from fpk.wording import number_text

#: Symbols of the verdicts and of remarks, so that no badge relies on its colour.
SYMBOLS = {"CONFIRMED": "=", "REFUTED": "≠", "UNDECIDED": "?", "CRASHED": "!", "WORDING": "¶"}
#: Bytes of a page beyond which its claims are given pages of their own, and the folder of those.
LARGEST_PAGE, PAGES = 1_000_000, "pages"
#: The page of the matrix of mistakes and checks, where claims have pages of their own.
CHECKS_PAGE = "what-the-checks-catch"
#: TeX longer than this is shown as it is.
LONGEST_FORMULA = 1000

# fmt: off
_MATHML = frozenset(
    ("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded", "mphantom",
     "msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "menclose", "mmultiscripts")
)
_MATHML_ATTRIBUTES = frozenset(
    ("display", "displaystyle", "scriptlevel", "mathvariant", "stretchy", "fence", "form", "separator", "largeop",
     "movablelimits", "minsize", "maxsize", "width", "height", "depth", "linethickness", "accent", "accentunder",
     "columnalign", "columnspacing", "rowspacing", "linebreak", "lspace", "rspace", "notation")
)
# fmt: on


def write_report(
    judged: Sequence[Judged], folder: Path, *, claims: Mapping[str, Claim], command: str, seconds: float, size: str
) -> Path:
    """Write ``index.html``, ``report.md``, ``records.jsonl`` and ``verdicts.json`` (what a baseline pins); ``pages/`` where one page is too little.

    Parameters
    ----------
    judged : sequence of Judged
        All records of a run, in the order of the catalogue.
    folder : Path
        Made if it does not exist. Each file is written beside its place and moved there in one step.
    claims : mapping from id to Claim
    command : str
        What repeats the run.
    seconds : float
        How long it took.
    size : str
        Name of the size, quick or full.

    Returns
    -------
    Path
        That of ``index.html``.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    context = _context(judged, claims=claims, command=command, seconds=seconds, size=size)
    lines = [json.dumps(j.record.as_json(), ensure_ascii=False, allow_nan=False) for j in judged]
    rows = baseline_rows([j.record for j in judged])
    pages = {
        "records.jsonl": "".join(f"{line}\n" for line in lines),
        "verdicts.json": "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n",
        "report.md": _rendered("report.md", context),
    } | _html(context)
    _forget(folder / PAGES, pages)
    for name, text in pages.items():
        _replace(folder / name, text)
    return folder / "index.html"


def markdown(judged: Sequence[Judged], *, claims: Mapping[str, Claim], command: str, seconds: float, size: str) -> str:
    """The report as Markdown, for git and CI summaries; parameters as for :func:`write_report`."""
    return _rendered("report.md", _context(judged, claims=claims, command=command, seconds=seconds, size=size))


def _html(context: dict[str, Any]) -> dict[str, str]:
    """The page with all claims, or the one that leads to the pages of the studies, and these; by file name."""
    sections: list[Section] = context["sections"]
    bodies = [_rendered("section.html", {"section": section}) for section in sections]
    links, matrix = _links(sections, None), context["answers"]
    checks = [_rendered("answers.html", context | {"links": links})] if matrix else []
    plain = {"bodies": [*checks, *bodies], "links": links, "checks_link": ""}
    whole = _rendered("report.html", context | plain)
    if len(whole.encode()) <= LARGEST_PAGE:
        return {"index.html": whole}
    studies: dict[str, list[str]] = {}
    for section, body in zip(sections, bodies, strict=True):
        studies.setdefault(section.page, []).append(body)
    if matrix:
        studies[CHECKS_PAGE] = [_rendered("answers.html", context | {"links": _links(sections, "")})]
    link = f"{PAGES}/{CHECKS_PAGE}.html" if matrix else ""
    short = {"bodies": [], "links": _links(sections, f"{PAGES}/"), "checks_link": link}
    index = _rendered("report.html", context | short)
    pages = {name: _rendered("study.html", {"name": name, "bodies": own}) for name, own in studies.items()}
    return {"index.html": index} | {f"{PAGES}/{name}.html": page for name, page in pages.items()}


def _links(sections: Sequence[Section], folder: str | None) -> dict[str, str]:
    """Where each claim is found: on the page itself (None), or on a page of a folder."""
    return {s.head.id: f"#{s.anchor}" if folder is None else f"{folder}{s.page}.html#{s.anchor}" for s in sections}


def mathml(tex: str) -> Markup:
    r"""A formula as MathML; as TeX in ``<code>`` when it cannot be translated or is not plain MathML afterwards.

    Examples
    --------
    >>> mathml("x")
    Markup('<math display="block"><mrow><mi>x</mi></mrow></math>')
    >>> mathml(r"\text{<script>}")
    Markup('<code>\\text{&lt;script&gt;}</code>')
    """
    if not tex.strip():
        return Markup("")
    try:
        root = ElementTree.fromstring(convert(tex[: LONGEST_FORMULA + 1], display="block"))
    except Exception:  # the translator fails in many ways (IndexError among them) on TeX it does not know
        return _tex(tex)
    if len(tex) > LONGEST_FORMULA or not all(_plain(element) for element in root.iter()):
        return _tex(tex)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _tex(tex: str) -> Markup:
    return Markup("<code>{}</code>").format(tex)


def _plain(element: ElementTree.Element) -> bool:
    """Whether an element is MathML without unknown commands left in it; drops its namespace and doubtful attributes."""
    element.tag = element.tag.rpartition("}")[2]
    element.attrib = {name: value for name, value in element.attrib.items() if name in _MATHML_ATTRIBUTES}
    return element.tag in _MATHML and "\\" not in (element.text or "")


def _context(
    judged: Sequence[Judged], *, claims: Mapping[str, Claim], command: str, seconds: float, size: str
) -> dict[str, Any]:
    records = [j.record for j in judged]
    failing = sorted((r for r in records if not r.holds), key=_urgency)
    remarks = [r for r in records if r.kind == WORDING]
    sections = list(sections_of([j for j in judged if j.record.kind != WORDING], claims, size))
    return {
        "sections": sections,
        "tables": charted(judged),
        "answers": answered(judged),
        "failing": failing,
        "remarks": remarks,
        "title": f"{len(records) - len(failing)} of {len(records)} records hold",
        "breakdown": _breakdown(failing),
        "counts": counted(records),
        "command": command,
        "seconds": seconds,
        "size": size,
        "versions": _versions(records),
        "symbols": SYMBOLS,
    }


def _urgency(record: Record) -> int:
    """Crashed records first, then contradictions, then what is undecided."""
    return 0 if record.verdict is None else 2 if record.verdict == Outcome.UNDECIDED else 1


def _breakdown(failing: Sequence[Record]) -> str:
    """What is the matter with the records that do not hold, as the end of a sentence."""
    names = ("crashed", "against expectation", "undecided")
    found = Counter(names[_urgency(record)] for record in failing)
    return ", ".join(f"{found[name]} {name}" for name in names if found[name])


def _versions(records: Sequence[Record]) -> dict[str, str]:
    """Versions behind the records; several of one package, as stored evidence may have, are all named."""
    found: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            found.setdefault(package, set()).add(version)
    return {package: " and ".join(sorted(known)) for package, known in found.items()}


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _markdown_text(text: object) -> object:
    """Plain text within a Markdown table or paragraph; Markup is left as it is."""
    if isinstance(text, Markup) or not isinstance(text, str):
        return text
    return re.sub(r"([\\`*\[\]<>|$~])", r"\\\1", re.sub(r"[\x00-\x20\x7f]+", " ", text))


def _fenced(text: str) -> Markup:
    """Text for a code block: without the fence that would end it."""
    return Markup(re.sub("`{3,}", "``", text).replace("\x00", ""))


@lru_cache(maxsize=2)
def _environment(name: str) -> Environment:
    is_page = name.endswith(".html")
    environment = Environment(
        loader=PackageLoader("fpk"),
        autoescape=is_page,
        finalize=None if is_page else _markdown_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": number_text,
        "mathml": mathml,
        "verdict": verdict_text,
        "time": _time,
        "fenced": _fenced,
    }
    return environment


def _rendered(name: str, context: Mapping[str, Any]) -> str:
    # A lone surrogate cannot be written as UTF-8, and NUL ends a page early for some readers.
    text = _environment(name).get_template(name).render(context)
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def _forget(folder: Path, pages: Mapping[str, str]) -> None:
    """Remove the pages of an earlier report that this one has not."""
    for old in folder.glob("*.html"):
        if f"{folder.name}/{old.name}" not in pages:
            old.unlink()


def _replace(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}. Free some space or choose another folder.") from error
