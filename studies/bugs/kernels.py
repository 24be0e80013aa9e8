r"""Slips in Markov chain Monte Carlo, as they are made: each step is written out, with one line that is wrong.

What should be left unchanged is a mixture off the centre with a narrow component, at a step h far from ½ and from 1, where h, 2h, h², √h and √(2h)
are different numbers. A chain may be right for all its moments and leave another law unchanged: the kernel itself is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

import fpk
from fpk.battery.kernels import KernelExamination, examine_kernel
from fpk.battery.matrices import DEGREE, GridKernel, grid_kernel
from fpk.battery.moves import Move
from fpk.laws import Array
from fpk.marginals import Estimate, zero_estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from .._limits import limit_evidence
from ._naming import places

C, R = Outcome.CONFIRMED, Outcome.REFUTED
TARGET = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.8], stds=[0.3, 0.5])
#: The step, and a preconditioner.
H, P = 0.08, 1.7
Step = Callable[[Array, Array, Array], Array]


# -- steps as they are written -----------------------------------------------------------------------------------------


def _log_q(x: Array, y: Array, h: float) -> Array:
    return -((y - x - h * TARGET.score(x)) ** 2).sum(1) / (4 * h)


def _log_ratio(x: Array, y: Array, h: float) -> Array:
    here, there = TARGET.log_density(x), TARGET.log_density(y)
    return there - here + _log_q(y, x, h) - _log_q(x, y, h)


def mala(x: Array, z: Array, u: Array, *, h: float = H, stretch: float = 1.0) -> Array:
    """Metropolis-adjusted Langevin."""
    y = x + h * TARGET.score(x) + stretch * np.sqrt(2 * h) * z
    accept = np.log(u) < _log_ratio(x, y, h)
    return np.where(accept[:, None], y, x)


def mala_unadjusted(x: Array, z: Array, u: Array) -> Array:
    """Called MALA; the proposal is returned."""
    return x + H * TARGET.score(x) + np.sqrt(2 * H) * z


def mala_always(x: Array, z: Array, u: Array) -> Array:
    """The ratio is clipped from below where it should be from above."""
    y = x + H * TARGET.score(x) + np.sqrt(2 * H) * z
    accept = np.log(u) < np.maximum(_log_ratio(x, y, H), 0.0)
    return np.where(accept[:, None], y, x)


def mala_reversed(x: Array, z: Array, u: Array) -> Array:
    """The ratio of here to there."""
    y = x + H * TARGET.score(x) + np.sqrt(2 * H) * z
    accept = np.log(u) < -_log_ratio(x, y, H)
    return np.where(accept[:, None], y, x)


def mala_symmetric(x: Array, z: Array, u: Array) -> Array:
    """As if the proposal were symmetric."""
    y = x + H * TARGET.score(x) + np.sqrt(2 * H) * z
    accept = np.log(u) < TARGET.log_density(y) - TARGET.log_density(x)
    return np.where(accept[:, None], y, x)


def mala_half_drift(x: Array, z: Array, u: Array) -> Array:
    """½h in the proposal, as in the other convention of the step, and h in its density."""
    y = x + 0.5 * H * TARGET.score(x) + np.sqrt(2 * H) * z
    accept = np.log(u) < _log_ratio(x, y, H)
    return np.where(accept[:, None], y, x)


def mala_rate_for_std(x: Array, z: Array, u: Array) -> Array:
    """The variance 2h where its root belongs."""
    y = x + H * TARGET.score(x) + 2 * H * z
    accept = np.log(u) < _log_ratio(x, y, H)
    return np.where(accept[:, None], y, x)


def mala_noise_in_the_step(x: Array, z: Array, u: Array) -> Array:
    """The step multiplies drift and noise."""
    y = x + H * (TARGET.score(x) + np.sqrt(2) * z)
    accept = np.log(u) < _log_ratio(x, y, H)
    return np.where(accept[:, None], y, x)


def preconditioned(x: Array, z: Array, u: Array, *, drift: float = P, noise: float = P, stretch: float = 1.0) -> Array:
    """The same with a preconditioner, in the drift and under the root of the noise."""
    y = x + H * drift * TARGET.score(x) + stretch * np.sqrt(2 * H * noise) * z
    accept = np.log(u) < _log_ratio(x, y, H * P)
    return np.where(accept[:, None], y, x)


def walk(x: Array, z: Array, u: Array, *, sign: float = 1.0, power: float = 1.0) -> Array:
    """Random-walk Metropolis."""
    y = x + np.sqrt(2 * H) * z
    accept = np.log(u) < sign * power * (TARGET.log_density(y) - TARGET.log_density(x))
    return np.where(accept[:, None], y, x)


def barker(x: Array, z: Array, u: Array, *, power: float = 1.0) -> Array:
    """Barker's acceptance r/(1 + r) instead of min(1, r): right too."""
    y = x + H * TARGET.score(x) + np.sqrt(2 * H) * z
    accept = u < 1 / (1 + np.exp(np.minimum(-power * _log_ratio(x, y, H), 700)))
    return np.where(accept[:, None], y, x)


#: What is meant by a kernel, for the diagnosis.
MEANT: dict[str, dict[str, Any]] = {
    "": {"step": H},
    "preconditioned": {"step": H, "preconditioner": P},
    "walk": {"step": H, "gradient": False},
}
#: Slips: the step, what is meant, and the mistake to be named.
SLIPS: dict[str, tuple[Step, str, str]] = {
    "accept step missing": (mala_unadjusted, "", "accept step missing"),
    "always accepted": (mala_always, "", "accept step missing"),
    "ratio reversed": (mala_reversed, "", "acceptance ratio reversed"),
    "proposal taken for symmetric": (mala_symmetric, "", "proposal densities left out of the acceptance"),
    "half the drift": (mala_half_drift, "", "half the drift, in an adjusted step"),
    "variance for its root": (mala_rate_for_std, "", "noise 2h for √(2h), in an adjusted step"),
    "noise inside the step": (
        mala_noise_in_the_step,
        "",
        "noise √2 h for √(2h), inside the step factor, in an adjusted step",
    ),
    "preconditioner on the noise only": (
        partial(preconditioned, drift=1.0),
        "preconditioned",
        "preconditioner on the noise only, in an adjusted step",
    ),
    "preconditioner on the drift only": (
        partial(preconditioned, noise=1.0),
        "preconditioned",
        "preconditioner on the drift only, in an adjusted step",
    ),
    "ratio reversed in a random walk": (partial(walk, sign=-1.0), "walk", "acceptance ratio reversed"),
}
NOTES = {
    "accept step missing": "the proposal is returned",
    "always accepted": "the log ratio is clipped from below by 0",
    "ratio reversed": "the inverse of the acceptance ratio",
    "proposal taken for symmetric": "π(y)/π(x) without the proposal densities",
    "half the drift": "½h in the proposal and h in its density",
    "variance for its root": "noise 2h for √(2h)",
    "noise inside the step": "h(s + √2 z)",
    "preconditioner on the noise only": "the drift lacks it",
    "preconditioner on the drift only": "the noise lacks it",
    "ratio reversed in a random walk": "π(x)/π(y)",
    "noise + 1 %": "the normal number is 1 % too large, and its density is not told",
    "log ratio + 2 %": "the logarithm of the acceptance ratio is 2 % too large",
}


@cache
def examinations() -> dict[str, tuple[KernelExamination, str]]:
    """For each slip what is found of it, and the mistake to be named."""
    return {
        slip: (examine_kernel(step, TARGET, noise="normal and uniform", **MEANT[meant]), mistake)
        for slip, (step, meant, mistake) in SLIPS.items()
    }


# -- each slip against its twin ----------------------------------------------------------------------------------------

TWINS: dict[str, tuple[Step, dict[str, Step]]] = {
    "MALA": (
        mala,
        {name: step for name, (step, meant, _) in SLIPS.items() if not meant}
        | {"noise + 1 %": partial(mala, stretch=1.01)},
    ),
    "preconditioned MALA": (
        preconditioned,
        {name: step for name, (step, meant, _) in SLIPS.items() if meant == "preconditioned"}
        | {"noise + 1 %": partial(preconditioned, stretch=1.01)},
    ),
    "random walk": (
        walk,
        {name: step for name, (step, meant, _) in SLIPS.items() if meant == "walk"}
        | {"log ratio + 2 %": partial(walk, power=1.02)},
    ),
    "Barker": (barker, {"log ratio + 2 %": partial(barker, power=1.02)}),
}


@study(
    "bugs.H.kernels",
    variants={"stated": "", **{name: name for name in NOTES}},
    cases=tuple(TWINS),
    applies=lambda variant, case: variant == "stated" or variant in TWINS[case][1],
    judging=True,
)
def kernels(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """The matrix of one step on functionals of the target: what it changes, and what it lacks of symmetry."""
    twin, slips = TWINS[case]
    move = Move(slips[variant] if variant else twin, "normal and uniform")
    return _defects(grid_kernel(move, TARGET, finer=1 if size.quick else 4))


def _defects(seen: GridKernel) -> Evidence:
    both = (seen.defect, seen.asymmetry)
    values, bound, coarser = (
        np.concatenate([np.asarray(getattr(part, name)) for part in both])
        for name in ("value", "bias_bound", "coarser")
    )
    names = [f"change of φ{k + 1}" for k in range(len(seen.defect.value))]
    names += [f"asymmetry {k + 1}" for k in range(len(seen.asymmetry.value))]
    first = fpk.residual(values, bound, coarser=coarser, source="one step, integrated")
    return Evidence(first, zero_estimate(len(values)), tuple(names))


# -- named -------------------------------------------------------------------------------------------------------------


@study("bugs.H.named", variants={"stated": 0, "asked for the next mistake": 1}, judging=True)
def named(shift: int, case: str, size: Size, seed: int) -> Evidence:
    """The place of the right mistake among the suspects."""
    return places(examinations(), 2 * shift)


# -- unadjusted steps --------------------------------------------------------------------------------------------------


def _unadjusted(h: float, *, drift: float = 1.0, noise: Callable[[float], float] = lambda h: np.sqrt(2 * h)) -> Any:
    return lambda x, z: x + drift * h * TARGET.score(x) + noise(h) * z


@study(
    "bugs.H.unadjusted",
    variants={
        "stated": _unadjusted,
        "half the drift": partial(_unadjusted, drift=0.5),
        "sign of the drift": partial(_unadjusted, drift=-1.0),
        "noise 2h": partial(_unadjusted, noise=lambda h: 2 * h),
        "noise √h": partial(_unadjusted, noise=lambda h: np.sqrt(h)),
        "drift + 1 %": partial(_unadjusted, drift=1.01),
    },
    judging=True,
)
def unadjusted(variant: Callable[[float], Any], case: str, size: Size, seed: int) -> Evidence:
    """What one unadjusted step changes in the target, over its length, in the limit of short steps."""

    def rate(h: float) -> Array:
        return grid_kernel(Move(variant(h)), TARGET).matrix[0, 1:] / h

    return limit_evidence(
        rate,
        np.zeros(DEGREE),
        step=0.002,
        names=[f"rate of change of φ{k + 1}" for k in range(DEGREE)],
        source="unadjusted steps",
    )


# -- what moments do not see -------------------------------------------------------------------------------------------

#: A short step, draws that a person would look at, standard errors that go unnoticed, and how far off in its spread a law must be seen to be.
SHORT, DRAWS, UNNOTICED, SEEN = 0.02, 20_000, 2.0, 0.3


def _at_rest(step: float, sign: float, noise: float) -> tuple[Array, Array]:
    """Positions and masses of the law that an adjusted step leaves unchanged, from its transition probabilities."""
    x = np.linspace(-0.5, 7.0, 151)
    score, log_p = TARGET.score(x[:, None])[:, 0], TARGET.log_density(x[:, None])
    away = x[None] - x[:, None] - step * score[:, None]
    log_q = -(away**2) / (4 * step)
    ratio = log_p[None] - log_p[:, None] + log_q.T - log_q
    moves = np.exp(-(away**2) / (2 * noise**2)) / np.sqrt(2 * np.pi) / noise * (x[1] - x[0])
    K = moves * np.exp(np.minimum(sign * ratio, 0.0))
    np.fill_diagonal(K, 0.0)
    np.fill_diagonal(K, 1 - K.sum(1))
    balance = K.T - np.eye(len(x))
    balance[-1] = 1.0
    return x, np.linalg.solve(balance, np.append(np.zeros(len(x) - 1), 1.0))


def _standard_errors(x: Array, mass: Array) -> tuple[float, float]:
    """How far mean and variance are from the target's, in standard errors of the draws."""
    p = np.exp(TARGET.log_density(x[:, None]))
    p /= p.sum()
    mean = p @ x
    spread, fourth = p @ (x - mean) ** 2, p @ (x - mean) ** 4
    shift = mass @ x - mean
    stretch = mass @ (x - mean) ** 2 - shift**2 - spread
    return float(shift / np.sqrt(spread / DRAWS)), float(stretch / np.sqrt((fourth - spread**2) / DRAWS))


@study(
    "bugs.H.unseen",
    variants={
        "stated": (-1.0, np.sqrt(2 * SHORT)),
        "the acceptance is right": (1.0, np.sqrt(2 * SHORT)),
        "noise 2h": (1.0, 2 * SHORT),
    },
    judging=True,
)
def unseen(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """Mean and variance of the law at rest in standard errors of 20,000 draws, and the change of the target in one step."""
    sign, noise = variant
    off = _standard_errors(*_at_rest(SHORT, sign, noise))
    move = Move(
        lambda x, z: x + SHORT * TARGET.score(x) + noise * z, "normal", lambda x, y: sign * _log_ratio(x, y, SHORT)
    )
    change = float(np.max(np.abs(grid_kernel(move, TARGET).defect.value)))
    values = np.array([abs(off[0]) / UNNOTICED - 1, abs(off[1]) / UNNOTICED - 1, 1 - change / SEEN])
    first = Estimate(values, np.full(3, 0.02), source="reversed acceptance")
    return Evidence(first, zero_estimate(3), ("error of the mean", "error of the variance", "what the kernel shows"))


CLAIMS = (
    Claim(
        "bugs.H.kernels",
        "identity",
        "One step of a Metropolis sampler changes no expectation of its target and has a symmetric matrix; with any line wrong it does not.",
        r"M_{jk}=\iint\varphi_j(x)\,\varphi_k(y)\,\pi(dx)\,K(x,dy):\quad M_{0k}=0,\; M=M^{\mathsf T}",
        "Roberts and Tweedie (1996); Barker (1965)",
        {"stated": C} | dict.fromkeys(NOTES, R),
        NOTES,
        assumptions="In units of what a step forgets of the first functional.",
    ),
    Claim(
        "bugs.H.named",
        "bound",
        "For each wrong line of a Metropolis sampler the mistake is among the first three that the examination names.",
        r"\operatorname{rank}(\text{mistake})\le 3",
        "Roberts and Tweedie (1996)",
        {"stated": C, "asked for the next mistake": R},
        {"asked for the next mistake": "each slip is asked to be named as another one of the list"},
    ),
    Claim(
        "bugs.H.unadjusted",
        "identity",
        "An unadjusted Langevin step leaves its target unchanged to first order in its length, so that its law at rest is wrong by O(h) only.",
        r"\lim_{h\to0}\frac{\pi K_h\varphi-\pi\varphi}{h}=0",
        "Roberts and Tweedie (1996), section 1",
        {"stated": C, "half the drift": R, "sign of the drift": R, "noise 2h": R, "noise √h": R, "drift + 1 %": R},
        {
            "half the drift": "½h s(x)",
            "sign of the drift": "−h s(x)",
            "noise 2h": "2h for √(2h)",
            "noise √h": "√h for √(2h)",
            "drift + 1 %": "1.01 h s(x)",
        },
    ),
    Claim(
        "bugs.H.unseen",
        "bound",
        "With the acceptance ratio upside down, mean and variance of 20,000 draws are within two standard errors; the kernel's matrix shows it.",
        r"\frac{|\Delta m|}{\operatorname{se}(m)}<2,\quad \frac{|\Delta V|}{\operatorname{se}(V)}<2,\quad \max_k\frac{|M_{0k}|}{1-M_{11}}>0.3",
        "Roberts and Tweedie (1996)",
        {"stated": C, "the acceptance is right": R, "noise 2h": R},
        {
            "the acceptance is right": "the kernel's matrix shows nothing",
            "noise 2h": "2h for √(2h): moments show it too",
        },
    ),
)
