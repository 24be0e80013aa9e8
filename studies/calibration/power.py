r"""Power: how small an error of the noise, or which turn, is seen, and how often nothing is seen where nothing is.

An error is planted in one of two routes, and verdicts are counted at the usual α = 1e-6. That n of n repetitions are REFUTED proves, with
confidence 1 − 1e-3, a power of .966 for n = 200, .983 for 400, .993 for 1,000 and .65 for 16. At least .95 is claimed, or hardly less than what
n of n can prove, so that a single miss among 16 is undecided. Settings are therefore such that nothing is missed: the statistic of a coupled
residual is three times its quantile or more, the grid's difference hundreds of its budgets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

import fpk
from fpk.calibration import Limited, Rate, tally
from fpk.charts import Chart, Series
from fpk.difference import BETA
from fpk.marginals import Vanishing
from fpk.particles.coupling import CoupledResidual
from fpk.particles.exact_transition import ExactTransition
from fpk.paths import two_time_panel
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome, Verdict

from ._pipelines import TURNED, TURNING, linear, rotation
from ._rates import plotted, within

C, R = Outcome.CONFIRMED, Outcome.REFUTED
WANTED = 0.95
Check = Callable[[int], Verdict]


def seen(check: Check, repeats: int, seed: int) -> Rate:
    """How often a check is refuted."""
    return tally(check, repeats=repeats, seed=seed).rate(Outcome.REFUTED)


def within_reach(repeats: int) -> float:
    """The power that is claimed: .95, or a little less than what ``repeats`` of ``repeats`` can prove."""
    return min(WANTED, 0.99 * Rate(repeats, repeats).lower(BETA))


def sight(
    planted: Check, clean: Check | None, *, repeats: int, seed: int, charts: Callable[[], tuple[Chart, ...]] = tuple
) -> Evidence:
    """The evidence of power, and (half as often, where a clean check is given) of silence."""
    power = seen(planted, repeats, seed)
    limited = [Limited(f"{power} seen", power, at_least=within_reach(repeats))]
    if clean is not None:
        alarms = seen(clean, repeats // 2, seed + 1)
        limited.append(Limited(f"{alarms} false alarms", alarms, at_most=1 - within_reach(repeats // 2)))
    return within(limited, f"verdicts over {repeats:,} repetitions", charts())


# -- a grid against the closed form ------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """A linear problem with random coefficients, and when it is looked at."""

    rate: float
    level: float
    noise: float
    mean: float
    std: float
    time: float

    def problem(self, excess: float = 0.0) -> fpk.Problem:
        """The problem with g² larger by a factor 1 + excess."""
        noise = self.noise * (1 + excess) ** 0.5
        return linear(-self.rate, self.level, noise, initial=fpk.Gaussian(self.mean, self.std))

    def grid(self, cells: int) -> fpk.Grid:
        """Eight standard deviations about the laws at both ends."""
        laws: list[Any] = [fpk.exact(self.problem(), times=[self.time]).law(t) for t in (0.0, self.time)]
        reach = [8 * float(law.covariance[0, 0]) ** 0.5 for law in laws]
        ends = [float(law.mean[0]) + np.array([-r, r]) for law, r in zip(laws, reach, strict=True)]
        return fpk.Grid(float(np.min(ends)), float(np.max(ends)), cells=cells)


#: Lower and upper ends of what is drawn, in the order of :class:`Drawn`.
RANGES = ((0.3, -1.0, 0.5, -1.5, 0.3, 0.3), (2.0, 1.0, 1.5, 1.5, 0.6, 1.0))


def drawn(seed: int) -> Drawn:
    """A problem for each seed."""
    return Drawn(*(float(number) for number in np.random.default_rng(seed).uniform(*RANGES)))


class Solved(NamedTuple):
    """How the law with the planted error is found: on cells (by a scheme of high order, or a positive one), or without any by particles."""

    excess: float = 1e-4
    cells: int = 128
    positive: bool = False

    def verdict(self, excess: float, seed: int) -> Verdict:
        """Of the closed form and this route."""
        case = drawn(seed)
        louder, given = case.problem(excess), {"times": [case.time]}
        exact = fpk.exact(case.problem(), **given)
        if self.cells:
            return fpk.compare(exact, fpk.solve(louder, case.grid(self.cells), positive=self.positive, **given))
        return fpk.compare(exact, fpk.simulate(louder, particles=10_000, steps=16, seed=seed, threads=1, **given))


FAINT, ROUGH, INDEPENDENT = "g² + 0.0000001 %", "64 cells, first order in time", "independent particles"


@study(
    "calibration.sees-grid",
    variants={
        "stated": Solved(),
        FAINT: Solved(excess=1e-9),
        ROUGH: Solved(cells=64, positive=True),
        INDEPENDENT: Solved(cells=0),
    },
    only_when_named=True,
    judging=True,
)
def sees_grid(variant: Solved, case: str, size: Size, seed: int) -> Evidence:
    """Random linear problems: closed form | grid of the problem with the error."""
    clean = partial(variant.verdict, 0.0) if variant == Solved() else None
    repeats = 16 if size.quick else 200
    return sight(partial(variant.verdict, variant.excess), clean, repeats=repeats, seed=seed)


# -- coupled chains ----------------------------------------------------------------------------------------------------

TIME, STEPS = 0.5, 16
START = fpk.Gaussian(0.3, 0.2)
ENSEMBLES = {"10,000 particles, g² + .3 %": (10_000, 3e-3), "100,000 particles, g² + .1 %": (100_000, 1e-3)}
FEW, MANY = ENSEMBLES


def louder(excess: float = 0.0) -> fpk.Problem:
    """An Ornstein–Uhlenbeck process with g² larger by a factor 1 + excess."""
    return linear(noise=(1 + excess) ** 0.5, initial=START)


@lru_cache(maxsize=1)
def _law() -> fpk.LawMarginals:
    return fpk.exact(louder(), times=[TIME])


@lru_cache(maxsize=1)
def _panel() -> fpk.Panel:
    """Two smooth functionals; thresholds do not gain from coupling."""
    return fpk.Panel(fpk.law_panel({TIME: _law().law(TIME)}, degree=2).smooth)


def coupled(excess: float, particles: int, seed: int) -> Verdict:
    """Chains of three lengths of steps with the error, against exact transitions without it on the same paths."""
    given: dict[str, Any] = {"particles": particles, "times": [TIME], "seed": seed, "threads": 1}
    chains = fpk.simulate(louder(excess), steps=STEPS, levels=3, **given)
    exact = fpk.simulate(louder(), steps=4 * STEPS, scheme=ExactTransition(), **given)
    return fpk.compare(CoupledResidual(chains, exact), Vanishing(), panel=_panel())


def independent(excess: float, particles: int, seed: int) -> Verdict:
    """Particles with the error, against the exact law without it."""
    run = fpk.simulate(louder(excess), particles=particles, steps=STEPS, times=[TIME], seed=seed, threads=1)
    return fpk.compare(run, _law(), panel=_panel())


Experiment = Callable[[float, int, int], Verdict]
TENTH = "a tenth of the error"


@study(
    "calibration.sees-coupled",
    variants={"stated": (coupled, 1.0), INDEPENDENT: (independent, 1.0), TENTH: (coupled, 0.1)},
    cases=tuple(ENSEMBLES),
    applies=lambda variant, case: variant != TENTH or case == FEW,
    only_when_named=True,
    judging=True,
)
def sees_coupled(variant: tuple[Experiment, float], case: str, size: Size, seed: int) -> Evidence:
    """Coupled residuals of the process with the error."""
    (experiment, share), (particles, excess) = variant, ENSEMBLES[case]
    stated = variant == (coupled, 1.0)
    return sight(
        partial(experiment, share * excess, particles),
        partial(experiment, 0.0, particles) if stated else None,
        repeats=16 if size.quick else {FEW: 1000, MANY: 400}[case],
        seed=seed,
        charts=lambda: (power_chart(4 if size.quick else 100, seed + 2),) if stated and case == FEW else (),
    )


#: Experiments of the power curves with their planted errors, and their particles.
ERRORS = {
    "coupled": (coupled, np.array([0.0004, 0.0008, 0.0012, 0.0016, 0.002, 0.004])),
    "independent": (independent, np.array([0.03, 0.06, 0.09, 0.12, 0.18, 0.3])),
}
CURVED = 10_000


def power_chart(repeats: int, seed: int) -> Chart:
    """Rates of REFUTED against the planted error, and where the verdicts on the stated problem say that .99 is reached."""
    curves = [_curve(name, repeats, seed + k) for k, name in enumerate(ERRORS)]
    marks = {f"MDE, {name}": 100 * ERRORS[name][0](0.0, CURVED, seed).mde / _response() for name in ERRORS}
    title = f"Power, {CURVED:,} particles"
    return Chart(title, "error of g² in %", "rate of REFUTED", tuple(curves), marks=marks, log_x=True)


def _curve(name: str, repeats: int, seed: int) -> Series:
    experiment, errors = ERRORS[name]
    found = [seen(partial(experiment, excess, CURVED), repeats, seed) for excess in errors]
    return plotted(name, 100 * errors, found)


def _response(excess: float = 1e-3) -> float:
    """The change of the most sensitive functional for a relative change of g², from the exact laws."""
    changed = fpk.exact(louder(excess), times=[TIME]).expect(_panel()).value - _law().expect(_panel()).value
    return float(np.abs(changed).max() / excess)


# -- the sign of a rotation --------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _turned(joint: bool) -> tuple[fpk.LawMarginals, fpk.Panel]:
    law = fpk.exact(rotation(TURNING), times=TURNED)
    laws: dict[float, Any] = {t: law.law(t) for t in TURNED}
    return law, two_time_panel(laws) if joint else fpk.law_panel(laws)


@study(
    "calibration.sees-rotation",
    variants={"stated": True, "one-time marginals": False},
    only_when_named=True,
    judging=True,
)
def sees_rotation(variant: bool, case: str, size: Size, seed: int) -> Evidence:
    """Particles that turn the wrong way, or the right one, against the joint law at two times."""
    law, panel = _turned(variant)

    def turning(rate: float, own: int) -> Verdict:
        run = fpk.simulate(rotation(rate), particles=1000, steps=8, times=TURNED, seed=own, threads=1)
        return fpk.compare(run, law, panel=panel)

    repeats = 16 if size.quick else 200
    clean = (lambda own: turning(TURNING, own)) if variant else None
    return sight(lambda own: turning(-TURNING, own), clean, repeats=repeats, seed=seed)


CLAIMS = (
    Claim(
        "calibration.sees-grid",
        "bound",
        "A grid against closed forms, without samples, shows noise that is .01 % too large in random linear problems, and nothing where nothing is.",
        r"P(\text{REFUTED}\mid g^2 (1 + 10^{-4})) \ge .95,\quad P(\text{REFUTED}\mid g^2) \le .05",
        "Clopper and Pearson (1934)",
        {"stated": C, FAINT: R, ROUGH: R, INDEPENDENT: R},
        {
            FAINT: "the planted error is smaller than the budgets",
            ROUGH: "half of the cells, and a positive scheme of low order",
            INDEPENDENT: "ten thousand particles in place of the grid",
        },
    ),
    Claim(
        "calibration.sees-coupled",
        "bound",
        "Chains coupled to exact transitions show .3 % of g² with 10,000 particles and .1 % with 100,000, and nothing where nothing is.",
        r"P(\text{REFUTED}\mid g^2 (1 + \varepsilon)) \ge .95,\quad P(\text{REFUTED}\mid g^2) \le .05",
        "Clopper and Pearson (1934)",
        {"stated": C, INDEPENDENT: R, TENTH: R},
        {
            INDEPENDENT: "as many particles, held against the exact law",
            TENTH: "the planted error is ten times smaller",
        },
    ),
    Claim(
        "calibration.sees-rotation",
        "bound",
        "Functionals of two times show that a rotation has the wrong sign, always, and nothing where it has the right one.",
        r"P(\text{REFUTED}\mid -\omega) \ge .95,\quad P(\text{REFUTED}\mid \omega) \le .05",
        "Clopper and Pearson (1934)",
        {"stated": C, "one-time marginals": R},
        {"one-time marginals": "the laws at the two times, one by one, do not depend on the sign"},
    ),
)
