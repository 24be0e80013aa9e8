import inspect

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import fpk.fokker_planck.discretisation as discretisation
import fpk.fokker_planck.fluxes as fluxes
import fpk.fokker_planck.stepping as stepping
from fpk.fokker_planck.characteristics import log_density
from fpk.fokker_planck.discretisation import Scheme
from fpk.fokker_planck.exponentials import MAGNUS4
from fpk.fokker_planck.fluxes import Rates
from fpk.fokker_planck.solver import solve
from fpk.fokker_planck.stepping import DiagonallyImplicit
from fpk.grids import Grid
from fpk.laws import Gaussian, GaussianMixture
from fpk.problem import Problem, noising
from fpk.schedules import SubVPSchedule, VPSchedule

# Discovered, so that a new scheme cannot skip these tests.
METHODS = [m for m in vars(stepping).values() if isinstance(m, DiagonallyImplicit)] + [MAGNUS4]
SCHEMES = {name: s for name, s in vars(discretisation).items() if isinstance(s, Scheme)}
#: Those whose time error can lead the error of the flux.
STEPPED = {name: s for name, s in SCHEMES.items() if isinstance(s.method, DiagonallyImplicit)}
#: Exponentials of the rate matrix have no error in time where it does not change: theirs shows in this problem.
WARMING = Problem(lambda x, t: -(1 + t) * x, lambda x, t: 1 + np.sin(3 * t) / 2, initial=Gaussian(0.8, 0.5))
FLUXES = [c() for c in vars(fluxes).values() if inspect.isclass(c) and hasattr(c, "rates") and hasattr(c, "order")]

#: A declared order p is confirmed when the last observed one is within a quarter of it.
WITHIN = 0.25


def observed(errors, ratio=2.0):
    errors = np.asarray(errors)
    return np.log(errors[:-1] / errors[1:]) / np.log(ratio)


def test_there_is_something_to_discover():
    assert len(METHODS) >= 3
    assert len(SCHEMES) >= 5
    assert len(FLUXES) >= 2


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_every_time_step_has_its_declared_order(method):
    # p' = (1 + sin 3t) A p with A constant: p(1) = expm(A ∫ (1 + sin 3t)) p(0).
    n = 9
    up, down = 1 + 0.3 * np.sin(np.arange(n)), 1 + 0.2 * np.cos(np.arange(n))
    up[-1] = down[0] = 0.0
    rows = np.stack([np.roll(up, 1), -(up + down), np.roll(down, -1)])
    A = np.stack([Rates(rows, False).applied(e) for e in np.eye(n)], axis=1)
    start = np.eye(n)[3]
    truth = expm(A * (1 + (1 - np.cos(3)) / 3)) @ start

    def error(steps):
        run = method.stepper(lambda t: Rates(rows * (1 + np.sin(3 * t)), False)).run(start, (1.0,), steps)
        return np.abs(next(run)[1] - truth).max()

    errors = [error(n) for n in (8, 16, 32, 64)]
    assert observed(errors)[-1] == pytest.approx(method.order, abs=WITHIN)


@pytest.mark.parametrize("flux", FLUXES, ids=lambda f: type(f).__name__)
def test_every_flux_has_its_declared_order(flux):
    # A p against −(f p)' + (D p)'' written out, with f, D and p far from any equilibrium.
    problem = Problem("sin(x) + 1/2", "sqrt(2 + cos(x))", initial=Gaussian(0.0, 1.0))

    def error(cells):
        grid = Grid(-8, 8, cells)
        x = grid.centers
        p = np.exp(-0.5 * (x - 0.3) ** 2)
        dp, ddp = -(x - 0.3) * p, ((x - 0.3) ** 2 - 1) * p
        f, df = np.sin(x) + 0.5, np.cos(x)
        D, dD, ddD = 1 + np.cos(x) / 2, -np.sin(x) / 2, -np.cos(x) / 2
        exact = -df * p - f * dp + ddD * p + 2 * dD * dp + D * ddp
        return np.abs(flux.rates(problem, grid)(0.0).applied(p) - exact).sum() * grid.spacing

    errors = [error(n) for n in (80, 160, 320)]
    assert observed(errors)[-1] == pytest.approx(flux.order, abs=WITHIN)


def l1(problem, law, scheme, cells, steps, t):
    grid = Grid(-6, 6, cells)
    p = solve(problem, grid, times=[t], steps=steps, scheme=scheme).density(t)
    return np.abs(p - law.density(grid.centers[:, None])).sum() * grid.spacing


def ou_law(t):
    decay = np.exp(-t)
    widths = np.sqrt(np.array([0.4, 0.5]) ** 2 * decay**2 + 0.5 * (1 - decay**2))
    return GaussianMixture([0.4, 0.6], np.array([-0.8, 1.0]) * decay, stds=widths)


OU = Problem("-x", 1.0, initial=GaussianMixture([0.4, 0.6], [-0.8, 1.0], stds=[0.4, 0.5]))


def warmed_law(t):
    def rates(s, moments):
        return [-(1 + s) * moments[0], -2 * (1 + s) * moments[1] + (1 + np.sin(3 * s) / 2) ** 2]

    mean, variance = solve_ivp(rates, (0, t), [0.8, 0.25], method="DOP853", rtol=1e-13, atol=1e-14).y[:, -1]
    return Gaussian(mean, np.sqrt(variance))


def test_magnus_steps_have_their_declared_order_where_coefficients_do_not_commute():
    errors = [l1(WARMING, warmed_law(0.8), discretisation.MAGNUS, 160, k, 0.8) for k in (4, 8, 16)]
    assert observed(errors)[-1] == pytest.approx(4, abs=WITHIN)


@pytest.mark.parametrize("name", STEPPED)
def test_every_scheme_has_its_declared_order_towards_the_exact_law(name):
    scheme = SCHEMES[name]
    # Few steps for each cell: the time error leads, as for every scheme here the flux is of no lower order.
    errors = [l1(OU, ou_law(0.5), scheme, 64 * k, 2 * k, 0.5) for k in (1, 2, 4, 8)]
    assert observed(errors)[-1] == pytest.approx(scheme.order, abs=WITHIN)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_has_the_order_of_its_flux_once_the_steps_are_fine(name):
    scheme = SCHEMES[name]
    # The sixth order shows once no exponent is damped, the second before the time error does.
    grids = (100, 200, 400) if scheme.flux.order > 4 else (40, 80, 160)
    # In time, a Richardson limit: the error of p^h is removed to the digits the space error needs.
    order, law = scheme.method.order, ou_law(0.5)
    errors = []
    for cells in grids:
        grid = Grid(-6, 6, cells)
        runs = [solve(OU, grid, times=[0.5], steps=n, scheme=scheme).density(0.5) for n in (160, 320)]
        limit = runs[1] + (runs[1] - runs[0]) / (2**order - 1)
        errors.append(np.abs(limit - law.density(grid.centers[:, None])).sum() * grid.spacing)
    assert observed(errors)[-1] == pytest.approx(scheme.flux.order, abs=2 * WITHIN)


@pytest.mark.parametrize("name", STEPPED)
def test_time_dependent_coefficients_keep_the_order(name):
    scheme, schedule = SCHEMES[name], VPSchedule(0.5, 6.0)
    decay = schedule.alpha(0.6)
    law = Gaussian(decay, np.sqrt(0.16 * decay**2 + 1 - decay**2))
    problem = noising(schedule, Gaussian(1.0, 0.4))
    errors = [l1(problem, law, scheme, 64 * k, 3 * k, 0.6) for k in (1, 2, 4, 8)]
    assert observed(errors)[-1] == pytest.approx(scheme.order, abs=WITHIN)


def test_noise_that_starts_from_zero_keeps_second_order():
    # Sub-VP: g(0) = 0, the first stage sees a pure transport equation.
    schedule = SubVPSchedule(1.0, 4.0)
    law = Gaussian(1.0, 0.4).pushed(
        np.array([[schedule.alpha(0.5)]]), np.zeros(1), np.array([[schedule.sigma(0.5) ** 2]])
    )
    problem = noising(schedule, Gaussian(1.0, 0.4))
    errors = [l1(problem, law, discretisation.SECOND_ORDER, 64 * k, 16 * k, 0.5) for k in (1, 2, 4, 8)]
    assert observed(errors)[-1] == pytest.approx(2, abs=WITHIN)


def test_the_accurate_scheme_is_accurate_where_the_noise_starts_from_zero():
    # Where noise is weak against the drift over a cell the flux is no longer fitted: the size is tested, not the order.
    schedule = SubVPSchedule(1.0, 4.0)
    law = Gaussian(1.0, 0.4).pushed(
        np.array([[schedule.alpha(0.5)]]), np.zeros(1), np.array([[schedule.sigma(0.5) ** 2]])
    )
    errors = [
        l1(noising(schedule, Gaussian(1.0, 0.4)), law, discretisation.ACCURATE, n, n, 0.5) for n in (96, 192, 384)
    ]
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 3
    assert errors[2] < 1e-7


@pytest.mark.parametrize("noise", [0.3, 0.1, 0.03])
def test_weak_noise_is_not_less_accurate_on_finer_grids(noise):
    law = Gaussian(np.exp(-0.5), np.sqrt(0.16 * np.exp(-1) + noise**2 * (1 - np.exp(-1)) / 2))
    problem = Problem("-x", noise, initial=Gaussian(1.0, 0.4))
    errors = [l1(problem, law, discretisation.ACCURATE, n, 100, 0.5) for n in (100, 200, 400)]
    assert errors[0] > 4 * errors[1] > 8 * errors[2]


def test_characteristics_are_of_fourth_order():
    # ẋ = −sin x: tan(x/2) decays like e^{−t}.
    problem = Problem("-sin(x)", 0.0, initial=Gaussian(0.2, 0.4))
    x = np.linspace(0.1, 1.5, 15)
    origin = 2 * np.arctan(np.tan(x / 2) * np.exp(0.8))
    truth = problem.initial.log_density(origin[:, None]) + np.log(np.sin(origin) / np.sin(x))
    errors = [np.abs(log_density(problem, x, 0.8, n) - truth).max() for n in (8, 16, 32)]
    assert observed(errors)[-1] == pytest.approx(4, abs=WITHIN)


def test_a_flow_on_a_grid_has_the_order_it_declares():
    problem = Problem("-sin(x)*(1 + t)", 0.0, initial=Gaussian(0.2, 0.4))

    def solved(n):
        return solve(problem, Grid(-2.5, 2.5, 100), times=[0.8], steps=n)

    grid = solved(1).grid
    x = grid.centers
    origin = 2 * np.arctan(np.tan(x / 2) * np.exp(0.8 + 0.32))
    truth = problem.initial.density(origin[:, None]) * np.sin(origin) / np.sin(x)
    errors = [np.abs(solved(n).density(0.8) - truth).max() for n in (8, 16, 32)]
    assert observed(errors)[-1] == pytest.approx(solved(8).order, abs=WITHIN)
