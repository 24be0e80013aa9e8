"""Particles at walls, Langevin chains, and exact chains of linear processes: laws that hold for steps of any length."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

import fpk
from fpk.fokker_planck.first_passage import first_passage
from fpk.laws import Array
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.langevin import MALA
from fpk.particles.schemes import EulerMaruyama, Scheme
from fpk.particles.steps import Step, spread
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.tracing import greater, where
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: Round-off of sums and of series.
ROUNDING = 1e-12


def _sampled(values: Array, bias: Any, source: str) -> fpk.Estimate:
    """Means of values (K, n), with their covariance."""
    count = values.shape[1]
    bound = np.broadcast_to(np.asarray(bias, float), len(values)) + ROUNDING
    return fpk.Estimate(values.mean(1), bound, covariance=np.cov(values) / count, samples=count, source=source)


def _exact(values: Array, source: str, bound: float = ROUNDING) -> fpk.Estimate:
    return fpk.Estimate(values, np.full(len(values), bound), source=source)


# -- first passage ---------------------------------------------------------------------------------------------------------

#: Where survival is asked for: inside the steps, too.
TIMES = np.array([0.13, 0.29, 0.45, 0.7, 1.0])
SPEED, DISTANCE, FAR = -1.0, 0.7, 50.0


class Passage(NamedTuple):
    """A process between absorbing walls, and its coarsest steps; ``levels`` is 1 where steps of any length are exact."""

    problem: fpk.Problem
    steps: int
    levels: int


def _leaving(drift: Any, start: fpk.Gaussian, lower: float, upper: float) -> fpk.Problem:
    return fpk.Problem(drift, 1.0, initial=start, boundary=fpk.Boundary("absorbing", lower, upper))


PASSAGES = {
    "one wall": Passage(_leaving(SPEED, fpk.Gaussian(0.0, 1e-9), -FAR, DISTANCE), 4, 1),
    "two walls": Passage(_leaving(0.0, fpk.Gaussian(0.2, 1e-9), -1.0, 1.0), 8, 1),
    "spring": Passage(_leaving("-x/2", fpk.Gaussian(0.2, 0.1), -1.0, 1.0), 64, 2),
}


PARTICLES = {"one wall": 2**20, "two walls": 2**19, "spring": 2**17}


def _one_wall() -> Array:
    """1 − P(T ≤ t) of the inverse Gaussian law."""
    ahead, behind = (SPEED * TIMES - DISTANCE) / TIMES**0.5, (-SPEED * TIMES - DISTANCE) / TIMES**0.5
    return 1 - ndtr(ahead) - np.exp(2 * SPEED * DISTANCE) * ndtr(behind)


def _two_walls() -> Array:
    """The mass of the images of a point source between −1 and 1."""
    root, images = TIMES[:, None] ** 0.5, 4 * np.arange(-10, 11)
    direct, mirrored = 1.2 + images, -1.2 + images
    return (
        ndtr((2 - direct) / root) - ndtr(-direct / root) - ndtr((2 - mirrored) / root) + ndtr(-mirrored / root)
    ).sum(1)


@lru_cache(maxsize=4)
def _survival(case: str) -> fpk.Estimate:
    """P(T > t) from closed forms; for the spring from two grids, extrapolated, allowing for as much as the finer one moved."""
    if case != "spring":
        return _exact(_one_wall() if case == "one wall" else _two_walls(), "law of the first passage")
    grids = [fpk.Grid(-1, 1, cells=n) for n in (100, 200)]
    coarse, fine = (first_passage(PASSAGES[case].problem, grid, times=TIMES.tolist()).survival for grid in grids)
    return _exact(fine + (fine - coarse) / 3, "grids of 100 and 200 cells", float(np.abs(fine - coarse).max()))


def _seen_at_ends(problem: fpk.Problem, steps: int, n: int, seed: int) -> Array:
    """Times of absorption (1, n) if walls are met only where steps end beyond them."""
    walls, ends = problem.boundary, np.arange(1, steps + 1) / steps
    free = replace(problem, boundary=fpk.Boundary())
    x = fpk.simulate(free, particles=n, steps=steps, times=ends.tolist(), seed=seed, levels=1).fine[..., 0]
    out = (x <= walls.lower) | (x >= walls.upper)
    return np.where(out.any(0), ends[out.argmax(0)], np.inf)[None]


@study(
    "particles.first-passage",
    variants={"stated": (True, 1.0), "ends of steps": (False, 1.0), "½ missing on g²": (True, 2.0), "g² + 5 %": (True, 1.05)},
    cases=tuple(PASSAGES),
    applies=lambda variant, case: variant != "g² + 5 %" or case != "spring",
)  # fmt: skip
def absorption(variant: tuple[bool, float], case: str, size: Size, seed: int) -> Evidence:
    """P(T > t) at five times: particles against the inverse Gaussian law, the series of images, or grids."""
    bridged, variance = variant
    problem, steps, levels = PASSAGES[case]
    problem, n = replace(problem, diffusion=variance**0.5), size.particles(PARTICLES[case])
    if bridged:
        run = fpk.simulate(problem, particles=n, steps=steps, times=[1.0], seed=seed, levels=levels)
        met = run.absorbed
        assert met is not None
    else:
        met = _seen_at_ends(problem, steps * levels, min(n, 2**16), seed)
    alive = (met[:, None, :] > TIMES[:, None]).astype(float)
    change = alive[0] - alive[-1]
    bias = 1.25 * np.abs(change.mean(1)) + 3 * change.std(1) / np.sqrt(change.shape[1])
    names = tuple(f"P(T > {t:g})" for t in TIMES)
    return Evidence(_sampled(alive[0], bias, f"particles, {case}"), _survival(case), names)


# -- reflection ------------------------------------------------------------------------------------------------------------

WAVES, WHEN, WHENCE = np.pi / 2 * np.arange(1, 4), 0.2, 0.85
WALLS = fpk.Boundary("no_flux", -1.0, 1.0)
KINDS = {"reflected": WALLS, "wrapped": fpk.Boundary("periodic", -1.0, 1.0), "held": fpk.Boundary()}


@study(
    "particles.reflection",
    variants={
        "stated": ("reflected", 1.0),
        "periodic": ("wrapped", 1.0),
        "held at the wall": ("held", 1.0),
        "g² + 5 %": ("reflected", 1.05),
    },
    cases=("one step", "three steps"),
)
def reflection(variant: tuple[str, float], case: str, size: Size, seed: int) -> Evidence:
    """Means of three waves cos kπ(x + 1)/2 of Brownian motion between walls."""
    kind, variance = variant
    problem = fpk.Problem(0.0, variance**0.5, initial=fpk.Gaussian(WHENCE, 1e-9), boundary=KINDS[kind])
    steps = 1 if case == "one step" else 3
    run = fpk.simulate(problem, particles=size.particles(2**20), steps=steps, times=[WHEN], seed=seed, levels=1)
    x = np.clip(run.samples(WHEN)[:, 0], -1.0, 1.0)
    known = np.exp(-0.5 * WAVES**2 * WHEN) * np.cos(WAVES * (WHENCE + 1))
    names = tuple(f"cos {k}π(x + 1)/2" for k in range(1, 4))
    return Evidence(
        _sampled(np.cos(WAVES[:, None] * (x + 1)), 0.0, f"particles, {kind}"), _exact(known, "damped waves"), names
    )


# -- Langevin chains -------------------------------------------------------------------------------------------------------


class WithoutProposals(MALA):
    """Accepts by the ratio of the target's densities alone."""

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        y = x + step.h * step.drift(x) + step.diffusion(x) * dW
        gain = self.log_density(step, y) - self.log_density(step, x)
        first, second = extra[:, :1], extra[:, 1:]
        return where(greater(gain + 0.5 * first * first + 0.5 * second * second, 0.0), y, x)


def _peaks(variance: float = 1.0) -> fpk.GaussianMixture:
    """Two peaks of the plane, at right angles."""
    wide, tall = np.array([[0.5, 0.2], [0.2, 0.3]]), np.array([[0.3, -0.1], [-0.1, 0.6]])
    covariances = variance * np.array([wide, tall])
    return fpk.GaussianMixture([0.4, 0.6], [[-0.5, 0.3], [0.6, -0.2]], covariances=covariances)


STEPS, LENGTH = 5, 0.4
SLICES = np.array([[0.6, 0.8], [0.8, -0.6]])
PLANE_PANEL = fpk.law_panel({STEPS * LENGTH: _peaks()}, directions=list(SLICES))


@study(
    "particles.langevin",
    variants={
        "stated": (MALA, 1.0),
        "unadjusted": (EulerMaruyama, 1.0),
        "proposals left out": (WithoutProposals, 1.0),
        "variance + 5 %": (MALA, 1.05),
    },
)
def langevin(variant: tuple[Any, float], case: str, size: Size, seed: int) -> Evidence:
    """The law of the plane after five steps of .4 from the target: a statement about these steps, which have no budget."""
    kind, variance = variant
    target, horizon = _peaks(variance), STEPS * LENGTH
    static = fpk.LawMarginals(lambda t: target, (horizon,))
    still = fpk.Problem(fpk.Linear(0.0), 0.0, initial=_peaks(), horizon=horizon)
    problem = fpk.with_noise(still, static.score, noise=1.0)
    scheme: Scheme = EulerMaruyama() if kind is EulerMaruyama else kind(target)
    run = fpk.simulate(
        problem, particles=size.particles(3 * 2**18), steps=STEPS, times=[horizon], seed=seed, scheme=scheme, levels=1
    )
    exact = fpk.LawMarginals({horizon: _peaks()}, (horizon,))
    return evidence(replace(run, exact=True), exact, panel=PLANE_PANEL)


# -- exact chains ----------------------------------------------------------------------------------------------------------


class WithoutRest(ExactTransition):
    """Takes from the noise only what the increment tells of it."""

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        return super().advanced(step, x, dW, np.zeros_like(extra))


class LeftPoint(ExactTransition):
    """Moves the mean exactly and adds G ΔW."""

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        still = super().advanced(step, x, 0.0 * dW, np.zeros_like(extra))
        return still + spread(step.diffusion(x), dW)


TURN = np.array([[-0.8, 1.5], [-1.5, -0.6]])
NOISES = np.array([[0.5, 0.0, 0.3], [-0.2, 0.4, 0.1]])
END = 2.0


def _line(slope: float) -> fpk.Problem:
    """A drift and a noise that move."""
    drift = fpk.Linear(lambda t: -slope / (1 + t), 0.5)
    return fpk.Problem(drift, lambda t: 0.2 + 0.2 * t, initial=fpk.Gaussian(12.0, 0.1), horizon=END)


def _plane(slope: float) -> fpk.Problem:
    """A rotation with three noises."""
    return fpk.Problem(fpk.Linear(slope * TURN), NOISES, initial=fpk.Gaussian([4.0, -3.0], 0.3), horizon=END)


def _line_law() -> fpk.Gaussian:
    """At the end T: Φ = 1/(1 + T), m = ½(T + T²/2)/(1 + T), V = .2² ((1 + T)⁵ − 1)/5(1 + T)²."""
    mean = (12.0 + 0.5 * (END + END**2 / 2)) / (1 + END)
    return fpk.Gaussian(mean, (0.1**2 + 0.2**2 * ((1 + END) ** 5 - 1) / 5) ** 0.5 / (1 + END))


def _plane_law() -> fpk.Gaussian:
    """From the exponential of Van Loan's block matrix."""
    from scipy.linalg import expm

    both = expm(END * np.block([[-TURN, NOISES @ NOISES.T], [np.zeros((2, 2)), TURN.T]]))
    slope = both[2:, 2:].T
    return fpk.Gaussian(slope @ [4.0, -3.0], covariance=0.3**2 * slope @ slope.T + slope @ both[:2, 2:])


LINEAR: dict[str, Any] = {"moving coefficients": (_line, _line_law), "rotation": (_plane, _plane_law)}


@study(
    "particles.exact-chain",
    variants={
        "stated": (ExactTransition(), 1.0),
        "G ΔW": (LeftPoint(), 1.0),
        "residual noise dropped": (WithoutRest(), 1.0),
        "slope + 0.5 %": (ExactTransition(), 1.005),
    },
    cases=tuple(LINEAR),
)
def exact_chain(variant: tuple[Scheme, float], case: str, size: Size, seed: int) -> Evidence:
    """Two exact steps against closed forms; nothing is allowed for the steps."""
    scheme, slope = variant
    made, law = LINEAR[case]
    run = fpk.simulate(
        made(slope), particles=size.particles(2**19), steps=2, times=[END], seed=seed, scheme=scheme, levels=1
    )
    return evidence(run, fpk.LawMarginals({END: law()}, (END,)))


CLAIMS = (
    Claim(
        "particles.first-passage",
        "equality",
        "Particles are absorbed with the law of the first passage, also between the ends of steps.",
        r"P(T>t)=1-\Phi\Bigl(\frac{\mu t-a}{\sqrt t}\Bigr)-e^{2\mu a}\,\Phi\Bigl(\frac{-\mu t-a}{\sqrt t}\Bigr)",
        "Schrödinger (1915); Redner (2001), sections 2.2 and 3.2; Gobet (2000)",
        {"stated": C, "ends of steps": R, "½ missing on g²": R, "g² + 5 %": R},
        {
            "ends of steps": "walls are met only where a step ends beyond them",
            "½ missing on g²": "noise variance doubled",
            "g² + 5 %": "noise variance 5 % too large",
        },
    ),
    Claim(
        "particles.reflection",
        "equality",
        "Brownian particles mirrored at walls have the law of their images, for steps of any length.",
        r"\mathbb E\cos\tfrac{k\pi}{2}(X_t+1) = e^{-k^2\pi^2t/8}\cos\tfrac{k\pi}{2}(x_0+1)",
        "Redner (2001), section 2.1",
        {"stated": C, "periodic": R, "held at the wall": R, "g² + 5 %": R},
        {
            "periodic": "particles that leave at one wall enter at the other",
            "held at the wall": "particles beyond a wall are put on it at the end",
            "g² + 5 %": "noise variance 5 % too large",
        },
    ),
    Claim(
        "particles.langevin",
        "equality",
        "The Metropolis-adjusted Langevin chain leaves a law of the plane unchanged for steps of any length.",
        r"a(x,y)=\min\Bigl(1,\frac{\pi(y)\,q(y,x)}{\pi(x)\,q(x,y)}\Bigr)",
        "Roberts and Tweedie (1996)",
        {"stated": C, "unadjusted": R, "proposals left out": R, "variance + 5 %": R},
        {
            "unadjusted": "every proposal is accepted",
            "proposals left out": "accepted by π(y)/π(x), without the densities q of the proposals",
            "variance + 5 %": "a target whose peaks have covariances 5 % too large",
        },
    ),
    Claim(
        "particles.exact-chain",
        "equality",
        "Two exact steps have the law of a linear process with moving coefficients, or with more noises than coordinates.",
        r"X_{t+h} = \Phi X_t + m + \tfrac{C}{h}\Delta W + R z,\quad RR^{\mathsf T} = V - \tfrac1h CC^{\mathsf T}",
        "Van Loan (1978); Särkkä and Solin (2019), section 6.1",
        {"stated": C, "G ΔW": R, "residual noise dropped": R, "slope + 0.5 %": R},
        {
            "G ΔW": "the mean moves exactly, the noise is that of an Euler step",
            "residual noise dropped": "only what the increment tells: R = 0",
            "slope + 0.5 %": "the linear drift is 0.5 % too large",
        },
    ),
)
