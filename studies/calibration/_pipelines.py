r"""Problems with a known law (exact, or on a grid), and pairs of routes to that law: what false alarms are counted on.

A pair is a frozen panel and two routes, at least one of them drawn afresh from each seed:

========================= =======================================================================================
exact, grid, discrete law a deterministic law, asked once, and particles
other seed                two ensembles of the same steps
coupled                   two ensembles on the same noise: schemes, exact transitions, or lengths of steps
coupled residual          extrapolated chains and the exact transition on one path, against 0
several times, slices     panels whose functionals are strongly correlated
two times                 products of functionals at two times
Dynkin                    residuals of Dynkin's formula along the paths, against 0
========================= =======================================================================================

All ensembles have 1,000 particles. Where "coarse" is said, steps are so long that their bias shows and the budget has to carry it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from scipy import stats

import fpk
from fpk.closed_form import euler_chain
from fpk.laws import as_law
from fpk.marginals import Vanishing
from fpk.particles.coupling import CoupledResidual
from fpk.particles.ensemble import ParticleMarginals
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.schemes import Milstein
from fpk.paths import dynkin_panel, two_time_panel
from fpk.verdict import Verdict

PARTICLES = 1000
#: Coarsest steps of ensembles whose bias is to be small, and of those whose bias is to show.
FINE, COARSE = 16, 2

Ensemble = Callable[[int], ParticleMarginals]
Spoil = Callable[[fpk.Estimate], fpk.Estimate]


@dataclass(frozen=True, eq=False)
class Asked:
    """A route with a fixed answer, or one whose answers are spoilt before they are compared."""

    answer: Callable[[fpk.Panel], fpk.Estimate]

    def expect(self, panel: fpk.Panel) -> fpk.Estimate:
        """The answer."""
        return self.answer(panel)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two routes to one law.

    Parameters
    ----------
    name : str
    panel : Panel
    routes : callable
        seed ↦ the two routes.
    """

    name: str
    panel: fpk.Panel
    routes: Callable[[int], tuple[fpk.Marginals, fpk.Marginals]]

    def verdict(self, seed: int, *, alpha: float, spoil: Spoil | None = None) -> Verdict:
        """The verdict of :func:`fpk.compare`, on answers that may be spoilt first."""
        first, second = self.routes(seed)
        if spoil is not None:
            first, second = (Asked(partial(_spoilt, route, spoil)) for route in (first, second))
        return fpk.compare(first, second, panel=self.panel, alpha=alpha)


def _spoilt(route: fpk.Marginals, spoil: Spoil, panel: fpk.Panel) -> fpk.Estimate:
    return spoil(route.expect(panel))


def ensemble(problem: fpk.Problem, *, steps: int = FINE, times: Any = (1.0,), **settings: Any) -> Ensemble:
    """Seed ↦ particles."""
    given: dict[str, Any] = {"particles": PARTICLES, "steps": steps, "times": times, "threads": 1} | settings
    return lambda seed: fpk.simulate(problem, seed=seed, **given)


def known(name: str, law: fpk.Marginals, draw: Ensemble, panel: fpk.Panel) -> Pair:
    """A deterministic law, which is asked once, and particles."""
    answer = law.expect(panel)
    asked = Asked(lambda _: answer)
    return Pair(name, panel, lambda seed: (asked, draw(seed)))


def twins(draw: Ensemble, panel: fpk.Panel, name: str = "other seed") -> Pair:
    """Two independent ensembles."""
    return Pair(name, panel, lambda seed: (draw(seed), draw(seed + 1)))


def coupled(name: str, one: Ensemble, other: Ensemble, panel: fpk.Panel) -> Pair:
    """Two ensembles on the same noise."""
    return Pair(name, panel, lambda seed: (one(seed), other(seed)))


def ladder(draw: Ensemble, panel: fpk.Panel) -> Pair:
    """The steps of three levels and those twice as long, on the same noise."""

    def levels(seed: int) -> tuple[fpk.Marginals, fpk.Marginals]:
        run = draw(seed)
        return run, run.level(1)

    return Pair("coupled, steps and twice the steps", panel, levels)


def vanishing(name: str, route: Callable[[int], fpk.Marginals], panel: fpk.Panel) -> Pair:
    """What has expectation 0."""
    return Pair(name, panel, lambda seed: (route(seed), Vanishing()))


def panel_of(law: Any, times: Any = (1.0,), **settings: Any) -> fpk.Panel:
    """Functionals of the laws of a route."""
    return fpk.law_panel({t: law.law(t) for t in times}, **settings)


# -- on the line -------------------------------------------------------------------------------------------------------


def linear(drift: float = -1.0, level: float = 0.0, noise: float = 1.0, *, initial: Any) -> fpk.Problem:
    """DX = (drift X + level) dt + noise dW, compiled to the same step for all numbers."""
    return fpk.Problem(fpk.Linear(drift, level), noise, initial=initial)


def off_centre() -> tuple[Pair, ...]:
    """An Ornstein–Uhlenbeck process from far off."""
    problem = linear(initial=fpk.Gaussian(2.0, 0.3))
    law, grid = fpk.exact(problem, times=[1.0]), fpk.solve(problem, fpk.Grid(-5, 6, cells=96), times=[1.0])
    panel, chain = panel_of(law), euler_chain(problem, steps=2 * COARSE, times=[1.0])
    coarse = ensemble(problem, steps=COARSE)
    return (
        known("exact | coarse steps", law, coarse, panel),
        known("grid | particles", grid, ensemble(problem), panel),
        known("discrete law | coarse steps", chain, coarse, panel),
    )


def narrow_start() -> tuple[Pair, ...]:
    """From nearly a point."""
    problem = linear(initial=fpk.Gaussian(1.0, 0.02))
    law, draw = fpk.exact(problem, times=[1.0]), ensemble(problem, steps=8)
    exact = ensemble(problem, steps=16, scheme=ExactTransition())
    panel = panel_of(law)
    return (
        known("exact | particles", law, draw, panel),
        twins(draw, panel),
        coupled("coupled, exact transition", draw, exact, panel),
    )


def moving() -> tuple[Pair, ...]:
    """Linear, with coefficients that move."""
    drift = fpk.Linear(lambda t: -1.0 - 0.5 * t, lambda t: 0.6)
    problem = fpk.Problem(drift, lambda t: 0.6 + 0.8 * t, initial=fpk.Gaussian(1.2, 0.5))
    times = tuple(np.linspace(0.78, 1.0, 12))
    law = fpk.exact(problem, times=times)
    chain = euler_chain(problem, steps=2 * COARSE, times=[1.0])
    exact = partial(ensemble, problem, scheme=ExactTransition())
    return (
        known("discrete law | coarse steps", chain, ensemble(problem, steps=COARSE), panel_of(law)),
        coupled("coupled, exact transition", ensemble(problem, steps=8), exact(steps=16), panel_of(law)),
        known("several times, exact", law, exact(steps=24, times=times), panel_of(law, times, degree=2)),
    )


def well() -> tuple[Pair, ...]:
    """A double well; the law is the grid's."""
    problem = fpk.problems.double_well(initial=fpk.Gaussian(0.5, 0.5))
    grid = fpk.solve(problem, fpk.Grid(-4, 4, cells=96), times=[1.0])
    panel, draw = panel_of(grid), ensemble(problem, steps=8)
    dynkin = dynkin_panel(problem, {1.0: grid.law(1.0)})
    return (
        known("grid | particles", grid, draw, panel),
        twins(draw, panel),
        vanishing("Dynkin", ensemble(problem, steps=4), dynkin),
    )


SCHEDULE = fpk.VPSchedule(0.6, 3.4)


def noising() -> tuple[Pair, ...]:
    """Two peaks under variance-preserving noise."""
    problem = fpk.noising(SCHEDULE, fpk.problems.two_peaks())
    law, coarse = fpk.exact(problem, times=[1.0]), ensemble(problem, steps=COARSE)
    chains, exact = ensemble(problem, steps=4, levels=3), ensemble(problem, steps=16, scheme=ExactTransition())
    panel, chain = panel_of(law), euler_chain(problem, steps=2 * COARSE, times=[1.0])
    return (
        known("exact | coarse steps", law, coarse, panel),
        known("discrete law | coarse steps", chain, coarse, panel),
        vanishing("coupled residual", lambda seed: CoupledResidual(chains(seed), exact(seed)), panel),
    )


def reversal() -> tuple[Pair, ...]:
    """The same noise backwards, with the exact score, down to t = .3."""
    forward = fpk.exact(fpk.noising(SCHEDULE, fpk.problems.two_peaks()), times=[0.3])
    problem = fpk.reverse_time(fpk.noising(SCHEDULE, fpk.problems.two_peaks()), forward.score, initial=forward.law(1.0))
    law = fpk.LawMarginals({0.7: forward.law(0.3)}, (0.7,))
    panel, draw = panel_of(law, (0.7,)), partial(ensemble, problem, times=(0.7,), steps=8, levels=3)
    return (
        known("exact | particles", law, draw(), panel),
        twins(draw(), panel),
        ladder(draw(), panel),
    )


def exploding() -> tuple[Pair, ...]:
    """Variance-exploding noise."""
    problem = fpk.noising(fpk.VESchedule(0.05, 2.0), fpk.problems.two_peaks())
    law, draw = fpk.exact(problem, times=[1.0]), ensemble(problem, steps=4, levels=3)
    panel = panel_of(law)
    return (
        known("exact | coarse steps", law, ensemble(problem, steps=4), panel),
        twins(draw, panel),
        ladder(draw, panel),
    )


def geometric() -> tuple[Pair, ...]:
    """Noise in proportion to X; log X is normal."""
    rate, noise, spread = 0.5, 0.6, 0.3
    problem = fpk.Problem(f"{rate}*x", f"{noise}*x", initial=stats.lognorm(spread))
    end = stats.lognorm(np.hypot(spread, noise), scale=np.exp(rate - noise**2 / 2))
    law = fpk.LawMarginals({1.0: as_law(end)}, (1.0,))
    panel, milstein = panel_of(law), partial(ensemble, problem, scheme=Milstein())
    return (
        known("exact | coarse steps", law, milstein(steps=COARSE), panel),
        twins(milstein(steps=8), panel),
        coupled("coupled, Milstein", ensemble(problem, steps=8), milstein(steps=8), panel),
    )


# -- between walls and on a ring ---------------------------------------------------------------------------------------


def walled() -> tuple[Pair, ...]:
    """Between reflecting walls that the law reaches, with a drift that vanishes there."""
    walls = fpk.Boundary("no_flux", -1.0, 1.0)
    problem = fpk.Problem("2*sin(pi*x)", 0.7, initial=fpk.Gaussian(0.1, 0.12), boundary=walls)
    grid = fpk.solve(problem, fpk.Grid(-1, 1, cells=96), times=[1.0])
    panel, draw = panel_of(grid), ensemble(problem)
    return (
        known("grid | particles", grid, draw, panel),
        twins(draw, panel),
        ladder(ensemble(problem, steps=8, levels=3), panel),
    )


def ring() -> tuple[Pair, ...]:
    """Driven around a ring."""
    circle = fpk.Boundary("periodic", -np.pi, np.pi)
    problem = fpk.Problem("1.5 + sin(x)", 0.7, initial=fpk.Gaussian(0.0, 0.4), boundary=circle)
    grid = fpk.solve(problem, fpk.Grid(-np.pi, np.pi, cells=128), times=[0.5, 1.0])
    draw = ensemble(problem, times=(0.5, 1.0))
    panel, both = panel_of(grid), two_time_panel({t: grid.law(t) for t in (0.5, 1.0)})
    return (
        known("grid | particles", grid, draw, panel),
        twins(draw, panel),
        known("two times, grid", grid, draw, both),
    )


# -- in the plane ------------------------------------------------------------------------------------------------------


def correlated() -> tuple[Pair, ...]:
    """Correlated coordinates, on slices."""
    start = fpk.Gaussian([1.0, -0.5], covariance=[[0.4, 0.3], [0.3, 0.5]])
    drift = fpk.Linear(np.array([[-1.0, 0.5], [0.2, -0.8]]))
    problem = fpk.Problem(drift, 1.0, initial=start, noise_covariance=[[1.0, 0.9], [0.9, 1.0]])
    law, draw = fpk.exact(problem, times=[1.0]), ensemble(problem, steps=8)
    angles = np.pi * np.arange(8) / 8
    slices = panel_of(law, directions=np.stack([np.cos(angles), np.sin(angles)], axis=1), degree=3)
    exact = ensemble(problem, steps=16, scheme=ExactTransition())
    return (
        known("slices, exact", law, exact, slices),
        twins(draw, panel_of(law), "axes, other seed"),
        coupled("coupled, exact transition", draw, exact, panel_of(law)),
    )


def rotation(rate: float) -> fpk.Problem:
    """DX = A X dt + dW with a rotation, whose marginals do not depend on its sign."""
    matrix = np.array([[-1.0, -rate], [rate, -1.0]])
    return fpk.Problem(fpk.Linear(matrix), 2**0.5, initial=fpk.Gaussian([0.0, 0.0], 1.0))


TURNING, TURNED = 2.0, (0.3, 0.8)


def rotating() -> tuple[Pair, ...]:
    """A rotating plane, at two times."""
    problem = rotation(TURNING)
    law, draw = fpk.exact(problem, times=TURNED), ensemble(problem, steps=8, times=TURNED)
    both = two_time_panel({t: law.law(t) for t in TURNED})
    dynkin = dynkin_panel(problem, {TURNED[0]: law.law(TURNED[0])}, degree=1)
    return (
        known("two times, exact", law, draw, both),
        twins(draw, both, "two times, other seed"),
        vanishing("Dynkin", ensemble(problem, steps=4, times=TURNED[:1]), dynkin),
    )


PROBLEMS: dict[str, Callable[[], tuple[Pair, ...]]] = {
    "off centre": off_centre,
    "narrow start": narrow_start,
    "moving coefficients": moving,
    "double well": well,
    "noising": noising,
    "reversal": reversal,
    "variance exploding": exploding,
    "geometric": geometric,
    "between walls": walled,
    "ring": ring,
    "correlated plane": correlated,
    "rotating plane": rotating,
}


@lru_cache(maxsize=len(PROBLEMS))
def pairs(problem: str) -> tuple[Pair, ...]:
    """The pairs of a problem, made once."""
    return PROBLEMS[problem]()
