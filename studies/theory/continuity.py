r"""Densities that are carried along: the continuity equation ∂_t p + ∇·(v p) = 0, fluxes, and whether an equation has one solution only.

    x ↦ x + h f:  p_X = p_φ + h ∇·(f p_φ) + O(h²),     det(I + h ∂f) = 1 + h ∇·f + O(h²),     ∂_t p = −∂_x F,   F = f p − ½ g² ∂_x p.

The truth is what happens to points: changes of variables, masses between two places, crossings of a place, laws of processes by their paths.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import ndtr

import fpk
from fpk.fokker_planck.characteristics import divergence
from fpk.fokker_planck.first_passage import first_passage
from fpk.laws import Array, central_derivative
from fpk.marginals import zero_estimate
from fpk.study import Evidence, Size, study

from .._limits import limit_evidence
from .._systems import DATA, constant_law
from ._continuity_claims import CONTINUITY
from ._motions import FLOWS, LATE, MOTIONS, PLACES, WHERE
from ._rates import Lattice, on_two_grids, two_levels, wave_names, waves

CLAIMS = CONTINUITY
AT = tuple(f"x = {place:g}" for place in PLACES)

# -- one step without noise --------------------------------------------------------------------------------------------------


def _jacobian(case: str, x: Array) -> Array:
    """∂f_i/∂x_j by differences, shape (n, d, d)."""
    f, axes = MOTIONS[case].drift, np.eye(x.shape[1])
    columns = [central_derivative(lambda h, e=e: f(x + h * e, 0.0), np.zeros(1), 5e-3) for e in axes]
    return np.stack(columns, axis=2)


def _moved_density(case: str, y: Array, h: float) -> Array:
    """The density of X + h f(X), X from the data, by inverting the map."""
    z = y
    for _ in range(10):
        z = y - h * MOTIONS[case].drift(z, 0.0)
    volume = np.linalg.det(np.eye(y.shape[1]) + h * _jacobian(case, z))
    return MOTIONS[case].initial.density(z) / np.abs(volume)


#: Weights of f·∇p and of p ∇·f.
PUSHED = {
    "stated": (1.0, 1.0),
    "sign": (-1.0, -1.0),
    "div f dropped": (1.0, 0.0),
    "gradient dropped": (0.0, 1.0),
    "½ extra": (0.5, 0.5),
    "f + 1 %": (1.01, 1.01),
}


@study("S2.E20-21", variants=PUSHED, cases=("d = 1", "d = 2"))
def pushed_density(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """(p_X − p_φ)/h − ∇·(f p_φ) as h → 0."""
    y, problem = WHERE[case], MOTIONS[case]
    f, spread = problem.drift(y, 0.0), divergence(problem, y, 0.0)

    def left_over(h: float) -> Array:
        after = _moved_density(case, y, h)
        along = central_derivative(lambda s: _moved_density(case, y + s * f, h), np.zeros(1), 5e-3)
        return (problem.initial.density(y) - after) / h - variant[0] * along - variant[1] * after * spread

    names = tuple(f"x = {place.tolist()}" for place in y)
    return limit_evidence(left_over, np.zeros(len(y)), step=0.01, names=names, source="change of variables")


#: ∇·f and other numbers made of the matrix ∂f.
TRACES: dict[str, Callable[[Array], Array]] = {
    "stated": lambda J: np.trace(J, axis1=1, axis2=2),
    "sign": lambda J: -np.trace(J, axis1=1, axis2=2),
    "all entries": lambda J: J.sum((1, 2)),
    "det ∂f": np.linalg.det,
    "f + 1 %": lambda J: 1.01 * np.trace(J, axis1=1, axis2=2),
}


def _written_out(case: str) -> Array:
    """∂f at the places again, from formulas."""
    x = WHERE[case].T
    o = np.zeros_like(x[0])
    if case == "d = 1":
        rows: list[list[Array]] = [[2 * np.cos(2 * x[0]) - 0.5]]
    elif case == "d = 2":
        rows = [[o + 0.4, np.cos(x[1])], [-1 - np.sin(x[0]) * x[1], np.cos(x[0])]]
    else:
        rows = [[x[2], np.cos(x[1]), x[0]], [o - 1, x[1], o], [-np.sin(x[0]), x[2], x[1] - 1]]
    return np.moveaxis(np.array(rows), 2, 0)


@study(
    "S2.P-det",
    variants=TRACES,
    cases=tuple(MOTIONS),
    applies=lambda variant, case: case != "d = 1" or variant not in ("all entries", "det ∂f"),
)
def determinant(variant: Callable[[Array], Array], case: str, size: Size, seed: int) -> Evidence:
    """The volume of small boxes moved by x + h f, as h → 0."""
    x = WHERE[case]
    J = _jacobian(case, x)
    names = tuple(f"x = {place.tolist()}" for place in x)
    return limit_evidence(
        lambda h: (np.linalg.det(np.eye(x.shape[1]) + h * J) - 1) / h, variant(_written_out(case)),
        step=0.02, names=names, source="determinants of the moved boxes",
    )  # fmt: skip


# -- the continuity equation -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _carried(case: str, level: int, size: Size) -> tuple[Lattice, Array, Array]:
    """Lattice, density at :data:`LATE`, and its rate by differences in time."""
    half, cells, _, density, _ = FLOWS[case]
    lattice = Lattice(half, size.cells(cells) * level, 2 if case == "in the plane" else 1)
    x = lattice.points
    slope = central_derivative(lambda t: density(x, float(t), level), np.array(LATE), 0.04 / level)
    return lattice, density(x, LATE, level), slope


#: Weights of v·∇p and p ∇·v.
CARRIED = {
    "stated": (1.0, 1.0),
    "sign": (-1.0, -1.0),
    "v outside": (1.0, 0.0),
    "div v alone": (0.0, 1.0),
    "½ extra": (0.5, 0.5),
    "v + 1 %": (1.01, 1.01),
}


@study("S2.E22", variants=CARRIED, cases=tuple(FLOWS))
def continuity_equation(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    along, inside = variant
    velocity, vectors = FLOWS[case][2], FLOWS[case][4]

    def residual_at(level: int) -> Array:
        lattice, p, rate = _carried(case, level, size)
        v = velocity(lattice.points)
        slope = sum((v[:, i] * lattice.derivative(p, i) for i in range(lattice.dimension)), np.zeros(len(p)))
        spread = lattice.divergence(v * p[:, None]) - slope
        return lattice.integrals(waves(vectors), rate + along * slope + inside * spread)

    return two_levels(residual_at, names=wave_names(vectors), source=f"density carried by points, {case}")


# -- fluxes ------------------------------------------------------------------------------------------------------------------

EARLY, SPAN = 0.15, 0.3
ENDS = np.array([[-1.6, -0.6], [-0.4, 0.8], [0.5, 1.4], [1.2, 2.6]])
BLURRED = fpk.Problem(fpk.Linear(-1.0, 0.4), lambda t: 0.7 + 0.4 * t, initial=DATA, name="blurred data")
WAVY = fpk.Problem("sin(2*x) - 0.5*x", "0.7 + 0.2*sin(x)", initial=DATA, name="wavy noise")


def _exact_flux(nodes: Array, level: int, size: Size) -> tuple[Array, Array]:
    """Change of P(X ≤ x) over the interval, and F at the nodes, at the ends of :data:`ENDS`."""
    laws = fpk.exact(BLURRED, times=[EARLY, EARLY + SPAN])
    x = ENDS.reshape(-1, 1)
    below = laws.law(EARLY + SPAN).cdf(x[:, 0]) - laws.law(EARLY).cdf(x[:, 0])
    F = [
        np.exp(laws.law(t).log_density(x)) * (0.4 - x - 0.5 * (0.7 + 0.4 * t) ** 2 * laws.score(x, t))[:, 0]
        for t in nodes
    ]
    return below, np.array(F)


def _grid_flux(nodes: Array, level: int, size: Size) -> tuple[Array, Array]:
    """The same for the density of a grid."""
    grid, x = fpk.Grid(-5.0, 6.0, cells=size.cells(128) * level), ENDS.ravel()
    solved = fpk.solve(WAVY, grid, times=[EARLY, *nodes, EARLY + SPAN])
    below = solved.cdf(x, EARLY + SPAN) - solved.cdf(x, EARLY)

    def flux(t: float) -> Array:
        spread = central_derivative(lambda y: (0.7 + 0.2 * np.sin(y)) ** 2 * solved.density_on(y, t), x, 2e-2)
        return (np.sin(2 * x) - 0.5 * x) * solved.density_on(x, t) - 0.5 * spread

    return below, np.array([flux(float(t)) for t in nodes])


@lru_cache(maxsize=8)
def _fluxes(case: str, level: int, size: Size) -> tuple[Array, Array]:
    """Change of the masses between the ends, and the integrals over time of F at both of them, shape (intervals, 2)."""
    u, w = np.polynomial.legendre.leggauss(4 + 3 * level)
    below, F = {"exact law": _exact_flux, "grid": _grid_flux}[case](EARLY + SPAN * (1 + u) / 2, level, size)
    change = below.reshape(-1, 2)
    return change[:, 1] - change[:, 0], (w @ F * SPAN / 2).reshape(-1, 2)


#: Weights of the flux through the lower and the upper end.
BALANCES = {
    "stated": (1.0, -1.0),
    "outwards": (-1.0, 1.0),
    "both inwards": (1.0, 1.0),
    "lower end only": (1.0, 0.0),
    "½ extra": (0.5, -0.5),
    "F + 1 %": (1.01, -1.01),
}


@study("S2.P-CL", variants=BALANCES, cases=("exact law", "grid"))
def integral_balance(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Masses between two ends by distribution functions, fluxes by quadrature over time."""

    def residual_at(level: int) -> Array:
        change, fluxes = _fluxes(case, level, size)
        return change - fluxes @ variant

    return two_levels(
        residual_at, names=tuple(f"[{a:g}, {b:g}]" for a, b in ENDS), source=f"masses less fluxes, {case}"
    )


NOISE = 0.9


@lru_cache(maxsize=8)
def _net_crossings(h: float) -> Array:
    """Mass that steps over the places to the right less what steps over to the left, per unit of time."""
    u, w = np.polynomial.legendre.leggauss(64)
    width = 10 * NOISE * h**0.5
    net = np.zeros(len(PLACES))
    for side in (-1.0, 1.0):  # from the left, from the right
        x = (PLACES[:, None] + side * width * (1 + u) / 2).reshape(-1, 1)
        ahead = x + h * (np.sin(2 * x) - 0.5 * x) - np.repeat(PLACES, len(u))[:, None]
        over = DATA.density(x) * ndtr(-side * ahead[:, 0] / (NOISE * h**0.5))
        net -= side * over.reshape(len(PLACES), -1) @ w * width / 2
    return net / h


def _carried_over(h: float) -> Array:
    """The same without noise: the mass between a place and where its point comes from."""
    z = PLACES
    for _ in range(10):
        z = PLACES - h * (np.sin(2 * z) - 0.5 * z)
    return (DATA.cdf(PLACES) - DATA.cdf(z)) / h


#: Weights of drift and noise in the flux.
FLUXES = {
    "stated": (1.0, 1.0),
    "½ missing": (1.0, 2.0),
    "towards high density": (1.0, -1.0),
    "noise dropped": (1.0, 0.0),
    "drift sign": (-1.0, 1.0),
    "f + 1 %": (1.01, 1.0),
    "g² + 1 %": (1.0, 1.01),
}


@study(
    "S2.P-F",
    variants=FLUXES,
    cases=("noise", "no noise"),
    applies=lambda variant, case: case == "noise" or variant in ("stated", "drift sign", "f + 1 %"),
)
def crossings(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Net crossings of a place per unit of time, as the step tends to 0."""
    x = PLACES[:, None]
    squared = NOISE**2 if case == "noise" else 0.0
    f = MOTIONS["d = 1"].drift(x, 0.0)
    F = DATA.density(x) * (variant[0] * f - variant[1] * 0.5 * squared * DATA.score(x))[:, 0]
    counted = _net_crossings if case == "noise" else _carried_over
    return limit_evidence(counted, F, step=0.004, names=AT, source=f"crossings, {case}")


# -- one solution ------------------------------------------------------------------------------------------------------------

END, BEND, BELOW = 0.6, 0.4, 0.8
WALLS = fpk.Boundary("no_flux", -5.0, 5.5)
#: Y = X + .4 sin X solves dY = (.4 − Y) dt + .8 dW; q is ∂Y/∂X, and by Itô's formula X has the drift and noise of :func:`_misread`.
LINEAR = fpk.Problem(fpk.Linear(-1.0, 0.4), BELOW, initial=fpk.Gaussian(0.9, 0.5))

#: Factors on f and g², and how much of ½g∂g is added to f.
SOLVED = {
    "stated": (1.0, 1.0, 0.0),
    "½ missing on g²": (1.0, 2.0, 0.0),
    "drift sign": (-1.0, 1.0, 0.0),
    "Stratonovich": (1.0, 1.0, 1.0),
    "g² + 1 %": (1.0, 1.01, 0.0),
    "g² + 5 %": (1.0, 1.05, 0.0),
}


@lru_cache(maxsize=4)
def _bent_law(t: float) -> fpk.TabulatedLaw:
    """The law of X_t from that of Y_t."""
    x = np.linspace(WALLS.lower, WALLS.upper, 801)
    below = fpk.exact(LINEAR, times=[END]).law(t)
    logs = below.log_density((x + BEND * np.sin(x))[:, None]) + np.log(1 + BEND * np.cos(x))
    return fpk.TabulatedLaw(x, logs, reliable=np.inf)


def _misread(sign: float, squared: float, extra: float) -> fpk.Problem:
    """The problem of X with factors on its coefficients, between walls that the law does not reach."""
    noise = squared**0.5 * BELOW

    def drift(x: Array, t: float) -> Array:
        q = 1 + BEND * np.cos(x)
        curved = 0.5 * BELOW**2 * BEND * np.sin(x) / q**3  # ½ψ″g² of Itô's formula, and here also ½g∂g
        return sign * ((0.4 - x - BEND * np.sin(x)) / q + curved) + extra * curved

    return fpk.Problem(
        drift, lambda x, t: noise / (1 + BEND * np.cos(x)), initial=_bent_law(0.0), boundary=WALLS, name="bent"
    )


@study(
    "S2.E24-25",
    variants=SOLVED,
    cases=("sixth order", "positive"),
    applies=lambda variant, case: variant != ("g² + 1 %" if case == "positive" else "g² + 5 %"),
)
def one_solution(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """The Cauchy problem solved by two schemes, against the law of a process that is an image of a linear one."""
    problem = _misread(*variant)
    law = _bent_law(END)
    panel = fpk.law_panel({END: law})

    def solved(cells: int, **given: Any) -> Any:
        grid = fpk.Grid(WALLS.lower, WALLS.upper, cells=size.cells(cells))
        return fpk.solve(problem, grid, times=[END], **given)

    if case == "positive":
        shown = solved(96, positive=True, steps=24)
        first = shown.expect(panel)
    else:
        shown = solved(96)
        first = on_two_grids(lambda cells: solved(cells).unbudgeted(panel).value, 96, 72)
    truth = constant_law(law, time=END, source="law of the process by its paths")
    x = np.linspace(-2.5, 3.5, 241)
    curves = {"x": x, "t": np.array([END]), "first": shown.density_on(x, END), "second": truth.density_on(x, END)}
    return Evidence(first, truth.expect(panel), panel.names, curves, panel.digest)


def _surviving(drift: str, half: float, cells: int) -> float:
    """What is left at t = 2 between absorbing walls at ±half, from N(0, .5²)."""
    walls = fpk.Boundary("absorbing", -half, half)
    problem = fpk.Problem(drift, 1.0, initial=fpk.Gaussian(0.0, 0.5), horizon=2.0, boundary=walls)
    return float(first_passage(problem, fpk.Grid(-half, half, cells=cells), times=[2.0]).survival[0])


def _arrived(rate: Callable[[float], float], start: float) -> float:
    """exp(−x²) of where the point is at t = 1 that starts far out."""
    found = solve_ivp(lambda t, y: [rate(y[0])], (0.0, 1.0), [start], "LSODA", rtol=1e-9, atol=1e-12)
    return float(np.exp(-(found.y[0, -1] ** 2)))


@study(
    "err:S2.E24-25",
    variants={"inside": ("x - x**3", lambda x: -x), "outside": ("x**3", lambda x: -(x**3))},
    cases=("out to infinity", "in from infinity"),
)
def conditions(variant: tuple[str, Callable[[float], float]], case: str, size: Size, seed: int) -> Evidence:
    """Mass that is lost, and mass that comes from nowhere: points that start at infinity with zero data."""
    if case == "out to infinity":
        far, near = _surviving(variant[0], 5.0, size.cells(200)), _surviving(variant[0], 4.0, size.cells(160))
        value, name = far - 1, "mass at t = 2, less 1"
    else:
        far, near = _arrived(variant[1], 1e4), _arrived(variant[1], 1e3)
        value, name = far, "E exp(−X²) at t = 1 of points from infinity"
    first = fpk.residual(np.array([value]), abs(far - near) + 1e-8, source="two distances of infinity")
    return Evidence(first, zero_estimate(1), (name,))
