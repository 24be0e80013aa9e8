"""How error bars of grids fare on problems drawn at random, against exact laws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.errors import GridError
from fpk.fokker_planck.discretisation import SECOND_ORDER, Scheme
from fpk.fokker_planck.residuals import Residuals
from fpk.laws import Array
from fpk.panels import Panel, law_panel
from fpk.problems.families import FAMILIES, Known

NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
#: The scheme a problem is solved with, in turn: the default one, and second order.
SCHEMES: tuple[Scheme | None, ...] = (None, SECOND_ORDER)


@dataclass(frozen=True)
class Trial:
    """One problem: errors and bars of the finest of three grids, each over the four functionals of a panel or in L¹.

    Parameters
    ----------
    family : str
    second_order : bool
    error, bar : arrays, shape (4,)
        Of the expectations as they come, and their refinement bar.
    correction, left, budget : arrays, shape (4,)
        The dual-weighted estimate of ``error``, what is left after it, and the budget of that.
    distance, proven : float
        L¹ distance to the exact density, and its proven bar.
    """

    family: str
    second_order: bool
    error: np.ndarray
    bar: np.ndarray
    correction: np.ndarray
    left: np.ndarray
    budget: np.ndarray
    distance: float
    proven: float


@dataclass(frozen=True)
class WaveBlock:
    """Functionals cos kπx, k = 1 ... 4, at one time: even about the walls ±1, and the same at both ends of the ring."""

    time: float

    @property
    def times(self) -> tuple[float, ...]:
        """The one time."""
        return (self.time,)

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each functional."""
        return tuple(f"cos {k}πx at t={self.time:.4g}" for k in range(1, 5))

    @property
    def frozen(self) -> tuple[Array, ...]:
        """What defines them."""
        return (np.array([self.time]),)

    def values(self, x: Array) -> Array:
        """The waves at positions x of shape (n, 1); returns (4, n)."""
        return np.cos(np.pi * np.arange(1, 5)[:, None] * x[:, 0])


@dataclass(frozen=True, eq=False)
class Drawn:
    """A problem drawn at random, with a scheme, a time it is asked at, and the coarsest grid it is solved on.

    Parameters
    ----------
    known : Known
    scheme : Scheme or None
        None: the default one.
    base, steps : int
        Cells and time steps of level 1.
    time : float
    """

    known: Known
    scheme: Scheme | None
    base: int
    steps: int
    time: float

    def level(self, k: int) -> Any:
        """The solution on k times as many cells with k times as many steps.

        Raises
        ------
        GridError
            Where so few cells do not hold the initial law.
        """
        grid = fpk.Grid(self.known.lower, self.known.upper, cells=self.base * k)
        return fpk.solve(self.known.problem, grid, times=[self.time], steps=self.steps * k, scheme=self.scheme)

    @cached_property
    def panel(self) -> Panel:
        """Functionals that satisfy the boundary conditions: polynomials of the initial law on the line, waves between walls and on rings."""
        if self.known.problem.boundary.kind == "open":
            return Panel(law_panel({self.time: self.known.problem.initial}).smooth)
        return Panel((WaveBlock(self.time),))

    @property
    def truth(self) -> Array:
        """E φ_k by Gauss sums over 400 intervals of the exact density, shape (4,)."""
        edges = np.linspace(self.known.lower, self.known.upper, 401)
        half = np.diff(edges)[:, None] / 2
        x = (edges[:-1, None] + half * (1 + NODES)).ravel()
        values = self.panel.smooth[0].values(x[:, None])
        return values @ ((half * WEIGHTS).ravel() * self.known.density(x, self.time))

    def l1_error(self, solved: Any) -> tuple[float, float]:
        """L¹ distance of a solution's splined density to the exact one, and its proven bar."""
        residuals = Residuals(solved.plan, self.known.problem, solved.times)
        x, weights = residuals.points
        missed = residuals.splined(solved.density(self.time))(x) - self.known.density(x, self.time)
        return float(weights @ np.abs(missed)), residuals.l1_bar(self.time) + solved.floor


def drawn(number: int, seed: int, *, pace: int = 2) -> Drawn:
    """Problem ``number`` of a seed, from every family and scheme in turn, with ``pace`` cells of level 1 for one time step."""
    rng = np.random.default_rng([seed, number])
    known, scheme = FAMILIES[number % 4](rng), SCHEMES[number // 4 % 2]
    base = int(rng.integers(*((24, 37) if known.problem.boundary.kind == "open" else (16, 29))))
    return Drawn(known, scheme, base, base // pace, rng.uniform(0.3, 1.0))


def _tried(number: int, seed: int) -> Trial | None:
    asked = drawn(number, seed)
    try:
        refined = fpk.refine(asked.level)
    except GridError:  # the coarsest grid does not hold the initial law: refused, as it should be
        return None
    plain, finest, truth = refined.expect(asked.panel), refined.finest, asked.truth
    answer = finest.expect(asked.panel)
    return Trial(
        asked.known.family, asked.scheme is not None, truth - plain.value, plain.bias_bound, answer.value - plain.value,
        truth - answer.value, answer.bias_bound, *asked.l1_error(finest),
    )  # fmt: skip


@lru_cache(maxsize=4)
def trials(count: int, seed: int = 0) -> tuple[Trial, ...]:
    """``count`` problems in turn from every family, with the default and with a second-order scheme; those refused are left out."""
    return tuple(trial for number in range(count) if (trial := _tried(number, seed)) is not None)


def share(of: Sequence[Trial], holds: Callable[[Trial], bool]) -> float:
    """The share of trials that hold."""
    return float(np.mean([holds(trial) for trial in of]))
