r"""Slips in the yardstick: distances and log-densities as they are written to judge samples, with one line that is wrong.

A distance is asked at places where its value needs no statistics (two points, a shift, weights), a density whether it is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

import fpk
from fpk.battery.distances import examine_distance
from fpk.battery.fields import FieldExamination
from fpk.battery.likelihoods import LikelihoodExamination, examine_likelihood
from fpk.laws import Array
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._naming import Written, applies_to, examined, found_of, measured, places, variants_of

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: Directions of a half-turn, and what their mean leaves, relative to the distance.
DIRECTIONS, ERROR = 256, 1e-4


# -- statistics as they are written ------------------------------------------------------------------------------------


def line_w1(x: Array, y: Array, a: Array, b: Array, *, weighted: bool = True, power: float = 1.0) -> float:
    """Wasserstein-1 on the line: the area between the distribution functions."""
    if not weighted:
        a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    s = np.concatenate([x, y]).ravel()
    order = np.argsort(s, kind="stable")
    gap = np.cumsum(np.concatenate([a, -b])[order])[:-1]
    return float(np.sum(np.abs(gap) ** power * np.diff(s[order])))


def sliced_w1(
    x: Array, y: Array, a: Array, b: Array, *, count: Callable[[int, int], float] = lambda k, d: k, **line: Any
) -> float:
    """The mean of Wasserstein-1 over directions of the plane."""
    angles = (np.arange(DIRECTIONS) + 0.5) * np.pi / DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    total = sum(line_w1(x @ e, y @ e, a, b, **line) for e in directions)
    return total / count(DIRECTIONS, x.shape[1])


def energy(x: Array, y: Array, a: Array, b: Array, *, own: tuple[float, float] = (1.0, 1.0)) -> float:
    """2 E|X − Y| − E|X − X'| − E|Y − Y'|."""

    def mean(u: Array, v: Array, p: Array, q: Array) -> float:
        return float(p @ np.linalg.norm(u[:, None] - v[None], axis=2) @ q)

    return 2 * mean(x, y, a, b) - own[0] * mean(x, x, a, a) - own[1] * mean(y, y, b, b)


@dataclass(frozen=True)
class Mixture:
    """The log-density of a normal mixture by log-sum-exp over its components."""

    half: float = 0.5
    weighted: bool = True
    shift: float = 0.0
    means: Array = field(default_factory=lambda: np.array([[2.0, 0.0], [4.0, 1.0]]))
    weights: Array = field(default_factory=lambda: np.array([0.3, 0.7]))
    variance: float = 0.36

    @property
    def law(self) -> fpk.GaussianMixture:
        """The law that is meant."""
        return fpk.GaussianMixture(self.weights, self.means, stds=self.variance**0.5)

    def __call__(self, x: Array) -> Array:
        """Log-density at positions (n, 2)."""
        squares = ((x[:, None] - self.means) ** 2).sum(2) / self.variance
        log_determinant = 2 * np.log(self.variance)
        logs = -0.5 * squares - self.half * log_determinant - np.log(2 * np.pi) + self.shift
        logs = logs + np.log(self.weights) if self.weighted else logs
        top = logs.max(1)
        return top + np.log(np.exp(logs - top[:, None]).sum(1))


# -- what is examined --------------------------------------------------------------------------------------------------

Examined = FieldExamination | LikelihoodExamination


def _times(statistic: Any, factor: float) -> Any:
    return lambda *points: factor * statistic(*points)


DISTANCES = {
    "Wasserstein-1": Written(
        line_w1,
        {
            "weights ignored": (partial(line_w1, weighted=False), "weights ignored"),
            "area squared": (partial(line_w1, power=2.0), "squared difference of the distribution functions"),
        },
        {"distance + 1 %": _times(line_w1, 1.01)},
        lambda distance: examine_distance(distance, "wasserstein"),
    ),
    "sliced Wasserstein-1": Written(
        sliced_w1,
        {
            "divided by the dimension": (
                partial(sliced_w1, count=lambda k, d: d),
                "divided by the number of coordinates for that of directions",
            ),
            "divided twice": (
                partial(sliced_w1, count=lambda k, d: k * k),
                "divided by the number of directions twice",
            ),
            "weights ignored": (partial(sliced_w1, weighted=False), "weights ignored"),
        },
        {"distance + 1 %": _times(sliced_w1, 1.01)},
        lambda distance: examine_distance(distance, "sliced", dimension=2, projections=DIRECTIONS, error=ERROR),
    ),
    "energy distance": Written(
        energy,
        {
            "self terms left out": (partial(energy, own=(0.0, 0.0)), "self terms left out"),
            "one self term left out": (partial(energy, own=(1.0, 0.0)), "one self term left out"),
            "negative distance": (partial(energy, own=(2.0, 2.0)), "self terms twice"),
        },
        {"self terms + 2 %": partial(energy, own=(1.02, 1.02))},
        lambda distance: examine_distance(distance, "energy", dimension=2),
    ),
}
DENSITIES = {
    "mixture": Written(
        Mixture(),
        {
            "determinant for its root": (Mixture(half=1.0), "a constant"),
            "off by 0.2": (Mixture(shift=0.2), "a constant"),
            "weights left out": (Mixture(weighted=False), "weights of the components left out"),
        },
        {"log-determinant + 2 %": Mixture(half=0.51)},
        lambda density: examine_likelihood(density, Mixture().law, error=1e-9),
    ),
}


@study(
    "bugs.L.distances",
    variants=variants_of(DISTANCES),
    cases=tuple(DISTANCES),
    applies=applies_to(DISTANCES),
    judging=True,
)
def distances(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Values between weighted points, less those that are known."""
    return measured(found_of(DISTANCES[case], variant).findings)


@study(
    "bugs.L.densities",
    variants=variants_of(DENSITIES),
    cases=tuple(DENSITIES),
    applies=applies_to(DENSITIES),
    judging=True,
)
def densities(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """Log-density, mass and mean ratio of a mixture of the plane."""
    return measured(f for f in found_of(DENSITIES[case], variant).findings if f.check != "mean ratio")


@cache
def examinations() -> dict[str, tuple[Any, str]]:
    """For each slip what is found of it, and the mistake to be named."""
    return examined(DISTANCES, DENSITIES)


@study("bugs.L.named", variants={"stated": 0, "asked for the next mistake": 1}, judging=True)
def named(shift: int, case: str, size: Size, seed: int) -> Evidence:
    """The place of the right mistake among the suspects."""
    return places(examinations(), shift)


CLAIMS = (
    Claim(
        "bugs.L.distances",
        "identity",
        "Distances between weighted points have their known values: at two points, a shift, weights and unequal numbers.",
        r"W_1=\int|F-G|\,ds,\quad SW_1=\mathbb E|\theta_1|\,W_1,\quad 2\,\mathbb E|X-Y|-\mathbb E|X-X'|-\mathbb E|Y-Y'|=2\int(F-G)^2ds",
        "Rabin et al. (2012); Székely and Rizzo (2013), section 2",
        {"stated": C} | {name: R for name in variants_of(DISTANCES) if name != "stated"},
        {
            "weights ignored": "every point counts the same",
            "area squared": "∫ (F − G)² for ∫ |F − G|",
            "divided by the dimension": "the sum over directions is divided by the number of coordinates",
            "divided twice": "the mean over directions is divided by their number again",
            "self terms left out": "2 E|X − Y| alone",
            "one self term left out": "without E|Y − Y'|",
            "negative distance": "both self terms twice",
            "distance + 1 %": "1 % too large",
            "self terms + 2 %": "both self terms are 2 % too large",
        },
        "Points on one line, for which the directions' mean is a factor.",
    ),
    Claim(
        "bugs.L.densities",
        "identity",
        "The log-density of a mixture is that of its law and integrates to 1.",
        r"\log p(x)=\log\sum_m w_m\,e^{-\frac12|x-\mu_m|^2/v-\frac12\log v^2-\log 2\pi},\quad \int p=1",
        "McLachlan and Peel (2000), section 1.4",
        {"stated": C} | {name: R for name in variants_of(DENSITIES) if name != "stated"},
        {
            "determinant for its root": "log det for ½ log det",
            "off by 0.2": "every value is 0.2 too large",
            "weights left out": "the components are summed without weights",
            "log-determinant + 2 %": "the logarithm of the determinant is 2 % too large",
        },
    ),
    Claim(
        "bugs.L.named",
        "bound",
        "For each wrong line of a statistic the mistake is among the first three that the examination names.",
        r"\operatorname{rank}(\text{mistake})\le 3",
        "Székely and Rizzo (2013)",
        {"stated": C, "asked for the next mistake": R},
        {"asked for the next mistake": "each slip is asked to be named as the next one of the list"},
    ),
)
