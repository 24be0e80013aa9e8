r"""Implicit sampling (DDIM): the flow in the coordinates x/λ and μ/λ, its Euler step, the way back, and what it shares with DDPM.

    d(x/λ) = ε(x, t) d(μ/λ),   ε = −μ ∇log p_t,       x′ = λ′ (x/λ + ε(x, t)(μ′/λ′ − μ/λ)),   λ² = ᾱ, μ² = 1 − ᾱ.

Truth is where quantiles of the data's laws lie, the path's own law, and for the difference of DDPM and DDIM an integral.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.fields import Field, exact_field
from fpk.laws import Array, Law
from fpk.marginals import without_luck, zero_estimate
from fpk.samplers import DDIM, Kernel
from fpk.samplers.coupling import quantiles
from fpk.samplers.times import log_snr, quadratic
from fpk.schedules import rates
from fpk.study import Evidence, Size, order_evidence, study

from .._limits import limit_evidence
from .._systems import DATA
from ._chain_implicit import CLAIMS as CLAIMS
from ._chain_implicit import REMARKS as REMARKS
from ._chain_laws import LATER, NOW, PATH, SCHEDULE
from ._chain_shared import (
    ETAS,
    KNOWN,
    Slipped,
    apart,
    apart_given,
    chain,
    constants,
    given_start,
    missing,
    moments_given,
    moments_of,
    on_the_path,
    readings,
)

LEVELS = np.array([0.1, 0.4, 0.8])
AT = np.array([[-0.9], [0.4], [1.3]])
NOISE = exact_field(DATA, SCHEDULE, kind="noise")


def _ratio(t: float) -> float:
    """μ/λ."""
    return SCHEDULE.sigma(t) / SCHEDULE.alpha(t)


def _scaled(field: Field, factor: float) -> Field:
    return Field(lambda x, t: factor * field(x, t), field.kind, field.schedule)


# -- the flow ----------------------------------------------------------------------------------------------------------------

END = 0.02
#: d(x/λ)/d log(μ/λ), from ε and the time.
DRIVEN: dict[str, Callable[[Array, float], Array]] = {
    "stated": lambda e, t: _ratio(t) * e,
    "sign of ε": lambda e, t: -_ratio(t) * e,
    "score for ε": lambda e, t: _ratio(t) / SCHEDULE.sigma(t) * e,
    "½ extra": lambda e, t: 0.5 * _ratio(t) * e,
    "dμ for d(μ/λ)": lambda e, t: SCHEDULE.alpha(t) ** 3 * _ratio(t) * e,
    "ε + 0.2 %": lambda e, t: 1.002 * _ratio(t) * e,
}


def _carried(driven: Callable[[Array, float], Array], steps: int) -> Array:
    """Where quantiles at t = 1 come to at END: fourth-order Runge–Kutta steps of log(μ/λ)."""
    times = log_snr(SCHEDULE, 2 * steps, end=END)
    h = (np.log(_ratio(END)) - np.log(_ratio(1.0))) / steps

    def rate(y: Array, t: float) -> Array:
        x = SCHEDULE.alpha(t) * y
        return driven(-SCHEDULE.sigma(t) * PATH.score(x, t), t)

    y = quantiles(PATH.law(1.0), LEVELS)[:, None] / SCHEDULE.alpha(1.0)
    for start, middle, end in zip(times[:-2:2], times[1:-1:2], times[2::2], strict=True):
        a = rate(y, float(start))
        b = rate(y + 0.5 * h * a, float(middle))
        c = rate(y + 0.5 * h * b, float(middle))
        y = y + h / 6 * (a + 2 * b + 2 * c + rate(y + h * c, float(end)))
    return SCHEDULE.alpha(END) * y[:, 0]


PLANE = fpk.GaussianMixture(
    [0.4, 0.6], [[-0.8, 0.3], [0.9, -0.5]], covariances=[[[0.3, 0.1], [0.1, 0.4]], [[0.5, -0.2], [-0.2, 0.3]]]
)
PLACES, MOMENTS = np.array([[-1.1, 0.4], [0.3, -0.8], [1.4, 0.9]]), (0.2, 0.7)


def _against_the_flow(driven: Callable[[Array, float], Array]) -> Array:
    """λ̇x/λ + λ d(x/λ)/dt less the velocity f − ½g²∇log p, in the plane."""
    flow = fpk.probability_flow(PLANE_NOISED, fpk.exact(PLANE_NOISED, times=[1.0]).score)
    field, gaps = exact_field(PLANE, SCHEDULE), []
    for t in MOMENTS:
        (falls, rises), scale = rates(SCHEDULE, t), SCHEDULE.alpha(t)
        speed = scale * (rises / SCHEDULE.sigma(t) - falls / scale)
        gaps.append(falls / scale * PLACES + speed * driven(field.noise(PLACES, t), t) - flow.drift(PLACES, t))
    return np.ravel(gaps)


PLANE_NOISED = fpk.noising(SCHEDULE, PLANE)
ALONG, VELOCITY = "quantiles on the line", "velocity in the plane"


@study("S1.E56-58", variants=DRIVEN, cases=(ALONG, VELOCITY))
def driven_by_noise(variant: Callable[[Array, float], Array], case: str, size: Size, seed: int) -> Evidence:
    if case == VELOCITY:
        names = tuple(
            f"component {i} at {np.array2string(x)}, t = {t:g}" for t in MOMENTS for x in PLACES for i in range(2)
        )
        first = fpk.residual(
            _against_the_flow(variant), 1e-11, source="velocity of the coordinates less that of the flow"
        )
        return Evidence(first, zero_estimate(len(names)), names)
    steps = 16 if size.quick else 64
    fine, coarse = (PATH.law(END).cdf(_carried(variant, n)) - LEVELS for n in (2 * steps, steps))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-9, coarser=coarse, source="quantiles along the flow")
    return Evidence(first, zero_estimate(3), tuple(f"the quantile {q:g}" for q in LEVELS))


# -- the step ----------------------------------------------------------------------------------------------------------------


class _Unscaled(DDIM):
    """The position is not brought to the scale of the next time."""

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        (kernel,), (t, after) = super().kernels(k), self.pair(k)
        lost = 1 - self.schedule.alpha(after) / self.schedule.alpha(t)
        return (Kernel(lambda x: kernel.mean(x) + lost * x),)

    def inverted(self, x: Array, k: int) -> Array:
        t, after = self.pair(k)
        return super().inverted(x, k) + (1 - self.schedule.alpha(t) / self.schedule.alpha(after)) * x


def _down(field: Field, times: Array, x: Array, kind: type[DDIM] = DDIM) -> Array:
    """Steps of fpk's DDIM, positions (n,)."""
    sampler, x = kind(field, times=times), x[:, None]
    for k in range(sampler.steps):
        x = sampler.step(x, k, np.zeros((0, *x.shape)))
    return x[:, 0]


def _up(field: Field, times: Array, x: Array, kind: type[DDIM] = DDIM) -> Array:
    """Steps from the data to the noise."""
    sampler, x = kind(field, times=times), x[:, None]
    for k in reversed(range(sampler.steps)):
        x = sampler.inverted(x, k)
    return x[:, 0]


DOWN, UP, POINT = "down to the data", "up to the noise", "one step, data about a point"
#: Added to the order; the sampler; the factor on ε.
STEPPED: dict[str, tuple[int, type[DDIM], float]] = {
    "stated": (0, DDIM, 1.0),
    "one order higher": (1, DDIM, 1.0),
    "one order lower": (-1, DDIM, 1.0),
    "scale of x kept": (0, _Unscaled, 1.0),
    "½ extra on ε": (0, DDIM, 0.5),
    "ε + 0.2 %": (0, DDIM, 1.002),
}


@lru_cache(maxsize=64)
def _many_steps(case: str, kind: type[DDIM], factor: float, steps: int) -> float:
    """Root mean square of how far the quantiles are from where they belong."""
    start, end, walk = (PATH.law(1.0), DATA, _down) if case == DOWN else (DATA, PATH.law(1.0), _up)
    found = walk(_scaled(NOISE, factor), quadratic(steps), quantiles(start, LEVELS), kind)
    return float(np.sqrt(np.mean((found - quantiles(end, LEVELS)) ** 2)))


@lru_cache(maxsize=64)
def _single_step(kind: type[DDIM], factor: float, spread: float) -> float:
    """The same for one step from t = 1 to NOW, data N(0.8, spread²)."""
    data = fpk.Gaussian(0.8, spread)
    law: Callable[[float], Law] = fpk.exact(fpk.noising(SCHEDULE, data), times=[1.0]).law
    field = _scaled(exact_field(data, SCHEDULE, kind="noise"), factor)
    found = _down(field, np.array([1.0, NOW]), quantiles(law(1.0), LEVELS), kind)
    return float(np.sqrt(np.mean((found - quantiles(law(NOW), LEVELS)) ** 2)))


@study(
    "S1.E59-60",
    variants=STEPPED,
    cases=(DOWN, UP, POINT),
    applies=lambda variant, case: variant != "ε + 0.2 %" or case == POINT,
)
def implicit_steps(variant: tuple[int, type[DDIM], float], case: str, size: Size, seed: int) -> Evidence:
    more, kind, factor = variant
    if case == POINT:
        steps = 0.02 / 2.0 ** np.arange(5)
        errors = [_single_step(kind, factor, float(s)) for s in steps]
    else:
        counts = 10 * 2 ** np.arange(4 if size.quick else 6)
        steps, errors = 1 / counts, [_many_steps(case, kind, factor, int(n)) for n in counts]
    order = more + (2 if case == POINT else 1)
    return order_evidence(errors, steps, order, floor=1e-12, source=f"errors {case}")


# -- the way back ------------------------------------------------------------------------------------------------------------

FROZEN, ANEW = "one ε", "ε read anew"
#: Factor on ε and the kind of step on the way up; whether ε is read anew in a single step.
BACK: dict[str, tuple[float, type[DDIM], bool]] = {
    "stated": (1.0, DDIM, False),
    "sign of ε": (-1.0, DDIM, False),
    "scale of x kept": (1.0, _Unscaled, False),
    "read anew, one step": (1.0, DDIM, True),
    "ε + 0.2 %": (1.002, DDIM, False),
}


@study("S1.E60inv", variants=BACK, cases=(FROZEN, ANEW))
def there_and_back(variant: tuple[float, type[DDIM], bool], case: str, size: Size, seed: int) -> Evidence:
    factor, kind, single = variant
    names = tuple(f"from x = {x:g}" for x in AT[:, 0])
    noise = NOISE(AT, LATER)
    field = Field(lambda x, t: noise, "noise", SCHEDULE) if case == FROZEN and not single else NOISE

    def apart(times: Array) -> Array:
        return _up(_scaled(field, factor), times, _down(field, times, AT[:, 0]), kind) - AT[:, 0]

    if case == FROZEN or single:
        first = fpk.residual(apart(np.array([LATER, NOW])), 1e-13, source="one step down and up")
        return Evidence(first, zero_estimate(3), names)
    return limit_evidence(
        lambda h: apart(quadratic(round(1 / h), start=LATER, end=0.1)), np.zeros(3), step=1 / 8, names=names,
        source="steps down and up, N → ∞",
    )  # fmt: skip


# -- DDPM and DDIM -----------------------------------------------------------------------------------------------------------

GIVEN, NORMAL, PEAKS, RATE = "given x₀, three steps", "continuous time", "continuous time, two peaks", "constant over N"
#: What is slipped in the chains, or the factors on the constant and on DDIM's part of it.
SHARED: dict[str, dict[str, Any]] = {
    "stated": {GIVEN: {}, NORMAL: {}, PEAKS: {}, RATE: (1.0, 1.0)},
    "ε kept whole": {GIVEN: {"whole": True}},
    "noise dropped": {case: {"drawn": 0.0} for case in (GIVEN, NORMAL)},
    "s² + 1 %": {case: {"drawn": 1.01} for case in (GIVEN, NORMAL, PEAKS)},
    "no difference": {RATE: (0.0, 1.0)},
    "DDIM exact": {RATE: (1.0, 0.0)},
    "c + 1 %": {RATE: (1.01, 1.0)},
}


def _given(slip: dict[str, Any]) -> Evidence:
    times = np.array([1.0, 0.6, 0.3, 0.1])
    wanted = moments_of([given_start(float(t)) for t in times[1:]])
    gaps = np.ravel([moments_given(Slipped(KNOWN, times=times, eta=eta, **slip)) - wanted for eta in ETAS])
    names = [f"{what} at t = {t:g}, η = {eta:g}" for eta in ETAS for t in times[1:] for what in ("mean", "variance")]
    return Evidence(fpk.residual(gaps, 1e-12, source="propagated chains"), zero_estimate(len(gaps)), tuple(names))


def _continuous(peaks: bool, drawn: float = 1.0) -> Evidence:
    etas = (0.0, 1.0) if peaks else ETAS
    names = tuple(f"{what}, η = {eta:g}" for eta in etas for what in readings(peaks))

    def found(h: float) -> Array:
        return np.ravel([chain(peaks, round(1 / h), eta, drawn) for eta in etas])

    return _without_luck(found, np.tile(on_the_path(peaks), len(etas)), names, "propagated chains, N → ∞")


def _without_luck(quantity: Callable[[float], Array], claimed: Array, names: tuple[str, ...], source: str) -> Evidence:
    """As :func:`limit_evidence` from N = 6 on, no bound below a tenth of the largest."""
    found = limit_evidence(quantity, claimed, step=1 / 6, names=names, source=source)
    return replace(found, first=replace(found.first, bias_bound=without_luck(found.first.bias_bound)))


def _rate(share: float, with_ddim: float) -> Evidence:
    ddim, ddpm = constants()

    def found(h: float) -> Array:
        n = round(1 / h)
        return n * np.subtract(chain(False, n, 1.0), chain(False, n, 0.0))[1:]

    claimed = np.array([share * (ddpm - with_ddim * ddim)])
    evidence = limit_evidence(found, claimed, step=1 / 6, names=("N (V¹ − V⁰)",), source="propagated chains, N → ∞")
    return replace(evidence, charts=(missing(),))


@study(
    "S1.T55",
    variants=SHARED,
    cases=(GIVEN, NORMAL, PEAKS, RATE),
    applies=lambda variant, case: case in SHARED[variant],
)
def one_law_for_all(variant: dict[str, Any], case: str, size: Size, seed: int) -> Evidence:
    if case == RATE:
        return _rate(*variant[case])
    return _given(variant[case]) if case == GIVEN else _continuous(case == PEAKS, **variant[case])


@study("err:S1.T55", variants={"printed": "finite", "corrected": "limit", "degenerate": "given"})
def same_law_or_not(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """DDPM less DDIM, after five steps or in the limit of many."""
    if variant == "given":
        gaps, names = apart_given(5), tuple(f"{what} after {k}" for k in range(1, 6) for what in ("mean", "variance"))
    else:
        gaps, names = (
            apart(5),
            tuple(f"{what}, two peaks" if peaks else what for peaks in (False, True) for what in readings(peaks)),
        )
    if variant == "limit":
        return _without_luck(lambda h: apart(round(1 / h)), 0 * gaps, names, "DDPM less DDIM, N → ∞")
    first = fpk.residual(gaps, 1e-11, source="DDPM less DDIM, five steps")
    return Evidence(first, zero_estimate(len(gaps)), names)
