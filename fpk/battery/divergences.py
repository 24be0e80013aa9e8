r"""Divergences of other people, held against sixth-order differences of the field, and named by what else is made of its Jacobian J.

An estimator zᵀ J z with a probe z of independent signs has the mean tr J exactly: over the 2^d probes of signs it is a finite sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fpk.battery.fields import EXPLAINS, FieldExamination, named
from fpk.comparison import settle
from fpk.errors import ComparisonError
from fpk.laws import Array, central_derivative
from fpk.marginals import Estimate, zero_estimate

#: Step of the differences; half of it tells what it leaves.
STEP = 2e-2
#: Estimators are averaged over all their probes up to this dimension.
LARGEST = 8


def jacobian(function: Callable[[Array], Array], x: Array, step: float = STEP) -> Array:
    """∂f_i/∂x_j by central differences, shape (n, d, d)."""
    axes = np.eye(x.shape[1])
    columns = [central_derivative(lambda s, e=e: np.asarray(function(x + s * e)), np.zeros((1, 1)), step) for e in axes]
    return np.stack(columns, axis=2)


def signs(d: int) -> Array:
    """All 2^d vectors of signs, shape (2^d, d)."""
    if d > LARGEST:
        raise ComparisonError(f"the mean over all probes is taken up to dimension {LARGEST}, got {d}.")
    return np.array(list(itertools.product((-1.0, 1.0), repeat=d)))


def examine_divergence(
    divergence: Callable[..., Array],
    field: Callable[..., Array],
    points: Array,
    *,
    times: Sequence[float] | None = None,
    probes: bool = False,
    tolerance: float = 1e-6,
) -> FieldExamination:
    """Hold a divergence against differences of the field.

    Parameters
    ----------
    divergence : callable
        (x, t) ↦ values (n,); without times x ↦ values. With ``probes`` its last argument is one probe, shape (n, d).
    field : callable
        (x, t) ↦ values (n, d), or x ↦ values.
    points : array, shape (n, d)
    times : sequence of float, optional
    probes : bool
        Whether it is an estimator: its mean over all probes of signs is examined.
    tolerance : float
        Relative distance that counts as equal.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(20, 2))
    >>> print(examine_divergence(lambda x: (3 * x**2).mean(1), lambda x: x**3, x).suspects[0].mistake)
    mean over the coordinates
    """
    x = np.asarray(points, float)
    if x.ndim != 2 or not len(x):
        raise ComparisonError(f"points of shape (n, d) are needed, got {x.shape}.")
    moments: list[Any] = [()] if times is None else [(float(t),) for t in times]
    given = [_mean(divergence, x, t) if probes else _checked(divergence(x, *t), x) for t in moments]
    fine, coarse = ([jacobian(lambda y, t=t: field(y, *t), x, h) for t in moments] for h in (STEP / 2, STEP))
    scales = [_rms(_trace(J)) for J in fine]
    gaps = np.array([_rms(a - _trace(J)) / s for a, J, s in zip(given, fine, scales, strict=True)])
    bound = np.array([_rms(_trace(J) - _trace(K)) / s for J, K, s in zip(fine, coarse, scales, strict=True)]) + 1e-11
    names = tuple("relative distance" + "".join(f" at t={u:.4g}" for u in t) for t in moments)
    verdict = settle(
        Estimate(gaps, bound, source="the divergence"),
        zero_estimate(len(gaps)),
        names=names,
        tolerance=tolerance,
        kind="identity",
    )
    wrong = np.any(gaps > tolerance)
    suspects = _suspects(np.concatenate(given), np.concatenate(fine), probes) if wrong else []
    return FieldExamination(verdict, tuple(suspects), "divergence")


def _mean(estimator: Callable[..., Array], x: Array, t: tuple[float, ...]) -> Array:
    """Over all probes of signs."""
    every = signs(x.shape[1])
    return np.mean([_checked(estimator(x, *t, np.tile(z, (len(x), 1))), x) for z in every], axis=0)


def _checked(values: Any, x: Array) -> Array:
    found = np.asarray(values, float)
    if found.shape != (len(x),):
        raise ComparisonError(f"a divergence has shape (n,) = ({len(x)},), got {found.shape}.")
    return found


def _trace(J: Array) -> Array:
    return np.trace(J, axis1=1, axis2=2)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.asarray(values) ** 2)))


def _suspects(given: Array, J: Array, probes: bool) -> list[Any]:
    """What else is made of a Jacobian, by what it leaves of the difference."""
    trace, d = _trace(J), J.shape[1]
    others = {
        "sign": -trace,
        "½": 0.5 * trace,
        "2": 2 * trace,
        "left out": 0 * trace,
        "mean over the coordinates": trace / d,
        "sum over all entries of the Jacobian (outputs summed before they are differentiated)": J.sum((1, 2)),
        "first coordinate only": J[:, 0, 0],
        "last coordinate only": J[:, -1, -1],
        "mean over the positions": np.full_like(trace, trace.mean()),
        "sum over the positions": np.full_like(trace, trace.sum()),
        "squared norm of the Jacobian": (J**2).sum((1, 2)),
    }
    if probes:
        others |= {
            "probes of variance ⅓ (uniform on [−1, 1])": trace / 3,
            "probes of variance 1/d (normalised)": trace / d,
        }
    scale, own = _rms(trace), _rms(given - trace)
    left = {name: _rms(given - other) / scale for name, other in others.items() if _rms(other - trace) > 1e-9 * scale}
    return named(left, among=EXPLAINS * own / scale)
