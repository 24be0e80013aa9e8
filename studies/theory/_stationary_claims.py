"""The statements about laws at rest."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S0.E3",
        "identity",
        "Integrated by parts against p, the gradient of a test function meets the score as its Laplacian with a minus sign.",
        r"\mathbb E\bigl[\nabla\varphi\cdot\nabla\log p\bigr]=-\mathbb E\bigl[\Delta\varphi\bigr]",
        "Chen (2024), equation 3",
        {
            "stated": C,
            "sign": R,
            "½ extra": R,
            "all second derivatives": R,
            "density with an edge": R,
            "score + 0.1 %": R,
        },
        {
            "sign": "+E Δφ",
            "½ extra": "½E Δφ",
            "all second derivatives": "the sum of all ∂ᵢ∂ⱼφ in the place of the trace",
            "density with an edge": "p cut off at .5, where p∇φ does not vanish",
            "score + 0.1 %": "the score is 0.1 % too large",
        },
        assumptions="p∇φ → 0 at the boundary and at infinity.",
    ),
    Claim(
        "S0.E5",
        "identity",
        "The density of a Gaussian has the logarithm, the gradient −N Σ⁻¹(x − μ) and the score −Σ⁻¹(x − μ).",
        r"\log\mathcal N=-\tfrac12(x-\mu)^{\mathsf T}\Sigma^{-1}(x-\mu)-\tfrac12\log\det2\pi\Sigma,\quad \nabla\mathcal N=-\mathcal N\,\Sigma^{-1}(x-\mu),\quad \nabla\log\mathcal N=-\Sigma^{-1}(x-\mu)",
        "Chen (2024), equation 5, third line corrected",
        {
            "stated": C,
            "gradient sign": R,
            "½ kept": R,
            "Σ for its inverse": R,
            "det Σ dropped": R,
            "Σ + 0.1 %": R,
        },
        {
            "gradient sign": "+Σ⁻¹(x − μ)",
            "½ kept": "−½Σ⁻¹(x − μ)",
            "Σ for its inverse": "−Σ(x − μ)",
            "det Σ dropped": "normalised as if det Σ = 1",
            "Σ + 0.1 %": "Σ is 0.1 % too large in the score",
        },
    ),
    Claim(
        "S2.E19",
        "equality",
        "The Langevin SDE may run at any clock β(t) ≥ 0: it keeps p, and its Euler step of length h is the Langevin step of γ = hβ/2.",
        r"dX=\tfrac12\beta(t)\,\nabla\log p(X)\,dt+\sqrt{\beta(t)}\,dW \;\Rightarrow\; X_t\sim p,\qquad \gamma=\tfrac12h\beta",
        "Rakitin, equation 19",
        {"stated": C, "½ missing": R, "β for its root": R, "score sign": R, "noise² + 1 %": R},
        {
            "½ missing": "the drift β∇log p",
            "β for its root": "the noise β",
            "score sign": "the drift −½β∇log p",
            "noise² + 1 %": "the noise variance is 1 % too large",
        },
    ),
    Claim(
        "S2.T19",
        "identity",
        "The variance-preserving SDE is the Langevin SDE of N(0, I): both have the generator ½β p⁻¹∇·(p∇φ).",
        r"-\tfrac12\beta x\cdot\nabla\varphi+\tfrac12\beta\,\Delta\varphi=\tfrac12\beta\,\frac1p\nabla\cdot(p\nabla\varphi),\qquad p=\mathcal N(0,I)",
        "Rakitin, text after equation 19",
        {"stated": C, "½ missing": R, "score sign": R, "N(0, 2)": R, "sub-VP": R, "variance + 0.1 %": R},
        {
            "½ missing": "β in the place of ½β",
            "score sign": "the score of 1/p",
            "N(0, 2)": "the Langevin SDE of N(0, 2I)",
            "sub-VP": "the sub-VP SDE, whose noise is weaker than its drift",
            "variance + 0.1 %": "the Langevin SDE of N(0, 1.001 I)",
        },
    ),
    Claim(
        "S3.N1",
        "identity",
        "If a process with bbᵀ = 2I is at rest in p* and no flux is left, its drift is the score of p*; on the line, with walls or tails, none can be left.",
        r"bb^{\mathsf T}=2I,\quad a\,p^*-\nabla p^*=0 \;\Rightarrow\; a=\nabla\log p^*",
        "LeTolguenec and Biquard, Langevin dynamics",
        {"stated": C, "a flux is left": R, "bbᵀ = I": R, "½ extra": R, "score sign": R, "noise² + 1 %": R},
        {
            "a flux is left": "at rest, but turning: a force round a ring, a rotation in the plane",
            "bbᵀ = I": "half the noise variance",
            "½ extra": "a = ½∇log p*",
            "score sign": "a = −∇log p*",
            "noise² + 1 %": "bbᵀ = 2.02 I",
        },
        assumptions="no flux at rest.",
    ),
    Claim(
        "S4.E34",
        "equality",
        "p is at rest exactly where (pf)′ = ½σ²(pg²)″: up to a constant flux f is ½σ²(pg²)′/p, and a process with that drift stays in p.",
        r"(pf)'=\tfrac12\sigma^2(pg^2)'' \iff f=\tfrac12\sigma^2\,\frac{(pg^2)'}{p}+\frac{J}{p},\ J'=0",
        "GM (2023), equation 34",
        {
            "stated": C,
            "½ missing": R,
            "σ for σ²": R,
            "g for g²": R,
            "g² outside": R,
            "a flux that varies": R,
            "noise² + 1 %": R,
        },
        {
            "½ missing": "f = σ²(pg²)′/p",
            "σ for σ²": "f = ½σ(pg²)′/p",
            "g for g²": "f = ½σ²(pg)′/p",
            "g² outside": "f = ½σ²g²p′/p",
            "a flux that varies": "J = .4(1 + .3 cos x)",
            "noise² + 1 %": "the noise variance is 1 % too large",
        },
        assumptions="noise of variance σ² dt; on the line J = 0, round the ring J = .4.",
    ),
    Claim(
        "S3.P-OU",
        "identity",
        "The Ornstein–Uhlenbeck process, the Langevin process and gradient descent with small noisy steps are instances of dX = f dt + σ dW.",
        r"f=-\theta(x-m);\qquad f=\nabla\log p,\ \sigma=\sqrt2;\qquad f=-\nabla L,\ \sigma=\sqrt{\eta}\,\varsigma",
        "LeTolguenec and Biquard, examples of stochastic differential equations",
        {"stated": C, "drift sign": R, "½ extra in the drift": R, "σ for σ²": R, "σ² + 1 %": R},
        {
            "drift sign": "−f",
            "½ extra in the drift": "½f",
            "σ for σ²": "a noise variance 1.25 times as large, .8 in the place of .8²",
            "σ² + 1 %": "the noise variance is 1 % too large",
        },
        assumptions="moments: of OU in closed form, of Langevin those of p, of descent for a quadratic L as the steps η tend to 0.",
    ),
    Claim(
        "err:S0.R1",
        "identity",
        "Only where no flux is left and g does not depend on x: at rest the drift is ½g²∇log p.",
        r"\partial_tp=0 \;\Rightarrow\; f=\tfrac12g^2\,\nabla\log p\;\bigl[+\tfrac12\nabla\cdot(gg^{\mathsf T})+J/p,\ \nabla\cdot J=0\bigr]",
        "Chen (2024), remark 1",
        {"inside": C, "outside": R},
        {
            "inside": "a gradient in the plane; a noise independent of x on the line",
            "outside": "a rotation added; g² = 1 + x²/2",
        },
    ),
    Claim(
        "err:S3.N1",
        "equality",
        "Printed with a(s) and b(s), functions of time alone: then no law on the line is at rest; the drift must depend on x.",
        r"\text{printed: }dX=a(s)\,ds+b(s)\,dW\qquad\text{corrected: }dX=a(X,s)\,ds+b(X,s)\,dW",
        "LeTolguenec and Biquard, Langevin dynamics",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "a drift of time alone",
            "corrected": "a = ∇log p*",
            "degenerate": "a drift of time alone round a ring, where the uniform law is at rest",
        },
    ),
)

REMARKS = (
    Remark(
        "err:S3.N1b",
        "The Langevin SDE is printed as ∇log p* + √2 dW.",
        "The drift lacks its dt. Without it the equation has no meaning, so nothing is confirmed or refuted; everything that follows reads it with dt.",
        "LeTolguenec and Biquard, Langevin dynamics",
    ),
)
