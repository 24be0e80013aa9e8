"""Peers of the particle engine, where installed: numba's own normal numbers, torch, torchsde and diffrax, each in the way its own manual shows.

Those that are missing are left out. Drifts are written once, for any module that has numpy's ``exp`` and ``stack``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from fpk.laws import Array

from . import _particle_baselines as given
from ._particle_baselines import RING, SPRING, TRIPLE, WELLS, System, by_numba, rate

#: Run(particles, steps): positions at t = 1, shape (d, particles).
Run = Callable[[int, int], Array]
#: Drift(module, x (n, d), t), the noise it goes with (t ↦ a factor or a matrix), by system.
Drift = Callable[[Any, Any, Any], Any]


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _towards_peaks(xp: Any, x: Any, t: Any) -> Any:
    forward = 1 - t
    beta, integral = rate(forward), given.BETA[0] * forward + 0.5 * (given.BETA[1] - given.BETA[0]) * forward**2
    alpha = xp.exp(-0.5 * (integral + xp.zeros_like(x[0, 0])))
    v = 1 - (1 - given.WIDTH**2) * alpha**2
    peaks = xp.asarray(given.PEAKS)
    weights = xp.exp(alpha / v * (x @ peaks.T))
    mean = alpha * (weights @ peaks) / weights.sum(-1)[:, None]
    return 0.5 * beta * x + beta * (mean - x) / v


DRIFTS: dict[System, tuple[Drift, Callable[[Any], Any]]] = {
    SPRING: (lambda xp, x, t: -x, lambda t: 2**0.5),
    WELLS: (lambda xp, x, t: x - x * x * x, lambda t: 0.7),
    TRIPLE: (lambda xp, x, t: x @ xp.asarray(given.MATRIX).T + xp.asarray(given.SHIFT), lambda t: given.NOISE),
    RING: (_towards_peaks, lambda t: rate(1 - t) ** 0.5),
}


def _started(system: System, particles: int) -> Array:
    x = np.random.Generator(np.random.SFC64(1)).standard_normal((system.dimension, particles))
    system.start(x)
    return np.ascontiguousarray(x.T)


def by_torch(system: System, particles: int, steps: int) -> Array:
    """A loop over whole arrays, on as many threads as torch takes."""
    torch, (drift, noise) = _module("torch"), DRIFTS[system]
    x, h = torch.asarray(_started(system, particles)), 1 / steps
    z = torch.empty_like(x)
    with torch.no_grad():
        for k in range(steps):
            g = noise(k * h)
            z.normal_()
            pushed = z @ torch.asarray(g).T if np.ndim(g) else z * g
            x = x + h * drift(torch, x, k * h) + h**0.5 * pushed
    return x.numpy().T


def by_torchsde(system: System, particles: int, steps: int) -> Array:
    """``sdeint`` with the Euler method."""
    torch, torchsde, (drift, noise) = _module("torch"), _module("torchsde"), DRIFTS[system]
    matrix = np.ndim(noise(0.0)) == 2

    class Equation(torch.nn.Module):
        noise_type, sde_type = "general" if matrix else "diagonal", "ito"

        def f(self, t: Any, y: Any) -> Any:
            return drift(torch, y, t)

        def g(self, t: Any, y: Any) -> Any:
            value = noise(t)
            return torch.asarray(value).expand(len(y), *value.shape) if matrix else torch.zeros_like(y) + value

    with torch.no_grad():
        start, ends = torch.asarray(_started(system, particles)), torch.tensor([0.0, 1.0], dtype=torch.float64)
        return torchsde.sdeint(Equation(), start, ends, method="euler", dt=1 / steps)[-1].numpy().T


@lru_cache(maxsize=8)
def _diffrax(system: System, steps: int) -> Callable[[Any, Any], Any]:
    jax, diffrax, lineax, (drift, noise) = _module("jax"), _module("diffrax"), _module("lineax"), DRIFTS[system]
    jnp, d = jax.numpy, system.dimension

    def field(t: Any, y: Any, args: Any) -> Any:
        return drift(jnp, y[None], t)[0]

    def spread(t: Any, y: Any, args: Any) -> Any:
        value = noise(t)
        return jnp.asarray(value) if np.ndim(value) == 2 else lineax.DiagonalLinearOperator(jnp.full(d, value))

    def one(start: Any, key: Any) -> Any:
        path = diffrax.UnsafeBrownianPath(shape=(d,), key=key)
        terms = diffrax.MultiTerm(diffrax.ODETerm(field), diffrax.ControlTerm(spread, path))
        adjoint = diffrax.DirectAdjoint()
        return diffrax.diffeqsolve(
            terms, diffrax.Euler(), 0.0, 1.0, 1 / steps, start, adjoint=adjoint, max_steps=steps + 1
        ).ys[-1]

    return jax.jit(jax.vmap(one))


def by_diffrax(system: System, particles: int, steps: int) -> Array:
    """``diffeqsolve`` with the Euler method, over all particles at once and compiled once."""
    jax = _module("jax")
    jax.config.update("jax_enable_x64", True)
    keys = jax.random.split(jax.random.key(0), particles)
    return np.asarray(_diffrax(system, steps)(_started(system, particles), keys)).T


MODULES = {"torch": by_torch, "torchsde": by_torchsde, "diffrax": by_diffrax}


def peers(system: System) -> dict[str, Run]:
    """The routes of other libraries to a system, by name."""

    def run(function: Callable[[System, int, int], Array]) -> Run:
        return lambda particles, steps: function(system, particles, steps)

    own: dict[str, Run] = {}
    if system is SPRING:
        own["numba, np.random.normal"] = lambda particles, steps: by_numba(particles=particles, steps=steps)
    return own | {name: run(f) for name, f in MODULES.items() if importlib.util.find_spec(name) is not None}
