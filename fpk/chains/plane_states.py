"""What is kept of a chain in the plane at one time, and the chain itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fpk.chains.marginals import ChainMarginals
from fpk.chains.noises import PER_WIDTH, moved, windowed
from fpk.chains.pieces import PiecewiseLaw
from fpk.chains.plane import FEWEST, MOST, PlaneDensity, PlaneSources, smeared
from fpk.counts import counting
from fpk.errors import GridError, NoClosedForm, ProblemError, SchemeError
from fpk.laws import Array, Law
from fpk.panels import ThresholdBlock
from fpk.samplers import Kernel, Sampler

Map = Callable[[Array], Array]

#: Nodes along an axis for expectations (and half of them), and for slices after maps.
NODES, SLICED = 256, 512
#: Window of such a slice in its standard deviations, halved until the error is ENOUGH or grows.
WIDTH, HALVINGS, ENOUGH = 0.25, 5, 1e-8


@dataclass(frozen=True, eq=False)
class PlaneState:
    """In the plane: a density on a grid, the law it belongs to, and the maps that have been applied since.

    Parameters
    ----------
    density : PlaneDensity
    origin : Law or PlaneSources
        What knows its own slices: the initial law, or the Gaussians a kernel has left.
    maps : tuple of callables
        Each (n, 2) ↦ (n, 2), the first one first.
    error : float
    """

    density: PlaneDensity
    origin: Law | PlaneSources
    maps: tuple[Map, ...] = ()
    error: float = 0.0
    _slices: dict[bytes, tuple[Law, float]] = field(default_factory=dict)

    def image(self, x: Array) -> Array:
        """All maps, one after the other."""
        for step in self.maps:
            x = step(x)
        return x

    @property
    def law(self) -> PlaneLaw:
        """Itself as a law."""
        return PlaneLaw(self)

    def expected(self, block: Any) -> tuple[Array, Array, float]:
        """By the trapezoidal rule on NODES along an axis, and on half of them."""
        factor = _times(self.density, NODES // 2)
        (x, held), (y, coarse) = self.density.finer(2 * factor).nodes(), self.density.finer(factor).nodes()
        fine = block.values(self.image(x))
        return fine @ held, block.values(self.image(y)) @ coarse, float(np.abs(fine).max())

    def below(self, block: ThresholdBlock) -> tuple[Array, Array]:
        """From the slice."""
        law, error = self.slice(block.direction)
        return law.cdf(block.points), np.full(len(block.points), error)

    def slice(self, direction: Array) -> tuple[Law, float]:
        """The law of ⟨direction, X⟩, and its own error in the L¹ norm."""
        key = np.ascontiguousarray(direction, float).tobytes()
        if key not in self._slices:
            self._slices[key] = self._slice(np.asarray(direction, float))
        return self._slices[key]

    def _slice(self, direction: Array) -> tuple[Law, float]:
        if self.maps:
            return self._windowed(direction)
        if isinstance(self.origin, PlaneSources):
            return self.origin.along(direction), 0.0
        return self.origin.projected(direction), 0.0

    def _windowed(self, direction: Array) -> tuple[PiecewiseLaw, float]:
        """Masses at the images, seen through a window of high order."""
        x, held = self.density.finer(_times(self.density, SLICED)).nodes()
        at = self.image(x) @ direction
        mean = held @ at / held.sum()
        width = WIDTH * float(np.sqrt(held @ (at - mean) ** 2 / held.sum()))
        best, last = (_seen(at, held, width), np.inf), None
        for _ in range(HALVINGS):
            width, last = 0.5 * width, best
            law = _seen(at, held, width)
            error = _distance(law, last[0])
            if error > last[1]:
                return last
            best = law, error
            if error < ENOUGH:
                break
        return best


def _times(density: PlaneDensity, nodes: int) -> int:
    """How many times finer a grid must be for so many nodes along its longer axis."""
    return max(1, round(nodes / max(density.values.shape)))


def _seen(at: Array, held: Array, width: float) -> PiecewiseLaw:
    return windowed(moved(at, held, width / PER_WIDTH), width).law(1e-4 * ENOUGH, narrowest=0.5 * width)


def _distance(first: PiecewiseLaw, second: PiecewiseLaw) -> float:
    """∫ |p − q|, read at the nodes of the first."""
    gap = np.abs(first.values - second.density_at(first.nodes.ravel()).reshape(first.values.shape))
    return float(gap.mean(1) @ np.diff(first.edges))


@dataclass(frozen=True, eq=False)
class PlaneLaw:
    """The law of a chain in the plane: expectations, slices and samples; a density where the last kernel had noise."""

    state: PlaneState

    @property
    def dimension(self) -> int:
        """Dimension, 2."""
        return 2

    def projected(self, direction: Array) -> Law:
        """The law of ⟨direction, X⟩."""
        return self.state.slice(direction)[0]

    def log_density(self, x: Array) -> Array:
        """Log p at x of shape (n, 2); (n,).

        Raises
        ------
        NoClosedForm
            After a map, whose inverse is not known.
        """
        origin = self._origin
        return np.log(np.maximum(origin.at(x), 1e-300)) if isinstance(origin, PlaneSources) else origin.log_density(x)

    def score(self, x: Array) -> Array:
        """∇ log p at x of shape (n, 2)."""
        return self._origin.score(x)

    @property
    def _origin(self) -> Law | PlaneSources:
        if self.state.maps:
            raise NoClosedForm(
                "the density after a step without noise is not known in the plane; slices (projected) and expectations are."
            )
        return self.state.origin

    def cdf(self, x: Array) -> Array:
        """Refused: use slices.

        Raises
        ------
        ProblemError
        """
        raise ProblemError("a law in the plane has no distribution function here: use projected(direction).cdf(x).")

    def breakpoints(self) -> Array:
        """Refused: use slices.

        Raises
        ------
        ProblemError
        """
        raise ProblemError("breakpoints belong to laws on the line: use projected(direction).breakpoints().")

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, 2)."""
        origin = self.state.origin
        return self.state.image(origin.sample(n, rng))


def plane_chain(sampler: Sampler, *, initial: Law) -> ChainMarginals:
    """The law of a chain of Gaussian kernels in the plane, on grids.

    Raises
    ------
    SchemeError
        In other dimensions, or for steps that are no Gaussian kernels.
    GridError
        Where noise is too small for a grid.
    """
    if initial.dimension != 2 or not sampler.gaussian:
        raise SchemeError(
            f"a chain of {sampler.name} in d = {initial.dimension} is not propagated: that needs d = 1, Gaussian kernels in d = 2, or affine "
            "kernels from a Gaussian mixture. Take particles, sampler.sample(...)."
        )
    state = PlaneState(initial_density(initial), initial)
    states = {float(sampler.times[0]): state}
    for k in range(sampler.steps):
        for kernel in sampler.kernels(k):
            state = _after(state, kernel)
        states[float(sampler.times[k + 1])] = state
    return ChainMarginals(states, sampler.scheme, f"law of {sampler.name}, {counting(sampler.steps, 'step')}")


def _after(state: PlaneState, kernel: Kernel) -> PlaneState:
    if not kernel.std:
        return replace(state, maps=(*state.maps, kernel.mean), _slices={})
    density, origin, error = smeared(state.density, lambda x: kernel.mean(state.image(x)), kernel.std)
    return PlaneState(density, origin, (), state.error + error)


def initial_density(law: Law) -> PlaneDensity:
    """A law on a grid between the outermost breakpoints of its slices, refined until its Fourier series has died down.

    Raises
    ------
    GridError
        If MOST nodes along an axis are too few.
    """
    ends = [law.projected(axis).breakpoints()[[0, -1]] for axis in np.eye(2)]
    count = FEWEST
    while count <= MOST:
        axes = (np.linspace(ends[0][0], ends[0][1], count), np.linspace(ends[1][0], ends[1][1], count))
        x = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], axis=1)
        density = PlaneDensity(axes, np.exp(law.log_density(x)).reshape(count, count))
        if _died_down(density.values):
            return density
        count *= 2
    raise GridError(
        f"{law!r} needs more than {MOST} nodes along an axis of the plane: it has features far below its width."
    )


def _died_down(values: Array) -> bool:
    size = np.abs(np.fft.fft2(values))
    middle = [n // 2 for n in values.shape]
    return bool(max(size[middle[0]].max(), size[:, middle[1]].max()) < 1e-13 * size.max())
