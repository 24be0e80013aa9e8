r"""Probability laws on R^d: what a process starts from, and what its marginals are.

A law offers ``log_density``, ``density``, ``score`` (∇ log p), ``cdf`` (d = 1), ``sample`` and ``projected``; positions ``x`` have shape
``(n, d)``. Gaussian mixtures

    p(x) = Σ_m w_m N(x; μ_m, Σ_m)

are closed under every affine map with independent Gaussian noise, x ↦ A x + b + N(0, C):

    Σ_m w_m N(A μ_m + b, A Σ_m Aᵀ + C),

hence every linear SDE started from a mixture has an exact law, with an exact score.
"""

from fpk.laws.base import Array, Law, central_derivative
from fpk.laws.gaussian import Gaussian, GaussianMixture
from fpk.laws.scipy_law import ScipyLaw, as_law
from fpk.laws.tabulated import TabulatedLaw

__all__ = ["Array", "Gaussian", "GaussianMixture", "Law", "ScipyLaw", "TabulatedLaw", "as_law", "central_derivative"]
