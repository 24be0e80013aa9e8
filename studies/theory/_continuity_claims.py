"""What is stated about densities that are carried along, about fluxes, and about the uniqueness of solutions."""

from __future__ import annotations

from fpk.study import Claim
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CONTINUITY = (
    Claim(
        "S2.E20-21",
        "identity",
        "Moving points by hf takes the density p_X to one that is smaller by h∇·(fp), up to second order in h.",
        r"p_X=p_\varphi+h\,\nabla\cdot(f\,p_\varphi)+o(h),\qquad \varphi=x+hf(x)",
        "Rakitin, equations 20 and 21",
        {"stated": C, "sign": R, "div f dropped": R, "gradient dropped": R, "½ extra": R, "f + 1 %": R},
        {
            "sign": "−h∇·(fp)",
            "div f dropped": "hf·∇p",
            "gradient dropped": "hp∇·f",
            "½ extra": "½h∇·(fp)",
            "f + 1 %": "f is 1 % too large",
        },
        assumptions="f and p smooth, h small enough for the map to be invertible.",
    ),
    Claim(
        "S2.P-det",
        "identity",
        "The step x + hf changes volumes by h times the divergence of f, up to second order in h.",
        r"\det(I+h\,\partial f)=1+h\,\nabla\cdot f+O(h^2)",
        "Rakitin, derivation of equation 21",
        {"stated": C, "sign": R, "all entries": R, "det ∂f": R, "f + 1 %": R},
        {
            "sign": "1 − h∇·f",
            "all entries": "the sum over all entries of ∂f",
            "det ∂f": "1 + h det ∂f",
            "f + 1 %": "f is 1 % too large",
        },
    ),
    Claim(
        "S2.E22",
        "identity",
        "A density carried by an ordinary differential equation solves the continuity equation.",
        r"\dot X=v(X,t) \;\Rightarrow\; \partial_tp=-\nabla\cdot(v\,p)",
        "Rakitin, equation 22; Chen (2024), equations 41 and 44; Wei (2024), equations 67 and 69; GM (2023), equation 94",
        {"stated": C, "sign": R, "v outside": R, "div v alone": R, "½ extra": R, "v + 1 %": R},
        {
            "sign": "+∇·(vp)",
            "v outside": "−v·∇p",
            "div v alone": "−p∇·v",
            "½ extra": "half of it",
            "v + 1 %": "v is 1 % too large",
        },
    ),
    Claim(
        "S2.P-CL",
        "identity",
        "The mass between two places changes by what flows in at the one and out at the other: the integral form of ∂u/∂t = −∂F/∂x.",
        r"\int_a^bu(x,t_2)\,dx-\int_a^bu(x,t_1)\,dx=\int_{t_1}^{t_2}\bigl(F(a,t)-F(b,t)\bigr)dt",
        "Rakitin, conservation laws",
        {"stated": C, "outwards": R, "both inwards": R, "lower end only": R, "½ extra": R, "F + 1 %": R},
        {
            "outwards": "F(b) − F(a)",
            "both inwards": "F(a) + F(b)",
            "lower end only": "F(a)",
            "½ extra": "half of it",
            "F + 1 %": "the flux is 1 % too large",
        },
    ),
    Claim(
        "S2.P-F",
        "identity",
        "The flux is fp without noise and fp − ½g²∂p with it: noise carries mass from high to low density.",
        r"F=fp-\tfrac12g^2\,\partial_xp",
        "Rakitin, fluxes of the continuity and of the Fokker–Planck equation",
        {
            "stated": C,
            "½ missing": R,
            "towards high density": R,
            "noise dropped": R,
            "drift sign": R,
            "f + 1 %": R,
            "g² + 1 %": R,
        },
        {
            "½ missing": "fp − g²∂p",
            "towards high density": "fp + ½g²∂p",
            "noise dropped": "fp, with noise",
            "drift sign": "−fp − ½g²∂p",
            "f + 1 %": "the drift is 1 % too large",
            "g² + 1 %": "g² is 1 % too large",
        },
        assumptions="g independent of the state.",
    ),
    Claim(
        "S2.E24-25",
        "equality",
        "The Fokker–Planck equation has one solution from given data, and it is the law of the SDE.",
        r"dX=f\,dt+g\,dW,\ X_0\sim p_0 \;\Longleftrightarrow\; \partial_tp=-\partial_x(fp)+\tfrac12\partial_x^2(g^2p),\ p(\cdot,0)=p_0",
        "Rakitin, equations 24 and 25",
        {
            "stated": C,
            "½ missing on g²": R,
            "drift sign": R,
            "Stratonovich": R,
            "g² + 1 %": R,
            "g² + 5 %": R,
        },
        {
            "½ missing on g²": "the noise variance is doubled",
            "drift sign": "−f",
            "Stratonovich": "½g∂g is added to f",
            "g² + 1 %": "g² is 1 % too large, scheme of sixth order",
            "g² + 5 %": "g² is 5 % too large, positive scheme",
        },
        assumptions="f and g smooth and of linear growth; the process is the image of a linear one.",
    ),
    Claim(
        "err:S2.E24-25",
        "identity",
        "Only inside: with drifts of faster growth mass is lost to infinity in finite time (f = x³), or comes from there without any data (f = −x³).",
        r"f=x^3:\ \int p(x,2)\,dx<1;\qquad f=-x^3:\ \delta_{1/\sqrt{2t}}\text{ solves }\partial_tp=-\partial_x(fp),\ p(\cdot,0)=0",
        "Rakitin, equations 24 and 25",
        {"inside": C, "outside": R},
        {
            "inside": "f = x − x³ keeps its mass, f = −x lets none in",
            "outside": "f = x³ loses mass, f = −x³ lets some in",
        },
    ),
)
