r"""Langevin's equation dX = −∇U(X) dt + g dW, and the Gibbs law ∝ exp(−2U/g²) that it leaves as it is."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fpk.coefficients import GradientDrift, Linear
from fpk.errors import NoClosedForm
from fpk.laws import Gaussian, Law, TabulatedLaw
from fpk.problem import Problem
from fpk.strategies.motions import Wells, rounded_below, told_wave
from fpk.strategies.parts import SIZES, noises, posed, starts
from fpk.strategies.ranges import checked_dimensions, checked_positive, numbers
from fpk.strategies.tensors import spd_tensors

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

    return st.integers(min_dimension, max_dimension).flatmap(of_dimension)


@st.composite
def _wells(draw: DrawFn, lipschitz: float) -> GradientDrift:
    stiffness, wave = draw(numbers(lipschitz / 10, lipschitz / 2)), draw(numbers(0.3, 3.0))
    given = {
        "tilt": draw(numbers(-1.0, 1.0)),
        "height": draw(numbers(0.0, min(1.0, lipschitz / 2 / wave))),
        "wave": wave,
        "phase": draw(numbers(0.0, 6.28)),
    }
    return draw(st.builds(GradientDrift, st.builds(Wells, st.just(stiffness), **told_wave(given))))


@st.composite
def _quadratic(draw: DrawFn, d: int, lipschitz: float, condition: float) -> Linear:
    tensor = draw(spd_tensors(min_dimension=d, max_dimension=d, condition=condition, scale=1.0))
    size = draw(numbers(lipschitz / 3, lipschitz))
    shift = draw(st.lists(numbers(-1.0, 1.0), min_size=d, max_size=d))
    parts = [rounded_below(-tensor, size), *([np.array(shift)] if any(shift) else [])]
    return draw(st.builds(Linear, *(st.just(part) for part in parts)))


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
