"""Assertions about laws, orders and identities, for pytest, unittest and notebooks.

Each returns its :class:`fpk.Verdict` if it is CONFIRMED, and raises :class:`fpk.Refuted` or :class:`fpk.Undecided` (both AssertionErrors that carry
the verdict) otherwise: a check that cannot tell does not pass. A failure names the likely mistake and the command that runs the check again.
The probability of refuting something true is ``alpha``: as given, else what the running test may spend, else 10⁻⁶. Tolerances of laws are in
units of the panel's functionals, which have variance 1: .01 is about a hundredth of the law's spread.

========================================= ====================================================
``assert_marginals(a, b)``                two routes have the same marginals
``assert_same_law(a, b)``                 the same for laws and samples, in any mixture
``assert_stationary(problem, law)``       the law does not change
``assert_reverse_equivalent(problem)``    there and back again
``assert_order(steps, errors)``           errors fall with an order
``assert_residual(residual)``             an identity holds
``assert_decays(times, values, rate=)``   a distance falls at least exponentially
``assert_conserved``, ``assert_positive`` what a grid solution promises
``assert_sampler(sampler, kind=...)``     a black-box sampler reaches the law, in its order
``assert_kernel_stationary(kernel, law)`` a black-box Markov kernel leaves a law alone
``assert_likelihood(log_likelihood)``     a black-box log-likelihood is one
``assert_score``, ``assert_velocity``     a black-box field is the exact one
``assert_divergence``                     a black-box divergence is that of its field
========================================= ====================================================
"""

from fpk.testing.decay import assert_decays
from fpk.testing.fields import assert_divergence, assert_score, assert_velocity
from fpk.testing.kernels import assert_kernel_stationary
from fpk.testing.laws import assert_marginals, assert_reverse_equivalent, assert_same_law, assert_stationary
from fpk.testing.likelihoods import assert_likelihood
from fpk.testing.numbers import assert_conserved, assert_order, assert_positive, assert_residual
from fpk.testing.samplers import assert_sampler

__all__ = [
    "assert_conserved",
    "assert_decays",
    "assert_divergence",
    "assert_kernel_stationary",
    "assert_likelihood",
    "assert_marginals",
    "assert_order",
    "assert_positive",
    "assert_residual",
    "assert_reverse_equivalent",
    "assert_same_law",
    "assert_sampler",
    "assert_score",
    "assert_stationary",
    "assert_velocity",
]
