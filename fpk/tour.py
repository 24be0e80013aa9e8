"""A first look without any study: the demonstration and the self-examination behind ``fpk demo`` and ``fpk doctor``."""

from __future__ import annotations

import importlib.util
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import fpk
from fpk.laws import Array
from fpk.runner import versions

OPTIONAL = ("distributed", "torch", "jax", "sklearn", "xarray")


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


def examined() -> dict[str, str]:
    """What this installation is, and whether it gives a right first result."""
    begun = time.perf_counter()
    problem = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(2.0, 0.3))
    grid = fpk.refine(lambda k: fpk.solve(problem, fpk.Grid(-5, 7, cells=96 * k), times=[0.7]))
    outcome = fpk.compare(grid, fpk.exact(problem, times=[0.7]), effect=0.01).outcome
    seconds = time.perf_counter() - begun
    found = versions() | {"platform": platform.platform(), "processors": str(os.cpu_count())}
    found |= {
        f"optional {name}": "installed" if importlib.util.find_spec(name) else "not installed" for name in OPTIONAL
    }
    return found | {"first result": str(outcome), "first result after": f"{seconds:.2f} s"}
