r"""What a solution on a product grid gets wrong, told by the equation: its residual, carried to the end.

Let p̃ be a smooth function of x and t near the exact law p, with p̃ = p at the start, and A the Fokker–Planck operator of the stated problem. Then

    p_T − p̃_T = ∫₀ᵀ P(T, t) r(t) dt,    r = A p̃ − ∂_t p̃,    P(T, t) = what the equation makes at T of a density at t.        (1)

With the grid's own steps in the place of P this gives the error, up to a product of two errors. As steps back are the transposes of steps
forward, its expectations are the *dual-weighted residuals* ∫⟨r, u⟩ dt with the backward solutions u of functionals: of all of them, at the price of
one more solution. A is taken by Fourier differences from the problem's own coefficients, so that (1) also shows a solver that solves something else;
at the edges, which are not what they take them for, r is left out.

Exponentials have ∂_t p̃ = A_h p̃ with their own operator A_h, and r is smooth enough for a few Gauss points over hundreds of stages; errors of Magnus
steps, far smaller, are not looked at. Elsewhere p̃ is the cubic Hermite interpolant between the ends of steps with slopes A p, and over a step

    ∫ r dt ≈ ⅙τ (A p_0 + 4 A p̃_½ + A p_1) − (p_1 − p_0):

what the equation changes less what the step did, half of it put at either end.

References
----------
Becker and Rannacher (2001), An optimal control approach to a posteriori error estimation; Pierce and Giles (2000), Adjoint recovery of
superconvergent functionals, for the two forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from fpk.errors import SchemeError
from fpk.fokker_planck.product.central import Central
from fpk.fokker_planck.product.explicit import FaberStepper
from fpk.fokker_planck.product.fields import fields_at
from fpk.fokker_planck.product.separable import SeparableSteps
from fpk.fokker_planck.product.spectral import Fourier, SpectralStepper
from fpk.laws import Array
from fpk.problem import Problem, step_plan

#: Gauss points of a panel for exponentials, and how long one is at most, in stages of one exponential or in steps. Intervals between stored times
#: that are shorter than a panel take fewer points, by the root of their share.
POINTS, STAGES, STEPS = 4, 250, 8
#: Cells at the edges where residuals are left out.
RIM = 6


def unseen(plan: Any) -> bool:
    """Whether errors are not those of an operator: spectral schemes."""
    return isinstance(plan.stepper, (SeparableSteps, SpectralStepper))


@dataclass(frozen=True, eq=False)
class ProductResiduals:
    """Residuals of what ``plan`` computes, in the equation of ``problem`` (another one than the plan's to look for a wrong coefficient).

    Parameters
    ----------
    plan : ProductDiscretisation
    problem : Problem
    times : tuple of float
        The stored times of the solution: they decide where its steps end.

    Raises
    ------
    SchemeError
        For spectral schemes.
    """

    plan: Any
    problem: Problem
    times: tuple[float, ...]

    def __post_init__(self) -> None:
        if unseen(self.plan):
            raise SchemeError(
                f"residuals are taken by Fourier differences, which are no better than those of {self.plan.scheme}. "
                "Solve with scheme=ACCURATE of fpk.fokker_planck.product.discretisation."
            )

    @cached_property
    def complete(self) -> bool:
        """Whether errors of steps are seen, or there are none."""
        return self.plan.problem.steady or not self._exponential

    @property
    def steps(self) -> int:
        """How many solution and correction take; 0 where any number is exact."""
        exact = self._exponential and self.plan.problem.steady
        return 0 if exact else sum(len(legs) for legs in self._legs(self.times))

    def corrections(self) -> Array:
        """What (1) adds to the densities at the stored times, shape (len(times), *shape)."""
        return np.stack(list(self._of_operators() if self._exponential else self._of_steps()))

    @property
    def _exponential(self) -> bool:
        return isinstance(self.plan.stepper, FaberStepper)

    def _of_operators(self) -> Iterator[Array]:
        """By Gauss sums of (A − A_h) p between the stored times."""
        p, now = self.plan.start, 0.0
        e = np.zeros_like(p)
        for start, end in pairwise((0.0, *self.times)):
            for t, weight in self._nodes(start, end):
                p, e = self._moved((p, e), now, t)
                own = Central(self.plan.stepper.fields_at(t), self.plan.grid).applied(p)
                e, now = e + weight * self._inside * (self._generator(p, t) - own), t
            p, e = self._moved((p, e), now, end)
            now = end
            yield e

    def _nodes(self, start: float, end: float) -> Iterator[tuple[float, float]]:
        """Gauss points between two stored times, and their weights."""
        panels = self._panels(end - start) if end > start else 0
        share = ((end - start) / self.times[-1]) ** 0.5 if panels == 1 else 1.0
        nodes, weights = np.polynomial.legendre.leggauss(int(np.ceil(POINTS * share)) if panels else 1)
        for i in range(panels):
            half = (end - start) / panels / 2
            yield from zip((start + half * (2 * i + 1 + nodes)).tolist(), half * weights, strict=True)

    def _panels(self, length: float) -> int:
        """As many as have :data:`STAGES` stages (of steady coefficients), or :data:`STEPS` steps."""
        if not self.plan.problem.steady:
            return int(np.ceil(length / self.times[-1] * self.plan.steps / STEPS))
        _, alpha = self.plan.stepper.exponentials(0.0, length)[0][0].expansion(length)
        return int(np.ceil(len(alpha) / STAGES))

    def _moved(self, states: tuple[Array, ...], start: float, end: float) -> tuple[Array, ...]:
        """States at ``end`` from those at ``start``, in steps about as long as the plan's."""
        count = 1 if self.plan.problem.steady else int(np.ceil((end - start) / self.times[-1] * self.plan.steps))
        for i in range(count if end > start else 0):
            t, step = start + (end - start) * (i / count), (end - start) / count
            states = tuple(self.plan.stepper.advanced(p, t, step) for p in states)
        return states

    def _of_steps(self) -> Iterator[Array]:
        """By what every step misses."""
        p = self.plan.start
        e, slope = np.zeros_like(p), self._generator(p, 0.0)
        for legs in self._legs(self.times):
            for t, step in legs:
                before, q = slope, self.plan.stepper.advanced(p, t, step)
                slope = self._generator(q, t + step)
                middle = self._generator((p + q) / 2 + step / 8 * (before - slope), t + step / 2)
                missed = self._inside * (step / 6 * (before + 4 * middle + slope) - (q - p))
                e, p = self.plan.stepper.advanced(e + missed / 2, t, step) + missed / 2, q
            yield e

    def _legs(self, times: tuple[float, ...]) -> list[list[tuple[float, float]]]:
        """Start and length of the steps to each time; where one would be exact, as many as were asked for."""
        stepper, steps = self.plan.stepper, self.plan.steps
        if times[-1] > 0 and stepper.counted(steps) < steps:
            plan = zip((0.0, *times), step_plan(times, steps), strict=False)
            return [[(start + i * length, length) for i in range(count)] for start, (count, length) in plan]
        return [legs for _, legs in stepper.scheduled(times, steps)]

    def _generator(self, p: Array, t: float) -> Array:
        """A p at the cell centres."""
        fourier = self._steady if self.problem.steady else Fourier(self._fields(t), self.plan.grid)
        return fourier.applied(p)

    @cached_property
    def _inside(self) -> Array:
        """0 in the outermost cells, :data:`RIM` or an eighth of an axis, else 1."""
        mask = np.zeros(self.plan.grid.shape)
        rims = (min(RIM, n // 8) for n in mask.shape)
        mask[tuple(slice(rim, n - rim) for rim, n in zip(rims, mask.shape, strict=True))] = 1.0
        return mask

    @cached_property
    def _fields(self) -> Any:
        return fields_at(self.problem, self.plan.grid)

    @cached_property
    def _steady(self) -> Fourier:
        return Fourier(self._fields(0.0), self.plan.grid)
