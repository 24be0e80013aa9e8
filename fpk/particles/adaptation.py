r"""Adapted steps for problems without noise: instants between which a pilot's Runge–Kutta steps are accurate enough.

A step h of :class:`fpk.particles.schemes.RungeKutta4` and two of h/2 differ by 15/16 of the longer one's error, so with δ the largest difference
over pilot trajectories, relative to 1 + |x|, the step is accepted where δ ≤ tolerance, and the next one is h (tolerance/δ)^{1/5}, times .9
and within a factor of 4. All particles then take the same steps, so their numbers depend neither on one another nor on how they are split up; what
the steps are worth for them is said by their companion at half the step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fpk.errors import NonFinite, SchemeError
from fpk.laws import Array
from fpk.particles.schemes import RungeKutta4
from fpk.particles.steps import Step
from fpk.problem import Problem

#: Trajectories that choose the steps.
PILOTS = 64
#: Most steps before it is said that the tolerance cannot be met.
MOST_STEPS = 100_000


def adapted_steps(problem: Problem, *, times: Sequence[float], tolerance: float = 1e-6) -> Array:
    """Instants of steps for a problem without noise, to be passed on as ``steps=`` of :func:`fpk.simulate`.

    Parameters
    ----------
    problem : Problem
        With diffusion 0, for example ``fpk.probability_flow(...)``.
    times : sequence of float
        When positions will be kept; they are among the instants.
    tolerance : float, default 1e-6
        Error allowed to one step, relative to 1 + |x|.

    Returns
    -------
    array, shape (n + 1,)
        From 0 to the last of the times.

    Raises
    ------
    SchemeError
        With noise, or where the tolerance asks for more than 100,000 steps.

    Examples
    --------
    >>> import fpk
    >>> stiff = fpk.Problem("-50*(x - cos(t))", 0, initial=fpk.Gaussian(0.0, 1.0), horizon=2.0)
    >>> mesh = adapted_steps(stiff, times=[2.0])
    >>> bool(np.diff(mesh)[0] < 0.2 * np.diff(mesh).max())
    True
    """
    times, scheme = problem.checked_times(times), RungeKutta4()
    scheme.check(problem)
    x, mesh = problem.initial.sample(PILOTS, np.random.default_rng(0)), [0.0]
    h = times[-1] / 16
    for target in times:
        while mesh[-1] < target:
            t = mesh[-1]
            length = min(h, target - t)
            end, error = _tried(scheme, problem, x, t, length)
            if error <= tolerance:
                x = end
                mesh.append(target if length == target - t else t + length)
            longer = length * min(max(0.9 * (tolerance / max(error, 1e-300)) ** 0.2, 0.25), 4.0)
            h = (
                max(h, longer) if length < h and error <= tolerance else longer
            )  # a step cut short speaks for no shorter ones
            if len(mesh) > MOST_STEPS or h < 1e-14 * times[-1]:
                raise SchemeError(
                    f"a tolerance of {tolerance:g} needs steps shorter than {h:.3g} at t={t:g}: the drift is not smooth there, or too stiff."
                )
    return np.array(mesh)


def _tried(scheme: RungeKutta4, problem: Problem, x: Array, t: float, h: float) -> tuple[Array, float]:
    """Two half steps, and how far one whole step is from them: infinitely far where a trial leaves the numbers."""
    still = np.zeros((len(x), 0))
    problem.drift(x, t)  # where the pilots are it must be finite
    try:
        with np.errstate(all="ignore"):
            whole = scheme.advanced(Step(problem, t, h), x, still, still)
            half = scheme.advanced(Step(problem, t, h / 2), x, still, still)
            end = scheme.advanced(Step(problem, t + h / 2, h / 2), half, still, still)
            error = float((np.abs(end - whole) / (1 + np.abs(end))).max())
    except NonFinite:
        return x, np.inf
    return end, error if np.isfinite(error) else np.inf
