r"""Strategies for hypothesis: laws, schedules, drifts, noises, tensors, boundaries, grids and whole problems.

    from hypothesis import given
    from fpk.strategies import noising_problems

    @given(problem=noising_problems())
    def test_my_solver(problem): ...

Everything shrinks to the Ornstein–Uhlenbeck process from a standard normal law, and no seed is ever drawn. Counterexamples are printed as
calls; they can be pasted after

    from numpy import array
    from fpk import *
    from fpk.strategies import *

Bounds are keywords with defaults; nonsense is refused when the strategy is made.
"""

from fpk.coefficients import GradientDrift
from fpk.grids import ProductGrid
from fpk.strategies.at_rest import gibbs_law, langevin_problems
from fpk.strategies.densities import gaussians, mixtures
from fpk.strategies.domains import boundaries, grids
from fpk.strategies.equations import linear_problems, noising_problems, problems, smooth_problems
from fpk.strategies.intervals import walled_problems
from fpk.strategies.motions import diffusions, drifts
from fpk.strategies.noise_paths import Decay, Power, schedules
from fpk.strategies.ranges import numbers
from fpk.strategies.tensors import spd_tensors
from fpk.strategies.waves import Swing, WavyDrift, WavyNoise, Wells

__all__ = [
    "Decay",
    "GradientDrift",
    "Power",
    "ProductGrid",
    "Swing",
    "WavyDrift",
    "WavyNoise",
    "Wells",
    "boundaries",
    "diffusions",
    "drifts",
    "gaussians",
    "gibbs_law",
    "grids",
    "langevin_problems",
    "linear_problems",
    "mixtures",
    "noising_problems",
    "numbers",
    "problems",
    "schedules",
    "smooth_problems",
    "spd_tensors",
    "walled_problems",
]
