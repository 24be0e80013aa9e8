"""The cases of :mod:`accusations`: the release, and the same with one thing put right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import quad

from . import _azula, _repairs
from ._configurations import Client
from ._diffusers import discrete, edm, scheduler
from ._libraries import loaded

#: Steps of log σ at which local errors are taken.
STEPS = np.array([0.4, 0.2, 0.1, 0.05, 0.025])
THIRD_ORDER: dict[str, tuple[str, dict[str, Any], float]] = {
    "dpmsolver++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}, 1.0),
    "dpmsolver": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"}, -1.0),
    "sde-dpmsolver++": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, 2.0),
    "dpmsolver++, EDM": ("EDMDPMSolverMultistepScheduler", {}, 1.0),
}  # fmt: skip
FULL_LENGTH = {
    f"{name}, {spacing}": (f"{name}MultistepScheduler", spacing)
    for name, spacing in (("DPMSolver", "linspace"), ("DPMSolver", "leading"), ("UniPC", "linspace"), ("DEIS", "linspace"))
}  # fmt: skip
SDE_THIRD: dict[str, tuple[Callable[..., Client], str, dict[str, Any]]] = {
    "sde-dpmsolver": (
        discrete, "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"}
    ),
    "sde-dpmsolver++, EDM": (edm, "EDMDPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
}  # fmt: skip
WHOLE = {
    f"{name}, {levels}": (f"{name}Scheduler", f"use_{levels}_sigmas")
    for name in ("DPMSolverMultistep", "UniPCMultistep", "DEISMultistep", "DPMSolverSinglestep")
    for levels in ("exponential", "beta")
}
PNDM = {"skip_prk_steps": True, "set_alpha_to_one": True}
LAST_NOISE = {"timestep_spacing": "trailing", "variance_type": "fixed_large"}


def spaced(name: str, spacing: str, *, right: bool) -> Client:
    """DDIM or PNDM with a spacing of labels."""
    more = PNDM if name == "PNDM" else {}
    settings = {"timestep_spacing": spacing} | more
    if right:
        return _repairs.to_the_next_label(f"{name}Scheduler", **settings)
    return discrete(scheduler(f"{name}Scheduler", **settings), order=1 if name == "DDIM" else 2)


def pndm(*, right: bool) -> Client:
    """PNDM with a v-model, on a schedule that is long enough for orders."""
    settings = PNDM | {"num_train_timesteps": 10_000, "beta_start": 1e-5, "beta_end": 2e-3}
    released = discrete(scheduler("PNDMScheduler", prediction_type="v_prediction", **settings), order=2)
    client = _repairs.noise_first(**settings) if right else released
    return Client(client.sampler, client.declared | {"counts": (10, 20, 40, 80)})


def log_linear(*, right: bool) -> Client:
    """Euler steps along log-linear levels."""
    if right:
        return _repairs.matching_levels()
    return discrete(scheduler("EulerDiscreteScheduler", interpolation_type="log_linear"), order=1)


def last_noise(*, right: bool) -> Client:
    """DDPM with the large variance and trailing labels."""
    if right:
        return _repairs.without_last_noise(**LAST_NOISE)
    return discrete(scheduler("DDPMScheduler", **LAST_NOISE), order=None, stochastic=True)


def log_variance(*, right: bool) -> Client:
    """DDPM with the logarithm of the large variance."""
    settings = {"variance_type": "fixed_large_log"}
    if right:
        return _repairs.variance_for_its_logarithm(**settings)
    return discrete(scheduler("DDPMScheduler", **settings), order=None, stochastic=True)


def unipc(case: str, *, right: bool) -> Client:
    """UniPC by its other solver type, or for noise predictions."""
    if case == "bh1":
        return _repairs.finite_bh1(solver_type="bh1") if right else _unipc(solver_type="bh1")
    return _unipc(predict_x0=False, **({"final_sigmas_type": "sigma_min"} if right else {}))


def _unipc(**settings: Any) -> Client:
    return discrete(scheduler("UniPCMultistepScheduler", **settings), order=2)


def sde_third(case: str, *, right: bool) -> Client:
    """A stochastic algorithm of third order, or of second."""
    form, name, settings = SDE_THIRD[case]
    return form(scheduler(name, solver_order=2 if right else 3, **settings), order=None, stochastic=True)


def third_order(case: str, right: bool) -> np.ndarray:
    """Local errors of a third step, for outputs s² + s³ in s = log σ_s − log σ."""
    name, settings, rate = THIRD_ORDER[case]
    step = _repairs.third_order_step(name, **settings)
    found = []
    for h in STEPS:
        s = h * np.array([-2.0, -1.0, 0.0, 1.0])
        levels = np.exp(-s)
        found.append(step(levels, s[:3] ** 2 + s[:3] ** 3, right) - _exact(h, rate, edm=name.startswith("EDM")))
    return np.array(found)


def _exact(h: float, rate: float, *, edm: bool) -> float:
    """Where the exact step takes 0: an integral of the outputs against the kernel of the algorithm."""
    alpha = 1.0 if edm else (1 + np.exp(-2 * h)) ** -0.5
    kernel = quad(lambda u: abs(rate) * np.exp(rate * u) * (u**2 + u**3), 0, h, epsabs=1e-16)[0]
    return alpha * kernel * (-1.0 if rate < 0 else np.exp(-rate * h))


def repeated(case: str, right: bool) -> float:
    """How many labels are not new, with as many steps as the training had or one less."""
    name, spacing = FULL_LENGTH[case]
    chain = scheduler(name, timestep_spacing=spacing)()
    steps = chain.config.num_train_timesteps - right
    chain.set_timesteps(steps)
    return steps - len(set(chain.timesteps.tolist()))


def label_distance(case: str, right: bool) -> float:
    """The largest distance of a label from that of its noise level."""
    name, option = WHOLE[case]
    chain = scheduler(name, **{option: True})()
    chain.set_timesteps(50)
    logs = np.log(np.array(((1 - chain.alphas_cumprod) / chain.alphas_cumprod) ** 0.5))
    meant = np.interp(np.log(chain.sigmas[:50].numpy()), logs, np.arange(len(logs)))
    return float(np.abs((np.round(meant) if right else chain.timesteps.numpy()) - meant).max())


def one_step(case: str, right: bool) -> float:
    """Whether a run of one step (or two) breaks down."""
    import torch

    sampling = loaded("k-diffusion")
    levels = sampling.get_sigmas_karras(2 if right else 1, 0.01, 80.0)
    try:
        getattr(sampling, f"sample_{case}")(
            lambda x, sigma: 0 * x, torch.ones(4, 1), levels, disable=True, noise_sampler=lambda a, b: torch.zeros(4, 1)
        )
    except UnboundLocalError:
        return 1.0
    return 0.0


def third_step(right: bool) -> np.ndarray:
    """Local errors of the third step of dpmpp_3m_sde without noise, for outputs s² + s³."""
    return np.array([_third_step(h, right) for h in STEPS])


def _third_step(h: float, right: bool) -> float:
    import torch

    seen: dict[int, Any] = {}
    s = h * np.array([-2.0, -1.0, 0.0, 1.0])
    end = loaded("k-diffusion").sample_dpmpp_3m_sde(
        lambda x, sigma: torch.log(sigma)[:, None] ** 2 - torch.log(sigma)[:, None] ** 3 + 0 * x,
        torch.zeros(1, 1, dtype=torch.float64), torch.tensor(np.exp(-s)), eta=0.0, disable=True,
        callback=lambda info: seen.update({info["i"]: float(info["x"])}), noise_sampler=lambda a, b: 0.0,
    )  # fmt: skip
    outputs = s[:3] ** 2 + s[:3] ** 3
    second = 0.5 * ((outputs[2] - outputs[1]) - (outputs[1] - outputs[0]))
    missing = -((np.exp(-h) - 1 + h) / h**2 - 0.5) * second if right else 0.0
    return float(end) + missing - np.exp(-h) * seen[2] - _exact(h, 1.0, edm=True)


def reab(spacing: str, *, right: bool) -> Client:
    """REABSampler, or with the noise level of the step's end where the docstring has it."""
    return _azula.client("REABSampler", spacing, order=2, sampler_class=_right_reab() if right else None)


def _right_reab() -> Any:
    """The integral is scaled by √(α_s² + σ_t²) in the release: what it adds is scaled again, to √(α_s² + σ_s²)."""
    import torch

    class Right(loaded("azula").REABSampler):
        def __call__(self, x: Any, **kwargs: Any) -> Any:
            time = self.timesteps
            alpha, sigma = self.denoiser.schedule(time)
            self.factors = iter(torch.sqrt((alpha[1:] ** 2 + sigma[1:] ** 2) / (alpha[1:] ** 2 + sigma[:-1] ** 2)))
            return super().__call__(x, **kwargs)

        def _exponential_adams_bashforth(self, t: Any, /, i: int, n: int) -> Any:
            return next(self.factors) * super()._exponential_adams_bashforth(t, i=i, n=n)

    return Right


def divergence_error(right: bool) -> float:
    """Error of a log-likelihood with exact divergence for data of shape (2, 2), under the flow of −x; 1 where it breaks down."""
    import torch

    x = torch.ones(3, 4, dtype=torch.float64) if right else torch.ones(3, 2, 2, dtype=torch.float64)
    solver = loaded("flow_matching").ODESolver(velocity_model=lambda x, t: -x)
    try:
        _, found = solver.compute_likelihood(
            x, lambda z: -0.5 * (z**2).flatten(1).sum(1), step_size=0.02, method="rk4", exact_divergence=True
        )
    except IndexError:
        return 1.0
    return float((found - (4 - 2 * np.e**2)).abs().max())
