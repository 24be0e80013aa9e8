r"""Euler–Maruyama particles with a companion at twice the step on the same noise.

    X_{n+1} = X_n + f(X_n, t_n) Δt + g(X_n, t_n) ΔW_n                weak order 1

Every pair of fine increments also drives one coarse step, so the difference of the two ensembles estimates the time-step error with little
noise: the finer ensemble is reported, and its budget is 1.25 |E φ(Δt) − E φ(2Δt)| + 3 standard errors of that difference.

Particles live in blocks of fixed size. The noise of block i comes from the i-th child of the seed, so the numbers depend on the seed and on
nothing else: not on threads, nor on how many blocks are worked on at once, nor on the total number of particles.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpk.errors import NonFinite, ProblemError
from fpk.laws import Array, Law, TabulatedLaw
from fpk.marginals import ROUND_OFF, Estimate
from fpk.panels import Block, Panel
from fpk.problem import Problem

#: Particles in a block: small enough for the first-level cache, large enough to hide the interpreter.
BLOCK = 8192


@dataclass(frozen=True, eq=False)
class ParticleMarginals:
    """Positions of an ensemble at some times, from steps Δt and (the companion) 2Δt.

    Parameters
    ----------
    times : tuple of float
    fine, coarse : array, shape (len(times), particles, d)
    noise_key : str
        Names the noise: equal keys mean the same increments, particle by particle.
    source : str
    """

    times: tuple[float, ...]
    fine: Array
    coarse: Array
    noise_key: str
    source: str = "particles"
    exactness: ClassVar[int] = 0

    @property
    def particles(self) -> int:
        """Number of particles."""
        return self.fine.shape[1]

    def samples(self, t: float) -> Array:
        """Positions at time t, shape (particles, d)."""
        return self.fine[self._index(t)]

    def _index(self, t: float) -> int:
        found = np.flatnonzero(np.isclose(self.times, t, rtol=1e-12, atol=1e-14))
        if not len(found):
            raise ProblemError(f"positions were not kept at t={t:g}; kept: {list(self.times)}. Add it to times=.")
        return int(found[0])

    def law(self, t: float) -> Law:
        """A smooth pilot law (d = 1) from a Gaussian-kernel density of the particles: a reference, not an estimate."""
        return self._pilots[self._index(t)]

    @cached_property
    def _pilots(self) -> list[Law]:
        if self.fine.shape[2] != 1:
            raise ProblemError(
                "particles in d > 1 offer no pilot law; compare with a side that knows its law, or give panel=."
            )
        return [_pilot(x[:20_000, 0]) for x in self.fine]

    def density_on(self, x: Array, t: float) -> Array:
        """A histogram of 120 bins over the range of x, read at x of shape (n,): to look at, not to compare."""
        counts, edges = np.histogram(self.samples(t)[:, 0], bins=120, range=(x[0], x[-1]))
        return np.interp(x, 0.5 * (edges[1:] + edges[:-1]), counts / (self.particles * (edges[1] - edges[0])))

    def expect(self, panel: Panel) -> Estimate:
        """Sample means with covariance, block means and the time-step budget."""
        fine = np.concatenate([b.values(self.samples(b.time)) for b in panel.smooth])
        coarse = np.concatenate([b.values(self.coarse[self._index(b.time)]) for b in panel.smooth])
        value, n = fine.mean(1), self.particles
        change = fine - coarse
        bias = 1.25 * np.abs(change.mean(1)) + 3 * change.std(1, ddof=1) / np.sqrt(n)
        pairs = [self._distribution(block) for block in panel.thresholds]
        thresholds = np.concatenate([p[0] for p in pairs]) if pairs else np.zeros(0)
        return Estimate(
            value,
            bias + ROUND_OFF,
            covariance=np.atleast_2d(np.cov(fine)) / n,
            samples=n,
            thresholds=thresholds,
            threshold_bound=np.concatenate([p[1] for p in pairs]) if pairs else np.zeros(0),
            block_means=_block_means(fine),
            noise_key=self.noise_key,
            source=self.source,
        )

    def _distribution(self, block: Block) -> tuple[Array, Array]:
        """Empirical distribution function at the thresholds and its time-step budget."""
        k, n, points = self._index(block.time), self.particles, block.points  # type: ignore[union-attr]
        fine, coarse = self.fine[k] @ block.direction, self.coarse[k] @ block.direction

        def below(x: Array) -> Array:
            return np.searchsorted(np.sort(x), points, side="right") / n

        value = below(fine)
        crossed = below(np.minimum(fine, coarse)) - below(np.maximum(fine, coarse))  # particles with the point between
        return value, 1.25 * np.abs(value - below(coarse)) + 3 * np.sqrt(crossed / n)


def _block_means(values: Array) -> Array | None:
    """Means over the blocks that are complete, shape (B, K)."""
    count = values.shape[1] // BLOCK
    return values[:, : count * BLOCK].reshape(len(values), count, BLOCK).mean(2).T if count >= 32 else None


def _pilot(x: Array) -> TabulatedLaw:
    from scipy.stats import gaussian_kde

    kernel = gaussian_kde(x[:5000])
    reach = 4 * float(x.std())
    points = np.linspace(x.min() - reach, x.max() + reach, 801)
    return TabulatedLaw(points, np.log(np.maximum(kernel(points), 1e-300)))


def simulate(
    problem: Problem,
    *,
    particles: int,
    steps: int,
    times: Sequence[float],
    seed: int | np.random.Generator = 0,
    threads: int = 2,
) -> ParticleMarginals:
    """Simulate particles of a problem by Euler–Maruyama, with the same-noise companion that measures the time-step error.

    Parameters
    ----------
    problem : Problem
        Any dimension; open or no-flux (reflecting, by folding) or periodic boundary.
    particles : int
        Number of particles, at least 2.
    steps : int
        *Coarse* steps from 0 to the last time; the reported ensemble takes twice as many.
    times : sequence of float
        Where positions are kept, in [0, horizon].
    seed : int or numpy.random.Generator, default 0
        Same seed, same numbers; a generator is asked for one integer.
    threads : int, default 2
        Does not change the numbers.

    Returns
    -------
    ParticleMarginals

    Raises
    ------
    ProblemError
        For absorbing boundaries, or counts that make no sense.
    NonFinite
        If a particle's state becomes NaN or infinite: says which, where and when.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.3))
    >>> run = simulate(ou, particles=1000, steps=10, times=[1.0], seed=1)
    >>> run.samples(1.0).shape
    (1000, 1)
    """
    times = problem.checked_times(times)
    if problem.boundary.kind == "absorbing":
        raise ProblemError("particles with absorbing walls are not available: use fpk.solve on a grid.")
    if particles < 2 or steps < 1:
        raise ProblemError(f"simulate needs particles ≥ 2 and steps ≥ 1, got particles={particles}, steps={steps}.")
    root = int(seed.integers(2**63)) if isinstance(seed, np.random.Generator) else int(seed)
    plan = _schedule(times, steps)
    sizes = [min(BLOCK, particles - start) for start in range(0, particles, BLOCK)]
    run = _Run(problem, times, plan, root)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        blocks = list(pool.map(run.block, range(len(sizes)), sizes))
    fine, coarse = (np.concatenate([b[i] for b in blocks], axis=1) for i in (0, 1))
    total = 2 * sum(count for count, _ in plan)
    key = f"euler-maruyama:{root}:{particles}:{times}:{total}"
    return ParticleMarginals(
        times, fine, coarse, key, f"particles, Euler–Maruyama, {particles:,} × {total} steps, seed {root}"
    )


def _schedule(times: tuple[float, ...], steps: int) -> list[tuple[int, float]]:
    """For each interval between stored times: the number of coarse steps and their length."""
    starts = (0.0, *times[:-1])
    counts = [max(1, round(steps * (b - a) / times[-1])) if b > a else 0 for a, b in zip(starts, times, strict=True)]
    return [(n, (b - a) / n if n else 0.0) for n, a, b in zip(counts, starts, times, strict=True)]


class _Run:
    """Everything the blocks of one simulation share."""

    def __init__(self, problem: Problem, times: tuple[float, ...], plan: list[tuple[int, float]], root: int) -> None:
        self.problem, self.times, self.plan, self.root = problem, times, plan, root

    def block(self, index: int, size: int) -> tuple[Array, Array]:
        """Positions of one block at all times, fine and coarse, each of shape (len(times), size, d)."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.root, spawn_key=(index,))))
        start = self.problem.initial.sample(
            BLOCK, rng
        )  # whole blocks, so that a shorter ensemble is a prefix of a longer one
        states = [start, start.copy()]
        kept: list[list[Array]] = [[], []]
        t = 0.0
        for (count, step), target in zip(self.plan, self.times, strict=True):
            origin = t
            try:
                for i in range(count):
                    self._coarse_step(states, origin + i * step, step, rng)
            except NonFinite as error:
                raise _named(error, index) from error
            t = target
            for state in states:
                self._check(state, t, index)
            for held, state in zip(kept, states, strict=True):
                held.append(state[:size].copy())
        return np.stack(kept[0]), np.stack(kept[1])

    def _coarse_step(self, states: list[Array], t: float, step: float, rng: np.random.Generator) -> None:
        half = 0.5 * step
        noises = [rng.standard_normal(self._noise_shape(states[0], t)) * np.sqrt(half) for _ in range(2)]
        coarse = self._moved(states[1], t, step, noises[0] + noises[1])
        fine = states[0]
        for i, noise in enumerate(noises):
            fine = self._moved(fine, t + i * half, half, noise)
        states[:] = [fine, coarse]

    def _noise_shape(self, x: Array, t: float) -> tuple[int, int]:
        g = self.problem.diffusion(x[:1], t)
        return (len(x), g.shape[2] if g.ndim == 3 else x.shape[1])

    def _moved(self, x: Array, t: float, step: float, noise: Array) -> Array:
        g = self.problem.diffusion(x, t)
        spread = (g @ noise[:, :, None])[:, :, 0] if g.ndim == 3 else g * noise
        with np.errstate(over="ignore", invalid="ignore"):  # what explodes is refused with its place, see _check
            return self._inside(x + step * self.problem.drift(x, t) + spread)

    def _inside(self, x: Array) -> Array:
        walls = self.problem.boundary
        if walls.kind == "open":
            return x
        width = walls.upper - walls.lower
        if walls.kind == "periodic":
            return walls.lower + np.mod(x - walls.lower, width)
        folded = np.mod(x - walls.lower, 2 * width)
        return walls.lower + np.minimum(folded, 2 * width - folded)

    def _check(self, x: Array, t: float, index: int) -> None:
        bad = np.flatnonzero(~np.isfinite(x).all(1))
        if len(bad):
            particle: Any = index * BLOCK + int(bad[0])
            raise NonFinite(
                f"particle {particle} is at {x[bad[0]].tolist()} by t={t:g}: the step is too long for this drift, or it explodes. Use more steps."
            )


def _named(error: NonFinite, index: int) -> NonFinite:
    """The refusal of a coefficient with the particle that met it."""
    who = "" if error.row is None else f"particle {index * BLOCK + error.row}: "
    return NonFinite(f"{who}{error} If the drift makes particles explode, more steps help.")
