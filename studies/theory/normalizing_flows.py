r"""Flows with tractable densities: chains of layers, neural differential equations, and their maximum likelihood.

    log p(x_m) = log p_0(x_0) − Σ_k log |det ∂f_k|,        log p_θ(x_0) = log p_1(x_1) + ∫_0^1 ∇·v_θ dt,        −E log p_θ ≥ H(p).

The layers and the fit are those of :mod:`fpk.models`. The truth is points that pass the layers, and slopes of distribution functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array, central_derivative
from fpk.models.layers import Affine, Continuous, SinhArcsinh
from fpk.models.normalizing import Likeliest, NormalizingFlow
from fpk.study import Claim, Evidence, Remark, Size, study
from fpk.verdict import Outcome

from ._matching import normal_nodes
from ._rates import Lattice, two_levels, waves
from ._volume import SINE
from ._volume_charts import trained_chart
from ._volume_training import ACROSS, TRAINED_NAMES, Data, OnPath, Sine, Slip, imaged, missed, trained, weighed

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S3.L-NF",
        "identity",
        "The log-density of a chain of invertible layers is that of the base less the log-determinants of all layers, each where the point passes it; training that likelihood finds the law of the data.",
        r"x_k=f_k(x_{k-1}) \;\Rightarrow\; \log p(x_m)=\log p_0(x_0)-\sum_{k=1}^m\log\bigl|\det\partial f_k(x_{k-1})\bigr|",
        "LeTolguenec and Biquard, normalizing flows",
        {
            "stated": C,
            "sign": R,
            "determinants dropped": R,
            "first layer left out": R,
            "½ extra": R,
            "at the wrong end": R,
            "log det + 1 %": R,
        },
        {
            "sign": "the log-determinants are added",
            "determinants dropped": "the density of the base point",
            "first layer left out": "the sum begins at k = 2",
            "½ extra": "half of each log-determinant",
            "at the wrong end": "∂f_k where the point enters the next layer of the way back",
            "log det + 1 %": "the log-determinants are 1 % too large",
        },
        assumptions="Affine and sinh–arsinh layers; the data of the training are the image of a normal law under layers of the same form.",
    ),
    Claim(
        "S4.P-CNF",
        "identity",
        "The loss of a neural differential equation under maximum likelihood is the entropy of the data plus the divergence of their law from the model's; its minimum is the entropy, where the model has the law of the data.",
        r"-\mathbb E\,\log p_\theta(X)=H(p)+\mathrm{KL}(p\,\|\,p_\theta)\ge H(p),\qquad \log p_\theta(x_0)=\log p_1(x_1)+\int_0^1\nabla\cdot v_\theta(x_t,t)\,dt",
        "GM (2023), continuous normalizing flows; LeTolguenec and Biquard, simulation of flows",
        {"stated": C, "sign": R, "divergence dropped": R, "½ extra": R, "div + 2 %": R, "div + 5 %": R},
        {
            "sign": "the integral is subtracted",
            "divergence dropped": "log p₁(x₁)",
            "½ extra": "half of the integral",
            "div + 2 %": "the divergence is 2 % too large",
            "div + 5 %": "the divergence is 5 % too large, where a training takes long",
        },
        assumptions="Velocities linear in few features, which can say the answer. Networks: models.neural.",
    ),
)
REMARKS = (
    Remark(
        "err:S3.L-NF",
        "The loss of a normalizing flow is printed as a sum from k = 0 to m over m points, and its layers with k between 0 and m.",
        "A sum from 0 to m has m + 1 terms: either there are m + 1 points, or k begins at 1. Nothing depends on how they are counted.",
        "LeTolguenec and Biquard, normalizing flows",
    ),
)

# -- layers ------------------------------------------------------------------------------------------------------------

LINE, PLANE = fpk.Gaussian(0.0, 1.0), fpk.Gaussian([0.0, 0.0], 1.0)
#: Flows to look at, and the half width and points of a lattice for them.
CHAINS = {
    "line": (NormalizingFlow(LINE, [SinhArcsinh(0.4, -0.3), Affine(-1.4, 0.6), SinhArcsinh(0.2, 0.15)]), 9.0, 120),
    "plane": (
        NormalizingFlow(PLANE, [SinhArcsinh([0.3, -0.2], [-0.2, 0.1]), Affine([[1.2, 0.4], [-0.3, -0.8]], [0.3, 0.1])]),
        7.0,
        44,
    ),
}
#: Flows to begin the training of the same form with.
BEGUN = {
    "line": NormalizingFlow(LINE, [SinhArcsinh(0.0, 0.0), Affine(-1.0)]),
    "plane": NormalizingFlow(PLANE, [SinhArcsinh(np.zeros(2), 0.0), Affine(np.diag([1.0, -1.0]))]),
}
WAVES = {1: waves([[0.6], [1.3]]), 2: ACROSS}


def _chain(case: str, slip: Slip, size: Size) -> Evidence:
    """Means over the density less means over points that passed the layers."""
    flow, half, count = CHAINS[case]
    tests = WAVES[flow.dimension]

    def gap(level: int) -> Array:
        lattice, (z, w) = (
            Lattice(half, size.cells(count) * level // 2, flow.dimension),
            normal_nodes(level, flow.dimension, 0.5),
        )
        return lattice.volume * tests(lattice.points) @ slip(flow).density(lattice.points) - tests(flow.forward(z)) @ w

    names = tuple(f"E {name}, wave {k + 1}" for name in ("cos", "sin") for k in range(1 + flow.dimension))
    return two_levels(gap, names=names, source="means over the density less means over points")


def _training(case: str, slip: Slip, size: Size) -> Evidence:
    """What training finds for data that layers of the same form have made; most slips leave nothing to be maximal."""
    truth = CHAINS[case][0]
    made = NormalizingFlow(truth.base, truth.layers[:2])

    def gap(level: int) -> Array:
        spacing = (0.5 if case == "line" else 0.7) / (1 if size.quick else 1.5)
        data = imaged(made.forward, level, truth.dimension, spacing)
        return missed(trained(BEGUN[case], slip, data, 60), data)

    return two_levels(gap, names=TRAINED_NAMES, source="trained law less law of the data")


LAYERS: dict[str, tuple[Callable[[str, Slip, Size], Evidence], str]] = {
    f"{what}, {case}": (value, case)
    for what, value in (("density", _chain), ("training", _training))
    for case in CHAINS
}


@study(
    "S3.L-NF",
    variants={
        "stated": Slip(),
        "sign": Slip(-1.0, -1.0),
        "determinants dropped": Slip(0.0, 0.0),
        "first layer left out": Slip(0.0, 1.0),
        "½ extra": Slip(0.5, 0.5),
        "at the wrong end": Slip(late=True),
        "log det + 1 %": Slip(1.01, 1.01),
    },
    cases=tuple(LAYERS),
    applies=lambda variant, case: case.startswith("density") or variant in ("stated", "½ extra", "log det + 1 %"),
)
def layers(variant: Slip, case: str, size: Size, seed: int) -> Evidence:
    value, where = LAYERS[case]
    return value(where, variant, size)


# -- differential equations --------------------------------------------------------------------------------------------

PEAKS = fpk.GaussianMixture([0.3, 0.7], [-1.0, 1.2], stds=np.sqrt([0.1, 0.2]))
#: Parameters of the features of the path that are not the best.
OTHERS = np.array([[0.7, 0.1, -0.2], [1.2, 0.0, 0.1], [0.0, 0.6, 0.4]])
WIDE = np.linspace(-9.0, 9.0, 240)[:, None]


@lru_cache(maxsize=16)
def _losses(k: int, steps: int) -> tuple[Array, Array]:
    """−E log p₁(x₁) and −E ∫∇·v, then −E log p_θ by the slope of its distribution function less the entropy, and log p₁ and ∫∇·v on a lattice."""
    flow = Continuous(OnPath(PEAKS), OTHERS[k], steps=steps)
    data = weighed(PEAKS, -2.8, 3.4, 64)
    slope = central_derivative(lambda h: LINE.cdf(flow.back(data.x + h)[0][:, 0]), np.zeros(1), 4e-3)
    z, spread = flow.back(data.x)
    wide, there = flow.back(WIDE)
    means = -data.weights @ np.stack([LINE.log_density(z), spread, np.log(slope)], axis=1)
    return means, np.stack([LINE.log_density(wide), there])


def _any_parameters(slip: Slip, steps: int, level: int) -> Array:
    """Losses less entropy and divergence, the model's density by its distribution function; masses less 1."""
    found = [_losses(k, steps) for k in range(len(OTHERS))]
    losses = [means[0] + slip.first * means[1] - means[2] for means, _ in found]
    masses = [np.exp(logs[0] + slip.first * logs[1]).sum() * float(WIDE[1, 0] - WIDE[0, 0]) - 1 for _, logs in found]
    return np.array([*losses, *masses])


def _split(slip: Slip, steps: int, level: int) -> Array:
    """Data that ẋ = 1.2 sin x has made of a normal law: two heaps."""
    data = imaged(lambda z: SINE.image(z, 1.2), level, 1, 0.3)
    return missed(trained(NormalizingFlow(LINE, [Continuous(Sine(), steps=steps)]), slip, data, 15), data)


@lru_cache(maxsize=8)
def _peaks(slip: Slip, steps: int, level: int) -> tuple[Likeliest, Data]:
    """What training finds for the two peaks, and its data."""
    data = weighed(PEAKS, -2.8, 3.7, 28 * level)
    return trained(NormalizingFlow(LINE, [Continuous(OnPath(PEAKS), steps=steps)]), slip, data, 15), data


def _two_peaks(slip: Slip, steps: int, level: int) -> Array:
    return missed(*_peaks(slip, steps, level))


COUNTS = range(1, len(OTHERS) + 1)
ANY_NAMES = (*(f"loss {k}" for k in COUNTS), *(f"mass {k}" for k in COUNTS))
#: What is looked at, its names, and Runge–Kutta steps.
TRAININGS: dict[str, tuple[Callable[[Slip, int, int], Array], tuple[str, ...], int]] = {
    "any parameters": (_any_parameters, ANY_NAMES, 10),
    "training, sin x": (_split, TRAINED_NAMES, 4),
    "training, two peaks": (_two_peaks, TRAINED_NAMES, 7),
}


#: Without their divergence, or with its negative, velocities grow without end: there is nothing to train to.
APPLIED = {
    "any parameters": ("stated", "sign", "divergence dropped", "½ extra", "div + 2 %"),
    "training, sin x": ("stated", "½ extra", "div + 2 %"),
    "training, two peaks": ("stated", "div + 5 %"),
}


@study(
    "S4.P-CNF",
    variants={
        "stated": Slip(),
        "sign": Slip(-1.0),
        "divergence dropped": Slip(0.0),
        "½ extra": Slip(0.5),
        "div + 2 %": Slip(1.02),
        "div + 5 %": Slip(1.05),
    },
    cases=tuple(TRAININGS),
    applies=lambda variant, case: variant in APPLIED[case],
)
def neural_equation(variant: Slip, case: str, size: Size, seed: int) -> Evidence:
    value, names, steps = TRAININGS[case]

    def gap(level: int) -> Array:
        return value(variant, size.cells(steps) * level, level)

    found = two_levels(gap, names=names, source=f"maximum likelihood, {case}")
    if value is not _two_peaks:
        return found
    flow = _peaks(variant, size.cells(steps) * 2, 2)[0].flow
    wide = Slip(1 / variant.first)(flow)  # without the slip, so that its density has mass 1
    return replace(found, charts=(trained_chart(wide, PEAKS, "Law found by maximum likelihood"),))
