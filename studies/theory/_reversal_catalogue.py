"""What is stated about the reverse SDE, and which outcome every variant must have."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S0.E24",
        "identity",
        "The noise of the reverse SDE, read off the forward path, has increments that are uncorrelated with every function of the present and the future, and not with the past.",
        r"g\,(\bar W_{t-h}-\bar W_t)=X_{t-h}-X_t+\int_{t-h}^t(f-g^2\,\nabla\log p_r)(X_r)\,dr:\qquad \mathbb E\bigl[(\bar W_{t-h}-\bar W_t)\,\psi(X_t,X_u)\bigr]=0,\quad u\ge t",
        "Chen (2024), equation 24",
        {
            "stated": C,
            "forward noise": R,
            "past for present": R,
            "½ extra on g²": R,
            "score sign": R,
            "score + 0.5 %": R,
        },
        {
            "forward noise": "f in the place of f − g²∇log p: the increments of W",
            "past for present": "functions of X_{t−h} and X_u",
            "½ extra on g²": "f − ½g²∇log p",
            "score sign": "f + g²∇log p",
            "score + 0.5 %": "the score is 0.5 % too large",
        },
        assumptions="g constant; h = .2, no limit is taken.",
    ),
    Claim(
        "S0.E25",
        "order",
        "Euler–Maruyama steps of the reverse SDE return the data with an error of first order in the step.",
        r"X_{t-h}=X_t-h\,f+h\,g^2\,\nabla\log p_t(X_t)+\sqrt h\,g\,\xi:\qquad |\mathbb E\varphi(X_0^h)-\mathbb E\varphi(X_0)|=O(h)",
        "Chen (2024), equations 25 and 28; Rakitin, Euler–Maruyama scheme",
        {"stated": C, "order 2": R, "order ½": R, "½ extra on g²": R, "½ missing on g²": R, "score − 2 %": R},
        {
            "order 2": "second order",
            "order ½": "order one half",
            "½ extra on g²": "½g²∇log p: no convergence",
            "½ missing on g²": "twice the noise variance: no convergence",
            "score − 2 %": "the score is 2 % too small: no convergence",
        },
        assumptions="started from the law at T; no convergence shows as order 0.",
    ),
    Claim(
        "S0.A1",
        "bound",
        "What the sampling algorithm returns is at most as far from the data, in total variation, as N(0, 1) is from the law at T, plus a term for the error of score and steps.",
        r"\mathrm{TV}(\hat p_0,p_0)\le\mathrm{TV}(\mathcal N(0,1),p_T)+\sqrt{\tfrac12\mathrm{KL}},\qquad \mathrm{KL}=\tfrac12\int_0^T\mathbb E\,\frac{|b-\hat b|^2}{g^2}\,dt",
        "Chen (2024), algorithm 1",
        {"stated": C, "N(0, 1) is enough": R, "score and steps free": R, "W₂ for TV": R, "first term − 3 %": R},
        {
            "N(0, 1) is enough": "without the first term",
            "score and steps free": "without the second term",
            "W₂ for TV": "Wasserstein distances of start and result: the reverse SDE can drive laws apart in them",
            "first term − 3 %": "97 % of the first term; over short times hardly anything is gained",
        },
        assumptions="b̂ is the drift in use, with the wrong score, held over each step.",
    ),
    Claim(
        "S1.E14",
        "equality",
        "Run with dt < 0, the SDE with the drift f − σ²∇log p returns along the law of the forward process, at single times and at pairs of times.",
        r"dX=(f-\sigma^2\,\nabla\log p_t)\,dt+\sigma\,dW,\quad dt<0:\qquad (Y_{T-t},Y_{T-s})\sim(X_t,X_s)",
        "Wei (2024), equation 14",
        {"stated": C, "score sign": R, "½ extra on σ²": R, "½σ for σ": R, "score at τ for T − τ": R, "score + 1 %": R},
        {
            "score sign": "f + σ²∇log p",
            "½ extra on σ²": "f − ½σ²∇log p",
            "½σ for σ": "noise ½σ with the drift f − ⅝σ²∇log p: right at single times",
            "score at τ for T − τ": "the score is read in the wrong time",
            "score + 1 %": "the score is 1 % too large",
        },
        assumptions="σ independent of x.",
    ),
    Claim(
        "S1.E30-32",
        "identity",
        "Posed as a question, and true: whatever its noise σ(t), the reverse family has the marginals of the forward process, taken backwards.",
        r"\partial_\tau q=-\partial_x\bigl(\bigl(-f+\tfrac12(g^2+\sigma^2)\,\partial_x\log q\bigr)q\bigr)+\tfrac12\sigma^2\,\partial_x^2q,\qquad q_\tau=p_{T-\tau},\ \text{for every }\sigma",
        "Wei (2024), equations 30 to 32",
        {"stated": C, "score sign": R, "σ² not in the drift": R, "g² − σ²": R, "score + 0.1 %": R},
        {
            "score sign": "−f − ½(g² + σ²)∂log q",
            "σ² not in the drift": "−f + ½g²∂log q",
            "g² − σ²": "−f + ½(g² − σ²)∂log q",
            "score + 0.1 %": "the score is 0.1 % too large",
        },
    ),
    Claim(
        "err:S0.A1",
        "equality",
        "Only for long times: the algorithm starts from N(0, 1) in the place of the law at T.",
        r"Y_0\sim\mathcal N(0,1)\;\Rightarrow\;Y_T\sim p_0\ \text{ only as } B(T)\to\infty",
        "Chen (2024), algorithm 1",
        {"inside": C, "corrected": C, "B = 1": R, "B = 3": R, "outside": R},
        {
            "inside": "from N(0, 1), B = 28",
            "corrected": "from the law at T, B = 1",
            "B = 1": "from N(0, 1), B = 1",
            "B = 3": "from N(0, 1), B = 3",
            "outside": "from N(0, 1), B = 6",
        },
        assumptions="data N(2, ¼), B = ∫β.",
    ),
    Claim(
        "err:S0.A1-VE",
        "equality",
        "Only for variance-preserving SDEs: the variance-exploding one does not come near N(0, 1), and even from N(0, B) it returns too little variance.",
        r"\text{printed: } Y_0\sim\mathcal N(0,1)\qquad\text{corrected: } Y_0\sim p_T=p_0*\mathcal N(0,B)",
        "Chen (2024), algorithm 1 and remark 2",
        {"printed": R, "N(0, B)": R, "corrected": C, "degenerate": C},
        {
            "printed": "VE with B = 16, from N(0, 1)",
            "N(0, B)": "VE with B = 16, from N(0, 16)",
            "corrected": "VE with B = 16, from the law at T",
            "degenerate": "VP with B = 28, from N(0, 1)",
        },
        assumptions="data N(0, 9).",
    ),
    Claim(
        "err:S1.E13-E14-E16",
        "equality",
        "Right as printed, for dt < 0 and noise that runs backwards: read with dt > 0 the same equations lead away from the law.",
        r"dX=\bigl(f-\tfrac12(g^2+\sigma^2)\,\nabla\log p_t\bigr)dt+\sigma\,dW,\qquad dt<0",
        "Wei (2024), equations 13, 14 and 16",
        {"printed": C, "read forwards": R, "score + 1 %": R},
        {
            "printed": "dt < 0, from the law at T",
            "read forwards": "dt > 0, from the data",
            "score + 1 %": "the score is 1 % too large",
        },
    ),
    Claim(
        "err:S1.E32",
        "identity",
        "Only on the line and in the limit: the difference quotient of p along a step is its gradient.",
        r"\nabla p=\frac{p_t(x_{t+dt})-p_t(x_t)}{x_{t+dt}-x_t}\ \text{ for } d=1,\ dx\to0",
        "Wei (2024), equation 32",
        {"inside": C, "outside": R, "in the plane": R},
        {
            "inside": "d = 1, dx → 0",
            "outside": "d = 1, dx = .1",
            "in the plane": "d = 2, dx → 0 along one direction, the quotient times that direction",
        },
    ),
)

REMARKS = (
    Remark(
        "err:S0.E24",
        "The increments of the reverse noise over [t − s, t] are said to be independent of W̄ at t.",
        "True of any Brownian motion, and too weak to define this one: they are independent of all that is later, {X_u, u ≥ t}, as S0.E24 checks.",
        "Chen (2024), equation 24",
    ),
    Remark(
        "err:S4.T68",
        "The change of direction is written as dw → −ds.",
        "ds → −ds is meant: time is turned round, not the noise; equation 68 itself is right.",
        "GM (2023), text at equation 68",
    ),
)
