r"""Log-densities along a flow, against the log-densities of mixtures: the change of variables, its probes, its mass and its order.

Along dx/dt = v(x, t) with the velocity v = f − ½g²∇log p_t of the probability flow,

    log p_0(x) = log p_t(x_t) + ∫_0^t (∇·v)(x_s, s) ds,

at every t. The trace of the Jacobian is also the mean of zᵀ J z over probes z with independent coordinates of variance 1: over all vectors of
signs, and over normal probes by a Gauss–Hermite rule, which is exact for their fourth moments too. The log-density is linear in the probes'
mean, its exponential is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import fpk
from fpk.battery.divergences import jacobian, signs
from fpk.battery.flows import flow, path_times
from fpk.battery.likelihoods import points_of
from fpk.fields import exact_field
from fpk.laws import Array
from fpk.schedules import Schedule
from fpk.study import Claim, Evidence, Size, order_evidence, study
from fpk.verdict import Outcome

from ._log_densities import LINE, PATHS, PLANE, Route, between, on_path

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: Where flows are stopped and looked at, in parts of the way.
STOPS = (0.25, 1.0)

RIGHT = Route()
SIGN, DROPPED, HALF, NEAR = "sign of the divergence", "divergence dropped", "½ missing", "divergence + 1 %"
NOTES = {
    SIGN: "the integral is subtracted",
    DROPPED: "log p_t(x_t) alone",
    HALF: "the velocity f − g²∇log p_t, on the way and in the divergence",
    NEAR: "the divergence is 1 % too large",
}
ROUTES = {
    "stated": RIGHT,
    SIGN: Route(divergence=-1.0),
    DROPPED: Route(divergence=0.0),
    HALF: Route(score=2.0),
    NEAR: Route(divergence=1.01),
}


def _resolutions(size: Size) -> tuple[int, int]:
    return (24, 12) if size.quick else (96, 48)


# -- along the flow ----------------------------------------------------------------------------------------------------

CASES = {f"{path}, d = {law.dimension}": (law, path) for path in PATHS for law in (LINE, PLANE)}


@study(
    "likelihood.flow",
    variants=ROUTES,
    cases=tuple(CASES),
    applies=lambda variant, case: (
        not (variant == HALF and case.startswith("OT"))
    ),  # no SDE reaches the end of that path,
    judging=True,
)
def along_the_flow(variant: Route, case: str, size: Size, seed: int) -> Evidence:
    """Log-densities gathered along a part of the flow and along all of it, less those of the law."""
    law, name = CASES[case]
    x = points_of(law, 6 if size.quick else 40, 0)
    fine, coarse = (
        np.concatenate(
            [variant.log_density(law, PATHS[name], x, path_times(end, steps)) - law.log_density(x) for end in STOPS]
        )
        for steps in _resolutions(size)
    )
    names = [f"point {k + 1}, gathered to t={end:g}" for end in STOPS for k in range(len(x))]
    return between(fine, coarse, names, "log-density along the flow")


@study("likelihood.mass", variants={k: v for k, v in ROUTES.items() if k != HALF}, cases=("VP", "VE"), judging=True)
def mass(variant: Route, case: str, size: Size, seed: int) -> Evidence:
    """The integral of the gathered density, and its mean ratio to the density, less 1: sums over quantiles and over a line."""
    x = np.linspace(0.0, 7.0, 141)[:, None]
    quantiles = points_of(LINE, 100, 0)

    def gap(steps: int) -> Array:
        ell, there = (variant.log_density(LINE, PATHS[case], y, path_times(1.0, steps)) for y in (x, quantiles))
        return np.array([np.exp(ell).sum() * 0.05 - 1, np.exp(there - LINE.log_density(quantiles)).mean() - 1])

    fine, coarse = map(gap, _resolutions(size))
    return between(fine, coarse, ["∫ exp(ℓ)", "E exp(ℓ − log p)"], "mass along the flow")


@study(
    "likelihood.back",
    variants={k: v for k, v in ROUTES.items() if k not in (HALF, DROPPED)},
    cases=("VP", "OT"),
    judging=True,
)
def there_and_back(variant: Route, case: str, size: Size, seed: int) -> Evidence:
    """Positions after the way to the noise and back, and the sum of what was gathered on both."""
    x, path = points_of(PLANE, 6 if size.quick else 40, 0), PATHS[case]

    def gap(steps: int) -> Array:
        there = RIGHT.followed(PLANE, path, x, path_times(1.0, steps))
        back = RIGHT.followed(PLANE, path, there.end, path_times(1.0, steps)[::-1])
        return np.concatenate([(back.end - x).ravel(), there.gathered + variant.divergence * back.gathered])

    names = [f"coordinate {k}" for k in range(2 * len(x))] + [f"sum at point {k + 1}" for k in range(len(x))]
    fine, coarse = map(gap, _resolutions(size))
    return between(fine, coarse, names, "there and back")


# -- probes ------------------------------------------------------------------------------------------------------------


def _normal_probes(d: int) -> tuple[Array, Array]:
    """Nodes and weights that are exact for polynomials of degree 5 in each coordinate of a normal probe."""
    z, w = np.polynomial.hermite_e.hermegauss(3)
    grid = np.stack(np.meshgrid(*[z] * d, indexing="ij"), axis=-1).reshape(-1, d)
    weights = np.prod(np.stack(np.meshgrid(*[w / w.sum()] * d, indexing="ij"), axis=-1).reshape(-1, d), axis=1)
    return grid, weights


def _sign_probes(d: int) -> tuple[Array, Array]:
    every = signs(d)
    return every, np.full(len(every), 1 / len(every))


PROBES = {"signs": _sign_probes, "normal": _normal_probes}


@cache
def _jacobians() -> tuple[Array, Array]:
    """Jacobians of the velocity at several positions, by differences of two steps."""
    velocity, x = exact_field(PLANE, PATHS["VP"], kind="velocity"), points_of(PLANE, 8, 0) * 0.6
    fine, coarse = (jacobian(lambda y: velocity(y, 0.4), x, h) for h in (0.01, 0.02))
    return fine, coarse


def _quadratic(J: Array, z: Array) -> Array:
    """zᵀ J z at every position for every probe, (n, m)."""
    return np.einsum("mi,nij,mj->nm", z, J, z)


@dataclass(frozen=True)
class Probing:
    """What is done to probes: multiplied, the same number in every coordinate, or of another kind."""

    scale: float = 1.0
    shared: bool = False
    normalised: bool = False

    def __call__(self, z: Array) -> Array:
        """The probes that are used."""
        z = np.repeat(z[:, :1], z.shape[1], axis=1) if self.shared else z
        if self.normalised:
            z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-300)
        return self.scale * z


@study(
    "likelihood.hutchinson",
    variants={
        "stated": Probing(),
        "shared by the coordinates": Probing(shared=True),
        "normalised": Probing(normalised=True),
        "uniform on [−1, 1]": Probing(scale=3**-0.5),
        "probe variance + 1 %": Probing(scale=1.01**0.5),
    },
    cases=tuple(PROBES),
    judging=True,
)
def hutchinson(variant: Probing, case: str, size: Size, seed: int) -> Evidence:
    """The mean of zᵀ J z over all probes, less the trace."""
    (fine, coarse), (z, w) = _jacobians(), PROBES[case](2)
    gap, rough = (_quadratic(J, variant(z)) @ w - np.trace(J, axis1=1, axis2=2) for J in (fine, coarse))
    return between(gap, rough, [f"point {k + 1}" for k in range(len(gap))], "mean over probes")


#: Variances of zᵀ J z, from the symmetric part S of J.
VARIANCES: dict[str, Callable[[Array], Array]] = {
    "signs": lambda S: 2 * ((S**2).sum((1, 2)) - (np.diagonal(S, axis1=1, axis2=2) ** 2).sum(1)),
    "normal": lambda S: 2 * (S**2).sum((1, 2)),
}
OTHER = {"signs": "normal", "normal": "signs"}


@study(
    "likelihood.hutchinson-variance",
    variants={
        "stated": lambda case, J: VARIANCES[case](_symmetric(J)),
        "of the other probes": lambda case, J: VARIANCES[OTHER[case]](_symmetric(J)),
        "2 missing": lambda case, J: 0.5 * VARIANCES[case](_symmetric(J)),
        "J for its symmetric part": lambda case, J: VARIANCES[case](np.tril(J) - np.tril(J, -1) / 2),
        "variance + 1 %": lambda case, J: 1.01 * VARIANCES[case](_symmetric(J)),
    },
    cases=tuple(PROBES),
    judging=True,
)
def hutchinson_variance(variant: Callable[[str, Array], Array], case: str, size: Size, seed: int) -> Evidence:
    """The variance of zᵀ J z over all probes, less what is claimed of it."""
    z, w = PROBES[case](2)

    def gap(J: Array) -> Array:
        values = _quadratic(J, z)
        return values**2 @ w - (values @ w) ** 2 - variant(case, J)

    fine, coarse = (gap(J) for J in _jacobians())
    return between(fine, coarse, [f"point {k + 1}" for k in range(len(fine))], "variance over probes")


def _symmetric(J: Array) -> Array:
    return 0.5 * (J + np.swapaxes(J, 1, 2))


def _mean_of_logs(ell: Array) -> Array:
    return ell.mean(0)


def _log_of_mean(ell: Array) -> Array:
    return np.log(np.exp(ell).mean(0))


@study(
    "likelihood.probes",
    variants={
        "stated": (1.0, _mean_of_logs),
        "mean of the densities": (1.0, _log_of_mean),
        "uniform on [−1, 1]": (1 / 3, _mean_of_logs),
        "probe variance + 1 %": (1.01, _mean_of_logs),
    },
    cases=("VP", "OT"),
    judging=True,
)
def probes(variant: tuple[float, Any], case: str, size: Size, seed: int) -> Evidence:
    """Log-densities with one probe of signs all along the flow, averaged over all probes, less the law's."""
    (variance, average), path = variant, PATHS[case]
    x, velocity = points_of(PLANE, 6 if size.quick else 40, 0), RIGHT.velocity(PLANE, PATHS[case])

    def gap(steps: int) -> Array:
        runs = [flow(velocity, x, path_times(1.0, steps), probes=variance**0.5 * z[None]) for z in signs(2)[:2]]
        ell = np.array([run.log_density(on_path(PLANE, path, 1.0)) for run in runs])  # z and −z are one probe
        return average(ell) - PLANE.log_density(x)

    fine, coarse = map(gap, _resolutions(size))
    return between(fine, coarse, [f"point {k + 1}" for k in range(len(x))], "mean over probes along the flow")


# -- order -------------------------------------------------------------------------------------------------------------


#: A law and paths that are smooth at the first steps.
WIDE = fpk.GaussianMixture([0.3, 0.7], [2.2, 3.2], stds=[0.9, 1.1])
SMOOTH: dict[str, Schedule] = {"VE": PATHS["VE"], "sub-VP": fpk.SubVPSchedule(0.6, 3.4)}


@study(
    "likelihood.order",
    variants={"stated": (RIGHT, 4), "order 5": (RIGHT, 5), NEAR: (ROUTES[NEAR], 4)},
    cases=("VE", "sub-VP"),
    judging=True,
)
def order(variant: tuple[Route, int], case: str, size: Size, seed: int) -> Evidence:
    """Errors of the log-density in n equal steps of fourth order, quadratic mean over the law."""
    (route, claimed), path, x = variant, SMOOTH[case], points_of(WIDE, 6, 0)
    counts = 8 * 2 ** np.arange(4 if size.quick else 5)

    def error(steps: int) -> float:
        ell = route.log_density(WIDE, path, x, np.linspace(0, 1, steps + 1))
        return float(np.sqrt(np.mean((ell - WIDE.log_density(x)) ** 2)))

    errors = np.array([error(int(n)) for n in counts])
    return order_evidence(errors, 1.0 / counts, claimed, floor=1e-12, source="log-density along the flow")


CLAIMS = (
    Claim(
        "likelihood.flow",
        "identity",
        "The log-density at the start of the probability flow is that at any later place of it plus the divergence gathered on the way.",
        r"\log p_0(x_0)=\log p_t(x_t)+\int_0^t(\nabla\!\cdot v)(x_s,s)\,ds,\quad v=f-\tfrac12g^2\nabla\log p_t",
        "Chen et al. (2018), theorem 1; Song et al. (2021), equation 39",
        {"stated": C} | dict.fromkeys(NOTES, R),
        NOTES,
        "Exact fields.",
    ),
    Claim(
        "likelihood.mass",
        "identity",
        "The density that is gathered along the flow integrates to 1, and its ratio to the law's has mean 1.",
        r"\int e^{\ell(x)}dx=1,\qquad \mathbb E_p\,e^{\ell-\log p}=1",
        "Song et al. (2021), equation 39",
        {"stated": C, SIGN: R, DROPPED: R, NEAR: R},
        {name: note for name, note in NOTES.items() if name != HALF},
        "Any velocity has this: with the wrong one it is another law whose mass is 1.",
    ),
    Claim(
        "likelihood.back",
        "identity",
        "The way back along the flow returns every point and gathers the opposite of what the way there gathered.",
        r"\int_0^T\nabla\!\cdot v\,dt+\int_T^0\nabla\!\cdot v\,dt=0",
        "Chen et al. (2018), theorem 1",
        {"stated": C, SIGN: R, NEAR: R},
        {SIGN: "the way back is given the other sign", NEAR: "the divergence on the way back is 1 % too large"},
    ),
    Claim(
        "likelihood.hutchinson",
        "identity",
        "The mean of a quadratic form over probes with uncorrelated coordinates of variance 1 is the trace.",
        r"\mathbb E\,z^{\mathsf T}Jz=\operatorname{tr}J,\qquad \mathbb E\,zz^{\mathsf T}=I",
        "Hutchinson (1989); Grathwohl et al. (2019), equation 7",
        {
            "stated": C,
            **dict.fromkeys(
                ("shared by the coordinates", "normalised", "uniform on [−1, 1]", "probe variance + 1 %"), R
            ),
        },
        {
            "shared by the coordinates": "one number for all coordinates",
            "normalised": "probes of length 1",
            "uniform on [−1, 1]": "variance ⅓",
            "probe variance + 1 %": "variance 1.01",
        },
    ),
    Claim(
        "likelihood.hutchinson-variance",
        "identity",
        "A quadratic form over probes of signs varies with the off-diagonal of the symmetric part alone, over normal probes with all of it.",
        r"\operatorname{Var}z^{\mathsf T}Jz=2\sum_{i\ne j}S_{ij}^2\ \text{or}\ 2\,\|S\|_F^2,\quad S=\tfrac12(J+J^{\mathsf T})",
        "Avron and Toledo (2011), table 1; Hutchinson (1989)",
        {
            "stated": C,
            "of the other probes": R,
            "2 missing": R,
            "J for its symmetric part": R,
            "variance + 1 %": R,
        },
        {
            "of the other probes": "normal for signs, and the other way round",
            "2 missing": "half of it",
            "J for its symmetric part": "half of one triangle only",
            "variance + 1 %": "1 % more",
        },
    ),
    Claim(
        "likelihood.probes",
        "identity",
        "With one probe all along the flow the log-density is right in the mean over probes; the density itself is not.",
        r"\mathbb E_z\,\ell_z(x)=\log p_0(x)<\log\mathbb E_z\,e^{\ell_z(x)}",
        "Grathwohl et al. (2019), section 3.1",
        {"stated": C, "mean of the densities": R, "uniform on [−1, 1]": R, "probe variance + 1 %": R},
        {
            "mean of the densities": "the exponential is averaged",
            "uniform on [−1, 1]": "variance ⅓",
            "probe variance + 1 %": "variance 1.01",
        },
    ),
    Claim(
        "likelihood.order",
        "order",
        "Position and gathered divergence by the classical Runge–Kutta method give log-densities of fourth order.",
        r"\ell_n-\log p_0=O(n^{-4})",
        "Hairer, Nørsett and Wanner (1993), section II.1",
        {"stated": C, "order 5": R, "divergence + 1 %": R},
        {"order 5": "one order more", "divergence + 1 %": "the divergence is 1 % too large: no convergence"},
    ),
)
