"""Orders and limits of every sampler with the exact model, without sampling error.

The samplers are discovered: a class without a case is an error. Orders start from the exact law at t_0; what is refined, steps or step sizes or
radii, is 1/n. Errors of deterministic chains are taken quantile by quantile, those of the others as the norm of a panel's.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

import fpk
from fpk.laws import Array, GaussianMixture
from fpk.marginals import Estimate, without_luck, zero_estimate
from fpk.panels import Panel
from fpk.samplers import MALA, ProbabilityFlow, Sampler, reflowed_field
from fpk.samplers.coupling import quantiles
from fpk.samplers.times import quadratic
from fpk.study import Claim, Evidence, Size, order_evidence, study
from fpk.verdict import Outcome

from ._cases import CASES, RIGHT, Case, Slip, discovered
from ._laws import MIXTURE, OT, answered, followed, levels, model, on_path

C, R = Outcome.CONFIRMED, Outcome.REFUTED
TOO_HIGH, HALF, NEAR, LOUD, LATE = (
    "one order too high",
    "half the field",
    "field + 1 %",
    "noise + 1 %",
    "times off by one step",
)
#: What is wrong in each variant.
SLIPS = {
    "stated": RIGHT,
    TOO_HIGH: RIGHT,
    HALF: Slip(field=0.5),
    NEAR: Slip(field=1.01),
    LOUD: Slip(noise=1.01),
    LATE: Slip(late=True),
}
NOTES = {
    TOO_HIGH: "one more than the sampler declares",
    HALF: "the model's output is halved",
    NEAR: "the model's output is 1 % too large",
    LOUD: "the normal numbers are 1 % too large",
    LATE: "the field reads the time of the next step",
}


def quantile_count(size: Size) -> int:
    """How many quantiles are followed."""
    return 200 if size.quick else 1000


def slug(kind: type[Sampler]) -> str:
    """DPMSolver2 ↦ dpm-solver2."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", kind.__name__).lower()


# -- orders ------------------------------------------------------------------------------------------------------------


@cache
def expectations(case: Case, n: int, slip: Slip, count: int) -> Estimate:
    """A panel's expectations of the sampler at n."""
    sampler = case.sampler(n, slip)
    return answered(sampler, case.start(sampler), _panel(case), count)


@cache
def distance(case: Case, n: int, slip: Slip, count: int) -> tuple[float, float]:
    """How far the sampler at n is from its limit, and the budget of that."""
    sampler = case.sampler(n, slip)
    if sampler.noises:
        found = expectations(case, n, slip, count)
        gap = found.value - fpk.LawMarginals(lambda t: case.target, ()).expect(_panel(case)).value
        return float(np.linalg.norm(gap)), float(np.linalg.norm(found.bias_bound))
    u = levels(count)
    gap = followed(sampler, case.started(sampler, u)) - case.arrived(u)
    return float(np.sqrt(np.mean(gap**2))), 1e-13


def _panel(case: Case) -> Panel:
    return fpk.law_panel({float(case.sampler(case.counts[0]).times[-1]): case.target})


def _order_study(kind: type[Sampler], cases: dict[str, Case]) -> None:
    """Register the study of the orders of one class."""

    def orders(variant: str, case: str, size: Size, seed: int) -> Evidence:
        setting = cases[case]
        errors = np.array([distance(setting, n, SLIPS[variant], quantile_count(size)) for n in setting.counts])
        order, steps = setting.order + (variant == TOO_HIGH), 1 / np.array(setting.counts, float)
        source = f"errors of {kind.name}, {case}"
        return order_evidence(errors[:, 0], steps, order, floor=errors[:, 1], source=source)

    def applies(variant: str, case: str) -> bool:
        return variant != LATE or cases[case].order >= 2

    orders.__name__ = f"orders_{slug(kind).replace('-', '_')}"
    variants = {name: name for name in _order_variants(cases)}
    study(f"samplers.order-{slug(kind)}", variants=variants, cases=tuple(cases), applies=applies)(orders)


def _order_variants(cases: dict[str, Case]) -> dict[str, Outcome]:
    more = {LATE: R} if any(case.order >= 2 for case in cases.values()) else {}
    return {"stated": C, TOO_HIGH: R, HALF: R} | more


def _order_claim(kind: type[Sampler], cases: dict[str, Case]) -> Claim:
    expected = _order_variants(cases)
    return Claim(
        f"samplers.order-{slug(kind)}",
        "order",
        f"With the exact model, the law of {kind.name} comes to its limit with the declared order.",
        r"\mathbb E\,\varphi(X_n)-\mathbb E\,\varphi(X_\infty) = O(n^{-p})",
        SOURCES[kind.__name__],
        expected,
        {name: NOTES[name] for name in expected if name in NOTES},
    )


# -- limits ------------------------------------------------------------------------------------------------------------


def extrapolated(values: Array, order: float) -> tuple[Array, Array]:
    """The limit of values (L, K) at 1, ½, ¼, ... in powers p, p + 1, ..., with the last of them left out too."""
    table, power = values, order
    last = np.full_like(values[0], np.inf)
    while len(table) > 1:
        last, table = table[-1], table[1:] + np.diff(table, axis=0) / (2**power - 1)
        power += 1
    return table[0], last


def limit(case: Case, slip: Slip, size: Size) -> Estimate:
    """Expectations of a sampler in the limit n → ∞."""
    counts = case.counts if size.quick else (*case.counts, 2 * case.counts[-1])
    found = [expectations(case, n, slip, quantile_count(size)) for n in counts]
    value, before = extrapolated(np.stack([e.value for e in found]), case.order)
    noise = 3 * np.max([e.bias_bound for e in found], axis=0)
    return Estimate(
        value, without_luck(3 * np.abs(value - before)) + noise, coarser=before, source=f"limit of {found[-1].source}"
    )


def _limit_study(kind: type[Sampler], cases: dict[str, Case]) -> None:
    """Register the study of the limits of one class."""

    def limits(variant: str, case: str, size: Size, seed: int) -> Evidence:
        setting = cases[case]
        panel = _panel(setting)
        found = limit(setting, SLIPS[variant], size)
        return Evidence(found, _arrived(setting, panel, size), panel.names, panel=panel.digest)

    def applies(variant: str, case: str) -> bool:
        return variant != LOUD or cases[case].noisy

    limits.__name__ = f"limits_{slug(kind).replace('-', '_')}"
    variants = {name: name for name in _limit_variants(cases)}
    study(f"samplers.limit-{slug(kind)}", variants=variants, cases=tuple(cases), applies=applies)(limits)


def _arrived(case: Case, panel: Panel, size: Size) -> Estimate:
    """Expectations at the end: of the law, or over its quantiles."""
    if case.end is None:
        return fpk.LawMarginals(lambda t: case.target, ()).expect(panel)
    count = quantile_count(size)
    x = case.end(levels(count))[:, None]
    values = np.concatenate([block.values(x).mean(1) for block in panel.smooth])
    return Estimate(values, np.full(len(values), 10 / count**2), coarser=values, source="quantiles of the law")


def _limit_variants(cases: dict[str, Case]) -> dict[str, Outcome]:
    return {"stated": C, HALF: R, NEAR: R} | ({LOUD: R} if any(case.noisy for case in cases.values()) else {})


def _limit_claim(kind: type[Sampler], cases: dict[str, Case]) -> Claim:
    expected = _limit_variants(cases)
    return Claim(
        f"samplers.limit-{slug(kind)}",
        "equality",
        f"With the exact model, the law of {kind.name} tends to {kind.limit}.",
        r"\lim_{n\to\infty}\mathbb E\,\varphi(X_n) = \mathbb E\,\varphi(X_\infty)",
        SOURCES[kind.__name__],
        expected,
        {name: NOTES[name] for name in expected if name in NOTES},
    )


SOURCES = {
    "DDPM": "Ho, Jain and Abbeel (2020), algorithm 2",
    "DDIM": "Song, Meng and Ermon (2021), equation 12",
    "DPMSolver2": "Lu et al. (2022), algorithm 1",
    "EulerMaruyama": "Song et al. (2021), equation 6",
    "StochasticHeun": "Kloeden and Platen (1992), section 15.1",
    "ProbabilityFlow": "Song et al. (2021), equation 13",
    "PredictorCorrector": "Song et al. (2021), algorithm 1",
    "AnnealedLangevin": "Song and Ermon (2019), algorithm 1",
    "ULA": "Roberts and Tweedie (1996)",
    "PoissonFlow": "Xu et al. (2022), theorem 1",
}
REFINED = {kind: CASES[kind] for kind in discovered() if kind is not MALA}
for _kind, _cases in REFINED.items():
    _order_study(_kind, _cases)
    _limit_study(_kind, _cases)


# -- chains that are exact ---------------------------------------------------------------------------------------------


class _Unbalanced(MALA):
    """The proposal's densities are left out of the test."""

    def log_acceptance(self, x: Array, y: Array) -> Array:
        return np.minimum(self.target.log_density(y) - self.target.log_density(x), 0.0)


PROPOSALS = {"exact field": 1.0, "half the field": 0.5}


@study(
    "samplers.invariant-mala",
    variants={"stated": (MALA, 1.0), "proposal left out": (_Unbalanced, 1.0), "log target + 1 %": (MALA, 1.01)},
    cases=tuple(PROPOSALS),
)
def metropolis(variant: tuple[type[MALA], float], case: str, size: Size, seed: int) -> Evidence:
    """One step from the target, E φ(Y) over both parts of the step, against the target itself."""
    kind, power = variant
    field = model(MIXTURE, fpk.VPSchedule(1.0), PROPOSALS[case])
    panel = fpk.law_panel({0.0: MIXTURE})
    chain = kind(field, target=_Power(power), size=0.05, steps=1)
    values, coarse = (_after_a_step(chain, panel, n) for n in (801, 401))
    first = Estimate(values, np.abs(values - coarse) + 1e-8, coarser=coarse, source="one MALA step")
    return Evidence(first, fpk.LawMarginals(lambda t: MIXTURE, ()).expect(panel), panel.names, panel=panel.digest)


class _Power(GaussianMixture):
    """The mixture, with the logarithm of its density multiplied."""

    def __init__(self, power: float) -> None:
        super().__init__(MIXTURE.weights, MIXTURE.means, covariances=MIXTURE.covariances)
        self.power = power

    def log_density(self, x: Array) -> Array:
        return self.power * super().log_density(x)


def _after_a_step(chain: MALA, panel: Panel, points: int) -> Array:
    """∫ p(x) ∫ N(z) [φ(x) + a(x, y)(φ(y) − φ(x))] dz dx by the trapezoidal rule."""
    line, z = np.linspace(0.0, 8.0, points), np.linspace(-8.0, 8.0, points // 4)
    mass = MIXTURE.density(line[:, None]) * (line[1] - line[0])
    normal = np.exp(-0.5 * z**2) / np.exp(-0.5 * z**2).sum()
    x, q = np.repeat(line, len(z))[:, None], chain.proposal
    y = q.mean(x) + q.std * np.tile(z, points)[:, None]
    moved = np.exp(chain.log_acceptance(x, y)) * np.outer(mass, normal).ravel()
    parts = [b.values(line[:, None]) @ mass + (b.values(y) - b.values(x)) @ moved for b in panel.smooth]
    return np.concatenate(parts)


@study(
    "samplers.reflow",
    variants={"stated": 1.0, "not repeated": None, "velocity + 0.1 %": 1.001},
)
def reflow(variant: float | None, case: str, size: Size, seed: int) -> Evidence:
    """Quantiles of N(0, 1) after 1, 2 and 5 Euler steps, less those of the data: the largest gap."""
    u = levels(500 if size.quick else 5000)
    field = model(MIXTURE, OT) if variant is None else reflowed_field(MIXTURE)
    gaps = []
    for n in (1, 2, 5):
        sampler = ProbabilityFlow(field, steps=n, method="euler")
        start = quantiles(sampler.prior, u)
        gap = (variant or 1.0) * (followed(sampler, start) - start) - (quantiles(MIXTURE, u) - start)
        gaps.append(np.abs(gap).max())
    names = tuple(f"{n} Euler steps" for n in (1, 2, 5))
    return Evidence(fpk.residual(np.array(gaps), 1e-9, source="reflowed quantiles"), zero_estimate(3), names)


# -- the prior ---------------------------------------------------------------------------------------------------------

HORIZONS = np.arange(4.0, 8.0)
CENTRED = GaussianMixture([0.5, 0.5], [-1.0, 1.0], stds=[0.3, 0.3])
DATA = {"off-centre": (MIXTURE, 1.0), "centred": (CENTRED, 2.0)}


@study(
    "samplers.prior",
    variants={
        "stated": (0.0, 1.0),
        TOO_HIGH: (1.0, 1.0),
        "std of the prior + 5 %": (0.0, 1.05),
    },
    cases=tuple(DATA),
)
def prior(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Distance between the images of N(0, σ_T²) and of p_T under one flow of 32 steps, over α_T."""
    more, factor = variant
    data, order = DATA[case]
    schedule = fpk.VPSchedule(2.0)
    u = levels(quantile_count(size))
    errors = []
    for T in HORIZONS:
        sampler = ProbabilityFlow(model(data, schedule), times=quadratic(32, start=float(T)), method="rk4")
        starts = factor * quantiles(sampler.prior, u), quantiles(on_path(data, schedule, float(T)), u)
        errors.append(np.sqrt(np.mean(np.subtract(*(followed(sampler, x) for x in starts)) ** 2)))
    source = f"cost of the prior, {case}"
    return order_evidence(errors, np.exp(-HORIZONS), order + more, floor=1e-12, source=source)


CLAIMS = (
    *(_order_claim(kind, cases) for kind, cases in REFINED.items()),
    *(_limit_claim(kind, cases) for kind, cases in REFINED.items()),
    Claim(
        "samplers.invariant-mala",
        "equality",
        "A step of MALA leaves its target unchanged, whatever field proposes.",
        r"\int \pi(x)K(x,dy)\,dx = \pi(y)\,dy",
        "Roberts and Tweedie (1996), section 1.4.1",
        {"stated": C, "proposal left out": R, "log target + 1 %": R},
        {
            "proposal left out": "the test compares the target's densities only",
            "log target + 1 %": "the test aims at the power 1.01 of the target",
        },
    ),
    Claim(
        "samplers.reflow",
        "identity",
        "On the line Euler steps of the second rectified flow are exact, one as well as several.",
        r"x_1 - \bigl(x_1 - T(x_1)\bigr) = T(x_1),\quad T = F_0^{-1}\circ F_1",
        "Liu, Gong and Liu (2023), theorem 3.6",
        {"stated": C, "not repeated": R, "velocity + 0.1 %": R},
        {"not repeated": "the first rectified flow", "velocity + 0.1 %": "lines 0.1 % too long"},
    ),
    Claim(
        "samplers.prior",
        "order",
        "Starting from N(0, σ_T²) in place of p_T costs O(α_T), and O(α_T²) for centred data.",
        r"\bigl(\int_0^1 |x(u) - F_0^{-1}(u)|^2du\bigr)^{1/2} = O(\alpha_T^{p})",
        "Song et al. (2021), section 3",
        {"stated": C, TOO_HIGH: R, "std of the prior + 5 %": R},
        {TOO_HIGH: "one more than stated", "std of the prior + 5 %": "the prior is 5 % too wide"},
    ),
)
