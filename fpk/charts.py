r"""Charts: what a study wants drawn besides its verdict, as plain numbers. How they look is decided in :mod:`fpk.figures`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fpk.laws import Array


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
    """

    name: str
    x: Array
    y: Array
    lower: Array = field(default_factory=lambda: np.zeros(0))
    upper: Array = field(default_factory=lambda: np.zeros(0))
    kind: str = "points"


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
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    marks: Mapping[str, float] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False
