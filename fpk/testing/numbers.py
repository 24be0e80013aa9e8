"""Assertions about numbers: orders, residuals, mass and positivity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fpk.comparison import below_zero, settle
from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.marginals import ROUND_OFF, Estimate, zero_estimate
from fpk.marginals import residual as residual_estimate
from fpk.testing.failure_text import call_text, held, spent
from fpk.testing.sides import require_one
from fpk.testing.signs import of_mass, of_order, of_residual
from fpk.verdict import Verdict


def assert_order(
    steps: Sequence[float] | Array,
    errors: Sequence[float] | Array,
    *,
    order: float,
    standard_errors: Sequence[float] | Array | None = None,
    tolerance: float = 0.25,
    alpha: float | None = None,
) -> Verdict:
    """Errors fall with the given order.

    Parameters
    ----------
    steps, errors : array, shape (n,)
        Step sizes and *signed* errors, in the same sequence; five or more levels are advisable.
    order : float
        The order claimed.
    standard_errors : array, shape (n,), optional
        Of the errors, where they are sampled.
    tolerance : float, default .25
        How far the order may be off.
    alpha : float, optional
        Probability of refuting a true order of sampled errors; default 10⁻⁶, or what the running test may spend.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted, Undecided
        With the order that was found.
    ComparisonError
        If levels are not finite, not ordered, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import fpk
    >>> h = 0.5 ** np.arange(6)
    >>> print(fpk.testing.assert_order(h, 3 * h**2 + h**3, order=2).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    from fpk.orders import order_of

    alpha = spent(alpha)
    verdict = order_of(steps, errors, order=order, standard_errors=standard_errors, tolerance=tolerance, alpha=alpha)
    claimed = np.full(len(verdict.names), float(order))
    check = call_text("assert_order", "steps", "errors", order=order, tolerance=tolerance, alpha=alpha)
    found = claimed + verdict.difference
    return held(verdict, found, claimed, check, suspects=lambda: of_order(steps, errors, float(found[0]), order))


def assert_conserved(marginals: Any, *, tolerance: float = 1e-6) -> Verdict:
    """A grid solution has mass 1 at every stored time.

    Parameters
    ----------
    marginals : grid solution (:func:`fpk.solve`, also refined), or any object with ``times`` and ``mass``
    tolerance : float, default 10⁻⁶
        Mass outside the box counts as lost.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted
        Naming the times.
    ComparisonError
        If the object has no mass.

    Examples
    --------
    >>> import fpk
    >>> problem = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.4))
    >>> print(fpk.testing.assert_conserved(fpk.solve(problem, fpk.Grid(-6, 6, cells=128), times=[0.5, 1.0])).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    grid = _with(marginals, "mass")
    mass = np.asarray(grid.mass, float)
    found = residual_estimate(
        mass - 1, np.full(len(mass), 10 * ROUND_OFF), proven=True, source=getattr(grid, "source", "marginals")
    )
    names = [f"mass at t={t:.4g}" for t in grid.times]
    verdict = settle(found, zero_estimate(len(mass)), names=names, tolerance=tolerance, kind="identity")
    check = call_text("assert_conserved", "marginals", tolerance=tolerance)
    return held(verdict, mass, np.ones_like(mass), check, suspects=lambda: of_mass(grid, tolerance))


def assert_positive(marginals: Any, *, tolerance: float = 1e-12) -> Verdict:
    """The densities of a grid solution fall nowhere below zero.

    Parameters
    ----------
    marginals : grid solution (:func:`fpk.solve`, also refined), or any object with ``times`` and ``densities``
    tolerance : float, default 10⁻¹²
        Undershoots up to this fraction of the peak count as round-off.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted
        Naming the times.
    ComparisonError
        If the object has no densities.

    Examples
    --------
    >>> import fpk
    >>> problem = fpk.problems.ornstein_uhlenbeck(initial=fpk.Gaussian(1.0, 0.4))
    >>> solution = fpk.solve(problem, fpk.Grid(-6, 6, cells=64), times=[0.1], positive=True)
    >>> print(fpk.testing.assert_positive(solution).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    grid = _with(marginals, "densities")
    densities = np.asarray(grid.densities, float)
    lowest = densities.min(1) / densities.max(1)
    source = getattr(grid, "source", "grid")
    undershoot = Estimate(-lowest - tolerance, np.full(len(lowest), ROUND_OFF))
    names = tuple(f"smallest density / peak at t={t:.4g}" for t in grid.times)
    verdict = replace(below_zero(undershoot, names=names), pair=(source, "no density below zero"), tolerance=tolerance)
    check = call_text("assert_positive", "marginals", tolerance=tolerance)
    return held(verdict, lowest, np.full(len(lowest), -tolerance), check)


def assert_residual(
    residual: Estimate | Array,
    *,
    tolerance: float | None = None,
    effect: float | None = None,
    bound: float | Array | None = None,
    names: Sequence[str] = (),
    alpha: float | None = None,
) -> Verdict:
    """An identity holds: its residual vanishes.

    Parameters
    ----------
    residual : Estimate or array, shape (K,)
        From :func:`fpk.residual`, or plain values with ``bound``.
    tolerance : float, optional
        How large the residual may be.
    effect : float, optional
        Instead: the smallest residual that must not be overlooked.
    bound : float or array, optional
        Rounding and truncation bound of plain values.
    names : sequence of str, optional
        Of the K components; ``mass at t=1`` is shown as mass, where: t=1.
    alpha : float, optional
        Probability of refuting a true identity with sampled residuals; default 10⁻⁶, or what the running test may spend.

    Returns
    -------
    Verdict

    Raises
    ------
    Refuted, Undecided
        With a table of the components.
    ComparisonError
        If not exactly one of ``tolerance`` and ``effect`` is given, or plain values come without a bound.

    Examples
    --------
    >>> import numpy as np
    >>> import fpk
    >>> x = np.linspace(0, 1, 5)
    >>> print(fpk.testing.assert_residual(np.sin(x) ** 2 + np.cos(x) ** 2 - 1, bound=1e-15, tolerance=1e-12).outcome)
    CONFIRMED
    """
    __tracebackhide__ = True
    require_one(tolerance, effect)
    alpha = spent(alpha)
    if not isinstance(residual, Estimate):
        if bound is None:
            raise ComparisonError("plain residual values need bound=: how wrong rounding and truncation make them.")
        residual = residual_estimate(residual, bound)
    zero = zero_estimate(len(residual.value))
    verdict = settle(residual, zero, names=names, tolerance=tolerance, effect=effect, kind="identity", alpha=alpha)
    check = call_text("assert_residual", "residual", tolerance=tolerance, effect=effect, alpha=alpha)
    return held(verdict, residual.value, zero.value, check, suspects=lambda: of_residual(verdict, residual))


def _with(marginals: Any, name: str) -> Any:
    """The finest level of refined marginals, or the marginals themselves, if they have the attribute."""
    finest = getattr(marginals, "finest", marginals)
    if not (hasattr(finest, name) and hasattr(finest, "times")):
        raise ComparisonError(
            f"a grid solution with {name} and times is needed, as fpk.solve returns it; got {type(marginals).__name__}."
        )
    return finest
