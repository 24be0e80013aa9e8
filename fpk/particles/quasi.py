r"""Randomised quasi-Monte Carlo: particles whose normal numbers come from scrambled Sobol points.

A particle is a function of D numbers: its start, and the normal numbers of its steps. With N points of a Sobol sequence in [0, 1]^D in place of
independent ones the mean of a smooth functional errs like N^(−1) or better (up to N^(−3/2)) instead of N^(−1/2), the more so the fewer of the D
numbers matter. Scrambling makes every point uniform, so that means are unbiased, and R replicates, scrambled independently, tell the error: they are
the independent *units*, not the particles.

The first points are spent where the variance is. The normal numbers of the steps come from a **Brownian bridge**: the first of them is the sum over
all steps, and each further one splits an interval of duration s + t in two,

    (ξ_s, ξ_t) = (√s ξ + √t ζ, √t ξ − √s ζ) / √(s + t),

a rotation of ξ, the normal number of the whole, and ζ, a fresh one: whatever the order, the numbers of the steps stay independent and normal.
All normal numbers are then turned together so that the first ones move the positions at the kept times as much as possible, to first order: a
linear SDE has at each time one important number for each coordinate, and errs like N^(−3/2) however many steps it takes.

References
----------
Owen (1997), Annals of Statistics 25(4) (rate and unbiasedness); Caflisch, Morokoff & Owen (1997) (Brownian bridge); Imai & Tan (2006) (turning);
Matoušek (1998) (the scrambling by linear matrices and shifts that scipy uses).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fpk.counts import counting
from fpk.errors import NonFinite, SchemeError
from fpk.laws import Array, GaussianMixture
from fpk.particles.clock import Clock, Integers
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.langevin import MALA
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama, Scheme
from fpk.particles.steps import Step
from fpk.problem import Problem, checked_steps

#: Bits of a point: normal numbers reach ± 6.3, and their variance errs by less than 1e-9.
BITS = 32
#: Dimensions for which direction numbers are known (Joe & Kuo 2008).
MOST_DIMENSIONS = 21201
#: Most normal numbers that are turned towards what matters, and the distance of the differences that tell it.
MOST_TURNED, DIFFERENCE = 256, 0.1
#: Fewest replicates: below, their spread says little about the error.
FEWEST = 16
#: Distinguishes the seeds of scrambles from those of anything else with the same root.
SCRAMBLE = 0x50B01


def quasi_simulate(
    problem: Problem,
    *,
    steps: int,
    times: Sequence[float],
    points: int = 2**14,
    replicates: int = 32,
    seed: int = 0,
    scheme: Scheme | None = None,
    levels: int | None = None,
) -> ParticleMarginals:
    """Particles on scrambled Sobol points: the same law as :func:`fpk.particles.simulation.simulate`, with smaller errors for smooth functionals.

    Parameters
    ----------
    problem : Problem
        Any dimension, from a Gaussian mixture; walls may reflect or wrap around.
    steps : int
        Steps of the *coarsest* level from 0 to the last time.
    times : sequence of float
        Where positions are kept, in [0, horizon].
    points : int, default 2¹⁴
        Particles of a replicate, a power of two.
    replicates : int, default 32
        Independent scrambles, at least 16: the units of every standard error.
    seed : int, default 0
        Same seed, same numbers.
    scheme : Scheme, default :class:`fpk.particles.schemes.EulerMaruyama`
        With exact transitions one step reaches a time, and few dimensions matter.
    levels : int, optional
        As for :func:`fpk.particles.simulation.simulate`; all levels on the same Brownian paths.

    Returns
    -------
    ParticleMarginals
        Its ``units`` are the replicates, each of ``points`` consecutive particles.

    Raises
    ------
    SchemeError
        For steps that are accepted or rejected (absorbing walls, MALA: jumps of every functional), other initial laws, counts that are not
        allowed, or more than 21201 dimensions.
    NonFinite
        If a particle's state becomes NaN or infinite.

    Accuracy
    --------
    Normal numbers are float64 inverses of the distribution function at multiples of 2⁻³², plus half of that.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.3))
    >>> run = quasi_simulate(ou, points=256, steps=4, times=[1.0])
    >>> run.samples(1.0).shape, run.units
    ((8192, 1), 32)
    """
    times, scheme = problem.checked_times(times), scheme or EulerMaruyama()
    exact = scheme.orders(problem).weak == np.inf
    steps = checked_steps(steps, what="quasi_simulate")
    _check(problem, scheme, points, replicates, seed)
    clock = Clock.even(times, steps, levels or (1 if exact else 2))
    design = Design(Motion(problem, scheme), clock, points)
    runs = [design.run(np.random.SeedSequence(seed, spawn_key=(SCRAMBLE, r))) for r in range(replicates)]
    what = f"{replicates} × {points:,} Sobol points"
    return ParticleMarginals(
        clock.times,
        np.concatenate([states for _, states in runs], axis=2),
        f"Sobol:{seed}:{replicates}:{points}:{design.noises}:{clock.name}",
        np.concatenate([start for start, _ in runs]),
        scheme=f"{scheme.name} {clock.name}",
        source=f"particles, {scheme.name}, {what} × {counting(clock.fine, 'step')}, seed {seed}",
        units=replicates,
        exact=exact,
    )


@dataclass(frozen=True, eq=False)
class Design:
    """How the coordinates of a point become the start and the noise of a particle.

    Parameters
    ----------
    motion : Motion
    clock : Clock
    points : int
        Particles of a replicate.

    Raises
    ------
    SchemeError
        If there are more coordinates than direction numbers.
    """

    motion: Motion
    clock: Clock
    points: int

    def __post_init__(self) -> None:
        if self.dimensions > MOST_DIMENSIONS:
            raise SchemeError(
                f"Sobol points have at most {MOST_DIMENSIONS} dimensions; {self.clock.fine} fine steps with {self.noises} normal numbers each "
                f"need {self.dimensions}. Take fewer steps or levels, or fpk.simulate."
            )

    @property
    def noises(self) -> int:
        """Normal numbers of a step."""
        return self.motion.increments + self.motion.extras

    @property
    def law(self) -> GaussianMixture:
        """Where particles start."""
        return self.motion.problem.initial

    @property
    def dimensions(self) -> int:
        """Coordinates of a point: those of the start (one for the component, if there are several), then those of the steps."""
        return (len(self.law.weights) > 1) + self.law.dimension + self.clock.fine * self.noises

    def run(self, seed: np.random.SeedSequence) -> tuple[Array, Array]:
        """Starts (points, d) and states (levels, times, points, d) of one replicate.

        Raises
        ------
        NonFinite
            If a state becomes NaN or infinite.
        """
        from scipy.special import ndtri

        u, law = scrambled(self.dimensions, self.points, seed), self.law
        chosen = np.zeros(len(u), np.int64)
        if len(law.weights) > 1:
            chosen[:], u = np.searchsorted(np.cumsum(law.weights)[:-1], u[:, 0], side="right"), u[:, 1:]
        start, noise = self._parts(chosen, self.turn @ ndtri(np.ascontiguousarray(u.T)))
        states = np.stack([self._marched(start, xi, level) for level, xi in enumerate(noise)])
        if not np.isfinite(states).all():
            raise NonFinite(
                f"particles become NaN or infinite before t={self.clock.times[-1]:g}: the step is too long for this drift, or it explodes. "
                "Use more steps; fpk.simulate says where it happens."
            )
        return start, states

    @cached_property
    def turn(self) -> Array:
        """An orthogonal matrix whose first columns span what moves the kept positions most: their derivatives in all normal numbers at 0.

        The identity beyond :data:`MOST_TURNED` numbers, where it would be slow.
        """
        size = self.dimensions - (len(self.law.weights) > 1)
        if size > MOST_TURNED:
            return np.eye(size)
        moves = sum(weight * self._derivatives(k, size) for k, weight in enumerate(self.law.weights))
        return np.linalg.qr(moves, mode="complete")[0] if np.isfinite(moves).all() else np.eye(size)

    def _derivatives(self, component: int, size: int) -> Array:
        """Central differences of the kept positions, the last time first, shape (size, times · d)."""
        probes = DIFFERENCE * np.concatenate([np.eye(size), -np.eye(size)], axis=1)
        start, noise = self._parts(np.full(2 * size, component, np.int64), probes)
        up, down = np.split(self._marched(start, next(noise), 0)[::-1], 2, axis=1)
        return ((up - down) / (2 * DIFFERENCE)).swapaxes(0, 1).reshape(size, -1)

    def _parts(self, component: Integers, z: Array) -> tuple[Array, Iterator[Array]]:
        """Positions at t = 0, and the noise of each level, from the component and normal numbers (size, points) of each particle."""
        d, law = self.law.dimension, self.law
        factors = np.linalg.cholesky(law.covariances)
        start = law.means[component] + np.einsum("nij,jn->ni", factors[component], z[:d])
        return start, self._noise(z[d:])

    def _noise(self, z: Array) -> Iterator[Array]:
        """Normal numbers of the steps of each level, finest first: (steps, points, noises)."""
        parted = z.reshape(self.clock.fine, self.noises, z.shape[1]).swapaxes(1, 2)
        xi = bridged(parted, self.clock.steps(0)[1])
        for level in range(self.clock.levels):
            yield xi.reshape(len(xi) >> level, 1 << level, *xi.shape[1:]).sum(1) / 2 ** (level / 2)

    def _marched(self, start: Array, xi: Array, level: int) -> Array:
        """Positions at the kept times on one level, shape (times, points, d)."""
        problem, m = self.motion.problem, self.motion.increments
        every = 1 << level
        kept, x = self.clock.kept[every - 1 :: every], start
        out = np.repeat(start[None], len(self.clock.times), axis=0)
        with np.errstate(all="ignore"):  # what explodes is refused
            for t, h, noise, slot in zip(*self.clock.steps(level), xi, kept, strict=True):
                x = self.motion.advanced(Step(problem, float(t), float(h)), x, h**0.5 * noise[:, :m], noise[:, m:])
                if slot >= 0:
                    out[slot] = x
        return out


def scrambled(dimensions: int, points: int, seed: np.random.SeedSequence) -> Array:
    """One scramble of the first ``points`` (a power of two) Sobol points, inside (0, 1), shape (points, dimensions)."""
    from scipy.stats import qmc

    sobol = qmc.Sobol(dimensions, scramble=True, bits=BITS, rng=np.random.default_rng(seed))
    return sobol.random(points) + 0.5**BITS / 2


def bridged(z: Array, durations: Array) -> Array:
    """Unit normal numbers of consecutive steps from independent ones, the most important first: a Brownian bridge.

    Parameters
    ----------
    z : array, shape (steps, ...)
        Independent standard normal numbers.
    durations : array, shape (steps,)
        Lengths of the steps.

    Returns
    -------
    array, shape (steps, ...)
        An orthogonal transformation of ``z``: √duration times these are the increments of a path whose end is that of the first z alone.
    """
    xi = np.array(z)
    clock = np.concatenate([[0.0], np.cumsum(durations)])
    for fresh, (low, middle, high) in enumerate(_splits(len(durations)), start=1):
        cos, sin = np.sqrt(np.diff(clock[[low, middle, high]]) / (clock[high] - clock[low]))
        whole = xi[low].copy()
        xi[low], xi[middle] = cos * whole + sin * z[fresh], sin * whole - cos * z[fresh]
    return xi


def _splits(count: int) -> Iterator[tuple[int, int, int]]:
    """Halvings (begin, middle, end) of a range, breadth first, down to single steps."""
    pending = [(0, count)]
    for low, high in pending:  # grows while it is read
        if high - low > 1:
            middle = (low + high) // 2
            yield low, middle, high
            pending += [(low, middle), (middle, high)]


def _check(problem: Problem, scheme: Scheme, points: int, replicates: int, seed: int) -> None:
    if not isinstance(problem.initial, GaussianMixture):
        raise SchemeError(
            f"quasi_simulate starts from a Gaussian or a GaussianMixture, this problem from {problem.initial!r}. Use fpk.simulate."
        )
    if problem.boundary.kind == "absorbing" or isinstance(scheme, MALA):
        raise SchemeError(
            "absorbing walls and MALA accept or reject steps, jumps that leave Sobol points no advantage. Use fpk.simulate."
        )
    if points < 2 or points & (points - 1):
        raise SchemeError(f"Sobol points are balanced in powers of two, got points={points!r}; for example 2**14.")
    if replicates < FEWEST:
        raise SchemeError(f"quasi_simulate needs at least {FEWEST} replicates for its errors, got {replicates}.")
    if seed < 0:
        raise SchemeError(f"the seed must be a non-negative integer, got {seed!r}.")
