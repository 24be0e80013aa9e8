"""What is stated about guidance by a classifier."""

from __future__ import annotations

from fpk.study import Claim
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S0.E35",
        "equality",
        "Bayes' rule holds for scores at every noise level: with the gradient of log p_t(y|x) added to the score, the reverse SDE and the flow return the data given y.",
        r"\nabla\log p_t(x|y)=\nabla\log p_t(y|x)+\nabla\log p_t(x)\;\Rightarrow\;X_0\sim p_0(x|y)",
        "Chen (2024), equation 35; Dhariwal and Nichol (2021)",
        {
            "stated": C,
            "no guidance": R,
            "gradient sign": R,
            "½ of the gradient": R,
            "classifier of clean data": R,
            "gradient + 5 %": R,
        },
        {
            "no guidance": "the score alone, from p_T(x|y)",
            "gradient sign": "−∇log p_t(y|x)",
            "½ of the gradient": "½∇log p_t(y|x)",
            "classifier of clean data": "∇log p_0(y|x) at every noise level",
            "gradient + 5 %": "the gradient is 5 % too large",
        },
        assumptions="p(y|x₀) = 1/(1 + e^{−2x₀}), two peaks, noise of preserved variance.",
    ),
    Claim(
        "S0.E36",
        "equality",
        "Guidance of strength S, started from p_T p_T(y|x)^S, samples p₀ p(y|x)^S w, where w is the mean of exp(−½S(S − 1)∫g²|∇log p_t(y|X_t)|²dt) over noising paths from x: neither the conditional law nor the tilted one.",
        r"s+S\,\nabla\log p_t(y|x):\qquad q_0(x)\propto p_0(x)\,p(y|x)^S\;\mathbb E\Bigl[e^{-\frac12S(S-1)\int_0^Tg^2|\nabla\log p_t(y|X_t)|^2dt}\Bigm|X_0=x\Bigr]",
        "Chen (2024), equation 36, and what it samples; Girsanov's formula",
        {
            "stated": C,
            "the conditional law": R,
            "the tilted law": R,
            "weight inverted": R,
            "½ missing in the weight": R,
            "weight + 5 %": R,
        },
        {
            "the conditional law": "p₀(x|y)",
            "the tilted law": "p₀ p(y|x)^S, w = 1",
            "weight inverted": "1/w",
            "½ missing in the weight": "S(S − 1) for ½S(S − 1)",
            "weight + 5 %": "the exponent is 5 % too large",
        },
        assumptions="S = 3; the exact score and the exact classifier at every noise level.",
    ),
    Claim(
        "err:S0.E36",
        "identity",
        "Wrong as printed for S ≠ 1: the score plus S times the classifier's gradient is that of p_t(x) p_t(y|x)^S, not the conditional score.",
        r"\text{printed: }\nabla\log p_t(x|y)=S\,\nabla\log p_t(y|x)+\nabla\log p_t(x)\qquad\text{corrected: }\nabla\log\bigl[p_t(x)\,p_t(y|x)^S\bigr]=\dots",
        "Chen (2024), equation 36",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the conditional score, S = 3",
            "corrected": "the score of p_t p_t(y|x)³",
            "degenerate": "the conditional score, S = 1",
        },
    ),
)
