r"""Functional drawings: the difference of every functional of a stated form, against its budget and the tolerance.

Drawn as effects are: |d| on a logarithmic axis, a grey bar for what budget and sampling noise explain, a dashed line at the tolerance, and as an
open mark the same functional of the nearest control, which shows where that mistake is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fpk.figures.drawing import WIDTH, decades, tick_text, words
from fpk.figures.frames import Frame
from fpk.laws import Array
from fpk.records import Judged
from fpk.svg import Sheet
from fpk.verdict import Outcome, Verdict
from fpk.wording import margin, noise, number_text, one_line

#: Functionals of one drawing: the worst.
MOST = 12
_LEFT, _RIGHT, _ROW, _ABOVE, _BELOW = 0.34 * WIDTH, 0.98 * WIDTH, 19.0, 40.0, 42.0
_CIRCLE, _DIAMOND = "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "m0-4.5 4.5 4.5-4.5 4.5-4.5-4.5z"


def functional_figures(group: Sequence[Judged]) -> list[str]:
    """Differences of all functionals, for the case of a claim with the smallest margin.

    Parameters
    ----------
    group : sequence of Judged
        Every record of one claim.

    Returns
    -------
    list of str
        One SVG element; none where no form that must be confirmed has more than one functional.
    """
    forms = [j for j in group if j.record.stated and j.record.expected == Outcome.CONFIRMED and _several(j)]
    worst = min(forms, key=lambda j: margin(j) or np.inf, default=None)
    return [] if worst is None else [_functional_figure(worst, _nearest_control(worst, group))]


def _several(judged: Judged) -> bool:
    verdict = judged.verdict
    return verdict is not None and verdict.kind in ("equality", "identity") and len(verdict.difference) > 1


def _nearest_control(stated: Judged, group: Sequence[Judged]) -> Verdict | None:
    """The verdict on the variant of the same case and functionals with the smallest effect."""
    own = [j for j in group if j.record.case == stated.record.case and j.record.expected == Outcome.REFUTED]
    own = [j for j in own if j.verdict is not None and stated.verdict and j.verdict.names == stated.verdict.names]
    nearest = min(own, key=lambda j: j.record.effect or np.inf, default=None)
    return nearest.verdict if nearest is not None else None


def _functional_figure(stated: Judged, control: Verdict | None) -> str:
    verdict = stated.verdict
    assert verdict is not None
    explained = noise(verdict)
    worst = np.argsort(-np.nan_to_num(np.abs(verdict.difference) + explained, posinf=np.inf), kind="stable")[:MOST]
    shown = np.sort(worst)
    sheet = Sheet(WIDTH, _ABOVE + _ROW * len(shown) + _BELOW)
    bottom = sheet.height - _BELOW
    wrong = np.abs(control.difference[shown]) if control is not None else np.zeros(0)
    sizes = np.concatenate([np.abs(verdict.difference[shown]), explained[shown], wrong, [verdict.tolerance or np.nan]])
    limits = _limits(sizes)
    frame = Frame(sheet, _LEFT, _ABOVE, _RIGHT, bottom, limits, (0.0, 1.0), log_x=True)
    _draw_axis(frame, len(verdict.difference) - len(shown), one_line(stated.record.case, 40), control is not None)
    for row, k in enumerate(shown):
        y = _ABOVE + _ROW * (row + 0.5)
        sheet.text(_LEFT - 7, y, one_line(verdict.names[k], 20), anchor="end")
        sheet.bar(_LEFT, y, frame.across(float(explained[k])) - _LEFT)
        if control is not None:
            sheet.mark(frame.across(float(wrong[row])), y, _DIAMOND, colour="control", filled=False)
        sheet.mark(frame.across(abs(float(verdict.difference[k]))), y, _CIRCLE, colour="first", filled=True)
    if verdict.tolerance:
        sheet.line(
            frame.across(verdict.tolerance), _ABOVE, 0, bottom - _ABOVE, colour="confirmed", width=1.4, dash="7 3"
        )
        sheet.text(frame.across(verdict.tolerance), _ABOVE - 6, "δ", colour="confirmed", anchor="middle")
    where = f" ({stated.record.case})" if stated.record.case else ""
    return sheet.svg(**words(f"{stated.record.id}{where}: difference of every functional", _described(stated, verdict)))


def _described(stated: Judged, verdict: Verdict) -> str:
    """The drawing in words."""
    k = verdict.worst
    allowed = f", tolerance {number_text(verdict.tolerance)}" if verdict.tolerance else ""
    return (
        f"{len(verdict.difference)} functionals of the form {stated.record.variant}. The largest difference with its budget is that of "
        f"{verdict.names[k]}: {number_text(float(verdict.difference[k]))}, budget {number_text(float(verdict.budget[k]))}, standard error "
        f"{number_text(float(verdict.standard_error[k]))}{allowed}."
    )


def _limits(sizes: Array) -> tuple[float, float]:
    """Everything positive and finite, at most 18 decades down."""
    known = sizes[np.isfinite(sizes) & (sizes > 0)]
    largest = float(known.max(initial=0.0)) or 1.0
    smallest = max(float(known.min(initial=largest)), largest * 1e-18)
    return smallest / 4, max(largest, smallest * 10) * 4


def _draw_axis(frame: Frame, left_out: int, case: str, control: bool) -> None:
    """Numbers below the rows with thin lines up, and above them what is drawn."""
    sheet = frame.sheet
    told = ", ".join(part for part in (case, f"{left_out} smaller ones not drawn" if left_out else "") if part)
    sheet.text(_RIGHT, 8, told, colour="muted", anchor="end")
    sheet.text(2, 8, "Every functional", bold=True)
    sheet.mark(8, 24, _CIRCLE, colour="first", filled=True)
    sheet.text(18, 24, "stated")
    if control:
        sheet.mark(68, 24, _DIAMOND, colour="control", filled=False)
        sheet.text(78, 24, "nearest control")
    for tick in decades(*frame.x):
        x = frame.across(tick)
        sheet.line(x, frame.top, 0, frame.bottom - frame.top, colour="rule", width=0.6)
        sheet.text(x, frame.bottom + 11, tick_text(tick), colour="muted", anchor="middle")
    sheet.line(frame.left, frame.bottom, frame.right - frame.left, 0, colour="muted", width=0.8)
    sheet.text((frame.left + frame.right) / 2, frame.bottom + 29, "|difference|", anchor="middle")
