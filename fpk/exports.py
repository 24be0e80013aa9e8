r"""Exports: solutions, particles and records as labelled arrays, files that other programs read, and formulas.

A result becomes an ``xarray.Dataset``, whose dimensions have names and whose attributes say what was computed, and that a netCDF-4 file:

============== ======================== ==========================================================================================
of             dimensions               variables
============== ======================== ==========================================================================================
grid solution  t, x (or x, y, z)        density, mass = ∫ p_t; cell widths x_width, ... as coordinates
flow           the same, and start      position, weight: where points of the initial law are, and what they carry
particles      level, t, particle,      position (level 0 has the shortest steps), start; absorption_time where there are walls
               axis
any of these   functional               expectation, budget, standard_error of a panel; infinite budgets are not known
records        record                   a column for every entry
============== ======================== ==========================================================================================

Files hold the same bits as the arrays. With ``cells = density * x_width`` (and y_width, z_width) one has the masses of the cells.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fpk
from fpk.atomic_files import beside, writing
from fpk.changes import read_records
from fpk.coefficients import Coefficient, Fixed, GradientDrift, Linear
from fpk.errors import FpkError, ProblemError
from fpk.fokker_planck.solutions import FlowMarginals
from fpk.fokker_planck.stored import StoredDensities
from fpk.marginals import Estimate
from fpk.panels import Panel, law_panel
from fpk.particles.ensemble import ParticleMarginals
from fpk.problem import Problem
from fpk.refinement import RefinedMarginals
from fpk.symbolic import formula

#: Variables of a dataset, each with its dimensions; and attributes.
Columns = dict[str, Any]
AXES = ("x", "y", "z")


def to_xarray(result: Any, *, panel: Panel | None = None, budgets: bool = True) -> Any:
    """A result as an ``xarray.Dataset``.

    Parameters
    ----------
    result : grid solution, refined solution, particles, sequence of records, or Path
        What ``solve``, ``refine`` and ``simulate`` return; records as in a report's ``records.jsonl``, or the folder of the report.
    panel : Panel, optional
        Functionals whose expectations are stored with their budgets; default those of the result's own laws, none for particles in more
        dimensions than one.
    budgets : bool, default True
        Whether to store expectations at all: the budget of a grid costs a solution on half of its cells.

    Returns
    -------
    xarray.Dataset
        With the attributes ``problem``, ``drift``, ``diffusion``, ``initial``, ``horizon``, ``boundary``, ``scheme``, ``order``, ``budget`` (the
        largest) and ``fpk`` (the version), as far as they are known.

    Raises
    ------
    ProblemError
        If there is no such form of the result, or xarray is not installed: with what to do.

    Examples
    --------
    >>> import fpk
    >>> from fpk.exports import to_xarray
    >>> spring = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(1.0, 0.3))
    >>> solution = fpk.solve(spring, fpk.Grid(-5, 5, cells=64), times=[0.5])
    >>> to_xarray(solution).density.sel(t=0.5).idxmax().item()  # doctest: +SKIP
    0.546875
    """
    variables, coordinates, attributes = _parts(result, panel, budgets)
    said = {name: value for name, value in attributes.items() if value is not None and not _blank(value)}
    return _xarray().Dataset(variables, coordinates, {**said, "fpk": fpk.__version__})


def to_netcdf(result: Any, path: str | os.PathLike[str], **options: Any) -> Path:
    """Write a result as a netCDF-4 file; a file that is there is replaced once the new one is whole.

    Parameters
    ----------
    result : Dataset, or as for :func:`to_xarray`
    path : path
        In a folder that exists.
    **options
        ``panel`` and ``budgets`` of :func:`to_xarray`.

    Returns
    -------
    Path
        Of the file: ``xarray.open_dataset(path, engine="h5netcdf")`` reads it.

    Raises
    ------
    ProblemError
        As for :func:`to_xarray`.
    StoreError
        If the file cannot be written.

    Examples
    --------
    >>> import fpk
    >>> from fpk.exports import to_netcdf
    >>> spring = fpk.Problem("-x", 1.0, initial=fpk.Gaussian(1.0, 0.3))
    >>> run = fpk.simulate(spring, particles=100, steps=4, times=[0.5], seed=0)
    >>> to_netcdf(run, "run.nc")  # doctest: +SKIP
    PosixPath('run.nc')
    """
    xarray, path = _xarray(), Path(path)
    dataset = result if isinstance(result, xarray.Dataset) else to_xarray(result, **options)
    plain = {name: {"_FillValue": None} for name, values in dataset.variables.items() if values.dtype.kind == "f"}
    with writing(path, "Name a file in a folder that exists and has room"), beside(path) as part:
        dataset.to_netcdf(part, engine="h5netcdf", encoding=plain)
    return path


def to_sympy(coefficient: Any) -> Any:
    """A drift or diffusion as a formula.

    Parameters
    ----------
    coefficient : Coefficient
        ``problem.drift`` or ``problem.diffusion``, given as a number, formula, matrix, :class:`fpk.Linear` of numbers, or GradientDrift of formulas.

    Returns
    -------
    sympy expression (d = 1), or Matrix of shape (d, 1); (d, m) for a matrix
        In the real symbols x (x0, x1, ... for d > 1) and t.

    Raises
    ------
    ProblemError
        If it was given as a Python function, which has no formula.

    Examples
    --------
    >>> import fpk
    >>> from fpk.exports import to_sympy
    >>> problem = fpk.Problem("-x**3 + t", "sqrt(2)", initial=fpk.Gaussian(0.0, 1.0))
    >>> to_sympy(problem.drift).diff("x")
    0
    >>> import sympy
    >>> to_sympy(problem.drift).diff(sympy.Symbol("x", real=True))
    -3*x**2
    """
    given = coefficient.given if isinstance(coefficient, Coefficient) else coefficient
    if not isinstance(coefficient, Coefficient):
        raise ProblemError(
            f"a formula is that of a drift or a diffusion, as in to_sympy(problem.drift); got {given!r}."
        )
    import sympy

    names = ["x"] if coefficient.dimension == 1 else [f"x{i}" for i in range(coefficient.dimension)]
    symbols = {name: sympy.Symbol(name, real=True) for name in (*names, "t")}
    rows = _rows(given, coefficient, sympy.Matrix([symbols[name] for name in names]))
    if rows is None:
        raise ProblemError(
            f"the {coefficient.name} {coefficient.wording} was given as a Python function, which has no formula: state it as text, as a sympy "
            "expression, or as fpk.Linear of numbers."
        )
    return rows[0] if coefficient.dimension == 1 and rows.shape == (1, 1) else rows


def _rows(given: Any, coefficient: Coefficient, x: Any) -> Any:
    """The formulas as a Matrix; None where there are none."""
    import sympy

    symbols = {s.name: s for s in (*x, sympy.Symbol("t", real=True))}
    if isinstance(given, Linear):
        slope, shift = given.slope, given.shift
        return _linear(slope.value, shift.value, x) if isinstance(slope, Fixed) and isinstance(shift, Fixed) else None
    if isinstance(given, GradientDrift):
        inner = given.remainder.given
        potential, force = (_stated(part, symbols, coefficient.name) for part in (given.potential, inner))
        return None if potential is None or force is None else sympy.Matrix([force - potential.diff(x[0])])
    if isinstance(given, Sequence) and not isinstance(given, str):
        nested = [[*row] if isinstance(row, Sequence) and not isinstance(row, str) else [row] for row in given]
        return sympy.Matrix([[_stated(entry, symbols, coefficient.name) for entry in row] for row in nested])
    if isinstance(given, np.ndarray):
        return sympy.Matrix(given.tolist())
    found = _stated(given, symbols, coefficient.name)
    return None if found is None else sympy.Matrix([found] * len(x))


def _stated(given: Any, symbols: Mapping[str, Any], name: str) -> Any:
    """A number or formula as an expression in the symbols; None for functions."""
    if callable(given) and not hasattr(given, "free_symbols"):
        return None
    return formula(given, dict(symbols), name)


def _linear(slope: Any, shift: Any, x: Any) -> Any:
    """A x + b."""
    import sympy

    slope, shift = np.asarray(slope), np.asarray(shift)
    moved = sympy.Matrix(slope.tolist()) * x if slope.ndim == 2 else slope.item() * x
    return moved + sympy.Matrix(np.broadcast_to(shift, (len(x),)).tolist())


def _xarray() -> Any:
    try:
        import h5netcdf  # noqa: F401  # pyright: ignore[reportMissingImports]
        import xarray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ProblemError(
            f"exports need {error.name}, which is not installed: python -m pip install 'fpk[xarray]'."
        ) from error
    return xarray


def _blank(value: Any) -> bool:
    return isinstance(value, str) and not value


def _parts(result: Any, panel: Panel | None, budgets: bool) -> tuple[Columns, Columns, Columns]:
    """Variables, coordinates and attributes of a result."""
    stored = result.finest if isinstance(result, RefinedMarginals) else result
    if isinstance(stored, StoredDensities):
        variables, coordinates, attributes = _on_grid(stored)
    elif isinstance(stored, ParticleMarginals):
        variables, coordinates, attributes = _particles(stored)
    elif hasattr(stored, "expect"):
        variables, coordinates, attributes = {}, {}, _told(getattr(stored, "problem", None))
    elif isinstance(result, (str, os.PathLike)):
        return _table(read_records(Path(result)))
    elif isinstance(result, Sequence) and all(isinstance(row, Mapping) or hasattr(row, "as_json") for row in result):
        return _table([row if isinstance(row, Mapping) else row.as_json() for row in result])
    else:
        raise ProblemError(
            f"there is no export of {type(result).__name__}: give a grid solution, particles, anything with expect(panel), "
            "a list of records, or the folder of a report."
        )
    panel = panel or (_own_panel(stored) if budgets else None)
    if budgets and panel is not None:
        found = _expected(result.expect(panel), panel)
        variables, coordinates, attributes = (
            {**a, **b} for a, b in zip((variables, coordinates, attributes), found, strict=True)
        )
    return variables, coordinates, attributes


def _told(problem: Problem | None) -> Columns:
    """What is said of a problem."""
    if problem is None:
        return {}
    ends = {"lower": problem.boundary.lower, "upper": problem.boundary.upper} if problem.boundary.kind != "open" else {}
    return {
        "problem": problem.name,
        "drift": problem.drift.wording,
        "diffusion": problem.diffusion.wording,
        "initial": repr(problem.initial),
        "horizon": float(problem.horizon),
        "boundary": problem.boundary.kind,
        **ends,
    }


def _on_grid(solution: Any) -> tuple[Columns, Columns, Columns]:
    axes = dict(zip(AXES, getattr(solution.grid, "axes", (solution.grid,)), strict=False))
    coordinates: Columns = {"t": np.array(solution.times), **{name: axis.centers for name, axis in axes.items()}}
    coordinates |= {f"{name}_width": (name, axis.widths) for name, axis in axes.items()}
    variables: Columns = {"density": (("t", *axes), solution.densities), "mass": ("t", solution.mass)}
    if isinstance(solution, FlowMarginals):
        variables |= {"position": (("t", "start"), solution.positions), "weight": ("start", solution.weights)}
    attributes = {
        **_told(getattr(solution.plan, "problem", None)),
        "scheme": solution.source,
        "order": float(solution.order),
        "floor": float(solution.floor),
        "minimum": solution.minimum,
    }
    return variables, coordinates, attributes


def _particles(run: ParticleMarginals) -> tuple[Columns, Columns, Columns]:
    variables: Columns = {"position": (("level", "t", "particle", "axis"), run.positions)}
    if len(run.start):
        variables["start"] = (("particle", "axis"), run.start)
    if run.absorbed is not None:
        variables["absorption_time"] = (("level", "particle"), run.absorbed)
    attributes = {
        **_told(run.problem),
        "scheme": run.source,
        "steps": run.scheme,
        "noise": run.noise_key,
        "units": run.units,
        "exact": int(run.exact),
    }
    return variables, {"t": np.array(run.times)}, attributes


def _own_panel(stored: Any) -> Panel | None:
    """The functionals of the result's own laws; None where it does not know them."""
    try:
        return law_panel({t: stored.law(t) for t in stored.times})
    except (FpkError, AttributeError):
        return None


def _expected(found: Estimate, panel: Panel) -> tuple[Columns, Columns, Columns]:
    columns = {"expectation": found.value, "budget": found.bias_bound, "standard_error": found.standard_error}
    variables = {name: ("functional", np.asarray(values, float)) for name, values in columns.items()}
    names = np.array(panel.names, dtype=object)
    return variables, {"functional": names}, {"budget": float(found.bias_bound.max(initial=0.0)), "panel": panel.digest}


def _table(rows: Sequence[Mapping[str, Any]]) -> tuple[Columns, Columns, Columns]:
    """Records as columns: numbers (NaN where there is none), truths, else text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: ("record", _column([row.get(name) for row in rows])) for name in names}, {}, {}


def _column(values: Sequence[Any]) -> Any:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool} and None not in values:
        return np.array(values, bool)
    if kinds == {int} and None not in values and all(abs(value) < 2**63 for value in values):
        return np.array(values, np.int64)
    if (
        kinds
        and kinds <= {int, float}
        and all(value is None or abs(value) <= 2**53 for value in values if type(value) is int)
    ):
        return np.array([np.nan if value is None else value for value in values], float)
    return np.array([_text(value) for value in values] or [], dtype=object)


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
