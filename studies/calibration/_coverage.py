r"""Coverage of error bars by classes of problems, judged and drawn.

The *usage* of bars b_k by errors e_k is u = max_k |e_k|/b_k: the bars cover a problem when u ≤ 1, and s times the bars cover it when u ≤ s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpk.calibration import Limited, Rate
from fpk.charts import Chart
from fpk.laws import Array

from ._rates import plotted


@dataclass(frozen=True, eq=False)
class Usages:
    """Usages of error bars by independent problems.

    Parameters
    ----------
    classes : tuple of str
    kind : array of int, shape (n,)
        The class of each problem, an index of ``classes``.
    usage : array, shape (n,)
    """

    classes: tuple[str, ...]
    kind: NDArray[np.integer]
    usage: Array

    def of(self, index: int) -> Array:
        """Usages in one class."""
        return self.usage[self.kind == index]

    def limited(self, factor: float, *, least: float, each: Sequence[float] = ()) -> list[Limited]:
        """Coverage by ``factor`` bars: at least ``least`` of all problems, and of every class what ``each`` says, if anything."""
        limits = [Limited("covered, all classes", rate_of(self.usage <= factor), at_least=least)]
        for k, bound in enumerate(each):
            limits.append(Limited(f"covered, {self.classes[k]}", rate_of(self.of(k) <= factor), at_least=bound))
        return limits

    def chart(self, title: str, scales: Array, members: Sequence[int] | None = None) -> Chart:
        """Coverage by s bars over s, a curve for each class."""
        curves = tuple(
            plotted(self.classes[k], scales, [rate_of(self.of(k) <= s) for s in scales], kind="line")
            for k in (range(len(self.classes)) if members is None else members)
        )
        return Chart(title, "error bar scaled by", "share covered", curves, {"as stated": 1.0}, log_x=True)


def rate_of(events: NDArray[np.bool_]) -> Rate:
    """The rate of True among events of shape (n,)."""
    return Rate(int(np.count_nonzero(events)), len(events))
