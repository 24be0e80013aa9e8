"""Stationary laws, spectral gaps and reversals on a grid: Gibbs to round-off, currents, splittings, round trips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

import fpk
from fpk.coefficients import GradientDrift
from fpk.fokker_planck.fluxes import ScharfetterGummel, WellBalanced6
from fpk.fokker_planck.reversal import JUMPS, reversed_on_grid
from fpk.fokker_planck.solutions import GridMarginals
from fpk.fokker_planck.stationary import stationary
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._systems import BOX, DATA, WALLS, boxed, l1
from .grid1d_equations import against

C, R = Outcome.CONFIRMED, Outcome.REFUTED
GIBBS_NOTES = {
    "exponent doubled": "exp(−2V/D)",
    "V sign": "exp(V/D): the wells are hills",
    "D + 1 %": "the diffusivity of the law is 1 % too large",
}

CLAIMS = (
    Claim(
        "grid1d.gibbs-potential",
        "bound",
        "With a stated potential the stationary law on the grid is the Gibbs law to 1e-12 in L¹.",
        r"\bigl\|p_h-e^{-V/D}/Z\bigr\|_1 \le 10^{-12},\qquad V=\tfrac{x^4}{4}-\tfrac{x^2}{2},\; D=\tfrac14",
        "Risken (1989), The Fokker–Planck Equation, section 5.2",
        {"stated": C, "exponent doubled": R, "V sign": R, "D + 1 %": R},
        GIBBS_NOTES,
    ),
    Claim(
        "grid1d.gibbs-sampled",
        "bound",
        "So it is with a drift that is only sampled, if it is a polynomial of degree five at most.",
        r"\bigl\|p_h-e^{-V/D}/Z\bigr\|_1 \le 10^{-12},\qquad f=x-x^3,\; D=\tfrac14",
        "Gauss–Legendre quadrature with three nodes; Risken (1989), section 5.2",
        {"stated": C, "exponent doubled": R, "V sign": R, "D + 1 %": R},
        GIBBS_NOTES,
    ),
    Claim(
        "grid1d.circulation",
        "identity",
        "A constant force around a ring keeps up a current, and the law is not the Gibbs law.",
        r"p\propto e^{\Phi(x)}\int_x^{x+L}e^{-\Phi}=:w,\qquad J=D\bigl(1-e^{-FL/D}\bigr)\Big/\int_0^L w\,dx,\qquad \Phi=(Fx-V)/D",
        "Risken (1989), The Fokker–Planck Equation, section 11.3; Stratonovich (1958)",
        {"stated": C, "force sign": R, "detailed balance": R, "force + 2 %": R},
        {
            "force sign": "the force pulls the other way",
            "detailed balance": "the Gibbs law of the periodic part, without a current",
            "force + 2 %": "the force is 2 % too large",
        },
    ),
    Claim(
        "grid1d.splitting",
        "bound",
        "How a drift is split into a potential part and a force changes a solution by no more than 1e-12 in L¹.",
        r"-V'+F=-\tilde V'+\tilde F \;\Rightarrow\; \|p_t-\tilde p_t\|_1\le 10^{-12}",
        "f = −V′ + F; polynomial parts of degree six (potential) and five (force)",
        {"stated": C, "force dropped": R, "force sign": R, "force + 1 %": R},
        {
            "force dropped": "only the potential part of the drift is kept",
            "force sign": "the force enters with the other sign",
            "force + 1 %": "the force is 1 % too large",
        },
    ),
    Claim(
        "grid1d.spectral-gap",
        "identity",
        "Correlations decay at the rates n a (Ornstein–Uhlenbeck) and n² D (Brownian motion on the circle of length 2π).",
        r"\lambda_n=-na \quad\text{and}\quad \lambda_n=-n^2D",
        "Risken (1989), The Fokker–Planck Equation, section 5.5",
        {"stated": C, "½ extra": R, "n² for n": R, "rate + 2 %": R},
        {"½ extra": "half the rate", "n² for n": "the other spectrum", "rate + 2 %": "the rate is 2 % too large"},
    ),
    Claim(
        "grid1d.round-trip",
        "bound",
        "Reversed with its own masses, the jump process on the cells returns from T to its start to 2e-5 in L¹.",
        r"r_{i\to i+1}=b_i\,\frac{m_{i+1}}{m_i},\; r_{i+1\to i}=a_i\,\frac{m_i}{m_{i+1}} \;\Rightarrow\; \|\hat m_T-m_0\|_1\le 2\cdot 10^{-5}",
        "Anderson (1982); Norris (1997), Markov Chains, theorem 3.7.1",
        {"stated": C, "no score": R, "½ extra": R, "masses at t for T − t": R, "score + 2 %": R},
        {
            "no score": "the ratios are dropped",
            "½ extra": "the square roots of the ratios",
            "masses at t for T − t": "the ratios are read at the wrong end of time",
            "score + 2 %": "the ratios to the power 1.02",
        },
    ),
    Claim(
        "grid1d.score-route",
        "order",
        "The reverse equation with the score of the grid, on the same cells, approaches the reversed jump process at second order.",
        r"\bigl|\mathbb E_{\text{score}}X_T^2-\mathbb E_{\text{jumps}}X_T^2\bigr|=O(h^2)",
        "Scharfetter and Gummel (1969); Anderson (1982)",
        {"stated": C, "order 1": R, "order 3": R},
        {"order 1": "first order", "order 3": "third order"},
    ),
)

#: What is allowed of the L¹ norm.
ROUND = 1e-12
D = 0.25
FLUXES = {"WellBalanced6": WellBalanced6(), "ScharfetterGummel": ScharfetterGummel()}
GIBBS = {"stated": 1.0, "exponent doubled": 2.0, "V sign": -1.0, "D + 1 %": 1 / 1.01}


def _double_well(drift: Any, share: float, flux: str, size: Size) -> Evidence:
    """The L¹ distance of the null vector from exp(−share V/D), less the bar, on a uniform and on a stretched grid."""
    problem = fpk.Problem(drift, (2 * D) ** 0.5, initial=fpk.Gaussian(0.0, 0.5))
    apart = []
    for stretching in ({}, {"focus": 0.0, "breadth": 1.0}):
        grid = fpk.Grid(-2.6, 2.6, cells=size.cells(100), **stretching)
        x = grid.centers
        gibbs = np.exp(-share * (x**4 / 4 - x**2 / 2) / D)
        found = stationary(problem, grid, flux=FLUXES[flux])
        apart.append(l1(found.density, gibbs / (gibbs @ grid.widths), grid) - ROUND)
    first = fpk.residual(np.array(apart), 1e-15, source=f"null vector, {flux}")
    return Evidence(first, zero_estimate(2), ("uniform grid", "stretched grid"))


@study("grid1d.gibbs-potential", variants=GIBBS, cases=tuple(FLUXES))
def gibbs_potential(variant: float, case: str, size: Size, seed: int) -> Evidence:
    return _double_well(GradientDrift("x**4/4 - x**2/2"), variant, case, size)


@study("grid1d.gibbs-sampled", variants=GIBBS, cases=tuple(FLUXES))
def gibbs_sampled(variant: float, case: str, size: Size, seed: int) -> Evidence:
    return _double_well(lambda x, t: x - x**3, variant, case, size)


FORCE, RING = 0.7, 2 * np.pi


def _wave(x: Array) -> Array:
    """V of the ring."""
    return 0.6 * np.cos(x) + 0.2 * np.sin(2 * x)


def _around(force: float) -> tuple[Array, float]:
    """Density at eight points and current by quadrature; of the Gibbs law for no force."""
    places = np.arange(8) * RING / 8
    if force == 0.0:
        x = np.arange(64) * RING / 64
        return np.exp(-_wave(places) / D) / (np.exp(-_wave(x) / D).mean() * RING), 0.0
    nodes, weights = np.polynomial.legendre.leggauss(80)
    y, w = RING * (1 + nodes) / 2, RING * weights / 2

    def weight(x: Array) -> Array:
        rises = (_wave(x[:, None] + y) - _wave(x)[:, None] - force * y) / D
        return np.exp(rises) @ w

    total = float(weight(np.arange(64) * RING / 64).mean()) * RING
    return weight(places) / total, D * (1 - np.exp(-force * RING / D)) / total


@study("grid1d.circulation", variants={"stated": 1.0, "force sign": -1.0, "detailed balance": 0.0, "force + 2 %": 1.02})
def circulation(variant: float, case: str, size: Size, seed: int) -> Evidence:
    walls = fpk.Boundary("periodic", 0.0, RING)
    drift = GradientDrift(_wave, force=FORCE)
    problem = fpk.Problem(drift, (2 * D) ** 0.5, initial=fpk.Gaussian(3.0, 0.3), boundary=walls)
    density, current = _around(variant * FORCE)

    def values(k: int) -> Array:
        grid = fpk.Grid(0.0, RING, cells=size.cells(48) * k)
        law = stationary(problem, grid)
        # The values at multiples of L/8 lie on faces: a trigonometric interpolant reads them.
        modes = np.fft.fft(law.density) / grid.cells
        waves = np.fft.fftfreq(grid.cells, 1 / grid.cells)
        phases = np.exp(1j * np.outer(np.arange(8) * RING / 8 - grid.spacing / 2, waves))
        return np.concatenate([(phases @ modes).real, [law.circulation]])

    names = (*(f"p({k}L/8)" for k in range(8)), "J")
    return against(values, np.concatenate([density, [current]]), names, order=6, source="null vector, ring")


#: Potentials and forces with one sum, −V′ + F = x − x³ + ½.
SPLITS: dict[str, tuple[Any, Any]] = {
    "all potential": ("x**4/4 - x**2/2 - x/2", None),
    "constant force": ("x**4/4 - x**2/2", "1/2"),
    "no potential": ("0", "x - x**3 + 1/2"),
    "sixth degree": ("x**6/60 - x**3", "x - x**3 + 1/2 + x**5/10 - 3*x**2"),
}


@study(
    "grid1d.splitting",
    variants={"stated": 1.0, "force dropped": 0.0, "force sign": -1.0, "force + 1 %": 1.01},
    cases=("steady", "driven"),
)
def splitting(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """The first split is the reference; a driven drift adds cos(5t) to every force."""
    extra = " + cos(5*t)" if case == "driven" else ""

    def solved(split: str, factor: float) -> GridMarginals:
        potential, force = SPLITS[split]
        drift = GradientDrift(potential, f"{factor}*({force or 0}{extra})")
        problem = boxed(drift, 0.8, initial=fpk.Gaussian(0.3, 0.3), walls=fpk.Boundary("no_flux", -3.0, 3.0))
        return fpk.solve(problem, fpk.Grid(-3.0, 3.0, cells=size.cells(80)), times=[1.0], steps=size.cells(20))

    one = solved("all potential", 1.0)
    others = [solved(name, variant) for name in SPLITS if name != "all potential"]
    apart = [l1(one.density(1.0), other.density(1.0), one.grid) - ROUND for other in others]
    first = fpk.residual(np.array(apart), 1e-15, source=one.source)
    return Evidence(first, zero_estimate(len(apart)), tuple(SPLITS)[1:])


#: Exponent of n, and a factor on the rate.
SPECTRA = {"stated": (0, 1.0), "½ extra": (0, 0.5), "n² for n": (1, 1.0), "rate + 2 %": (0, 1.02)}


@study("grid1d.spectral-gap", variants=SPECTRA, cases=("OU", "circle"))
def spectral_gap(variant: tuple[int, float], case: str, size: Size, seed: int) -> Evidence:
    (wrong, factor), rate = variant, 1.3
    if case == "OU":
        power, levels = 1 + wrong, np.arange(1, 5)
        problem = fpk.problems.ornstein_uhlenbeck(rate=rate, initial=fpk.Gaussian(0.0, 0.5))
        ends, cells = (-6.0, 6.0), 80
    else:
        power, levels = 2 - wrong, np.array([1, 1, 2, 2])
        walls = fpk.Boundary("periodic", 0.0, RING)
        problem = fpk.Problem(0.0, (2 * rate) ** 0.5, initial=fpk.Gaussian(3.0, 0.3), boundary=walls)
        ends, cells = (0.0, RING), 32

    def values(k: int) -> Array:
        return -stationary(problem, fpk.Grid(*ends, cells=size.cells(cells) * k)).spectrum.real

    names = tuple(f"rate {k}" for k in range(1, 5))
    return against(values, factor * rate * levels.astype(float) ** power, names, order=6, source=f"spectrum, {case}")


ROUND_TRIP = 2e-5
NOISING = {
    "VP": replace(fpk.noising(fpk.VPSchedule(0.6, 3.4), DATA), boundary=WALLS),
    "OU": replace(fpk.noising(fpk.VPSchedule(2.0), DATA), boundary=WALLS),
}


@lru_cache(maxsize=8)
def _ahead(case: str, cells: int, steps: int) -> GridMarginals:
    problem = NOISING[case]
    times = list(np.linspace(0.0, 1.0, steps + 1))
    return fpk.solve(problem, fpk.Grid(*BOX, cells=cells), times=times, steps=steps, scheme=JUMPS)


#: What the ratios are made of, from the densities at the stored times.
RATIOS: dict[str, Callable[[Array], Array]] = {
    "stated": lambda p: p,
    "no score": np.ones_like,
    "½ extra": lambda p: np.abs(p) ** 0.5,
    "masses at t for T − t": lambda p: p[::-1],
    "score + 2 %": lambda p: np.abs(p) ** 1.02,
}


@study("grid1d.round-trip", variants=RATIOS, cases=tuple(NOISING))
def round_trip(variant: Callable[[Array], Array], case: str, size: Size, seed: int) -> Evidence:
    """The L¹ distance between the start and where the way there and back ends, less the bar."""
    ahead = _ahead(case, size.cells(120), 100 if case == "VP" else 200)
    read = replace(ahead, densities=variant(ahead.densities))
    back = reversed_on_grid(read, start=ahead.density(1.0))
    apart = l1(back.density(1.0), ahead.density(0.0), ahead.grid) - ROUND_TRIP
    return Evidence(fpk.residual(np.array([apart]), 1e-9, source=back.source), zero_estimate(1), ("L¹ of the start",))


LEVELS = (96, 120, 144, 192, 240)


@lru_cache(maxsize=8)
def _routes_apart(cells: int) -> float:
    """E X² at τ = T, by the reverse equation with the score less by the reversed jumps: signed, and smoother in h than a norm."""
    ahead = _ahead("VP", cells, cells * 2 // 3)
    back = fpk.reverse_time(NOISING["VP"], ahead.score, initial=ahead.law(1.0))
    solved = fpk.solve(back, ahead.grid, times=[1.0], steps=cells * 2 // 3, scheme=JUMPS)
    jumps = reversed_on_grid(ahead)
    return float((solved.density(1.0) - jumps.density(1.0)) @ (ahead.grid.widths * ahead.grid.centers**2))


@study("grid1d.score-route", variants={"stated": 2.0, "order 1": 1.0, "order 3": 3.0})
def score_route(variant: float, case: str, size: Size, seed: int) -> Evidence:
    errors = np.array([_routes_apart(n) for n in LEVELS])
    first = fpk.Estimate(errors, np.full(len(errors), 1e-9), source="E X² of two reversals")
    return Evidence(first, fpk.Estimate(1 / np.array(LEVELS), np.zeros(len(errors))), (f"{variant:g}",))
