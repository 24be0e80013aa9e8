r"""What keeps a law: integration by parts, equations of processes at rest, and SDEs that are named after their stationary laws.

    ∂_t p = 0  ⇔  −(f p)' + ½ (g² p)'' = 0:     on the line the flux f p − ½ (g² p)' vanishes, so f = ½ g² ∂ log p + ½ ∂(g²).

Elsewhere a flux J with ∇·J = 0 may be left: round a ring, or turning in the plane. Laws at rest come from null vectors of grids or, for linear
drifts in the plane, from moment equations; the law of a Gaussian from its characteristic function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

import fpk
from fpk.chains import propagate
from fpk.closed_form import euler_chain
from fpk.fields import exact_field
from fpk.laws import Array, GaussianMixture, TabulatedLaw
from fpk.marginals import zero_estimate
from fpk.samplers import ULA
from fpk.study import Evidence, Size, evidence, study

from .._limits import limit_evidence
from .._systems import BOX, DATA, boxed, constant_law, on_grid
from ._at_rest import CENTRE, ON_LINE, PLACES, STIFF, TURNING, drift_less, force, ring, well
from ._stationary_claims import CLAIMS, REMARKS

__all__ = ["CLAIMS", "REMARKS"]

X, Y = sp.symbols("x y", real=True)

# -- integration by parts ----------------------------------------------------------------------------------------------------

PLANE_DATA = GaussianMixture(
    [0.4, 0.6], [[-0.8, 0.5], [0.7, -0.3]], covariances=[[[0.3, 0.12], [0.12, 0.2]], [[0.5, -0.2], [-0.2, 0.4]]]
)
TESTS = {
    "line": (sp.sin(X), sp.tanh(X), sp.exp(-((X - 1) ** 2))),
    "plane": (sp.sin(X + 2 * Y), sp.tanh(X) * sp.cos(Y), sp.exp(-(X**2) + X * Y - Y**2)),
}


@lru_cache(maxsize=8)
def _nodes(lower: float, upper: float, count: int) -> tuple[Array, Array]:
    """Gauss–Legendre points and weights, ``count`` in each of 20 intervals."""
    u, w = np.polynomial.legendre.leggauss(count)
    edges = np.linspace(lower, upper, 21)
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1 + u)).ravel(), (half * w).ravel()


def _points(case: str, lower: float, count: int) -> tuple[Array, Array, GaussianMixture]:
    """Points, their masses under p cut at ``lower``, and p itself."""
    x, w = _nodes(lower, 5.5, count)
    if case == "line":
        mass = w * DATA.density(x[:, None])
        return x[:, None], mass / mass.sum(), DATA
    y, v = _nodes(-5.5, 5.5, count)
    grid = np.stack([a.ravel() for a in np.meshgrid(x, y, indexing="ij")], 1)
    return grid, np.outer(w, v).ravel() * PLANE_DATA.density(grid), PLANE_DATA


@lru_cache(maxsize=8)
def _derivatives(case: str) -> list[tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]]:
    """Of each test function: gradient, trace and sum of the second derivatives."""
    axes = (X,) if case == "line" else (X, Y)
    made: Callable[[Any], Any] = lambda e: sp.lambdify(axes, e, "numpy")  # noqa: E731
    return [
        (made([f.diff(a) for a in axes]), made(sum(f.diff(a, 2) for a in axes)), made(sum(f.diff(a, b) for a in axes for b in axes)))
        for f in TESTS[case]
    ]  # fmt: skip


#: Factor on the score, factor on the second derivatives, whether all of them are summed, where p is cut off.
PARTS = {
    "stated": (1.0, 1.0, False, -5.5),
    "sign": (1.0, -1.0, False, -5.5),
    "½ extra": (1.0, 0.5, False, -5.5),
    "all second derivatives": (1.0, 1.0, True, -5.5),
    "density with an edge": (1.0, 1.0, False, 0.5),
    "score + 0.1 %": (1.001, 1.0, False, -5.5),
}


@study(
    "S0.E3",
    variants=PARTS,
    cases=("line", "plane"),
    applies=lambda variant, case: variant != ("all second derivatives" if case == "line" else "density with an edge"),
)
def by_parts(variant: tuple[float, float, bool, float], case: str, size: Size, seed: int) -> Evidence:
    score, second, summed, lower = variant

    def gap(count: int) -> Array:
        x, mass, law = _points(case, lower, count)
        s = score * law.score(x)
        return np.array([
            mass @ (np.sum(np.array(slope(*x.T)).T * s, axis=1) + second * (every if summed else trace)(*x.T))
            for slope, trace, every in _derivatives(case)
        ])  # fmt: skip

    nodes = 8 if case == "line" else 6
    fine, coarse = gap(size.cells(nodes)), gap(size.cells(nodes - 2))
    first = fpk.residual(fine, np.abs(fine - coarse) + 1e-11, coarser=coarse, source="Gauss–Legendre quadrature")
    return Evidence(first, zero_estimate(3), tuple(str(f) for f in TESTS[case]))


# -- the Gaussian ------------------------------------------------------------------------------------------------------------

COVARIANCE = np.array([[0.7, 0.3], [0.3, 0.5]])


def _from_waves(spacing: float) -> tuple[Array, Array]:
    """N and ∇N at :data:`PLACES` from the characteristic function exp(i k·μ − ½ kᵀΣk), by the trapezoidal rule over k."""
    k = np.arange(-14.0, 14.0 + spacing / 2, spacing)
    waves = np.stack([a.ravel() for a in np.meshgrid(k, k, indexing="ij")], 1)
    height = np.exp(-0.5 * np.sum(waves @ COVARIANCE * waves, axis=1)) * (spacing / (2 * np.pi)) ** 2
    phase = (PLACES - CENTRE) @ waves.T
    return np.cos(phase) @ height, -(np.sin(phase) * height) @ waves


#: log N and ∇log N as claimed, from the law at the points.
GAUSSIANS: dict[str, Callable[[fpk.Gaussian, Array], tuple[Array, Array]]] = {
    "stated": lambda law, x: (law.log_density(x), law.score(x)),
    "gradient sign": lambda law, x: (law.log_density(x), -law.score(x)),
    "½ kept": lambda law, x: (law.log_density(x), 0.5 * law.score(x)),
    "Σ for its inverse": lambda law, x: (law.log_density(x), -(x - CENTRE) @ COVARIANCE),
    "det Σ dropped": lambda law, x: (law.log_density(x) + 0.5 * np.log(np.linalg.det(COVARIANCE)), law.score(x)),
    "Σ + 0.1 %": lambda law, x: (law.log_density(x), law.score(x) / 1.001),
}


@study("S0.E5", variants=GAUSSIANS)
def gaussian_gradients(
    variant: Callable[[fpk.Gaussian, Array], tuple[Array, Array]], case: str, size: Size, seed: int
) -> Evidence:
    logs, score = variant(fpk.Gaussian(CENTRE, covariance=COVARIANCE), PLACES)

    def gap(spacing: float) -> Array:
        density, gradient = _from_waves(spacing)
        slopes = (np.exp(logs)[:, None] * score - gradient, score - gradient / density[:, None])
        return np.concatenate([logs - np.log(density), *(s.ravel() for s in slopes)])

    fine, coarse = gap(0.3), gap(0.45)
    names = tuple(
        f"{what} at {i}" for what in ("log N", "∂₁N", "∂₂N", "∂₁log N", "∂₂log N") for i in range(len(PLACES))
    )
    order = [*range(4), *range(4, 12, 2), *range(5, 12, 2), *range(12, 20, 2), *range(13, 20, 2)]
    first = fpk.residual(fine[order], (np.abs(fine - coarse) + 1e-12)[order], source="formula less Fourier integral")
    return Evidence(first, zero_estimate(len(order)), names)


# -- Langevin SDEs that keep their law ---------------------------------------------------------------------------------------

#: Factor on the drift, power of β in the noise, factor on the noise variance.
CLOCKED = {
    "stated": (0.5, 0.5, 1.0),
    "½ missing": (1.0, 0.5, 1.0),
    "β for its root": (0.5, 1.0, 1.0),
    "score sign": (-0.5, 0.5, 1.0),
    "noise² + 1 %": (0.5, 0.5, 1.01),
}


@study("S2.E19", variants=CLOCKED, cases=("double well", "chain"))
def clocked_langevin(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """β = 3 sin² πt on the double well; and five Euler steps of β = 1.2 against Langevin steps of γ = hβ/2."""
    drift, power, factor = variant
    if case == "chain":
        return _against_steps(drift, factor**0.5 * 1.2**power)
    law = fpk.problems.double_well_law(2**0.5)
    beta: Callable[[float], float] = lambda t: 3 * np.sin(np.pi * t) ** 2  # noqa: E731
    problem = boxed(
        lambda x, t: drift * beta(t) * (x - x**3),
        lambda t: factor**0.5 * beta(t) ** power,
        initial=law,
        walls=fpk.Boundary("no_flux", -6.0, 6.0),
    )
    solved = on_grid(problem, size, times=[1.0], cells=48, steps=4)
    return evidence(solved, constant_law(law, time=1.0, source="the initial law"))


def _against_steps(drift: float, noise: float) -> Evidence:
    target, start, beta, h = fpk.Gaussian(0.4, 0.7), fpk.Gaussian(2.0, 0.5), 1.2, 0.2
    rate = drift * beta / 0.7**2
    chain = euler_chain(fpk.Problem(fpk.Linear(-rate, rate * 0.4), noise, initial=start), steps=5, times=[1.0])
    steps = ULA(exact_field(target, fpk.VPSchedule(1.0)), size=h * beta / 2, steps=5)
    law = propagate(steps, initial=start).law(0.0)
    return evidence(chain, constant_law(law, time=1.0, source="Langevin steps"), panel=fpk.law_panel({1.0: law}))


VP = fpk.VPSchedule(0.6, 3.4)
#: The schedule, and factor, sign of log p and variance of the p in ½β p⁻¹ ∇·(p ∇φ).
GENERATORS: dict[str, tuple[Any, float, float, float]] = {
    "stated": (VP, 0.5, 1.0, 1.0),
    "½ missing": (VP, 1.0, 1.0, 1.0),
    "score sign": (VP, 0.5, -1.0, 1.0),
    "N(0, 2)": (VP, 0.5, 1.0, 2.0),
    "sub-VP": (fpk.SubVPSchedule(0.6, 3.4), 0.5, 1.0, 1.0),
    "variance + 0.1 %": (VP, 0.5, 1.0, 1.001),
}


@study("S2.T19", variants=GENERATORS, cases=("line", "plane"))
def preserving_is_langevin(variant: tuple[Any, float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """Generators at points: drift and diffusivity of the problem against the divergence form, differentiated symbolically."""
    schedule, half, sign, spread = variant
    axes, data = ((X,), DATA) if case == "line" else ((X, Y), PLANE_DATA)
    problem, log_p = fpk.noising(schedule, data), -sign * sp.Add(*(a**2 for a in axes)) / (2 * spread)
    x = np.random.default_rng(seed).normal(size=(4, len(axes)))
    found, claimed = [], []
    for f in TESTS[case]:
        slope, trace, _ = _derivatives(case)[TESTS[case].index(f)]
        form = sum(f.diff(a, 2) + log_p.diff(a) * f.diff(a) for a in axes)
        for t in (0.0, 0.4):
            moved = np.sum(problem.drift(x, t) * np.array(slope(*x.T)).T, axis=1)
            found.append(moved + problem.diffusivity(x, t)[:, 0] * trace(*x.T))
            claimed.append(half * (0.6 + 2.8 * t) * sp.lambdify(axes, form, "numpy")(*x.T))
    first = fpk.residual(np.ravel(found) - np.ravel(claimed), 1e-12, source="generators at points")
    names = tuple(f"{f} at t = {t:g}, point {i}" for f in TESTS[case] for t in (0.0, 0.4) for i in range(4))
    return Evidence(first, zero_estimate(len(names)), names)


# -- processes at rest -------------------------------------------------------------------------------------------------------


#: Whether a flux is left, the noise, a factor on ∇log p.
AT_REST = {
    "stated": (False, 2**0.5, 1.0),
    "a flux is left": (True, 2**0.5, 1.0),
    "bbᵀ = I": (False, 1.0, 1.0),
    "½ extra": (False, 2**0.5, 0.5),
    "score sign": (False, 2**0.5, -1.0),
    "noise² + 1 %": (False, 2.02**0.5, 1.0),
}


@study("S3.N1", variants=AT_REST, cases=("line", "plane"))
def drift_at_rest(variant: tuple[bool, float, float], case: str, size: Size, seed: int) -> Evidence:
    left, noise, factor = variant
    if case == "line":
        problem, x = (ring if left else well)(noise), ON_LINE + (1.5 if left else 0.0)
    else:
        problem, x = force(TURNING if left else STIFF, noise), PLACES
    return drift_less(problem, lambda x, s: factor * s, x, size)


@study("err:S0.R1", variants={"inside": True, "outside": False}, cases=("flux", "noise of the state"))
def only_without_flux(variant: bool, case: str, size: Size, seed: int) -> Evidence:
    """½g²∇log p from laws at rest: in the plane without and with a rotation, on the line with g = 1.2 and g² = 1 + x²/2."""
    if case == "flux":
        problem = force(STIFF if variant else TURNING, 1.2)
        return drift_less(problem, lambda x, s: 0.5 * 1.2**2 * s, PLACES, size)
    noise: Any = 1.2 if variant else "sqrt(1 + x**2/2)"
    problem = fpk.Problem("x - x**3", noise, initial=fpk.Gaussian(0.0, 1.0))
    return drift_less(problem, lambda x, s: 0.5 * problem.diffusion(x, 0.0) ** 2 * s, ON_LINE, size)


#: −log p, g and the flux J round the ring, with the ends of the interval.
RESTING: dict[str, tuple[Any, Any, float, fpk.Boundary]] = {
    "line": (X**2 / 2 - sp.cos(2 * X) / 2, sp.sqrt((0.4 + 0.5 * sp.sin(1.5 * X)) ** 2 + 0.2), 0.0, fpk.Boundary("no_flux", -6.0, 6.0)),
    "ring": (-0.8 * sp.cos(X), 1 + 0.3 * sp.sin(X), 0.4, fpk.Boundary("periodic", 0.0, 2 * np.pi)),
}  # fmt: skip

#: Factor on (p g²)′/p, power of σ, power of g, whether g is taken out of the derivative, how the flux varies, factor on the noise.
BALANCES = {
    "stated": (0.5, 2, 2, False, 0.0, 1.0),
    "½ missing": (1.0, 2, 2, False, 0.0, 1.0),
    "σ for σ²": (0.5, 1, 2, False, 0.0, 1.0),
    "g for g²": (0.5, 2, 1, False, 0.0, 1.0),
    "g² outside": (0.5, 2, 2, True, 0.0, 1.0),
    "a flux that varies": (0.5, 2, 2, False, 0.3, 1.0),
    "noise² + 1 %": (0.5, 2, 2, False, 0.0, 1.01),
}


@study(
    "S4.E34",
    variants=BALANCES,
    cases=tuple(RESTING),
    applies=lambda variant, case: case == "ring" or variant != "a flux that varies",
)
def balanced(variant: tuple[float, int, int, bool, float, float], case: str, size: Size, seed: int) -> Evidence:
    """The drift is solved for, symbolically; a process with it starts from p, σ = 1.3, and the grid tells whether it stays."""
    half, squared, power, outside, ripple, factor = variant
    V, g, J, walls = RESTING[case]
    spread = g**power
    slope = -spread * V.diff(X) if outside else spread.diff(X) - spread * V.diff(X)
    drift = half * 1.3**squared * slope + J * (1 + ripple * sp.cos(X)) * sp.exp(V)
    law = TabulatedLaw.gibbs(sp.lambdify(X, V, "numpy"), walls.lower, walls.upper, cells=600)
    f, noise = (sp.lambdify(X, e, "numpy") for e in (drift, factor**0.5 * 1.3 * g))
    problem = boxed(lambda x, t: f(x), lambda x, t: noise(x), initial=law, walls=walls)
    return evidence(
        on_grid(problem, size, times=[1.0], cells=48, steps=4), constant_law(law, time=1.0, source="the initial law")
    )


#: Drift and noise of the process that should stay in its law; the law.
TIMED: dict[str, Any] = {"printed": "time", "corrected": "place", "degenerate": "ring"}


@study("err:S3.N1", variants=TIMED)
def coefficients_of_time(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Noise √2 from p*: with a drift of time alone (its mean under p* vanishes), with the score; and from the uniform law of a ring."""
    if variant == "ring":
        walls = fpk.Boundary("periodic", 0.0, 2 * np.pi)
        law: Any = TabulatedLaw.gibbs(lambda x: 0 * x, 0.0, 2 * np.pi, cells=64)
        problem = boxed(lambda t: 1 + np.cos(3 * t), 2**0.5, initial=law, walls=walls)
    else:
        law = DATA
        drift: Any = (lambda t: 0.3 * np.sin(6 * t)) if variant == "time" else (lambda x, t: DATA.score(x))
        problem = boxed(drift, 2**0.5, initial=DATA)
    return evidence(
        on_grid(problem, size, times=[1.0], cells=72, steps=4), constant_law(law, time=1.0, source="the initial law")
    )


# -- instances of dX = f dt + σ dW -------------------------------------------------------------------------------------------

#: Factor on the drift of the SDE and on its noise variance.
INSTANCES = {
    "stated": (1.0, 1.0),
    "drift sign": (-1.0, 1.0),
    "½ extra in the drift": (0.5, 1.0),
    "σ for σ²": (1.0, 0.8**-1),
    "σ² + 1 %": (1.0, 1.01),
}


@study("S3.P-OU", variants=INSTANCES, cases=("Ornstein–Uhlenbeck", "Langevin", "gradient descent"))
def instances(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """f = −θ(x − m), σ = .8; f = ∇log p, σ = √2; f = −∇L with σ = √η ς."""
    drift, factor = variant
    if case == "gradient descent":
        return _descent(drift, factor)
    if case == "Langevin":
        problem = boxed(lambda x, t: drift * DATA.score(x), (2 * factor) ** 0.5, initial=DATA)
        return _moments(problem, DATA.mean[0], DATA.covariance[0, 0], size)
    decay = np.exp(-1.2)
    problem = boxed(fpk.Linear(-1.2 * drift, 0.6 * drift), 0.8 * factor**0.5, initial=fpk.Gaussian(2.0, 0.3))
    return _moments(problem, 0.5 + 1.5 * decay, 0.09 * decay**2 + 0.64 * (1 - decay**2) / 2.4, size)


def _moments(problem: fpk.Problem, mean: float, variance: float, size: Size) -> Evidence:
    """Mean and variance at t = 1 by sums over a grid and one of half the cells, less those claimed."""

    def gap(cells: int) -> Array:
        grid = fpk.Grid(*BOX, cells=cells)
        mass = fpk.solve(problem, grid, times=[1.0], steps=cells // 15).densities[0] * grid.widths
        found = mass @ grid.centers
        return np.array([found - mean, mass @ grid.centers**2 - found**2 - variance])

    fine, coarse = gap(size.cells(240)), gap(size.cells(120))
    first = fpk.residual(
        fine, np.abs(fine - coarse) + 1e-10, coarser=coarse, source="moments on a grid less the formula"
    )
    return Evidence(first, zero_estimate(2), ("mean", "variance"))


def _descent(drift: float, factor: float) -> Evidence:
    """x ← x − η(1.5 x + ς ξ), ς = .8, for a time 1: the mean, and the variance over η, as η → 0."""

    def chain(eta: float) -> Array:
        mean, variance = 1.0, 0.0
        for _ in range(round(1 / eta)):
            mean, variance = (1 - 1.5 * eta) * mean, (1 - 1.5 * eta) ** 2 * variance + eta**2 * 0.64
        return np.array([mean, variance / eta])

    problem = fpk.Problem(fpk.Linear(-1.5 * drift), 0.8 * factor**0.5, initial=fpk.Gaussian(1.0, 1e-9))
    law = fpk.exact(problem, times=[1.0]).law(1.0).projected(np.ones(1))
    claimed = np.array([law.mean[0], law.covariance[0, 0]])  # type: ignore[attr-defined]
    return limit_evidence(chain, claimed, step=1 / 40, names=("mean", "variance / η"), source="gradient descent, η → 0")
