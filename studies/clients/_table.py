"""All configurations, library by library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from . import _azula, _diffusers, _flow_matching, _k_diffusion
from ._configurations import Client, Configuration


@cache
def configurations(library: str) -> tuple[Configuration, ...]:
    """Those of a library, made once: examinations are kept by configuration."""
    return tuple(LISTS[library]())


def _diffusers_list() -> Iterator[Configuration]:
    for name, order, settings in DISCRETE:
        yield _discrete(name, order, **settings)
    for name, settings in NOISY:
        yield _discrete(name, None, stochastic=True, **settings)
    for name, order, settings in PRECONDITIONED:
        yield Configuration(_title(name, settings), partial(_made, _diffusers.edm, name, settings, order=order))
    for name, order, settings in STRAIGHT:
        yield Configuration(_title(name, settings), partial(_made, _diffusers.straight, name, settings, order=order))


def _discrete(name: str, order: float | None, **settings: Any) -> Configuration:
    more = {key: settings.pop(key) for key in ("stochastic", "options") if key in settings}
    title = _title(name, settings | more.get("options", {}))
    make = partial(_made, _diffusers.discrete, name, settings, order=order, **more)
    return Configuration(title, make, stochastic=order is None)


def _made(form: Callable[..., Client], name: str, settings: dict[str, Any], **declared: Any) -> Client:
    return form(_diffusers.scheduler(name, **settings), **declared)


def _title(name: str, settings: dict[str, Any]) -> str:
    settings = {key: value for key, value in settings.items() if LINEAR.get(key) != value}
    said = (key.removeprefix("use_") if value is True else f"{key}={value}" for key, value in settings.items())
    return ", ".join([name.removesuffix("Scheduler"), *said])


LINEAR: dict[str, Any] = {"beta_start": 1e-4, "beta_end": 0.02}
PLAIN: dict[str, Any] = {"skip_prk_steps": True, "set_alpha_to_one": True}
ENDING: dict[str, Any] = {"timestep_spacing": "trailing", "final_sigmas_type": "sigma_min"}
#: Deterministic ones: class, order, settings.
DISCRETE: tuple[tuple[str, float | None, dict[str, Any]], ...] = (
    *(("DDIMScheduler", 1, {"timestep_spacing": spacing}) for spacing in ("leading", "trailing", "linspace")),
    *(("DDIMScheduler", 1, {"timestep_spacing": "trailing", "prediction_type": kind}) for kind in ("sample", "v_prediction")),
    ("DDIMScheduler", 1, {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}),
    ("DDIMScheduler", 1, {"steps_offset": 1, "set_alpha_to_one": False}),
    *(("PNDMScheduler", 2, PLAIN | more) for more in (
        {}, {"skip_prk_steps": False}, {"prediction_type": "v_prediction"}, {"timestep_spacing": "trailing"})),
    *(("EulerDiscreteScheduler", 1, LINEAR | more) for more in (
        {}, {"timestep_spacing": "leading"}, {"timestep_spacing": "trailing"}, {"prediction_type": "v_prediction"}, {"use_karras_sigmas": True},
        {"use_exponential_sigmas": True}, {"use_beta_sigmas": True}, {"interpolation_type": "log_linear"},
        {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True})),
    *(("HeunDiscreteScheduler", 2, LINEAR | more) for more in ({}, {"prediction_type": "v_prediction"}, {"use_karras_sigmas": True})),
    ("LMSDiscreteScheduler", 4, LINEAR),
    ("LMSDiscreteScheduler", 4, LINEAR | {"use_karras_sigmas": True}),
    ("KDPM2DiscreteScheduler", 2, LINEAR),
    ("KDPM2DiscreteScheduler", 2, LINEAR | {"use_karras_sigmas": True}),
    *(("DPMSolverMultistepScheduler", 2, more) for more in (
        {}, {"timestep_spacing": "leading"}, {"use_karras_sigmas": True}, {"use_exponential_sigmas": True}, {"use_lu_lambdas": True},
        ENDING, ENDING | {"prediction_type": "v_prediction"}, ENDING | {"prediction_type": "sample"}, ENDING | {"solver_type": "heun"},
        ENDING | {"algorithm_type": "dpmsolver"}, ENDING | {"solver_order": 3})),
    ("DPMSolverMultistepScheduler", 1, {"solver_order": 1}),
    *(("DPMSolverSinglestepScheduler", 2, more) for more in ({}, {"final_sigmas_type": "sigma_min"}, {"use_karras_sigmas": True})),
    *(("UniPCMultistepScheduler", 2, more) for more in (
        {}, {"use_karras_sigmas": True}, {"predict_x0": False}, ENDING, ENDING | {"solver_type": "bh1"}, ENDING | {"solver_order": 3},
        ENDING | {"predict_x0": False})),
    *(("DEISMultistepScheduler", 2, more) for more in (
        {}, {"timestep_spacing": "trailing"}, {"use_karras_sigmas": True}, {"timestep_spacing": "trailing", "solver_order": 3})),
)  # fmt: skip
#: Those that draw noise.
NOISY: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("DDPMScheduler", {"timestep_spacing": "trailing", "variance_type": kind}) for kind in (
        "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log")),
    ("DDPMScheduler", {"prediction_type": "v_prediction"}),
    ("DDPMScheduler", {"timestep_spacing": "linspace", "prediction_type": "sample"}),
    ("DDIMScheduler", {"timestep_spacing": "trailing", "options": {"eta": 1.0}}),
    ("EulerAncestralDiscreteScheduler", LINEAR),
    ("KDPM2AncestralDiscreteScheduler", LINEAR),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min", "solver_order": 3}),
    ("SASolverScheduler", {}),
)  # fmt: skip
PRECONDITIONED: tuple[tuple[str, float | None, dict[str, Any]], ...] = (
    ("EDMEulerScheduler", 1, {"sigma_max": 160.0}),
    ("EDMEulerScheduler", 1, {"sigma_max": 160.0, "sigma_schedule": "exponential"}),
    ("EDMDPMSolverMultistepScheduler", 2, {"sigma_max": 160.0}),
    ("EDMDPMSolverMultistepScheduler", 2, {"sigma_max": 160.0, "sigma_schedule": "exponential"}),
)
STRAIGHT: tuple[tuple[str, float | None, dict[str, Any]], ...] = (
    ("FlowMatchEulerDiscreteScheduler", 1, {}),
    ("FlowMatchEulerDiscreteScheduler", 1, {"shift": 3.0}),
    ("FlowMatchEulerDiscreteScheduler", 1, {"use_karras_sigmas": True}),
    ("FlowMatchEulerDiscreteScheduler", 1, {"use_exponential_sigmas": True}),
    ("FlowMatchHeunDiscreteScheduler", 2, {}),
    ("FlowMatchHeunDiscreteScheduler", 2, {"shift": 3.0}),
)


def _k_diffusion_list() -> Iterator[Configuration]:
    for name, order in (("euler", 1), ("heun", 2), ("dpm_2", 2), ("lms", 4), ("dpmpp_2m", 2)):
        for spacing in ("karras", "exponential"):
            yield Configuration(f"{name}, {spacing}", partial(_k_diffusion.client, name, order=order, spacing=spacing))
    yield Configuration("dpm_fast", partial(_k_diffusion.fast, order=3))
    for name in (
        "euler_ancestral",
        "dpm_2_ancestral",
        "dpmpp_2s_ancestral",
        "dpmpp_sde",
        "dpmpp_2m_sde",
        "dpmpp_3m_sde",
    ):
        make = partial(_k_diffusion.client, name, order=None, stochastic=True, independent=True)
        yield Configuration(name, make, stochastic=True)
    for name, order in (("dpmpp_2s_ancestral", 2), ("dpmpp_2m_sde", 2), ("dpmpp_3m_sde", 2)):
        yield Configuration(f"{name}, eta=0", partial(_k_diffusion.client, name, order=order, eta=0.0))
    yield Configuration(
        "dpmpp_2m_sde, eta=0, heun", partial(_k_diffusion.client, "dpmpp_2m_sde", order=2, eta=0.0, solver_type="heun")
    )


def _azula_list() -> Iterator[Configuration]:
    for name, order in (("EulerSampler", 1), ("HeunSampler", 2)):
        for spacing in ("VPSchedule", "VESchedule", "CosineSchedule", "RectifiedSchedule", "DecaySchedule"):
            yield Configuration(f"{name}, {spacing}", partial(_azula.client, name, spacing, order=order))
    for name in ("zABSampler", "vABSampler", "zEABSampler", "xEABSampler", "REABSampler"):
        yield Configuration(f"{name}, VPSchedule", partial(_azula.client, name, "VPSchedule", order=2))
    yield Configuration("DDIMSampler, VPSchedule", partial(_azula.client, "DDIMSampler", "VPSchedule", order=1))
    for name, more in (("DDPMSampler", {}), ("DDIMSampler", {"eta": 0.5}), ("ItoSampler", {}), ("PCSampler", {})):
        title = ", ".join([name, *(f"{k}={v}" for k, v in more.items()), "CosineSchedule"])
        make = partial(_azula.client, name, "CosineSchedule", order=None, stochastic=True, **more)
        yield Configuration(title, make, stochastic=True)


def _flow_matching_list() -> Iterator[Configuration]:
    for method, order in (("euler", 1), ("midpoint", 2), ("heun2", 2), ("heun3", 3), ("rk4", 4)):
        yield Configuration(f"{method}, CondOT", partial(_flow_matching.client, "CondOTScheduler", method, order=order))
    for name in ("CosineScheduler", "LinearVPScheduler", "PolynomialConvexScheduler"):
        title = name.removesuffix("Scheduler")
        yield Configuration(
            f"midpoint, {title}, target", partial(_flow_matching.client, name, "midpoint", order=2, converted="target")
        )
    yield Configuration(
        "midpoint, CondOT, epsilon",
        partial(_flow_matching.client, "CondOTScheduler", "midpoint", order=2, converted="epsilon", begin=0.99),
    )
    for name in ("CosineScheduler", "PolynomialConvexScheduler"):
        yield Configuration(
            f"midpoint, CondOT as {name.removesuffix('Scheduler')}",
            partial(_flow_matching.transformed, "CondOTScheduler", name, "midpoint", order=2),
        )


LISTS: dict[str, Callable[[], Iterator[Configuration]]] = {
    "diffusers": _diffusers_list,
    "k-diffusion": _k_diffusion_list,
    "azula": _azula_list,
    "flow_matching": _flow_matching_list,
}
