"""What leaves a law unchanged: Langevin steps, the drift ½g²∇log p, Gibbs laws, and the gradient of a Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array, TabulatedLaw, central_derivative
from fpk.marginals import zero_estimate
from fpk.study import Evidence, Size, evidence, study

from ._limits import limit
from ._systems import DATA, boxed, constant_law, on_grid

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "tanh x": np.tanh,
    "cos x": np.cos,
    "sin 2x": lambda x: np.sin(2 * x),
    "exp(−x²)": lambda x: np.exp(-(x**2)),
}

#: Factor on the drift τ∇log p and on the noise variance 2τ of one Langevin step.
STEPS = {
    "stated": (1.0, 2.0),
    "√τ for √(2τ)": (1.0, 1.0),
    "½ in the drift": (0.5, 2.0),
    "score sign": (-1.0, 2.0),
    "noise² + 1 %": (1.0, 2.02),
}


@study("S0.E1-4", variants=STEPS)
def langevin_step(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """(E φ(X') − E φ(X))/τ as τ → 0 by quadrature over X and the noise."""
    drift, variance = variant
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    x = np.linspace(-3.5, 4.9, 1201 if size.quick else 2401)
    mass = DATA.density(x[:, None]) * (x[1] - x[0])
    push = DATA.score(x[:, None])[:, 0]

    def rate(tau: float) -> Array:
        moved = (x + drift * tau * push)[:, None] + np.sqrt(variance * tau) * nodes
        return np.array([mass @ (f(moved) @ weights - f(x)) for f in FUNCTIONS.values()]) / tau

    found, bound, coarser = limit([rate(4e-3 / 2**k) for k in range(4)])
    first = fpk.residual(found, bound, coarser=coarser, source="one Langevin step by quadrature")
    return Evidence(first, zero_estimate(len(found)), tuple(FUNCTIONS))


#: The drift that should keep p, from g and the score.
DRIFTS: dict[str, Callable[[float, Array], Array]] = {
    "stated": lambda g, s: 0.5 * g**2 * s,
    "½ missing": lambda g, s: g**2 * s,
    "g for g²": lambda g, s: 0.5 * g * s,
    "score sign": lambda g, s: -0.5 * g**2 * s,
    "drift + 1 %": lambda g, s: 0.505 * g**2 * s,
}


@study("S0.R1", variants=DRIFTS)
def stationary_drift(variant: Callable[[float, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    def g(t: float) -> float:
        return 1.3 + 0.4 * np.sin(3 * t)

    problem = boxed(lambda x, t: variant(g(t), DATA.score(x)), g, initial=DATA, horizon=1.0)
    return evidence(
        on_grid(problem, size, times=[1.0], cells=80, steps=16), constant_law(DATA, time=1.0, source="the initial law")
    )


WELLS: dict[str, tuple[str, Callable[[Array], Array], float]] = {
    "x²/2": ("x", lambda x: x**2 / 2, 1.6),
    "x⁴/4 − x²/2": ("x**3 - x", lambda x: x**4 / 4 - x**2 / 2, 1.0),
}


def _settled(slope: str, strength: float, noise: float, size: Size, *, horizon: float) -> Any:
    """The law at a late time of dX = −strength U′ dt + noise dW, from far away."""
    problem = fpk.Problem(
        f"-({strength})*({slope})",
        noise,
        initial=fpk.Gaussian(0.8, 0.4),
        horizon=horizon,
        boundary=fpk.Boundary("no_flux", -7.0, 7.0),
    )

    def level(k: int) -> Any:
        return fpk.solve(
            problem, fpk.Grid(-7.0, 7.0, cells=size.cells(64) * k), times=[horizon], steps=size.cells(22) * k
        )

    return fpk.refine(level)


def _gibbs(potential: Callable[[Array], Array], c: float, noise: float) -> TabulatedLaw:
    return TabulatedLaw.gibbs(lambda x: c * potential(x) / noise**2, -7.0, 7.0)


def _stationary(strength: float, c: float, right: float, well: str, size: Size) -> Evidence:
    slope, potential, noise = WELLS[well]
    solved = _settled(slope, strength, noise, size, horizon=140.0 / strength)
    claimed = constant_law(_gibbs(potential, c, noise), time=140.0 / strength, source=f"Gibbs law exp(−{c:g}U/σ²)")
    reference = fpk.law_panel({140.0 / strength: _gibbs(potential, right, noise)})
    return evidence(solved, claimed, panel=reference)


@study("S4.E35-36", variants={"stated": 4.0, "c = 2": 2.0, "c = 8": 8.0, "c + 2 %": 4.08}, cases=tuple(WELLS))
def gibbs_law(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """f = −2U′ with noise σ settles in exp(−4U/σ²)."""
    return _stationary(2.0, variant, 4.0, case, size)


@study(
    "err:S4.E35-36",
    variants={"printed": (2.0, 1.0), "corrected": (2.0, 4.0), "degenerate": (0.5, 1.0)},
    cases=tuple(WELLS),
)
def gibbs_law_printed(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """exp(−U/σ²), printed for f = −2U′, belongs to f = −½U′ (degenerate)."""
    strength, c = variant
    return _stationary(strength, c, 4.0 if strength == 2.0 else 1.0, case, size)


COVARIANCE = np.array([[0.7, 0.3], [0.3, 0.5]])
CENTRE = np.array([0.4, -0.2])


@study("err:S0.E5", variants={"printed": (1.0, 1.0), "corrected": (-1.0, 1.0), "degenerate": (1.0, 0.0)})
def gaussian_gradient(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """±N Σ⁻¹(x − μ) minus central differences of the density of scipy; at x = μ (degenerate) both signs vanish."""
    from scipy.stats import multivariate_normal

    sign, reach = variant
    density = multivariate_normal(mean=CENTRE, cov=COVARIANCE).pdf  # type: ignore[arg-type]
    count = 6 if size.quick else 12
    angles = 2 * np.pi * np.arange(count) / count
    x = CENTRE + reach * np.stack([1.3 * np.cos(angles), 0.9 * np.sin(angles) + 0.2], axis=1)

    def gradient(step: float) -> Array:
        along = [
            central_derivative(
                lambda u, e=e: np.array([density(p + c * e) for p, c in zip(x, u, strict=True)]), np.zeros(count), step
            )
            for e in np.eye(2)
        ]
        return np.stack(along, axis=1)

    claimed = sign * np.array([density(p) for p in x])[:, None] * np.linalg.solve(COVARIANCE, (x - CENTRE).T).T
    fine, coarse = gradient(0.02), gradient(0.04)
    bound = (np.abs(fine - coarse) + 1e-12).ravel()
    first = fpk.residual(
        (claimed - fine).ravel(), bound, coarser=(claimed - coarse).ravel(), source="formula minus differences"
    )
    names = tuple(f"∂{axis} at {np.round(p, 2).tolist()}" for p in x for axis in "12")
    return Evidence(first, zero_estimate(2 * count), names)
