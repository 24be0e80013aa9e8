"""A first look without any study: the demonstration and the self-examination behind ``fpk demo`` and ``fpk doctor``."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import fpk
from fpk.laws import Array
from fpk.runner import versions

REQUIRED = (
    "numba",
    "findiff",
    "sympy",
    "matplotlib",
    "hypothesis",
    "pytest",
    "click",
    "rich",
    "jinja2",
    "latex2mathml",
)
#: Distributions that may be missing: what is off without them, and what installs them.
OPTIONAL = {
    name: {"for": part, "install": f'python -m pip install "fpk[{extra}]"'}
    for name, extra, part in (
        ("distributed", "dask", "run -j, --scheduler"),
        ("torch", "torch", "fpk.models.neural and torch modules as fields"),
        ("jax", "jax", "JAX functions as fields"),
        ("scikit-learn", "sklearn", "regressors of scikit-learn as fields"),
        ("xarray", "xarray", "export to xarray"),
        ("h5netcdf", "xarray", "export to netCDF"),
        *((name, "clients", f"examination of {name} (fpk run clients)")
          for name in ("diffusers", "flow_matching", "torchcfm", "k-diffusion", "azula")),
    )
}  # fmt: skip
#: Variables that limit threads.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def steps() -> Iterator[str]:
    """Three comparisons with three outcomes, as texts to print."""
    problem = fpk.noising(fpk.VPSchedule(0.6, 3.4), fpk.problems.two_peaks())
    exact = fpk.exact(problem, times=[1.0])
    data = fpk.LawMarginals({1.0: problem.initial}, (1.0,), source="the data law")
    back = replace(fpk.reverse_time(problem, exact.score, initial=exact.law(1.0)), boundary=_WALLS)
    yield "A variance-preserving SDE turns two peaks into noise. Does its reverse SDE, drift −f + g²∇log p, return them?\n"
    yield f"{fpk.compare(_solved(back), data, effect=0.01)}\n"
    half: fpk.Problem = replace(fpk.reverse_time(problem, _halved(exact), initial=exact.law(1.0)), boundary=_WALLS)
    yield "The same with the score halved, a factor that is easily lost:\n"
    yield f"{fpk.compare(_solved(half), data, effect=0.01)}\n"
    particles = fpk.simulate(problem, particles=2000, steps=40, times=[1.0], seed=0)
    yield "And the forward SDE from 2,000 particles, which cannot tell a tolerance of .003:\n"
    yield f"{fpk.compare(particles, exact, effect=0.01)}\n"
    yield "Next: fpk run --quick in a clone of the project verifies a catalogue of such statements and writes a report."


_WALLS = fpk.Boundary("no_flux", -6.5, 7.0)


def _solved(problem: fpk.Problem) -> fpk.Marginals:
    return fpk.refine(lambda k: fpk.solve(problem, fpk.Grid(-6.5, 7.0, cells=88 * k), times=[1.0], steps=48 * k))


def _halved(exact: fpk.LawMarginals) -> Callable[[Array, float], Array]:
    def score(x: Array, t: float) -> Array:
        return 0.5 * exact.score(x, t)

    return score


def examined() -> dict[str, Any]:
    """What this installation is, whether it gives a right first result, and whether all is well."""
    begun = time.perf_counter()
    found = _first_result()
    seconds = time.perf_counter() - begun
    return {
        "versions": versions() | {name: _version(name) for name in REQUIRED},
        "optional": {name: {"version": _version(name)} | part for name, part in OPTIONAL.items()},
        "machine": _machine(),
        "first result": found,
        "first result after": round(seconds, 3),
        "well": found == fpk.Outcome.CONFIRMED,
    }


def _first_result() -> str:
    """The outcome of a small comparison, or what stopped it."""
    try:
        problem = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(2.0, 0.3))
        grid = fpk.refine(lambda k: fpk.solve(problem, fpk.Grid(-5, 7, cells=96 * k), times=[0.7]))
        return str(fpk.compare(grid, fpk.exact(problem, times=[0.7]), effect=0.01).outcome)
    except Exception as error:  # whatever is wrong with an installation is the finding
        return f"{type(error).__name__}: {error}"


def _version(name: str) -> str:
    """The version of a distribution; empty where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _machine() -> dict[str, str]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = {name: os.environ[name] for name in THREADS if name in os.environ}
    return {
        "fpk from": str(Path(__file__).parent),
        "platform": platform.platform(),
        "processors": f"{usable} of {os.cpu_count()} usable",
        "threads": ", ".join(f"{name}={value}" for name, value in threads.items()) or "not limited",
        "numba cache": _cache(),
    }


def _cache() -> str:
    """Where compiled functions are kept, and whether they can be."""
    try:
        from fpk.particles.philox import philox
    except Exception as error:  # numba refuses to import what it can cache nowhere
        return f"{type(error).__name__}: {error}"
    folder = Path(philox.stats.cache_path or ".")
    above = next(path for path in (folder, *folder.parents) if path.exists())
    writable = os.access(above, os.W_OK)
    return f"{folder} ({'writable' if writable else 'NOT WRITABLE, every process compiles anew: set NUMBA_CACHE_DIR'})"
