r"""Mistakes of guidance, likelihoods, kernels and statistics: which check of the battery sees which, as for those of samplers.

What the checks measure is held against zero elsewhere (classes G, H, I and L); a record here is what they say: −1 where a check confirmed, 0 where
it could not tell, 1 where it refuted and the mistake is among the first three suspects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from fpk.battery.guidance import examine_classifier_guidance, examine_guidance
from fpk.battery.kernels import examine_kernel
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from . import guidance, kernels, likelihoods, statistics
from ._battery import FIRST, answered


class Subject(NamedTuple):
    """The examination of a twin, and of its slips, with their mistakes."""

    twin: Callable[[], Any]
    slips: Mapping[str, tuple[Callable[[], Any], str]]


def _formed(forms: Mapping[str, guidance.Form], examine: Callable[[Any], Any]) -> Subject:
    slips = {name: (partial(examine, form.combined), form.mistake) for name, form in forms.items() if form.mistake}
    return Subject(partial(examine, forms["stated"].combined), slips)


def _moved(twin: Any, meant: str) -> Subject:
    examine = partial(examine_kernel, noise="normal and uniform", **kernels.MEANT[meant])
    slips = {name: mistake for name, (_, kind, mistake) in kernels.SLIPS.items() if kind == meant}
    known = {name: (partial(_known, kernels.examinations, name), mistake) for name, mistake in slips.items()}
    return Subject(partial(examine, twin, kernels.TARGET), known)


def _written(groups: Mapping[str, Any], examinations: Callable[[], Mapping[str, Any]]) -> dict[str, Subject]:
    return {
        case: Subject(
            partial(each.examine, each.twin),
            {
                name: (partial(_known, examinations, f"{case}: {name}"), mistake)
                for name, (_, mistake) in each.slips.items()
            },
        )
        for case, each in groups.items()
    }


def _known(examinations: Callable[[], Mapping[str, Any]], name: str) -> Any:
    """One of several examinations that are made together."""
    return examinations()[name][0]


CLASSES: dict[str, tuple[dict[str, Subject], str, str, str]] = {
    "G": (
        _written(likelihoods.LIKELIHOODS | likelihoods.DIVERGENCES, likelihoods.examinations),
        "Every mistake of a log-likelihood or a divergence is refuted by a check and named, and its twin by none.",
        r"\ell=\log p,\quad \int e^{\ell}=1,\quad \nabla\cdot v=\operatorname{tr}\partial v",
        "Chen et al. (2018), theorem 1; Grathwohl et al. (2019), equation 8",
    ),
    "H": (
        {
            "MALA": _moved(kernels.mala, ""),
            "preconditioned MALA": _moved(kernels.preconditioned, "preconditioned"),
            "random walk": _moved(kernels.walk, "walk"),
        },
        "Every mistake of a Markov kernel is refuted by a check and named, and its twin by none.",
        r"\pi K=\pi,\qquad \pi(dx)\,K(x,dy)=\pi(dy)\,K(y,dx)",
        "Roberts and Tweedie (1996)",
    ),
    "I": (
        {
            "two outputs": _formed(guidance.TWO_OUTPUTS, lambda form: examine_guidance(form, scale=2.5)),
            "an output and a gradient": _formed(
                guidance.ONE_OUTPUT,
                lambda form: examine_classifier_guidance(form, kind="noise", schedule=guidance.PATH),
            ),
        },
        "Every mistake of guidance is refuted and named, and its twin is not.",
        r"u+s\,(c-u),\qquad \hat\varepsilon-\sigma\nabla\log p(y\mid x)",
        "Ho and Salimans (2022), equation 6; Dhariwal and Nichol (2021), equation 14",
    ),
    "L": (
        _written(statistics.DISTANCES | statistics.DENSITIES, statistics.examinations),
        "Every mistake of a statistic is refuted by its value where that is known, and named, and its twin is not.",
        r"W_1=\int|F-G|\,ds,\qquad \ell=\log\sum_m w_m\,\mathcal N(\mu_m,\Sigma_m)",
        "Rabin et al. (2012); Székely and Rizzo (2013), section 2",
    ),
}  # fmt: skip


def found(subject: Subject, variant: str) -> Evidence:
    """What the checks say of the twin or of a slip."""
    if variant == "stated":
        return answered(subject.twin())
    slip, mistake = subject.slips[variant]
    examination = slip()
    return answered(examination, mistake in [suspect.mistake for suspect in examination.suspects[:FIRST]])


def _claimed(family: str) -> Claim:
    cases, statement, formula, source = CLASSES[family]
    slips = {name: mistake for subject in cases.values() for name, (_, mistake) in subject.slips.items()}
    return Claim(
        f"bugs.{family}.seen",
        "bound",
        statement,
        formula,
        source,
        {"stated": Outcome.CONFIRMED} | dict.fromkeys(slips, Outcome.REFUTED),
        {name: f"to be named: {mistake}" for name, mistake in slips.items()},
        assumptions="Below 0: confirmed; above 0: refuted, and the mistake is among the first three suspects.",
    )


def _studied(family: str) -> None:
    cases = CLASSES[family][0]

    def seen(variant: str, case: str, size: Size, seed: int) -> Evidence:
        return found(cases[case], variant)

    def applies(variant: str, case: str) -> bool:
        return variant == "stated" or variant in cases[case].slips

    seen.__name__ = f"seen_{family.lower()}"
    variants = {"stated": "stated"} | {name: name for subject in cases.values() for name in subject.slips}
    study(f"bugs.{family}.seen", variants=variants, cases=tuple(cases), applies=applies, judging=True)(seen)


CLAIMS = tuple(_claimed(family) for family in CLASSES)
for _family in CLASSES:
    _studied(_family)
