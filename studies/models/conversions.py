r"""One law, many models: every kind gives the same samples, conversions come back, and declared models are the field of the path.

The models are written down here from the two conditional means of a mixture,

    E[X_0 | x] = Σ r_m (μ_m + α s_m² (x − α μ_m)/V_m),   E[Z | x] = Σ r_m σ (x − α μ_m)/V_m,   V_m = α² s_m² + σ²,

and from α̇ and σ̇ by hand; what they are held against is the score of the noised mixture alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import fpk
from fpk.fields import EDM, KINDS, Field, Index, as_field, conversion
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.samplers import DDIM, DDPM, DPMSolver2, EulerMaruyama, ProbabilityFlow, Sampler, StochasticHeun
from fpk.schedules import OTSchedule, Schedule
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED
WEIGHTS, MEANS, STDS = np.array([0.3, 0.7]), np.array([2.2, 3.8]), np.array([0.2, 0.5])
MIXTURE = fpk.GaussianMixture(WEIGHTS, MEANS, stds=STDS)
VP, VE = fpk.VPSchedule(0.6, 3.4), fpk.VESchedule(0.1, 3.0)
PATHS: dict[str, Any] = {"VP": VP, "VE": VE, "OT": OTSchedule()}


def _rates(path: Any, t: float) -> tuple[float, float]:
    """α̇ and σ̇, by hand."""
    if path is VP:
        beta, alpha = 0.6 + 2.8 * t, np.exp(-0.3 * t - 0.7 * t**2)
        return -0.5 * beta * alpha, 0.5 * beta * alpha**2 / np.sqrt(1 - alpha**2)
    if path is VE:
        squared = 0.01 * 30.0 ** (2 * t)
        return 0.0, squared * np.log(30.0) / np.sqrt(squared - 0.01)
    return -1.0, 1.0


def _means(x: Array, alpha: float, sigma: float) -> tuple[Array, Array]:
    """E[X_0 | x] and E[Z | x] at x of shape (n, 1)."""
    variances, offsets = alpha**2 * STDS**2 + sigma**2, x - alpha * MEANS
    logs = np.log(WEIGHTS / np.sqrt(variances)) - 0.5 * offsets**2 / variances
    shares = np.exp(logs - logs.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    data, noise = MEANS + alpha * STDS**2 * offsets / variances, sigma * offsets / variances
    return (shares * data).sum(1, keepdims=True), (shares * noise).sum(1, keepdims=True)


@dataclass(frozen=True)
class Formula:
    """What a model predicts: its sign, its factor of σ, and whether its two means or powers of σ are mixed up."""

    sign: float = 1.0
    sigma: float = 1.0
    swapped: bool = False
    root: bool = False

    def model(self, kind: str, path: Any) -> Callable[[Array, float], Array]:
        """The function (x, t) ↦ prediction."""

        def function(x: Array, t: float) -> Array:
            alpha, true = path.alpha(t), path.sigma(t)
            (data, noise), sigma = _means(x, alpha, true), self.sigma * true
            rates = _rates(path, t)
            return (
                self.sign
                * {
                    "noise": true * noise / sigma,
                    "denoised": (x - sigma * noise) / alpha,
                    "v": sigma * noise - alpha * data if self.swapped else alpha * noise - sigma * data,
                    "score": -noise / (1.0 if self.root else sigma),
                    "velocity": rates[0] * data + self.sigma * rates[1] * noise,
                }[kind]
            )

        return function


def _identity(gaps: dict[str, float], bound: float, source: str) -> Evidence:
    first = fpk.residual(np.array(list(gaps.values())), bound, proven=True, source=source)
    return Evidence(first, zero_estimate(len(gaps)), tuple(gaps))


# -- one law, one sample -----------------------------------------------------------------------------------------------

TIMES = np.linspace(0.95, 0.05, 9)
SAMPLERS: dict[str, Callable[[Field], Sampler]] = {
    "DDPM": lambda field: DDPM(field, times=TIMES),
    "DDIM": lambda field: DDIM(field, eta=0.6, times=TIMES),
    "DPM-Solver-2": lambda field: DPMSolver2(field, times=TIMES),
    "reverse SDE": lambda field: EulerMaruyama(field, times=TIMES),
    "reverse SDE, Heun": lambda field: StochasticHeun(field, times=TIMES),
    "flow, RK4": lambda field: ProbabilityFlow(field, method="rk4", times=TIMES),
}


def _scored(path: Any) -> Field:
    """The score of the noised mixture, by the law's own method."""

    def score(x: Array, t: float) -> Array:
        return _noised(path, t).score(x)

    return Field(score, "score", path)


@cache
def _noised(path: Any, t: float) -> fpk.GaussianMixture:
    return MIXTURE.pushed(path.alpha(t) * np.eye(1), np.zeros(1), path.sigma(t) ** 2 * np.eye(1))


@study(
    "models.conversions",
    variants={
        "stated": Formula(),
        "sign": Formula(sign=-1.0),
        "α and σ swapped": Formula(swapped=True),
        "σ for σ²": Formula(root=True),
        "σ + 0.01 %": Formula(sigma=1.0001),
    },
    cases=KINDS,
    applies=lambda variant, case: {"α and σ swapped": "v", "σ for σ²": "score"}.get(variant, case) == case,
)
def one_law(variant: Formula, case: str, size: Size, seed: int) -> Evidence:
    """The same particles and noises through every sampler, with a model of the kind and with the law's own score: largest distances."""
    gaps = {}
    for name, path in PATHS.items():
        start = _noised(path, TIMES[0]).sample(size.particles(250), np.random.default_rng(seed))
        model = Field(variant.model(case, path), case, path)
        for label, made in SAMPLERS.items():
            ends = [_sampled(made(field), start, seed) for field in (model, _scored(path))]
            gaps[f"{label}, {name}"] = float(np.abs(ends[0] - ends[1]).max())
    return _identity(gaps, 1e-10, f"samples of the {case} model less those of the score")


def _sampled(sampler: Sampler, x: Array, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    for k in range(sampler.steps):
        x = sampler.step(x, k, rng.standard_normal((sampler.noises, *x.shape)))
    return x


# -- there and back ----------------------------------------------------------------------------------------------------


def _louder(path: Any, sigma: Callable[[float], float]) -> Schedule:
    return fpk.AffineSchedule(path.alpha, lambda t: sigma(path.sigma(t)))


#: What happens on the way back: (the path, the kind the field is taken for, its factor).
WayBack = tuple[Callable[[Any], Any], Callable[[str], str], float]
STATED: WayBack = (lambda path: path, lambda kind: kind, 1.0)


@study(
    "models.round-trips",
    variants={
        "stated": STATED,
        "sign": (*STATED[:2], -1.0),
        "taken for the next kind": (STATED[0], lambda kind: KINDS[(KINDS.index(kind) + 1) % len(KINDS)], 1.0),
        "σ for σ²": (lambda path: _louder(path, lambda s: s**0.5), *STATED[1:]),
        "σ + 0.01 %": (lambda path: _louder(path, lambda s: 1.0001 * s), *STATED[1:]),
    },
    cases=("VP", "sub-VP", "VE", "OT", "cosine"),
)
def there_and_back(variant: WayBack, case: str, size: Size, seed: int) -> Evidence:
    """Each kind to each other and back, at random places, values and times: largest error over |value| + |the term of x|."""
    cosine = fpk.AffineSchedule(lambda t: np.cos(0.45 * np.pi * t), lambda t: np.sin(0.45 * np.pi * t))
    path: Any = (PATHS | {"sub-VP": fpk.SubVPSchedule(0.6, 3.4), "cosine": cosine})[case]
    rng = np.random.default_rng(seed)
    points = [(t, rng.normal(0, 3, (50, 1)), rng.normal(0, 3, (50, 1))) for t in rng.uniform(0.001, 0.999, 12)]
    gaps = {
        f"{kind} by {other}": max(_returned(variant, path, (kind, other), point) for point in points)
        for kind in KINDS
        for other in KINDS
        if kind != other
    }
    return _identity(gaps, 1e-13, "field converted there and back, relative")


def _returned(way: WayBack, path: Any, kinds: tuple[str, str], point: tuple[float, Array, Array]) -> float:
    (t, x, values), (changed, taken, factor) = point, way
    there = Field(lambda x, t: values, kinds[0], path).converted(kinds[1])
    back = Field(lambda x, t: factor * there(x, t), taken(kinds[1]), changed(path)).converted(kinds[0])
    term = conversion(kinds[1], kinds[0], schedule=path, t=t)[1] * x
    return float(np.max(np.abs(back(x, t) - values) / (np.abs(values) + np.abs(term))))


# -- declared models ---------------------------------------------------------------------------------------------------

INDEX = Index(1000, first=0, start=0.001)


def _level(t: float) -> float:
    return VP.sigma(t) / VP.alpha(t)


def _network(y: Array, c_noise: float) -> Array:
    """F of Karras et al., table 1, for σ_data = ½: (D(x; σ) − c_skip x)/c_out with the input y = c_in x and ¼ log σ."""
    level = np.exp(4 * c_noise)
    total = np.sqrt(level**2 + 0.25)
    x = y * total
    return (_means(x, 1.0, level)[0] - 0.25 / total**2 * x) * total / (0.5 * level)


def _exploding_score(y: Array, level: float) -> Array:
    """The score of X_0 + level Z."""
    return -_means(y, 1.0, level)[1] / level


def _indexed_noise(y: Array, index: float) -> Array:
    """E[Z | ·] of a VP model that counts from 0 to 999, t = .001 to 1."""
    t = 0.001 * (index + 1)
    return _means(y, VP.alpha(t), VP.sigma(t))[1]


def _flow(y: Array, u: float) -> Array:
    """E[X_0 − Z | ·] on u X_0 + (1 − u) Z."""
    data, noise = _means(y, u, 1 - u)
    return data - noise


@dataclass(frozen=True)
class Declared:
    """A model with what is true of it, its clock as a function, and a scale and kind it does not have."""

    model: Callable[[Array, float], Array]
    path: Any
    clock: Callable[[float], float]
    truth: dict[str, Any]
    other_scale: Any
    other_kind: str


MODELS = {
    "index": Declared(
        _indexed_noise, VP, INDEX, {"kind": "noise", "time": INDEX, "direction": "t_noise", "scale": "VP"}, "VE", "v"
    ),
    "noise level": Declared(
        _exploding_score,
        VP,
        _level,
        {"kind": "score", "time": "sigma", "direction": "t_noise", "scale": "VE"},
        "path",
        "noise",
    ),
    "flow matching": Declared(
        _flow,
        PATHS["OT"],
        lambda u: u,
        {"kind": "velocity", "time": "path", "direction": "t_data", "scale": "path"},
        "VP",
        "v",
    ),
    "raw network": Declared(
        _network,
        VP,
        lambda t: 0.25 * np.log(_level(t)),
        {"kind": "edm", "time": lambda t: 0.25 * np.log(_level(t)), "direction": "t_noise", "scale": EDM(0.5)},
        EDM(0.505),
        "denoised",
    ),
}
Change = Callable[[Declared], dict[str, Any]]


@study(
    "models.adapters",
    variants={
        "stated": lambda declared: {},
        "another scale": lambda declared: {"scale": declared.other_scale},
        "another kind": lambda declared: {"kind": declared.other_kind},
        "another direction": lambda declared: {"direction": "t_noise"},
        "index from 1": lambda declared: {"time": Index(1000, first=1, start=0.001)},
        "time + 0.1 %": lambda declared: {"time": lambda u: 1.001 * declared.clock(u)},
    },
    cases=tuple(MODELS),
    applies=lambda variant, case: (
        {"another direction": "flow matching", "index from 1": "index"}.get(variant, case) == case
    ),
)
def declared_models(variant: Change, case: str, size: Size, seed: int) -> Evidence:
    """The score that an adapted model gives on the path, less the noised law's own: largest distances at several times."""
    declared, rng = MODELS[case], np.random.default_rng(seed)
    field = as_field(declared.model, schedule=declared.path, **(declared.truth | variant(declared)))
    gaps = {}
    for t in (0.1, 0.3, 0.6, 0.9):
        law = _noised(declared.path, t)
        x = law.sample(size.particles(500), rng)
        gaps[f"t={t:g}"] = float(np.abs(field.score(x, t) - law.score(x)).max())
    return _identity(gaps, 1e-10, f"score of the model declared by {case} less the law's")


CLAIMS = (
    Claim(
        "models.conversions",
        "identity",
        "Score, noise, denoised, v and velocity models of one law give the same samples, particle by particle, in every sampler.",
        r"c\,o = a\,\mathbb E[X_0|x] + b\,\mathbb E[Z|x],\quad x = \alpha\,\mathbb E[X_0|x] + \sigma\,\mathbb E[Z|x]",
        "Salimans and Ho (2022), section 4; Kingma et al. (2021), appendix; Lipman et al. (2023), theorem 3",
        {"stated": C, "sign": R, "α and σ swapped": R, "σ for σ²": R, "σ + 0.01 %": R},
        {
            "sign": "the model predicts the negative",
            "α and σ swapped": "σ ε − α x₀ for v",
            "σ for σ²": "the score is −(x − α x₀)/σ",
            "σ + 0.01 %": "the model was trained with σ 0.01 % too large",
        },
        "α and σ positive.",
    ),
    Claim(
        "models.round-trips",
        "identity",
        "Converting a field to another kind and back returns it to round-off.",
        r"o' = \tfrac{c\Delta'}{c'\Delta}\,o + \tfrac{(c/c')\,a\,b'-a'\,b}{\Delta}\,x,\quad \Delta = c\,a\,\sigma - b\,\alpha",
        "Cramer's rule",
        {"stated": C, "sign": R, "taken for the next kind": R, "σ for σ²": R, "σ + 0.01 %": R},
        {
            "sign": "comes back with the other sign",
            "taken for the next kind": "comes back as if it were of another kind",
            "σ for σ²": "comes back on a path whose noise is the root of σ",
            "σ + 0.01 %": "comes back on a path with 0.01 % more noise",
        },
        "α and σ positive; relative to the field and the term of x on the way back.",
    ),
    Claim(
        "models.adapters",
        "identity",
        "A model that is declared as it was trained is the field of the path, whatever its kind, time, direction and scale.",
        r"\nabla\log p_t(x) = s\,(\nabla\log p^{y})(s\,x),\quad y = s\,x",
        "Song et al. (2021), appendix C; Karras et al. (2022), equation 7 and table 1; Lipman et al. (2023), equation 9",
        {
            "stated": C,
            "another scale": R,
            "another kind": R,
            "another direction": R,
            "index from 1": R,
            "time + 0.1 %": R,
        },
        {
            "another scale": "the positions are declared on a scale the model was not trained on (the raw network: σ_data 1 % too large)",
            "another kind": "the outputs are declared as another kind",
            "another direction": "a flow to the data is declared as one to the noise",
            "index from 1": "a model that counts from 0 is declared to count from 1",
            "time + 0.1 %": "the model is given a time 0.1 % too large",
        },
    ),
)
