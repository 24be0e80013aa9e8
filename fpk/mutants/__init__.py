r"""Mutants: wrong variants of the library's own formulas, planted where the formula is defined.

A check that cannot fail is a defect. The studies' controls change what a *study* writes; a mutant changes what the *library* computes, so it
also reaches a formula that both sides of a comparison share. Every mutant must be refuted by some claim, or be explained.

To add one: a line in :mod:`fpk.mutants.equations`, :mod:`fpk.mutants.numerics`, :mod:`fpk.mutants.planes`,
:mod:`fpk.mutants.particles` or :mod:`fpk.mutants.learning`.
"""

from fpk.mutants.equations import EQUATIONS
from fpk.mutants.learning import LEARNING
from fpk.mutants.numerics import NUMERICS
from fpk.mutants.particles import PARTICLES
from fpk.mutants.planes import PLANES
from fpk.mutants.planting import Calls, Mutant, function_of, planted, traced

MUTANTS = {mutant.name: mutant for mutant in (*EQUATIONS, *NUMERICS, *PLANES, *PARTICLES, *LEARNING)}

__all__ = ["MUTANTS", "Calls", "Mutant", "function_of", "planted", "traced"]
