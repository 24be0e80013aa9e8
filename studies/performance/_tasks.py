"""Two tasks with exact answers: an Ornstein–Uhlenbeck process at t = 1, and a double well that has come to rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fpk
from fpk.laws import Array


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
