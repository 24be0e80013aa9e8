"""Models of other libraries as fields: every declaration against the closed form of the path it describes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fpk
from fpk.fields import EDM, KINDS, Field, Index, as_field, exact_field
from fpk.problems import two_peaks
from fpk.schedules import OTSchedule

Array = NDArray[Any]
VP = fpk.VPSchedule(0.1, 12.0)
PATHS: dict[str, Any] = {
    "VP": VP,
    "sub-VP": fpk.SubVPSchedule(1.0, 4.0),
    "VE": fpk.VESchedule(0.1, 3.0),
    "OT": OTSchedule(),
}
SCALES: dict[Any, Callable[[float, float], float]] = {
    "path": lambda a, s: 1.0,
    "VP": lambda a, s: 1 / np.hypot(a, s),
    "VE": lambda a, s: 1 / a,
    EDM(0.7): lambda a, s: 1 / np.hypot(0.7 * a, s),
}
DECLARED: dict[str, Any] = {"time": "path", "direction": "t_noise", "scale": "path"}
each_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def scaled(path: Any, factor: Callable[[float, float], float]) -> fpk.AffineSchedule:
    """The path of s x, with its rates by differences."""

    def times(own: Callable[[float], float]) -> Callable[[float], float]:
        return lambda t: factor(path.alpha(t), path.sigma(t)) * own(t)

    return fpk.AffineSchedule(times(path.alpha), times(path.sigma))


def states(rng: np.random.Generator, path: Any, t: float, n: int = 40) -> Array:
    return path.alpha(t) * two_peaks().sample(n, rng) + path.sigma(t) * rng.standard_normal((n, 1))


@each_path
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_a_model_on_a_scaled_path_is_the_field_of_the_path(
    path: Any, kind: str, scale: Any, rng: np.random.Generator
) -> None:
    model = exact_field(two_peaks(), scaled(path, SCALES[scale]), kind=kind)
    field = as_field(model, kind=kind, schedule=path, time="path", direction="t_noise", scale=scale)
    for t in (0.2, 0.5, 0.8):
        x = states(rng, path, t)
        expected = exact_field(two_peaks(), path, kind=kind)(x, t)
        np.testing.assert_allclose(field(x, t), expected, rtol=1e-9, atol=1e-9)


@each_path
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", ["path", "VP"])
def test_a_clock_that_runs_to_the_data_turns_velocities_and_nothing_else(
    path: Any, kind: str, scale: str, rng: np.random.Generator
) -> None:
    forward = exact_field(two_peaks(), scaled(path, SCALES[scale]), kind=kind)
    sign = -1 if kind == "velocity" else 1
    field = as_field(
        lambda y, u: sign * forward(y, 1 - u), kind=kind, schedule=path, time="path", direction="t_data", scale=scale
    )
    x = states(rng, path, 0.3)
    np.testing.assert_allclose(field(x, 0.3), exact_field(two_peaks(), path, kind=kind)(x, 0.3), rtol=1e-9, atol=1e-9)


def test_flow_matching_to_the_data_goes_where_its_trajectories_go(rng: np.random.Generator) -> None:
    """From u = 0 (noise) to u = 1 (data) along dx/du, without fpk's own time: N(0, 1) noise and N(3, 1/4) data, x_u = (1 − u) z + u x."""

    def model(x: Array, u: float) -> Array:
        spread = (1 - u) ** 2 + 0.25 * u**2
        return 3 + (0.25 * u - (1 - u)) / spread * (x - 3 * u)  # E[X − Z | x_u]

    field = as_field(model, kind="velocity", schedule=OTSchedule(), time="path", direction="t_data", scale="path")
    law = fpk.Gaussian(3.0, 0.5)
    for t in (0.0, 0.4, 1.0):
        x = rng.standard_normal((30, 1)) + 3 * (1 - t)
        expected = exact_field(law, OTSchedule(), kind="velocity")(x, t)
        np.testing.assert_allclose(field(x, t), expected, rtol=1e-12, atol=1e-12)


@each_path
@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_a_raw_edm_network_is_read_with_its_preconditioning(path: Any, spread: float, rng: np.random.Generator) -> None:
    """F is made from c_skip, c_out, c_in and c_noise as printed in Karras et al. (2022), table 1."""

    def network(scaled_input: Array, c_noise: float) -> Array:
        level = np.exp(4 * c_noise)
        x = scaled_input * np.sqrt(level**2 + spread**2)  # x + level z
        c_skip, c_out = spread**2 / (level**2 + spread**2), level * spread / np.sqrt(level**2 + spread**2)
        ve = fpk.AffineSchedule(lambda t: 1.0, lambda t: level)
        return (exact_field(two_peaks(), ve, kind="denoised")(x, 1.0) - c_skip * x) / c_out

    def c_noise(t: float) -> float:
        return np.log(path.sigma(t) / path.alpha(t)) / 4

    field = as_field(network, kind="edm", schedule=path, time=c_noise, direction="t_noise", scale=EDM(spread))
    assert field.kind == "v"
    x = states(rng, path, 0.4)
    for kind in KINDS:
        expected = exact_field(two_peaks(), path, kind=kind)(x, 0.4)
        np.testing.assert_allclose(getattr(field, kind)(x, 0.4), expected, rtol=1e-11, atol=1e-11)


# -- time ----------------------------------------------------------------------------------------------------------------


def shown(time: Any, t: float, *, direction: str = "t_noise", **settings: Any) -> Any:
    """What the model is given for its time at t."""
    seen: list[Any] = []

    def model(x: Array, *time: Any) -> Array:
        seen.append(time[0] if time else "nothing")
        return x

    declared = DECLARED | {"time": time, "direction": direction}
    as_field(model, kind="noise", schedule=VP, **declared, **settings)(np.zeros((3, 1)), t)
    return seen[0]


def test_the_time_is_given_as_declared() -> None:
    assert shown("path", 0.3) == 0.3
    assert shown("path", 0.3, direction="t_data") == 0.7
    assert shown("sigma", 0.3) == pytest.approx(VP.sigma(0.3) / VP.alpha(0.3), rel=1e-15)
    assert shown(lambda t: 1000 * t, 0.3) == 300
    assert shown(lambda u: u**2, 0.3, direction="t_data") == pytest.approx(0.49)
    assert shown(None, 0.3) == "nothing"
    assert shown("path", 0.3, time_as="scalar") == 0.3
    assert shown("path", 0.3, time_as="vector").tolist() == [0.3] * 3
    assert shown("path", 0.3, time_as="column").tolist() == [[0.3]] * 3


def test_indices_count_as_declared() -> None:
    ddpm, counted, spanning = (
        Index(1000, first=0, start=1e-3),
        Index(1000, first=1, start=1e-3),
        Index(1000, first=0, start=0.0),
    )
    assert [ddpm(0.001), ddpm(0.5), ddpm(1.0)] == [0.0, 499.0, 999.0]
    assert [counted(0.001), counted(0.5), counted(1.0)] == [1.0, 500.0, 1000.0]
    assert [spanning(0.0), spanning(0.5), spanning(1.0)] == [0.0, 499.5, 999.0]
    assert ddpm(0.00125) == pytest.approx(0.25)
    whole = Index(1000, first=1, start=1e-3, whole=True)
    assert (whole(0.25), type(whole(0.25))) == (250, int)
    assert shown(Index(11, first=0, start=0.0), 0.2, direction="t_data") == 8


def test_times_that_have_no_index_are_refused_with_those_that_have() -> None:
    with pytest.raises(fpk.FpkError, match=r"knows the times 0.001 to 1 \(indices 0 to 999\), asked at t=0: let the"):
        Index(1000, first=0, start=1e-3)(0.0)
    with pytest.raises(fpk.FpkError, match=r"asked at t=1.1"):
        Index(1000, first=0, start=0.0)(1.1)
    with pytest.raises(
        fpk.FpkError, match=r"t=0.25 lies between two whole indices, at 2.25: take times 0 \+ k × 0.111111"
    ):
        Index(10, first=0, start=0.0, whole=True)(0.25)
    for settings in (
        {"count": 1, "first": 0, "start": 0.0},
        {"count": 10, "first": 2, "start": 0.0},
        {"count": 10, "first": 0, "start": 1.0},
    ):
        with pytest.raises(fpk.FpkError, match="an index needs count ≥ 2, first = 0 or 1 and 0 ≤ start < 1"):
            Index(**settings)  # type: ignore[arg-type]


# -- declarations and outputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"kind": "epsilon"}, "unknown kind of field 'epsilon'"),
        ({"kind": "edm"}, r"kind 'edm' has the scale EDM\(sigma_data\), got 'path'"),
        ({"time": "index"}, "the time 'index' of a model is none of 'path', 'sigma', None, an Index"),
        ({"time": 3.0}, "the time 3.0 of a model is none of"),
        ({"direction": "forward"}, "direction 'forward' .* none of 't_noise' .* and 't_data'"),
        ({"time": "sigma", "direction": "t_data"}, "time='sigma' goes with direction='t_noise'"),
        ({"scale": "EDM"}, r"scale 'EDM' .* none of 'path', 'VP', 'VE' and EDM\(sigma_data\)"),
        ({"time_as": "row"}, "time_as='row' is none of 'scalar', 'vector', 'column'"),
        ({"batch": 0}, "at least one row, got batch=0"),
        ({"model": 3.0}, r"a torch module, an object with predict, or a function of \(x, t\); got float"),
    ],
)
def test_declarations_that_mean_nothing_are_refused(declared: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {"model": lambda x, t: x, "kind": "noise", "schedule": VP} | DECLARED | declared
    with pytest.raises(fpk.FpkError, match=message):
        as_field(settings.pop("model"), **settings)


def test_nothing_is_declared_by_default() -> None:
    with pytest.raises(TypeError, match="'schedule', 'time', 'direction', and 'scale'"):
        as_field(lambda x, t: x, kind="noise")  # type: ignore[call-arg]


def test_scales_and_levels_that_end_before_alpha_does_say_so() -> None:
    x = np.zeros((3, 1))
    ve = as_field(lambda y, t: y, kind="noise", schedule=OTSchedule(), **DECLARED | {"scale": "VE"})
    with pytest.raises(fpk.FpkError, match="scale 'VE' has no value at t=1, where α = 0"):
        ve(x, 1.0)
    level = as_field(lambda y, t: y, kind="noise", schedule=OTSchedule(), **DECLARED | {"time": "sigma"})
    with pytest.raises(fpk.FpkError, match="infinite at t=1, where α = 0"):
        level(x, 1.0)
    with pytest.raises(fpk.FpkError, match="standard deviation of the data, got -1"):
        EDM(-1)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: x[:, 0], r"shape \(5,\) for positions of shape \(5, 1\).*Return values\[:, None\]"),
        (lambda x: x[:2], r"shape \(2, 1\) for positions of shape \(5, 1\)"),
        (lambda x: x + 1j, "ndarray of complex128; real numbers are needed"),
        (lambda x: {"sample": x}, "dict of object"),
        (lambda x: np.where(np.arange(5)[:, None] < 3, x, np.nan), r"\[nan\] at x=\[3.0\] \(of its own scale\), t=0.5"),
        (lambda x: np.where(np.arange(5)[:, None] < 1, x, np.inf), r"\[inf\] at x=\[1.0\]"),
    ],
)
def test_outputs_that_are_no_field_are_refused_with_what_came(output: Any, message: str) -> None:
    field = as_field(lambda x, t: output(x), kind="noise", schedule=VP, **DECLARED)
    with pytest.raises(fpk.FpkError, match=message):
        field(np.arange(5.0)[:, None], 0.5)


def test_batches_change_nothing_and_are_no_larger_than_declared(rng: np.random.Generator) -> None:
    exact, sizes = exact_field(two_peaks(), VP, kind="noise"), set()

    def model(x: Array, t: float) -> Array:
        sizes.add(len(x))
        return exact(x, t).astype(np.float32)

    x = rng.standard_normal((103, 1))
    whole, batched = (as_field(model, kind="noise", schedule=VP, batch=batch, **DECLARED) for batch in (None, 25))
    np.testing.assert_array_equal(batched(x, 0.4), whole(x, 0.4))
    assert sizes == {103, 25, 3}
    assert whole(x, 0.4).dtype == np.float64
    assert whole(x[:0], 0.4).shape == (0, 1)


def test_a_model_that_returns_integers_or_lists_is_understood() -> None:
    field = as_field(lambda x, t: (x > 0).astype(int).tolist(), kind="noise", schedule=VP, **DECLARED)
    assert field(np.array([[-1.0], [2.0]]), 0.5).tolist() == [[0.0], [1.0]]


# -- three lines for each library --------------------------------------------------------------------------------------------


def reverse_moments(field: Field) -> tuple[float, float]:
    """Mean and variance after the probability flow from N(0, 1) at t = 1 to .2, 40 Heun steps over fixed normal quantiles."""
    from scipy.special import ndtri

    x, times = ndtri((np.arange(400) + 0.5) / 400)[:, None], np.linspace(1.0, 0.2, 41)
    for t, s in pairwise(times):
        k = field.velocity(x, t)
        x = x + 0.5 * (s - t) * (k + field.velocity(x + (s - t) * k, s))
    return float(x.mean()), float(x.var())


GAUSSIAN = fpk.Gaussian(1.0, 0.5)


def noise_of(x: Any, t: Any, exp: Any, sqrt: Any) -> Any:
    """E[Z | x] for GAUSSIAN data on VP with rate 2, in whatever arrays."""
    alpha = exp(-t)
    squared = 1 - exp(-2 * t)
    return sqrt(squared) * (x - alpha) / (0.25 * alpha**2 + squared)


EXACT = exact_field(GAUSSIAN, fpk.VPSchedule(2.0))


def test_three_lines_with_a_torch_module() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'fpk[torch]'")

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x: Any, t: Any) -> Any:
            return self.gain * noise_of(x, t[:, None], torch.exp, torch.sqrt)

    model = Model()
    schedule = fpk.VPSchedule(2.0)
    field = as_field(model, kind="noise", schedule=schedule, time="path", direction="t_noise", scale="path")
    np.testing.assert_allclose(reverse_moments(field), reverse_moments(EXACT), rtol=1e-12)


def test_three_lines_with_a_jax_function() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed: pip install 'fpk[jax]'")
    model = jax.jit(lambda x, t: noise_of(x, t, jax.numpy.exp, jax.numpy.sqrt))
    schedule = fpk.VPSchedule(2.0)
    field = as_field(model, kind="noise", schedule=schedule, time="path", direction="t_noise", scale="path")
    np.testing.assert_allclose(reverse_moments(field), reverse_moments(EXACT), rtol=1e-4)  # float32


def test_three_lines_with_a_regressor_of_scikit_learn(rng: np.random.Generator) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'fpk[sklearn]'")
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    t = rng.uniform(0.15, 1.0, 20_000)
    x = np.exp(-t) * (1 + 0.5 * rng.standard_normal(t.size)) + np.sqrt(-np.expm1(-2 * t)) * rng.standard_normal(t.size)
    inputs = np.column_stack([x, t])
    model = make_pipeline(PolynomialFeatures(7), LinearRegression()).fit(inputs, noise_of(x, t, np.exp, np.sqrt))
    schedule = fpk.VPSchedule(2.0)
    field = as_field(model, kind="noise", schedule=schedule, time="path", direction="t_noise", scale="path")
    np.testing.assert_allclose(reverse_moments(field), reverse_moments(EXACT), atol=0.01)


def test_a_plain_function_and_an_object_that_predicts_are_one_field() -> None:
    class Regressor:
        def predict(self, columns: Array) -> Array:
            return noise_of(columns[:, 0], columns[:, 1], np.exp, np.sqrt)

    declared: dict[str, Any] = {"kind": "noise", "schedule": fpk.VPSchedule(2.0), **DECLARED}
    fields = as_field(Regressor(), **declared), as_field(lambda x, t: noise_of(x, t, np.exp, np.sqrt), **declared)
    for field in fields:
        np.testing.assert_allclose(reverse_moments(field), reverse_moments(EXACT), rtol=1e-12)


# -- torch leaves no trace ---------------------------------------------------------------------------------------------------


def layers(torch: Any, dtype: Any) -> Any:
    """A module whose parts are in different modes, with dropout that evaluation must switch off."""
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2)
    )
    model.to(dtype).train()
    model[2].eval()
    return model


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_module_is_evaluated_without_a_trace(precision: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'fpk[torch]'")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = layers(torch, getattr(torch, precision))
    before = [part.training for part in model.modules()], torch.get_rng_state().clone(), torch.is_grad_enabled()
    field = as_field(model, kind="noise", schedule=VP, time=None, direction="t_noise", scale="path")
    x = rng.standard_normal((50, 2))
    np.testing.assert_array_equal(field(x, 0.5), field(x, 0.5))
    after = [part.training for part in model.modules()], torch.get_rng_state(), torch.is_grad_enabled()
    assert (before[0], before[2]) == (after[0], after[2])
    assert torch.equal(before[1], after[1])
    assert field(x, 0.5).dtype == np.float64
    model.eval()
    with torch.no_grad():
        np.testing.assert_array_equal(field(x, 0.5), model(torch.tensor(x, dtype=getattr(torch, precision))).numpy())


def test_a_table_of_embeddings_takes_whole_indices() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'fpk[torch]'")

    class Table(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.levels = torch.nn.Embedding.from_pretrained(torch.arange(10.0)[:, None])

        def forward(self, x: Any, i: Any) -> Any:
            return x + self.levels(i)

    index = Index(10, first=0, start=0.1, whole=True)
    field = as_field(Table(), kind="noise", schedule=VP, time=index, direction="t_noise", scale="path")
    assert field(np.zeros((4, 1)), 0.4).tolist() == [[3.0]] * 4


def test_a_module_that_returns_no_tensor_is_refused() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'fpk[torch]'")

    class Wrapped(torch.nn.Module):
        def forward(self, x: Any, t: Any) -> Any:
            return {"sample": x}

    field = as_field(Wrapped(), kind="noise", schedule=VP, **DECLARED)
    with pytest.raises(fpk.FpkError, match="the module returned dict, not a tensor: give a module or function"):
        field(np.zeros((4, 1)), 0.4)
