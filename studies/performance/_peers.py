"""Peers, where installed (extra ``bench``), each in the way its own manual shows; those that are missing are left out.

On lines py-pde, FiPy and fplanck, in the plane py-pde and QuantLib, with coefficients that do not depend on t. fplanck knows no cross terms.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from fpk.fokker_planck.product.fields import fields_at
from fpk.laws import Array

from ._baselines import Route
from ._tasks import BoxTask, Task


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


def py_pde_plane(task: BoxTask, cells: int, effort: int) -> Array:
    """As :func:`py_pde` in the plane, with cross derivatives as derivatives of derivatives."""
    pde, given = _module("pde"), task.grid(cells)
    fields = fields_at(task.problem, given)(0.0)
    grid = pde.CartesianGrid([[axis.lower, axis.upper] for axis in given.axes], given.shape)
    drifts = {name: pde.ScalarField(grid, f) for name, f in zip("fg", fields.drift, strict=True)}
    a, b, c = (D.item() for D in fields.diffusivity)
    spread = f"{a!r} * d2_dx2(p) + {2 * b!r} * d_dx(d_dy(p)) + {c!r} * d2_dy2(p)"
    equation = pde.PDE({"p": f"{spread} - d_dx(f * p) - d_dy(g * p)"}, consts=drifts, bc={"value": 0})
    options = {"solver": "scipy", "method": "RK45", "rtol": 10.0**-effort, "atol": 10.0**-effort}
    start = pde.ScalarField(grid, task.start(cells))
    return equation.solve(start, t_range=task.time, dt=1e-3, tracker=None, backend="numpy", **options).data


class _Splitting:
    """The operator of a plane problem with steady coefficients, in the parts QuantLib's splitting schemes ask for."""

    def __init__(self, task: BoxTask, cells: int) -> None:
        ql, grid = _module("QuantLib"), task.grid(cells)
        fields = fields_at(task.problem, grid)(0.0)
        lines = [ql.Uniform1dMesher(axis.centers[0], axis.centers[-1], axis.cells) for axis in grid.axes]
        mesh = ql.FdmMesherComposite(*lines)

        def along(axis: int) -> Any:
            """D ∂² − f ∂ − ∂f: products inside of derivatives are right along the first axis only (QuantLib 1.44)."""
            spread = ql.SecondDerivativeOp(axis, mesh).mult(ql.Array(grid.cells, fields.diffusivity[2 * axis].item()))
            drift, total = fields.drift[axis], ql.TripleBandLinearOp(axis, mesh)
            lost = np.gradient(drift, grid.spacings[axis], axis=axis)
            slope = ql.FirstDerivativeOp(axis, mesh)
            total.axpyb(_quantlib_array(ql, -drift), slope, spread, _quantlib_array(ql, -lost))
            return total

        self.axes = [along(0), along(1)]
        self.mixed, self.cross = ql.SecondOrderMixedDerivativeOp(0, 1, mesh), 2 * fields.diffusivity[1].item()

    def size(self) -> int:
        """Directions."""
        return len(self.axes)

    def setTime(self, t1: float, t2: float) -> None:
        """Coefficients are steady."""

    def apply(self, p: Any) -> Any:
        """The whole operator."""
        return self.apply_mixed(p) + self.axes[0].apply(p) + self.axes[1].apply(p)

    def apply_mixed(self, p: Any) -> Any:
        """Its cross term."""
        return self.mixed.apply(p) * self.cross

    def apply_direction(self, axis: int, p: Any) -> Any:
        """What moves along an axis."""
        return self.axes[axis].apply(p)

    def solve_splitting(self, axis: int, p: Any, step: float) -> Any:
        """An implicit step of that."""
        return self.axes[axis].solve_splitting(p, step, 1.0)


def _quantlib_array(ql: Any, values: Array) -> Any:
    """Values over a grid in QuantLib's order, first axis fastest."""
    return ql.Array(values.ravel(order="F").tolist())


def quantlib(task: BoxTask, cells: int, effort: int) -> Array:
    """Hundsdorfer–Verwer steps of second-order differences."""
    ql = _module("QuantLib")
    operator = ql.FdmLinearOpCompositeProxy(_Splitting(task, cells))
    p = _quantlib_array(ql, task.start(cells))
    solver = ql.FdmBackwardSolver(operator, ql.FdmBoundaryConditionSet(), None, ql.FdmSchemeDesc.Hundsdorfer())
    solver.rollback(p, task.time, 0.0, effort, 0)
    return np.array(list(p)).reshape(task.grid(cells).shape, order="F")


Stated = tuple[tuple[str, Route], ...]


def _usable(stated: Stated) -> tuple[Route, ...]:
    usable = {module for module, _ in stated if importlib.util.find_spec(module) is not None}
    if not hasattr(np, "product"):  # fplanck 0.2 calls what numpy 2 no longer has
        usable.discard("fplanck")
    return tuple(route for module, route in stated if module in usable)


PEERS = _usable(
    (
        ("pde", Route("py-pde", py_pde, (96, 200, 400), (5, 8))),
        ("fipy", Route("FiPy", fipy, (100, 200, 400), (50, 200))),
        ("fplanck", Route("fplanck", fplanck, (100, 200, 400))),
    )
)
PLANE_PEERS = _usable(
    (
        ("pde", Route("py-pde", py_pde_plane, (48,), (3,))),
        ("QuantLib", Route("QuantLib", quantlib, (64, 128, 200), (25, 50), steps=True)),
    )
)
