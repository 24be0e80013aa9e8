r"""The likely mistake behind a refuted assertion: known ones are planted, or undone, and ranked by how well they explain the difference.

Where the right problem is known, each mistake is planted into it: the change it makes is c. Where only the wrong one is, each mistake is undone
in it, and c is the change taken back. A mistake fits where the refuted difference d is c, and :mod:`fpk.diagnosis` measures what is left, in units
of the uncertainty of both. Both sides of a change come from one cheap computation, whose own errors drop out. Nothing is computed unless an
assertion fails, and then for about :data:`PATIENCE` seconds of one processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fpk.diagnosis import FITS, Fit, explains, ranked
from fpk.errors import FpkError
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.study import Evidence

#: Seconds of CPU time after which no other mistake is tried.
PATIENCE = 1.5
#: Mistakes named at most, and the first guess and range of a factor that is looked for.
NAMED, GUESS, RANGE = 3, 1.1, (0.05, 20.0)
#: What an unlucky guess of a mistake may raise: a law that explodes, a box that cannot hold it, a matrix without a root.
FAILURES = (FpkError, ArithmeticError, ValueError, np.linalg.LinAlgError)

#: What comes out with a mistake made or undone: an Estimate on the panel of the assertion, or None where that changes nothing.
Effect = Callable[[], "Estimate | None"]


@dataclass
class Lineup:
    """Mistakes to be held against a difference.

    Parameters
    ----------
    obtained, expected : Estimate
        The refuted difference.
    names : tuple of str
        Of its functionals.
    unchanged : Estimate
        What comes out of the problem as it is, as cheaply as with the mistakes.
    planted : bool
        Whether mistakes are made in a right problem (else: undone in a wrong one).
    """

    obtained: Estimate
    expected: Estimate
    names: tuple[str, ...]
    unchanged: Estimate
    planted: bool = True
    _end: float = field(default_factory=lambda: time.process_time() + PATIENCE)
    _controls: dict[str, Evidence] = field(default_factory=dict)
    _tried: int = 0
    _left: int = 0

    def lines(
        self, mistakes: Iterable[tuple[str, Effect]], sizes: Iterable[tuple[str, Callable[[float], Effect]]] = ()
    ) -> list[str]:
        """What to tell about mistakes, and about factors if no mistake fits.

        Parameters
        ----------
        mistakes : pairs of a name and what comes out with the mistake
        sizes : pairs of the name of a factor and the mistake for each value of it
        """
        fits = self._ranked(self._tried_out(mistakes))
        found = [fit for fit in fits if self._fits(fit)]
        if not found:
            sized = [fit for name, size in sizes if (fit := self._sized(name, size))]
            found = sorted((fit for fit in sized if self._fits(fit)), key=lambda fit: fit.distance)
        return self._told(found, fits)

    def _fits(self, fit: Fit) -> bool:
        return fit.distance <= FITS and explains(self._refuted, self._controls[fit.mistake])

    def _tried_out(self, mistakes: Iterable[tuple[str, Effect]]) -> Iterator[tuple[str, Estimate]]:
        for name, outcome in mistakes:
            if time.process_time() > self._end:
                self._left += 1
            elif (estimate := _attempt(outcome)) is not None:
                self._tried += 1
                yield name, estimate

    @property
    def _refuted(self) -> Evidence:
        return Evidence(self.obtained, self.expected, self.names)

    def _ranked(self, outcomes: Iterable[tuple[str, Estimate]]) -> list[Fit]:
        controls = {name: self._control(estimate) for name, estimate in outcomes}
        self._controls |= controls
        return ranked(self._refuted, controls)

    def _control(self, estimate: Estimate) -> Evidence:
        """The change that the mistake makes."""
        first, second = (estimate, self.unchanged) if self.planted else (self.unchanged, estimate)
        return Evidence(first, second, self.names)

    def _sized(self, name: str, size: Callable[[float], Effect]) -> Fit | None:
        """The factor that explains most: where the difference along the effect of a guess is its own, found again once."""
        factor, best = GUESS, None
        for _ in range(3):
            outcome = _attempt(size(factor)) if time.process_time() <= self._end else None
            if outcome is None:
                break
            (best,) = self._ranked([(f"{name} × {factor:.3g}", outcome)])
            factor = float(np.clip(1 + best.ratio * (factor - 1), *RANGE))
            if factor == 1.0:
                break
        return best

    def _told(self, found: list[Fit], fits: list[Fit]) -> list[str]:
        if found:
            return [
                f"the data fit {found[0].mistake!r} ({self._left_by(found[0])})",
                *(f"or {fit.mistake!r} ({self._left_by(fit)}): these data cannot tell" for fit in found[1:NAMED]),
                *([f"or {len(found) - NAMED} others"] if len(found) > NAMED else []),
            ]
        if not fits:
            return [f"{self._left} known mistakes were not tried, for time"] if self._left else []
        nearest = min(fits, key=lambda fit: fit.distance)
        untried = f" ({self._left} others were not tried, for time)" if self._left else ""
        return [
            f"none of {self._tried} known mistakes fits{untried}; nearest is {nearest.mistake!r}, which leaves {self._left_by(nearest)}"
        ]

    def _left_by(self, fit: Fit) -> str:
        """What a mistake leaves unexplained: in standard errors, or where there are none as a share of the difference."""
        sampled = not (self.obtained.deterministic and self.expected.deterministic)
        if sampled:
            return f"{fit.distance:.2g} s.e."
        return f"{100 * fit.left:.2g} % unexplained" if fit.left >= 1e-4 else "nothing unexplained"


def _attempt(outcome: Effect) -> Estimate | None:
    try:
        return outcome()
    except FAILURES:
        return None


def farthest(first: Any, second: Any, panel: Any, estimates: tuple[Estimate, Estimate]) -> list[str]:
    """Where two sides are furthest apart: in density where both know theirs (d = 1), else in distribution function."""
    return _by_density(first, second, panel) or _by_distribution(panel, *estimates)


def _by_density(first: Any, second: Any, panel: Any) -> list[str]:
    known = all(hasattr(side, "density_on") and getattr(side, "exactness", 0) > 0 for side in (first, second))
    places = [_widest(first, second, block) for block in panel.smooth if known and len(block.direction) == 1]
    if not places:
        return []
    _, x, t, p, q = max(places)
    return [f"density {p:.3g} where {q:.3g} is expected, at x={x:.3g}, t={t:.4g}"]


def _widest(first: Any, second: Any, block: Any) -> tuple[float, float, float, float, float]:
    """Largest difference of two densities as a share of the peak, its place and the two."""
    x: Array = np.linspace(block.knots[0], block.knots[-1], 401)
    p, q = (np.asarray(side.density_on(x, block.time), float) for side in (first, second))
    k = int(np.argmax(np.abs(p - q)))
    return float(abs(p[k] - q[k]) / q.max()), float(x[k]), block.time, float(p[k]), float(q[k])


def _by_distribution(panel: Any, first: Estimate, second: Estimate) -> list[str]:
    if not len(first.thresholds) or len(first.thresholds) != len(second.thresholds):
        return []
    k = int(np.argmax(np.abs(first.thresholds - second.thresholds)))
    name, block = [(name, block) for block in panel.thresholds for name in block.names][k]
    event, _, when = name.partition(" at ")
    along = "" if len(block.direction) == 1 else f" along {np.array2string(block.direction, precision=2)}"
    return [f"{event}{along} is {first.thresholds[k]:.3g} where {second.thresholds[k]:.3g} is expected, at {when}"]
