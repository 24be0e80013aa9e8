"""The examination of samplers: ours are confirmed, planted mistakes refuted and named, and the model that is supplied is the one declared."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import fpk
from fpk.battery import Declaration, Examination, examine_sampler, wrapped
from fpk.battery.findings import unexplained
from fpk.battery.recording import ExactModel, like, numbers
from fpk.battery.subjects import NARROW, PLANE, SMOOTH, SPOT, between_counts, default_counts
from fpk.errors import ComparisonError, ProblemError, UnknownName
from fpk.fields import EDM, KINDS, Index, as_field, exact_field
from fpk.laws import Array
from fpk.samplers import (
    DDIM,
    DDPM,
    AnnealedLangevin,
    DPMSolver2,
    EulerMaruyama,
    PredictorCorrector,
    ProbabilityFlow,
    Sampler,
    StochasticHeun,
)
from fpk.samplers.times import log_snr, quadratic
from fpk.schedules import OTSchedule

VP, OT, VE = fpk.VPSchedule(0.1, 20.0), OTSchedule(), fpk.VESchedule(0.01, 80.0)
QUICK: dict[str, Any] = {"particles": 10_000, "counts": (8, 16, 32, 64), "tolerance": 0.15}


def outcome(examination: Examination) -> str:
    return str(examination.outcome)


# -- the model that is supplied ----------------------------------------------------------------------------------------

INDEX = Index(1000, first=0, start=0.001)


@pytest.mark.parametrize("schedule", [VP, OT, VE, fpk.SubVPSchedule(0.1, 20.0)], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize(
    ("time", "direction"),
    [("path", "t_noise"), ("path", "t_data"), ("sigma", "t_noise"), (INDEX, "t_noise"), (lambda t: 1000 * t, "t_data")],
    ids=["path", "towards data", "sigma", "index", "function"],
)
def test_an_exact_model_read_as_declared_is_the_exact_field(schedule: Any, time: Any, direction: str) -> None:
    x = np.linspace(-1, 5, 7)[:, None]
    for kind, scale in itertools.product((*KINDS, "edm"), ("path", "VP", "VE", EDM(0.7))):
        if kind == "edm" and not isinstance(scale, EDM):
            continue
        model = ExactModel(Declaration(kind, schedule, time, direction, scale), SMOOTH)
        read = as_field(model, kind=kind, schedule=schedule, time=time, direction=direction, scale=scale)
        for t in (0.2, 0.63):
            expected = exact_field(SMOOTH, schedule, kind=read.kind)(x, t)
            assert np.allclose(read(x, t), expected, rtol=1e-7, atol=1e-7), (kind, scale, t)


def test_labels_are_inverted_and_those_nobody_declared_are_kept() -> None:
    assert Declaration("noise", VP, INDEX).moment(999) == (1.0, True)
    assert Declaration("noise", VP, INDEX).moment(1000) == (1.0, False)
    assert Declaration("noise", VP, INDEX).moment(-1) == (0.0, True)
    assert Declaration("velocity", OT, "path", "t_data").moment(0.25) == (0.75, True)
    t, known = Declaration("noise", VE, "sigma").moment(VE.sigma(0.4))
    assert known
    assert abs(t - 0.4) < 1e-12
    assert Declaration("noise", VE, "sigma").moment(90.0) == (1.0, False)


def test_rows_may_have_labels_of_their_own() -> None:
    model, x = ExactModel(Declaration("noise", VP), SMOOTH), np.array([[1.0], [2.0], [1.0]])
    both = model(x, np.array([0.3, 0.7, 0.3]))
    assert np.array_equal(both[0], model(x[:1], 0.3)[0])
    assert np.array_equal(both[1], model(x[1:2], np.array([0.7]))[0])
    assert np.array_equal(both[0], both[2])
    assert [call.uniform for call in model.calls] == [False, False, True, True]


def test_a_model_answers_in_the_shape_and_type_it_is_asked_in() -> None:
    model = ExactModel(Declaration("noise", VP), PLANE)
    x = np.zeros((3, 1, 2), np.float32)
    assert model(x, 0.5, condition=None).shape == x.shape
    assert model(x, 0.5).dtype == np.float32
    torch = pytest.importorskip("torch")
    answer = model(torch.zeros(3, 2), torch.full((3,), 0.5))
    assert answer.dtype == torch.float32
    assert np.allclose(numbers(answer), model(np.zeros((3, 2)), 0.5), atol=1e-6)
    assert like(np.zeros(2), np.ones(2)).dtype == np.float64


def test_a_model_without_time_or_of_a_strange_scale_is_refused() -> None:
    with pytest.raises(ProblemError, match="needs to be told the time"):
        Declaration("noise", VP, None)
    with pytest.raises(ProblemError, match="EDM"):
        Declaration("edm", VP)


def test_default_laws_hide_little() -> None:
    for law in (SMOOTH, NARROW, PLANE, SPOT):
        assert np.abs(law.mean[0]) >= 3
        assert abs(law.covariance[0, 0] - 1) > 0.05
    assert np.sqrt(NARROW.covariances.min()) < 0.1


# -- numbers of steps --------------------------------------------------------------------------------------------------


def test_step_counts_divide_the_schedule_and_those_between_do_not() -> None:
    counts = default_counts(Declaration("noise", VP, INDEX))
    assert all(1000 % n == 0 for n in counts)
    assert all(1000 % n for n in between_counts(counts, Declaration("noise", VP, INDEX)))
    assert default_counts(Declaration("noise", VP)) == (8, 16, 32, 64, 128)
    assert between_counts((8, 16, 32), Declaration("noise", VP)) == (11, 23)


@pytest.mark.parametrize(("order", "counts"), [(1.0, (8, 16)), (0.5, (8, 16)), (1.0, (8, 12)), (2.0, (10, 11))])
def test_what_shorter_steps_explain_is_taken_off(order: float, counts: tuple[int, int]) -> None:
    falling = [0.1 * n**-order for n in counts]
    assert unexplained(falling, counts, order=order) == 0
    assert unexplained([0.2 + e for e in falling], counts, order=order) > 0.15
    assert unexplained([0.2, 0.2], counts) == 0.2


# -- our own samplers --------------------------------------------------------------------------------------------------


def corrected(field: Any, **settings: Any) -> PredictorCorrector:
    return PredictorCorrector(EulerMaruyama(field, **settings), snr=0.1)


CASES: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "DDIM": lambda: wrapped(DDIM, VP, kind="noise"),
    "DDIM, v": lambda: wrapped(DDIM, VP, kind="v"),
    "DDIM, straight": lambda: wrapped(DDIM, OT, kind="denoised"),
    "DDIM, eta": lambda: wrapped(DDIM, VP, kind="v", eta=0.5),
    "DDPM": lambda: wrapped(DDPM, VP, kind="noise"),
    "DDPM, forward": lambda: wrapped(DDPM, VP, kind="noise", variance="forward"),
    "DPM-Solver-2": lambda: wrapped(DPMSolver2, VP, kind="noise", times=lambda n: log_snr(VP, n, end=1e-3)),
    "Euler–Maruyama": lambda: wrapped(EulerMaruyama, VP),
    "Euler–Maruyama, straight": lambda: wrapped(EulerMaruyama, OT, kind="velocity", noise=0.5),
    "stochastic Heun": lambda: wrapped(StochasticHeun, VP),
    "Euler": lambda: wrapped(ProbabilityFlow, VP, method="euler"),
    "Heun": lambda: wrapped(ProbabilityFlow, VP, method="heun"),
    "RK4": lambda: wrapped(ProbabilityFlow, VP, method="rk4"),
    "Heun, straight": lambda: wrapped(ProbabilityFlow, OT, kind="velocity", method="heun"),
    "Heun, VE": lambda: wrapped(ProbabilityFlow, VE, method="heun"),
    "predictor–corrector": lambda: wrapped(corrected, VP),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", CASES)
def test_our_own_samplers_are_confirmed(name: str) -> None:
    sampler, declared = CASES[name]()
    found = examine_sampler(
        sampler, **declared, **QUICK | {"counts": (8, 16, 32, 64, 128) if "VE" in name else (8, 16, 32, 64)}
    )
    assert outcome(found) == "CONFIRMED", str(found)
    assert found.suspects == ()


@pytest.mark.parametrize("name", ["DDPM", "Euler–Maruyama", "stochastic Heun"])
@pytest.mark.parametrize("seed", range(1, 3))
def test_no_seed_refutes_a_right_sampler(name: str, seed: int) -> None:
    sampler, declared = CASES[name]()
    found = examine_sampler(sampler, **declared, **QUICK, seed=seed)
    assert not found.refuted, str(found)


def test_annealed_langevin_dynamics_is_confirmed_as_far_as_it_promises() -> None:
    """It has no order in its levels: what is left is the bias of its inner steps."""
    times = lambda n: log_snr(VP, n, end=0.2)  # noqa: E731
    sampler, declared = wrapped(AnnealedLangevin, VP, times=times, inner=40, epsilon=0.1)
    checks = ("finiteness", "identities", "labels", "law")
    found = examine_sampler(sampler, **declared, checks=checks, particles=10_000, counts=(4, 8), tolerance=0.2)
    assert not {f.check for f in found.refuted} & {"finite", "same twice", "labels in range", "times"}
    assert not found["law"].refuted


# -- mistakes ----------------------------------------------------------------------------------------------------------


def changed_step(name: str) -> Callable[[Sampler], Sampler]:
    """Something done to a sampler of ours."""

    def change(sampler: Sampler) -> Sampler:
        own = sampler.step
        steps = {
            "last step skipped": lambda x, k, z: x if k == sampler.steps - 1 else own(x, k, z),
            "noise too large": lambda x, k, z: own(x, k, 2**0.5 * z),
            "noise too small": lambda x, k, z: own(x, k, 0.7 * z),
        }
        sampler.step = steps[name]  # type: ignore[method-assign]
        return sampler

    return change


def misread(sampler: Any, function: Callable[[Any], Any]) -> Any:
    """A sampler whose model is called through a function of it."""
    return lambda model, start, steps, rng: sampler(function(model), start, steps, rng)


@cache
def examined(mistake: str) -> Examination:
    kind = mistake.rpartition(" ")[2]
    if mistake.startswith("kind confused"):
        sampler, declared = wrapped(DDIM, VP, kind=kind)
        return examine_sampler(sampler, **declared | {"kind": "noise"}, **QUICK)
    if mistake in ("noise too large", "noise too small", "last step skipped"):
        sampler, declared = wrapped(
            DDPM if "noise" in mistake else DDIM, VP, kind="noise", changed=changed_step(mistake)
        )
        return examine_sampler(sampler, **declared, **QUICK)
    sampler, declared = wrapped(DDIM, VP, kind="score")
    wrong = {
        "sign of the output": lambda model: lambda x, t: -model(x, t),
        "half missing on the score term": lambda model: lambda x, t: 2 * model(x, t),
        "half too much on the score term": lambda model: lambda x, t: 0.5 * model(x, t),
        "time direction": lambda model: lambda x, t: model(x, 1 - t),
    }[mistake]
    return examine_sampler(misread(sampler, wrong), **declared, **QUICK)


MISTAKES = (
    *(f"kind confused: noise read as {kind}" for kind in ("denoised", "v", "score", "velocity")),
    "sign of the output",
    "half missing on the score term",
    "half too much on the score term",
    "time direction",
    "noise too large",
    "noise too small",
    "last step skipped",
)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refuted_and_named(mistake: str) -> None:
    found = examined(mistake)
    assert outcome(found) == "REFUTED"
    assert mistake in [suspect.mistake for suspect in found.suspects[:3]], str(found)


def ddim(model: Any, x: Array, steps: int, rng: np.random.Generator, *, label: int = -1, up: int = 0) -> Array:
    """DDIM over 1,000 indices, as it is written for tables of alphas."""
    indices = np.linspace(1000, 0, steps + 1).round().astype(int)
    if up:
        indices = np.arange(1000, -1, -(1000 // steps))
    for k, after in itertools.pairwise(indices):
        (alpha, sigma), (kept, less) = ((VP.alpha(i / 1000), VP.sigma(i / 1000)) for i in (k, after))
        noise = model(x, k + label)
        x = kept * (x - sigma * noise) / alpha + less * noise
    return x


TABLE: dict[str, Any] = {"kind": "noise", "schedule": VP, "time": INDEX, "order": 1}


def test_a_loop_over_indices_is_confirmed_with_steps_that_divide_nothing() -> None:
    found = examine_sampler(ddim, **TABLE)
    assert outcome(found) == "CONFIRMED", str(found)


@pytest.mark.parametrize("seed", range(3))
def test_a_noise_level_declared_for_the_end_is_no_leftover(seed: int) -> None:
    for cls, settings in ((DDIM, {}), (DDIM, {"eta": 0.5}), (DDPM, {})):
        sampler, declared = wrapped(cls, VP, kind="noise", times=lambda n: log_snr(VP, n, end=1e-3), **settings)
        found = examine_sampler(sampler, **declared, checks=["leftover"], seed=seed)
        assert outcome(found) == "CONFIRMED", str(found)
        early = examine_sampler(sampler, **declared | {"end": 0.0}, checks=["leftover"], seed=seed)
        assert early["last step"].refuted


@pytest.mark.parametrize("seed", range(3))
def test_ddpm_with_the_forward_variance_and_all_its_steps_is_confirmed(seed: int) -> None:
    def ddpm(model: Any, x: Array, steps: int, rng: np.random.Generator) -> Array:
        kept = np.array([VP.alpha(k / 200) ** 2 for k in range(201)])
        for k in range(200, 0, -1):
            beta = 1 - kept[k] / kept[k - 1]
            x = (x - beta / np.sqrt(1 - kept[k]) * model(x, k - 1)) / np.sqrt(1 - beta)
            x = x + np.sqrt(beta) * rng.standard_normal(x.shape) if k > 1 else x
        return x

    index = Index(200, first=0, start=1 / 200)
    found = examine_sampler(
        ddpm,
        kind="noise",
        schedule=VP,
        time=index,
        stochastic=True,
        counts=(200,),
        particles=10_000,
        seed=seed,
        tolerance=0.15,
    )
    assert outcome(found) == "CONFIRMED", str(found)


def test_labels_off_by_one_are_seen_and_named() -> None:
    for label, name in ((0, "label t + 1"), (-2, "label t − 1")):
        found = examine_sampler(lambda *given, label=label: ddim(*given, label=label), **TABLE, checks=["labels"])
        assert found["labels"].refuted
        assert found.suspects[0].mistake == name


def test_more_steps_than_asked_are_seen_where_the_schedule_is_not_divided() -> None:
    found = examine_sampler(lambda *given: ddim(*given, up=1), **TABLE, checks=["calls"])
    assert found["calls"].refuted
    assert found.suspects[0].mistake == "more steps than asked"


def test_noise_on_the_last_step_is_seen_by_a_point_mass_alone() -> None:
    def noisy(model: Any, x: Array, steps: int, rng: np.random.Generator) -> Array:
        x, last = sampler(model, x, steps, rng), quadratic(steps)[-2]
        return x + VP.sigma(last) * rng.standard_normal(x.shape)

    sampler, declared = CASES["DDPM"]()
    found = examine_sampler(noisy, **declared, particles=20_000)
    assert {f.check for f in found.refuted} == {"last step"}
    assert found.suspects[0].mistake == "last noise kept"


@pytest.mark.parametrize(
    ("start", "mistake"),
    [
        (lambda n, rng: rng.standard_normal((n, 1)), "N(0,1) prior"),
        (lambda n, rng: 6400 * rng.standard_normal((n, 1)), "prior scale"),
        (lambda n, rng: 80 * 12**0.5 * (rng.random((n, 1)) - 0.5), "prior not normal"),
    ],
)
def test_a_wrong_start_is_seen_and_named(start: Any, mistake: str) -> None:
    sampler, declared = wrapped(DDIM, VE, kind="noise")
    right = examine_sampler(
        sampler, **declared, checks=["prior"], prior=lambda n, rng: 80 * rng.standard_normal((n, 1))
    )
    wrong = examine_sampler(sampler, **declared, checks=["prior"], prior=start)
    assert outcome(right) == "CONFIRMED"
    assert wrong.suspects[0].mistake == mistake


def test_an_order_that_is_lost_is_seen() -> None:
    def late(sampler: Sampler) -> Sampler:
        field, times = sampler.field, sampler.times

        class Late:
            schedule = field.schedule

            def velocity(self, x: Array, t: float) -> Array:
                return field.velocity(x, float(times[min(int(np.argmin(np.abs(times - t))) + 1, len(times) - 1)]))

        sampler.field = Late()  # type: ignore[assignment]
        return sampler

    sampler, declared = wrapped(ProbabilityFlow, OT, kind="velocity", method="heun", changed=late)
    found = examine_sampler(sampler, **declared, checks=["order"])
    assert found["order"].refuted
    assert [s.mistake for s in found.suspects] == ["order lost"]


def test_a_number_of_steps_that_breaks_down_is_named_with_what_was_raised() -> None:
    def fragile(model: Any, x: Array, steps: int, rng: np.random.Generator) -> Array:
        if steps == 7:
            raise IndexError("list index out of range")
        return ddim(model, x, steps, rng)

    found = examine_sampler(fragile, **TABLE, checks=["finiteness"])
    assert found["finite"].refuted
    assert "7 steps (IndexError: list index out of range)" in found["finite"].line
    assert found.suspects[0].mistake == "not finite"


def test_hidden_state_is_seen() -> None:
    memory = np.random.default_rng(0)
    found = examine_sampler(
        lambda model, x, steps, rng: ddim(model, x, steps, rng) + 1e-9 * memory.standard_normal(),
        **TABLE,
        checks=["identities"],
    )
    assert found["same twice"].refuted


def test_times_that_are_not_what_they_should_be_are_told() -> None:
    faults = {
        "does not decrease": lambda n: np.append(np.linspace(1, 0, n), 0.0),
        "the first time is 0.98": lambda n: np.linspace(0.98, 0, n + 1),
        "the last time is 0.001": lambda n: np.linspace(1, 0.001, n + 1),
        "9 steps for 8 asked": lambda n: np.linspace(1, 0, n + 2),
    }
    for fault, times in faults.items():
        found = examine_sampler(ddim, **TABLE, times=times, checks=["identities"])
        assert any(fault in told for told in found["times"].hints["faults"]), fault


def test_visited_times_may_be_written_as_levels_or_labels() -> None:
    heun, declared = wrapped(ProbabilityFlow, VE, method="heun")
    levels = lambda n: np.array([VE.sigma(t) for t in quadratic(n)])  # noqa: E731
    for visits, times in (("sigma", levels), ("label", quadratic)):
        found = examine_sampler(heun, **declared | {"times": times}, visits=visits, checks=["identities"])
        assert outcome(found) == "CONFIRMED"
    with pytest.raises(ComparisonError, match="visits"):
        examine_sampler(heun, **declared, visits="minutes")


@pytest.mark.parametrize(("gain", "right"), [(1.0, True), (2**0.5, False), (0.95, False)])
def test_a_single_step_must_draw_the_noise_its_drift_has_room_for(gain: float, right: bool) -> None:
    def step(model: Any, x: Array, k: int, steps: int, z: Array) -> Array:
        t, after = quadratic(steps)[k : k + 2]
        h, beta = t - after, VP.beta(t)
        return x + h * (0.5 * beta * x + beta * model(x, t)) + gain * (beta * h) ** 0.5 * z

    sampler, declared = CASES["Euler–Maruyama"]()
    found = examine_sampler(sampler, **declared | {"step": step}, checks=["single steps"])
    assert (outcome(found) == "CONFIRMED") == right
    assert [s.mistake for s in found.suspects[:1]] == (
        [] if right else ["noise too large" if gain > 1 else "noise too small"]
    )


def test_models_of_several_kinds_must_give_the_same() -> None:
    sampler, declared = wrapped(DDIM, VP, kind="noise")
    others = {kind: wrapped(DDIM, VP, kind=kind)[0] for kind in ("v", "denoised", "score")}
    assert outcome(examine_sampler(sampler, **declared, kinds=others, checks=["kinds"])) == "CONFIRMED"
    wrong = examine_sampler(sampler, **declared, kinds=others | {"v": others["score"]}, checks=["kinds"])
    assert wrong["kinds"].refuted


# -- declarations that mean nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"kind": "eps"}, "unknown kind of field 'eps'.*noise.*velocity"),
        ({"kind": "velocty"}, "Did you mean velocity"),
        ({"schedule": "path"}, "such as fpk.VPSchedule.*got 'path'"),
        ({"schedule": OTSchedule}, "such as fpk.VPSchedule"),
        ({"direction": "back"}, "'back'.*'t_noise'.*'t_data'"),
        ({"time": "when"}, "'when'.*'path', 'sigma'"),
        ({"library": "tf"}, "'tf' cannot be imported.*'numpy', 'torch', 'jax'"),
        ({"dtype": "float7"}, "no type 'float7'.*'float64'"),
        ({"order": "first"}, "positive number.*or None; got 'first'"),
        ({"checks": ["lawn"]}, "unknown check of a sampler 'lawn'. Did you mean law"),
    ],
    ids=lambda given: "".join(given) if isinstance(given, dict) else "",
)
def test_a_declaration_that_means_nothing_is_no_verdict(declared: dict[str, Any], told: str) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("examined")

    right: dict[str, Any] = {"kind": "velocity", "schedule": OT, "order": 1}
    for asked in (examine_sampler, fpk.testing.assert_sampler):
        with pytest.raises((ProblemError, ComparisonError, UnknownName), match=told):
            asked(never, **{**right, **declared})


# -- the assertion -----------------------------------------------------------------------------------------------------


def test_the_assertion_returns_what_was_found_or_raises_it() -> None:
    found = fpk.testing.assert_sampler(ddim, **TABLE, checks=["labels"])
    assert outcome(found) == "CONFIRMED"
    with pytest.raises(fpk.Refuted, match=r"suspect 1: label t \+ 1") as refuted:
        fpk.testing.assert_sampler(lambda *given: ddim(*given, label=0), **TABLE, checks=["labels"])
    assert refuted.value.verdict.outcome is fpk.Outcome.REFUTED


def test_an_assertion_that_cannot_tell_does_not_pass() -> None:
    sampler, declared = CASES["DDPM"]()
    with pytest.raises(fpk.Undecided):
        fpk.testing.assert_sampler(sampler, **declared, checks=["law"], counts=(4, 8), particles=2000, tolerance=0.02)


def test_a_torch_sampler_is_examined_like_any_other() -> None:
    torch = pytest.importorskip("torch")

    def flow(model: Any, x: Any, steps: int, rng: np.random.Generator) -> Any:
        times = torch.linspace(0, 1, steps + 1, dtype=x.dtype)
        for k in range(steps):
            x = x + (times[k + 1] - times[k]) * model(x, times[k].expand(len(x)))
        return x

    found = examine_sampler(
        flow,
        kind="velocity",
        schedule=OT,
        direction="t_data",
        order=1,
        library="torch",
        particles=10_000,
        counts=(8, 16, 32, 64),
    )
    assert outcome(found) == "CONFIRMED", str(found)
