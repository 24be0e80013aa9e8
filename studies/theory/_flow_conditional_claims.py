"""What is stated of conditional paths and their velocities."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

from ._flow_curves import SLIP_NOTES

C, R = Outcome.CONFIRMED, Outcome.REFUTED


def _with_slips(notes: dict[str, str]) -> tuple[dict[str, Outcome], dict[str, str]]:
    """Expected outcomes and notes of the slips all figures share, and of others."""
    merged = SLIP_NOTES | notes
    return {"stated": C} | dict.fromkeys(merged, R), merged


_EXPLODING = _with_slips({"not divided by σ": "σ̇ in the place of σ̇/σ"})
_PRESERVING = _with_slips({})
_OT_NOTES = {
    "sign": SLIP_NOTES["sign"],
    "½ extra": SLIP_NOTES["½ extra"],
    "σ_min above dropped": "x₁ − x above the line",
    "σ_min below dropped": "1 − t below the line",
    "not divided": "x₁ − (1 − σ_min)x alone",
    "velocity + 0.5 %": SLIP_NOTES["velocity + 0.5 %"],
}

CLAIMS = (
    Claim(
        "S1.E71-74",
        "identity",
        "The map φ_t(z) = σ_t z + μ_t takes noise with density p₀ to the density p₀((x − μ_t)/σ_t)/σ_tᵈ: for normal noise this is N(μ_t, σ_t² I).",
        r"\varphi_t(z|x_1)=\sigma_tz+\mu_t \;\Rightarrow\; p_t(x|x_1)=\sigma_t^{-d}\,p_0\Bigl(\frac{x-\mu_t}{\sigma_t}\Bigr)=\mathcal N(x|\mu_t,\sigma_t^2I)",
        "Wei (2024), equations 71 to 74",
        {
            "stated": C,
            "σ² for σ": R,
            "not divided by σᵈ": R,
            "μ dropped": R,
            "the map for its inverse": R,
            "σ + 0.5 %": R,
        },
        {
            "σ² for σ": "σ² in the place of σ, in the argument and below",
            "not divided by σᵈ": "without the determinant of the map",
            "μ dropped": "p₀(x/σ)/σᵈ",
            "the map for its inverse": "p₀(σx + μ) σᵈ",
            "σ + 0.5 %": "σ is 0.5 % too large in the density",
        },
    ),
    Claim(
        "err:S1.E74",
        "identity",
        "Right on the line only: the density of the mapped noise is printed divided by σ, in d dimensions it is divided by σᵈ.",
        r"\text{printed: }\frac{1}{\sigma_t}\,p_0\Bigl(\frac{x-\mu_t}{\sigma_t}\Bigr)\qquad\text{corrected: }\frac{1}{\sigma_t^d}\,p_0\Bigl(\frac{x-\mu_t}{\sigma_t}\Bigr)",
        "Wei (2024), equation 74",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "divided by σ, in the plane",
            "corrected": "divided by σ², in the plane",
            "degenerate": "divided by σ, on the line",
        },
    ),
    Claim(
        "err:S1.E72",
        "identity",
        "Too much as printed: conditional paths that end at N(x₁, σ_min² I) end in the data law blurred by that noise, not in the data law.",
        r"\text{printed: }p_1=q\qquad\text{corrected: }p_1=q*\mathcal N(0,\sigma_{\min}^2I)",
        "Wei (2024), equation 72",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the data law, σ_min = .3",
            "corrected": "the data law with noise of variance σ_min², σ_min = .3",
            "degenerate": "the data law, σ_min = 0",
        },
    ),
    Claim(
        "S1.E75",
        "identity",
        "The velocity that follows the map is (σ̇/σ)(x − μ) + μ̇.",
        r"u_t(x|x_1)=\frac{\dot\sigma_t}{\sigma_t}(x-\mu_t)+\dot\mu_t",
        "Wei (2024), equation 75",
        {
            "stated": C,
            "μ̇ dropped": R,
            "x for x − μ": R,
            "not divided by σ": R,
            "sign of σ̇": R,
            "σ̇ + 0.5 %": R,
            "μ̇ + 0.5 %": R,
        },
        {
            "μ̇ dropped": "(σ̇/σ)(x − μ)",
            "x for x − μ": "(σ̇/σ)x + μ̇",
            "not divided by σ": "σ̇(x − μ) + μ̇",
            "sign of σ̇": "−(σ̇/σ)(x − μ) + μ̇",
            "σ̇ + 0.5 %": "σ̇ is 0.5 % too large",
            "μ̇ + 0.5 %": "μ̇ is 0.5 % too large",
        },
        assumptions="σ_t > 0. Points that follow u are held against the map, also where μ is bent and not linear in x₁.",
    ),
    Claim(
        "S1.F16-17",
        "identity",
        "On the variance-exploding path N(x₁, σ²_{1−t} I) the conditional velocity is −(σ̇/σ)(x − x₁), σ and σ̇ at 1 − t.",
        r"u_t(x|x_1)=-\frac{\dot\sigma_{1-t}}{\sigma_{1-t}}(x-x_1)",
        "Wei (2024), figure: Lipman et al. (2023), equations 16 and 17",
        *_EXPLODING,
    ),
    Claim(
        "S1.F18-19",
        "identity",
        "On the variance-preserving path N(αx₁, (1 − α²)I), α at 1 − t, the conditional velocity is α′(αx − x₁)/(1 − α²), also when it is written with T = ∫β.",
        r"u_t(x|x_1)=\frac{\alpha'_{1-t}}{1-\alpha^2_{1-t}}(\alpha_{1-t}x-x_1)=-\frac{T'(1-t)}{2}\,\frac{e^{-T(1-t)}x-e^{-T(1-t)/2}x_1}{1-e^{-T(1-t)}}",
        "Wei (2024), figure: Lipman et al. (2023), equations 18 and 19",
        *_PRESERVING,
        assumptions="α_s = exp(−T(s)/2). Three forms, one case each: with α′, with T′, and with μ̇ and σ̇.",
    ),
    Claim(
        "S1.F20-21",
        "identity",
        "On the straight path with μ = tx₁ and σ = 1 − (1 − σ_min)t the conditional velocity is (x₁ − (1 − σ_min)x)/(1 − (1 − σ_min)t).",
        r"u_t(x|x_1)=\frac{x_1-(1-\sigma_{\min})x}{1-(1-\sigma_{\min})t}",
        "Wei (2024), figure: Lipman et al. (2023), equations 20 and 21",
        {"stated": C} | dict.fromkeys(_OT_NOTES, R),
        _OT_NOTES,
    ),
    Claim(
        "S1.F41",
        "identity",
        "Given the data point, the probability flow of the variance-preserving equation is ½T′((y − e^{−T/2}y₀)/(1 − e^{−T}) − y); run back it is the velocity of flow matching.",
        r"w_t(y|y_0)=\frac{T'(t)}{2}\Bigl(\frac{y-e^{-T(t)/2}y_0}{1-e^{-T(t)}}-y\Bigr),\qquad u_t(x|x_1)=-w_{1-t}(x|x_1)",
        "Wei (2024), figure: Lipman et al. (2023), equation 41",
        {
            "stated": C,
            "½ missing": R,
            "score sign": R,
            "drift dropped": R,
            "½T for T": R,
            "score + 0.5 %": R,
        },
        {
            "½ missing": "T′ in the place of ½T′",
            "drift dropped": "without −y",
            "½T for T": "the conditional score with half of T",
            "score + 0.5 %": "the conditional score is 0.5 % too large",
        },
        assumptions="held against a transition density on a grid: the flow keeps P(X ≤ y).",
    ),
    Claim(
        "S1.T-dir",
        "identity",
        "At one place the conditional velocities of the straight and the exploding path, and the exploding conditional score, keep their direction for all t; the preserving ones turn.",
        r"\frac{u_t(x|x_1)}{|u_t(x|x_1)|}=\frac{u_s(x|x_1)}{|u_s(x|x_1)|}\quad\text{(straight, VE)}",
        "Wei (2024), figure: Lipman et al. (2023), section 4.1 and figure 2",
        {"stated": C, "variance preserving": R, "sub-VP": R, "swing + 1 %": R},
        {
            "variance preserving": "the variance-preserving path in its place: α shrinks the data point, the score turns",
            "sub-VP": "the sub-VP path in its place",
            "swing + 1 %": "the mean swings by 1 % of the data point",
        },
        assumptions="d ≥ 2, x and x₁ not on one line through 0. Velocities and scores by differences of the maps and of log densities, and those of fpk's field.",
    ),
    Claim(
        "S3.P-path",
        "identity",
        "The velocity (x₁ − x)/(1 − t) takes N(0, I) through N(tx₁, (1 − t)² I) to the data point, each point at its constant velocity x₁ − x₀.",
        r"\dot x_t=\frac{x_1-x_t}{1-t}=x_1-x_0,\qquad p_t(\cdot|x_1)=\mathcal N(tx_1,(1-t)^2I),\quad p_0=\mathcal N(0,I),\;p_1=\delta_{x_1}",
        "LeTolguenec and Biquard, flow matching, conditional path",
        {
            "stated": C,
            "not divided by 1 − t": R,
            "sign": R,
            "mean x₁": R,
            "t for 1 − t": R,
            "1 − t for (1 − t)²": R,
            "velocity + 0.5 %": R,
        },
        {
            "not divided by 1 − t": "x₁ − x",
            "sign": SLIP_NOTES["sign"],
            "mean x₁": "N(x₁, (1 − t)² I)",
            "t for 1 − t": "N((1 − t)x₁, t² I)",
            "1 − t for (1 − t)²": "the variance 1 − t",
            "velocity + 0.5 %": SLIP_NOTES["velocity + 0.5 %"],
        },
        assumptions="t < 1; the end is looked at near t = 1.",
    ),
    Claim(
        "err:S1.F16-F18",
        "identity",
        "Inconsistent as printed: all conditional paths are said to begin in N(0, I), but the diffusion paths begin where the noising equation ends.",
        r"\text{printed: }p_0(x|x_1)=\mathcal N(0,I)\qquad\text{corrected: }\mathcal N(\alpha_1x_1,(1-\alpha_1^2)I)\text{ (VP)},\;\mathcal N(x_1,\sigma_1^2I)\text{ (VE)}",
        "Wei (2024), equations 72 and 73 and figure: Lipman et al. (2023), equations 16 and 18",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "N(0, 1)",
            "corrected": "the law of the noising equation at its end",
            "degenerate": "N(0, 1) after so much noise that α₁ is 10⁻¹³",
        },
    ),
)

REMARKS = (
    Remark(
        "err:S1.F16",
        "The exploding path is written p_t(x) = N(x | x₁, σ²_{1−t} I), without the data point on the left.",
        "p_t(x|x₁) is meant: p_t(x) itself is the mean over the data, whose variance is larger by that of the data.",
        "Wei (2024), figure: Lipman et al. (2023), equation 16",
    ),
    Remark(
        "err:S1.F20",
        "Mean and standard deviation of the straight path are written as functions of x.",
        "Functions of x₁ are meant, μ_t(x₁) and σ_t: the place does not enter.",
        "Wei (2024), figure: Lipman et al. (2023), equation 20",
    ),
    Remark(
        "err:S1.F41-SDE",
        "The noising equation before the conditional flow is written dy = −½T′y + √T′ dw, without dt.",
        "dy = −½T′y dt + √T′ dw is meant, as the flow derived from it shows (S1.F41).",
        "Wei (2024), figure: Lipman et al. (2023), before equation 41",
    ),
)
