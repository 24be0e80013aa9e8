"""The statements about Langevin dynamics."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S0.T1c",
        "equality",
        "Driven by the score of a fixed law, the Langevin SDE tends to that law from wherever it starts.",
        r"dX=\nabla\log p(X)\,dt+\sqrt2\,dW,\quad X_0\text{ anywhere} \;\Rightarrow\; X_t\to p",
        "Chen (2024), theorem 1",
        {"stated": C, "score of its own law": R, "½ in the drift": R, "√2 missing": R, "noise² + 2 %": R},
        {
            "score of its own law": "∇log p_t of X_t itself: nothing moves",
            "½ in the drift": "½∇log p",
            "√2 missing": "half the noise variance",
            "noise² + 2 %": "the noise variance is 2 % too large",
        },
        assumptions="p > 0 smooth, with tails that pull back.",
    ),
    Claim(
        "S0.T1s",
        "identity",
        "A Langevin step of finite length s does not keep N(0, V): it makes the variance V + s²/V, and chains of such steps settle at V/(1 − s/(2V)).",
        r"\mathrm{Var}\bigl(X-\tfrac sVX+\sqrt{2s}\,\xi\bigr)=V+\frac{s^2}{V},\qquad v_\infty=\frac{V}{1-s/(2V)}",
        "Chen (2024), theorem 1, with finite steps",
        {"stated": C, "invariant": R, "first order": R, "s/V for s/(2V)": R, "s + 1 %": R},
        {
            "invariant": "V and V",
            "first order": "V + s and V + s/2",
            "s/V for s/(2V)": "v∞ = V/(1 − s/V)",
            "s + 1 %": "s is 1 % too large in both",
        },
        assumptions="s < 2V.",
    ),
    Claim(
        "S2.GA",
        "identity",
        "Gradient ascent on log p ends in the maximum of p where there is one, and in that of the basin it starts in where there are several; near it a step leaves 1 − γλ of the distance.",
        r"x_{k+1}=x_k+\gamma\,\nabla\log p(x_k)\to\operatorname*{arg\,max}p,\qquad 0<\gamma<2/L,\ -\nabla^2\log p\in[\lambda,L]",
        "Rakitin, gradient ascent and Langevin dynamics",
        {"stated": C, "descent": R, "step 2.2/L": R, "mean for maximum": R, "maximum + 1 %": R},
        {
            "descent": "the gradient is subtracted",
            "step 2.2/L": "steps so long that the maximum repels",
            "mean for maximum": "the mean of the basin in the place of its maximum",
            "maximum + 1 %": "the maximum is 1 % further out",
        },
        assumptions="λ and L are the least and largest curvature of −log p at the maximum, which decide near it; the steps are γ = 1/(2L), and do not leave the basin.",
    ),
    Claim(
        "S2.E1",
        "order",
        "The unadjusted Langevin chain settles in a law that differs from p by O(γ) in W₁.",
        r"X_{k+1}=X_k+\gamma\,\nabla\log p(X_k)+\sqrt{2\gamma}\,\varepsilon_k\sim p^\gamma,\qquad W_1(p^\gamma,p)=O(\gamma)",
        "Rakitin, equation 1 and algorithm 1; LeTolguenec and Biquard, equation 1",
        {"stated": C, "order 2": R, "order ½": R, "√2 missing": R, "noise² + 5 %": R},
        {
            "order 2": "second order",
            "order ½": "order one half",
            "√2 missing": "noise √γ: another limit",
            "noise² + 5 %": "the noise variance is 5 % too large: another limit",
        },
        assumptions="a score that grows linearly at most. With that of the double well every chain leaves for good in the end, and there is no p^γ: "
        "the score is divided by 1 + γ|∇log p|, and the chart shows how many untamed chains have left.",
    ),
    Claim(
        "S2.T1s",
        "equality",
        "With an approximate score the Langevin SDE settles in the law whose score that is.",
        r"dX=s_\theta(X)\,dt+\sqrt2\,dW \;\Rightarrow\; X_t\to p_\theta,\quad \nabla\log p_\theta=s_\theta",
        "Rakitin, text after equation 1",
        {"stated": C, "law of the exact score": R, "twice the error": R, "error sign": R, "error + 5 %": R},
        {
            "law of the exact score": "p in the place of p_θ",
            "twice the error": "log p + 2∫(s_θ − s)",
            "error sign": "log p − ∫(s_θ − s)",
            "error + 5 %": "s_θ − s is 5 % too large in p_θ",
        },
        assumptions="d = 1, where every s_θ is a score.",
    ),
    Claim(
        "S3.N2",
        "identity",
        "Langevin dynamics forgets its start: every expectation tends to that under p* at an exponential rate, an eigenvalue of its generator.",
        r"\mathbb E\,\varphi(X_s)-\mathbb E_{p^*}\varphi\sim c\,e^{-\lambda s},\qquad \bigl(-\partial_x^2+\tfrac14U'^2-\tfrac12U''\bigr)\psi=\lambda\psi",
        "LeTolguenec and Biquard, Langevin dynamics LD(X₀, p*, s)",
        {"stated": C, "potential sign": R, "½ missing": R, "√2 missing": R, "rate + 0.1 %": R},
        {
            "potential sign": "+½U″ in the eigenvalue equation",
            "½ missing": "twice the eigenvalues",
            "√2 missing": "half the noise variance",
            "rate + 0.1 %": "eigenvalues 0.1 % too large",
        },
    ),
    Claim(
        "err:S0.T1a",
        "equality",
        "Printed with ∇log p_t, p_t the law of X_t itself: then every law is at rest and nothing converges; the score must be that of the fixed p.",
        r"\text{printed: }dX=\nabla\log p_t\,dt+\sqrt2\,dW\qquad\text{corrected: }dX=\nabla\log p\,dt+\sqrt2\,dW",
        "Chen (2024), theorem 1",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the score of the law itself, from far away",
            "corrected": "the score of p, from far away",
            "degenerate": "the score of the law itself, from p",
        },
    ),
    Claim(
        "err:S0.T1b",
        "identity",
        "Only as s → 0: the Langevin step leaves expectations as they are; for finite s the second moment of N(0, 1) grows.",
        r"X'=X+s\,\nabla\log p(X)+\sqrt{2s}\,\xi:\quad \frac{\mathbb E\varphi(X')-\mathbb E\varphi(X)}{s}=0\text{ only as }s\to0",
        "Chen (2024), theorem 1 and equation 1",
        {"inside": C, "outside": R},
        {"inside": "the limit s → 0", "outside": "s = .5"},
    ),
    Claim(
        "err:S0.E4",
        "identity",
        "Printed without E f(X) itself, and with only one of three terms of second order.",
        r"\text{printed: }\mathbb Ef(X')=\tfrac12\mathbb E[s^2f'']\,\tau^2\qquad\text{corrected: }\mathbb Ef(X')=\mathbb Ef(X)+\mathbb E\bigl[\tfrac12s^2f''+sf'''+\tfrac12f''''\bigr]\tau^2+O(\tau^3)",
        "Chen (2024), equation 4",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "one term, and no E f(X); f = x⁴ and sin x",
            "corrected": "all of them",
            "degenerate": "as printed, f = x² − E X²: the rest vanishes",
        },
    ),
    Claim(
        "err:S2.GA",
        "identity",
        "Only for short steps: gradient ascent reaches the maximum for γ < 2/L.",
        r"x_{k+1}=x_k+\gamma\,\nabla\log p(x_k)\to\operatorname*{arg\,max}p\ \text{ only for }\gamma<2/L",
        "Rakitin, gradient ascent and Langevin dynamics",
        {"inside": C, "outside": R},
        {"inside": "γ = 1.8/L", "outside": "γ = 2.2/L"},
    ),
)

REMARKS = (
    Remark(
        "err:S0.T1c",
        "Convergence to p is restated as its invariance: the chain converges, in other words it stays in p once it is there.",
        "The two are different statements, and only the second is what the proof shows. Both have claims of their own: that p is kept, and that it is reached "
        "from elsewhere.",
        "Chen (2024), theorem 1",
    ),
)
