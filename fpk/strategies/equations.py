r"""Whole problems: an equation, where it starts, how long it runs, where it lives.

============================ ====================================================================== =======================
:func:`linear_problems`      dX = (A X + b) dt + G dW, from a mixture                               ``fpk.exact``, grids
:func:`noising_problems`     the forward equation of a schedule, from a mixture                     ``fpk.exact``, grids
:func:`langevin_problems`    dX = −∇U dt + g dW, whose law at rest :func:`gibbs_law` gives          grids
:func:`smooth_problems`      nonlinear drift, noise that swings in space and time                   grids
:func:`walled_problems`      the same between walls or around a ring                                grids
:func:`problems`             any of these
============================ ====================================================================== =======================

"Grids" are those of :func:`fpk.strategies.grids`: ``grids(problem)`` draws what ``fpk.solve`` takes. No seed is ever drawn: a search for
counterexamples would find false alarms.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fpk.coefficients import Linear
from fpk.errors import ProblemError
from fpk.laws import Gaussian
from fpk.problem import Problem, noising
from fpk.strategies.at_rest import langevin_problems
from fpk.strategies.domains import BOUNDARIES
from fpk.strategies.intervals import walled_problems
from fpk.strategies.noise_paths import schedules
from fpk.strategies.parts import drifts_of, noises, posed, starts
from fpk.strategies.ranges import checked_dimensions, checked_kinds, checked_positive, of_dimensions


def linear_problems(
    *, min_dimension: int = 1, max_dimension: int = 1, lipschitz: float = 2.0, horizon: float = 1.0
) -> SearchStrategy[Problem]:
    """dX = (A X + b) dt + G dW from a Gaussian mixture, with G constant or a function of time: problems that ``fpk.exact`` knows.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
        The range of d, at most 3.
    lipschitz : float, default 2
        Largest ‖A‖. Not all of them pull back, but none drives away faster than a quarter of this.
    horizon : float, default 1

    Returns
    -------
    SearchStrategy of Problem
        Shrinks to ``Problem(Linear(-1.0), 1.0, initial=Gaussian(0.0, 1.0))``, the Ornstein–Uhlenbeck process of rate 1.

    Raises
    ------
    ProblemError
        For bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> problem = find(linear_problems(), lambda problem: True)
    >>> problem.drift.linear.slope(0.0), problem.diffusion.constant, problem.initial
    (-1.0, 1.0, Gaussian(mean=[0.0], covariance=[[1.0]]))
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_positive(lipschitz=lipschitz, horizon=horizon)
    return of_dimensions(
        min_dimension,
        max_dimension,
        lambda d: posed(
            drifts_of(d, lipschitz, "linear"), noises(d, ("constant", "matrix", "time")), starts(d), horizon
        ),
    )


def noising_problems(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    horizon: float = 1.0,
    schedule: SearchStrategy[Any] | None = None,
    initial: SearchStrategy[Any] | None = None,
) -> SearchStrategy[Problem]:
    """The forward equation dX = f(t) X dt + g(t) dW of a schedule, from a Gaussian mixture: ``fpk.exact`` knows its law α_t X_0 + σ_t Z.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
    horizon : float, default 1
    schedule : SearchStrategy of Schedule, optional
        Default :func:`fpk.strategies.schedules`.
    initial : SearchStrategy of Law, optional
        Default Gaussian mixtures of the dimensions that a grid can hold.

    Returns
    -------
    SearchStrategy of Problem
        Shrinks to ``noising(VPSchedule(1.0), Gaussian(0.0, 1.0))``.

    Raises
    ------
    ProblemError
        For bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(noising_problems(), lambda problem: True).schedule
    VPSchedule(beta_min=1.0, beta_max=None)
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_positive(horizon=horizon)
    paths = schedules() if schedule is None else schedule
    told = {} if horizon == 1 else {"horizon": st.just(horizon)}
    return of_dimensions(
        min_dimension,
        max_dimension,
        lambda d: st.builds(noising, paths, starts(d) if initial is None else initial, **told),
    )


def smooth_problems(
    *, min_dimension: int = 1, max_dimension: int = 1, lipschitz: float = 3.0, horizon: float = 1.0
) -> SearchStrategy[Problem]:
    """dX = f(X, t) dt + g(X, t) dW with a wave in the drift and any noise, from a Gaussian mixture: no law is known, but a box that holds it.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
    lipschitz : float, default 3
        Largest Lipschitz constant of the drift in x.
    horizon : float, default 1

    Returns
    -------
    SearchStrategy of Problem
        Shrinks to ``Problem(WavyDrift(1.0), 1.0, initial=Gaussian(0.0, 1.0))``, an Ornstein–Uhlenbeck process of rate 1.

    Raises
    ------
    ProblemError
        For bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(smooth_problems(), lambda problem: True).drift.given
    WavyDrift(rate=1.0)
    """
    checked_dimensions(min_dimension, max_dimension)
    checked_positive(lipschitz=lipschitz, horizon=horizon)
    return of_dimensions(
        min_dimension, max_dimension, lambda d: posed(drifts_of(d, lipschitz, "wavy"), noises(d), starts(d), horizon)
    )


def problems(
    *,
    min_dimension: int = 1,
    max_dimension: int = 1,
    lipschitz: float = 2.0,
    horizon: float = 1.0,
    kinds: Collection[str] = BOUNDARIES,
) -> SearchStrategy[Problem]:
    """Problems of all sorts that ``fpk.solve`` takes on a grid drawn by ``grids(problem)``.

    Parameters
    ----------
    min_dimension, max_dimension : int, default 1 and 1
        The range of d, at most 3.
    lipschitz : float, default 2
        Largest Lipschitz constant of the drift in x (schedules have rates of their own).
    horizon : float, default 1
    kinds : collection of str, default all of "open", "no_flux", "absorbing", "periodic"
        Boundaries; walls exist in one dimension.

    Returns
    -------
    SearchStrategy of Problem
        Shrinks to ``Problem(Linear(-1.0), 1.0, initial=Gaussian(0.0, 1.0))``, the Ornstein–Uhlenbeck process of rate 1.

    Raises
    ------
    ProblemError
        For unknown kinds, walls alone in more than one dimension, and bounds that leave nothing to draw.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(problems(max_dimension=3), lambda problem: True).drift.linear.slope(0.0)
    -1.0
    """
    chosen = checked_kinds("kinds", kinds, BOUNDARIES)
    sizes = {"min_dimension": min_dimension, "max_dimension": max_dimension, "horizon": horizon}
    walled = [kind for kind in chosen if kind != "open"] * (min_dimension == 1)
    open_ones = [
        linear_problems(lipschitz=lipschitz, **sizes),
        noising_problems(**sizes),
        langevin_problems(lipschitz=lipschitz, **sizes),
        smooth_problems(lipschitz=lipschitz, **sizes),
    ]
    drawn = [_simplest(min_dimension, lipschitz, horizon), *open_ones] * ("open" in chosen)
    drawn += [walled_problems(kinds=[kind], lipschitz=lipschitz, horizon=horizon) for kind in walled]
    if not drawn:
        raise ProblemError(
            f"walls exist in one dimension, got kinds={kinds!r} with min_dimension={min_dimension}. Add 'open', or draw from one dimension on."
        )
    return st.one_of(drawn)


def _simplest(d: int, lipschitz: float, horizon: float) -> SearchStrategy[Problem]:
    """The Ornstein–Uhlenbeck process: hypothesis takes what needs the fewest choices for the simplest."""
    initial = st.builds(Gaussian, st.just(0.0 if d == 1 else [0.0] * d), st.just(1.0))
    return posed(st.builds(Linear, st.just(-min(1.0, lipschitz))), st.just(1.0), initial, horizon)
