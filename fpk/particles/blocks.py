r"""Blocks: one large ensemble computed in parts, by as many processes as there are, with the same bits however many they are.

Particle i in step s has the noise of the address (seed, i, s), so any part of an ensemble can be computed anywhere. Floating-point sums depend on
their order, so that is fixed too: the ensemble is cut into blocks of :data:`BLOCK` particles, whatever computes them, each is summed up where it is
computed (counts, means, centred sums of products), and the summaries are merged in the order of the particles. Positions never travel and
are never all in memory: an ensemble may be larger than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.marginals import ROUND_OFF, Estimate, panel_step_budget, step_budget
from fpk.panels import Panel, ThresholdBlock
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.mapping import OVER, Over
from fpk.particles.simulation import simulate
from fpk.problem import Problem

#: Particles in a block: enough to hide what a block costs, few enough to fit in memory with all levels and times.
BLOCK = 65_536
#: Units in one of the means that noise is estimated from, and how many such means are kept at most.
MEANED, MEANS = 256, 256


@dataclass(frozen=True, eq=False)
class Summary:
    """What is kept of consecutive particles.

    Parameters
    ----------
    units : int
        How many independent units they are.
    means, products : array, shape (rows,), (rows, rows)
        Means of the functionals on the finest level, then of their changes from the next one, and the centred sums of products of all of them.
    below : array of int, shape (3, J)
        How many particles are below each threshold on both levels, and how many have it between their two positions.
    parts : array, shape (B, rows)
        Means over :data:`MEANED` consecutive units.
    noise, scheme, source : str
        As the particles have them.
    """

    units: int
    means: Array
    products: Array
    below: NDArray[np.intp]
    parts: Array
    noise: str = ""
    scheme: str = ""
    source: str = ""
    exact: bool = False
    laddered: bool = False

    def __add__(self, later: Summary) -> Summary:
        """Both as one, the later particles after these."""
        total = self.units + later.units
        gap = later.means - self.means
        return Summary(
            total,
            self.means + gap * (later.units / total),
            self.products + later.products + np.multiply.outer(gap, gap) * (self.units * later.units / total),
            self.below + later.below,
            np.concatenate([self.parts, later.parts]),
            *(self.noise, self.scheme, self.source, self.exact, self.laddered),
        )


@dataclass(frozen=True, eq=False)
class BlockedMarginals:
    """Marginals of an ensemble that is simulated block by block, anew for each panel it is asked for.

    Parameters
    ----------
    problem : Problem
    particles : int
    times : tuple of float
    options : dict
        Further arguments of :func:`fpk.simulate`.
    over : callable, optional
        What maps the computation over the blocks; default what the run provides, else this process.
    """

    problem: Problem
    particles: int
    times: tuple[float, ...]
    options: dict[str, Any] = field(default_factory=dict)
    over: Over | None = None

    def expect(self, panel: Panel) -> Estimate:
        """Sample means with covariance, block means and the time-step budget, the same bits for any number of processes."""
        work = partial(summarised, self.problem, panel, times=self.times, options=self.options)
        over = self.over or OVER.get()
        return _estimate(reduce(Summary.__add__, over(work, _blocks(self.particles))), self.particles, len(panel.names))


def simulate_in_blocks(
    problem: Problem, *, particles: int, times: Sequence[float], over: Over | None = None, **options: Any
) -> BlockedMarginals:
    """One large ensemble, to be computed in blocks by several processes.

    Parameters
    ----------
    problem : Problem
        It is sent to the processes, so its functions must be such as ``cloudpickle`` can send (Dask uses it).
    particles : int
        As many as wanted; memory holds one block of :data:`BLOCK` in each process.
    times : sequence of float
    over : callable, optional
        Like :func:`map`, for example ``lambda f, xs: client.gather(client.map(f, xs))`` with a Dask client; default the workers of the run it
        is part of, else this process.
    **options
        ``steps``, ``seed`` (an integer), ``scheme``, ``levels``, ``antithetic`` and ``threads`` of :func:`fpk.simulate`.

    Raises
    ------
    ProblemError
        For counts that make no sense, and for a seed that is a generator.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.3))
    >>> blocks = simulate_in_blocks(ou, particles=200_000, steps=20, times=[1.0], seed=1)
    >>> print(fpk.compare(blocks, fpk.exact(ou, times=[1.0]), tolerance=0.1).outcome)
    CONFIRMED
    """
    if isinstance(options.get("seed"), np.random.Generator):
        raise ProblemError("simulate_in_blocks takes an integer as seed: every block must know it.")
    if particles < 2 or (options.get("antithetic") and particles % 2):
        raise ProblemError(f"simulate_in_blocks needs 2 or more particles, in pairs if antithetic, got {particles}.")
    return BlockedMarginals(problem, particles, problem.checked_times(times), options, over)


def _blocks(particles: int) -> list[tuple[int, int]]:
    """First particle and number of particles of each block; the last takes in a remainder too small to be one."""
    first = range(0, max(particles - BLOCK // 2, 1), BLOCK)
    return [(begin, (end if end else particles) - begin) for begin, end in zip(first, [*first[1:], 0], strict=True)]


def summarised(
    problem: Problem, panel: Panel, block: tuple[int, int], *, times: Sequence[float], options: dict[str, Any]
) -> Summary:
    """Simulate one block and sum it up; in whichever process."""
    begin, count = block
    first = begin // 2 if options.get("antithetic") else begin
    run = simulate(problem, particles=count, first=first, times=times, **options)
    levels = [run, run.level(1)] if len(run.positions) > 1 else [run]
    values = [one.values(panel) for one in levels]
    rows = np.concatenate([values[0], *(values[0] - coarse for coarse in values[1:])])
    means = rows.mean(1)
    centred = rows - means[:, None]
    whole = rows.shape[1] // MEANED
    return Summary(
        rows.shape[1],
        means,
        np.einsum("ia,ja->ij", centred, centred),  # no BLAS: its threads would choose the order
        np.concatenate([np.zeros((3, 0), int), *(_below(levels, one) for one in panel.thresholds)], axis=1),
        rows[:, : whole * MEANED].reshape(len(rows), whole, MEANED).mean(2).T,
        *(
            run.noise_key,
            run.scheme,
            run.source.replace(f" {run.particles:,} ×", " {:,} ×"),
            run.exact,
            len(levels) > 1,
        ),
    )


def _below(levels: Sequence[ParticleMarginals], block: ThresholdBlock) -> NDArray[np.intp]:
    ends = [np.where(one.alive(block.time), one.samples(block.time) @ block.direction, np.inf) for one in levels]

    def below(x: Array) -> NDArray[np.intp]:
        return np.searchsorted(np.sort(x), block.points, side="right")

    fine, coarse = below(ends[0]), below(ends[-1])
    return np.stack([fine, coarse, below(np.minimum(ends[0], ends[-1])) - below(np.maximum(ends[0], ends[-1]))])


def _estimate(found: Summary, particles: int, count: int) -> Estimate:
    n, value = found.units, found.means[:count]
    bias, threshold = np.zeros(count), found.below / particles
    bound = np.zeros(threshold.shape[1])
    if found.laddered and not found.exact:
        error = np.sqrt(np.diag(found.products)[count:] / (n - 1) / n)
        bias = panel_step_budget(found.means[count:], error)
        bound = step_budget(threshold[0] - threshold[1], np.sqrt(threshold[2] / particles))
    elif not found.exact:
        bias, bound = np.full(count, np.inf), np.full(len(bound), np.inf)
    parts = _few(found.parts)
    return Estimate(
        value,
        bias + ROUND_OFF,
        covariance=found.products[:count, :count] / (n - 1) / n,
        samples=n,
        averaged=n < particles,
        thresholds=threshold[0],
        threshold_bound=bound,
        block_means=None if parts is None else parts[:, :count],
        coarse_block_means=None if parts is None or not found.laddered else parts[:, :count] - parts[:, count:],
        noise_key=f"blocks:{particles}:{found.noise}",
        step_bias=bias,
        scheme=found.scheme or None,
        source=found.source.format(particles),
    )


def _few(parts: Array) -> Array | None:
    """At most :data:`MEANS` means of equally many consecutive units; None below 32, which tell nothing of their spread."""
    together = -(-len(parts) // MEANS)
    whole = len(parts) // max(together, 1)
    return parts[: whole * together].reshape(whole, together, -1).mean(1) if whole >= 32 else None
