"""Propagated chains: the law of a sampler without sampling, against particles of the same sampler and against closed forms.

Steps are few and long on purpose: every slip is large then, and no part of the comparison is about how far the chain is from the data law. One
side never touches a particle, the other knows nothing but ``step``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import fpk
from fpk import samplers
from fpk.chains import ChainMarginals, line_chain, plane_chain, propagate
from fpk.closed_form import LawMarginals
from fpk.fields import Field, exact_field
from fpk.laws import GaussianMixture, Law
from fpk.marginals import Estimate, Marginals
from fpk.samplers import PoissonField, Sampler
from fpk.samplers.poisson import heights
from fpk.samplers.times import log_snr, quadratic
from fpk.study import Claim, Evidence, Size, evidence, study
from fpk.verdict import Outcome

from ._laws import MIXTURE, NORMAL, OT, VE, VP, late, louder, model, scaled
from ._slips import last_step_skipped, noise_repeated

C, R = Outcome.CONFIRMED, Outcome.REFUTED
SKIPPED, REPEATED, LOUD, LATE, NEAR = (
    "last step skipped",
    "noise repeated",
    "noise + 5 %",
    "field of the next time",
    "field + 5 %",
)
NOTES = {
    SKIPPED: "the particles stop one step early",
    REPEATED: "every step takes the normal numbers of the first",
    LOUD: "the particles' normal numbers are 5 % too large",
    LATE: "the particles' field reads the time at the end of each step",
    NEAR: "the particles' field is 5 % too large",
}
VARIANTS = {name: name for name in ("stated", SKIPPED, REPEATED, LOUD, LATE, NEAR)}
EXPECTED = {name: C if name == "stated" else R for name in VARIANTS}


@dataclass(frozen=True, eq=False)
class Setting:
    """A sampler to be made from a field, the field, which slips show in it, and a law to ask about where tails are too heavy for the chain's own."""

    make: Callable[[Any], Sampler]
    field: Field | PoissonField
    slips: tuple[str, ...] = (SKIPPED, NEAR)
    reference: Law | None = None

    def right(self) -> Sampler:
        """The sampler."""
        return self.make(self.field)

    def slipped(self, variant: str) -> Sampler:
        """The sampler with a slip."""
        changes: dict[str, Callable[[], Sampler]] = {
            "stated": self.right,
            SKIPPED: lambda: last_step_skipped(self.right()),
            REPEATED: lambda: noise_repeated(self.right()),
            LOUD: lambda: louder(self.right(), 1.05),
            NEAR: lambda: self.make(_larger(self.field, 1.05)),
            LATE: lambda: self.make(late(self.field, self.right().times)),  # type: ignore[arg-type]
        }
        return changes[variant]()


class _Larger(PoissonField):
    """Lines of a field that is too strong along the data."""

    def __init__(self, data: Any, factor: float) -> None:
        super().__init__(data)
        self.__dict__["factor"] = factor

    def velocity(self, x: Any, z: float) -> Any:
        return self.__dict__["factor"] * super().velocity(x, z)


def _larger(field: Field | PoissonField, factor: float) -> Any:
    return _Larger(field.data, factor) if isinstance(field, PoissonField) else scaled(field, factor)


# -- against particles -------------------------------------------------------------------------------------------------

NOISY = (SKIPPED, REPEATED)
FEW, MILD = quadratic(5), quadratic(5, end=0.15)
SCORE = model(MIXTURE, VP)
#: One setting or more for every class of samplers, on the line.
LINE: dict[str, Setting] = {
    "DDPM, posterior variance": Setting(lambda f: samplers.DDPM(f, times=FEW), SCORE, NOISY),
    "DDPM, forward variance": Setting(lambda f: samplers.DDPM(f, times=FEW, variance="forward"), SCORE, NOISY),
    "DDIM, η = 0": Setting(lambda f: samplers.DDIM(f, times=FEW), SCORE, (SKIPPED, NEAR, LATE)),
    "DDIM, η = ½": Setting(lambda f: samplers.DDIM(f, times=FEW, eta=0.5), SCORE),
    "DPMSolver2": Setting(lambda f: samplers.DPMSolver2(f, times=log_snr(VP, 4, end=0.05)), SCORE),
    "EulerMaruyama": Setting(lambda f: samplers.EulerMaruyama(f, times=FEW), SCORE, (*NOISY, LATE)),
    "EulerMaruyama, stochastic flow": Setting(
        lambda f: samplers.EulerMaruyama(f, steps=5, noise=0.5), model(MIXTURE, OT)
    ),
    "StochasticHeun": Setting(lambda f: samplers.StochasticHeun(f, times=MILD), SCORE, NOISY),
    "ProbabilityFlow, Euler": Setting(lambda f: samplers.ProbabilityFlow(f, times=FEW, method="euler"), SCORE),
    "ProbabilityFlow, RK4 of VE": Setting(
        lambda f: samplers.ProbabilityFlow(f, times=FEW, method="rk4"), model(MIXTURE, VE), (NEAR,)
    ),
    "PredictorCorrector": Setting(
        lambda f: samplers.PredictorCorrector(samplers.DDIM(f, times=FEW), corrections=2, snr=0.3), SCORE
    ),
    "PredictorCorrector, Heun": Setting(
        lambda f: samplers.PredictorCorrector(samplers.StochasticHeun(f, times=MILD), snr=0.3), SCORE, (SKIPPED,)
    ),
    "AnnealedLangevin": Setting(
        lambda f: samplers.AnnealedLangevin(f, times=log_snr(VP, 3, end=0.1), inner=2, epsilon=0.05),
        SCORE,
        (*NOISY, LOUD),
    ),
    "ULA": Setting(lambda f: samplers.ULA(f, size=0.03, steps=5), SCORE, NOISY),
    "MALA": Setting(lambda f: samplers.MALA(f, size=0.05, steps=5, target=MIXTURE), SCORE, NOISY),
    "PoissonFlow": Setting(
        lambda f: samplers.PoissonFlow(f, times=heights(8, highest=20.0, lowest=0.1)),
        PoissonField(MIXTURE),
        reference=MIXTURE,
    ),
}


def counted(variant: str, size: Size) -> int:
    """Particles: gross slips are seen with few."""
    if size.quick:
        return 50_000 if variant in NOISY else 200_000
    return 1_000_000


@cache
def propagated(setting: Setting) -> tuple[Any, fpk.Panel]:
    """The law of the chain and its panel, the same for every variant."""
    chain = propagate(setting.right())
    end = float(setting.right().times[-1])
    return chain, fpk.law_panel({end: setting.reference or chain.law(end)})


def _held_against_particles(setting: Setting, variant: str, size: Size, seed: int) -> Evidence:
    """The law of the chain, and particles of the sampler with a slip."""
    chain, panel = propagated(setting)
    return evidence(chain, setting.slipped(variant).sample(counted(variant, size), seed=seed), panel=panel)


@study(
    "samplers.chain-particles",
    variants=VARIANTS,
    cases=tuple(LINE),
    applies=lambda variant, case: variant in ("stated", *LINE[case].slips),
)
def against_particles(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """On the line, every sampler of one step."""
    return _held_against_particles(LINE[case], variant, size, seed)


#: Not round, off-centre, two components.
TILTED = np.array([[0.30, 0.18], [0.18, 0.25]])
PLANE_MIXTURE = GaussianMixture([0.4, 0.6], [[-0.8, 1.0], [1.2, 0.2]], covariances=[0.5 * TILTED, TILTED])
PLANE_NORMAL = fpk.Gaussian([1.5, -0.5], covariance=TILTED)
NOISES, PLAIN = exact_field(PLANE_MIXTURE, VP), exact_field(PLANE_NORMAL, VP)
#: Gaussian kernels with mixtures, deterministic chains with a normal law.
PLANE: dict[str, Setting] = {
    "DDPM": Setting(lambda f: samplers.DDPM(f, times=quadratic(4), dimension=2), NOISES, NOISY),
    "EulerMaruyama": Setting(lambda f: samplers.EulerMaruyama(f, times=quadratic(4), dimension=2), NOISES, NOISY),
    "AnnealedLangevin": Setting(
        lambda f: samplers.AnnealedLangevin(f, times=log_snr(VP, 2, end=0.3), inner=2, epsilon=0.2, dimension=2),
        NOISES,
        NOISY,
    ),
    "DDIM, η = 0, normal data": Setting(lambda f: samplers.DDIM(f, times=quadratic(4), dimension=2), PLAIN),
    "ProbabilityFlow, Heun, normal data": Setting(
        lambda f: samplers.ProbabilityFlow(f, times=quadratic(4), dimension=2), PLAIN
    ),
}


IN_PLANE = {name: name for name in ("stated", SKIPPED, REPEATED, NEAR)}


@study(
    "samplers.chain-plane",
    variants=IN_PLANE,
    cases=tuple(PLANE),
    applies=lambda variant, case: variant in ("stated", *PLANE[case].slips),
)
def against_particles_in_the_plane(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """In the plane."""
    return _held_against_particles(PLANE[case], variant, size, seed)


# -- against closed forms ----------------------------------------------------------------------------------------------

STRAIGHT = model(NORMAL, VP)
AFFINE: dict[str, Callable[[], Sampler]] = {
    "kernels and a map": lambda: samplers.DDPM(STRAIGHT, times=FEW),
    "kernels of annealed Langevin": lambda: samplers.AnnealedLangevin(
        STRAIGHT, times=log_snr(VP, 3, end=0.1), inner=2, epsilon=0.05
    ),
    "maps of RK4": lambda: samplers.ProbabilityFlow(STRAIGHT, times=FEW, method="rk4"),
    "noise inside the step": lambda: samplers.StochasticHeun(STRAIGHT, times=FEW),
    "kernels in the plane": lambda: samplers.EulerMaruyama(PLAIN, times=quadratic(4), dimension=2),
    "kernels and a map in the plane": lambda: samplers.DDPM(PLAIN, times=quadratic(4), dimension=2),
}


@study(
    "samplers.chain-closed-form",
    variants={"stated": 0.0, "covariance halved": -0.5, "covariance + 0.1 %": 1e-3, "covariance + 0.001 %": 1e-5},
    cases=tuple(AFFINE),
)
def against_closed_forms(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Densities step by step, against means and covariances from the sampler's own steps on a basis."""
    chain, law = _both_ways(case)
    end = chain.times[0]
    exact = LawMarginals({end: fpk.Gaussian(law.mean, covariance=(1 + variant) * law.covariance)}, ())
    return _without_thresholds(chain, exact, fpk.law_panel({end: law}))


@cache
def _both_ways(case: str) -> tuple[ChainMarginals, GaussianMixture]:
    """The chain on panels or grids, and its law by moments: the same for every variant."""
    sampler = AFFINE[case]()
    on_grids = line_chain if sampler.dimension == 1 else plane_chain
    return on_grids(sampler, initial=sampler.prior), _by_moments(sampler)


def _by_moments(sampler: Sampler) -> GaussianMixture:
    """The law of an affine chain from a normal prior: a step at the origin and at unit vectors, of positions and of noise."""
    d, m = sampler.dimension, sampler.noises
    law = sampler.prior
    mean, covariance = law.mean, law.covariance  # type: ignore[attr-defined]
    for k in range(sampler.steps):
        still = np.zeros((m, 1, d))
        at = sampler.step(np.zeros((1, d)), k, still)[0]
        A = np.stack([sampler.step(e[None], k, still)[0] - at for e in np.eye(d)], 1)
        noise = [np.reshape(e, (m, 1, d)) for e in np.eye(m * d)]
        B = np.stack([sampler.step(np.zeros((1, d)), k, e)[0] - at for e in noise], 1) if noise else np.zeros((d, 1))
        mean, covariance = A @ mean + at, A @ covariance @ A.T + B @ B.T
    return fpk.Gaussian(mean, covariance=covariance)


def _without_thresholds(first: Marginals, second: Marginals, panel: fpk.Panel) -> Evidence:
    """Two deterministic routes: the smooth functionals decide."""
    sides: list[Estimate] = [side.expect(fpk.Panel(panel.smooth)) for side in (first, second)]
    return Evidence(sides[0], sides[1], panel.names, panel=panel.digest)


CLAIMS = (
    Claim(
        "samplers.chain-particles",
        "equality",
        "The propagated law of a sampler's chain on the line is the law of its particles, step for step, however long the steps.",
        r"\mathbb E\,\varphi(X_N)=\int\varphi\,d(p_{t_0}K_0K_1\cdots K_{N-1})",
        "Chapman–Kolmogorov equation; Gihman and Skorohod (1974)",
        EXPECTED,
        NOTES,
    ),
    Claim(
        "samplers.chain-plane",
        "equality",
        "The same in the plane, for Gaussian kernels, and for deterministic chains of normal laws.",
        r"p_{k+1}(y)=\int p_k(x)\,\mathcal N(y;\,m_k(x),\,s_k^2 I)\,dx",
        "Chapman–Kolmogorov equation; Gihman and Skorohod (1974)",
        {name: EXPECTED[name] for name in IN_PLANE},
        {name: note for name, note in NOTES.items() if name in IN_PLANE},
    ),
    Claim(
        "samplers.chain-closed-form",
        "equality",
        "Where a chain is affine, its propagated density has the moments of the closed form, to the budget it states.",
        r"\mu_{k+1}=A_k\mu_k+b_k,\quad \Sigma_{k+1}=A_k\Sigma_kA_k^{\mathsf T}+B_kB_k^{\mathsf T}",
        "Särkkä and Solin (2019), section 6.1",
        {"stated": C, "covariance halved": R, "covariance + 0.1 %": R, "covariance + 0.001 %": R},
        {
            "covariance halved": "half of the closed form's",
            "covariance + 0.1 %": "0.1 % too large",
            "covariance + 0.001 %": "1e-5 too large",
        },
    ),
)
