r"""Euler–Maruyama particles with a companion at twice the step on the same noise.

    X_{n+1} = X_n + f(X_n, t_n) Δt + g(X_n, t_n) ΔW_n                weak order 1

Every pair of fine increments also drives one coarse step, so the difference of the two ensembles estimates the time-step error with little
noise: the finer ensemble is reported, and its budget is 1.25 |E φ(Δt) − E φ(2Δt)| + 3 standard errors of that difference.

Particles live in blocks of fixed size. The noise of block i comes from the i-th child of the seed, so the numbers depend on the seed and on
nothing else: not on threads, nor on how many blocks are worked on at once, nor on the total number of particles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fpk.errors import NonFinite, ProblemError
from fpk.laws import Array
from fpk.particles.ensemble import ParticleMarginals
from fpk.paths import DynkinBlock
from fpk.problem import Problem, euler_scheme, step_plan

#: Particles in a block: small enough for the first-level cache, large enough to hide the interpreter.
BLOCK = 8192


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
    plan = step_plan(times, steps)
    run = _Run(problem, times, plan, root, particles, threads)
    (start, _), *kept = run.everywhere([])
    fine, coarse = (np.stack([pair[i] for pair in kept]) for i in (0, 1))
    total = 2 * sum(count for count, _ in plan)
    key = f"euler-maruyama:{root}:{particles}:{times}:{total}"
    source = f"particles, Euler–Maruyama, {particles:,} × {total} steps, seed {root}"
    scheme = euler_scheme(times, 2 * steps)
    return ParticleMarginals(times, fine, coarse, key, start, run.replayed, scheme, source)


class _Run:
    """One simulation, to be run as often as its paths are needed: the same seed gives the same paths."""

    def __init__(
        self, problem: Problem, times: tuple[float, ...], plan: Any, root: int, particles: int, threads: int
    ) -> None:
        self.problem, self.times, self.plan, self.root = problem, times, plan, root
        self.sizes = [min(BLOCK, particles - start) for start in range(0, particles, BLOCK)]
        self.threads = threads

    def everywhere(self, paths: Sequence[DynkinBlock]) -> list[tuple[Array, Array]]:
        """Run all blocks: positions (fine, coarse) at t = 0 and at each time, then the integrals of each path functional."""
        with ThreadPoolExecutor(max_workers=self.threads) as pool:
            blocks = list(pool.map(lambda i: self.block(i, paths), range(len(self.sizes))))
        joined = []
        for parts in zip(*blocks, strict=True):
            axis = 0 if len(joined) <= len(self.times) else 1  # positions are (n, d), integrals (K, n)
            joined.append(tuple(np.concatenate([pair[i] for pair in parts], axis=axis) for i in (0, 1)))
        return joined

    def replayed(self, paths: Sequence[DynkinBlock]) -> Iterator[tuple[Array, Array]]:
        """∫₀ᵗ Lφ ds along the fine and the coarse paths, left-point rule, for each block: arrays of shape (K, particles)."""
        return iter(self.everywhere(paths)[1 + len(self.times) :])

    def block(self, index: int, paths: Sequence[DynkinBlock]) -> list[tuple[Array, Array]]:
        """What :meth:`everywhere` returns, for one block of particles."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.root, spawn_key=(index,))))
        # Whole blocks, so that a shorter ensemble is a prefix of a longer one.
        start = self.problem.initial.sample(BLOCK, rng)
        states, size = [start, start.copy()], self.sizes[index]
        kept = [(start[:size], start[:size])]
        spent = [[np.zeros((p.block.degree, BLOCK)) for _ in states] for p in paths]
        t = 0.0
        for (count, step), target in zip(self.plan, self.times, strict=True):
            origin = t
            running = [(p, total) for p, total in zip(paths, spent, strict=True) if p.time >= target]
            try:
                for i in range(count):
                    self._coarse_step(states, origin + i * step, step, rng, running)
            except NonFinite as error:
                raise _named(error, index) from error
            t = target
            for state in states:
                self._check(state, t, index)
            kept.append((states[0][:size].copy(), states[1][:size].copy()))
        return kept + [(fine[:, :size], coarse[:, :size]) for fine, coarse in spent]

    def _coarse_step(
        self, states: list[Array], t: float, step: float, rng: np.random.Generator, running: Sequence[Any] = ()
    ) -> None:
        half = 0.5 * step
        noises = [rng.standard_normal(self._noise_shape(states[0], t)) * np.sqrt(half) for _ in range(2)]
        for path, (_, total) in running:
            total += step * path.integrand(states[1], t)
        coarse = self._moved(states[1], t, step, noises[0] + noises[1])
        fine = states[0]
        for i, noise in enumerate(noises):
            for path, (total, _) in running:
                total += half * path.integrand(fine, t + i * half)
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
