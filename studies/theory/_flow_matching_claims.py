"""What is stated of flow maps, mixtures of conditional paths and the losses of flow matching."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED


def _controls(notes: dict[str, str]) -> tuple[dict[str, Outcome], dict[str, str]]:
    """The stated form and its controls, with their notes."""
    return {"stated": C} | dict.fromkeys(notes, R), notes


CLAIMS = (
    Claim(
        "S0.E42-44",
        "identity",
        "The flow map of a velocity, φ(x, 0) = x, takes the density p₀ to the solution of the continuity equation.",
        r"\partial_t\varphi(x,t)=v(\varphi(x,t),t),\;\varphi(x,0)=x,\;p_t=[\varphi_t]_*p_0\;\Rightarrow\;\partial_tp_t+\nabla\!\cdot(p_tv)=0",
        "Chen (2024), equations 42 to 44; Wei (2024), equations 61 to 64; LeTolguenec and Biquard, flows",
        *_controls(
            {
                "sign": "points follow −v",
                "v(x, 0)": "points follow the velocity of the start",
                "φ₀ = 0.9 id": "points start at 0.9 x",
                "v outside": "∂ₜp + v·∇p = 0",
                "∇·v alone": "∂ₜp + p ∇·v = 0",
                "v + 0.5 %": "points move 0.5 % too fast",
            }
        ),
        assumptions="v smooth, without points that run away. The equation is solved on a lattice, by spectral derivatives.",
    ),
    Claim(
        "S3.E6",
        "identity",
        "The law of the path is the mixture of the conditional laws over the data.",
        r"p_t(x)=\int p_t(x|x_1)\,q(x_1)\,dx_1",
        "LeTolguenec and Biquard, equation 6",
        *_controls(
            {
                "q dropped": "the plain average over the data points",
                "μ = x₁": "the mean does not move",
                "σ² for σ": "the noise has the standard deviation σ²",
                "kernel of the mean x₁": "the conditional law of the mean of the data",
                "σ + 0.5 %": "the noise is 0.5 % too large",
            }
        ),
    ),
    Claim(
        "S0.T5",
        "equality",
        "The mean of the conditional velocities over the data, given the place, carries the mixture of the conditional paths.",
        r"u_t(x)=\int u_t(x|x_1)\,\frac{p_t(x|x_1)q(x_1)}{p_t(x)}\,dx_1\;\Rightarrow\;\partial_tp_t+\nabla\!\cdot(p_tu_t)=0",
        "Chen (2024), theorem 5 and equations 45 to 47; Wei (2024), section on flow matching; LeTolguenec and Biquard, marginal velocity",
        *_controls(
            {
                "prior for posterior": "the mean over the data, wherever the place is",
                "likelihood alone": "as if all data points were equally likely",
                "root of the likelihood": "as if the noise had twice its variance",
                "½ extra": "half the velocity",
                "clock reversed": "the path is followed with its velocities in the reverse order",
                "velocity + 0.5 %": "the velocity is 0.5 % too large",
            }
        ),
        assumptions="σ_t > 0. One choice among many for d ≥ 2 (err:S0.E47). On the line by grids, in the plane by points that are moved.",
    ),
    Claim(
        "S1.E76-78",
        "identity",
        "The loss on conditional velocities has the gradient of the loss on the velocity of the mixture.",
        r"\nabla_\theta\,\mathbb E_{t,\,p_t(x)}\|v_\theta-u_t(x)\|^2=\nabla_\theta\,\mathbb E_{t,\,q(x_1),\,p_t(x|x_1)}\|v_\theta-u_t(x|x_1)\|^2",
        "Wei (2024), equations 76 to 78; LeTolguenec and Biquard, conditional flow matching; Lipman et al. (2023), theorem 2",
        *_controls(
            {
                "one x₁": "without the mean over the data",
                "norm not squared": "the mean of the norm",
                "another x₁": "the velocity towards a data point drawn anew",
                "sign of the target": "the conditional velocity turned round",
                "t for 1 − t": "the conditional velocity of the other end of the path",
                "target + 0.5 %": "the conditional velocity is 0.5 % too large",
            }
        ),
        assumptions="the field depends on its parameters in no linear way; on the line the velocity of the mixture is −∂ₜF/p.",
    ),
    Claim(
        "err:S1.E77",
        "identity",
        "Inconsistent as printed: the conditional loss is a mean over t and p_t(x|x₁), without the mean over the data x₁.",
        r"\text{printed: }\mathbb E_{t,\,p_t(x|x_1)}\qquad\text{corrected: }\mathbb E_{t,\,q(x_1),\,p_t(x|x_1)}",
        "Wei (2024), equation 77",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "one of two data points",
            "corrected": "the mean over both",
            "degenerate": "as printed, for data at one point",
        },
    ),
    Claim(
        "S3.L-CFM",
        "identity",
        "What best predicts x₁ − x₀ from the place between independent noise and data is the velocity of the mixture.",
        r"\arg\min_u\,\mathbb E\bigl\|u(tx_1+(1-t)x_0,t)-(x_1-x_0)\bigr\|^2=u_t",
        "LeTolguenec and Biquard, flow matching loss, corrected",
        *_controls(
            {
                "target x₀ − x₁": "the chord turned round",
                "target x₁": "the end of the chord",
                "target −x₀": "minus its beginning",
                "ends exchanged": "the place (1 − t)x₁ + t x₀",
                "target + 0.5 %": "the chord is 0.5 % too long",
            }
        ),
        assumptions="least squares over features that can say the answer: x and the probabilities of the data points.",
    ),
    Claim(
        "err:S3.L-CFM-a",
        "identity",
        "Misprint: a bracket too early makes the place a product of both ends.",
        r"\text{printed: }u_\theta\bigl((tx_1+(1-t))\cdot x_0,\,t\bigr)\qquad\text{corrected: }u_\theta\bigl(tx_1+(1-t)x_0,\,t\bigr)",
        "LeTolguenec and Biquard, flow matching loss",
        {"printed": R, "corrected": C},
        {"printed": "the place (t x₁ + (1 − t)) x₀", "corrected": "the place t x₁ + (1 − t) x₀"},
    ),
    Claim(
        "err:S3.L-CFM-b",
        "identity",
        "Misprint: without the square the loss asks for a median of the chords, and the flow brings too much mass to the larger of two data points.",
        r"\text{printed: }\mathbb E\|u_\theta-(x_1-x_0)\|\qquad\text{corrected: }\mathbb E\|u_\theta-(x_1-x_0)\|^2",
        "LeTolguenec and Biquard, flow matching loss",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the norm, data at −1 and 2 with the weights .35 and .65",
            "corrected": "the squared norm, the same data",
            "degenerate": "the norm, equal weights: by symmetry both get what they should",
        },
    ),
    Claim(
        "S3.P-TV",
        "identity",
        "The objective ∫|p_ψ − p| of a map ψ of the noise is twice the total variation between its image and the data; it vanishes for the map that takes the noise to the data.",
        r"\int|p_{\psi(X_0)}-p_{\mathrm{data}}|\,dx=2\sup_A|P(\psi(X_0)\in A)-P_{\mathrm{data}}(A)|=0\iff\psi_*p_0=p_{\mathrm{data}}",
        "LeTolguenec and Biquard, generative objective",
        *_controls(
            {
                "TV": "the total variation once",
                "4 TV": "four times the total variation",
                "twice Kolmogorov's distance": "events {X ≤ x} only",
                "mean and variance": "a map with the right mean and variance in the place of the right one",
                "2 TV + 1 %": "2.02 times the total variation",
            }
        ),
    ),
)

REMARKS = (
    Remark(
        "err:S1.E68-label",
        "The flow without noise is called the equation of DDPM; p_t is written q_t in two equations, and a root covers too much or too little in others.",
        "It is the flow that DDIM follows. The symbols mean what they mean in the lines before: nothing that is derived from them changes.",
        "Wei (2024), equations 29, 31, 39, 51 and 68",
    ),
    Remark(
        "err:S3.T-sim",
        "The learned flow is written dX = u_θ(X_t) dt.",
        "u_θ(X_t, t) dt is meant: the loss before it has t as an argument, and a velocity that does not change in time could not follow the path.",
        "LeTolguenec and Biquard, sampling with a flow",
    ),
)
