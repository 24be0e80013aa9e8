r"""Charts: what a study wants drawn besides its verdict, as plain numbers. How they look is decided in :mod:`fpk.figures`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array

KINDS = ("points", "line", "reference")


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
        ``points``, ``line``, or ``reference``: what the others are held against, drawn quietly.

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

    def __post_init__(self) -> None:
        if not self.series:
            raise ProblemError(f"chart {self.title!r} has no series; give at least one.")
        if self.x_names and self.log_x:
            raise ProblemError(f"chart {self.title!r}: categories stand at 0, 1, ..., so log_x must be False.")
