"""Schemes of the particles: each has its claims, local moments of one step against linear algebra, and what is refused.

The orders themselves, on whole paths, are claims of ``studies/particles_orders.py``. Here one step from x is integrated over its noise exactly, by
Gauss–Hermite rules (increments) and over signs (two-point variables): E X_h and E X_h X_hᵀ must match those of the equation up to O(h^{p+1}).
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

import fpk
import fpk.particles
from fpk.catalogue import Catalogue, load_catalogue
from fpk.errors import SchemeError
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.schemes import EulerMaruyama, Heun, Milstein, PlatenWeak, RungeKutta4, Scheme
from fpk.particles.steps import Step

STUDIES = Path(fpk.__file__).parents[1] / "studies"
#: Chains that are exact for every step, or no discretisation: claims of their own kind.
OTHER_CLAIMS = {
    "ExactTransition": ("particles.exact-chain", "particles.exact-transition"),
    "MALA": ("particles.langevin",),
}


def concrete_schemes() -> list[type[Scheme]]:
    """Every scheme of the package that can be made, wherever it is defined."""
    for module in pkgutil.iter_modules(fpk.particles.__path__):
        importlib.import_module(f"fpk.particles.{module.name}")
    found, todo = [], [Scheme]
    while todo:
        todo += (kind := todo.pop()).__subclasses__()
        found.append(kind)
    mine = [kind for kind in found if kind.__module__.startswith("fpk.")]
    return sorted((k for k in mine if not getattr(k, "__abstractmethods__", None)), key=lambda k: k.__name__)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(STUDIES)


# -- claims ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", concrete_schemes(), ids=lambda kind: kind.__name__)
def test_every_scheme_has_claims_on_what_it_declares(kind: type[Scheme], catalogue: Catalogue) -> None:
    if kind.__name__ in OTHER_CLAIMS:
        assert set(OTHER_CLAIMS[kind.__name__]) <= set(catalogue.claims)
        return
    claimed = {s.compute.__name__: s for s in catalogue.studies if s.module.endswith("particles_orders")}
    for what in ("strong", "weak"):
        declared = {getattr(orders, what) for orders in (kind.general, kind.additive)} - {None}
        name = f"{what}_{kind.__name__.lower()}"
        assert bool(declared) == (name in claimed), f"{kind.__name__} declares {what} orders {declared}"


def test_every_scheme_with_noise_is_asked_in_additive_multiplicative_and_matrix_noise(catalogue: Catalogue) -> None:
    for study in catalogue.studies:
        if study.claim.startswith(("particles.strong-", "particles.weak-")) and "runge-kutta" not in study.claim:
            assert {"additive", "multiplicative"} <= set(study.cases), study.name
            assert {"matrix", "non-commuting"} & set(study.cases), study.name


def test_every_scheme_that_declares_a_general_order_has_a_limit(catalogue: Catalogue) -> None:
    limits = {case.partition(", ")[0] for case in catalogue.study_of("particles.limit").cases}
    general = {k for k in concrete_schemes() if k.general.weak not in (None, np.inf) and k is not RungeKutta4}
    assert len(limits) == len(general)
    for kind in general:
        assert any(kind.name.startswith(limit) for limit in limits), kind.name


# -- moments of one step -----------------------------------------------------------------------------------------------

TURNING = np.array([[-0.7, 0.9], [-0.4, 0.3]])
CROSSED = (np.array([[0.5, 0.2], [0.0, -0.4]]), np.array([[0.1, 0.6], [0.3, 0.0]]))
PLACE = np.array([0.8, -0.5])
#: dX = (μ √(1 + X²) + ½s² X) dt + s √(1 + X²) dW from sinh y is sinh(y + μh + s W_h) after a time h.
SPEED, NOISE, Y = -0.6, 0.7, 0.4


def linear(*matrices: np.ndarray) -> fpk.Problem:
    rows = [[f"({B[i, 0]})*x0 + ({B[i, 1]})*x1" for B in matrices] for i in range(2)]
    return fpk.Problem(fpk.Linear(TURNING), rows, initial=fpk.Gaussian([0.0, 0.0], 1.0))


def hyperbolic() -> fpk.Problem:
    drift = f"{SPEED}*sqrt(1 + x**2) + {NOISE**2 / 2}*x"
    return fpk.Problem(drift, f"{NOISE}*sqrt(1 + x**2)", initial=fpk.Gaussian(0.5, 0.3))


def after_one_step(scheme: Scheme, problem: fpk.Problem, place: np.ndarray, h: float, noises: int) -> np.ndarray:
    """E X_h and E X_h X_hᵀ, flat, integrated over the noise of one step from a place."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(24 if noises == 1 else 8)
    extras = scheme.extras(problem)
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=extras))).reshape(2**extras, extras)
    z = np.array(list(itertools.product(nodes, repeat=noises)))
    w = np.prod(list(itertools.product(weights / weights.sum(), repeat=noises)), axis=1)
    z, w, extra = np.repeat(z, len(signs), 0), np.repeat(w, len(signs)) / len(signs), np.tile(signs, (len(z), 1))
    x = scheme.advanced(Step(problem, 0.0, h), np.tile(place, (len(z), 1)), h**0.5 * z, extra)
    return np.concatenate([w @ x, np.einsum("n,ni,nj->ij", w, x, x).ravel()])


def linear_moments(h: float, matrices: tuple[np.ndarray, ...]) -> np.ndarray:
    A, one = TURNING, np.eye(2)
    generator = np.kron(A, one) + np.kron(one, A) + sum(np.kron(B, B) for B in matrices)
    return np.concatenate([expm(h * A) @ PLACE, expm(h * generator) @ np.outer(PLACE, PLACE).ravel()])


def hyperbolic_moments(h: float) -> np.ndarray:
    """E sinh Y and E sinh² Y for Y ~ N(y + μh, s²h)."""
    mean, variance = Y + SPEED * h, NOISE**2 * h
    return np.array([np.exp(variance / 2) * np.sinh(mean), 0.5 * (np.exp(2 * variance) * np.cosh(2 * mean) - 1)])


def local_order(errors: list[np.ndarray]) -> float:
    """Between the two finest of steps that are halved, of the largest error."""
    sizes = [np.abs(e).max() for e in errors]
    return float(np.log2(sizes[-2] / sizes[-1]))


STEPS = [2.0**-k for k in range(4, 9)]


@pytest.mark.parametrize("kind", [EulerMaruyama, Heun, PlatenWeak])
def test_one_step_has_its_declared_weak_order_in_noise_that_does_not_commute(kind: type[Scheme]) -> None:
    problem = linear(*CROSSED)
    declared = kind().orders(problem).weak
    errors = [after_one_step(kind(), problem, PLACE, h, 2) - linear_moments(h, CROSSED) for h in STEPS]
    assert declared is not None
    assert local_order(errors) == pytest.approx(declared + 1, abs=0.1)


@pytest.mark.parametrize("kind", [EulerMaruyama, Milstein, Heun, PlatenWeak])
def test_one_step_has_its_declared_weak_order_in_nonlinear_noise(kind: type[Scheme]) -> None:
    problem, place = hyperbolic(), np.array([np.sinh(Y)])
    declared = kind().orders(problem).weak
    errors = [after_one_step(kind(), problem, place, h, 1) - hyperbolic_moments(h) for h in STEPS]
    assert declared is not None
    assert local_order(errors) == pytest.approx(declared + 1, abs=0.1)


@pytest.mark.parametrize("kind", [EulerMaruyama, Milstein, Heun, PlatenWeak])
def test_one_step_has_its_declared_weak_order_in_additive_noise(kind: type[Scheme]) -> None:
    """dX = −X dt + g dW with the mean e^{−h} x and the variance ½g² (1 − e^{−2h})."""
    problem = fpk.Problem("-x", 0.8, initial=fpk.Gaussian(0.5, 0.3))
    declared, x = kind().orders(problem).weak, 0.6

    def exact(h: float) -> np.ndarray:
        return np.array([np.exp(-h) * x, np.exp(-2 * h) * x**2 - 0.32 * np.expm1(-2 * h)])

    errors = [after_one_step(kind(), problem, np.array([x]), h, 1) - exact(h) for h in STEPS]
    assert declared is not None
    assert local_order(errors) == pytest.approx(declared + 1, abs=0.1)


def test_areas_left_out_are_seen_by_the_moments_of_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = linear(*CROSSED)
    monkeypatch.setattr("fpk.particles.schemes._two_point", lambda extra, h, m: [[-h] * m] * m)
    monkeypatch.setattr(PlatenWeak, "extras", lambda self, problem: 0)
    errors = [after_one_step(PlatenWeak(), problem, PLACE, h, 2) - linear_moments(h, CROSSED) for h in STEPS]
    assert local_order(errors) < 2.2


def test_a_conversion_left_out_is_seen_by_the_moments_of_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, place = hyperbolic(), np.array([np.sinh(Y)])
    monkeypatch.setattr("fpk.particles.schemes._stratonovich_drift", lambda step, x, stage: step.drift(x, stage))
    errors = [after_one_step(Heun(), problem, place, h, 1) - hyperbolic_moments(h) for h in STEPS]
    assert local_order(errors) < 1.2


def test_milstein_takes_the_second_itô_integrals_of_commuting_noise() -> None:
    """For linear noise X + A X h + Σ B_k X ΔW_k + ½ Σ B_j B_k X (ΔW_j ΔW_k − δ_jk h), exactly."""
    first = np.array([[0.4, -0.3], [0.3, 0.4]])
    second = np.array([[-0.1, -0.5], [0.5, -0.1]])
    h, dW = 0.3, np.array([[0.7, -0.4]])
    moved = Milstein().advanced(Step(linear(first, second), 0.0, h), PLACE[None], dW, np.zeros((1, 0)))
    B, products = (first, second), np.outer(dW[0], dW[0]) - h * np.eye(2)
    expected = PLACE + h * TURNING @ PLACE + sum(w * b @ PLACE for w, b in zip(dW[0], B, strict=True))
    expected = expected + 0.5 * sum(products[j, k] * B[j] @ B[k] @ PLACE for j in range(2) for k in range(2))
    np.testing.assert_allclose(moved[0], expected, rtol=0, atol=1e-14)


def test_milstein_takes_the_second_itô_integrals_of_diagonal_noise() -> None:
    """X_i + ½ b_i² X_i (ΔW_i² − h) beside the Euler step, exactly for linear noise."""
    noise, h, dW = np.array([0.5, 0.3]), 0.2, np.array([[0.6, -0.9]])
    problem = fpk.Problem(["-x0", "-x1"], ["0.5*x0", "0.3*x1"], initial=fpk.Gaussian([2.0, 2.0], 0.1))
    moved = Milstein().advanced(Step(problem, 0.0, h), PLACE[None], dW, np.zeros((1, 0)))
    expected = PLACE * (1 - h + noise * dW[0] + 0.5 * noise**2 * (dW[0] ** 2 - h))
    np.testing.assert_allclose(moved[0], expected, rtol=0, atol=1e-14)


def test_runge_kutta_takes_the_first_five_terms_of_an_exponential() -> None:
    problem, h = fpk.Problem(fpk.Linear(TURNING), 0, initial=fpk.Gaussian([0.0, 0.0], 1.0)), 0.4
    moved = RungeKutta4().advanced(Step(problem, 0.0, h), PLACE[None], np.zeros((1, 0)), np.zeros((1, 0)))
    term, total = np.eye(2), np.eye(2)
    for k in range(1, 5):
        term = term @ TURNING * h / k
        total = total + term
    np.testing.assert_allclose(moved[0], total @ PLACE, rtol=0, atol=1e-14)


# -- what is declared and what is refused ------------------------------------------------------------------------------


def test_heun_declares_half_an_order_where_noise_does_not_commute() -> None:
    assert Heun().orders(linear(*CROSSED)).strong == 0.5
    assert Heun().orders(linear(CROSSED[0], CROSSED[0])).strong == 1.0
    assert Heun().orders(fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0, 1))).weak == 2.0


REFUSED: list[tuple[Scheme, fpk.Problem, str]] = [
    (Milstein(), linear(*CROSSED), "commutes"),
    (Milstein(), fpk.Problem(["-x0", "-x1"], ["1 + x1**2", "1"], initial=fpk.Gaussian([0.0, 0.0], 1.0)), "commutes"),
    (RungeKutta4(), fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0, 1)), "constant 0"),
    (ExactTransition(), fpk.Problem("-x**3", 1.0, initial=fpk.Gaussian(0, 1)), "linear"),
    (ExactTransition(), fpk.Problem("-x", "1 + x**2", initial=fpk.Gaussian(0, 1)), "depends on x"),
]


@pytest.mark.parametrize(("scheme", "problem", "reason"), REFUSED)
def test_a_scheme_refuses_what_it_cannot_solve_and_says_why(scheme: Any, problem: Any, reason: str) -> None:
    with pytest.raises(SchemeError, match=reason):
        fpk.simulate(problem, particles=4, steps=2, times=[1.0], scheme=scheme)


def test_diagonal_noise_of_each_coordinate_alone_commutes() -> None:
    problem = fpk.Problem(["-x0", "-x1"], ["1 + x0**2/9", "2 + sin(x1)"], initial=fpk.Gaussian([0.0, 0.0], 1.0))
    Milstein().check(problem)
