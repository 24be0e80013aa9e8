r"""Charts: what a study wants drawn besides its verdict, as plain numbers; and the densities of two routes, side by side.

How they look is decided in :mod:`fpk.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.panels import Panel

KINDS = ("points", "line", "reference", "control")


@dataclass(frozen=True, eq=False)
class Series:
    """One set of points or one curve.

    Parameters
    ----------
    name : str
        For the legend.
    x, y : arrays, shape (n,)
    lower, upper : arrays, shape (n,), optional
        Ends of error bars (points) or of a band (curves); empty for none.
    kind : str, default "points"
        ``points``, ``line``, ``reference`` (what the others are held against, drawn quietly), or ``control`` (a line that must not look like
        the others, dotted).

    Raises
    ------
    ProblemError
        For another kind, or arrays of different lengths.
    """

    name: str
    x: Array
    y: Array
    lower: Array = field(default_factory=lambda: np.zeros(0))
    upper: Array = field(default_factory=lambda: np.zeros(0))
    kind: str = "points"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProblemError(f"series {self.name!r}: unknown kind {self.kind!r}; one of {', '.join(KINDS)}.")
        shapes = [np.shape(values) for values in (self.x, self.y, self.lower, self.upper)]
        if (
            len(shapes[0]) != 1
            or shapes[1] != shapes[0]
            or shapes[2] != shapes[3]
            or shapes[2] not in ((0,), shapes[0])
        ):
            raise ProblemError(
                f"series {self.name!r}: x and y need one shape (n,), lower and upper that one or both none; "
                f"got {', '.join(map(str, shapes))}."
            )


@dataclass(frozen=True, eq=False)
class Chart:
    """Some series over one axis.

    Parameters
    ----------
    title, x_label, y_label : str
    series : tuple of Series
    marks : mapping from word to x, optional
        Vertical lines.
    log_x, log_y : bool
        Logarithmic axes.
    x_names : tuple of str, optional
        Categories, for example classes of problems: what stands at x = 0, 1, ... One row each, top to bottom, with y to the right.
    even_within : float, default 0
        With ``log_y``: both signs are shown, logarithmically but for values up to this, which are drawn evenly. For 0 only positive ones.
    with_controls : bool, default False
        Whether the controls of the same case that hand over a chart of the same title are drawn into this one.

    Raises
    ------
    ProblemError
        Without series, or for categories on a logarithmic axis.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    marks: Mapping[str, float] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False
    x_names: tuple[str, ...] = ()
    even_within: float = 0.0
    with_controls: bool = False

    def __post_init__(self) -> None:
        if not self.series:
            raise ProblemError(f"chart {self.title!r} has no series; give at least one.")
        if self.x_names and self.log_x:
            raise ProblemError(f"chart {self.title!r}: categories stand at 0, 1, ..., so log_x must be False.")

    def beside(self, others: Mapping[str, Chart]) -> Chart:
        """The chart with the series of others, by their names, as controls; what all are held against comes last."""
        added = [
            replace(one, name=name if len(other.measured) == 1 else f"{name}: {one.name}", kind="control")
            for name, other in others.items()
            for one in other.measured
        ]
        references = [one for one in self.series if one.kind == "reference"]
        return replace(self, series=(*self.measured, *added, *references))

    @property
    def measured(self) -> tuple[Series, ...]:
        """The series that are not references."""
        return tuple(one for one in self.series if one.kind != "reference")


# -- densities ---------------------------------------------------------------------------------------------------------

#: Points of a curve of densities. A histogram has half as many bins: their edges and middles are these points.
POINTS = 161


def density_curves(panel: Panel, sides: Sequence[Any], answers: Sequence[Estimate]) -> dict[str, Array]:
    """The densities of two routes on the line, at the panel's last time.

    Where a side is particles, both are means over bins, and there are two more curves: the standard error of the difference, and its
    budget: what the budgets b_k of the functionals allow a density Σ ±b_k φ_k F' to be. Not for two sides on one noise, whose errors are not
    those of either.

    Parameters
    ----------
    panel : Panel
    sides : pair of Marginals
    answers : pair of Estimate
        Their expectations of the panel.

    Returns
    -------
    mapping from name to array
        ``x``, ``t``, ``first``, ``second``, and perhaps ``error`` and ``budget``; a side that cannot be drawn is empty. Nothing off the line.
    """
    block = panel.smooth[-1]
    if len(block.direction) != 1:
        return {}
    lower, upper = np.interp([1e-4, 1 - 1e-4], *_strictly_rising(block.levels, block.knots))
    margin = 0.1 * (upper - lower)
    x, t = np.linspace(lower - margin, upper + margin, POINTS), block.time
    if not any(hasattr(side, "histogram") for side in sides):
        first, second = (_on(side, x, t) for side in sides)
        return {"x": x, "t": np.array([t]), "first": first, "second": second}
    (first, one), (second, other) = (_over_bins(side, x, t) for side in sides)
    found = {"x": x[1::2], "t": np.array([t]), "first": first, "second": second}
    keys = {answer.noise_key for answer in answers}
    if (None not in keys and len(keys) == 1) or first.shape != second.shape:
        return found
    return found | {"error": np.hypot(one, other), "budget": _allowed(block, answers, x)}


def _strictly_rising(levels: Array, knots: Array) -> tuple[Array, Array]:
    keep = np.concatenate([[True], np.diff(np.maximum.accumulate(levels)) > 0])
    return levels[keep], knots[keep]


def _on(side: Any, x: Array, t: float) -> Array:
    """Density of one side at the points x; empty if it cannot be drawn."""
    return side.density_on(x, t) if hasattr(side, "density_on") else np.zeros(0)


def _over_bins(side: Any, x: Array, t: float) -> tuple[Array, Array]:
    """Means over bins of the density of one side, and their standard errors; x are edges and middles in turn. Others by Simpson's rule."""
    if hasattr(side, "histogram"):
        return side.histogram(x[::2], t)
    p = _on(side, x, t)
    means = (p[:-2:2] + 4 * p[1::2] + p[2::2]) / 6 if len(p) else p
    return means, np.zeros_like(means)


def _allowed(block: Any, answers: Sequence[Estimate], x: Array) -> Array:
    """What the budgets of the block's functionals, the last ones of their panel, allow the densities to differ by over bins."""
    first, second = answers
    same = first.scheme is not None and first.scheme == second.scheme
    bound = first.bias_without_step + second.bias_without_step if same else first.bias_bound + second.bias_bound
    reference = np.diff(block.reference(x[::2])) / np.diff(x[::2])
    sizes = np.abs(block.values(x[1::2, None])) * reference
    with np.errstate(invalid="ignore"):  # nothing known (∞) of what is nowhere (0)
        return np.nan_to_num(bound[-len(sizes) :, None] * sizes, nan=0.0, posinf=np.inf).sum(0)
