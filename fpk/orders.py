r"""Orders, limits, divergences and leading constants: a sequence of levels held against a claim becomes a Verdict of kind "order".

A quantity with an enclosure (:mod:`fpk.rates`) is held against the claimed set, claimed value ± tolerance:

    CONFIRMED   enclosure inside,
    REFUTED     enclosure disjoint from it,
    UNDECIDED   everything else, with what would settle it.

In the Verdict, ``difference`` is the middle of the enclosure minus the claimed value and ``budget`` its half width; noise of the levels is in
the budget already, ``standard_error`` is 0. An order is blind to mistakes of its own size: check :func:`leading_constant` too.

References
----------
Kloeden & Platen (1992), Numerical Solution of Stochastic Differential Equations, §9.6–9.7 (strong and weak order);
Hairer, Lubich & Wanner (2006), Geometric Numerical Integration, §IX.1 (modified equations and their leading terms).
"""

from __future__ import annotations

import numpy as np

from fpk.counts import counting
from fpk.errors import ComparisonError
from fpk.laws import Array
from fpk.rates import (
    Enclosure,
    Levels,
    at_levels,
    between_levels,
    constant_likelihood,
    extrapolated,
    levels_of,
    limit_likelihood,
    local_orders,
    order_likelihood,
)
from fpk.remedies import figures
from fpk.scalars import scalar
from fpk.verdict import Outcome, Verdict

#: Probability that a noisy enclosure misses.
ALPHA = 1e-3
#: Levels closer to the floor than this factor are dropped.
CLEAN = 30.0
#: Smallest half width of an enclosed order.
MARGIN = 0.005
#: Signal-to-noise ratio of the finest level below which nothing is said.
SIGNAL = 3.0
#: Convergence slower than h to this power is not told from a logarithm.
SLOWEST = 0.05
#: Fewest clean levels.
FEWEST = 3


def order_of(
    steps: Levels,
    errors: Levels,
    *,
    order: float,
    standard_errors: Levels | None = None,
    covariance: Array | None = None,
    tolerance: float = 0.25,
    floor: float = 0.0,
    alpha: float = ALPHA,
    source: str = "errors",
) -> Verdict:
    """The verdict on an order: are the errors C h^p (1 + O(h)) with p = ``order``?

    Parameters
    ----------
    steps : array, shape (L,)
        Step sizes h > 0, coarse to fine (or fine to coarse), any ratios. Five levels or more are advised; of certain errors three are needed.
    errors : array, shape (L,)
        Signed errors, for a strong order the root-mean-square errors of :func:`fpk.rates.strong_errors`.
    order : float
        The claimed p. Negative: a growth like h^p.
    standard_errors : array, shape (L,), optional
        Of sampled errors. Without them (and without ``covariance``) the errors are taken as certain.
    covariance : array, shape (L, L), optional
        Instead of standard errors, where levels share their noise.
    tolerance : float, default .25
        Orders this close to the claimed one count as equal.
    floor : float, default 0
        Round-off or quadrature bound of each error; finest levels within 30 floors are dropped, the others carry it.
    alpha : float, default 1e-3
        Probability that a noisy enclosure misses the order.
    source : str
        What the errors are of, for people.

    Returns
    -------
    Verdict

    Raises
    ------
    ComparisonError
        If levels are not finite, not ordered, or shapes do not fit.

    Notes
    -----
    Errors of both signs are UNDECIDED when certain: they follow no power from their coarsest level on. With noise, only a signal below three
    standard errors at the finest level is.

    Examples
    --------
    >>> h = np.array([1, 1/2, 1/4, 1/8, 1/16])
    >>> str(order_of(h, h**2 * (1 + h), order=2).outcome), str(order_of(h, h**2 * (1 + h), order=1).outcome)
    ('CONFIRMED', 'REFUTED')
    """
    h, e, noise = levels_of(steps, errors, standard_errors, covariance)
    if noise is None:
        found, near = _certain_order(h, e, floor), _slope(h, e)
    else:
        found, near = _weak(h, noise, e, order) or order_likelihood(h, e, noise, alpha=alpha), _slope(h, e)
    return _verdict("order", found, near, order, _positive(tolerance), source, 0.0 if noise is None else alpha)


def leading_constant(
    steps: Levels,
    errors: Levels,
    *,
    order: float,
    constant: float,
    standard_errors: Levels | None = None,
    covariance: Array | None = None,
    tolerance: float = 0.05,
    floor: float = 0.0,
    alpha: float = ALPHA,
    source: str = "errors",
) -> Verdict:
    """The verdict on C in e = C h^p (1 + O(h)) at known p, for example against the modified equation of a scheme.

    Parameters
    ----------
    steps, errors, standard_errors, covariance, floor, alpha, source
        As for :func:`order_of`.
    order : float
        The known p.
    constant : float
        The claimed C, with its sign; not 0.
    tolerance : float, default .05
        Relative: constants within tolerance · |C| count as equal.

    Raises
    ------
    ComparisonError
        As for :func:`order_of`, and if the constant is 0.

    Examples
    --------
    >>> h = np.array([1, 1/2, 1/4, 1/8, 1/16])
    >>> str(leading_constant(h, -3 * h + h**2, order=1, constant=-3).outcome)
    'CONFIRMED'
    """
    if not np.isfinite(constant) or constant == 0:
        raise ComparisonError(
            f"a leading constant must be finite and not 0, got {constant!r}: where it vanishes, the order is higher (order_of)."
        )
    h, e, noise = levels_of(steps, errors, standard_errors, covariance)
    if noise is None:
        found = _clean(h, e, floor) or _certain_constant(h, e, order, floor)
    else:
        found = _weak(h, noise, e, order) or constant_likelihood(h, e, noise, order=order, alpha=alpha)
    near, scale = float(e[-1] / h[-1] ** order), _positive(tolerance) * abs(constant)
    return _verdict(f"C in C h^{order:g}", found, near, constant, scale, source, 0.0 if noise is None else alpha)


def limit_of(
    steps: Levels,
    values: Levels,
    *,
    claimed: float,
    tolerance: float,
    powers: tuple[float, float] = (1.0, 2.0),
    standard_errors: Levels | None = None,
    covariance: Array | None = None,
    floor: float = 0.0,
    alpha: float = ALPHA,
    source: str = "values",
) -> Verdict:
    """The verdict on a limit: do the values tend to ``claimed`` as h → 0?

    Parameters
    ----------
    steps : array, shape (L,)
        As for :func:`order_of`; for a limit in large times or counts, their reciprocals.
    values : array, shape (L,)
    claimed, tolerance : float
        Limits within the tolerance of the claimed one count as equal.
    powers : (float, float), default (1, 2)
        The two leading powers of h in the approach (one may be missing). Others must be named: (.5, 1), (2, 4).
    standard_errors, covariance, floor, alpha, source
        As for :func:`order_of`; the floor bounds the error of each value.

    Raises
    ------
    ComparisonError
        As for :func:`order_of`.

    Notes
    -----
    Values that provably have no limit (:func:`diverges`) refute any.

    Examples
    --------
    >>> h = np.array([1, 1/2, 1/4, 1/8, 1/16])
    >>> str(limit_of(h, np.exp(h), claimed=1.0, tolerance=1e-2).outcome)
    'CONFIRMED'
    """
    if not 0 < powers[0] < powers[1]:
        raise ComparisonError(
            f"powers must be two, 0 < first < second, got {powers}: for example (1, 2), or (.5, 1) for a slow approach."
        )
    h, v, noise = levels_of(steps, values, standard_errors, covariance)
    growth = diverges(steps, values, standard_errors=standard_errors, covariance=covariance, floor=floor, alpha=alpha)
    level = 0.0 if noise is None else alpha
    if growth.outcome is Outcome.CONFIRMED:
        found = Enclosure(note="the values have no limit: their changes do not decay")
        return _verdict("limit", found, float(v[-1]), claimed, _positive(tolerance), source, level, refuted=True)
    if noise is None:
        return _verdict(
            "limit", _certain_limit(h, v, floor, powers), float(v[-1]), claimed, _positive(tolerance), source, level
        )
    found = limit_likelihood(h, v, noise, powers=powers, alpha=alpha)
    return _verdict("limit", found, float(v[-1]), claimed, _positive(tolerance), source, level)


def diverges(
    steps: Levels,
    values: Levels,
    *,
    standard_errors: Levels | None = None,
    covariance: Array | None = None,
    floor: float = 0.0,
    alpha: float = ALPHA,
    source: str = "values",
) -> Verdict:
    """The verdict on a divergence: do the values grow without bound as h → 0?

    Changes per unit of log h, (v_{i+1} − v_i) / log(h_i/h_{i+1}), behave like h^q: q > 0 where v converges like h^q, q = 0 for a logarithm,
    q < 0 for a power. CONFIRMED if q's enclosure is below .05, REFUTED if it is above: convergence slower than h^.05 passes for a logarithm.

    Parameters
    ----------
    steps, standard_errors, covariance, floor, alpha, source
        As for :func:`limit_of`.
    values : array, shape (L,)
        Four at least when certain, five or more are advised.

    Raises
    ------
    ComparisonError
        As for :func:`order_of`.

    Examples
    --------
    >>> h = np.array([1, 1/2, 1/4, 1/8, 1/16])
    >>> [str(diverges(h, v).outcome) for v in (1 - np.log(h), 1 / h, 2 - h)]
    ['CONFIRMED', 'CONFIRMED', 'REFUTED']
    """
    h, v, noise = levels_of(steps, values, standard_errors, covariance)
    gaps = -np.diff(np.log(h))
    middle, change = np.sqrt(h[:-1] * h[1:]), np.diff(v) / gaps
    if noise is None:
        found = _certain_order(middle, change, 2 * floor / gaps.min())
    else:
        difference = np.diff(np.eye(len(h)), axis=0) / gaps[:, None]
        shared = difference @ noise @ difference.T
        found = _weak(middle, shared, change, 0.0) or order_likelihood(middle, change, shared, alpha=alpha)
    return _verdict(
        "decay of the changes",
        found,
        _slope(middle, change),
        0.0,
        SLOWEST,
        source,
        0.0 if noise is None else alpha,
        below=True,
    )


# -- enclosures --------------------------------------------------------------------------------------------------------


def _certain_order(h: Array, e: Array, floor: float) -> Enclosure:
    kept = _kept(e, floor)
    unclean = _clean(h, e, floor)
    if unclean:
        return unclean
    h, e = h[:kept], e[:kept]
    share = floor / np.abs(e)
    noise = (share[:-1] + share[1:]) / -np.diff(np.log(h))
    return extrapolated(between_levels(h), local_orders(h, e), noise=noise, margin=MARGIN)


def _certain_constant(h: Array, e: Array, order: float, floor: float) -> Enclosure:
    kept = _kept(e, floor)
    h, constants = h[:kept], e[:kept] / h[:kept] ** order
    return extrapolated(at_levels(h), constants, noise=floor / h**order, margin=MARGIN * abs(constants[-1]), known=True)


def _certain_limit(h: Array, v: Array, floor: float, powers: tuple[float, float]) -> Enclosure:
    if len(v) < FEWEST:
        return Enclosure(note=f"{counting(len(v), 'level')}, {FEWEST} are needed", remedy="more levels.")
    return extrapolated(at_levels(h), v, noise=np.full(len(v), float(floor)), powers=powers, known=True)


def _kept(e: Array, floor: float) -> int:
    """Levels before the first that is not clear of the floor."""
    drowned = np.abs(e) <= CLEAN * floor
    return int(np.argmax(drowned)) if drowned.any() else len(e)


def _clean(h: Array, e: Array, floor: float) -> Enclosure | None:
    """Why certain errors enclose nothing, if so."""
    kept = _kept(e, floor)
    if kept < FEWEST:
        return Enclosure(
            note=f"{counting(kept, 'clean level')} of {len(e)}, {FEWEST} are needed",
            remedy="coarser levels, or errors computed more exactly (a lower floor).",
        )
    if np.any(np.abs(e[kept:]) > CLEAN * floor):
        return Enclosure(
            note="an error within the floor between larger ones",
            remedy="look at this level: errors that vanish by chance show no order.",
        )
    if np.any(np.sign(e[:kept]) != np.sign(e[0])):
        return Enclosure(
            note="the errors change sign", remedy="finer levels; leave out the coarse ones before the change of sign."
        )
    return None


def _weak(h: Array, covariance: Array, e: Array, order: float) -> Enclosure | None:
    """Why noisy errors enclose nothing, if so. More samples are planned for the finest error that all levels together show at the claimed order."""
    error = np.sqrt(covariance[-1, -1])
    signal = abs(e[-1]) / error
    if signal >= SIGNAL:
        return None
    shape = (h / h[-1]) ** order
    weights = np.linalg.lstsq(covariance, shape)[0]
    shown = max(abs(weights @ e), np.sqrt(weights @ shape)) / (weights @ shape)  # no less than its own standard error
    more = next(figures(max(2.0, (10 * error / shown) ** 2)))
    return Enclosure(
        note=f"the finest error is {signal:.2g} standard errors, {SIGNAL:g} are needed",
        remedy=f"couple the levels (the same noise in all), or about {more:,.0f} times as many samples.",
    )


# -- verdicts ----------------------------------------------------------------------------------------------------------


def _verdict(
    name: str,
    found: Enclosure,
    near: float,
    claimed: float,
    tolerance: float,
    source: str,
    alpha: float,
    *,
    below: bool = False,
    refuted: bool = False,
) -> Verdict:
    """Hold an enclosure against claimed ± tolerance (``below``: against everything up to claimed + tolerance)."""
    if not np.isfinite(scalar(claimed)):
        raise ComparisonError(f"the {name} that is claimed must be a finite number, got {claimed!r}.")
    middle, half = ((found.lower + found.upper) / 2, (found.upper - found.lower) / 2) if found.known else (near, np.inf)
    inside = found.upper <= claimed + tolerance and (below or found.lower >= claimed - tolerance)
    apart = found.lower > claimed + tolerance or (not below and found.upper < claimed - tolerance)
    outcome = Outcome.REFUTED if apart or refuted else Outcome.CONFIRMED if inside else Outcome.UNDECIDED
    interval = f"{name} in [{found.lower:.4g}, {found.upper:.4g}]" if found.known else f"{name} not enclosed"
    wanted = f"at most {tolerance:g}" if below else f"{claimed:g} ± {tolerance:.3g}"
    d = middle - claimed
    return Verdict(
        outcome=outcome, kind="order", reason=f"{interval}, claimed {wanted}{'; ' + found.note if found.note else ''}.", names=(name,),
        difference=np.array([d]), budget=np.array([half]), standard_error=np.zeros(1), tolerance=tolerance,
        mde=float(tolerance + 2 * half), statistic=float((d if below else abs(d)) - half), threshold=tolerance, alpha=alpha,
        pair=(source, f"claimed {wanted}"), remedy=(found.remedy or "more levels, finer ones.") if outcome is Outcome.UNDECIDED else "",
    )  # fmt: skip


def _slope(h: Array, e: Array) -> float:
    """Order between the ends, for display where nothing is enclosed; 0 where there is none."""
    if len(e) < 2 or e[0] == 0 or e[-1] == 0:
        return 0.0
    return float(np.log(np.abs(e[0] / e[-1])) / np.log(h[0] / h[-1]))


def _positive(tolerance: float) -> float:
    if not 0 < scalar(tolerance) < np.inf:
        raise ComparisonError(f"the tolerance must be a finite number > 0, got {tolerance!r}.")
    return float(tolerance)
