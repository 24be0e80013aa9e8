r"""Slips in likelihoods, divergences and trace estimators: flows and Jacobians written out in numpy, with one line that is wrong.

The correct twins are confirmed by the same examinations that refute the slips and name them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

import fpk
from fpk.battery.divergences import examine_divergence
from fpk.battery.fields import FieldExamination
from fpk.battery.likelihoods import LikelihoodExamination, examine_likelihood
from fpk.fields import Field, exact_field
from fpk.laws import Array
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._densities import (
    BALL,
    ERROR,
    LINE,
    NEAR,
    OT,
    PLANE,
    SHEARED,
    VE,
    Affine,
    Exploding,
    FlowMatching,
    Probed,
    back,
    there,
)
from ._naming import Written, applies_to, examined, found_of, measured, places, variants_of

C, R = Outcome.CONFIRMED, Outcome.REFUTED


# -- what is examined --------------------------------------------------------------------------------------------------


def _likelihood(law: Any, **known: Any) -> Callable[[Any], LikelihoodExamination]:
    options: dict[str, Any] = {"error": ERROR} | known
    return lambda log_likelihood: examine_likelihood(log_likelihood, law, **options)


#: A two-sided law at the end of growing noise that the flow does not reach.
WIDE = fpk.Gaussian(0.0, VE.sigma(1.0))

LIKELIHOODS = {
    "flow matching": Written(
        FlowMatching(),
        {
            "sign of the divergence": (FlowMatching(sign=-1.0), "sign of the divergence"),
            "divergence left out": (FlowMatching(weight=0.0), "divergence left out"),
            "constant left out": (FlowMatching(constant=False), "½d log 2π left out"),
            "bits": (FlowMatching(unit=np.log(2)), "bits for nats"),
        },
        {"divergence + 1 %": FlowMatching(weight=1.01)},
        _likelihood(LINE, schedule=OT),
    ),
    "growing noise": Written(
        Exploding(),
        {
            "noise alone as the prior": (Exploding(WIDE), "N(0, σ²I) for the law where the flow ends"),
            "standard normal prior": (Exploding(fpk.Gaussian(0.0)), "N(0, I) for the law where the flow ends"),
        },
        {"divergence + 1 %": Exploding(weight=1.01)},
        _likelihood(LINE, schedule=VE),
    ),
    "affine flow": Written(
        Affine(),
        {
            "determinant of the inverse": (Affine(sign=1.0), "a constant"),
            "mean over the coordinates": (Affine(mean=True), "mean over the coordinates for their sum"),
            "log 2π once": (Affine(once=True), "½ log 2π once for d coordinates"),
        },
        {"log-determinant + 5 %": Affine(weight=1.05)},
        _likelihood(SHEARED),
    ),
    "number of probes": Written(
        Probed(),
        {"sum over the probes": (Probed(over=lambda count: 1.0), "sum over the probes for their mean")},
        {"divergence + 1 %": Probed(weight=1.01)},
        _likelihood(BALL, error=2e-4, schedule=OT, probes=(1, 4)),
    ),
    "there and back": Written(
        (there, back),
        {
            "same determinant both ways": (
                (there, partial(back, sign=-1.0)),
                "sign of the determinant on the way back",
            )
        },
        {"log-determinant + 5 %": (there, partial(back, weight=1.05))},
        lambda flows: examine_likelihood(Affine(), SHEARED, error=ERROR, flows=flows),
    ),
}

#: Positions of the plane at which divergences are taken, and the flow they belong to, halfway.
AT = PLANE.sample(24, np.random.default_rng(1)) * 0.6
SPEED: Field = exact_field(PLANE, OT, kind="velocity")


def _speed(x: Array) -> Array:
    return SPEED(x, 0.4)


def _jacobian(x: Array) -> Array:
    axes = NEAR * np.eye(2)
    return np.stack([(_speed(x + e) - _speed(x - e)) / (2 * NEAR) for e in axes], axis=2)


def _trace(x: Array, *, rule: Callable[[Array], Array] = lambda J: np.trace(J, axis1=1, axis2=2)) -> Array:
    return rule(_jacobian(x))


def _hutchinson(x: Array, z: Array, *, shape: Callable[[Array], Array] = lambda z: z) -> Array:
    probe = shape(z)
    return np.einsum("ni,nij,nj->n", probe, _jacobian(x), probe)


def _divergence(probes: bool) -> Callable[[Any], FieldExamination]:
    return lambda rule: examine_divergence(rule, _speed, AT, probes=probes, tolerance=1e-3)


SUMMED = "sum over all entries of the Jacobian (outputs summed before they are differentiated)"
DIVERGENCES = {
    "trace": Written(
        _trace,
        {
            "outputs summed": (partial(_trace, rule=lambda J: J.sum((1, 2))), SUMMED),
            "mean of the diagonal": (
                partial(_trace, rule=lambda J: np.trace(J, axis1=1, axis2=2) / 2),
                "mean over the coordinates",
            ),
            "first coordinate": (partial(_trace, rule=lambda J: J[:, 0, 0]), "first coordinate only"),
            "summed over the batch": (
                partial(_trace, rule=lambda J: np.full(len(J), np.trace(J.sum(0)))),
                "sum over the positions",
            ),
        },
        {"trace + 1 %": partial(_trace, rule=lambda J: 1.01 * np.trace(J, axis1=1, axis2=2))},
        _divergence(False),
    ),
    "probes": Written(
        _hutchinson,
        {
            "normalised probes": (
                partial(_hutchinson, shape=lambda z: z / np.linalg.norm(z, axis=1, keepdims=True)),
                "probes of variance 1/d (normalised)",
            ),
            "probes of variance ⅓": (
                partial(_hutchinson, shape=lambda z: z / 3**0.5),
                "probes of variance ⅓ (uniform on [−1, 1])",
            ),
            "one probe entry for all coordinates": (
                partial(_hutchinson, shape=lambda z: np.repeat(z[:, :1], z.shape[1], axis=1)),
                SUMMED,
            ),
        },
        {"probe variance + 1 %": partial(_hutchinson, shape=lambda z: 1.01**0.5 * z)},
        _divergence(True),
    ),
}


@study(
    "bugs.G.likelihoods",
    variants=variants_of(LIKELIHOODS),
    cases=tuple(LIKELIHOODS),
    applies=applies_to(LIKELIHOODS),
    judging=True,
)
def likelihoods(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Log-densities, mass, mean ratio, numbers of probes and ways back."""
    return measured(found_of(LIKELIHOODS[case], variant).findings)


@study(
    "bugs.G.divergences",
    variants=variants_of(DIVERGENCES),
    cases=tuple(DIVERGENCES),
    applies=applies_to(DIVERGENCES),
    judging=True,
)
def divergences(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Relative distance to the divergence by sixth-order differences."""
    return measured(found_of(DIVERGENCES[case], variant).findings)


@cache
def examinations() -> dict[str, tuple[Any, str]]:
    """For each slip what is found of it, and the mistake to be named."""
    return examined(LIKELIHOODS, DIVERGENCES)


@study("bugs.G.named", variants={"stated": 0, "asked for the next mistake": 1}, judging=True)
def named(shift: int, case: str, size: Size, seed: int) -> Evidence:
    """The place of the right mistake among the suspects."""
    return places(examinations(), shift)


CLAIMS = (
    Claim(
        "bugs.G.likelihoods",
        "identity",
        "A log-likelihood equals the logarithm of the density, integrates to 1, has mean ratio 1 to it, and depends on no number of probes.",
        r"\ell=\log p,\quad \int e^{\ell}=1,\quad \mathbb E_p\,e^{\ell-\log p}=1,\quad \ell=\log p_T(x_T)+\int_0^T\nabla\!\cdot v\,dt",
        "Chen et al. (2018), theorem 1; Grathwohl et al. (2019), equation 8; Song et al. (2021), equation 39",
        {"stated": C} | {name: R for name in variants_of(LIKELIHOODS) if name != "stated"},
        {
            "sign of the divergence": "the sign of the time step is turned twice",
            "divergence left out": "the density of the noise alone",
            "constant left out": "−½|z|² for the log-density of the noise",
            "bits": "divided by log 2",
            "noise alone as the prior": "N(0, σ²) for the law at the end, which still knows the data",
            "standard normal prior": "N(0, 1) for the law at the end, of variance about 9",
            "determinant of the inverse": "+ log |det M| for −",
            "mean over the coordinates": "a mean where the sum belongs",
            "log 2π once": "½ log 2π for two coordinates",
            "sum over the probes": "not divided by the number of probes",
            "same determinant both ways": "the way back has the logarithm of the determinant of the way there",
            "divergence + 1 %": "the divergence is 1 % too large",
            "log-determinant + 5 %": "log |det M| is 5 % too large",
        },
        "Exact models of the law.",
    ),
    Claim(
        "bugs.G.divergences",
        "identity",
        "The divergence is the trace of the Jacobian, and the mean of its quadratic form over probes of independent signs.",
        r"\nabla\!\cdot v=\operatorname{tr}J=\mathbb E\,z^{\mathsf T}Jz,\quad \mathbb E\,zz^{\mathsf T}=I",
        "Hutchinson (1989); Grathwohl et al. (2019), equation 7",
        {"stated": C} | {name: R for name in variants_of(DIVERGENCES) if name != "stated"},
        {
            "outputs summed": "the gradient of the summed outputs: all entries of the Jacobian",
            "mean of the diagonal": "divided by the number of coordinates",
            "first coordinate": "∂v₁/∂x₁ alone",
            "summed over the batch": "one number for all positions",
            "normalised probes": "probes of length 1",
            "probes of variance ⅓": "as if uniform on [−1, 1]",
            "one probe entry for all coordinates": "correlated probes: all entries of the Jacobian",
            "trace + 1 %": "the trace is 1 % too large",
            "probe variance + 1 %": "the probes have a variance 1 % too large",
        },
    ),
    Claim(
        "bugs.G.named",
        "bound",
        "For each wrong line of a likelihood or divergence the mistake is among the first three that the examination names.",
        r"\operatorname{rank}(\text{mistake})\le 3",
        "Grathwohl et al. (2019)",
        {"stated": C, "asked for the next mistake": R},
        {"asked for the next mistake": "each slip is asked to be named as the next one of the list"},
    ),
)
