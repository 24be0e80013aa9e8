"""Certificates: a claim in one case as JSON, with the numbers of both sides of all its forms, from which its verdicts can be reached elsewhere.

Beside the certificates stands their checker (:mod:`fpk.certificate_check`), which needs numpy alone and shares no code with the rest of fpk.
Everything that follows from the numbers is rechecked: differences, budgets, standard errors, the tolerance from the controls, and every
verdict. The numbers themselves are taken over, with the seed, versions and command that compute them again.

``python -m fpk.certificates FILE ...`` checks files too.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fpk import certificate_check
from fpk.atomic_files import replace_file
from fpk.errors import StoreError

if TYPE_CHECKING:
    from fpk.marginals import Estimate
    from fpk.records import Judged
    from fpk.study import Claim

RULES = {
    "equality": "REFUTED where no bias within the budgets explains the difference, CONFIRMED where difference, noise and budget stay within the "
    "tolerance: a third of the smallest effect among the controls.",
    "bound": "CONFIRMED where every value is below 0 by more than its noise and budget, REFUTED where one is above 0 by more than these.",
    "order": "CONFIRMED where the interval that encloses the order is within .25 of the claimed one, REFUTED where it is apart from that.",
}
RULES["identity"] = RULES["equality"]
TAKEN_OVER = (
    "value, bias_bound, covariance, coarser, thresholds and block_means of both sides",
    "which outcome is expected of each form",
)
#: What the checker concludes from these; orders have a tolerance of their own, and their interval in place of a difference.
RECHECKED = ("difference", "budget", "standard_error", "tolerance", "verdict", "holds")
LONGEST_NAME = 80


def certificates(
    judged: Sequence[Judged], claims: Mapping[str, Claim], *, options: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """One certificate for each claim and case all of whose records have a verdict; remarks, crashed and incomplete cases have none.

    Parameters
    ----------
    judged : sequence of Judged
        Records with their evidence; those of one claim and case are complete.
    claims : mapping from id to Claim
    options : sequence of str
        Of ``fpk run``, for the command that repeats it.

    Yields
    ------
    dict
        Plain data with the digest of all of it; what it holds is told by the certificate itself under ``rechecked`` and ``taken_over``.
    """
    groups: dict[tuple[str, str], list[Judged]] = {}
    for one in judged:
        if one.record.id in claims:
            groups.setdefault((one.record.id, one.record.case), []).append(one)
    for (id, _), group in groups.items():
        if all(one.verdict is not None and one.evidence is not None for one in group):
            yield _certificate(claims[id], group, options)


def write_certificates(
    judged: Sequence[Judged], claims: Mapping[str, Claim], folder: Path, *, options: Sequence[str] = ()
) -> list[Path]:
    """Write every certificate into a folder, and the checker beside them; parameters as for :func:`certificates`.

    Returns
    -------
    list of Path
        The certificates; the checker is ``folder / "certificate_check.py"``.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    checker = Path(certificate_check.__file__)
    written = []
    replace_file(folder / checker.name, checker.read_bytes())
    for one in certificates(judged, claims, options=options):
        written.append(folder / file_name(one["claim"]["id"], one["case"]))
        replace_file(written[-1], _laid_out(one) + "\n")
    return written


def forget_others(folder: Path, written: Sequence[Path]) -> int:
    """Remove the certificates in a folder that were not written now, and nothing else; returns how many.

    Raises
    ------
    StoreError
        If one cannot be removed.
    """
    own, count = f'"schema": "{certificate_check.SCHEMA}"'.encode(), 0
    try:
        for path in set(folder.glob("*.json")) - set(written):
            if path.is_file() and own in path.read_bytes()[: 2 * len(own)]:
                path.unlink()
                count += 1
    except OSError as error:
        raise StoreError(f"cannot remove earlier certificates in {folder}: {error}. Choose another folder.") from error
    return count


def file_name(id: str, case: str) -> str:
    """The name of a certificate's file: the id and the case where they are plain, with a digest where they are not.

    Examples
    --------
    >>> file_name("S0.E12", "grid"), file_name("S0.E12", ""), file_name("../etc", "")
    ('S0.E12--grid.json', 'S0.E12.json', '_etc-db306e33.json')
    """
    name = f"{id}--{case}" if case else id
    plain = re.sub(r"[^A-Za-z0-9.+-]+", "_", name).lstrip(".")[:LONGEST_NAME]
    return f"{plain}.json" if plain == name else f"{plain}-{zlib.crc32(name.encode('utf-8', 'replace')):08x}.json"


def _certificate(claim: Claim, group: Sequence[Judged], options: Sequence[str]) -> dict[str, Any]:
    from fpk.difference import BETA
    from fpk.records import run_command

    first = group[0].record
    forms = [_form(one) for one in group]
    found = {
        "schema": certificate_check.SCHEMA,
        "claim": {
            name: getattr(claim, name) for name in ("id", "kind", "statement", "formula", "source", "assumptions")
        },
        "case": first.case,
        "study": first.study,
        "size": first.size,
        "repeat": run_command([claim.id], options),
        "versions": {name: version for one in group for name, version in one.record.versions.items()},
        "rule": {"words": RULES[claim.kind], "alpha": max(one.record.alpha or 0.0 for one in group), "beta": BETA},
        "tolerance": _tolerance(claim, group),
        "forms": forms,
        "rechecked": list(RECHECKED),
        "taken_over": list(TAKEN_OVER),
    }
    return found | {"digest": certificate_check.digest_of(found)}


def _tolerance(claim: Claim, group: Sequence[Judged]) -> dict[str, Any]:
    """The tolerance of all forms, and the control it comes from."""
    value = None if group[0].verdict is None else group[0].verdict.tolerance
    if claim.kind in ("bound", "order"):
        return {"value": value, "from": "the rule", "control": None, "effect": None}
    controls = [one.record for one in group if one.record.expected == certificate_check.REFUTED]
    least = min(controls, key=lambda record: record.effect or 0.0, default=None)
    effect = None if least is None else least.effect
    return {
        "value": value,
        "from": "a third of the smallest effect among the controls",
        "control": None if least is None else least.variant,
        "effect": effect,
    }


def _form(one: Judged) -> dict[str, Any]:
    record, verdict, evidence = one.record, one.verdict, one.evidence
    assert verdict is not None, record.id
    assert evidence is not None, record.id
    told = ("variant", "note", "expected", "verdict", "holds", "reason", "method", "functional", "seed", "key")
    from fpk.marginals import zero_estimate

    names = evidence.names if record.kind == "order" else verdict.names
    return {
        **{name: getattr(record, name) for name in told},
        **{name: _plain(getattr(record, name)) for name in ("difference", "budget", "standard_error")},
        "panel": {"digest": evidence.panel, "names": list(names)},
        "first": _side(evidence.first),
        "second": _side(zero_estimate(len(evidence.first.value)) if record.kind == "bound" else evidence.second),
    }


def _side(estimate: Estimate) -> dict[str, Any]:
    return {part.name: _plain(getattr(estimate, part.name)) for part in fields(estimate)}


def _plain(value: Any) -> Any:
    """Lists, numbers and words; numbers that JSON has not are words."""
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _laid_out(value: Any, indent: str = "") -> str:
    """JSON with a line for each entry of a table and each row of an array."""
    inner = indent + " "
    if isinstance(value, dict):
        entries = [
            f"{json.dumps(name, ensure_ascii=False)}: {_laid_out(entry, inner)}" for name, entry in value.items()
        ]
    elif isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        entries = [_laid_out(entry, inner) for entry in value]
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return f"{opened}\n" + ",\n".join(f"{inner}{entry}" for entry in entries) + f"\n{indent}{closed}"


if __name__ == "__main__":
    sys.exit(certificate_check.main(sys.argv[1:]))
