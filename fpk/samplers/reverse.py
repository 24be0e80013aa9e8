r"""The reverse SDE with free noise, walked down by Euler–Maruyama and by the stochastic Heun method.

In the time that falls from T to 0 every noise h(t) ≥ 0 leaves the marginals of the path:

    dY = b dτ + h dW̄,    b = −v + ½ h² s,    t = T − τ,

h = g the reversed diffusion, h = 0 the probability flow, any other h the stochastic sampler of flow matching (stochastic interpolants). Velocity v
and score s are the same field, read once: b = p·o + q·x.

References
----------
Anderson (1982); Song et al. (2021), equation 6; Albergo, Boffi & Vanden-Eijnden (2023), theorem 2.8; Kloeden & Platen (1992), section 15.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fpk.fields import Field, conversion
from fpk.laws import Array
from fpk.samplers.base import Kernel, Sampler


class EulerMaruyama(Sampler):
    """Euler–Maruyama for the reverse SDE, coefficients at the noisy end of each step.

    Parameters
    ----------
    field, steps, times, dimension
        As for :class:`fpk.samplers.Sampler`.
    noise : float or callable, optional
        h or h(t) in the schedule's time; default the schedule's own g(t).
    """

    name = "Euler–Maruyama"
    order: float = 1.0
    limit = "the data law at t_N, in steps"
    needs = "a field that determines velocity and score for t > t_N"
    noises = 1
    evaluations = 1

    def __init__(self, field: Field, *, noise: float | Callable[[float], float] | None = None, **settings: Any) -> None:
        super().__init__(field, **settings)
        self._given = noise

    @property
    def settings(self) -> str:
        """The noise at the ends and in the middle, where it is not g."""
        if self._given is None:
            return ""
        return "noise " + ", ".join(f"{self.noise(float(self.times[k])):.6g}" for k in (0, self.steps // 2, -1))

    def noise(self, t: float) -> float:
        """h(t)."""
        given = self.schedule.diffusion if self._given is None else self._given
        return float(given(t)) if callable(given) else float(given)

    def drift(self, x: Array, t: float) -> Array:
        """B = −v + ½ h² s, per unit of falling time; one evaluation of the field."""
        scale, slope = (-part for part in self._conversion("velocity", t))
        half = 0.5 * self.noise(t) ** 2
        if half:
            along = self._conversion("score", t)
            scale, slope = scale + half * along[0], slope + half * along[1]
        return scale * self.field(x, t) + slope * x

    def _conversion(self, kind: str, t: float) -> tuple[float, float]:
        return conversion(self.field.kind, kind, schedule=self.schedule, t=t)

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """One kernel: x + Δ b(x, t), standard deviation h(t) √Δ."""
        t, after = self.pair(k)
        h = t - after
        return (Kernel(lambda x: x + h * self.drift(x, t), self.noise(t) * h**0.5),)


class StochasticHeun(EulerMaruyama):
    """The stochastic Heun method: the drift is averaged over both ends of an Euler–Maruyama step with the same noise.

    Notes
    -----
    Weak order 2, because the noise does not depend on the position: its variance is the trapezoidal mean of h² over the step. The position after
    a step is no Gaussian given the one before. (A step of noise first and a Heun step of the flow after it would be one, but of order 1.)
    """

    name = "stochastic Heun"
    order = 2.0
    needs = "a field that determines velocity and score on [t_N, T]: for t_N = 0 a score or velocity"
    evaluations = 2

    @property
    def gaussian(self) -> bool:
        """False: the second drift is read at a random position."""
        return False

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        """Refused, as for any sampler whose step is no composition of Gaussian kernels."""
        return Sampler.kernels(self, k)

    def step(self, x: Array, k: int, z: Array) -> Array:
        """Positions after step k."""
        t, after = self.pair(k)
        h = t - after
        noise = (0.5 * h * (self.noise(t) ** 2 + self.noise(after) ** 2)) ** 0.5 * z[0]
        first = self.drift(x, t)
        second = self.drift(x + h * first + noise, after)
        return x + (0.5 * h) * (first + second) + noise
