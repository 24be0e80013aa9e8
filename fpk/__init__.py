"""fpk verifies the mathematics of diffusion, score and flow models.

Problem → marginals (closed form, grid, particles) → compare → verdict → study → report. Names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "errors": ("FpkError", "Refuted", "Undecided"),
    "laws": ("Gaussian", "GaussianMixture", "TabulatedLaw"),
    "schedules": ("AffineSchedule", "SubVPSchedule", "VESchedule", "VPSchedule"),
    "grids": ("Grid",),
    "panels": ("Panel", "law_panel"),
    "coefficients": ("Linear",),
    "problem": ("Boundary", "Problem", "noising"),
    "transformations": ("probability_flow", "reverse_time", "with_noise"),
    "marginals": ("Estimate", "Marginals", "residual"),
    "verdict": ("Outcome", "Verdict"),
    "closed_form": ("LawMarginals", "exact"),
    "fokker_planck.solver": ("solve",),
    "particles.simulation": ("simulate",),
    "refinement": ("refine",),
    "comparison": ("compare", "vanishes"),
    "formulas": ("check_formula",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("problems", "testing")

__all__ = [*sorted(_HOME), *_MODULES]


_loaded: dict[str, Any] = {}  # the module of each name that was asked for: the names themselves may be patched there


def __getattr__(name: str) -> Any:
    if name in _loaded:
        return getattr(_loaded[name], name)
    if name in _HOME:
        _loaded[name] = importlib.import_module(f"fpk.{_HOME[name]}")
        return getattr(_loaded[name], name)
    if name in _MODULES:
        return importlib.import_module(f"fpk.{name}")
    raise AttributeError(f"module 'fpk' has no attribute {name!r}; its public names are {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return __all__
