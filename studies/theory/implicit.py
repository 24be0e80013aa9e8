r"""Implicit sampling (DDIM): the flow in the coordinates x/λ and μ/λ, its Euler step, the way back, and what it shares with DDPM.

    d(x/λ) = ε(x, t) d(μ/λ),   ε = −μ ∇log p_t,       x′ = λ′ (x/λ + ε(x, t)(μ′/λ′ − μ/λ)),   λ² = ᾱ, μ² = 1 − ᾱ.

Truth is where quantiles of the data's laws lie, the path's own law, and for normal data an integral. With u = μ/λ, w = log u, data of variance s²,
P = λ²s² + μ², and N equal steps of w over a length W, the errors of the variance are to first order

    DDIM: −(W/N) P_N ∫ (us/(s² + u²))² dw,     DDPM: −(W/N) ∫ 4λ²s²μ²/P (P_N λ/(P λ_N))² dw:

the angle arctan(u/s) that each step turns, and the variance of x₀ given x_t that each step leaves out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.chains import propagate
from fpk.charts import Chart, Series
from fpk.fields import Field, exact_field
from fpk.laws import Array, Law
from fpk.marginals import Estimate, zero_estimate
from fpk.samplers import DDIM, DDPM, Kernel
from fpk.samplers.coupling import quantiles
from fpk.samplers.times import log_snr, quadratic
from fpk.study import Evidence, Size, study

from .._limits import limit_evidence
from .._systems import DATA
from ._chain_implicit import CLAIMS as CLAIMS
from ._chain_implicit import REMARKS as REMARKS
from ._chain_laws import LATER, NOW, PATH, SCHEDULE

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


@study("S1.E56-58", variants=DRIVEN)
def driven_by_noise(variant: Callable[[Array, float], Array], case: str, size: Size, seed: int) -> Evidence:
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


def _down(field: Field, times: Array, x: Array, kind: type[DDIM] = DDIM) -> Array:
    """Steps of fpk's DDIM, positions (n,)."""
    sampler, x = kind(field, times=times), x[:, None]
    for k in range(sampler.steps):
        x = sampler.step(x, k, np.zeros((0, *x.shape)))
    return x[:, 0]


def _up(field: Field, times: Array, x: Array, kind: type[DDIM] = DDIM) -> Array:
    """Steps from the data to the noise."""
    for t, after in zip(times[:0:-1], times[-2::-1], strict=True):
        scale = SCHEDULE.alpha(after)
        moved = scale * (_ratio(after) - _ratio(t)) * field.noise(x[:, None], t)[:, 0]
        x = (x if kind is _Unscaled else scale / SCHEDULE.alpha(t) * x) + moved
    return x


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
    order = f"{more + (2 if case == POINT else 1):g}"
    first = Estimate(np.array(errors), np.full(len(errors), 1e-12), source=f"errors {case}")
    return Evidence(first, Estimate(steps, np.zeros(len(steps)), source=f"order {order}"), (order,))


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

NORMAL, SPREAD = fpk.Gaussian(2.0, 0.5), 0.25
PATH_OF_NORMAL = fpk.exact(fpk.noising(SCHEDULE, NORMAL), times=[1.0])
LAST = 0.15
GIVEN, LIMIT, RATE = "given x₀, three steps", "continuous time", "constant over N"
STARTED = 0.8
KNOWN = Field(lambda x, t: np.full_like(x, STARTED), "denoised", SCHEDULE)


class _Slipped(DDIM):
    """What is drawn has a factor; ``whole``: nothing is taken from ε for it."""

    def __init__(self, field: Field, *, drawn: float = 1.0, whole: bool = False, **settings: Any) -> None:
        super().__init__(field, **settings)
        self.drawn, self.whole = drawn, whole

    def kernels(self, k: int) -> tuple[Kernel, ...]:
        (kernel,) = super().kernels(k)
        mean = DDIM(self.field, times=self.times).kernels(k)[0].mean if self.whole else kernel.mean
        return (Kernel(mean, self.drawn**0.5 * kernel.std),)


def _moments(sampler: DDIM, start: Law, times: Array) -> Array:
    """Means and variances of the propagated chain."""
    laws: list[Any] = [propagate(sampler, initial=start).law(float(t)) for t in times]
    return np.array([value for law in laws for value in (law.mean[0], law.covariance[0, 0])])


def _given_start(t: float) -> fpk.Gaussian:
    return fpk.Gaussian(SCHEDULE.alpha(t) * STARTED, SCHEDULE.sigma(t))


def _given(slip: dict[str, Any]) -> Evidence:
    times = np.array([1.0, 0.6, 0.3, 0.1])
    wanted = np.array([[law.mean[0], law.covariance[0, 0]] for law in map(_given_start, times[1:])]).ravel()
    chains = [_Slipped(KNOWN, times=times, eta=eta, **slip) for eta in ETAS]
    gaps = np.concatenate([_moments(chain, _given_start(1.0), times[1:]) - wanted for chain in chains])
    names = tuple(
        f"{what} at t = {t:g}, η = {eta:g}" for eta in ETAS for t in times[1:] for what in ("mean", "variance")
    )
    return Evidence(fpk.residual(gaps, 1e-12, source="propagated chains"), zero_estimate(len(gaps)), names)


ETAS = (0.0, 0.5, 1.0)


@lru_cache(maxsize=256)
def _chain(steps: int, eta: float, drawn: float) -> tuple[float, float]:
    """Mean and variance at the end of a chain for normal data, from the law at t = 1."""
    chain = _Slipped(exact_field(NORMAL, SCHEDULE, kind="denoised"), times=_even(steps), eta=eta, drawn=drawn)
    mean, variance = _moments(chain, PATH_OF_NORMAL.law(1.0), np.array([LAST]))
    return float(mean), float(variance)


@lru_cache(maxsize=16)
def _even(steps: int) -> Array:
    """Equal steps of log(μ/λ)."""
    return log_snr(SCHEDULE, steps, end=LAST)


def _continuous(slip: dict[str, Any]) -> Evidence:
    law: Any = PATH_OF_NORMAL.law(LAST)
    wanted = np.tile([law.mean[0], law.covariance[0, 0]], len(ETAS))
    names = tuple(f"{what}, η = {eta:g}" for eta in ETAS for what in ("mean", "variance"))

    def found(h: float) -> Array:
        return np.ravel([_chain(round(1 / h), eta, slip.get("drawn", 1.0)) for eta in ETAS])

    return limit_evidence(found, wanted, step=1 / 8, names=names, source="propagated chains, N → ∞")


@lru_cache(maxsize=1)
def _constants() -> tuple[float, float]:
    """First-order errors of the variances of DDIM and DDPM times N, from the integrals."""
    top, bottom = ((np.exp(SCHEDULE.integrated_beta(t)) - 1) ** 0.5 for t in (1.0, LAST))
    z, weights = np.polynomial.legendre.leggauss(40)
    length = np.log(top / bottom)
    u = bottom * np.exp(0.5 * length * (1 + z))
    scale, P = 1 / (1 + u**2), (SPREAD + u**2) / (1 + u**2)
    P_end, scale_end = (SPREAD + bottom**2) / (1 + bottom**2), 1 / (1 + bottom**2)
    turned = P_end * (u**2 * SPREAD) / (SPREAD + u**2) ** 2
    left = 4 * scale * SPREAD * (u**2 * scale) / P * (P_end / P) ** 2 * scale / scale_end
    first, second = (-(length**2) * 0.5 * (weights @ part) for part in (turned, left))
    return float(first), float(second)


def _rate(share: float, with_ddim: float) -> Evidence:
    ddim, ddpm = _constants()

    def found(h: float) -> Array:
        n = round(1 / h)
        return np.array([n * (_chain(n, 1.0, 1.0)[1] - _chain(n, 0.0, 1.0)[1])])

    claimed = np.array([share * (ddpm - with_ddim * ddim)])
    evidence = limit_evidence(found, claimed, step=1 / 8, names=("N (V¹ − V⁰)",), source="propagated chains, N → ∞")
    return replace(evidence, charts=(_variances(),))


def _variances() -> Chart:
    """Errors of the variances of DDPM and DDIM over the number of steps, and what the constants say."""
    counts, exact = np.array([8.0, 16.0, 32.0, 64.0]), PATH_OF_NORMAL.law(LAST).covariance[0, 0]  # type: ignore[attr-defined]
    series = []
    for name, eta, constant in zip(("DDIM", "DDPM"), (0.0, 1.0), _constants(), strict=True):
        errors = np.array([exact - _chain(int(n), eta, 1.0)[1] for n in counts])
        series += [Series(name, counts, errors), Series(f"{-constant:.3g}/N", counts, -constant / counts, kind="line")]
    return Chart("Variance that is missing after N steps", "steps N", "missing", tuple(series), log_x=True, log_y=True)


#: What is slipped in the chains, or the factors on the constant and on DDIM's part of it.
SHARED: dict[str, dict[str, Any]] = {
    "stated": {GIVEN: {}, LIMIT: {}, RATE: (1.0, 1.0)},
    "ε kept whole": {GIVEN: {"whole": True}},
    "noise dropped": {GIVEN: {"drawn": 0.0}, LIMIT: {"drawn": 0.0}},
    "s² + 1 %": {GIVEN: {"drawn": 1.01}, LIMIT: {"drawn": 1.01}},
    "no difference": {RATE: (0.0, 1.0)},
    "DDIM exact": {RATE: (1.0, 0.0)},
    "c + 1 %": {RATE: (1.01, 1.0)},
}


@study(
    "S1.T55",
    variants=SHARED,
    cases=(GIVEN, LIMIT, RATE),
    applies=lambda variant, case: case in SHARED[variant],
)
def one_law_for_all(variant: dict[str, Any], case: str, size: Size, seed: int) -> Evidence:
    if case == RATE:
        return _rate(*variant[case])
    return _given(variant[case]) if case == GIVEN else _continuous(variant[case])


@study("err:S1.T55", variants={"printed": "finite", "corrected": "limit", "degenerate": "given"})
def same_law_or_not(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Mean and variance of DDPM less those of DDIM."""
    names = ("difference of the means", "difference of the variances")
    apart: Callable[[int], Array] = lambda n: np.subtract(_chain(n, 1.0, 1.0), _chain(n, 0.0, 1.0))  # noqa: E731
    if variant == "limit":
        return limit_evidence(
            lambda h: apart(round(1 / h)), np.zeros(2), step=1 / 8, names=names, source="DDPM less DDIM, N → ∞"
        )
    first = fpk.residual(_apart_given() if variant == "given" else apart(5), 1e-12, source="DDPM less DDIM, five steps")
    return Evidence(first, zero_estimate(2), names)


def _apart_given() -> Array:
    """The same given x₀."""
    ddpm, ddim = (_moments(kind(KNOWN, times=_even(5)), _given_start(1.0), _even(5)[-1:]) for kind in (DDPM, DDIM))
    return ddpm - ddim
