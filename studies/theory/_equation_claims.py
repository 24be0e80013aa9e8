"""What is stated about the Fokker–Planck equation, and about the ways in which the sources arrive at it."""

from __future__ import annotations

from fpk.study import Claim
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED
SIGN = {"drift sign": "+∇·(fp)", "½ missing": "∂∂(Mp) without its ½"}

EQUATIONS = (
    Claim(
        "S0.E37-38",
        "equality",
        "The density of an SDE with correlated noises solves the Fokker–Planck equation whose diffusion tensor is ½GQGᵀ, inside both derivatives.",
        r"\partial_tp=-\nabla\cdot(fp)+\tfrac12\sum_{ij}\partial_i\partial_j\bigl((GQG^{\mathsf T})_{ij}\,p\bigr)",
        "Chen (2024), equations 37 and 38, theorem 4",
        {
            "stated": C,
            "½ missing": R,
            "Q dropped": R,
            "G transposed": R,
            "tensor between the derivatives": R,
            "GQGᵀ + 1 %": R,
        },
        {
            "½ missing": "twice the tensor",
            "Q dropped": "GGᵀ",
            "G transposed": "GᵀQG",
            "tensor between the derivatives": "½∇·(M∇p)",
            "GQGᵀ + 1 %": "the tensor is 1 % too large",
        },
        assumptions="f and G smooth; the process is the image of a linear one, so that its law follows from its paths.",
    ),
    Claim(
        "S0.E39-40",
        "identity",
        "The equation is a divergence: of fp − ½∇·(Mp) in general, of (f − ½M∇log p)p where M depends on time only.",
        r"\partial_tp=-\nabla\cdot\bigl(fp-\tfrac12\nabla\cdot(Mp)\bigr),\qquad M=M(t):\ \partial_tp=-\nabla\cdot\bigl((f-\tfrac12M\nabla\log p)\,p\bigr)",
        "Chen (2024), equations 39 and 40",
        {
            "stated": C,
            "½ missing": R,
            "noise sign": R,
            "cross terms dropped": R,
            "M outside the divergence": R,
            "M + 1 %": R,
        },
        {
            "½ missing": "M in the place of ½M",
            "noise sign": "+½ in the place of −½",
            "cross terms dropped": "only the diagonal of M",
            "M outside the divergence": "½M∇p in the place of ½∇·(Mp), for M(x)",
            "M + 1 %": "M is 1 % too large",
        },
    ),
    Claim(
        "err:S0.E38-40",
        "identity",
        "Right as printed: the form with the score, which the source states for M(t); for M(x) it lacks ½∇·M.",
        r"\partial_tp=-\nabla\cdot\bigl((f-\tfrac12M\nabla\log p)\,p\bigr)",
        "Chen (2024), equations 38 to 40",
        {"printed": C, "M(x)": R, "M + 1 %": R},
        {"printed": "M(t)", "M(x)": "the same form where M depends on the state", "M + 1 %": "M(t), 1 % too large"},
    ),
    Claim(
        "S4.E30-33",
        "identity",
        "Expectations of test functions change by E[fφ′ + ½σ²g²φ″]; two integrations by parts turn that into the equation of the density.",
        r"\tfrac{d}{dt}\mathbb E\varphi(X)=\mathbb E\bigl[f\varphi'+\tfrac12\sigma^2g^2\varphi''\bigr]=\int\varphi\,\bigl(-(pf)'+\tfrac12\sigma^2(pg^2)''\bigr)dx",
        "GM (2023), equations 30 to 33",
        {
            "stated": C,
            "½ missing": R,
            "drift sign": R,
            "g for g²": R,
            "σ for σ²": R,
            "g² outside": R,
            "σ² + 1 %": R,
        },
        {
            "½ missing": "σ²g²",
            "drift sign": "−fφ′, +(pf)′",
            "g for g²": "½σ²g",
            "σ for σ²": "½σg²",
            "g² outside": "½σ²g²p″ in the place of ½σ²(pg²)″",
            "σ² + 1 %": "σ² is 1 % too large",
        },
        assumptions="dX = f dt + σg dW; p and its derivatives vanish at infinity.",
    ),
    Claim(
        "S1.E17-21",
        "identity",
        "Mollified δ functions give back density, flux and its divergence: E δ(x−X) = p, E f(X)δ(x−X) = fp, E f(X)∇δ(x−X) = ∇(fp), up to the square of their width.",
        r"p(x)=\mathbb E\,\delta(x-X),\quad (pf)(x)=\mathbb E[f\,\delta(x-X)],\quad \nabla(pf)(x)=\mathbb E[f\,\nabla_x\delta(x-X)]",
        "Wei (2024), equations 17 to 21",
        {"stated": C, "gradient by X": R, "f outside": R, "½ extra": R, "f + 1 %": R},
        {
            "gradient by X": "−∇(pf)",
            "f outside": "f∇p in the place of ∇(pf)",
            "½ extra": "half of each",
            "f + 1 %": "f is 1 % too large",
        },
    ),
    Claim(
        "S1.E22-24",
        "identity",
        "Expanding δ(x − X) over one step gives the Fokker–Planck equation for noise that depends on time only.",
        r"\mathbb E\,\frac{\delta(x-X_{t+dt})-\delta(x-X_t)}{dt}\to-\nabla(f p_t)+\tfrac12\sigma_t^2\,\nabla^2p_t",
        "Wei (2024), equations 22 to 24, corrected",
        {"stated": C, "dt² for dt": R, "fσ for fp": R, "½ missing": R, "drift sign": R, "σ² + 1 %": R},
        SIGN
        | {
            "dt² for dt": "the noise enters at dt², which leaves nothing of it",
            "fσ for fp": "−∇(fσ)",
            "σ² + 1 %": "σ² is 1 % too large",
        },
        assumptions="σ independent of the state.",
    ),
    Claim(
        "err:S1.E23-lines-2-3",
        "identity",
        "Misprint: the noise is printed with dt², so that the variance would not grow.",
        r"\text{printed: } \tfrac12\sigma^2dt^2\,\nabla^2p \qquad \text{corrected: } \tfrac12\sigma^2dt\,\nabla^2p",
        "Wei (2024), equation 23, lines 2 and 3",
        {"printed": R, "corrected": C, "degenerate": C},
        {"printed": "dt², σ = 1.5", "corrected": "dt, σ = 1.5", "degenerate": "dt² without noise"},
    ),
    Claim(
        "err:S1.E23-last",
        "identity",
        "Misprint: the drift term is printed as the gradient of fσ in the place of fp.",
        r"\text{printed: } -\nabla(f\sigma_t)\,dt \qquad \text{corrected: } -\nabla(f p_t)\,dt",
        "Wei (2024), equation 23, last line",
        {"printed": R, "corrected": C, "degenerate": C},
        {"printed": "fσ", "corrected": "fp", "degenerate": "fσ without drift"},
    ),
    Claim(
        "err:S1.E18",
        "identity",
        "Misprint: the Taylor polynomial of a mollified δ about ξ is printed in powers of ξ in the place of x − ξ.",
        r"\text{printed: } \delta(\xi)+\delta'(\xi)\,\xi+\tfrac12\delta''(\xi)\,\xi^2 \qquad \text{corrected: } \delta(\xi)+\delta'(\xi)(x-\xi)+\tfrac12\delta''(\xi)(x-\xi)^2",
        "Wei (2024), equation 18",
        {"printed": R, "corrected": C, "degenerate": C},
        {"printed": "powers of ξ", "corrected": "powers of x − ξ", "degenerate": "powers of ξ at x = 2ξ"},
    ),
    Claim(
        "S3.E7",
        "identity",
        "The Fokker–Planck equation with ½ΣΣ∂ᵢ∂ⱼ((σσᵀ)ᵢⱼp), for noise that depends on the state, on time, or is absent.",
        r"\partial_tp=-\nabla\cdot(fp)+\tfrac12\sum_{ij}\partial_i\partial_j\bigl((\sigma\sigma^{\mathsf T})_{ij}\,p\bigr)",
        "LeTolguenec and Biquard, equation 7, corrected",
        {
            "stated": C,
            "½ missing": R,
            "drift sign": R,
            "σᵀσ": R,
            "cross terms dropped": R,
            "σσᵀ + 1 %": R,
            "drift + 1 %": R,
        },
        SIGN
        | {
            "σᵀσ": "transposed",
            "cross terms dropped": "only the diagonal of σσᵀ",
            "σσᵀ + 1 %": "the tensor is 1 % too large",
            "drift + 1 %": "the drift is 1 % too large",
        },
    ),
    Claim(
        "err:S3.E7",
        "identity",
        "Misprint: the diffusion is printed with σ in the place of σσᵀ and with the same derivative twice, summed over both indices.",
        r"\text{printed: } \tfrac12\sum_{ij}\partial_j\partial_j(\sigma p) \qquad \text{corrected: } \tfrac12\sum_{ij}\partial_i\partial_j\bigl((\sigma\sigma^{\mathsf T})_{ij}\,p\bigr)",
        "LeTolguenec and Biquard, equation 7",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "σ = 2 in one dimension, σ = 3 in two",
            "corrected": "the same",
            "degenerate": "as printed, with σ = d: dσ = σ²",
        },
    ),
)
