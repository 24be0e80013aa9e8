"""The one-dimensional grid's schemes: their orders on manufactured solutions, and the pieces they are made of.

Schemes are discovered in ``fpk.fokker_planck.discretisation``: a new constant there is a new claim here.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.fokker_planck import discretisation
from fpk.fokker_planck.characteristics import log_density, pushed
from fpk.fokker_planck.conservative import conservative_flow
from fpk.fokker_planck.discretisation import Scheme
from fpk.fokker_planck.exponentials import Exponential
from fpk.fokker_planck.fluxes import bernoulli
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.problems import manufactured
from fpk.study import Claim, Evidence, Size, order_evidence, study
from fpk.verdict import Outcome

from ._traces import kept

C, R = Outcome.CONFIRMED, Outcome.REFUTED
SCHEMES = {name: value for name, value in vars(discretisation).items() if isinstance(value, Scheme)}
#: What is added to the declared order, and a factor on g².
CONTROLS = {
    "stated": (0, 1.0),
    "one order too high": (1, 1.0),
    "one order too low": (-1, 1.0),
}
#: The factor of a scheme of first order is larger, so that it shows at its finest level.
NEAR_MISSES = {True: ("g² + 5 %", 1.05), False: ("g² + 1 %", 1.01)}
CURVES = {"walls": "between_walls", "ring": "around_a_ring", "line": "on_the_line"}
MODES = {"walls": "modes_between_walls", "ring": "modes_around_a_ring"}
BOX = (-8.0, 8.0)
#: Cells of the levels, refined together with the steps, where steps err and where they hardly do; on the line there are four times as many.
BOTH, BOTH_COARSE = (32, 40, 48, 64, 80, 96, 128), (20, 24, 32, 40, 48)
#: Where the steps begin to show their order late: half as many steps as cells in place of an eighth.
SHORT_STEPS = {("Magnus-4", "walls"), ("Magnus-4", "ring"), ("backward Euler", "line")}
#: Cells of the levels with steps refined so fast that what is left falls like the error of the cells.
CELLS, FEWEST_STEPS = (24, 32, 40, 48, 64), 64
#: Steps of the levels on these cells.
STEPS_CELLS = 24
STEPS = {
    "backward Euler": (8, 16, 32, 64, 128, 256),
    "TR-BDF2": (8, 16, 32, 64, 128),
    "ESDIRK4": (4, 8, 16, 32, 64),
    "Magnus-4": (8, 16, 32, 64, 128),
    "exponential": (1, 2, 3, 4),
}
#: Errors are at least this wrong: round-off of masses; of the witness in time, and of the rational approximation of the exponential.
ROUNDING, WITNESS = 2e-14, 1e-13


@lru_cache(maxsize=32)
def _made(name: str, variance: float) -> manufactured.Manufactured:
    made = getattr(manufactured, name)()
    return made if variance == 1.0 else made.misread(variance)


def _error(name: str, variance: float, scheme: Scheme, cells: int, steps: int) -> float:
    """The distance to the manufactured density at t = 1."""
    made = _made(name, variance)
    walls = made.problem.boundary
    ends = BOX if walls.kind == "open" else (walls.lower, walls.upper)
    grid = fpk.Grid(*ends, cells=cells)
    got = fpk.solve(made.problem, grid, times=[1.0], steps=steps, scheme=scheme).density(1.0)
    return _distance(got, made.density(grid.centers, 1.0), grid)


def _distance(p: Array, q: Array, grid: fpk.Grid) -> float:
    """In the mean square: a norm without corners, whose midpoint sum is as smooth in the spacing as the error itself."""
    return float(np.sqrt((p - q) ** 2 @ grid.widths))


@lru_cache(maxsize=32)
def _semidiscrete(name: str, flux: Any, cells: int) -> Array:
    """The solution of p' = A(t) p at t = 1 by scipy's eighth-order explicit Runge–Kutta method: a witness for the steps alone."""
    from scipy.integrate import solve_ivp

    made = _made(name, 1.0)
    grid = fpk.Grid(0.0, 1.0, cells=cells)
    rates = flux.rates(made.problem, grid)
    start = made.density(grid.centers, 0.0)
    return solve_ivp(lambda t, p: rates(t).applied(p), (0, 1), start, "DOP853", rtol=1e-13, atol=1e-14).y[:, -1]


def _step_error(name: str, variance: float, scheme: Scheme, cells: int, steps: int) -> float:
    """The distance to the semidiscrete solution at t = 1."""
    grid = fpk.Grid(0.0, 1.0, cells=cells)
    problem = _made(name, variance).problem
    got = fpk.solve(problem, grid, times=[1.0], steps=steps, scheme=scheme).density(1.0)
    return _distance(got, _semidiscrete(name, scheme.flux, cells), grid)


@lru_cache(maxsize=64)
def _levels(scheme: Scheme, case: str, variance: float) -> tuple[float, Array, Array, float]:
    """Declared order, step sizes, errors and their floor, coarse to fine."""
    where, _, what = case.partition(", ")
    one_clock = isinstance(scheme.method, Exponential)
    name = (MODES if one_clock else CURVES)[where]
    floor = WITNESS if one_clock or what == "steps" else ROUNDING
    if what == "steps":
        steps = STEPS[scheme.method.name]
        errors = [_step_error(name, variance, scheme, STEPS_CELLS, n) for n in steps]
        return scheme.method.order, 1 / np.array(steps), np.array(errors), floor
    if what == "cells":
        power = scheme.flux.order / scheme.method.order
        order, levels = scheme.flux.order, BOTH_COARSE if one_clock else CELLS
        plan = [(n, round(FEWEST_STEPS * (n / CELLS[0]) ** power)) for n in levels]
    else:
        wide, share = 4 if where == "line" else 1, 2 if (scheme.method.name, where) in SHORT_STEPS else 8
        levels = BOTH_COARSE if one_clock else BOTH
        plan, order = [(n * wide, n // share) for n in levels], scheme.order
    return order, 1 / np.array(levels), np.array([_error(name, variance, scheme, *p) for p in plan]), floor


def _cases(scheme: Scheme) -> tuple[str, ...]:
    """Where the scheme can be asked: an exponential needs one clock, and has no error of its steps where the spectrum is real."""
    if isinstance(scheme.method, Exponential):
        return ("walls, both", "ring, both", "walls, cells", "ring, cells", "ring, steps")
    return ("walls, both", "ring, both", "line, both", "walls, cells", "ring, cells", "walls, steps")


def _order_study(name: str, scheme: Scheme) -> None:
    """Register the study of one scheme's orders."""

    def orders(variant: tuple[int, float], case: str, size: Size, seed: int) -> Evidence:
        more, variance = variant
        order, steps, errors, floor = _levels(scheme, case, variance)
        source = f"mean square errors of {scheme}, {case}"
        return order_evidence(errors, steps, order + more, floor=floor, source=source)

    miss, factor = NEAR_MISSES[scheme.order < 2]
    orders.__name__ = f"orders_{name.lower()}"
    study(
        _claim_id(name),
        variants=CONTROLS | {miss: (0, factor)},
        cases=_cases(scheme),
        applies=lambda variant, case: variant != miss or case.endswith("both"),
    )(orders)


def _claim_id(name: str) -> str:
    return f"grid1d.mms-{name.lower().replace('_', '-')}"


def _order_claim(name: str, scheme: Scheme) -> Claim:
    miss = NEAR_MISSES[scheme.order < 2][0]
    return Claim(
        _claim_id(name),
        "order",
        f"The scheme {scheme} has its declared orders in cells, in steps and in both together, up to walls and around rings.",
        r"\|p_{h,\tau}-p\| = O(h^{q}) + O(\tau^{r})",
        "Method of manufactured solutions, Roache (2002)",
        {"stated": C, "one order too high": R, "one order too low": R, miss: R},
        {
            "one order too high": "one more than the scheme declares",
            "one order too low": "one less than the scheme declares",
            miss: "a noise variance that is too large by this: errors stop to fall",
        },
        "Densities resolved; with no-flux walls the drift vanishes there and the density is even about them.",
    )


for _name, _scheme in SCHEMES.items():
    _order_study(_name, _scheme)


# -- the pieces --------------------------------------------------------------------------------------------------------


def _bernoulli_exactly(z: float) -> float:
    """z/(e^z − 1) in 400 decimal digits."""
    with localcontext() as digits:
        digits.prec, digits.Emin, digits.Emax = 400, -(10**6), 10**6
        exact = Decimal(z)
        return float(exact / (exact.exp() - 1)) if z else 1.0


@study(
    "grid1d.bernoulli",
    variants={
        "stated": bernoulli,
        "sign of z": lambda z: bernoulli(-z),
        "without expm1": lambda z: np.where(np.abs(z) < 1e-8, 1 - z / 2, z / (np.exp(z) - 1 + 1e-300)),
        "z + 1 %": lambda z: bernoulli(1.01 * z),
        "z + 0.0000001 %": lambda z: bernoulli((1 + 1e-9) * z),
    },
)
def bernoulli_function(variant: Callable[[Array], Array], case: str, size: Size, seed: int) -> Evidence:
    """Relative errors at 0 and at |z| from 1e-300 to 700, against decimal arithmetic."""
    z = np.unique(np.concatenate([10.0 ** np.arange(-300, 3, 12), 10.0 ** np.arange(-9, 3, 0.25), [500.0, 700.0]]))
    z = np.concatenate([-z[::-1], [0.0], z])
    exact = np.array([_bernoulli_exactly(float(value)) for value in z])
    first = fpk.residual(variant(z) / exact - 1, 0.0, proven=True, source="relative errors of B")
    return Evidence(first, zero_estimate(len(z)), tuple(f"{value:.2g}" for value in z))


@study(
    "grid1d.one-step",
    variants={
        "stated": (1.0, False),
        "clock + 1 %": (1.01, False),
        "clock + 0.000001 %": (1 + 1e-8, False),
        "transposed": (1.0, True),
    },
    cases=("walls", "ring"),
)
def one_step(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    """The stored time against the exponential of the dense rate matrix; on the ring, where one step is not enough, with 24."""
    from scipy.linalg import expm

    factor, transposed = variant
    made = _made(MODES[case], 1.0)
    grid = fpk.Grid(0.0, 1.0, cells=48)
    rates = discretisation.EXACT_IN_TIME.flux.rates(made.problem, grid)(0.0)
    A = np.stack([rates.applied(column) for column in np.eye(grid.cells)], axis=1)
    clock = {"walls": 1.5, "ring": 1.0}[case]
    exact = expm(factor * clock * (A.T if transposed else A)) @ made.density(grid.centers, 0.0)
    got = fpk.solve(made.problem, grid, times=[1.0], steps=24, scheme=discretisation.EXACT_IN_TIME).density(1.0)
    names = tuple(f"p({x:.3g})" for x in grid.centers)
    return Evidence(fpk.residual(got - exact, WITNESS, source="one step less scipy's expm"), zero_estimate(48), names)


def _ou(t: float) -> tuple[float, float]:
    """Mean and standard deviation of the Ornstein–Uhlenbeck process below."""
    return 0.8 * np.exp(-t), float((0.25 * np.exp(-2 * t) - 0.72 * np.expm1(-2 * t)) ** 0.5)


OU = fpk.problems.ornstein_uhlenbeck(rate=1.0, diffusion=1.2, initial=fpk.Gaussian(0.8, 0.5))


@study(
    "grid1d.flow",
    variants={"stated": 1.0, "½ extra": 0.5, "score + 2 %": 1.02, "score + 0.00001 %": 1 + 1e-7},
    cases=("density", "expectations"),
)
def probability_flow(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Densities at 33 points, or the mean and the second to fourth moments, less the closed form; the budget is the last change of the steps."""
    flow = fpk.probability_flow(OU, lambda x, t: variant * (_ou(t)[0] - x) / _ou(t)[1] ** 2)
    x, (mean, std) = np.linspace(-2.5, 3.2, 33), _ou(1.0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)

    def level(steps: int) -> Array:
        if case == "density":
            exact = np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * (2 * np.pi) ** 0.5)
            return np.exp(log_density(flow, x, 1.0, steps)) - exact
        grid = fpk.Grid(-5.0, 6.6, cells=160)
        mass = OU.initial.density(grid.centers[:, None]) * grid.widths
        arrived = pushed(flow, grid.centers, (1.0,), steps)[0]
        moments = [arrived**k @ mass - (mean + std * nodes) ** k @ weights / weights.sum() for k in range(1, 5)]
        return np.array(moments)

    steps = 48 if case == "density" else 96
    coarse, fine = level(size.cells(steps)), level(size.cells(2 * steps))
    bound = np.abs(fine - coarse).max() / 12 + 1e-12
    names = tuple(f"p({at:.3g})" for at in x) if case == "density" else tuple(f"E X^{k}" for k in range(1, 5))
    return Evidence(fpk.residual(fine, bound, coarser=coarse, source=f"flow, {case}"), zero_estimate(len(fine)), names)


#: A flow whose characteristics come from infinity within a finite time.
SQUEEZED = fpk.Problem("x - x**3", 0, initial=fpk.Gaussian(0.1, 0.9), name="squeezed")


@study(
    "grid1d.conservative-mass",
    variants={
        "stated": 1.0,
        "means for levels": None,
        "a cell's mass + 1 %": 1.01,
        "a cell's mass + 0.0000001 %": 1 + 1e-9,
    },
    cases=("line", "ring"),
)
def conservative_mass(variant: float | None, case: str, size: Size, seed: int) -> Evidence:
    """∫ p − 1 at five times; the controls change one cell, or take densities traced back to the centres."""
    ring = fpk.Boundary("periodic", 0.0, 1.0)
    turning = fpk.Problem("(3 + cos(2*pi*x))/2", 0, initial=fpk.Gaussian(0.5, 0.06), boundary=ring)
    problem, grid = (SQUEEZED, fpk.Grid(-8, 8, cells=64)) if case == "line" else (turning, fpk.Grid(0, 1, cells=40))
    times = [0.2, 0.4, 0.6, 0.8, 1.0]
    if variant is None:
        inner = grid.centers[np.abs(grid.centers) < 1.05]
        traced = [log_density(problem, inner, t, round(64 * t / times[-1])) for t in times]
        mass = np.array([np.exp(logs).sum() * grid.spacing for logs in traced])
    else:
        masses = conservative_flow(problem, grid, times=times).masses
        masses[:, np.argmax(masses, axis=1)] *= variant
        mass = masses.sum(axis=1)
    names = tuple(f"mass at {t:g}" for t in times)
    charts = (kept(np.array(times), {"stated": mass - 1}, {}),)
    return Evidence(
        fpk.residual(mass - 1, ROUNDING, source="mass of the cells"), zero_estimate(5), names, charts=charts
    )


CLAIMS = (
    *(_order_claim(name, scheme) for name, scheme in SCHEMES.items()),
    Claim(
        "grid1d.bernoulli",
        "identity",
        "The Bernoulli function of the exponentially fitted flux is right to round-off, through zero and up to |z| = 700.",
        r"B(z) = \frac{z}{e^z-1},\quad B(0)=1",
        "Scharfetter and Gummel (1969)",
        {"stated": C, "sign of z": R, "without expm1": R, "z + 1 %": R, "z + 0.0000001 %": R},
        {
            "sign of z": "B(−z)",
            "without expm1": "e^z − 1 by subtraction",
            "z + 1 %": "the argument is 1 % too large",
            "z + 0.0000001 %": "the argument is 1e-9 too large",
        },
    ),
    Claim(
        "grid1d.one-step",
        "identity",
        "Where drift and diffusivity share one clock, the grid's solution is the exponential of its rate matrix.",
        r"A(t)=c(t)A \;\Rightarrow\; p_t = \exp\Bigl(\int_0^t c\;A\Bigr)p_0",
        "Cody, Meinardus and Varga (1969); Higham (2008), Functions of Matrices",
        {"stated": C, "clock + 1 %": R, "clock + 0.000001 %": R, "transposed": R},
        {
            "clock + 1 %": "the clock runs 1 % too fast",
            "clock + 0.000001 %": "the clock runs 1e-8 too fast",
            "transposed": "the generator of the backward equation",
        },
    ),
    Claim(
        "grid1d.flow",
        "identity",
        "The probability flow of an Ornstein–Uhlenbeck process, followed along characteristics, has its densities and moments to 1e-8.",
        r"\dot x = f - \tfrac12 g^2\nabla\log p_t \;\Rightarrow\; X_t\sim p_t",
        "Song et al. (2021), section 4.3",
        {"stated": C, "½ extra": R, "score + 2 %": R, "score + 0.00001 %": R},
        {
            "½ extra": "the score enters with half its weight",
            "score + 2 %": "the score is 2 % too large",
            "score + 0.00001 %": "the score is 1e-7 too large",
        },
    ),
    Claim(
        "grid1d.conservative-mass",
        "identity",
        "Masses of cells between faces that are traced back conserve mass to round-off, however strong the compression.",
        r"\sum_i \bigl[F_0(y_{i+1}) - F_0(y_i)\bigr] = 1",
        "Telescoping sum",
        {"stated": C, "means for levels": R, "a cell's mass + 1 %": R, "a cell's mass + 0.0000001 %": R},
        {
            "means for levels": "densities traced back to the centres of cells, times widths",
            "a cell's mass + 1 %": "the fullest cell holds 1 % more",
            "a cell's mass + 0.0000001 %": "the fullest cell holds 1e-9 more",
        },
    ),
)
