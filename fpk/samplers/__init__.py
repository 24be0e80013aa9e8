"""Samplers: one class for each chain from noise to data, with its order, its limit and what it needs.

===================== ===== ============ ===========================================================
class                 order evaluations
===================== ===== ============ ===========================================================
``DDPM``              1     1            ancestral, with either posterior variance
``DDIM``              1     1            η = 0: DPM-Solver-1; η = 1: DDPM
``DPMSolver2``        2     2            exponential integrator, midpoint in log-SNR
``EulerMaruyama``     1     1            reverse SDE with any noise h(t): the stochastic flow sampler too
``StochasticHeun``    2     2            the same, weak order 2
``ProbabilityFlow``   1-4   1, 2, 4      Euler, Heun or RK4; on a velocity field, flow matching
``PredictorCorrector``      1 + M more   Langevin steps behind another sampler's
``AnnealedLangevin``        M            NCSN
``ULA``, ``MALA``           1, 3         chains with an invariant law
``PoissonFlow``       1-4   1, 2, 4      lines of the field of charges
===================== ===== ============ ===========================================================

The chain forwards, its posteriors between two ends and schedules given by lists of β are in :mod:`fpk.samplers.forward`. Times are in
:mod:`fpk.samplers.times`, reflow and straightness in :mod:`fpk.samplers.rectified`.
"""

from fpk.samplers.ancestral import DDIM, DDPM
from fpk.samplers.base import Kernel, Sampler
from fpk.samplers.exponential import DPMSolver2
from fpk.samplers.flows import ProbabilityFlow
from fpk.samplers.forward import Posterior, VPChain, forward_kernel, posterior
from fpk.samplers.langevin import MALA, ULA, AnnealedLangevin, PredictorCorrector, langevin_hop
from fpk.samplers.poisson import PoissonField, PoissonFlow
from fpk.samplers.rectified import Transported, reflow, reflowed_field, transported
from fpk.samplers.reverse import EulerMaruyama, StochasticHeun

__all__ = [
    "DDIM",
    "DDPM",
    "MALA",
    "ULA",
    "AnnealedLangevin",
    "DPMSolver2",
    "EulerMaruyama",
    "Kernel",
    "PoissonField",
    "PoissonFlow",
    "Posterior",
    "PredictorCorrector",
    "ProbabilityFlow",
    "Sampler",
    "StochasticHeun",
    "Transported",
    "VPChain",
    "forward_kernel",
    "langevin_hop",
    "posterior",
    "reflow",
    "reflowed_field",
    "transported",
]
