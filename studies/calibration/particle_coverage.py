r"""Error bars of particles: the budget of the time step on random linear problems, and the standard errors of three estimators.

The budget 1.5 |change from twice the step| + 3 standard errors of the change (at least .3 of the panel's largest) is held against the exact
law twice: in the limit of many particles, where both chains have exact laws and no standard error is left, and for ensembles, where it stands next
to the sampling error as in every comparison. It covers a problem when it covers its four functionals at once. In the limit it fails where the
biases of orders h and h² have opposite signs in all of them: for C h + D h² with −D h/C between 1/7 and 5/11 the change is small by luck.

Standard errors are tried by 95 % intervals, for one functional (or point) of each repetition, in turn.

Planned for ANY seed, with failures at a true rate q:

========================== ========= =================== ========================================
case                       problems  limit               failures allowed, P(more) at q
========================== ========= =================== ========================================
many particles, full       3,000     ≥ .97               62; 6e-8 at q = .0097
– mean reversion           1,000     ≥ .98               7; 1e-5 at q = .001
– moving coefficients      1,000     ≥ .98               7; 1e-5 at q = .001
– noising                  1,000     ≥ .93               45; 4e-4 at q = .027
many particles, quick      40        ≥ .6                6; 1e-7 at q = .01
2,000 particles, full      1,200     ≥ .97, classes .93  18 and 13; 2e-5 at q = .005
2,000 particles, quick     20        ≥ .5                2; 1e-4 at q = .005
95 % intervals, full       2,000     ≥ .9, classes .88   159 and 88; 2e-4 at q = .06
kernel density, full       20,000    ≥ .9                1,869; 0 at q = .06
95 % intervals, quick      36        ≥ .5                8; 1e-4 at q = .055
kernel density, quick      800       ≥ .8                125; 0 at q = .06
========================== ========= =================== ========================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

import fpk
from fpk.closed_form import euler_chain
from fpk.difference import Difference
from fpk.marginals import Estimate
from fpk.particles.densities import smoothed_density
from fpk.particles.multilevel import Multilevel
from fpk.particles.quasi import quasi_simulate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._coverage import Usages
from ._particles import Asked, Rule, drawn, ensembles, usages, without_noise
from ._rates import within

C, R = Outcome.CONFIRMED, Outcome.REFUTED


@dataclass(frozen=True)
class Setting:
    """What is drawn, and what is claimed of it.

    Parameters
    ----------
    rule : callable
    quick, full : (int, float)
        Problems, and the smallest coverage of all of them.
    each : tuple of float
        Smallest coverage of every class in the full size.
    """

    rule: Rule
    quick: tuple[int, float]
    full: tuple[int, float]
    each: tuple[float, float, float]


BUDGETS = {
    "many particles": Setting(without_noise, (40, 0.6), (3000, 0.97), (0.98, 0.98, 0.93)),
    "2,000 particles": Setting(ensembles, (20, 0.5), (1200, 0.97), (0.93, 0.93, 0.93)),
}
#: The case each control belongs to: without sampling noise half the budget fails already.
CONTROLS = {"budget / 2": "many particles", "budget and noise / 100": "2,000 particles"}
#: What the drawn curves scale the bars by.
SCALES = np.geomspace(0.25, 4, 13)

CLAIMS = (
    Claim(
        "calibration.particle-budget",
        "bound",
        "The budget of the time step of Euler–Maruyama covers its bias in four functionals at once: in 97 % of random linear problems in the limit "
        "of many particles (noising alone: 93 %), and with the sampling error of 2,000 particles in 97 % (quick: half).",
        r"P(|E\varphi_k(X^h)-E\varphi_k(X)|\le1.5\,|E\varphi_k(X^h)-E\varphi_k(X^{2h})|\;\forall k)\ge0.91",
        "Kloeden and Platen (1992), section 15.3",
        {"stated": C} | dict.fromkeys(CONTROLS, R),
        {
            "budget / 2": "three quarters of the change from twice the step",
            "budget and noise / 100": "a hundredth of budget and sampling error",
        },
        "4 to 32 steps, twice as many in the reported chain, to a time between .3 and 1.",
    ),
    Claim(
        "calibration.particle-bar",
        "bound",
        "Intervals of 95 % by standard errors from scrambles, from levels of steps and of kernel densities hold what they estimate in at least "
        "90 % of repetitions (quick: kernel densities 80 %, the others half).",
        r"P(|\hat m-m|\le t_{0.025}\,\hat s)\ge0.9",
        "Owen (1997); Giles (2008)",
        {"stated": C, "standard error / 2": R, "standard error / 1000": R},
        {
            "standard error / 2": "half of it, for kernel densities, of which there are many",
            "standard error / 1000": "a thousandth of it, for the others",
        },
    ),
)  # fmt: skip


@study(
    "calibration.particle-budget",
    variants={"stated": 1.0, "budget / 2": 0.5, "budget and noise / 100": 0.01},
    cases=tuple(BUDGETS),
    only_when_named=True,
    applies=lambda variant, case: CONTROLS.get(variant, case) == case,
    judging=True,
)
def particle_budget(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Coverage of the budget of the time step, of all problems and in the full size of every class."""
    setting = BUDGETS[case]
    problems, least = setting.quick if size.quick else setting.full
    found = usages(setting.rule, problems=problems, seed=seed)
    limits = found.limited(variant, least=least, each=() if size.quick else setting.each)
    charts = (found.chart(f"Coverage of the budget of a time step, {case}", SCALES),) if variant == 1.0 else ()
    return within(limits, f"budget of a time step, {case}", charts)


# -- standard errors ---------------------------------------------------------------------------------------------------


def _missed(found: Estimate, asked: Asked, steps: int, functional: int) -> float:
    """Usage of the 95 % interval of one functional, against the exact law of the chain."""
    chain = euler_chain(asked.problem, steps=steps, times=[asked.time]).expect(asked.panel)
    held = Difference(found, chain, asked.panel.names)
    return float(np.abs(held.d / held.se)[functional]) / held.quantile(0.025)


def scrambles(number: int, seed: int) -> float:
    """16 replicates of 64 Sobol points."""
    asked = drawn(number, seed)
    run = quasi_simulate(
        asked.problem, points=64, replicates=16, steps=4, times=[asked.time], seed=asked.seed, levels=1
    )
    return _missed(run.expect(asked.panel), asked, 4, number // 2 % 4)


def levels(number: int, seed: int) -> float:
    """Two levels, to a standard error of .05."""
    asked = drawn(number, seed)
    run = Multilevel(asked.problem, times=[asked.time], tolerance=0.05, coarsest=2, levels=2, seed=asked.seed)
    return _missed(run.expect(asked.panel), asked, run.finest, number // 2 % 4)


def kernels(number: int, seed: int) -> float:
    """A kernel of random width over 1,000 normal particles, at a point drawn from the smoothed law."""
    rng = np.random.default_rng([seed, number])
    variance = rng.uniform(0.05, 1.0)
    law = fpk.Gaussian(0.0, np.sqrt(1 + variance))
    point = law.sample(1, rng)
    found = smoothed_density(point, rng.standard_normal((1000, 1)), np.array([[variance]]), threads=1)
    deviation = np.abs(found.value - law.density(point)) / found.standard_error
    return float(deviation[0] / -stdtrit(found.units - 1, 0.025))


@dataclass(frozen=True)
class Repeated:
    """Estimators that take turns, and how often: (repetitions, least coverage) in each size, and least coverage of each in the full one."""

    rules: dict[str, Callable[[int, int], float]]
    quick: tuple[int, float]
    full: tuple[int, float]
    each: float

    def usages(self, size: Size, seed: int) -> tuple[Usages, float]:
        """Usages of 95 % intervals, and the coverage that is claimed."""
        repeats, least = self.quick if size.quick else self.full
        rules, kind = list(self.rules.values()), np.arange(repeats) % len(self.rules)
        found = np.array([rules[k](number, seed) for number, k in enumerate(kind)])
        return Usages(tuple(self.rules), kind, found), least


BARS = {
    "scrambles and levels": Repeated({"scrambles": scrambles, "levels": levels}, (36, 0.5), (2000, 0.9), 0.88),
    "kernel density": Repeated({"kernel density": kernels}, (800, 0.8), (20_000, 0.9), 0.9),
}
#: The case each control belongs to.
SMALLER = {"standard error / 2": "kernel density", "standard error / 1000": "scrambles and levels"}


@study(
    "calibration.particle-bar",
    variants={"stated": 1.0, "standard error / 2": 0.5, "standard error / 1000": 1e-3},
    cases=tuple(BARS),
    only_when_named=True,
    applies=lambda variant, case: SMALLER.get(variant, case) == case,
    judging=True,
)
def particle_bar(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """How often intervals of ``variant`` standard errors cover."""
    found, least = BARS[case].usages(size, seed)
    each = () if size.quick else [BARS[case].each] * len(found.classes)
    charts = (found.chart(f"Coverage of 95 % intervals, {case}", SCALES),) if variant == 1.0 else ()
    return within(found.limited(variant, least=least, each=each), f"standard errors, {case}", charts)
