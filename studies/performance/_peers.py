"""Peers, where installed (extra ``bench``): py-pde, FiPy, fplanck and PyDDM, each in the way its own manual shows.

Those that are missing are left out. PyDDM solves first-passage problems, whose density between absorbing walls is a relaxation's where the walls
are never reached.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from fpk.laws import Array

from ._baselines import Route
from ._tasks import Task


def _module(name: str) -> Any:
    return importlib.import_module(name)


def py_pde(task: Task, cells: int, effort: int) -> Array:
    """∂p = −∂(f p) + D ∂²p as an expression, explicit adaptive Runge–Kutta steps."""
    pde = _module("pde")
    grid = pde.CartesianGrid([task.box], cells)
    x = task.centers(cells)
    drift = pde.ScalarField(grid, task.drift(x))
    equation = pde.PDE({"p": f"{task.diffusivity!r} * laplace(p) - d_dx(f * p)"}, consts={"f": drift}, bc={"value": 0})
    start = pde.ScalarField(grid, task.start(x))
    options = {"solver": "scipy", "method": "LSODA", "rtol": 10.0**-effort, "atol": 10.0**-effort}
    return equation.solve(start, t_range=task.time, dt=1e-3, tracker=None, backend="numpy", **options).data


def fipy(task: Task, cells: int, effort: int) -> Array:
    """Power-law convection and implicit Euler steps."""
    fipy = _module("fipy")
    mesh = fipy.Grid1D(nx=cells, dx=task.width(cells)) + task.box[0]
    p = fipy.CellVariable(mesh=mesh, value=task.start(task.centers(cells)))
    drift = fipy.FaceVariable(mesh=mesh, rank=1, value=task.drift(np.asarray(mesh.faceCenters.value)))
    equation = fipy.TransientTerm() == fipy.DiffusionTerm(task.diffusivity) - fipy.PowerLawConvectionTerm(drift)
    for _ in range(effort):
        equation.solve(var=p, dt=task.time / effort)
    return np.array(p.value)


def fplanck(task: Task, cells: int, effort: int) -> Array:
    """Its Markov-chain operator and sparse exponential, in units with k_B T = D and unit drag."""
    fplanck, constants = _module("fplanck"), _module("scipy.constants")
    width = task.box[1] - task.box[0]
    temperature = task.diffusivity / constants.k
    operator = fplanck.fokker_planck(
        temperature=temperature, drag=1.0, extent=width, resolution=task.width(cells), boundary=fplanck.boundary.reflecting,
        force=lambda x: task.drift(x + sum(task.box) / 2),
    )  # fmt: skip
    law = task.problem.initial
    start = fplanck.gaussian_pdf(float(law.mean[0]) - sum(task.box) / 2, float(law.covariance[0, 0]) ** 0.5)
    _, density = operator.propagate_interval(start, task.time, Nsteps=2, normalize=True)
    return np.asarray(density)[-1] / task.width(cells)


def _peers() -> tuple[Route, ...]:
    stated = (
        ("pde", Route("py-pde", py_pde, (96, 200, 400), (5, 8))),
        ("fipy", Route("FiPy", fipy, (100, 200, 400), (50, 200))),
        ("fplanck", Route("fplanck", fplanck, (100, 200, 400))),
    )
    usable = {module for module, _ in stated if importlib.util.find_spec(module) is not None}
    if not hasattr(np, "product"):  # fplanck 0.2 calls what numpy 2 no longer has
        usable.discard("fplanck")
    return tuple(route for module, route in stated if module in usable)


PEERS = _peers()
