"""The instruments themselves: schemes, laws of discretisations, walls, moments and independent particles, each held against a closed form."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

import fpk
from fpk.closed_form import euler_chain
from fpk.fokker_planck.discretisation import ACCURATE
from fpk.fokker_planck.solutions import GridMarginals
from fpk.independence import Correlations
from fpk.laws import Array, TabulatedLaw
from fpk.marginals import Vanishing
from fpk.study import Evidence, Size, evidence, order_evidence, study

from ._systems import BOX, DATA, WALLS, boxed, on_grid, walled

WARMING = fpk.Problem(fpk.Linear(lambda t: -1.0), lambda t: 0.6 + 1.2 * t, initial=DATA, name="growing noise")
FOUR = 4


def _warming(shift: float, variance: float, last: bool) -> fpk.Problem:
    """The process with coefficients read ``shift`` late, a factor on g², and perhaps nothing in the last of four steps."""

    def on(t: float) -> float:
        return 1.0 if last or t < 1 - 1 / FOUR - 1e-9 else 0.0

    drift = fpk.Linear(lambda t: -on(t))
    return fpk.Problem(drift, lambda t: on(t) * variance**0.5 * (0.6 + 1.2 * min(t + shift, 1.0)), initial=DATA)


@study(
    "core.discrete-law",
    variants={
        "stated": (0.0, 1.0, True),
        "right end for left end": (1 / FOUR, 1.0, True),
        "last step skipped": (0.0, 1.0, False),
        "g² + 5 %": (0.0, 1.05, True),
    },
)
def discrete_law(variant: tuple[float, float, bool], case: str, size: Size, seed: int) -> Evidence:
    """Particles with four steps against the four-step recursion of mean and variance: no time-step budget is needed."""
    run = fpk.simulate(_warming(*variant), particles=size.particles(700_000), steps=FOUR // 2, times=[1.0], seed=seed)
    return evidence(run, euler_chain(WARMING, steps=FOUR, times=[1.0]))


@study("core.independence", variants={"stated": 0.0, "noise shared by halves": 1.0, "noise shared + 5 %": 0.05})
def independent_particles(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Correlations over the particle index at lags 1, 2, 4, ..., n/2; the controls mix a neighbour's, or the other half's, position in."""
    run = fpk.simulate(WARMING, particles=size.particles(2**18), steps=3, times=[1.0], seed=seed)
    x = run.fine
    if variant == 1.0:
        x = np.concatenate([x[:, : x.shape[1] // 2]] * 2, axis=1)
    elif variant:
        x = np.sqrt(1 - variant**2) * x + variant * np.roll(x, 1, axis=1)
    base = fpk.law_panel({1.0: fpk.exact(WARMING, times=[1.0]).law(1.0)}, degree=1)
    lags = tuple(2**k for k in range(int(np.log2(run.particles))))
    correlations = Correlations(replace(run, positions=x[None]), base, lags=lags)
    panel = correlations.panel
    return Evidence(correlations.expect(panel), Vanishing().expect(panel), panel.names, {}, panel.digest)


#: Slope a, shift b and a factor on g² of dX = (a(t) X + b) dt + g(t) dW, as the grid reads them.
LINEAR = {
    "stated": (1.0, 1.0, 1.0),
    "drift sign": (-1.0, 1.0, 1.0),
    "shift dropped": (1.0, 0.0, 1.0),
    "½ missing on g²": (1.0, 1.0, 2.0),
    "g² + 1 %": (1.0, 1.0, 1.01),
}


def _linear(slope: float, shift: float, variance: float) -> fpk.Problem:
    drift = fpk.Linear(lambda t: -slope * (1 + 0.5 * t), lambda t: 0.6 * shift)
    return fpk.Problem(drift, lambda t: variance**0.5 * (1.3 - 0.5 * t), initial=DATA)


@study("core.moments", variants=LINEAR)
def moment_equations(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    exact = fpk.exact(_linear(*LINEAR["stated"]), times=[0.5, 1.0])
    return evidence(on_grid(walled(_linear(*variant)), size, times=[0.5, 1.0]), exact)


ALPHA_SIGMA = fpk.AffineSchedule(lambda t: 1 / (1 + t), lambda t: t / (1 + t) ** 0.5)


@study("core.affine-schedule", variants={"stated": 1.0, "½ missing on g²": 2.0, "½ extra on g²": 0.5, "g² + 1 %": 1.01})
def affine_schedule(variant: float, case: str, size: Size, seed: int) -> Evidence:
    claimed = fpk.exact(fpk.noising(ALPHA_SIGMA, DATA), times=[0.4, 0.8])
    problem = boxed(
        fpk.Linear(ALPHA_SIGMA.drift_rate), lambda t: variant**0.5 * ALPHA_SIGMA.diffusion(t), initial=DATA, horizon=0.8
    )
    return evidence(on_grid(problem, size, times=[0.4, 0.8]), claimed)


def _between_mirrors(t: float, start: float, std: float) -> TabulatedLaw:
    """Brownian motion from N(start, std²) between mirrors at ±1: the sum over its images."""
    x = np.linspace(-1.0, 1.0, 2001)
    images = [(-1) ** k * start + 2 * k for k in range(-6, 7)]
    variance = std**2 + t
    return TabulatedLaw(x, np.log(sum(np.exp(-0.5 * (x - c) ** 2 / variance) for c in images)), reliable=np.inf)


@study(
    "core.walls",
    variants={
        "stated": ("no_flux", 1.0),
        "absorbing": ("absorbing", 1.0),
        "periodic": ("periodic", 1.0),
        "g² + 2 %": ("no_flux", 1.02),
    },
)
def reflecting_walls(variant: tuple[str, float], case: str, size: Size, seed: int) -> Evidence:
    kind, variance = variant
    walls = fpk.Boundary(kind, -1.0, 1.0)  # type: ignore[arg-type]
    problem = fpk.Problem(0.0, variance**0.5, initial=fpk.Gaussian(0.3, 0.08), boundary=walls, horizon=0.2)
    times = [0.1, 0.2]
    mirrored = fpk.LawMarginals({t: _between_mirrors(t, 0.3, 0.08) for t in times}, tuple(times), source="images")
    return evidence(on_grid(problem, size, times=times, cells=64), mirrored)


@study("core.positive-scheme", variants={"stated": 1.0, "½ missing on g²": 2.0, "½ extra on g²": 0.5, "g² + 5 %": 1.05})
def positive_scheme(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Scharfetter–Gummel with backward Euler: first order in time, never negative."""
    claimed = fpk.exact(WARMING, times=[1.0])
    problem = boxed(WARMING.drift, lambda t: variant**0.5 * (0.6 + 1.2 * t), initial=DATA)

    def level(k: int) -> GridMarginals:
        grid = fpk.Grid(*BOX, cells=size.cells(96) * k)
        return fpk.solve(problem, grid, times=[1.0], steps=size.cells(160) * k, positive=True)

    return evidence(fpk.refine(level), claimed)


VP = fpk.VPSchedule(0.4, 2.4)
VP_FORWARD = fpk.noising(VP, DATA)


@study("core.flow-density", variants={"stated": 1.0, "½ extra": 0.5, "a tenth too much": 1.1, "score + 2 %": 1.02})
def density_along_a_flow(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Densities traced back along the probability flow, with the divergence integrated on the way."""
    exact = fpk.exact(VP_FORWARD, times=[1.0])
    flow = fpk.probability_flow(VP_FORWARD, lambda x, t: variant * exact.score(x, t))

    def level(k: int) -> GridMarginals:
        run = fpk.solve(flow, fpk.Grid(*BOX, cells=size.cells(88) * k), times=[1.0], steps=size.cells(8) * k)
        return GridMarginals(run.grid, run.times, run.densities, run.order, run.floor, f"densities of a {run.source}")

    return evidence(fpk.refine(level), exact)


#: Steps of the coarsest level and number of levels.
COARSEST, LEVELS = 8, 6


@lru_cache(maxsize=2 * LEVELS)
def _errors(route: str, steps: int) -> float:
    """Signed error of E X² at t = 1, cells fixed and fine."""
    exact = fpk.exact(VP_FORWARD, times=[1.0])
    law = exact.law(1.0).projected(np.ones(1))
    second = float(law.covariance[0, 0] + law.mean[0] ** 2)  # type: ignore[attr-defined]
    if route == "grid":
        walled, grid = replace(VP_FORWARD, boundary=WALLS), fpk.Grid(*BOX, cells=288)
        run = fpk.solve(walled, grid, times=[1.0], steps=steps, scheme=ACCURATE)
        x, weights = run.grid.centers, run.density(1.0) * run.grid.spacing
    else:
        flow = fpk.solve(
            fpk.probability_flow(VP_FORWARD, exact.score), fpk.Grid(*BOX, cells=288), times=[1.0], steps=steps
        )
        x, weights = flow.positions[0], flow.weights  # type: ignore[attr-defined]
    return float(weights @ x**2) - second


@study("core.time-order", variants={"stated": 4.0, "order 3": 3.0, "order 5": 5.0}, cases=("grid", "flow"))
def time_order(variant: float, case: str, size: Size, seed: int) -> Evidence:
    steps = COARSEST * 2 ** np.arange(LEVELS)
    errors: Array = np.array([_errors(case, int(n)) for n in steps])
    floor = 3e-11 if case == "grid" else 1e-13
    return order_evidence(errors, 1 / steps, variant, floor=floor, source=f"errors of E X² at t = 1, {case}")
