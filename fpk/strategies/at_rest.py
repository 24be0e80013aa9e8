r"""Langevin's equation dX = −∇U(X) dt + g dW, and the Gibbs law ∝ exp(−2U/g²) that it leaves as it is."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fpk.coefficients import GradientDrift, Linear
from fpk.errors import NoClosedForm
from fpk.laws import Gaussian, Law, TabulatedLaw
from fpk.problem import Problem
from fpk.strategies.motions import rounded_below, waves
from fpk.strategies.parts import SIZES, noises, posed, starts
from fpk.strategies.ranges import checked_dimensions, checked_positive, numbers, of_dimensions
from fpk.strategies.tensors import spd_tensors
from fpk.strategies.waves import Wells

#: How far beyond its mean, in noises √(g²/2k) of the weakest pull, the Gibbs law is tabulated.
FAR = 12.0


def langevin_problems(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    lipschitz: float = 3.0,
    condition: float = 4.0,
    horizon: float = 1.0,
) -> SearchStrategy[Problem]:
    """dX = −∇U(X) dt + g dW from a Gaussian mixture; :func:`gibbs_law` is the law ∝ exp(−2U/g²) at rest.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
        In one dimension U may have several wells, in more it is quadratic.
    lipschitz : float, default 3
        Largest curvature of U: the Lipschitz constant of the drift.
    condition : float, default 4
        In two and three dimensions, the largest condition number of the Hessian of U.
    horizon : float, default 1

    Returns
    -------
    SearchStrategy of Problem
        Shrinks to ``Problem(GradientDrift(Wells(1.0)), 1.0, initial=Gaussian(0.0, 1.0))``, an Ornstein–Uhlenbeck process of rate 1.

    Raises
    ------
    ProblemError
        For bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(langevin_problems(), lambda problem: True).drift.given
    GradientDrift(potential=Wells(stiffness=1.0), force=None)
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_positive(lipschitz=lipschitz, horizon=horizon)
    spd_tensors(condition=condition)  # refuses what it cannot draw

    def of_dimension(d: int) -> SearchStrategy[Problem]:
        most = min(lipschitz, SIZES[d].lipschitz)
        drift = _wells(most) if d == 1 else _quadratic(d, most, condition)
        return posed(drift, noises(d, ("constant",)), starts(d), horizon)

    return of_dimensions(min_dimension, max_dimension, of_dimension)


def _wells(lipschitz: float) -> SearchStrategy[GradientDrift]:
    parts = st.tuples(
        numbers(lipschitz / 10, lipschitz * 2 / 3), numbers(-1.0, 1.0), waves(lipschitz / 3, moving=False)
    )
    return st.builds(GradientDrift, parts.map(lambda drawn: Wells(drawn[0], drawn[1], **drawn[2])))


def _quadratic(d: int, lipschitz: float, condition: float) -> SearchStrategy[Linear]:
    tensors = spd_tensors(min_dimension=d, max_dimension=d, condition=condition, scale=1.0)
    slopes = st.tuples(tensors, numbers(lipschitz / 3, lipschitz)).map(lambda drawn: rounded_below(-drawn[0], drawn[1]))
    shifts = st.lists(numbers(-1.0, 1.0), min_size=d, max_size=d).map(np.array)
    return st.builds(Linear, slopes) | st.builds(Linear, slopes, shifts)


def gibbs_law(problem: Problem) -> Law:
    """The law at rest of a problem of :func:`langevin_problems`: ∝ exp(−2U/g²).

    Parameters
    ----------
    problem : Problem
        With constant noise g, and a drift −U' of :class:`Wells` or −K x + b with K symmetric and positive definite.

    Returns
    -------
    Law
        A TabulatedLaw for wells, else Gaussian(K⁻¹ b, covariance=½ g² K⁻¹).

    Raises
    ------
    NoClosedForm
        For other problems.

    Examples
    --------
    >>> import fpk
    >>> gibbs_law(fpk.Problem(fpk.Linear(-2.0, 1.0), 1.0, initial=fpk.Gaussian(0.0, 1.0)))
    Gaussian(mean=[0.5], covariance=[[0.25]])
    """
    g, split, linear = problem.diffusion.constant, problem.drift.split, problem.drift.linear
    if g and split is not None and isinstance(split.potential, Wells):
        wells = split.potential
        width = FAR * g / math.sqrt(2 * wells.stiffness) + 2 * abs(wells.height) / wells.stiffness
        middle = wells.tilt / wells.stiffness
        return TabulatedLaw.gibbs(lambda x: 2 * wells(x) / g**2, middle - width, middle + width)
    if g and linear is not None and linear.steady:
        slope = np.asarray(linear.slope(0.0), float)
        K = -(slope if slope.ndim else slope * np.eye(problem.dimension))
        b = np.broadcast_to(np.asarray(linear.shift(0.0), float), (problem.dimension,))
        if np.allclose(K, K.T, rtol=1e-12) and np.linalg.eigvalsh(K).min() > 0:
            inverse = np.linalg.inv(K)
            return Gaussian(inverse @ b, covariance=g**2 / 4 * (inverse + inverse.T))
    raise NoClosedForm(
        "a Gibbs law is known for constant noise and a drift −U' of Wells or −K x + b with K symmetric and positive definite; this drift is "
        f"{problem.drift!r} with {problem.diffusion!r}. Draw from fpk.strategies.langevin_problems, or use fpk.fokker_planck.stationary."
    )
