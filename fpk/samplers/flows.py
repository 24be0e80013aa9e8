r"""Flows: the probability flow dx/dt = v(x, t) walked down from t_0 to t_N by a Runge–Kutta method.

Whatever the field was trained as, a denoiser, a score or the velocity of flow matching, its velocity is the same v = α̇ X0 + σ̇ ε; flow matching
and the sampling of diffusions by their probability flow are one chain.

References
----------
Song et al. (2021), equation 13; Lipman et al. (2023), equation 1; Karras et al. (2022), algorithm 1 (Heun).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fpk.errors import UnknownName
from fpk.laws import Array
from fpk.samplers.base import Kernel, Sampler


class RungeKutta(NamedTuple):
    """An explicit Runge–Kutta method: stage i stands at the share ``nodes[i]`` of the step and starts from the slopes before it."""

    order: int
    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    def advanced(self, velocity: Callable[[Array, float], Array], x: Array, pair: tuple[float, float]) -> Array:
        """x(t') of dx/dt = velocity(x, t), x(t) = x, for the pair of times (t, t')."""
        (t, after), slopes = pair, []
        h = after - t
        for node, row in zip(self.nodes, self.rows, strict=True):
            slopes.append(velocity(_moved(x, h, row, slopes), (1 - node) * t + node * after))
        return _moved(x, h, self.weights, slopes)


def _moved(x: Array, h: float, weights: tuple[float, ...], slopes: list[Array]) -> Array:
    """x + h Σ w_i k_i."""
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            x = x + (h * weight) * slope
    return x


METHODS = {
    "euler": RungeKutta(1, (0.0,), ((),), (1.0,)),
    "heun": RungeKutta(2, (0.0, 1.0), ((), (1.0,)), (0.5, 0.5)),
    "rk4": RungeKutta(4, (0.0, 0.5, 0.5, 1.0), ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}


class ProbabilityFlow(Sampler):
    """The ordinary differential equation with the marginals of the path, by Euler, Heun or the classical Runge–Kutta method.

    Parameters
    ----------
    field, steps, times, dimension
        As for :class:`fpk.samplers.Sampler`.
    method : {"euler", "heun", "rk4"}

    Notes
    -----
    Heun and RK4 read the velocity at t_N too: for t_N = 0 take a field whose kind determines it there, score or velocity.
    """

    name = "probability flow"
    limit = "the data law at t_N, in steps"
    needs = "a field that determines the velocity on [t_N, T]; for t_N = 0 all but Euler need a score or velocity"
    noises = 0

    def __init__(self, field: Any, *, method: str = "heun", **settings: Any) -> None:
        super().__init__(field, **settings)
        if method not in METHODS:
            raise UnknownName("Runge–Kutta method", method, METHODS)
        self.method = method
        self.order, self.evaluations = float(METHODS[method].order), len(METHODS[method].nodes)

    @property
    def settings(self) -> str:
        """The method."""
        return self.method

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One map."""
        method, pair = METHODS[self.method], self.pair(k)
        return (Kernel(lambda x: method.advanced(self.field.velocity, x, pair)),)
