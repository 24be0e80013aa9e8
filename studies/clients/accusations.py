r"""What does not hold in a release and no option explains: each beside the same code with one thing put right.

*Printed* is the release, *corrected* has the repair of :mod:`_repairs` (or of the file of its library) and nothing else. Each was found by the
examination of samplers and seen a second way: by the repair, and by a script of its own in ``reproductions/`` that needs the library alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fpk.battery import examine_sampler
from fpk.marginals import Estimate
from fpk.rates import between_levels, extrapolated, local_orders
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from . import _accused as of
from ._configurations import GROUPS, Client
from ._libraries import loadable, state
from .examinations import evidence_of

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: An order this far below the claimed one is lost.
LOST = 0.35


@dataclass(frozen=True)
class Accusation:
    """One thing that does not hold.

    Parameters
    ----------
    id : str
        Library and name, and that of its script.
    statement, formula : str
        What should hold.
    printed, corrected : str
        What the release does, and what the repair does.
    cases : mapping from case to callable
        Whether it is repaired ↦ Evidence.
    """

    id: str
    statement: str
    formula: str
    printed: str
    corrected: str
    cases: dict[str, Callable[[bool], Evidence]]


def seen(
    group: str, printed: Callable[[], Client], corrected: Callable[[], Client], only: tuple[str, ...] = ()
) -> Callable[[bool], Evidence]:
    """The findings of a group (or some of them), of the release and of the repair."""

    def evidence(right: bool) -> Evidence:
        client = (corrected if right else printed)()
        return evidence_of(examine_sampler(client.sampler, checks=CHECKS[group], **client.declared), group, only)

    return evidence


#: What of an examination is run for a group.
CHECKS = {"finiteness": ("finiteness",), "identities": ("labels", "leftover"), "law": ("law",), "order": ("order",)}
assert CHECKS.keys() <= GROUPS.keys()


def at_most(count: Callable[[bool], float], allowed: float) -> Callable[[bool], Evidence]:
    """A number that should not exceed what is allowed."""

    def evidence(right: bool) -> Evidence:
        return _one(count(right) - allowed, 1e-9, "the number less what is allowed")

    return evidence


def local_order(errors: Callable[[bool], Any], steps: Any, wanted: float) -> Callable[[bool], Evidence]:
    """Local errors at falling steps: is their order at least what is wanted?"""

    def evidence(right: bool) -> Evidence:
        orders = local_orders(steps, errors(right))
        found = extrapolated(between_levels(steps), orders, noise=np.zeros(len(orders)), margin=0.005)
        return _one(
            wanted - LOST - (found.lower + found.upper) / 2, (found.upper - found.lower) / 2, f"order {wanted:g}"
        )

    return evidence


def _one(value: float, bound: float, name: str) -> Evidence:
    zero = Estimate(np.zeros(1), np.zeros(1), source="what is allowed")
    return Evidence(Estimate(np.array([value]), np.array([bound]), source=name), zero, (name,))


ACCUSATIONS = (
    Accusation(
        "clients.diffusers.ddim-remainder",
        "A step of DDIM or PNDM leads to the label that is asked for next, also where the number of steps does not divide the schedule's length.",
        r"t_k \mapsto t_{k+1}",
        "the step leads to t − T // n, the next label is another one: noise is left at every step, and with 400 steps the mean of N(3, ½²) is 2.6",
        "the step leads to the next label",
        {
            f"{name}, {spacing}": seen(
                "order",
                partial(of.spaced, name, spacing, right=False),
                partial(of.spaced, name, spacing, right=True),
                only=("any number of steps",),
            )
            for name, spacing in (("DDIM", "trailing"), ("DDIM", "linspace"), ("PNDM", "trailing"))
        },
    ),
    Accusation(
        "clients.diffusers.pndm-v-prediction",
        "PNDM has the order it has for ε-models for v-models too.",
        r"\varepsilon = \alpha v + \sigma x",
        "outputs v of several steps are combined first, and their combination is turned into ε with α, σ and x of the step's beginning: first order",
        "each output is turned into ε before it is combined",
        {"": seen("order", partial(of.pndm, right=False), partial(of.pndm, right=True))},
    ),
    Accusation(
        "clients.diffusers.euler-log-linear",
        "With log-linear interpolation the model is told labels of its noise levels, and the last step leads to none.",
        r"\log\sigma_k \text{ linear in } k,\quad \sigma_n = 0",
        "n + 2 noise levels for n labels, which stay linear in the index: the last step ends at the lowest level, labels are up to 195 off",
        "n levels and 0, with the labels of these levels",
        {"": seen("law", partial(of.log_linear, right=False), partial(of.log_linear, right=True))},
    ),
    Accusation(
        "clients.diffusers.ddpm-last-noise",
        "The last step of DDPM adds no noise, whatever its label.",
        r"x_0 = \mu_\theta(x_{t_1}, t_1)",
        "noise is left out where the label is 0 only: with trailing labels the last step adds √(1 − ᾱ) of it, .3 for ten steps (fixed_large)",
        "the last step returns its mean",
        {"": seen("identities", partial(of.last_noise, right=False), partial(of.last_noise, right=True))},
    ),
    Accusation(
        "clients.diffusers.ddpm-log-variance",
        "DDPM with variance_type=fixed_large_log ends with finite positions.",
        r"\sqrt{e^{\log \beta}}",
        "the logarithm of the variance, which is negative, is taken for the variance: its root is NaN",
        "the exponential of it is taken",
        {"": seen("finiteness", partial(of.log_variance, right=False), partial(of.log_variance, right=True))},
    ),
    Accusation(
        "clients.diffusers.third-order",
        "The third-order multistep update of DPM-Solver has local errors of fourth order.",
        r"\int_0^1 h e^{-(1-s)h}\bigl(D_0 + s D_1 + s^2 D_2\bigr)\,ds",
        "D₂ = f''/2 gets half of its weight: local errors are O(h³), and O(h²) for sde-dpmsolver++, where the ½ has the wrong sign",
        "D₂ gets the weight ∫ s² of the kernel",
        {case: local_order(partial(of.third_order, case), of.STEPS, 4.0) for case in of.THIRD_ORDER},
    ),
    Accusation(
        "clients.diffusers.full-length",
        "As many steps as the training had visit every label once.",
        r"t_{k+1} < t_k",
        "n = T: 499.5 and 500.499 are rounded to one label (linspace), or all labels are 0 (leading); the runs end in NaN or an error",
        "one step less",
        {case: at_most(partial(of.repeated, case), 0.5) for case in of.FULL_LENGTH},
    ),
    Accusation(
        "clients.diffusers.unipc-finite",
        "UniPC with its default last level 0 ends with finite positions for each of its solver types and predictions.",
        r"|X_n| < \infty",
        "B(h) = −h is −∞ in the last step and multiplied by a residual of 0 (bh1); e^h is ∞ there (predict_x0=False)",
        "the last step returns the denoised mean (bh1); the last level is the lowest of the training (predict_x0=False)",
        {
            case: seen("finiteness", partial(of.unipc, case, right=False), partial(of.unipc, case, right=True))
            for case in ("bh1", "predict_x0=False")
        },
    ),
    Accusation(
        "clients.diffusers.sde-third-order",
        "Third order can be combined with each stochastic algorithm.",
        r"|X_n| < \infty",
        "no branch for it: UnboundLocalError in the third step",
        "second order",
        {
            case: seen("finiteness", partial(of.sde_third, case, right=False), partial(of.sde_third, case, right=True))
            for case in of.SDE_THIRD
        },
    ),
    Accusation(
        "clients.diffusers.truncated-labels",
        "A whole label is at most half a label from that of its noise level.",
        r"|t_k - t(\sigma_k)| \le \tfrac12",
        "labels of exponential and beta levels are cut off to whole numbers, those of karras levels rounded",
        "rounded",
        {case: at_most(partial(of.label_distance, case), 0.51) for case in of.WHOLE},
    ),
    Accusation(
        "clients.k-diffusion.one-step",
        "Each sampler can take one step.",
        r"n = 1",
        "dpmpp_2m_sde and dpmpp_3m_sde use h, which only steps to a level above 0 set: UnboundLocalError",
        "two steps, the second of them from the lowest level to 0",
        {case: at_most(partial(of.one_step, case), 0.5) for case in ("dpmpp_2m_sde", "dpmpp_3m_sde")},
    ),
    Accusation(
        "clients.k-diffusion.third-order",
        "The third step of dpmpp_3m_sde has a local error of fourth order.",
        r"\int_0^1 h e^{-(1-s)h}\bigl(D_0 + s D_1 + s^2 D_2\bigr)\,ds",
        "D₂ = f''/2 gets half of its weight: local errors are O(h³)",
        "D₂ gets the weight ∫ s² of the kernel",
        {"": local_order(of.third_step, of.STEPS, 4.0)},
    ),
    Accusation(
        "clients.azula.reab",
        "REABSampler has the order that is asked for.",
        r"x_s = \sqrt{\tfrac{1+e^{2s}}{1+e^{2t}}}\,x_t + \sqrt{1+e^{2s}}\sum_i f(x_{t_i})\int_t^s \frac{e^u}{1+e^{2u}}\ell_i(u)\,du",
        "the code has √(α_s² + σ_t²) for the √(1 + e^{2s}) of its docstring: t for s, and first order whatever is asked",
        "√(α_s² + σ_s²)",
        {
            spacing: seen("order", partial(of.reab, spacing, right=False), partial(of.reab, spacing, right=True))
            for spacing in ("VPSchedule", "RectifiedSchedule")
        },
    ),
    Accusation(
        "clients.flow_matching.exact-divergence",
        "Likelihoods with the exact divergence are there for data of any shape.",
        r"\nabla\cdot u = \sum_i \partial u_i/\partial x_i",
        "the number of all entries indexes the first axis of the data: IndexError for images",
        "data are flattened first",
        {"2 × 2": at_most(of.divergence_error, 1e-3)},
    ),
)


def _register(accusation: Accusation) -> None:
    library = accusation.id.split(".")[1]

    def accused(right: bool, case: str, size: Size, seed: int) -> Evidence:
        return accusation.cases[case](right)

    accused.__name__ = accusation.id.rpartition(".")[2].replace("-", "_")
    cases = tuple(accusation.cases) if loadable(library) else ()
    study(
        accusation.id, variants={"printed": False, "corrected": True}, cases=cases, only_when_named=True, judging=True
    )(accused)


def _claim(accusation: Accusation) -> Claim:
    library = accusation.id.split(".")[1]
    return Claim(
        accusation.id,
        "bound",
        accusation.statement,
        accusation.formula,
        f"{library}, as released",
        {"printed": R, "corrected": C},
        {"printed": accusation.printed, "corrected": accusation.corrected},
        assumptions=state(library),
    )


for _accusation in ACCUSATIONS:
    _register(_accusation)
CLAIMS = tuple(map(_claim, ACCUSATIONS))
