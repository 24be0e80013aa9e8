r"""Linear problems drawn at random, and how much of the budget of their time step the error of Euler–Maruyama uses.

====================  ==========================================================================================
mean reversion        dX = a (b − X) dt + g dW from a Gaussian
moving coefficients   dX = (a(t) X + b(t)) dt + g(t) dW from two Gaussian components (:func:`fpk.problems.families.linear`)
noising               a variance-preserving schedule from two Gaussian components
====================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import fpk
from fpk.closed_form import LawMarginals, euler_chain
from fpk.difference import BETA, Difference
from fpk.laws import Array
from fpk.marginals import panel_step_budget
from fpk.panels import Panel, law_panel
from fpk.problems.families import linear

from ._coverage import Usages


def reverting(rng: np.random.Generator) -> fpk.Problem:
    """Mean reversion."""
    rate, centre, noise = rng.uniform(0.3, 2.0), rng.uniform(-1, 1), rng.uniform(0.4, 1.4)
    start = fpk.Gaussian(rng.uniform(-1.2, 1.2), rng.uniform(0.25, 0.6))
    return fpk.Problem(fpk.Linear(-rate, rate * centre), noise, initial=start)


def moving(rng: np.random.Generator) -> fpk.Problem:
    """Coefficients that swing in time."""
    return linear(rng).problem


def noising(rng: np.random.Generator) -> fpk.Problem:
    """A variance-preserving schedule."""
    data = fpk.GaussianMixture([0.35, 0.65], rng.uniform(-1.2, 1.2, 2), stds=rng.uniform(0.25, 0.6, 2))
    return fpk.noising(fpk.VPSchedule(rng.uniform(0.1, 1.0), rng.uniform(2.0, 5.0)), data)


MAKERS = (reverting, moving, noising)
CLASSES = ("mean reversion", "moving coefficients", "noising")


@dataclass(frozen=True, eq=False)
class Asked:
    """A problem, the time it is asked at, and the steps of the companion (the reported chain takes twice as many).

    Parameters
    ----------
    problem : Problem
    time : float
    steps : int
    seed : int
        Of particles.
    """

    problem: fpk.Problem
    time: float
    steps: int
    seed: int

    @cached_property
    def exact(self) -> LawMarginals:
        """The law without any steps."""
        return fpk.exact(self.problem, times=[self.time])

    @cached_property
    def panel(self) -> Panel:
        """Four functionals that are orthonormal under the exact law."""
        return Panel(law_panel({self.time: self.exact.law(self.time)}).smooth)

    @cached_property
    def truth(self) -> fpk.Estimate:
        """Their exact expectations."""
        return self.exact.expect(self.panel)

    def chain(self, steps: int) -> Array:
        """Expectations under the exact law of so many steps, shape (4,)."""
        return euler_chain(self.problem, steps=steps, times=[self.time]).expect(self.panel).value


#: A problem ↦ usage.
Rule = Callable[[Asked], float]
#: Particles of an ensemble.
PARTICLES = 2000


def drawn(number: int, seed: int) -> Asked:
    """Problem ``number`` of a seed, from every class in turn: 4 to 32 steps to a time between .3 and 1."""
    rng = np.random.default_rng([seed, number])
    problem = MAKERS[number % len(MAKERS)](rng)
    return Asked(problem, rng.uniform(0.3, 1.0), int(rng.integers(4, 33)), int(rng.integers(2**62)))


def without_noise(asked: Asked) -> float:
    """Usage of the budget by the bias, in the limit of many particles."""
    fine, companion = asked.chain(2 * asked.steps), asked.chain(asked.steps)
    budget = panel_step_budget(fine - companion, np.zeros(len(fine)))
    return float(np.max(np.abs(fine - asked.truth.value) / (budget + asked.truth.bias_bound)))


def ensembles(asked: Asked) -> float:
    """Usage of budget and noise together, z_β se + b, by an ensemble."""
    run = fpk.simulate(
        asked.problem, particles=PARTICLES, steps=asked.steps, times=[asked.time], seed=asked.seed, threads=1
    )
    found = Difference(run.expect(asked.panel), asked.truth, asked.panel.names)
    return float(np.max(np.abs(found.d) / (found.quantile(BETA) * found.se + found.b)))


def usages(rule: Rule, *, problems: int, seed: int) -> Usages:
    """Of so many problems."""
    found = np.array([rule(drawn(number, seed)) for number in range(problems)])
    return Usages(CLASSES, np.arange(problems) % len(CLASSES), found)
