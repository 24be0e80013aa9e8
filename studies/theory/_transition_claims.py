"""What is claimed about transition laws: the statements answered by the studies of :mod:`.transitions`."""

from __future__ import annotations

from fpk.study import Claim
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

PROCESS_NOTES = {
    "one throw for all": "every step uses the noise of the first",
    "memory + 2 %": "2 % of the paths are those of a process that repeats what was two steps ago",
}
FORWARD_CONTROLS = {
    "drift sign": R,
    "½ missing on g²": R,
    "Stratonovich": R,
    "g² outside": R,
    "g² + 1 %": R,
}
FORWARD_NOTES = {
    "drift sign": "+∂(fp)",
    "½ missing on g²": "∂²(g²p)",
    "Stratonovich": "½∂(g∂(gp)) for ½∂²(g²p)",
    "g² outside": "½g²∂²p",
    "g² + 1 %": "g² is 1 % too large",
}

CLAIMS = (
    Claim(
        "S4.E37",
        "identity",
        "The probability of a path of a Markov chain is that of its start times the probabilities of its steps.",
        r"P(x_0,\dots,x_n)=P(x_0)\prod_{k=0}^{n-1}P(x_{k+1}\mid x_k)",
        "GM (2023), equation 37",
        {
            "stated": C,
            "X₂ = X₀": R,
            "one throw for all": R,
            "states independent": R,
            "looking back": R,
            "memory + 2 %": R,
            "noise² + 10 %": R,
        },
        PROCESS_NOTES
        | {
            "X₂ = X₀": "a process with a memory: X₁ does not look at X₀, and from X₂ = X₀ on every state repeats the last but one",
            "states independent": "the product of the P(x_{k+1})",
            "looking back": "P(x_k | x_{k+1}) in the place of P(x_{k+1} | x_k)",
            "noise² + 10 %": "transitions with 10 % more variance than the particles'",
        },
        assumptions="X_{k+1} depends on the past through X_k and noise that is new in every step.",
    ),
    Claim(
        "S4.E38-41",
        "identity",
        "A Markov process gets from y to x through some place at any time between: the product of both transitions, summed over the place, does not depend on that time.",
        r"P(x;t|y;s)=\sum_z P(x;t|z;m)\,P(z;m|y;s),\qquad P(x;t|y;s)=\int P(x;t|z;m)\,P(z;m|y;s)\,dz",
        "GM (2023), equations 38 to 41",
        {
            "stated": C,
            "a memory": R,
            "one throw for all": R,
            "first leg unconditional": R,
            "second leg backwards": R,
            "second leg + 1 %": R,
            "memory + 2 %": R,
        },
        PROCESS_NOTES
        | {
            "a memory": "X_{k+2} = X_k; in continuous time a stationary Gaussian process with correlations exp(−τ²)",
            "first leg unconditional": "P(z; m) in the place of P(z; m | y; s)",
            "second leg backwards": "P(z; m | x; t) in the place of P(x; t | z; m)",
            "second leg + 1 %": "the second transition lasts 1 % too long",
            "memory + 2 %": "2 % of the paths have a memory; in continuous time, correlations exp(−τ^1.02) for exp(−τ)",
        },
        assumptions="Markov.",
    ),
    Claim(
        "S4.E42-51",
        "identity",
        "A transition density whose increments have mean f dt, variance g² dt and higher moments o(dt) satisfies the Fokker–Planck equation in its end.",
        r"\partial_tP=\sum_n\frac{(-1)^n}{n!}\partial_x^n(M_nP)=-\partial_x(fP)+\tfrac12\partial_x^2(g^2P),\qquad M_n=\lim_{h\to0}\tfrac1h\,\mathbb E[\Delta^n]=f,\,g^2,\,0,\,0,\dots",
        "GM (2023), equations 42 to 51",
        {"stated": C, **FORWARD_CONTROLS, "jumps": R},
        FORWARD_NOTES
        | {
            "jumps": "with jumps N(0, ½²) at the rate 1, their variance counted in g²: the fourth moment is of order dt"
        },
        assumptions="moments of order three and more vanish faster than dt (err:S4.T50).",
    ),
    Claim(
        "S4.E52-54",
        "identity",
        "Small independent increments with mean f dt and variance g² dt, of any law without heavy tails, add up to the diffusion with drift f and noise g.",
        r"\Delta x=f\,\Delta t+g\sqrt{\Delta t}\,\xi,\quad\mathbb E\xi=0,\ \mathbb E\xi^2=1\;\Rightarrow\;dx=f\,dt+g\,dw",
        "GM (2023), equations 52 to 54",
        {
            "stated": C,
            "drift sign": R,
            "½ missing on g²": R,
            "g h for g√h": R,
            "rare jumps": R,
            "no variance": R,
            "g² + 1 %": R,
        },
        {
            "drift sign": "the mean of an increment is −fΔt",
            "½ missing on g²": "its variance is 2g²Δt",
            "g h for g√h": "its standard deviation is gΔt",
            "rare jumps": "mean and variance as stated, from jumps ±½g at the rate 4: the law of ξ changes with Δt",
            "no variance": "Cauchy increments of the scale gΔt",
            "g² + 1 %": "its variance is 1 % too large",
        },
        assumptions="the law of ξ does not change with Δt and has a variance.",
    ),
    Claim(
        "S4.E55-56",
        "identity",
        "Averaged over the start the transition density becomes the marginal density, which satisfies the same equation.",
        r"p(x,t)=\int P(x;t|y;s)\,p(y,s)\,dy\;\Rightarrow\;\partial_tp=-\partial_x(fp)+\tfrac12\partial_x^2(g^2p)",
        "GM (2023), equations 55 and 56",
        {"stated": C, **FORWARD_CONTROLS},
        FORWARD_NOTES,
    ),
    Claim(
        "S4.E57-61",
        "identity",
        "In its start a transition density, and any expectation given the start, satisfies the backward equation, in which nothing is differentiated but the density itself.",
        r"-\partial_sP=f(y,s)\,\partial_yP+\tfrac12g^2(y,s)\,\partial_y^2P,\qquad u(y,s)=\mathbb E[\varphi(X_T)|X_s=y]",
        "GM (2023), equations 57 to 61",
        {"stated": C, "time sign": R, "drift sign": R, "½ missing on g²": R, "forward operator": R, "g² + 1 %": R},
        {
            "time sign": "+∂_sP",
            "drift sign": "−f∂_yP",
            "½ missing on g²": "g²∂²_yP",
            "forward operator": "−∂_y(fP) + ½∂²_y(g²P)",
            "g² + 1 %": "g² is 1 % too large",
        },
    ),
    Claim(
        "err:S4.E38-E39",
        "identity",
        "Misprint: the sum over the states at a time between is printed as a sum over the times.",
        r"\text{printed: }\sum_{k}P(x_n|x_k)P(x_k|x_0)\qquad\text{corrected: }\sum_{x_k}P(x_n|x_k)P(x_k|x_0),\ k\text{ fixed}",
        "GM (2023), equations 38 and 39",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "the sum over k = 1, 2, 3 of four steps",
            "corrected": "the sum over the states at k = 2",
            "degenerate": "as printed, two steps and a first step that leaves no choice: one time and one state",
        },
    ),
    Claim(
        "err:S4.E45",
        "identity",
        "Right as printed: with k = x − Δ the sign of dk = −dΔ and the swapped limits undo each other.",
        r"\int_{-\infty}^{\infty}P(x;t{+}h|k;t)\,P(k;t|y;s)\,dk=-\int_{\infty}^{-\infty}P(x;t{+}h|x{-}\Delta;t)\,P(x{-}\Delta;t|y;s)\,d\Delta",
        "GM (2023), equations 45 and 46",
        {"printed": C, "limits not swapped": R, "x + Δ in one factor": R, "Δ + 1 %": R},
        {
            "printed": "dk = −dΔ with Δ from ∞ to −∞",
            "limits not swapped": "dk = −dΔ with Δ from −∞ to ∞",
            "x + Δ in one factor": "k = x + Δ in the earlier transition only",
            "Δ + 1 %": "k = x − 1.01Δ, with dk = −dΔ",
        },
    ),
)
