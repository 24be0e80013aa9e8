"""Cases for the orders and limits of samplers: one at least for every class, each refined by a number n, whatever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fpk import samplers
from fpk.fields import Field
from fpk.laws import Array, Law
from fpk.samplers import Sampler
from fpk.samplers.coupling import quantiles, solved_monotone
from fpk.samplers.poisson import PoissonField, heights
from fpk.samplers.times import log_snr, quadratic, uniform

from ._laws import MIXTURE, NORMAL, OT, SUB_VP, VE, VP, late, later, louder, model, on_path, scaled

SMOOTH, FEW, MANY = (4, 8, 16, 32), (6, 12, 24, 48), (12, 24, 48, 96)


class Slip(NamedTuple):
    """What is wrong: the factors of the field and of the normal numbers, and whether the field reads the time of the next step."""

    field: float = 1.0
    noise: float = 1.0
    late: bool = False


RIGHT = Slip()


class Case(NamedTuple):
    """A sampler whose error is C/n^order + ..., with the law it starts from and the one it should end at."""

    make: Callable[[int, Field], Sampler]
    field: Field | PoissonField
    start: Callable[[Sampler], Any]
    target: Law
    order: float
    counts: tuple[int, ...] = FEW
    end: Any = None

    def sampler(self, n: int, slip: Slip = RIGHT) -> Sampler:
        """The sampler at n, with something wrong."""
        if isinstance(self.field, PoissonField):
            return self.make(n, _Slipped(self.field.data, slip, self.make(n, self.field).times))  # type: ignore[arg-type]
        field = scaled(self.field, slip.field)
        if slip.late:
            field = late(field, self.make(n, field).times)
        return louder(self.make(n, field), slip.noise)

    @property
    def noisy(self) -> bool:
        """Whether normal numbers are drawn."""
        return self.sampler(self.counts[0]).noises > 0

    def arrived(self, u: Array) -> Array:
        """Quantiles of the law at the end."""
        end: Any = self.end
        return quantiles(self.target, u) if end is None else end(u)

    def started(self, sampler: Sampler, u: Array) -> Array:
        """Quantiles of the law at the beginning."""
        start: Any = self.start(sampler)
        inverse: Any = start if callable(start) else partial(quantiles, start)
        return inverse(u)


class _Slipped(PoissonField):
    """Lines of a field with something wrong."""

    def __init__(self, data: Any, slip: Slip, times: Array) -> None:
        super().__init__(data)
        self.__dict__.update(slip=slip, times=times)

    def velocity(self, x: Array, z: float) -> Array:
        slip: Slip = self.__dict__["slip"]
        return slip.field * super().velocity(x, later(self.__dict__["times"], z) if slip.late else z)


def _case(make: Callable[[int, Field], Sampler], schedule: Any, order: float, end: float = 0.0, **more: Any) -> Case:
    """A sampler of the mixture's exact field, from the exact law at t = 1."""
    target = on_path(MIXTURE, schedule, end)
    return Case(
        make, model(MIXTURE, schedule), lambda s: on_path(MIXTURE, schedule, float(s.times[0])), target, order, **more
    )


def _flow(method: str) -> Callable[[int, Field], Sampler]:
    return lambda n, field: samplers.ProbabilityFlow(field, times=_smooth(field, n), method=method)


def _smooth(field: Field, n: int) -> Array:
    """Times along which σ is smooth in k/n."""
    return uniform(n) if field.schedule in (OT, SUB_VP) else quadratic(n)


def _smoothed(kind: type[Sampler], **settings: Any) -> Callable[[int, Field], Sampler]:
    return lambda n, field: kind(field, times=_smooth(field, n), **settings)


#: Where chains end whose steps are smooth in k/n along log(α/σ) only.
END = 0.01


def _noisy_end(kind: type[Sampler], **settings: Any) -> Callable[[int, Field], Sampler]:
    return lambda n, field: kind(field, times=log_snr(VP, n, end=END), **settings)


def _corrected(n: int, field: Field) -> Sampler:
    return samplers.PredictorCorrector(samplers.EulerMaruyama(field, times=quadratic(n)), snr=0.5 / n**0.5)


def _normal_case(make: Callable[[int, Field], Sampler], end: float) -> Case:
    """A Langevin chain for normal data, from its prior: its law is a closed form even after thousands of steps."""
    return Case(make, model(NORMAL, VP), lambda s: s.prior, on_path(NORMAL, VP, end), 1.0, (4, 8, 16, 32))


def _annealed(n: int, field: Field) -> Sampler:
    return samplers.AnnealedLangevin(field, times=log_snr(VP, 4, end=0.1), inner=16 * n, epsilon=0.8 / n)


def _poisson(method: str) -> Callable[[int, Any], Sampler]:
    return lambda n, field: samplers.PoissonFlow(field, times=heights(n, highest=20.0, lowest=LOWEST), method=method)


#: Height of the plane where Poisson flows end, and a trapezoidal rule for the mixture that is exact to round-off above it.
LOWEST = 0.1
_PLACES = np.arange(0.0, 8.2, 0.02)
_MASSES = 0.02 * MIXTURE.density(_PLACES[:, None])


def _poisson_quantiles(z: float) -> Callable[[Array], Array]:
    """F⁻¹ of X_0 + z C: F(x) = E[½ + arctan((x − X_0)/z)/π]."""

    def known(x: Array) -> tuple[Array, Array]:
        away = (x[:, None] - _PLACES) / z
        return (0.5 + np.arctan(away) / np.pi) @ _MASSES, 1 / (np.pi * z * (1 + away**2)) @ _MASSES

    def inverse(u: Array) -> Array:
        alone = z * np.tan(np.pi * (u - 0.5))
        return solved_monotone(known, u, alone + _PLACES[0], alone + _PLACES[-1])

    return inverse


def _poisson_case(make: Callable[[int, Any], Sampler], order: float, counts: tuple[int, ...], **more: Any) -> Case:
    settings = {"start": lambda s: _poisson_quantiles(float(s.times[0])), "end": _poisson_quantiles(LOWEST)} | more
    return Case(make, PoissonField(MIXTURE), target=MIXTURE, order=order, counts=counts, **settings)


def _radius(n: int, field: Any) -> Sampler:
    return samplers.PoissonFlow(field, times=heights(96, highest=10.0 * n, lowest=LOWEST), method="rk4")


CASES: dict[type[Sampler], dict[str, Case]] = {
    samplers.DDPM: {
        "posterior variance, VP": _case(_noisy_end(samplers.DDPM), VP, 1, END),
        "forward variance, VP": _case(_smoothed(samplers.DDPM, variance="forward"), VP, 1),
    },
    samplers.DDIM: {
        "η = 0, VP": _case(_smoothed(samplers.DDIM), VP, 1),
        "η = 0, straight path": _case(_smoothed(samplers.DDIM), OT, 1),
        "η = ½, VP": _case(_noisy_end(samplers.DDIM, eta=0.5), VP, 1, END),
    },
    samplers.DPMSolver2: {"VP": _case(_noisy_end(samplers.DPMSolver2), VP, 2, END)},
    samplers.EulerMaruyama: {
        "VP": _case(_smoothed(samplers.EulerMaruyama), VP, 1, counts=SMOOTH),
        "sub-VP": _case(_smoothed(samplers.EulerMaruyama), SUB_VP, 1),
        "straight path, noise ½": _case(_smoothed(samplers.EulerMaruyama, noise=0.5), OT, 1),
    },
    samplers.StochasticHeun: {
        "VP": _case(_smoothed(samplers.StochasticHeun), VP, 2, counts=(10, 20, 40)),
    },
    samplers.ProbabilityFlow: {
        f"{method}, {name}": _case(_flow(method), schedule, order, counts=counts)
        for method, order, counts in (("euler", 1, FEW), ("heun", 2, FEW), ("rk4", 4, MANY))
        for name, schedule in (("VP", VP), ("straight path", OT))
    }
    | {"heun, VE": _case(_flow("heun"), VE, 2, counts=MANY)},
    samplers.PredictorCorrector: {"r² ~ 1/steps": _case(_corrected, VP, 1, counts=SMOOTH)},
    samplers.AnnealedLangevin: {
        "ε → 0, M ε large": _normal_case(_annealed, 0.1),
    },
    samplers.ULA: {
        "κ → 0, N κ large": _normal_case(lambda n, f: samplers.ULA(f, size=0.4 / n, steps=20 * n), 0.0),
    },
    samplers.PoissonFlow: {
        "heun": _poisson_case(_poisson("heun"), 2, MANY),
        "rk4": _poisson_case(_poisson("rk4"), 4, MANY),
        "radius → ∞": _poisson_case(_radius, 1, (4, 8, 16, 32), start=lambda s: s.prior),
    },
}


def discovered() -> Iterator[type[Sampler]]:
    """Every class of fpk's that is a sampler."""
    waiting: list[type[Sampler]] = [Sampler]
    while waiting:
        found = [kind for kind in waiting.pop().__subclasses__() if kind.__module__.startswith("fpk.samplers")]
        waiting += found
        yield from found
