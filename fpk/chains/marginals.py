"""Propagated chains as marginals: expectations by quadrature over the law a chain really has, with a budget that has been measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from fpk.chains.images import ImageLaw
from fpk.chains.pieces import PiecewiseLaw
from fpk.errors import ProblemError
from fpk.laws import Array, Law
from fpk.marginals import ROUND_OFF, Estimate
from fpk.panels import Panel, ThresholdBlock, one_time
from fpk.shown import Summarised

Map = Callable[[Array], Array]


class State(Protocol):
    """The law of a chain at one time, as it is kept."""

    @property
    def error(self) -> float:
        """Its error in the L¹ norm."""
        ...

    @property
    def law(self) -> Law:
        """Itself as a law."""
        ...

    def expected(self, block: Any) -> tuple[Array, Array, float]:
        """Expectations of a block's functionals (K,), the same at half the resolution, and the largest value of a functional met."""
        ...

    def below(self, block: ThresholdBlock) -> tuple[Array, Array]:
        """The distribution function at the block's points (J,), and a bound for its error beside :attr:`error`."""
        ...


@dataclass(frozen=True, eq=False)
class LineState:
    """On the line: a law by pieces, and the maps that have been applied to it since.

    Parameters
    ----------
    base : PiecewiseLaw
    maps : tuple of callables
        Each (n,) ↦ (n,), the first one first.
    error : float
    """

    base: PiecewiseLaw
    maps: tuple[Map, ...] = ()
    error: float = 0.0

    def image(self, x: Array) -> Array:
        """All maps, one after the other."""
        for step in self.maps:
            x = step(x)
        return x

    @cached_property
    def law(self) -> PiecewiseLaw | ImageLaw:
        """The base, or its image."""
        return ImageLaw(self.base, self.image) if self.maps else self.base

    def expected(self, block: Any) -> tuple[Array, Array, float]:
        """By Gauss–Legendre quadrature on the panels and on their halves."""
        base = self.law.base if isinstance(self.law, ImageLaw) else self.base
        halved = base.halved()
        fine, coarse = (block.values(self.image(part.nodes.ravel())[:, None]) for part in (halved, base))
        return fine @ halved.masses.ravel(), coarse @ base.masses.ravel(), float(np.abs(fine).max())

    def below(self, block: ThresholdBlock) -> tuple[Array, Array]:
        """From the panels' own integrals."""
        law = self.law
        slack = law.slack(block.points) if isinstance(law, ImageLaw) else np.zeros(len(block.points))
        return law.cdf(block.points), slack


def stop(t: float, times: Iterable[float], source: str) -> float:
    """The one of a chain's times that is t, up to round-off.

    Raises
    ------
    ProblemError
        If there is none.
    """
    nearest = min(times, key=lambda known: abs(known - t))
    if abs(nearest - t) > 1e-12 * max(1.0, abs(t)):
        raise ProblemError(f"{source} has no law at t={t:g}: the chain stops at {sorted(times)}.")
    return nearest


@dataclass(frozen=True, eq=False, repr=False)
class ChainMarginals(Summarised):
    """The laws of a discrete chain at its times, without sampling.

    Parameters
    ----------
    states : mapping from float to State
    scheme : str
        The sampler's own: a comparison with particles of the same sampler is about one discrete law.
    source : str
    """

    states: Mapping[float, Any]
    scheme: str
    source: str = field(default="propagated chain")
    exactness: ClassVar[int] = 1

    @property
    def times(self) -> tuple[float, ...]:
        """The chain's times, increasing."""
        return tuple(sorted(self.states))

    def _state(self, t: float) -> State:
        return self.states[stop(t, self.states, self.source)]

    def law(self, t: float) -> Law:
        """The law at one of the chain's times."""
        return self._state(t).law

    def error(self, t: float) -> float:
        """Bound for the error of the law at t in the L¹ norm: the measured errors of all steps before."""
        return self._state(t).error

    def density_on(self, x: Array, t: float) -> Array:
        """p_t at points x of shape (n,); d = 1."""
        return np.exp(self.law(t).log_density(x[:, None]))

    def expect(self, panel: Panel) -> Estimate:
        """Expectations; the budget is the law's error times the functional's size, and what half the resolution changes."""
        parts = [self._expected(one_time(block, self.source)) for block in panel.smooth]
        value, coarser, budget = (np.concatenate(column) for column in zip(*parts, strict=True))
        steps = [self._below(block) for block in panel.thresholds]
        return Estimate(
            value,
            budget,
            coarser=coarser,
            thresholds=np.concatenate([s[0] for s in steps]) if steps else np.zeros(0),
            threshold_bound=np.concatenate([s[1] for s in steps]) if steps else np.zeros(0),
            scheme=self.scheme,
            source=self.source,
        )

    def _expected(self, block: Any) -> tuple[Array, Array, Array]:
        state = self._state(block.time)
        fine, coarse, size = state.expected(block)
        return fine, coarse, np.abs(fine - coarse) + size * (state.error + 10 * ROUND_OFF)

    def _below(self, block: ThresholdBlock) -> tuple[Array, Array]:
        state = self._state(block.time)
        value, bound = state.below(block)
        return value, bound + state.error + 10 * ROUND_OFF
