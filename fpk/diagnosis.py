r"""Which mistake fits: the controls of a claim, ranked by how well they explain a difference that was refuted.

A control is a known mistake with a known difference vector c over the panel. For a refuted form with difference d,

    distance = √(mean_k ((d_k − r c_k) / ε_k)²),   ε = budgets + standard errors of both,

once as the control is (r = 1), once along its direction, r = ⟨d, c⟩ / ⟨c, c⟩ weighted by 1/ε²: a mistake of the same kind and another
size. Only controls of the same case and panel can be ranked: other numbers are other functionals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fpk.difference import EXCESS, Difference, box_constrained
from fpk.laws import Array
from fpk.study import Evidence

#: A mistake fits up to this distance.
FITS = 3.0
#: What no two computations of one quantity agree better than, relative to the difference itself.
ALIKE = 0.01
#: Probability that sampling noise makes a mistake that was made look as if it was another.
DOUBT = 1e-3


@dataclass(frozen=True)
class Fit:
    """How well one mistake explains a difference.

    Parameters
    ----------
    mistake : str
        Name of the control.
    distance : float
        Root mean square distance in units of budget + standard error.
    ratio : float
        Size of the difference along the control's direction; 1: the same size.
    distance_scaled : float
        Distance after scaling the control by ``ratio``.
    left : float
        Share of the difference (root mean square) that the mistake leaves, as it is; 0: nothing, 1: as much as there was.
    """

    mistake: str
    distance: float
    ratio: float
    distance_scaled: float
    left: float = field(default=0.0, compare=False)

    @property
    def fits(self) -> bool:
        """Whether the mistake, as it is or in another size, explains the difference."""
        return self.distance <= FITS or (self.distance_scaled <= FITS and self.ratio > 0)

    def __str__(self) -> str:
        if self.distance <= FITS:
            return f"fits {self.mistake!r} ({self.distance:.1g} s.e.)"
        size = f"{self.ratio:.2g} × {self.mistake!r}"
        if self.fits:
            return f"fits {size} ({self.distance_scaled:.1g} s.e.)"
        return f"fits no control; nearest is {size}, {self.distance_scaled:.2g} s.e. away"


def ranked(refuted: Evidence, controls: Mapping[str, Evidence]) -> list[Fit]:
    """The controls that answered the same panel, best explanation first.

    Parameters
    ----------
    refuted : Evidence
        Of the form that was refuted.
    controls : mapping from name to Evidence
        The claim's controls in the same case.
    """
    found = Difference(refuted.first, refuted.second, refuted.names)
    fits = []
    for name, control in controls.items():
        if control.names == refuted.names and control.panel == refuted.panel:
            fits.append(_fit(name, found, Difference(control.first, control.second, control.names)))
    return sorted(fits, key=_rank)


def explains(refuted: Evidence, control: Evidence) -> bool:
    """Whether noise and budgets are all that a mistake leaves of a refuted difference, functionals taken together.

    A stricter question than :attr:`Fit.fits`, for sampled evidence: S of :mod:`fpk.comparison` for d − c, at the level of one in a thousand.

    Parameters
    ----------
    refuted, control : Evidence
        On one panel, of at most :data:`fpk.difference.LARGE` functionals; of larger ones each functional is asked for itself.
    """
    found, change = (Difference(e.first, e.second, e.names) for e in (refuted, control))
    left, budget = found.d - change.d, _budget(found) + _budget(change) + ALIKE * float(np.max(np.abs(found.d)))
    if found.large or change.large:
        return bool(
            np.all(np.abs(left) <= budget + found.quantile(DOUBT / (2 * len(left))) * np.hypot(found.se, change.se))
        )
    from scipy.special import chdtri

    return box_constrained(left, found.C + change.C, budget) <= float(chdtri(len(left), DOUBT))


def agreeing(refuted: Evidence, controls: Mapping[str, Evidence]) -> list[str]:
    """Controls whose two sides agree within their own uncertainty, and far below the refuted difference, although they should not.

    A mistake in what the stated form and its controls share moves them all; the control that undoes it is then the one that agrees.

    Parameters
    ----------
    refuted, controls
        As for :func:`ranked`.
    """
    limit = 0.1 * float(np.max(np.abs(Difference(refuted.first, refuted.second, refuted.names).d)))
    sides = {name: Difference(c.first, c.second, c.names) for name, c in controls.items() if c.panel == refuted.panel}
    doubt = {name: EXCESS * side.b + 5 * side.se for name, side in sides.items()}
    return [
        name for name, side in sides.items() if np.all(np.abs(side.d) <= doubt[name]) and np.max(doubt[name]) <= limit
    ]


def _rank(fit: Fit) -> tuple[int, float]:
    """As it is before in another size; of several sizes of one direction the one closest to 1."""
    if fit.distance <= FITS:
        return 0, fit.distance
    return (1, abs(np.log(fit.ratio))) if fit.fits else (2, fit.distance_scaled)


def _fit(name: str, found: Difference, control: Difference) -> Fit:
    d, c = found.d, control.d
    scale = _scale(found) + _scale(control)
    weighted = c / scale**2
    ratio = float(weighted @ d / (weighted @ c)) if np.any(c) else 0.0
    left = float(np.linalg.norm(d - c) / np.linalg.norm(d)) if np.any(d) else 0.0
    return Fit(name, _distance(d - c, scale), ratio, _distance(d - ratio * c, scale), left)


def _scale(difference: Difference) -> Array:
    """Budget plus standard error; a hundredth of the largest difference where less is claimed, as mistakes interact."""
    return np.maximum(_budget(difference) + difference.se, ALIKE * np.max(np.abs(difference.d)) + np.finfo(float).tiny)


def _budget(difference: Difference) -> Array:
    """The budget, 0 where none is known."""
    return np.where(np.isfinite(difference.b), difference.b, 0.0)


def _distance(gap: Array, scale: Array) -> float:
    return float(np.sqrt(np.mean((gap / scale) ** 2)))
