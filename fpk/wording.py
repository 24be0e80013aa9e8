r"""Wording: numbers, records and claims in words, for reports and figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from fpk.difference import EXCESS
from fpk.laws import Array
from fpk.records import Judged
from fpk.verdict import Outcome, Verdict

#: Characters that are not seen but do something: they end pages, move terminals or turn the direction of everything after them.
UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
#: Standard errors that count as noise: those of the rule that confirms (β = 10⁻³).
NOISE = 3.09


def number_text(value: float | None) -> str:
    """A number for people: three digits and a short exponent; – for None and ∞ for infinite.

    Examples
    --------
    >>> number_text(1.234e-08), number_text(0.25), number_text(None), number_text(float("inf"))
    ('1.23e−8', '0.25', '–', '∞')
    """
    if value is None or np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:.3g}").replace("-", "−")


def one_line(text: str, length: int) -> str:
    """One line, without :data:`UNSEEN` characters and others that XML forbids, cut to a length."""
    head = text[: 20 * length + 200]  # enough, however much of it is space
    clean = " ".join(re.sub(r"[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", UNSEEN.sub(" ", head)).split())
    return clean if len(clean) <= length and len(head) == len(text) else clean[: length - 1] + "…"


def noise(verdict: Verdict) -> Array:
    """What budget and sampling noise explain, b + z se, for each functional."""
    return verdict.budget + NOISE * verdict.standard_error


def deciding(verdict: Verdict) -> int:
    """Index of the functional to show: the worst, or for a bound the one closest to violating it."""
    return int(np.argmax(verdict.difference + noise(verdict))) if verdict.kind == "bound" else verdict.worst


def surely_seen(verdict: Verdict) -> float:
    """Where refutation is sure: ten budgets of the deciding functional, for samples the minimum detectable effect."""
    sampled = bool(np.any(verdict.standard_error > 0))
    return verdict.mde if sampled else min(EXCESS * float(verdict.budget[deciding(verdict)]), verdict.mde)


def deciding_difference(judged: Judged) -> float:
    """The difference of the deciding functional; NaN when the case crashed or is missing."""
    return float(judged.verdict.difference[deciding(judged.verdict)]) if judged.verdict is not None else np.nan


def margin(judged: Judged) -> float | None:
    """How many times what may separate the two sides fits into the tolerance; None without verdict or tolerance."""
    verdict = judged.verdict
    if verdict is None or verdict.tolerance is None:
        return None
    reach = float(np.max(np.abs(verdict.difference) + noise(verdict)))
    return verdict.tolerance / reach if reach > 0 else np.inf


def margin_text(group: Sequence[Judged]) -> str:
    """The smallest margin of several records; for bounds, what is to spare."""
    if group and group[0].record.kind == "bound":
        spare = [-float(np.max(j.verdict.difference + noise(j.verdict))) for j in group if j.verdict is not None]
        return f"{number_text(min(spare))} to spare" if spare else "–"
    known = [m for j in group if (m := margin(j)) is not None]
    if not known:
        return "–"
    smallest = min(known)
    return f"{smallest:,.0f}×" if 100 <= smallest < 1e6 else f"{number_text(smallest)}×"


def summary(group: Sequence[Judged]) -> str:
    """What the effect drawing of a claim shows, in one to three sentences."""
    known = [j for j in group if j.verdict is not None]
    right = [j for j in known if j.record.expected == Outcome.CONFIRMED]
    wrong = [j for j in known if j.record.expected == Outcome.REFUTED]
    counts = Counter({"to stay undecided": len(known) - len(right) - len(wrong)})
    counts += Counter(j.record.found.lower() for j in group if j.verdict is None)
    parts = [_extreme(right, "to be confirmed", "at most"), _extreme(wrong, "to be refuted", "at least")]
    return " ".join([part for part in parts if part] + [f"{count} {what}." for what, count in counts.items() if count])


def _extreme(group: Sequence[Judged], which: str, limit: str) -> str:
    if not group:
        return ""
    signed = group[0].record.kind == "bound"
    values = [(deciding_difference(j) if signed else abs(deciding_difference(j)), j) for j in group]
    value, judged = (max if limit == "at most" else min)(values, key=lambda item: item[0])
    tolerance = judged.record.tolerance
    allowed = f", tolerance {number_text(tolerance)}" if tolerance and limit == "at most" else ""
    return f"{len(group)} {which}: {'value' if signed else 'difference'} {limit} {number_text(value)}{allowed}."
