"""Laws that flows and equations with noise reach on grids, held against laws in closed form."""

from __future__ import annotations

from typing import Any

import fpk
from fpk.fokker_planck.solutions import GridMarginals
from fpk.laws import GaussianMixture
from fpk.marginals import Marginals
from fpk.refinement import RefinedMarginals
from fpk.study import Evidence, Size


def flowed(flow: fpk.Problem, half: float, end: float, size: Size) -> RefinedMarginals:
    """A flow without noise, on three grids over [−half, half]."""

    def level(k: int) -> Any:
        return fpk.solve(flow, fpk.Grid(-half, half, cells=size.cells(32) * k), times=[end], steps=size.cells(5) * k)

    return fpk.refine(level)


def spread(problem: fpk.Problem, half: float, end: float, size: Size) -> GridMarginals:
    """An equation with noise, on a grid between walls at ±half; half the cells and the residual give its budget."""
    walled = fpk.Problem(
        problem.drift,
        problem.diffusion,
        initial=problem.initial,
        horizon=problem.horizon,
        boundary=fpk.Boundary("no_flux", -half, half),
        name=problem.name,
    )
    return fpk.solve(walled, fpk.Grid(-half, half, cells=size.cells(96)), times=[end], steps=size.cells(8))


def against(found: Marginals, law: GaussianMixture, end: float, *, source: str) -> Evidence:
    """Both on the panel of the law, which no control changes."""
    claimed = fpk.LawMarginals({end: law}, (end,), source=source)
    panel = fpk.law_panel({end: law})
    return Evidence(found.expect(panel), claimed.expect(panel), panel.names, panel=panel.digest)
