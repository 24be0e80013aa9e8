"""The solver of flow_matching on the contract of black-box samplers, with the paths and conversions of its schedulers.

Its time runs from noise to data: r = 1 − t.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import fpk
from fpk.schedules import AffineSchedule, OTSchedule

from ._configurations import LAW, PARTICLES, Client
from ._libraries import loaded, part

#: Paths of its schedulers in the time of the noise.
PATHS: dict[str, Any] = {
    "CondOTScheduler": OTSchedule(),
    "CosineScheduler": AffineSchedule(lambda t: float(np.cos(0.5 * np.pi * t)), lambda t: float(np.sin(0.5 * np.pi * t))),
    "LinearVPScheduler": AffineSchedule(lambda t: 1 - t, lambda t: float(np.sqrt(max(t * (2 - t), 0.0)))),
    "PolynomialConvexScheduler": AffineSchedule(lambda t: (1 - t) ** 2, lambda t: t * (2 - t)),
    "VPScheduler": fpk.VPSchedule(0.1, 20.0),
}  # fmt: skip


def scheduler(name: str) -> Any:
    """A scheduler of its own."""
    return getattr(part("flow_matching.path.scheduler"), name)(*((2,) if name == "PolynomialConvexScheduler" else ()))


def velocity(name: str, converted: str, model: Any) -> Any:
    """The velocity its solver follows, from what the model predicts."""
    if converted == "velocity":
        return lambda x, t: model(x, t)
    convert = getattr(part("flow_matching.path").AffineProbPath(scheduler(name)), f"{converted}_to_velocity")
    return lambda x, t: convert(model(x, t), x, t)


def client(name: str, method: str, *, order: float | None, converted: str = "velocity", begin: float = 1.0) -> Client:
    """``ODESolver.sample`` with equal steps."""

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        return _solved(velocity(name, converted, model), start, steps, method, begin)

    kind = {"velocity": "velocity", "target": "denoised", "epsilon": "noise"}[converted]
    return Client(sampler, _declared(kind, PATHS[name], order, begin))


def transformed(original: str, new: str, method: str, *, order: float | None) -> Client:
    """``ODESolver.sample`` along another path than the model's own."""

    def sampler(model: Any, start: Any, steps: int, rng: np.random.Generator) -> Any:
        transform = part("flow_matching.path.scheduler").ScheduleTransformedModel
        own = transform(lambda x, t: model(x, t), scheduler(original), scheduler(new))
        return _solved(own, start, steps, method, 1.0)

    return Client(sampler, _declared("velocity", PATHS[original], order, 1.0))


def _solved(field: Any, start: Any, steps: int, method: str, begin: float) -> Any:
    import torch

    grid = torch.linspace(1 - begin, 1.0, steps + 1, dtype=start.dtype)
    solver = loaded("flow_matching").ODESolver(velocity_model=field)
    return solver.sample(x_init=start, step_size=None, method=method, time_grid=grid)


def _declared(kind: str, path: Any, order: float | None, begin: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "schedule": path,
        "direction": "t_data",
        "order": order,
        "begin": begin,
        "prior": lambda n, rng: rng.standard_normal((n, 1)),
        "law": LAW,
        "library": "torch",
        "particles": PARTICLES,
    }
