r"""What remains of the data, and where statements about the laws of noising end.

With B = ∫β the variance-preserving process keeps e^{−B/2} of the data; relative entropy to N(0, 1) falls at the rate e^{−B}, the law of the
variance-exploding process over √B tends to N(0, 1), and chains of finite steps tend to the processes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array, GaussianMixture
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, evidence, order_evidence, study
from fpk.verdict import Outcome

from .._systems import BOX, DATA, boxed, constant_law, on_grid

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S0.D1",
        "bound",
        "The integrated rate must grow without limit: then the data are forgotten and X_t tends to N(0, 1), else a part of them stays.",
        r"B(0)=0,\quad B'\ge0,\quad B(\infty)=\infty \;\Rightarrow\; X_t\to\mathcal N(0,1)",
        "Chen (2024), definition 1",
        {"stated": C, "B(∞) = 2": R, "B(∞) = 7": R, "variance + 2 %": R},
        {
            "B(∞) = 2": "a rate whose integral ends at 2: the variance keeps e⁻² of the data's",
            "B(∞) = 7": "a rate whose integral ends at 7: the mean keeps 3 % of the data's",
            "variance + 2 %": "the limit N(0, 1.02)",
        },
    ),
    Claim(
        "S0.T19",
        "bound",
        "Under the variance-preserving SDE the relative entropy to N(0, 1) falls at least as fast as exp(−B).",
        r"\mathrm{KL}(p_t\,\|\,\mathcal N(0,1)) \le e^{-B(t)}\,\mathrm{KL}(p_0\,\|\,\mathcal N(0,1))",
        "Chen (2024), text after equation 19; GM (2023), text after equation 85",
        {"stated": C, "twice the rate": R, "the other way round": R, "rate + 5 %": R},
        {
            "twice the rate": "exp(−2B)",
            "the other way round": "at most as fast as exp(−B)",
            "rate + 5 %": "exp(−1.05 B)",
        },
        assumptions="finite relative entropy at the start; a shifted Gaussian shows that the rate is sharp.",
    ),
    Claim(
        "S0.T20",
        "order",
        "Divided by √B, the variance-exploding process tends to N(0, 1): in W₂ at the rate B^(−1/2), at the rate 1/B when the data are centred.",
        r"W_2\bigl(X_t/\sqrt{B},\,\mathcal N(0,1)\bigr)=O(B^{-1/2}),\qquad O(B^{-1})\text{ if }\mathbb E X_0=0",
        "Chen (2024), text after equation 20",
        {"stated": C, "one order higher": R, "half an order lower": R},
        {"one order higher": "another factor B^(−1/2)", "half an order lower": "a factor B^(1/4) slower"},
    ),
    Claim(
        "err:S0.T22",
        "bound",
        "Only inside: the sub-VP variance is smaller than the VP variance for 0 < B < ∞; at both ends they are equal.",
        r"(1-e^{-B})^2<1-e^{-B}\iff 0<B<\infty",
        "Chen (2024), text after equation 22",
        {"inside": C, "outside": R},
        {"inside": "by at least 1 % of the VP variance, B from .02 to 4", "outside": "the same at B = 0 and B = 40"},
    ),
    Claim(
        "err:S1.T3",
        "equality",
        "Only inside: Gaussian noise makes X_t Gaussian for linear drifts and Gaussian starts; a double well makes it bimodal.",
        r"dX=f\,dt+\sigma\,dW,\ X_0\text{ Gaussian}:\quad X_t\text{ Gaussian only for } f \text{ linear in } x",
        "Wei (2024), text after equation 2",
        {"inside": C, "outside": R},
        {"inside": "drift −x", "outside": "drift x − x³"},
    ),
    Claim(
        "S2.E18",
        "order",
        "The chain √(1 − hβ) x + √(hβ) ε tends weakly to the variance-preserving SDE, with an error of first order in h.",
        r"X_{t+h}=\sqrt{1-h\beta}\,X_t+\sqrt{h\beta}\,\varepsilon:\qquad |\mathbb E\varphi(X^h_1)-\mathbb E\varphi(X_1)|=O(h)",
        "Rakitin, equation 18",
        {"stated": C, "order 2": R, "order ½": R},
        {"order 2": "second order", "order ½": "order one half"},
    ),
)


# -- the limit N(0, 1) -------------------------------------------------------------------------------------------------------


@study(
    "S0.D1",
    variants={"stated": (24.0, 1.0), "B(∞) = 2": (2.0, 1.0), "B(∞) = 7": (7.0, 1.0), "variance + 2 %": (24.0, 1.02)},
)
def memory(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    """A rate B(∞)·4e^{−4t}: at t = 5 its integral has come to its end, and expectations are to be within .002 of those of N(0, 1)."""
    total, variance = variant
    rate: Callable[[float], float] = lambda t: total * 4 * np.exp(-4 * t)  # noqa: E731
    problem = boxed(fpk.Linear(lambda t: -0.5 * rate(t)), lambda t: rate(t) ** 0.5, initial=DATA, horizon=5.0)
    settled = constant_law(fpk.Gaussian(0.0, variance**0.5), time=5.0, source="N(0, 1)")
    panel = fpk.law_panel({5.0: fpk.Gaussian(0.0, 1.0)})
    both = evidence(on_grid(problem, size, times=[5.0], cells=56, steps=32), settled, panel=panel)
    apart = np.abs(both.first.value - both.second.value) - 0.002
    first = fpk.residual(
        apart, both.first.bias_bound + both.second.bias_bound, source=f"distance from N(0, {variance:g})"
    )
    return Evidence(first, zero_estimate(len(apart)), both.names, both.curves, both.panel)


SHIFTED = fpk.Gaussian(2.0, 0.9)
#: Times of β = 2 at which entropies are looked at; B = 2t.
ENTROPY_TIMES = (0.5, 1.0, 1.5, 2.0)


@lru_cache(maxsize=2)
def _entropies(size: Size) -> tuple[Array, Array]:
    """Logarithms of KL(p_t ‖ N(0, 1)) at t = 0 and :data:`ENTROPY_TIMES` on two grids."""
    problem = boxed(fpk.Linear(-1.0), 2**0.5, initial=SHIFTED, horizon=2.0)

    def on(cells: int) -> Array:
        grid = fpk.Grid(*BOX, cells=cells)
        solved = fpk.solve(problem, grid, times=[0.0, *ENTROPY_TIMES])
        logs = [
            np.log(np.maximum(p, 1e-300)) + 0.5 * grid.centers**2 + 0.5 * np.log(2 * np.pi) for p in solved.densities
        ]
        return np.log([float(p * q @ grid.widths) for p, q in zip(solved.densities, logs, strict=True)])

    cells = size.cells(160)
    return on(cells), on(cells // 2)


@study(
    "S0.T19",
    variants={
        "stated": (1.0, 1.0),
        "twice the rate": (1.0, 2.0),
        "the other way round": (-1.0, 1.0),
        "rate + 5 %": (1.0, 1.05),
    },
)
def entropy_decay(variant: tuple[float, float], case: str, size: Size, seed: int) -> Evidence:
    sign, rate = variant
    fine, coarse = _entropies(size)
    excess = sign * (fine[1:] - fine[0] + 2 * rate * np.array(ENTROPY_TIMES))
    bound = np.abs(fine - coarse)
    first = fpk.residual(excess, bound[1:] + bound[0], source="log KL(p_t) − log KL(p_0) + B, from grid densities")
    return Evidence(first, zero_estimate(len(excess)), tuple(f"B = {2 * t:g}" for t in ENTROPY_TIMES))


def _wasserstein(data: GaussianMixture, total: float) -> float:
    """W₂ of X/√B and N(0, 1) by their quantile functions, at Gauss–Legendre points of u = Φ(z)."""
    from scipy.stats import norm

    law = data.pushed(np.eye(1), np.zeros(1), np.full((1, 1), total))
    z, w = np.polynomial.hermite_e.hermegauss(60)
    z, w = z[np.abs(z) < 7], w[np.abs(z) < 7] / np.sqrt(2 * np.pi)
    x = z * total**0.5
    for _ in range(40):
        x = x - (law.cdf(x) - norm.cdf(z)) / np.exp(law.log_density(x[:, None]))
    return float(np.sqrt(w @ (x / total**0.5 - z) ** 2))


CENTRED = GaussianMixture(DATA.weights, DATA.means - DATA.mean, covariances=DATA.covariances)


@study(
    "S0.T20",
    variants={"stated": 0.0, "one order higher": 1.0, "half an order lower": -0.5},
    cases=("off-centre data", "centred data"),
)
def exploding_limit(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Orders in B^(−1/2), from B = 16 to 4,096."""
    data, order = (CENTRED, 2.0) if case == "centred data" else (DATA, 1.0)
    totals = 16.0 * 4.0 ** np.arange(5)
    return order_evidence(
        [_wasserstein(data, b) for b in totals], totals**-0.5, order + variant, floor=1e-11, source="W₂ to N(0, 1)"
    )


@study("S2.E18", variants={"stated": 1.0, "order 2": 2.0, "order ½": 0.5}, cases=("mean", "second moment"))
def chain_to_sde(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """β = .4 + 2t; moments of the data law through the chain by recursion, through the SDE by its integral B(1) = 1.4."""
    mean, second = float(DATA.mean[0]), float(DATA.covariance[0, 0] + DATA.mean[0] ** 2)

    def chain(steps: int) -> float:
        blur = (0.4 + 2 * np.arange(steps) / steps) / steps
        kept = np.prod(1 - blur)
        return float(mean * kept**0.5 if case == "mean" else 1 + (second - 1) * kept)

    truth = mean * np.exp(-0.7) if case == "mean" else 1 + (second - 1) * np.exp(-1.4)
    steps = 8 * 2 ** np.arange(6)
    return order_evidence(
        [chain(int(n)) - truth for n in steps], 1 / steps, variant, floor=1e-14, source=f"error of the {case}"
    )


# -- where the statements end ------------------------------------------------------------------------------------------------


@study("err:S0.T22", variants={"inside": (0.02, 0.5, 1.5, 4.0), "outside": (0.0, 40.0)})
def sub_vp_only_inside(variant: tuple[float, ...], case: str, size: Size, seed: int) -> Evidence:
    """Conditional variances of both SDEs by their moment equations; a margin of 1 % of the VP variance, and 1e-9, is asked for."""
    values = []
    for total in variant:
        at = [0.0, 0.0]
        for i, schedule in enumerate((fpk.VPSchedule(total), fpk.SubVPSchedule(total))):
            problem = fpk.Problem(fpk.Linear(schedule.drift_rate), schedule.diffusion, initial=fpk.Gaussian(0.0, 1e-9))
            at[i] = float(fpk.exact(problem, times=[1.0]).law(1.0).projected(np.ones(1)).covariance[0, 0])  # type: ignore[attr-defined]
        values.append(at[1] - 0.99 * at[0] + 1e-9)
    first = fpk.residual(np.array(values), 1e-10, source="sub-VP less .99 of the VP variance")
    return Evidence(first, zero_estimate(len(values)), tuple(f"B = {b:g}" for b in variant))


@study("err:S1.T3", variants={"inside": "-x", "outside": "x - x**3"})
def gaussian_marginals(variant: str, case: str, size: Size, seed: int) -> Evidence:
    """The law at t = 1.5 from N(0, .6²), σ = .7, against the Gaussian of the same mean and variance."""
    problem = boxed(variant, 0.7, initial=fpk.Gaussian(0.0, 0.6), horizon=1.5)
    solved = on_grid(problem, size, times=[1.5])
    finest = solved.levels[-1]
    x, mass = finest.grid.centers, finest.densities[0] * finest.grid.widths
    mean, second = float(mass @ x), float(mass @ x**2)
    fitted = constant_law(fpk.Gaussian(mean, (second - mean**2) ** 0.5), time=1.5, source="Gaussian of equal moments")
    return evidence(solved, fitted)
