r"""Samplers: Markov chains that walk the times t_0 = T > t_1 > ... > t_N down, from a prior near p_T to a law near p_{t_N}.

One step is a function of the position and of standard normal numbers,

    x_{k+1} = F_k(x_k, z_k),    z_k ~ N(0, I),

for many samplers a composition of *Gaussian kernels* x ↦ m(x) + s z (a map where s = 0). The law of x_N is that of a discrete chain: how far
it is from the data law is what orders and limits say; the chain itself has no further error.

Noise is a function of (seed, particle, step), as that of fpk's particles is: the same numbers for any split of an ensemble.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpk.counts import counting
from fpk.errors import NonFinite, SchemeError
from fpk.fields import Field
from fpk.laws import Array, Gaussian, Law, as_law
from fpk.particles.ensemble import ParticleMarginals
from fpk.samplers.times import checked_times, uniform
from fpk.schedules import Schedule

#: Particles moved at once: enough to hide the interpreter, few enough to stay in the cache.
BATCH = 8192


@dataclass(frozen=True)
class Kernel:
    """The Gaussian kernel x ↦ mean(x) + std z, z ~ N(0, I); a map where ``std`` is 0.

    Parameters
    ----------
    mean : callable
        Positions (n, d) ↦ (n, d).
    std : float
        Standard deviation of every coordinate.
    """

    mean: Callable[[Array], Array]
    std: float = 0.0

    def log_density(self, x: Array, y: Array) -> Array:
        """Log of the density of y given x, both of shape (n, d), up to a constant that depends on neither; shape (n,)."""
        return -0.5 * (((y - self.mean(x)) / self.std) ** 2).sum(1)


class Sampler:
    """A chain from noise to data. A subclass overrides :meth:`step` or, where its step is made of Gaussian kernels, :meth:`kernels`.

    Parameters
    ----------
    field : Field
        The model; exact ones come from :func:`fpk.fields.exact_field`.
    steps : int, optional
        N equal steps from t = 1 to 0.
    times : array_like, shape (N + 1,), optional
        Instead: decreasing times, for example of :mod:`fpk.samplers.times`.
    dimension : int, default 1
        Dimension d of the default prior.

    Attributes
    ----------
    name : str
        What sources and reports call it.
    order : float or None
        Order of expectations in 1/N on a family of times that is smooth in k/N; None where steps alone do not reach the limit.
    limit : str
        Which law it tends to, and in which parameters.
    needs : str
        What it asks of the field.
    noises : int
        Standard normal numbers per coordinate and step; 0 for a deterministic sampler.
    evaluations : int
        Evaluations of the field per step.

    Raises
    ------
    SchemeError
        For times that do not decrease, or where not exactly one of ``steps`` and ``times`` is given.
    """

    name: ClassVar[str]
    order: float | None
    limit: str
    needs: str
    noises: int
    evaluations: int

    def __init__(
        self, field: Field, *, steps: int | None = None, times: ArrayLike | None = None, dimension: int = 1
    ) -> None:
        if (steps is None) == (times is None):
            raise SchemeError(
                f"{self.name} needs exactly one of steps= (equal steps from 1 to 0) and times= (decreasing)."
            )
        self.field = field
        self.times = checked_times(uniform(steps) if steps is not None else times)  # type: ignore[arg-type]
        self.dimension = dimension

    @property
    def steps(self) -> int:
        """N."""
        return len(self.times) - 1

    @property
    def schedule(self) -> Schedule:
        """The schedule of the field."""
        return self.field.schedule

    @property
    def prior(self) -> Law:
        """N(0, σ_T² I): p_T with the data forgotten."""
        return Gaussian(np.zeros(self.dimension), self.schedule.sigma(float(self.times[0])))

    @property
    def settings(self) -> str:
        """What distinguishes two samplers of one class but for their times and fields."""
        return ""

    @property
    def scheme(self) -> str:
        """Name, settings and times: equal strings, the same chain of the same field."""
        digest = zlib.crc32(np.ascontiguousarray(self.times).tobytes())
        named = f"{self.name} ({self.settings})" if self.settings else self.name
        return f"{named}, {self.steps} steps {digest:08x}"

    @property
    def gaussian(self) -> bool:
        """Whether a step is a composition of Gaussian kernels, so that :meth:`kernels` answers."""
        return type(self).kernels is not Sampler.kernels

    def pair(self, k: int) -> tuple[float, float]:
        """The times t_k > t_{k+1} of step k."""
        return float(self.times[k]), float(self.times[k + 1])

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """Step k as Gaussian kernels, the first one first.

        Raises
        ------
        SchemeError
            If the step is none (``gaussian`` is False).
        """
        raise SchemeError(
            f"a step of {self.name} is no composition of Gaussian kernels; use step(x, k, z), which every sampler has."
        )

    def step(self, x: Array, k: int, z: Array) -> Array:
        """Positions after step k.

        Parameters
        ----------
        x : array, shape (n, d)
            Positions at t_k.
        k : int
        z : array, shape (noises, n, d)
            Standard normal numbers; kernels without noise take none.
        """
        rows = iter(z)
        for kernel in self.kernels(k):
            x = kernel.mean(x) + kernel.std * next(rows) if kernel.std else kernel.mean(x)
        return x

    def sample(self, particles: int, *, seed: int, initial: Any = None) -> ParticleMarginals:
        """Particles at t_N.

        Parameters
        ----------
        particles : int
        seed : int
            Same seed, same numbers.
        initial : Law, optional
            What the chain starts from; default :attr:`prior`.

        Returns
        -------
        ParticleMarginals
            At the one time t_N, with the chain's own law: nothing is budgeted for its distance from the data law.

        Raises
        ------
        NonFinite
            If a particle became NaN or infinite.
        """
        start = _started(self.prior if initial is None else as_law(initial), particles, seed)
        pieces = [self._moved(start[at : at + BATCH], at, seed) for at in range(0, particles, BATCH)]
        return ParticleMarginals(
            (float(self.times[-1]),),
            np.concatenate(pieces)[None, None],
            f"{seed}:{particles:,}:{self.noises * start.shape[1]}:{self.steps}",
            start,
            scheme=self.scheme,
            source=f"{self.name}, {particles:,} × {counting(self.steps, 'step')}, seed {seed}",
            exact=True,
        )

    def _moved(self, x: Array, first: int, seed: int) -> Array:
        """Positions at t_N of the particles ``first``, ``first`` + 1, ... that start at x."""
        for k, z in enumerate(_noise(x.shape, first, self.steps, self.noises, seed)):
            x = self.step(x, k, z)
        bad = np.flatnonzero(~np.isfinite(x).all(1))
        if len(bad):
            raise NonFinite(
                f"{self.name}: particle {first + bad[0]} came to {x[bad[0]].tolist()} at t={self.times[-1]:g}. Look at the field "
                "at the last times, or take more steps."
            )
        return x


def _started(law: Law, particles: int, seed: int) -> Array:
    """Initial positions, drawn in pieces with keys of their own, as those of :func:`fpk.simulate` are."""

    def drawn(piece: int) -> Array:
        return law.sample(BATCH, np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(piece,)))))

    return np.concatenate([drawn(piece) for piece in range(-(-particles // BATCH))])[:particles]


def _noise(shape: tuple[int, ...], first: int, steps: int, noises: int, seed: int) -> Iterator[Array]:
    """The normal numbers of each step, shape (noises, n, d), of particles with consecutive numbers."""
    from fpk.particles.philox import key_of
    from fpk.particles.streams import INCREMENTS, chunk, draw

    n, d = shape
    m = noises * d
    if m == 0:
        yield from (np.zeros((0, n, d)) for _ in range(steps))
        return
    per = chunk(m)
    room, key = np.empty((per * m, n), np.float32), key_of(seed)
    ids = np.arange(first, first + n, dtype=np.uint32)
    for k in range(steps):
        if k % per == 0:
            draw(room, ids, k // per, per * m // 4, INCREMENTS, *key)
        rows = room[(k % per) * m : (k % per + 1) * m].astype(float)
        yield np.swapaxes(rows.reshape(noises, d, n), 1, 2)
