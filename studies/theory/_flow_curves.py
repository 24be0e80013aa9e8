r"""Conditional paths N(μ_t(x₁), σ_t² I) and the points x_t = μ_t + σ_t z they are made of; the clock t runs from noise to data.

A velocity belongs to a path if its flow takes μ_s + σ_s z to μ_t + σ_t z. Flows are followed by Runge–Kutta steps that know nothing of μ̇ and σ̇. On the
paths of schedules it is also that of fpk's field of the one data point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fpk
from fpk.fields import empirical_field
from fpk.fokker_planck.characteristics import pushed
from fpk.laws import Array, GaussianMixture
from fpk.marginals import zero_estimate
from fpk.schedules import OTSchedule, Schedule
from fpk.study import Evidence, Size

from ._matching import normal_nodes

#: The velocity at x, shape (n, d), for the data point x₁, shape (d,).
Velocity = Callable[[Array, Array, float], Array]

#: Where the data point is, and the normal numbers z that are followed.
TARGETS = {"line": np.array([1.3]), "plane": np.array([1.3, -0.8])}
NORMALS = {
    "line": np.array([[-1.6], [-0.5], [0.2], [1.1]]),
    "plane": np.array([[-1.2, 0.4], [0.3, 1.5], [0.9, -0.7], [-0.2, -1.4]]),
}
BEGIN, END = 0.1, 0.8
#: Wave vectors k of the means E cos k·X and E sin k·X that laws are compared by.
WAVES = {1: [[0.7], [1.6], [2.9]], 2: [[1.0, 0.0], [0.4, -1.1], [1.5, 1.2]]}


def wave_names(dimension: int) -> tuple[str, ...]:
    """One name for each of these means."""
    return tuple(f"E {f} k·X, k = {k}" for f in ("cos", "sin") for k in WAVES[dimension])


@dataclass(frozen=True, eq=False)
class Curve:
    """A conditional path.

    Parameters
    ----------
    mean : callable
        (x₁, t) ↦ μ_t, shape (d,).
    std : callable
        t ↦ σ_t.
    schedule : Schedule, optional
        Whose path it is, run back.
    """

    mean: Callable[[Array, float], Array]
    std: Callable[[float], float]
    schedule: Schedule | None = None

    def at(self, z: Array, x1: Array, t: float) -> Array:
        """μ_t + σ_t z, shape (n, d)."""
        return self.mean(x1, t) + self.std(t) * z


def backwards(schedule: Schedule) -> Curve:
    """The kernel of a noising path, run back from noise to data."""
    return Curve(lambda x1, t: schedule.alpha(1 - t) * x1, lambda t: schedule.sigma(1 - t), schedule)


def conditional(schedule: Schedule) -> Velocity:
    """The velocity of fpk's field of one data point, the clock turned round."""
    return lambda x, x1, t: -empirical_field(x1[None], schedule, kind="velocity")(x, 1 - t)


VP, VE, STRAIGHT = fpk.VPSchedule(0.6, 3.4), fpk.VESchedule(0.1, 2.5), OTSchedule()
#: What is left of the noise at the data on the straight path.
LEFT = 0.15
TO_LEFT = backwards(OTSchedule(LEFT))


def nodes_of(law: GaussianMixture, level: int, spacing: float = 0.8) -> tuple[Array, Array]:
    """Lattices around the means of round components, with their masses, shapes (n, d) and (n,)."""
    z, w = normal_nodes(level, law.dimension, spacing)
    x = [mean + np.sqrt(V[0, 0]) * z for mean, V in zip(law.means, law.covariances, strict=True)]
    return np.concatenate(x), np.kron(law.weights, w)


#: What is done to a velocity.
Slip = Callable[[Velocity], Velocity]
SLIPS: dict[str, Slip] = {
    "stated": lambda u: u,
    "sign": lambda u: lambda x, x1, t: -u(x, x1, t),
    "t for 1 − t": lambda u: lambda x, x1, t: u(x, x1, 1 - t),
    "x and x₁ exchanged": lambda u: lambda x, x1, t: u(x1, x, t),
    "½ extra": lambda u: lambda x, x1, t: 0.5 * u(x, x1, t),
    "velocity + 0.5 %": lambda u: lambda x, x1, t: 1.005 * u(x, x1, t),
}
SLIP_NOTES = {
    "sign": "the velocity turned round",
    "t for 1 − t": "the coefficients are read at the wrong end of the path",
    "x and x₁ exchanged": "the place and the data point change their roles",
    "½ extra": "half the velocity",
    "velocity + 0.5 %": "the velocity is 0.5 % too large",
}


def carried(velocity: Velocity, curve: Curve, case: str, steps: int) -> Array:
    """Where the flow takes points of the path from BEGIN to END less where they are, in standard deviations."""
    x1, z = TARGETS[case], NORMALS[case]
    flow = fpk.Problem(lambda x, t: velocity(x, x1, BEGIN + t), 0.0, initial=fpk.Gaussian(np.zeros(len(x1)), 1.0))
    x = pushed(flow, curve.at(z, x1, BEGIN), (END - BEGIN,), steps)[0]
    return (x - curve.at(z, x1, END)).ravel() / curve.std(END)


def on_two_meshes(values: Callable[[int], Array], size: Size, *, names: tuple[str, ...], source: str) -> Evidence:
    """An identity: what should vanish, with the change from half the steps as its bound."""
    steps = size.cells(16)
    fine, coarse = values(steps), values(steps // 2)
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-10, coarser=coarse, source=source)
    return Evidence(first, zero_estimate(len(fine)), names)


def _apart(velocity: Velocity, curve: Curve, case: str) -> Array:
    """The velocity less that of fpk at points of a schedule's path; nothing on other paths."""
    if curve.schedule is None:
        return np.zeros(0)
    x1, ours = TARGETS[case], conditional(curve.schedule)
    at = [(curve.at(NORMALS[case], x1, t), x1, t) for t in (BEGIN, END)]
    return np.concatenate([velocity(*here) - ours(*here) for here in at]).ravel()


def belongs(velocity: Velocity, curve: Curve, case: str, size: Size) -> Evidence:
    """Whether a velocity belongs to a path."""
    z = NORMALS[case]
    names = [f"x{i} from z = {a.tolist()}" for a in z for i in range(z.shape[1])]
    if curve.schedule is not None:
        names += [
            f"u{i} less fpk's, t = {t:g}, z = {a.tolist()}" for t in (BEGIN, END) for a in z for i in range(z.shape[1])
        ]
    return on_two_meshes(
        lambda steps: np.concatenate([carried(velocity, curve, case, steps), _apart(velocity, curve, case)]),
        size, names=tuple(names), source=f"points that follow u, {case}",
    )  # fmt: skip
