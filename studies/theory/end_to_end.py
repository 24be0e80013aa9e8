r"""From data samples to generated samples: three algorithms whole, each held against the exact law the data were drawn from.

    score:      data → min E |ε_θ(α_t x_0 + σ_t z, t) − z|²        → the reverse SDE from N(0, I)
    velocity:   data → min E |u_θ((1 − t) x_0 + t z, t) − (z − x_0)|² → the ODE from N(0, I)

with the data at t = 0, and

    charges:    data → min E |e_θ(x, z) − E_B/|E_B||², B minibatches → the lines dx/dz = e_x/e_z from a Cauchy law on a high plane.

Nothing is exact here: n data know their law to 1/√n, features say what they can, steps are finite, starts are limits. Each claim states a tolerance for all
of that together, in functionals of variance 1, on top of which the noise of the generated samples is allowed for. The size of the relative
mistakes that the tolerance still refutes is in the controls' names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

import fpk
from fpk.fields import Field
from fpk.samplers import EulerMaruyama, ProbabilityFlow
from fpk.samplers.poisson import CauchyLaw
from fpk.samplers.times import quadratic
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ..samplers._laws import louder, scaled
from ._trained import LAWS, VP, Training, apart, at_time, trained
from ._trained_poisson import HIGHEST, Directions, generated, learned, of_batch, of_exponent_N, of_one_charge

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: Largest difference of a functional's mean that is still called equal.
TOLERANCE = {"score": 0.1, "velocity": 0.1, "poisson": 0.15}
#: Generated samples.
GENERATED, FOLLOWED = 12_000, 6_000


class Algorithm(NamedTuple):
    """What is trained, what is done to the field before it is sampled, and a factor on the standard deviation of the sampler's noise."""

    training: Training
    changed: Callable[[Field], Field] = lambda field: field
    noise: float = 1.0


NOISE, VELOCITY = Training("noise"), Training("velocity")
SCORES = {
    "stated": Algorithm(NOISE),
    "score sign": Algorithm(NOISE, lambda field: scaled(field, -1.0)),
    "½ missing on g²": Algorithm(NOISE, noise=2**0.5),
    "time reversed": Algorithm(NOISE, lambda field: at_time(field, lambda t: 1 - t)),
    "σ forgotten": Algorithm(NOISE, lambda field: Field(lambda x, t: VP.sigma(t) * field(x, t), "noise", VP)),
    "score + 30 %": Algorithm(NOISE, lambda field: scaled(field, 1.3)),
    "data + 5 %": Algorithm(NOISE._replace(scale=1.05)),
}
VELOCITIES = {
    "stated": Algorithm(VELOCITY),
    "velocity sign": Algorithm(VELOCITY, lambda field: scaled(field, -1.0)),
    "time reversed": Algorithm(VELOCITY, lambda field: at_time(field, lambda t: 1 - t)),
    "pairs shuffled": Algorithm(VELOCITY._replace(paired=False)),
    "velocity + 5 %": Algorithm(VELOCITY, lambda field: scaled(field, 1.05)),
}


@study(
    "end-to-end.score",
    variants=SCORES,
    cases=tuple(LAWS),
    applies=lambda variant, case: case == "line" or variant in ("stated", "½ missing on g²", "score + 30 %"),
)
def score(variant: Algorithm, case: str, size: Size, seed: int) -> Evidence:
    """Predict the noise, then walk the reverse SDE down by Euler–Maruyama."""
    field = variant.changed(trained(variant.training, case, size))
    times = quadratic(50 if size.quick else 100)
    sampler = louder(EulerMaruyama(field, times=times, dimension=LAWS[case].dimension), variant.noise)
    return apart(case, sampler.sample(size.particles(GENERATED), seed=seed).fine[0], TOLERANCE["score"])


@study(
    "S3.T-FMe2e",
    variants=VELOCITIES,
    cases=tuple(LAWS),
    applies=lambda variant, case: case == "line" or variant != "pairs shuffled",
)
def velocity(variant: Algorithm, case: str, size: Size, seed: int) -> Evidence:
    """Regress on z − x₀, then follow the velocity by the classical Runge–Kutta method."""
    field = variant.changed(trained(variant.training, case, size))
    flow = ProbabilityFlow(field, steps=6 if size.quick else 12, method="rk4", dimension=LAWS[case].dimension)
    return apart(case, flow.sample(size.particles(GENERATED), seed=seed).fine[0], TOLERANCE["velocity"])


class Charges(NamedTuple):
    """What the directions are of, the law on the highest plane (default the hemisphere's projection), and a factor on the slopes."""

    directions: Directions = of_batch
    gaussian: bool = False
    factor: float = 1.0


CHARGES = {
    "stated": Charges(),
    "slope sign": Charges(factor=-1.0),
    "Gaussian start": Charges(gaussian=True),
    "exponent N": Charges(of_exponent_N),
    "batches of one": Charges(of_one_charge),
    "slope + 10 %": Charges(factor=1.1),
}


@study(
    "end-to-end.poisson",
    variants=CHARGES,
    cases=tuple(LAWS),
    applies=lambda variant, case: case == "line" or variant in ("stated", "Gaussian start", "slope + 10 %"),
)
def poisson(variant: Charges, case: str, size: Size, seed: int) -> Evidence:
    """Learn the directions of minibatches' fields, then follow the lines down from a high plane."""
    N = LAWS[case].dimension
    lines = replace(learned(variant.directions, case, size), factor=variant.factor)
    start = fpk.Gaussian(np.zeros(N), HIGHEST) if variant.gaussian else CauchyLaw(HIGHEST, N)
    x = generated(lines, start, size.particles(FOLLOWED), 32 if size.quick else 64, seed)
    return apart(case, x, TOLERANCE["poisson"])


CLAIMS = (
    Claim(
        "end-to-end.score",
        "bound",
        "Noise prediction learned from data, run backwards through the reverse SDE from N(0, I), generates the law of the data within .1 of the panel's standardised functionals.",
        r"\hat\varepsilon=\arg\min_\theta\mathbb E\|\varepsilon_\theta(\alpha_tx_0+\sigma_tz,t)-z\|^2,\quad dY=\bigl(-f-g^2\hat\varepsilon/\sigma\bigr)d\tau+g\,d\bar W\;\Rightarrow\;|\mathbb E\,\varphi_k(Y_T)-\mathbb E\,\varphi_k(X_0)|<0.1",
        "Chen (2024), algorithm 1",
        dict.fromkeys(SCORES, R) | {"stated": C},
        {
            "score sign": "minus the learned score",
            "½ missing on g²": "the variance of the sampler's noise is doubled, the drift is as stated",
            "time reversed": "the field is read at T − t",
            "σ forgotten": "the score taken as −ε in place of −ε/σ",
            "score + 30 %": "the learned score 30 % too large: a reverse SDE forgets smaller errors of it",
            "data + 5 %": "the data enter training 5 % too large",
        },
        "20,000 data or more; 50 steps or more; stated to the data themselves, with no noise left.",
    ),
    Claim(
        "S3.T-FMe2e",
        "bound",
        "A velocity learned from data on the straight path, followed from samples of N(0, I), generates the law of the data within .1 of the panel's standardised functionals.",
        r"\hat u=\arg\min_\theta\mathbb E\|u_\theta(tx_1+(1-t)x_0,t)-(x_1-x_0)\|^2,\quad \dot x=\hat u(x,t),\;x(0)\sim\mathcal N(0,I)\;\Rightarrow\;|\mathbb E\,\varphi_k(x(1))-\mathbb E\,\varphi_k(X_1)|<0.1",
        "LeTolguenec and Biquard, flow matching, algorithm",
        dict.fromkeys(VELOCITIES, R) | {"stated": C},
        {
            "velocity sign": "minus the learned velocity",
            "time reversed": "the field is read at 1 − t",
            "pairs shuffled": "each place has the target of another one",
            "velocity + 5 %": "the learned velocity 5 % too large",
        },
        "20,000 data or more; 6 steps or more of fourth order.",
    ),
    Claim(
        "end-to-end.poisson",
        "bound",
        "The directions of the fields of minibatches, learned as a function of place and height, have lines that lead from a Cauchy law on a high plane to the law of the data, within .15 of the panel's standardised functionals.",
        r"\hat v=\arg\min_\theta\mathbb E\Bigl\|v_\theta(\tilde x)+\sqrt N\frac{E_B}{\|E_B\|}\Bigr\|^2,\quad\frac{dx}{dz}=\frac{\hat v_x}{\hat v_z},\;x(z_{\max})\sim z_{\max}C\;\Rightarrow\;|\mathbb E\,\varphi_k(x(0))-\mathbb E\,\varphi_k(X_0)|<0.15",
        "GM (2023), equations 97 to 101",
        dict.fromkeys(CHARGES, R) | {"stated": C},
        {
            "slope sign": "−v_x/v_z (the sign of the field as a whole cancels)",
            "Gaussian start": "a Gaussian law of the same scale on the highest plane",
            "exponent N": "minibatches with the kernel (x − y, z)/rᴺ in place of 1/rᴺ⁺¹",
            "batches of one": "the direction from a single datum, whose mean is another field",
            "slope + 10 %": "dx/dz 10 % too large",
        },
        "20,000 data or more in minibatches of 400, heights from .03 to 40, the last one left in a straight line.",
    ),
)
