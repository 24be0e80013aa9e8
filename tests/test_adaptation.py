"""Adapted steps: short where a drift is stiff, accurate against exact flows, and refused where nothing helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fpk
from fpk.errors import NonFinite, SchemeError
from fpk.laws import Array
from fpk.particles.adaptation import adapted_steps
from fpk.particles.schemes import RungeKutta4


def problem(drift: Any, initial: Any = None, horizon: float = 2.0) -> fpk.Problem:
    return fpk.Problem(drift, 0.0, initial=initial or fpk.Gaussian(1.0, 0.3), horizon=horizon)


def flowed(of: fpk.Problem, mesh: Any, times: list[float]) -> tuple[Array, Array]:
    """Starts (n,), ends (times, n) of particles along the steps."""
    run = fpk.simulate(of, particles=500, steps=mesh, times=times, seed=2, scheme=RungeKutta4(), levels=1)
    return run.start[:, 0], run.fine[:, :, 0]


STIFF = problem("-50*(x - cos(t))")
#: dx = −x³ dt has the flow x/√(1 + 2x²t); dx = x − x³ that of a Bernoulli equation.
CUBIC = problem("-x**3", fpk.Gaussian(0.0, 4.0), 5.0)
WELL = problem("x - x**3", fpk.Gaussian(0.0, 2.0), 3.0)


def stiff_flow(x: Array, t: float) -> Array:
    """X(t) = (50² cos t + 50 sin t)/(50² + 1) + C e^{−50 t}."""
    forced = lambda s: (2500 * np.cos(s) + 50 * np.sin(s)) / 2501  # noqa: E731
    return forced(t) + (x - forced(0.0)) * np.exp(-50 * t)


FLOWS = {
    "stiff": (STIFF, stiff_flow),
    "cubic": (CUBIC, lambda x, t: x / np.sqrt(1 + 2 * x**2 * t)),
    "well": (WELL, lambda x, t: x * np.exp(t) / np.sqrt(1 + x**2 * np.expm1(2 * t))),
}


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8])
def test_errors_stay_below_the_sum_of_what_single_steps_are_allowed(name: str, tolerance: float) -> None:
    of, exact = FLOWS[name]
    times = [0.37 * of.horizon, of.horizon]
    mesh = adapted_steps(of, times=times, tolerance=tolerance)
    start, ends = flowed(of, mesh, times)
    for t, x in zip(times, ends, strict=True):
        error = np.abs(x - exact(start, t)) / (1 + np.abs(x))
        assert error.max() < np.count_nonzero(mesh < t) * tolerance


def test_as_many_even_steps_err_more_or_explode() -> None:
    of, exact = FLOWS["well"]
    mesh = adapted_steps(of, times=[of.horizon], tolerance=1e-8)
    start, ends = flowed(of, mesh, [of.horizon])
    _, even = flowed(of, len(mesh) - 1, [of.horizon])
    adapted, plain = (np.abs(x[0] - exact(start, of.horizon)).max() for x in (ends, even))
    assert 10 * adapted < plain
    with pytest.raises(NonFinite, match="more steps"):
        flowed(CUBIC, len(adapted_steps(CUBIC, times=[5.0], tolerance=1e-8)) - 1, [5.0])


def test_steps_are_short_where_the_drift_is_stiff() -> None:
    late = problem("-(1 + 200*exp(-50*(t - 1)**2))*(x - t)")
    mesh = adapted_steps(late, times=[2.0], tolerance=1e-7)
    lengths, middle = np.diff(mesh), 0.5 * (mesh[1:] + mesh[:-1])
    assert np.median(lengths[np.abs(middle - 1) < 0.2]) < 0.3 * np.median(lengths[middle < 0.6])


def test_ten_thousand_times_the_accuracy_takes_about_six_times_the_steps() -> None:
    """Errors of single steps are of fifth order: 10⁴ᐟ⁵ = 6.3."""
    counts = [len(adapted_steps(WELL, times=[3.0], tolerance=tolerance)) for tolerance in (1e-5, 1e-9)]
    assert 4.5 < counts[1] / counts[0] < 8.5


def test_few_trials_are_refused() -> None:
    """A trial reads the drift at twelve stages, and once where it begins."""
    calls = []

    def drift(x: Array, t: float) -> Array:
        calls.append(t)
        return x - x**3

    mesh = adapted_steps(problem(drift, fpk.Gaussian(0.0, 2.0), 3.0), times=[3.0], tolerance=1e-7)
    assert len(calls) / 13 < 1.25 * (len(mesh) - 1)


def test_every_time_is_an_instant() -> None:
    times = [0.1, 0.1 + 1e-9, 0.3, 0.1 + 0.2, 1.7]
    mesh = adapted_steps(problem("-x"), times=times, tolerance=1e-6)
    assert mesh[0] == 0.0
    assert np.all(np.diff(mesh) > 0)
    assert np.all(np.isin(times, mesh))
    assert mesh[-1] == 1.7


def test_a_time_to_be_met_does_not_shorten_the_steps_after_it() -> None:
    """Many times close together cost no more than themselves."""
    alone, crowded = (adapted_steps(problem("-x"), times=t) for t in ([2.0], [1.0, 1.0 + 1e-7, 1.0 + 2e-7, 2.0]))
    assert len(crowded) <= len(alone) + 4


def test_a_trial_that_explodes_is_shortened() -> None:
    """From |x| = 6 the first trials of dx = −x⁵ dt leave the numbers; the flow is x/(1 + 4x⁴t)^{1/4}."""
    of = problem("-x**5", fpk.Gaussian(3.0, 1.0), 10.0)
    start, ends = flowed(of, adapted_steps(of, times=[10.0], tolerance=1e-7), [10.0])
    assert np.abs(ends[0] - start / (1 + 40 * start**4) ** 0.25).max() < 1e-5


def test_a_drift_of_zero_takes_few_steps() -> None:
    assert len(adapted_steps(problem("0"), times=[2.0])) < 8


def test_the_probability_flow_of_a_noising_process_is_followed() -> None:
    """For normal data the flow scales: x ↦ √(v(t)/v(0)) x, v = 1 + (s² − 1) α²."""
    forward = fpk.noising(fpk.VPSchedule(0.1, 20.0), fpk.Gaussian(0.0, 0.5))
    flow = fpk.probability_flow(forward, fpk.exact(forward, times=[1.0]).score)
    start, ends = flowed(flow, adapted_steps(flow, times=[1.0], tolerance=1e-9), [1.0])
    scale = np.sqrt((1 - 0.75 * np.exp(-10.05)) / 0.25)
    assert np.allclose(ends[0], scale * start, rtol=1e-7, atol=1e-9)


def test_noise_is_refused() -> None:
    with pytest.raises(SchemeError, match="RungeKutta4 is for problems whose diffusion is the constant 0"):
        adapted_steps(fpk.Problem("-x", 1.0, initial=fpk.Gaussian(0.0, 1.0)), times=[1.0])


def test_an_explosion_is_refused_where_it_happens() -> None:
    """dx = x² dt from x ≥ ½ ends before t = 2."""
    with pytest.raises(SchemeError, match=r"needs steps shorter than .* at t=[01]\.\d+: the drift is not smooth"):
        adapted_steps(problem("x**2", fpk.Gaussian(1.0, 0.1)), times=[2.0])


def test_a_drift_that_is_no_number_at_the_start_says_so() -> None:
    with pytest.raises(NonFinite, match="the drift is"):
        adapted_steps(problem("sqrt(x - 1)"), times=[2.0])
