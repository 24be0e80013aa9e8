"""What is said beside a configuration: set by an option, a default or the length of a schedule, or the accusation that shows what is wrong.

A rule applies to configurations whose name has all of some pieces and none of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

ACCUSED = "clients."


class Rule(NamedTuple):
    """To which names of a library it applies, to which groups of checks, and the words (or the id of an accusation)."""

    library: str
    pieces: tuple[str, ...]
    groups: tuple[str, ...]
    words: str
    without: tuple[str, ...] = ()

    def applies(self, library: str, name: str) -> bool:
        """Whether it is about a configuration."""
        there = all(piece in f", {name}," for piece in self.pieces)
        return self.library == library and there and not any(piece in f", {name}," for piece in self.without)


D, K, A, F = "diffusers", "k-diffusion", "azula", "flow_matching"
ALL = ("finiteness", "identities", "prior", "law", "order")
LEADING = "leading labels begin below the noisiest level, as the table in their source says"
COARSE = "not decided: the number of steps it would take is more than the schedule has"
LAST_EULER = "not decided: the last step, of first order by design, leads from a level that falls with the steps; with sigma_min it is decided"
FINAL_LOWER = "lower order in the last steps, as lower_order_final says"
WHOLE = "labels are whole numbers: errors do not fall below what half a label makes"
LEFT = "the last level of the schedule, .01, is left, as it should be; how much of it is sampled too coarsely to hold"
NARROW = "narrow law not decided with 125 steps of first order"
RULES = (
    Rule(D, (", timestep_spacing=leading,",), ("identities",), LEADING),
    Rule(D, (", DDIM, steps_offset",), ("identities",), LEADING),
    Rule(D, (", PNDM, skip_prk_steps",), ("identities",), LEADING, (", timestep_spacing=trailing,",)),
    Rule(D, (", DDPM, prediction_type=v_prediction,",), ("identities",), LEADING),
    Rule(D, (", DPMSolverMultistep, timestep_spacing=leading,",), ("prior",), "leading labels begin where some of the data is left"),
    Rule(D, (", DDIM,", "timestep_spacing=trailing"), ("order",), "clients.diffusers.ddim-remainder", ("eta=1.0",)),
    Rule(D, (", DDIM,", "timestep_spacing=linspace"), ("order",), "clients.diffusers.ddim-remainder"),
    Rule(D, (", PNDM,", "timestep_spacing=trailing"), ("order",), "clients.diffusers.ddim-remainder"),
    Rule(D, (", PNDM,", "v_prediction"), ("order",), "clients.diffusers.pndm-v-prediction"),
    Rule(D, (", PNDM,",), ("order",), COARSE, ("trailing", "v_prediction")),
    Rule(D, (", PNDM, skip_prk_steps=False",), ("finiteness",), "needs four steps at least; fewer are an error of shapes"),
    Rule(D, ("log_linear",), ("identities", "law", "order"), "clients.diffusers.euler-log-linear"),
    Rule(D, (", EulerDiscrete,", ", beta_sigmas,"), ("law", "order"), "few levels in the middle: not decided with 125 steps"),
    Rule(D, (", LMSDiscrete,",), ("order",), "between 3.6 and 4: not decided", (", karras_sigmas,",)),
    Rule(D, (", DPMSolverMultistep,",), ("order",), LAST_EULER, ("sigma_min", "exponential", "solver_order=1", "sde", "karras", "lu_")),
    Rule(D, (", DPMSolverMultistep,", ", karras_sigmas,"), ("order",), WHOLE),
    Rule(D, (", DPMSolverMultistep,", ", lu_lambdas,"), ("order",), WHOLE),
    Rule(D, (", DPMSolverMultistep, exponential_sigmas,",), ("order",), "clients.diffusers.truncated-labels"),
    Rule(D, (", DPMSolverSinglestep,",), ("order",), FINAL_LOWER),
    Rule(D, (", UniPCMultistep,",), ("order",), LAST_EULER, ("sigma_min", "karras")),
    Rule(D, (", UniPCMultistep, karras_sigmas,",), ("order",), WHOLE),
    Rule(D, (", UniPCMultistep, predict_x0=False,",), ("finiteness", "identities", "law"), "clients.diffusers.unipc-finite"),
    Rule(D, (", UniPCMultistep,", "solver_order=3"), ("order",), COARSE),
    Rule(D, (", DEISMultistep,",), ("order",), COARSE),
    Rule(D, (", DEISMultistep, karras_sigmas,",), ("identities",), "its last step leads from the lowest level to itself"),
    Rule(D, (", DDPM,",), ("law",), NARROW, ("fixed_large,", "fixed_large_log")),
    Rule(D, (", DDIM,", "eta=1.0"), ("law",), NARROW),
    Rule(D, (", EulerAncestralDiscrete,",), ("law",), NARROW),
    Rule(D, (", DDPM,", "variance_type=fixed_large,"), ("identities",), "clients.diffusers.ddpm-last-noise"),
    Rule(D, ("fixed_large_log",), ("finiteness", "identities", "law"), "clients.diffusers.ddpm-log-variance"),
    Rule(D, (", KDPM2AncestralDiscrete,",), ("finiteness",), "two steps: σ_down² is a difference that single precision makes negative"),
    Rule(D, (", algorithm_type=sde-dpmsolver++, solver_order=3",), ("law",), "clients.diffusers.third-order"),
    Rule(D, (", algorithm_type=sde-dpmsolver,", "solver_order=3"), ("finiteness", "identities", "law"), "clients.diffusers.sde-third-order"),
    Rule(D, (", algorithm_type=sde-dpmsolver,",), ("identities",), "its last step, from .04 to .01, leaves noise, by its formula", ("solver_order",)),
    Rule(D, (", FlowMatchHeunDiscrete, shift=3.0,",), ("order",), "between 1 and 2.4: not decided"),
    Rule(K, (", dpmpp_2m_sde,",), ("finiteness",), "clients.k-diffusion.one-step"),
    Rule(K, (", dpmpp_3m_sde,",), ("finiteness",), "clients.k-diffusion.one-step"),
    Rule(K, (", dpmpp_3m_sde, eta=0,",), ("order",), "errors change sign: not decided; its third step: clients.k-diffusion.third-order"),
    Rule(K, (", lms, exponential,",), ("order",), "between 3.56 and 4.15: not decided"),
    Rule(K, (", dpm_fast,",), ("order",), "between 1.3 and 4.1: not decided"),
    *(Rule(A, (f", {name},", "CosineSchedule"), ("identities",), LEFT) for name in ("DDPMSampler", "DDIMSampler", "PCSampler")),
    Rule(A, (", ItoSampler,",), ("identities",), "an Euler step: the noise of the last one is left, as its formula has it"),
    Rule(A, (", zEABSampler,",), ("order",), "between 1.6 and 2.2: not decided"),
    Rule(A, (", REABSampler,",), ("order",), "clients.azula.reab"),
    Rule(F, (", midpoint, LinearVP, target,",), ("identities",), "the velocity is infinite where the data are: a third of the last level is left"),
)  # fmt: skip


def remarks(library: str, name: str, group: str) -> Iterator[str]:
    """What is said about a group of checks of a configuration; nothing where everything in it should hold."""
    for rule in RULES:
        if group in rule.groups and rule.applies(library, name):
            yield rule.words
