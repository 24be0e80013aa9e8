r"""Known mistakes in the coefficients of a problem: what each makes of a right one, and what mends a wrong one.

Of dX = f dt + g dW. Every mistake is a map of problems; ``made`` plants it, ``mended`` is its inverse, where it has one. Both are None for a
problem in which the mistake changes nothing (no transposition in one dimension, no time to reverse in steady coefficients). A *size* is a
family of mistakes with a number in it, for what is nearly right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fpk.coefficients import Coefficient, Linear
from fpk.laws import Array
from fpk.problem import Problem

Change = Callable[[Problem], "Problem | None"]


@dataclass(frozen=True)
class Mistake:
    """A mistake and its remedy.

    Parameters
    ----------
    name : str
    made, mended : callable
        Problem ↦ Problem, or None where the mistake changes nothing, or cannot be undone.
    """

    name: str
    made: Change
    mended: Change


@dataclass(frozen=True)
class Size:
    """A factor that is 1 in the right problem.

    Parameters
    ----------
    name : str
        Of what it multiplies.
    made, mended : callable
        (problem, factor) ↦ the problem with the factor, and without.
    """

    name: str
    made: Callable[[Problem, float], Problem]
    mended: Callable[[Problem, float], Problem]


# --- changes of coefficients


def drift_times(problem: Problem, factor: float) -> Problem:
    """The drift multiplied by a factor; a linear one stays linear."""
    f = problem.drift
    if f.linear is not None:
        slope, shift = f.linear.slope, f.linear.shift
        return _with_drift(
            problem, _linear(f, lambda t: factor * np.asarray(slope(t)), lambda t: factor * np.asarray(shift(t)))
        )
    return _with_drift(problem, lambda x, t: factor * f(x, t))


def noise_times(problem: Problem, factor: float) -> Problem:
    """The diffusion g multiplied by a factor."""
    return with_noise(problem, lambda g: factor * g)


def with_noise(problem: Problem, change: Callable[[Array], Array]) -> Problem:
    """The diffusion g replaced by a function of it; what does not depend on x, or on t, still does not."""
    g = problem.diffusion
    if g.state_dependent:
        return replace(problem, diffusion=lambda x, t: change(g(x, t)), schedule=None)
    anywhere = np.zeros((1, problem.dimension))
    if not g.steady:
        return replace(problem, diffusion=lambda t: change(np.asarray(g(anywhere, t), float)), schedule=None)
    value = change(np.asarray(g(anywhere, 0.0), float))
    fixed = float(value.ravel()[0]) if value.size == 1 else value[0] if value.ndim == 3 else None
    return replace(problem, diffusion=(lambda t: value) if fixed is None else fixed, schedule=None)


def _linear(given: Coefficient, slope: Any, shift: Any) -> Linear:
    return Linear(slope(0.0), shift(0.0)) if given.steady else Linear(slope, shift)


def _with_drift(problem: Problem, drift: Any) -> Problem:
    return replace(problem, drift=drift, schedule=None)


def _noise_matrix(problem: Problem) -> bool:
    return np.ndim(problem.diffusion(np.zeros((1, problem.dimension)), 0.0)) == 3


def _for_numbers(change: Callable[[Array], Array]) -> Change:
    """A change of a diffusion that is a number for each coordinate, none of a matrix."""
    return lambda problem: None if problem.noiseless or _noise_matrix(problem) else with_noise(problem, change)


def _noisy(factor: float) -> Change:
    return lambda problem: None if problem.noiseless else noise_times(problem, factor)


def _driven(factor: float) -> Change:
    return lambda problem: None if problem.drift.constant == 0.0 else drift_times(problem, factor)


def _paced(factor: float) -> Change:
    """The clock multiplied by a factor."""
    return lambda problem: drift_times(noise_times(problem, factor**0.5), factor)


def _converted(share: float) -> Change:
    """Share · g g′ added to the drift: ½ g g′ lies between Itô's reading of it and Stratonovich's, g g′ = ∂D/∂x between Itô's and the kinetic one."""

    def change(problem: Problem) -> Problem | None:
        f, g = problem.drift, problem.diffusion
        if problem.dimension > 1 or not g.state_dependent:
            return None
        return _with_drift(problem, lambda x, t: f(x, t) + share * g(x, t) * g.gradient(x, t))

    return change


def reread(problem: Problem, time: Callable[[float], float]) -> Problem | None:
    """The coefficients read at another time."""
    f, g = problem.drift, problem.diffusion
    if problem.steady:
        return None
    if f.linear is not None:
        slope, shift = f.linear.slope, f.linear.shift
        drift: Any = Linear(lambda t: slope(time(t)), lambda t: shift(time(t)))
    else:
        drift = lambda x, t: f(x, time(t))  # noqa: E731
    anywhere = np.zeros((1, problem.dimension))
    noise: Any = (
        (lambda x, t: g(x, time(t))) if g.state_dependent else (lambda t: np.asarray(g(anywhere, time(t)), float))
    )
    return replace(problem, drift=drift, diffusion=noise if g.constant is None else g, schedule=None)


def _backwards(problem: Problem) -> Problem | None:
    return reread(problem, lambda t: max(problem.horizon - t, 0.0))


def _frozen(problem: Problem) -> Problem | None:
    return reread(problem, lambda t: 0.0)


def _transposed(problem: Problem) -> Problem | None:
    linear = problem.drift.linear
    if linear is None or np.ndim(linear.slope(0.0)) < 2:
        return None
    ends = [np.asarray(linear.slope(t)) for t in (0.0, problem.horizon)]
    if all(np.allclose(a, a.T) for a in ends):
        return None
    turned = _linear(problem.drift, lambda t: np.asarray(linear.slope(t)).T, linear.shift)
    return _with_drift(problem, turned)


def _noise_transposed(problem: Problem) -> Problem | None:
    g = problem.diffusion(np.zeros((1, problem.dimension)), 0.0)
    if g.ndim < 3 or g.shape[1] != g.shape[2] or np.allclose(g @ np.swapaxes(g, 1, 2), np.swapaxes(g, 1, 2) @ g):
        return None
    return with_noise(problem, lambda g: np.swapaxes(g, -1, -2))


def _centred(problem: Problem) -> Problem | None:
    """The constant part of a linear drift forgotten."""
    linear = problem.drift.linear
    if linear is None or problem.drift.constant is not None or not np.any(np.asarray(linear.shift(0.0))):
        return None
    return _with_drift(problem, _linear(problem.drift, linear.slope, lambda t: 0.0))


def _never(problem: Problem) -> None:
    return None


#: Plausible ones first: where time runs out, the rest is not tried.
MISTAKES = (
    Mistake("drift × ½", _driven(0.5), _driven(2.0)),
    Mistake("drift × 2", _driven(2.0), _driven(0.5)),
    Mistake("sign of the drift", _driven(-1.0), _driven(-1.0)),
    Mistake("g² × ½ (noise / √2)", _noisy(0.5**0.5), _noisy(2**0.5)),
    Mistake("g² × 2 (noise × √2)", _noisy(2**0.5), _noisy(0.5**0.5)),
    Mistake("g² for g", _for_numbers(np.square), _for_numbers(np.sqrt)),
    Mistake("√g for g", _for_numbers(np.sqrt), _for_numbers(np.square)),
    Mistake("½ g g′ missing in the drift", _converted(-0.5), _converted(0.5)),
    Mistake("½ g g′ added to the drift", _converted(0.5), _converted(-0.5)),
    Mistake("g g′ missing in the drift", _converted(-1.0), _converted(1.0)),
    Mistake("g g′ added to the drift", _converted(1.0), _converted(-1.0)),
    Mistake("time reversed in the coefficients", _backwards, _backwards),
    Mistake("drift matrix transposed", _transposed, _transposed),
    Mistake("noise matrix transposed", _noise_transposed, _noise_transposed),
    Mistake("constant part of the drift missing", _centred, _never),
    Mistake("coefficients held at t = 0", _frozen, _never),
    Mistake("drift missing", _driven(0.0), _never),
    Mistake("clock × ½", _paced(0.5), _paced(2.0)),
    Mistake("clock × 2", _paced(2.0), _paced(0.5)),
    Mistake("noise × ½", _noisy(0.5), _noisy(2.0)),
    Mistake("noise × 2", _noisy(2.0), _noisy(0.5)),
)

SIZES = (
    Size("drift", drift_times, lambda problem, factor: drift_times(problem, 1 / factor)),
    Size("noise", noise_times, lambda problem, factor: noise_times(problem, 1 / factor)),
)
