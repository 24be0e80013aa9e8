"""The particles' schemes: the limits they converge to, and transitions that are exact on every path."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fpk
from fpk.laws import Array, as_law
from fpk.marginals import zero_estimate
from fpk.particles.exact_transition import ExactTransition
from fpk.particles.schemes import EulerMaruyama, Heun, Milstein, PlatenWeak, Scheme
from fpk.particles.steps import Step, spread
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

from ._solved import SPREAD, START, fading, hyperbolics, normal_sinh, spirals

C, R = Outcome.CONFIRMED, Outcome.REFUTED
#: The increments of longer steps are sums in single precision.
ROUNDING = 1e-6
MISREAD, UNCONVERTED = "Stratonovich read as Itô", "conversion left out"
SCALAR, PLANE = partial(hyperbolics, -0.5, 0.4), partial(spirals, -0.5 + 0.5j, (0.4 + 0.1j, -0.1 + 0.3j))


class Unconverted(Heun):
    """Heun's step with the Itô drift where the Stratonovich drift belongs."""

    def advanced(self, step: Step, x: Array, dW: Array, extra: Array) -> Array:
        """The position after the step."""
        f, g = step.drift(x), step.diffusion(x)
        y = x + step.h * f + spread(g, dW)
        ends = spread(g, dW) + spread(step.diffusion(y, 1.0), dW)
        return x + 0.5 * step.h * (f + step.drift(y, 1.0)) + 0.5 * ends


class Slip(NamedTuple):
    """What a control changes: factors on the Itô correction and on the noise variance, or Heun's conversion."""

    correction: float = 1.0
    variance: float = 1.0
    converted: bool = True


#: Schemes and their coarsest steps.
SCHEMES = {
    "Euler–Maruyama": (EulerMaruyama(), 256),
    "Milstein": (Milstein(), 128),
    "stochastic Heun": (Heun(), 128),
    "Platen": (PlatenWeak(), 32),
}
#: Functionals by the number of noises: of the exact law, and of a normal law about where the points of the plane end.
PANELS = {
    1: fpk.law_panel({1.0: as_law(normal_sinh(START - 0.5, np.hypot(SPREAD, 0.4)))}),
    2: fpk.law_panel({1.0: fpk.Gaussian([0.4, 0.6], 0.4)}),
}
SOLVED = {f"{name}, {noise}": solved for name in SCHEMES for noise, solved in (("scalar", SCALAR), ("matrix", PLANE))}


@study(
    "particles.limit",
    variants={"stated": Slip(), MISREAD: Slip(correction=0.0), UNCONVERTED: Slip(converted=False), "g² + 5 %": Slip(variance=1.05)},
    cases=tuple(SOLVED),
    applies=lambda variant, case: variant != UNCONVERTED or "Heun" in case,
)  # fmt: skip
def limit(variant: Slip, case: str, size: Size, seed: int) -> Evidence:
    """Particles against the solution on the same Brownian paths."""
    scheme, steps = SCHEMES[case.partition(", ")[0]]
    solved = SOLVED[case](correction=variant.correction, variance=variant.variance)
    kept: dict[str, Any] = {"particles": size.particles(2**14), "times": [1.0], "seed": seed}
    run = fpk.simulate(solved.problem, steps=steps, scheme=scheme if variant.converted else Unconverted(), **kept)
    free = fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(np.zeros(solved.noises), 1.0))
    brownian = fpk.simulate(free, steps=2 * steps, levels=1, **kept)
    x = solved.solution(run.start, brownian.samples(1.0) - brownian.start)
    exact = replace(
        run, positions=x[None, None], exact=True, replay=None, scheme="", source="solution on the same paths"
    )
    return evidence(run, exact, panel=PANELS[solved.noises])


@study(
    "particles.exact-transition",
    variants={
        "stated": (ExactTransition(), 1.0),
        "Euler–Maruyama": (EulerMaruyama(), 1.0),
        "g² + 1 %": (ExactTransition(), 1.01),
        "g² + 0.01 %": (ExactTransition(), 1.0001),
    },
)
def exact_transition(variant: tuple[Scheme, float], case: str, size: Size, seed: int) -> Evidence:
    """X_1 less its closed form in X_0 and W_1, for 32 particles with one, two and four steps."""
    scheme, variance = variant
    run, brownian = (
        fpk.simulate(problem, particles=32, steps=1, levels=3, times=[1.0], seed=seed, scheme=given)
        for problem, given in (
            (fading(variance=variance).problem, scheme),
            (fpk.Problem(0.0, 1.0, initial=fpk.Gaussian(0.0, 1.0)), EulerMaruyama()),
        )
    )
    exact = fading().solution(run.start, brownian.samples(1.0) - brownian.start)
    apart = (run.positions[:, 0] - exact)[..., 0].ravel()
    names = tuple(f"particle {i}, {n} steps" for n in (4, 2, 1) for i in range(32))
    first = fpk.residual(apart, ROUNDING, source="X_1 less its closed form")
    return Evidence(first, zero_estimate(len(apart)), names)


CLAIMS = (
    Claim(
        "particles.limit",
        "equality",
        "Every scheme converges to the Itô solution, in scalar and in matrix noise.",
        r"dX = f\,dt + g\,dW\ \text{(Itô)},\quad f=\mu\sqrt{1+X^2}+\tfrac12 s^2X,\ g=s\sqrt{1+X^2}"
        r"\;\Rightarrow\; X_t = \sinh(\operatorname{arsinh}X_0+\mu t+sW_t)",
        "Kloeden and Platen (1992), section 4.4",
        {"stated": C, MISREAD: R, UNCONVERTED: R, "g² + 5 %": R},
        {
            MISREAD: "the drift of the equation's Stratonovich form is given as if it were the Itô drift",
            UNCONVERTED: "a Stratonovich scheme steps with the Itô drift",
            "g² + 5 %": "the noise variance is 5 % too large",
        },
    ),
    Claim(
        "particles.exact-transition",
        "identity",
        "Exact transitions follow the solution on the Brownian path of the other schemes to single precision, for steps of any length.",
        r"dX = -(X+c)\,dt + e^{-t}dW \;\Rightarrow\; X_t = e^{-t}(X_0+W_t) - c\,(1-e^{-t})",
        "Product rule",
        {"stated": C, "Euler–Maruyama": R, "g² + 1 %": R, "g² + 0.01 %": R},
        {
            "Euler–Maruyama": "steps that err by their length",
            "g² + 1 %": "the noise variance is 1 % too large",
            "g² + 0.01 %": "the noise variance is 0.01 % too large",
        },
    ),
)
