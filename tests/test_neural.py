"""The neural witness: seeded to the last bit, no trace in torch, and trained to what the closed form says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import ndtri

import fpk
from fpk.fields import exact_field
from fpk.models.bounds import girsanov
from fpk.models.neural import OBJECTIVES, train
from fpk.models.points import drawn
from fpk.schedules import OTSchedule

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'fpk[torch]'")

DATA = fpk.Gaussian(1.0, 0.5)
VP = fpk.VPSchedule(0.6, 4.0)
SMALL: dict[str, Any] = {"steps": 6, "batch": 64, "width": 16}


def states(rng: np.random.Generator, path: Any, t: float) -> Any:
    return path.alpha(t) * DATA.sample(200, rng) + path.sigma(t) * rng.standard_normal((200, 1))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_same_seed_is_the_same_network_and_another_one_is_not(objective: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((50, 1))
    first, second, other = (train(DATA, OTSchedule(), objective=objective, seed=k, **SMALL)(x, 0.4) for k in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float64


def state_of_torch() -> tuple[Any, ...]:
    return (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
    )


def test_training_changes_nothing_in_torch_and_does_not_depend_on_it(rng: np.random.Generator) -> None:
    x, random = rng.standard_normal((50, 1)), torch.get_rng_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    before = state_of_torch()
    plain = train(DATA, VP, objective="noise", **SMALL)(x, 0.4)
    assert state_of_torch() == before
    torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), random)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(99)
        torch.set_default_dtype(torch.float64)
        try:
            disturbed = train(DATA, VP, objective="noise", **SMALL)(x, 0.4)
        finally:
            torch.set_default_dtype(before[1])
    np.testing.assert_array_equal(disturbed, plain)


@pytest.mark.parametrize("objective", ["noise", "denoised", "v", "velocity"])
def test_regressions_come_near_the_exact_field(objective: str, rng: np.random.Generator) -> None:
    """To a tenth of the targets' size: a wrong sign, time or scale of the target leaves an error as large as the target."""
    path = OTSchedule() if objective == "velocity" else VP
    field = train(DATA, path, objective=objective, steps=200, batch=512, width=32, rate=1e-2)
    truth = exact_field(DATA, path, kind=objective)
    for t in (0.2, 0.5, 0.8):
        pairs = drawn(DATA, path, t=t, count=500, rng=rng)
        error, size = field(pairs.x, t) - truth(pairs.x, t), np.sqrt((pairs.target(objective) ** 2).mean())
        assert np.sqrt((error**2).mean()) < 0.1 * size


def test_rows_of_an_array_are_data_as_a_law_is(rng: np.random.Generator) -> None:
    field = train(DATA.sample(20_000, rng), VP, objective="noise", steps=200, batch=512, width=32, rate=1e-2)
    x = states(rng, VP, 0.5)
    assert np.abs(field(x, 0.5) - exact_field(DATA, VP, kind="noise")(x, 0.5)).mean() < 0.05


def test_likelihood_trains_a_flow_from_the_prior_to_the_data() -> None:
    """Its own path, so that only the ends are compared: quantiles of N(0, 1) go to those of the data."""
    field = train(DATA, OTSchedule(), objective="likelihood", steps=80, batch=96, width=16, rate=2e-2)
    z = ndtri((np.arange(40) + 0.5) / 40)
    flow = solve_ivp(lambda t, x: field(x[:, None], t)[:, 0], (1.0, 0.0), z, rtol=1e-4)
    assert np.sqrt(((flow.y[:, -1] - (1.0 + 0.5 * z)) ** 2).mean()) < 0.05
    assert field.kind == "velocity"


def test_the_bound_of_a_trained_field_falls_with_training() -> None:
    problem = fpk.noising(VP, DATA)
    prior = fpk.exact(problem, times=[1.0]).law(1.0)
    bounds = [
        girsanov(
            problem,
            train(DATA, VP, objective="noise", steps=n, batch=256, width=32, rate=1e-2),
            prior=prior,
            end=0.05,
            nodes=8,
        ).kl
        for n in (4, 40, 160)
    ]
    assert bounds[0] > 2 * bounds[1] > 4 * bounds[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "score"}, r"one of noise, denoised, v, velocity, likelihood, got 'score'.*train the noise"),
        ({"objective": "noise", "batch": 100}, "32 times with equally many pairs, got batch=100"),
        ({"objective": "noise", "batch": 0}, "got batch=0"),
    ],
)
def test_what_cannot_be_trained_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(fpk.FpkError, match=message):
        train(DATA, VP, **settings)
