r"""JUnit XML: the records of a run as test cases, for services that show test results.

One suite for each study file and one case for each record. A record that does not hold is a ``failure`` whose type is its verdict; a case that
crashed is an ``error``. Only elements and attributes that every reader of the format knows are written, and nothing that changes from day to day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from fpk.records import Record
from fpk.wording import UNSEEN, number_text, one_line

#: Longest name, message and text.
NAME, MESSAGE, TEXT = 300, 1000, 20_000


def junit(records: Sequence[Record]) -> str:
    """The XML of some records, in their order within each suite.

    Parameters
    ----------
    records : sequence of Record

    Returns
    -------
    str
        A document with the root ``testsuites``; characters that XML forbids are left out.

    Examples
    --------
    >>> print(junit([]))
    <?xml version="1.0" encoding="utf-8"?>
    <testsuites name="fpk" tests="0" failures="0" errors="0" skipped="0" time="0.000"/>
    """
    suites: dict[str, list[Record]] = {}
    for record in records:
        suites.setdefault(_suite_name(record), []).append(record)
    root = ElementTree.Element("testsuites", _totals("fpk", records))
    for name, own in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", _totals(name, own))
        for record in own:
            _add_case(suite, name, record)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite_name(record: Record) -> str:
    return one_line(record.study.rpartition(".")[0] or record.kind, NAME)


def _totals(name: str, records: Sequence[Record]) -> dict[str, str]:
    crashed = sum(bool(record.error) for record in records)
    failed = sum(not record.holds and not record.error for record in records)
    seconds = sum(record.cost_seconds or 0.0 for record in records)
    counts = {"tests": len(records), "failures": failed, "errors": crashed, "skipped": 0}
    return {"name": name} | {key: str(count) for key, count in counts.items()} | {"time": f"{seconds:.3f}"}


def _add_case(suite: ElementTree.Element, name: str, record: Record) -> None:
    where = f"{record.id}: {record.variant}" + (f" [{record.case}]" if record.case else "")
    head = {"classname": name, "name": one_line(where, NAME), "time": f"{record.cost_seconds or 0.0:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", head)
    if record.error:
        said = {"message": one_line(record.error, MESSAGE), "type": record.found}
        ElementTree.SubElement(case, "error", said).text = _legal(record.error)
    elif not record.holds:
        verdict = record.verdict or "no verdict"
        said = {
            "message": one_line(f"{verdict}, expected {record.expected}. {record.reason}", MESSAGE),
            "type": verdict,
        }
        ElementTree.SubElement(case, "failure", said).text = _legal(_reason(record))


def _reason(record: Record) -> str:
    """The numbers behind a verdict, a line each."""
    numbers = {
        "difference": record.difference, "budget": record.budget, "standard error": record.standard_error, "tolerance": record.tolerance,
        "smallest detectable effect": record.mde,
    }  # fmt: skip
    lines = [
        record.statement,
        " | ".join(record.pair),
        record.reason,
        record.functional and f"decided by {record.functional}",
    ]
    lines += [f"{name} {number_text(value)}" for name, value in numbers.items() if value is not None]
    return "\n".join(line for line in [*lines, record.remedy and f"remedy: {record.remedy}"] if line)


def _legal(text: str) -> str:
    """Text without the characters that XML forbids and those that are not seen, of bounded length."""
    return re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", UNSEEN.sub("", text[:TEXT]))
