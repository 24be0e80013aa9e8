"""What is printed wrong, or not as it is meant, about discrete chains and their posteriors."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

ERRATA = (
    Claim(
        "err:S1.E42",
        "identity",
        "Printed of the marginal p(x_t): the score of p(x_t|x₀), which depends on x₀. The score of the marginal is its mean given x_t.",
        r"\text{printed: }\nabla\log p(x_t)=-\frac{x_t-\sqrt{\bar\alpha}\,x_0}{1-\bar\alpha}\qquad\text{corrected: }\mathbb E\Bigl[-\frac{x_t-\sqrt{\bar\alpha}\,x_0}{1-\bar\alpha}\Big|x_t\Bigr]",
        "Wei (2024), equation 42",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the score given x₀ = 0.8, data of two peaks",
            "corrected": "its mean over x₀ given x_t",
            "degenerate": "as printed, all data at x₀",
        },
    ),
    Claim(
        "err:S1.E43",
        "identity",
        "Misprint: the conditional score is printed with 2(1 − ᾱ) in the denominator; its second form is right.",
        r"\text{printed: }-\frac{x-\sqrt{\bar\alpha}\,x_0}{2(1-\bar\alpha)}\qquad\text{corrected: }-\frac{x-\sqrt{\bar\alpha}\,x_0}{1-\bar\alpha}",
        "Wei (2024), equation 43",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "2(1 − ᾱ)",
            "corrected": "1 − ᾱ",
            "degenerate": "as printed, where x = √ᾱ x₀ and the score vanishes",
        },
    ),
    Claim(
        "err:S1.E46-col-2",
        "identity",
        "Misprint: in the second form of g² ᾱ stands without its root.",
        r"\text{printed: }2\bar\alpha\sqrt{1-\bar\alpha}\,\frac{d}{dt}\frac{\sqrt{1-\bar\alpha}}{\sqrt{\bar\alpha}}\qquad\text{corrected: }2\sqrt{\bar\alpha}\sqrt{1-\bar\alpha}\,\frac{d}{dt}\frac{\sqrt{1-\bar\alpha}}{\sqrt{\bar\alpha}}",
        "Wei (2024), equation 46, second column",
        {"printed": R, "corrected": C, "degenerate": C},
        {"printed": "2ᾱ ...", "corrected": "2√ᾱ ...", "degenerate": "as printed, t → 0, where ᾱ = 1"},
    ),
    Claim(
        "err:S1.E47",
        "identity",
        "Printed of p(x_t|x_{t+1}): the posterior that is given x₀ too. Without x₀ it is wider, and no normal law.",
        r"\text{printed: }p(x_t|x_{t+1})\qquad\text{corrected: }p(x_t|x_{t+1},x_0)",
        "Wei (2024), equations 47, 50, 54 and 55",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "mean and variance given x_{t+1} alone, data of two peaks",
            "corrected": "given x_{t+1} and x₀",
            "degenerate": "as printed, all data at x₀",
        },
    ),
    Claim(
        "err:S1.E49",
        "identity",
        "Misprint: the score enters the linear coefficient of the completed square with the wrong sign and divided by Δt.",
        r"\text{printed: }-\frac{f\bar S}{\sigma^2}-\frac{\bar S}{\sigma^2\Delta t}\qquad\text{corrected: }+(1+f\Delta t)\frac{\bar S}{\sigma^2},\qquad \bar S=\tfrac12(g^2-\sigma^2)\,\nabla\log p",
        "Wei (2024), equation 49",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the sign and Δt as printed, the score frozen as there",
            "corrected": "+(1 + fΔt)S̄/σ², the score frozen",
            "degenerate": "as printed, σ = g, where S̄ = 0",
        },
    ),
    Claim(
        "err:S1.E48-50",
        "identity",
        "Not allowed as printed: the square is completed in x_t with a score that is taken for constant, but depends on x_t.",
        r"\text{printed: }1+f\Delta\qquad\text{corrected: }1+f\Delta+\frac{(g^2-\sigma^2)\Delta}{2(1-\bar\alpha)}",
        "Wei (2024), equations 48 to 50",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the score frozen at x_{t+Δ}, σ² = 0.4 g²",
            "corrected": "the score linear in x_t",
            "degenerate": "as printed, σ = g, without a score",
        },
    ),
    Claim(
        "err:S1.E54-text",
        "identity",
        "Inconsistent with equation 40: the ratio ᾱ_{t+1}/ᾱ_t is called α_t.",
        r"\text{printed: }\bar\alpha_{t+1}/\bar\alpha_t=\alpha_t\qquad\text{corrected: }\bar\alpha_{t+1}/\bar\alpha_t=\alpha_{t+1}",
        "Wei (2024), text of equation 54",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "α_t, steps of different size",
            "corrected": "α_{t+1}",
            "degenerate": "as printed, steps of one size",
        },
    ),
    Claim(
        "err:S1.E55",
        "identity",
        "Misprint: both terms of the posterior's mean are divided by 1 − α_{t+1} where 1 − ᾱ_{t+1} belongs.",
        r"\text{printed: }\frac{\dots}{1-\alpha_{t+1}}\qquad\text{corrected: }\frac{\sqrt{\bar\alpha_t}(1-\alpha_{t+1})\,x_0+\sqrt{\alpha_{t+1}}(1-\bar\alpha_t)\,x_{t+1}}{1-\bar\alpha_{t+1}}",
        "Wei (2024), equation 55",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "1 − α_{t+1}",
            "corrected": "1 − ᾱ_{t+1}",
            "degenerate": "as printed, of the first step (t → 0), where both are the same",
        },
    ),
    Claim(
        "err:S1.E55-line-2",
        "identity",
        "Misprint: the exponent of the normal density is printed with a plus sign.",
        r"\text{printed: }\exp\Bigl(+\frac{(\dots)^2}{2v}\Bigr)\qquad\text{corrected: }\exp\Bigl(-\frac{(\dots)^2}{2v}\Bigr)",
        "Wei (2024), equation 55, second line",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "plus, one standard deviation from the mean",
            "corrected": "minus",
            "degenerate": "as printed, at the mean",
        },
    ),
    Claim(
        "err:S2.E8-formula",
        "identity",
        "Inconsistent with the chain before it: the product for α_t is printed over s = 1 ... t; the steps to t are 0 ... t − 1.",
        r"\text{printed: }\alpha_t=\sqrt{\prod_{s=1}^{t}(1-\beta_s)}\qquad\text{corrected: }\alpha_t=\sqrt{\prod_{s=0}^{t-1}(1-\beta_s)}",
        "Rakitin, equation 8",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "s = 1 ... t, steps of different size",
            "corrected": "s = 0 ... t − 1",
            "degenerate": "as printed, steps of one size",
        },
    ),
)

REMARKS = (
    Remark(
        "err:S1.E53",
        "The noise at x_{t+1} is written ε(x_{t+1}, t).",
        "ε(x_{t+1}, t + 1) is meant: the model reads the time of its position.",
        "Wei (2024), equation 53",
    ),
    Remark(
        "err:S1.E54",
        "A denominator is missing, σ_{t+Δ} stands for ᾱ_{t+Δ}, and 1/ᾱ_t − 1/ᾱ_t should have two different times.",
        "Slips of the typesetting; the posterior that follows from Bayes' rule is that of S1.E54-55.",
        "Wei (2024), equation 54",
    ),
)
