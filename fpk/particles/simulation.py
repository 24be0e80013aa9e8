r"""Simulation: particles of a problem on a ladder of time steps, all levels on the same Brownian paths.

With two levels (the default) every pair of fine increments also drives one coarse step, so the difference of the two ensembles estimates
the time-step error with little noise: the finer ensemble is reported, and its budget is 1.5 |E φ(Δt) − E φ(2Δt)| + 3 standard errors of
that difference, for each functional at least .3 of the panel's largest (:func:`fpk.marginals.panel_step_budget`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fpk.counts import counting
from fpk.errors import ProblemError, SchemeError
from fpk.laws import Array
from fpk.particles.clock import Clock
from fpk.particles.engine import Engine
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.motion import Motion
from fpk.particles.schemes import EulerMaruyama, Scheme
from fpk.problem import Problem, checked_steps

#: Most levels of a ladder.
MAX_LEVELS = 12


def simulate(
    problem: Problem,
    *,
    particles: int,
    steps: int | Array,
    times: Sequence[float],
    seed: int | np.random.Generator = 0,
    scheme: Scheme | None = None,
    levels: int | None = None,
    first: int = 0,
    antithetic: bool = False,
    threads: int = 2,
) -> ParticleMarginals:
    """Simulate particles of a problem, with same-noise companions at longer steps that measure the time-step error.

    Parameters
    ----------
    problem : Problem
        Any dimension; formulas, :class:`fpk.Linear`, numba functions, functions of t alone and exact mixture scores are compiled, other Python
        functions are called with (n, d) arrays on the same noise.
    particles : int
        Number of particles, at least 2.
    steps : int or array
        Steps of the *coarsest* level from 0 to the last time, or the instants between them, for example those of
        :func:`fpk.particles.adaptation.adapted_steps`; the reported ensemble takes 2^(levels − 1) times as many.
    times : sequence of float
        Where positions are kept, in [0, horizon]. Memory grows with them and not with the steps.
    seed : int or numpy.random.Generator, default 0
        Same seed, same numbers; a generator is asked for one integer.
    scheme : Scheme, default :class:`fpk.particles.schemes.EulerMaruyama`
    levels : int, optional
        Levels on one Brownian path, each with half the step of the next; default 2, and 1 for a scheme that is exact.
    first : int, default 0
        Number of the first particle: ensembles of consecutive numbers are parts of one.
    antithetic : bool, default False
        Let the particles come in pairs with the same initial position and opposite increments; their pairs are what is independent.
    threads : int, default 2
        Does not change the numbers.

    Returns
    -------
    ParticleMarginals

    Raises
    ------
    ProblemError
        For counts that make no sense.
    SchemeError
        If the scheme cannot solve the problem.
    NonFinite
        If a particle's state becomes NaN or infinite: says which, where and when, and the last good time.

    Examples
    --------
    >>> import fpk
    >>> ou = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.3))
    >>> run = simulate(ou, particles=1000, steps=10, times=[1.0], seed=1)
    >>> run.samples(1.0).shape
    (1000, 1)
    """
    times, scheme = problem.checked_times(times), _scheme(scheme)
    motion = Motion(problem, scheme)
    if levels is None:
        levels = 1 if scheme.orders(problem).weak == np.inf else 2
    particles, first = _whole(particles, "particles"), _whole(first, "first")
    levels, threads = _whole(levels, "levels"), _whole(threads, "threads")
    _check(particles, first, levels, threads)
    if antithetic and particles % 2:
        raise ProblemError(f"antithetic particles come in pairs, got particles={particles}.")
    clock = (
        Clock.even(times, checked_steps(steps, what="simulate"), levels)
        if np.ndim(steps) == 0
        else Clock.meshed(times, np.asarray(steps, float), levels)
    )
    pairs = particles // 2 if antithetic else None
    engine = Engine(motion, clock, pairs or particles, first, _root(seed), threads)
    engines = [engine, replace(engine, sign=-1.0)] if antithetic else [engine]
    return _marginals(engines, pairs)


def _marginals(engines: Sequence[Engine], units: int | None) -> ParticleMarginals:
    """The ensembles of the engines as one, their particles with equal numbers next to each other."""
    engine = engines[0]
    clock, scheme, d = engine.clock, engine.motion.scheme, engine.motion.problem.dimension
    states = _joined([e.run() for e in engines], 2)
    total = f"{engine.particles * len(engines):,}"
    return ParticleMarginals(
        clock.times,
        states[..., :d],
        f"{engine.seed}:{engine.first}:{total}:{units}:{engine.motion.increments}:{clock.name}",
        _joined([e.start[:, :d] for e in engines], 0),
        lambda paths: [_joined(parts, 2) for parts in zip(*(e.integrals(paths) for e in engines), strict=True)],
        scheme=f"{scheme.name} {clock.name}",
        source=f"particles, {scheme.name}, {total} × {counting(clock.fine, 'step')}, seed {engine.seed}",
        units=units,
        absorbed=states[:, -1, :, d] if engine.motion.absorbing else None,
        exact=scheme.orders(engine.motion.problem).weak == np.inf,
        problem=engine.motion.problem,
    )


def _joined(parts: Sequence[Array], axis: int) -> Array:
    """Arrays of several ensembles, their particles (along ``axis``) in turn."""
    if len(parts) == 1:
        return parts[0]
    together = np.stack(parts, axis=axis + 1)
    shape = list(parts[0].shape)
    shape[axis] *= len(parts)
    return together.reshape(shape)


def _root(seed: int | np.random.Generator) -> int:
    root = int(seed.integers(2**63)) if isinstance(seed, np.random.Generator) else seed
    if not _is_whole(root) or root < 0:
        raise ProblemError(f"the seed must be a non-negative integer or a numpy.random.Generator, got {seed!r}.")
    return int(root)


def _scheme(given: Any) -> Scheme:
    if given is None or isinstance(given, Scheme):
        return given or EulerMaruyama()
    raise SchemeError(
        f"simulate takes a scheme such as scheme=Milstein(), got {given!r}: an EulerMaruyama, Milstein, Heun, PlatenWeak or RungeKutta4 of "
        "fpk.particles.schemes, or leave it out."
    )


def _is_whole(number: Any) -> bool:
    return isinstance(number, (int, float, np.integer, np.floating)) and number % 1 == 0


def _whole(number: Any, name: str) -> int:
    if not _is_whole(number):
        raise ProblemError(f"simulate takes {name} as a whole number, got {name}={number!r}.")
    return int(number)


def _check(particles: int, first: int, levels: int, threads: int) -> None:
    if particles < 2 or first < 0 or first + particles > 2**32:
        raise ProblemError(
            f"simulate needs 2 or more particles with numbers from 0 to 2³² − 1, got particles={particles}, first={first}."
        )
    if not 1 <= levels <= MAX_LEVELS:
        raise ProblemError(f"simulate takes 1 to {MAX_LEVELS} levels of steps, got levels={levels}.")
    if threads < 1:
        raise ProblemError(f"simulate works in 1 thread or more, got threads={threads}.")
