"""What is stated of diffusions as paths of flow matching."""

from __future__ import annotations

from fpk.study import Claim
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED


def _controls(notes: dict[str, str]) -> tuple[dict[str, Outcome], dict[str, str]]:
    """The stated form and its controls, with their notes."""
    return {"stated": C} | dict.fromkeys(notes, R), notes


CLAIMS = (
    Claim(
        "S1.T-70-75",
        "identity",
        "On the variance-preserving path the velocity of flow matching is that of the probability flow at 1 − t, turned round.",
        r"\mathbb E\Bigl[\frac{\dot\sigma_t}{\sigma_t}(x-\mu_t(X_1))+\dot\mu_t(X_1)\,\Big|\,x_t=x\Bigr]=-\bigl(f-\tfrac12g^2\,\nabla\log p\bigr)\Big|_{1-t}",
        "Wei (2024), equations 70 and 75",
        *_controls(
            {
                "same sign": "the probability flow as it is",
                "t for 1 − t": "the probability flow at t",
                "score sign": "f + ½g²∇log p",
                "½ missing": "f − g²∇log p",
                "score dropped": "f alone",
                "score + 0.5 %": "the score is 0.5 % too large",
            }
        ),
    ),
    Claim(
        "S3.E10-12",
        "equality",
        "A linear equation read with a clock k is a path α_t x₁ + σ_t Z: α and σ are the scale and the width of the equation at k(t).",
        r"\alpha_t=\tilde f(k(t)),\;\sigma_t=\tilde g(k(t)),\qquad\tilde f(r)=e^{\int_0^rf},\quad\tilde g(r)=\tilde f(r)\Bigl(\int_0^r\frac{g^2}{\tilde f^2}\Bigr)^{1/2}",
        "LeTolguenec and Biquard, equations 10 to 12",
        *_controls(
            {
                "t for k(t)": "the clock is forgotten",
                "½∫f": "α = exp(½∫f)",
                "f̃ dropped from g̃": "σ = (∫g²/f̃²)^½",
                "f̃ for f̃² below": "∫g²/f̃ under the root",
                "g for g²": "∫g/f̃² under the root",
                "σ + 0.5 %": "σ is 0.5 % too large",
            }
        ),
        assumptions="the drift is f(r)x (err:S3.E10).",
    ),
    Claim(
        "err:S3.E10",
        "identity",
        "Too much as printed: the law from one point is Gaussian for drifts f(r)x, not for any f(x, r).",
        r"dX=f(r)X\,dr+g(r)\,dW\;\Rightarrow\;X_r|X_0\sim\mathcal N(\tilde f(r)X_0,\tilde g(r)^2)",
        "LeTolguenec and Biquard, equation 10",
        {"inside": C, "outside": R, "x³ + 2 %": R},
        {
            "inside": "f = −(.2 + .5r)x: no skewness, no excess kurtosis",
            "outside": "the drift of a double well, 2x − 2x³",
            "x³ + 2 %": "f = −(.2 + .5r)x − .02x³",
        },
        assumptions="drift linear in x, noise free of x.",
    ),
    Claim(
        "S3.E13",
        "identity",
        "The velocity of flow matching is affine in the place and the score.",
        r"u_t(x)=\frac{\dot\alpha_t}{\alpha_t}x-\frac{\dot\sigma_t\sigma_t\alpha_t-\dot\alpha_t\sigma_t^2}{\alpha_t}\,\nabla\log p_t(x)",
        "LeTolguenec and Biquard, equation 13",
        *_controls(
            {
                "score sign": "plus the score's term",
                "not divided by α": "both terms without 1/α",
                "α̇σ² dropped": "−σ̇σ s",
                "σ for σ²": "σ̇σα − α̇σ",
                "½ missing": "twice the score's term",
                "score + 0.5 %": "the score is 0.5 % too large",
            }
        ),
        assumptions="α_t > 0.",
    ),
    Claim(
        "S3.E14-15",
        "equality",
        "Read with a clock k that runs from noise to data, the probability flow of an equation carries its laws: ẋ = k̇(f − ½g²s), f and g at k(t).",
        r"u_t(x)=\dot k(t)\Bigl[f(x,k(t))-\tfrac12g(k(t))^2\,\nabla\log p_t(x)\Bigr]",
        "LeTolguenec and Biquard, equations 14 and 15, corrected",
        *_controls(
            {
                "f and g at t": "the clock is forgotten in the coefficients",
                "k̇ dropped": "−[f − ½g²s]",
                "|k̇| for k̇": "the flow runs away from the data",
                "½ missing": "f − g²s",
                "score sign": "f + ½g²s",
                "g for g²": "f − ½g s",
                "score + 1 %": "the score is 1 % too large",
            }
        ),
        assumptions="f and g change in time and k̇ is not constant here: otherwise some of the controls could not be told from the claim.",
    ),
    Claim(
        "err:S3.E14-E15",
        "equality",
        "Misprint: the coefficients of the flow with a clock are printed at t, they belong at k(t).",
        r"\text{printed: }\dot k\bigl[f(x,t)-\tfrac12g(t)^2s\bigr]\qquad\text{corrected: }\dot k\bigl[f(x,k(t))-\tfrac12g(k(t))^2s\bigr]",
        "LeTolguenec and Biquard, equations 14 and 15",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "g(t), for g(r)² = 2r and k = 1.6(1 − t)²",
            "corrected": "g(k(t)), the same equation",
            "degenerate": "as printed, for an equation whose coefficients do not change in time",
        },
    ),
    Claim(
        "S3.E16",
        "equality",
        "With a falling clock the reverse equation has the drift k̇(f − g²s) and the noise √|k̇| g.",
        r"dX=\dot k(t)\bigl[f(X,k(t))-g(k(t))^2\,\nabla\log p_t(X)\bigr]dt+\sqrt{|\dot k(t)|}\,g(k(t))\,dW",
        "LeTolguenec and Biquard, equation 16, corrected",
        *_controls(
            {
                "k̇ for √|k̇|": "the noise |k̇|g",
                "½ extra on g²": "k̇(f − ½g²s) with the noise",
                "score sign": "k̇(f + g²s)",
                "f and g at t": "the clock is forgotten in the coefficients",
                "k̇ dropped from the drift": "−(f − g²s)",
                "noise² + 2 %": "the noise variance is 2 % too large",
                "score + 2 %": "the score is 2 % too large",
            }
        ),
        assumptions="k̇ < 0.",
    ),
    Claim(
        "err:S3.E16",
        "equality",
        "Misprint: the noise of the equation with a clock is printed as k̇g; time is scaled by |k̇|, noise by its root.",
        r"\text{printed: }\dot k\,g\,dW\qquad\text{corrected: }\sqrt{|\dot k|}\,g\,dW",
        "LeTolguenec and Biquard, equation 16",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the noise |k̇|g, k = 1.6(1 − t)²",
            "corrected": "the noise √|k̇| g, the same clock",
            "degenerate": "as printed, k = 1 − t",
        },
    ),
    Claim(
        "err:S3.E16d",
        "equality",
        "Too much as printed: the equation with a clock holds for clocks that fall; if k grows, the drift has to be k̇f.",
        r"\dot k<0:\;dX=\dot k(f-g^2s)\,dt+\sqrt{|\dot k|}\,g\,dW,\qquad\dot k>0:\;dX=\dot kf\,dt+\sqrt{\dot k}\,g\,dW",
        "LeTolguenec and Biquard, equation 16",
        {"inside": C, "outside": R, "k̇f": C},
        {
            "inside": "k falls from .6 to .1",
            "outside": "k grows from .1 to .3, with the same drift",
            "k̇f": "k grows from .1 to .3, with the drift k̇f",
        },
        assumptions="k̇ < 0.",
    ),
    Claim(
        "S3.T-sum",
        "equality",
        "The reverse equation and the flow of flow matching lead back through the same laws.",
        r"dY=(-f+g^2s)\,d\tau+g\,d\bar W\quad\text{and}\quad\dot x=\mathbb E[u_t(x|X_1)\,|\,x_t=x]:\qquad Y_\tau\sim x_{1-r},\;\tau=T-r",
        "LeTolguenec and Biquard, summary",
        *_controls(
            {
                "½ of the velocity": "the flow at half its speed",
                "score sign": "the reverse equation with −s",
                "½ extra on the score": "the reverse equation with ½g²s",
                "no noise": "the drift of the reverse equation without its noise",
                "velocity + 1 %": "the velocity is 1 % too large",
                "score + 2 %": "the score of the reverse equation is 2 % too large",
                "noise² + 2 %": "the noise variance of the reverse equation is 2 % too large",
            }
        ),
        assumptions="laws at one time; the joint laws at two times differ, as the flow has no noise.",
    ),
)
