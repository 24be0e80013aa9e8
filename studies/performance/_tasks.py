"""Tasks with exact answers.

On a line: an Ornstein–Uhlenbeck process at t = 1, and a double well that has come to rest. On boxes: a rotating Ornstein–Uhlenbeck process
with a full tensor, four peaks that are noised, an anisotropy of 25:1 turned by 30°, and a tumbling process with a full tensor in space. A factor
on g² in the problem, and not in the exact law, makes each of them wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.grids import ProductGrid
from fpk.laws import Array

from .._planes import density_of, four_peaks, l1, rotating, square, tumbling


@lru_cache(maxsize=64)
def _made(box: tuple[float, float], cells: int) -> fpk.Grid:
    return fpk.Grid(*box, cells=cells)


@dataclass(frozen=True)
class Task:
    """A problem on a box with its exact density at ``time``.

    Parameters
    ----------
    problem : Problem
    box : (float, float)
    time : float
    exact : callable
        x of shape (n,) to the density there.
    drift : callable
        The drift again, for routes that know nothing of a problem: x of shape (n,) to f(x).
    diffusivity : float
        D.
    """

    name: str
    problem: fpk.Problem
    box: tuple[float, float]
    time: float
    exact: Callable[[Array], Array]
    drift: Callable[[Array], Array]
    diffusivity: float

    def grid(self, cells: int) -> fpk.Grid:
        """So many uniform cells, made once."""
        return _made(self.box, cells)

    def centers(self, cells: int) -> Array:
        """Centres of the cells of a uniform grid, shape (cells,)."""
        return self.box[0] + self.width(cells) * (np.arange(cells) + 0.5)

    def width(self, cells: int) -> float:
        """Width of a cell."""
        return (self.box[1] - self.box[0]) / cells

    def start(self, x: Array) -> Array:
        """The initial density at x of shape (n,)."""
        return np.exp(self.problem.initial.log_density(x[:, None]))

    def error(self, density: Array) -> float:
        """L1 error of a density at the cell centres, by the midpoint rule."""
        cells = len(density)
        return float(np.abs(density - self.exact(self.centers(cells))).sum() * self.width(cells))


def normal(mean: float, variance: float) -> Callable[[Array], Array]:
    """The density of N(mean, variance)."""
    return lambda x: np.exp(-0.5 * (x - mean) ** 2 / variance) / (2 * np.pi * variance) ** 0.5


def relaxation(variance: float = 1.0) -> Task:
    """DX = −X dt + √2 dW from N(1, .2²) to t = 1; ``variance`` is a factor on g² in the problem, and not in the exact law."""
    mean, spread = np.exp(-1.0), 1 - (1 - 0.2**2) * np.exp(-2.0)
    problem = fpk.Problem("-x", (2 * variance) ** 0.5, initial=fpk.Gaussian(1.0, 0.2), name="relaxation")
    return Task("relaxation", problem, (-6.0, 6.0), 1.0, normal(mean, spread), np.negative, variance)


def double_well(tilt: float = 0.0) -> Task:
    """U = x⁴/4 − x²/2 with D = ¼, from a symmetric start, long after the second even mode has died; ``tilt`` adds a constant drift."""
    diffusivity, box = 0.25, (-3.0, 3.0)

    def gibbs(x: Array) -> Array:
        return np.exp((0.5 * x**2 - 0.25 * x**4) / diffusivity)

    fine = np.linspace(*box, 4001)
    total = float(gibbs(fine).sum() * (fine[1] - fine[0]))  # spectrally accurate: the integrand vanishes at both ends

    def drift(x: Array) -> Array:
        return x - x**3 + tilt

    walls = fpk.Boundary("no_flux", *box)
    problem = fpk.Problem(
        f"x - x**3 + {tilt!r}" if tilt else "x - x**3", 0.5**0.5, initial=fpk.Gaussian(0.0, 0.4), horizon=20.0,
        boundary=walls, name="double well",
    )  # fmt: skip
    return Task("double well", problem, box, 20.0, lambda x: gibbs(x) / total, drift, diffusivity)


TASKS = {"relaxation": relaxation, "double well": double_well}


@dataclass(frozen=True, eq=False)
class BoxTask:
    """A problem on [−half, half]^d with its exact law at ``time``; what depends on the grid only is made once.

    Parameters
    ----------
    make : callable
        Makes the problem.
    law : Law
        The exact one at ``time``.
    half : float
    time : float
    growth : callable, optional
        c with A(t) = c(t) A(time), for users who know it; A does not depend on t where none is given.
    """

    name: str
    make: Callable[[], fpk.Problem]
    law: Any
    half: float
    time: float = 1.0
    growth: Callable[[float], float] | None = None
    _kept: dict[int, Array] = field(default_factory=dict, repr=False)

    @cached_property
    def problem(self) -> fpk.Problem:
        """The problem, made once."""
        return self.make()

    def grid(self, cells: int) -> ProductGrid:
        """So many cells along each axis."""
        return square(self.half, cells, self.problem.dimension)

    def start(self, cells: int) -> Array:
        """The initial density at the cell centres."""
        return density_of(self.problem.initial, self.grid(cells))

    def exact(self, cells: int) -> Array:
        """The density at ``time`` at the cell centres."""
        if cells not in self._kept:
            self._kept[cells] = density_of(self.law, self.grid(cells))
        return self._kept[cells]

    def error(self, density: Array) -> float:
        """L1 error of a density at the cell centres, by the midpoint rule."""
        cells = len(density)
        return l1(density, self.exact(cells), self.grid(cells))


def solved_exactly(problem: fpk.Problem, time: float = 1.0) -> Any:
    """The law of a linear problem at a time."""
    return fpk.exact(problem, times=[time]).law(time)


@lru_cache(maxsize=4)
def rotation(variance: float = 1.0) -> BoxTask:
    """DX = AX dt + G dW with a full tensor, from N((1.5, 0), .3² I) to t = 1 on [−6, 6]²."""
    return BoxTask("rotation", lambda: rotating(noise=variance), solved_exactly(rotating()), 6.0)


@lru_cache(maxsize=4)
def four_peaks_noised(variance: float = 1.0) -> BoxTask:
    """Four peaks on a circle, noised with β = .1 + 19.9 t to t = 1 on [−6, 6]²."""
    schedule, peaks = fpk.VPSchedule(0.1, 20.0), four_peaks()

    def wrong() -> fpk.Problem:
        drift, noise = fpk.Linear(schedule.drift_rate), lambda t: variance**0.5 * schedule.diffusion(t)
        return fpk.Problem(drift, noise, initial=peaks, name="noising")

    stated = lambda: fpk.noising(schedule, peaks)  # noqa: E731
    make, law = stated if variance == 1.0 else wrong, solved_exactly(stated())
    return BoxTask("four peaks", make, law, 6.0, growth=lambda t: (0.1 + 19.9 * t) / 20.0)


def _stretched(variance: float) -> fpk.Problem:
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    G = variance**0.5 * np.array([[c, -s], [s, c]]) @ np.diag([1.0, 0.2])
    return fpk.Problem(fpk.Linear(-0.5), G, initial=fpk.Gaussian([1.0, 0.5], 0.3), name="25:1")


@lru_cache(maxsize=4)
def anisotropy(variance: float = 1.0) -> BoxTask:
    """DX = −½X dt + G dW with noise variances 1 and .04 along axes turned by 30°, from N((1, .5), .3² I) to t = 1 on [−5, 5]²."""
    return BoxTask("25:1", lambda: _stretched(variance), solved_exactly(_stretched(1.0)), 5.0)


@lru_cache(maxsize=4)
def tumble(variance: float = 1.0) -> BoxTask:
    """A tumbling process in space with a full tensor, from N((.6, 0, −.4), .8² I) to t = .4 on [−6, 6]³."""
    return BoxTask("tumbling", lambda: tumbling(noise=variance), solved_exactly(tumbling(), 0.4), 6.0, 0.4)


AnyTask = Task | BoxTask
BOX_TASKS = {"rotation": rotation, "four peaks": four_peaks_noised, "25:1": anisotropy, "tumbling": tumble}
