r"""Paths, conversions and likelihoods of the libraries, as identities.

With x_t = μ_t(x_0, x_1) + σ_t ε, a conditional velocity is dx_t/dt for fixed (x_0, x_1, ε), and the field it averages to moves the law of x_t:

    d/dt E x_t = E u_t,    d/dt Var x_t = 2 Cov(u_t, x_t),

both exactly by Gauss–Hermite quadrature where the data are normal. Likelihoods are held against the density of normal data.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._flow_matching import PATHS, scheduler
from ._libraries import loadable, loaded, part, state

C, R = Outcome.CONFIRMED, Outcome.REFUTED
TIMES = np.array([0.15, 0.4, 0.6, 0.85])
#: Data on the line.
MEAN, STD = 3.0, 0.5
#: Steps of the differences in time; the error of the finer is their distance.
STEPS = (2e-4, 1e-4)
#: Relative size of what is added to denominators: 1e-8 in the Schrödinger bridge.
REGULARISED = 1e-7
MATCHERS: dict[str, tuple[str, float]] = {
    "independent": ("ConditionalFlowMatcher", 0.3),
    "optimal transport": ("ExactOptimalTransportConditionalFlowMatcher", 0.3),
    "target": ("TargetConditionalFlowMatcher", 0.3),
    "Schrödinger bridge": ("SchrodingerBridgeConditionalFlowMatcher", 1.0),
    "variance preserving": ("VariancePreservingConditionalFlowMatcher", 0.3),
}
#: Routes of the conversions of a path.
ROUTES = tuple(
    f"{a}_to_{b}" for a in ("target", "epsilon", "velocity") for b in ("target", "epsilon", "velocity") if a != b
)


def tensor(values: Any) -> Any:
    """In double precision."""
    import torch

    return torch.as_tensor(np.asarray(values, float))


def differences(function: Callable[[float], Array], t: float) -> list[Array]:
    """Centred differences with both steps."""
    return [(function(t + h) - function(t - h)) / (2 * h) for h in STEPS]


def residuals(values: list[list[Array]], exact: list[Array], names: list[str], source: str) -> Evidence:
    """Differences of two resolutions of a derivative (coarse, fine) from what it should be."""
    coarse, fine = (np.concatenate([np.ravel(v) for v in each]) for each in zip(*values, strict=True))
    wanted = np.concatenate([np.ravel(e) for e in exact])
    bound = np.abs(fine - coarse) + REGULARISED * (1 + np.abs(wanted))
    first = fpk.residual(fine - wanted, bound, coarser=coarse - wanted, source=source)
    return Evidence(first, zero_estimate(len(wanted)), tuple(names))


# -- torchcfm ----------------------------------------------------------------------------------------------------------


def matcher(case: str) -> Any:
    """One of its matchers."""
    name, sigma = MATCHERS[case]
    return getattr(loaded("torchcfm"), name)(sigma=sigma)


def points() -> tuple[Array, Array]:
    """Three-point Gauss–Hermite rule for (x_0, x_1, ε), x_0 and ε normal and x_1 from the data: exact to degree five."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    places = np.array(list(product(nodes, MEAN + STD * nodes, nodes)))
    return places, np.prod(list(product(*3 * [weights / weights.sum()])), axis=1)


def moved(own: Any, t: float) -> tuple[Array, Array]:
    """Positions x_t and velocities u_t of all nodes."""
    x0, x1, noise = (tensor(column[:, None]) for column in points()[0].T)
    now = tensor(np.full(len(x0), t))
    x = own.sample_xt(x0, x1, now, noise)
    return x.numpy().ravel(), own.compute_conditional_flow(x0, x1, now, x).numpy().ravel()


@study(
    "clients.torchcfm.velocity",
    variants={"stated": 1.0, "velocity + 1 %": 1.01, "sign": -1.0},
    cases=tuple(MATCHERS) if loadable("torchcfm") else (),
    only_when_named=True,
    judging=True,
)
def velocity(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Velocities less the differences of positions, the largest of each time."""
    own = matcher(case)
    values, exact = [], []
    for t in TIMES:
        values.append(differences(lambda u: moved(own, u)[0], t))
        exact.append(variant * moved(own, t)[1])
    return residuals(values, exact, [f"t = {t:g}, node {k}" for t in TIMES for k in range(27)], f"{case} path")


@study(
    "clients.torchcfm.continuity",
    variants={"stated": 1.0, "velocity + 1 %": 1.01, "half the velocity": 0.5},
    cases=tuple(MATCHERS) if loadable("torchcfm") else (),
    only_when_named=True,
    judging=True,
)
def continuity(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Rates of mean and variance of x_t, less those of the averaged velocity."""
    own, weights = matcher(case), points()[1]

    def moments(t: float) -> Array:
        x, _ = moved(own, t)
        return np.array([weights @ x, weights @ (x - weights @ x) ** 2])

    values, exact = [], []
    for t in TIMES:
        x, u = moved(own, t)
        values.append(differences(moments, t))
        exact.append(variant * np.array([weights @ u, 2 * weights @ (u * (x - weights @ x))]))
    return residuals(
        values, exact, [f"t = {t:g}, {what}" for t in TIMES for what in ("mean", "variance")], f"{case} path"
    )


# -- flow_matching -----------------------------------------------------------------------------------------------------

SCHEDULERS = tuple(PATHS) if loadable("flow_matching") else ()


def numbers(name: str, t: float) -> Array:
    """α, σ and their rates of one of its schedulers."""
    found = scheduler(name)(tensor(t))
    return np.array([float(v) for v in (found.alpha_t, found.sigma_t, found.d_alpha_t, found.d_sigma_t)])


@study(
    "clients.flow_matching.rates",
    variants={"stated": 1.0, "rates + 1 %": 1.01, "sign": -1.0},
    cases=SCHEDULERS,
    only_when_named=True,
    judging=True,
)
def rates(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Differences of α and σ less the rates that are stated."""
    values = [differences(lambda u: numbers(case, u)[:2], t) for t in TIMES]
    exact = [variant * numbers(case, t)[2:] for t in TIMES]
    return residuals(values, exact, [f"t = {t:g}, {what}" for t in TIMES for what in ("α", "σ")], case)


@study(
    "clients.flow_matching.conversions",
    variants={"stated": 1.0, "output + 1 %": 1.01, "half the output": 0.5},
    cases=SCHEDULERS,
    only_when_named=True,
    judging=True,
)
def conversions(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Each of six conversions of (x_1, ε, velocity) less what it should give; and times from signal-to-noise ratios."""
    path, x1, noise = part("flow_matching.path").AffineProbPath(scheduler(case)), 2.7, -0.6
    found, names = [], []
    for t in TIMES:
        alpha, sigma, d_alpha, d_sigma = numbers(case, t)
        known = {"target": x1, "epsilon": noise, "velocity": d_alpha * x1 + d_sigma * noise}
        x = tensor([alpha * x1 + sigma * noise])
        for route in ROUTES:
            source, _, wanted = route.partition("_to_")
            converted = float(getattr(path, route)(tensor([variant * known[source]]), x, tensor([t]))[0])
            found.append(converted - known[wanted])
            names.append(f"t = {t:g}, {route}")
        found.append(float(path.scheduler.snr_inverse(tensor(variant * alpha / sigma))) - t)
        names.append(f"t = {t:g}, time")
    return Evidence(
        fpk.residual(np.array(found), 1e-9, proven=True, source=case), zero_estimate(len(found)), tuple(names)
    )


def normal_velocity(factor: float) -> Callable[..., Any]:
    """Of N(MEAN, STD²) on the straight path, from noise at 0 to data at 1."""

    def field(x: Any, t: Any) -> Any:
        variance = (t * STD) ** 2 + (1 - t) ** 2
        slope = (t * STD**2 - (1 - t)) / variance
        return factor * (MEAN + slope * (x - t * MEAN))

    return field


PLACES = MEAN + STD * np.linspace(-3.0, 3.0, 7)
LOG_DENSITY = -0.5 * ((PLACES - MEAN) / STD) ** 2 - np.log(STD * np.sqrt(2 * np.pi))


@study(
    "clients.flow_matching.likelihood",
    variants={"stated": 1.0, "velocity + 1 %": 1.01, "half the velocity": 0.5},
    cases=("exact divergence", "Hutchinson") if loadable("flow_matching") else (),
    only_when_named=True,
    judging=True,
)
def likelihood(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Log-likelihoods of two step sizes less the log-density; one random sign is exact on the line."""
    import torch

    solver = loaded("flow_matching").ODESolver(velocity_model=normal_velocity(variant))
    prior = torch.distributions.Normal(tensor(0.0), tensor(1.0))
    coarse, fine = (
        solver.compute_likelihood(
            tensor(PLACES)[:, None], lambda x: prior.log_prob(x).sum(1), step_size=step, method="rk4",
            time_grid=tensor([1.0, 0.0]), exact_divergence=case == "exact divergence",
        )[1].numpy()
        for step in (0.02, 0.01)
    )  # fmt: skip
    first = fpk.residual(
        fine - LOG_DENSITY, np.abs(fine - coarse) + 1e-6, coarser=coarse - LOG_DENSITY, source=f"likelihood, {case}"
    )
    return Evidence(first, zero_estimate(len(PLACES)), tuple(f"x = {x:g}" for x in PLACES))


# -- k-diffusion -------------------------------------------------------------------------------------------------------


@study(
    "clients.k-diffusion.likelihood",
    variants={"stated": 1.0, "denoised mean + 1 %": 1.01, "half the denoised mean": 0.5},
    cases=("",) if loadable("k-diffusion") else (),
    only_when_named=True,
    judging=True,
)
def exploding_likelihood(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Log-likelihoods at two tolerances less the log-density of N(0, 1 + σ_min²); N(0, σ_max²) for N(0, 1 + σ_max²) costs ½/σ_max²."""
    low, high = 0.05, 200.0
    places = np.linspace(-3.0, 3.0, 7)
    exact = -0.5 * places**2 / (1 + low**2) - 0.5 * np.log(2 * np.pi * (1 + low**2))

    def model(x: Any, sigma: Any) -> Any:
        return variant * x / (1 + sigma[:, None] ** 2)

    run = partial(loaded("k-diffusion").log_likelihood, model, tensor(places)[:, None], low, high)
    coarse, fine = (run(atol=tolerance, rtol=tolerance)[0].numpy() for tolerance in (1e-6, 1e-8))
    bound = np.abs(fine - coarse) + 10 / high**2
    first = fpk.residual(fine - exact, bound, coarser=coarse - exact, source="log_likelihood")
    return Evidence(first, zero_estimate(len(places)), tuple(f"x = {x:g}" for x in places))


ONE = {
    "velocity + 1 %": "velocities 1 % too large",
    "sign": "the sign is exchanged",
    "rates + 1 %": "rates 1 % too large",
}
MORE = {
    "output + 1 %": "what is converted is 1 % too large",
    "half the output": "what is converted is halved",
    "half the velocity": "velocities are halved",
}
MEANS = {
    "denoised mean + 1 %": "the model's output is 1 % too large",
    "half the denoised mean": "the model's output is halved",
}
NOTES = ONE | MORE | MEANS


def _claim(id: str, statement: str, formula: str, *controls: str) -> Claim:
    library = id.split(".")[1]
    expected = {"stated": C} | dict.fromkeys(controls, R)
    notes = {name: NOTES[name] for name in controls}
    return Claim(
        id, "identity", statement, formula, f"{library}, as released", expected, notes, assumptions=state(library)
    )


CLAIMS = (
    _claim(
        "clients.torchcfm.velocity",
        "Conditional velocities are the rates of the paths they belong to.",
        r"u_t(x_t) = \frac{d}{dt}\bigl(\mu_t(x_0,x_1) + \sigma_t\varepsilon\bigr)",
        "velocity + 1 %",
        "sign",
    ),
    _claim(
        "clients.torchcfm.continuity",
        "The field that conditional velocities average to moves the law of the path.",
        r"\tfrac{d}{dt}\mathbb E\,x_t = \mathbb E\,u_t,\quad \tfrac{d}{dt}\operatorname{Var} x_t = 2\operatorname{Cov}(u_t,x_t)",
        "velocity + 1 %",
        "half the velocity",
    ),
    _claim(
        "clients.flow_matching.rates",
        "The rates that schedulers state are those of their α and σ.",
        r"\dot\alpha_t,\ \dot\sigma_t",
        "rates + 1 %",
        "sign",
    ),
    _claim(
        "clients.flow_matching.conversions",
        "Targets, noises and velocities are converted into each other, and times come back from signal-to-noise ratios.",
        r"x_t = \alpha_t x_1 + \sigma_t\varepsilon,\quad u_t = \dot\alpha_t x_1 + \dot\sigma_t\varepsilon",
        "output + 1 %",
        "half the output",
    ),
    _claim(
        "clients.flow_matching.likelihood",
        "Log-likelihoods of the exact velocity are those of the data's density.",
        r"\log p_1(x) = \log p_0(x_0) - \int_0^1\nabla\cdot u_t\,dt",
        "velocity + 1 %",
        "half the velocity",
    ),
    _claim(
        "clients.k-diffusion.likelihood",
        "Log-likelihoods of the exact denoised mean are those of the noised data's density.",
        r"\log p_{\sigma_{\min}}(x) = \log p_{\sigma_{\max}}(x') + \int\nabla\cdot\frac{x-D(x,\sigma)}{\sigma}\,d\sigma",
        "denoised mean + 1 %",
        "half the denoised mean",
    ),
)
