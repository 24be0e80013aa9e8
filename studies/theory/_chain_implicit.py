"""What is stated about implicit steps, the flow behind them, and what they share with ancestral ones."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S1.E56-58",
        "identity",
        "In the coordinates x/λ and μ/λ the probability flow is driven by the mean noise alone: it carries every quantile of the law at one time to the same quantile at another, and in any dimension it is the flow of f − ½g²∇log p.",
        r"d\Bigl(\frac{x_t}{\lambda_t}\Bigr)=\varepsilon(x_t,t)\,d\Bigl(\frac{\mu_t}{\lambda_t}\Bigr),\qquad \varepsilon(x,t)=-\mu_t\,\nabla\log p_t(x)",
        "Wei (2024), equations 56 to 58",
        {"stated": C, "sign of ε": R, "score for ε": R, "½ extra": R, "dμ for d(μ/λ)": R, "ε + 0.2 %": R},
        {
            "sign of ε": "ε = +μ∇log p",
            "score for ε": "−∇log p, without μ",
            "½ extra": "half of it",
            "dμ for d(μ/λ)": "the noise's deviation, not over λ",
            "ε + 0.2 %": "the mean noise is 0.2 % too large",
        },
    ),
    Claim(
        "S1.E59-60",
        "order",
        "The implicit step is of first order in the number of steps, down to the data as well as up from them; one step of any length has an error like the variance of the data about a point, and none for a point.",
        r"x'=\lambda'\Bigl(\frac x\lambda+\varepsilon(x,t)\Bigl(\frac{\mu'}{\lambda'}-\frac\mu\lambda\Bigr)\Bigr):\qquad |x_N-x|=O(N^{-1}),\quad |x_1-x|=O(s^2)",
        "Wei (2024), equations 59 and 60",
        {
            "stated": C,
            "one order higher": R,
            "one order lower": R,
            "scale of x kept": R,
            "½ extra on ε": R,
            "ε + 0.2 %": R,
        },
        {
            "one order higher": "O(N⁻²), O(s³)",
            "one order lower": "no convergence, O(s)",
            "scale of x kept": "x in the place of xλ′/λ",
            "½ extra on ε": "half of it",
            "ε + 0.2 %": "the mean noise is 0.2 % too large, in the single step",
        },
        assumptions="ε(x, t) read where the step begins; the exact model of two peaks, or of a normal law of deviation s.",
    ),
    Claim(
        "S1.E60inv",
        "identity",
        "The steps down and up undo each other exactly if both use one ε; read anew at each place, only as the steps tend to 0.",
        r"x'=\lambda'\Bigl(\frac x\lambda+\varepsilon\Bigl(\frac{\mu'}{\lambda'}-\frac\mu\lambda\Bigr)\Bigr)\iff x=\lambda\Bigl(\frac{x'}{\lambda'}+\varepsilon\Bigl(\frac\mu\lambda-\frac{\mu'}{\lambda'}\Bigr)\Bigr)",
        "Wei (2024), equations 59 and 60",
        {"stated": C, "sign of ε": R, "scale of x kept": R, "read anew, one step": R, "ε + 0.2 %": R},
        {
            "sign of ε": "the way up with −ε",
            "scale of x kept": "x′ in the place of x′λ/λ′, on the way up",
            "read anew, one step": "a single step of finite length, with ε read where it begins, down and up",
            "ε + 0.2 %": "ε is 0.2 % larger on the way up",
        },
    ),
    Claim(
        "S1.T55",
        "identity",
        "DDPM, DDIM and all between them have the laws of the path in continuous time, and given x₀ at finite steps too; with E[x₀|x] in its place their variances differ by a constant over N.",
        r"\eta\in[0,1]:\quad p_N^\eta\to p,\qquad p^\eta(x_t|x_0)=\mathcal N(\sqrt{\bar\alpha_t}\,x_0,1-\bar\alpha_t),\qquad N\,(V_N^{1}-V_N^{0})\to c",
        "Wei (2024), text of equation 55",
        {
            "stated": C,
            "ε kept whole": R,
            "noise dropped": R,
            "s² + 1 %": R,
            "no difference": R,
            "DDIM exact": R,
            "c + 1 %": R,
        },
        {
            "ε kept whole": "μ′ in front of ε, whatever noise is drawn",
            "noise dropped": "nothing drawn",
            "s² + 1 %": "what is drawn is 1 % too large in variance",
            "no difference": "c = 0",
            "DDIM exact": "c from the error of DDPM alone",
            "c + 1 %": "the constant is 1 % too large",
        },
        assumptions="Normal data for the constant; equal steps of log(μ/λ).",
    ),
    Claim(
        "err:S1.T55",
        "identity",
        "Not as printed: with the mean of x₀ for x₀, DDPM and DDIM have different laws after finitely many steps; they have one law in the limit of many, and given x₀.",
        r"\text{printed: }p^{\mathrm{DDPM}}_N=p^{\mathrm{DDIM}}_N\qquad\text{corrected: }\lim_{N\to\infty}\bigl(p^{\mathrm{DDPM}}_N-p^{\mathrm{DDIM}}_N\bigr)=0",
        "Wei (2024), text of equation 55",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "one law after five steps, data N(2, ¼) and two peaks",
            "corrected": "equal as the steps tend to 0",
            "degenerate": "as printed, given x₀",
        },
    ),
)

REMARKS = (
    Remark(
        "err:S1.E60",
        "The denoising rule reads ε(x_t, t) at the position that it is to find.",
        "As printed the rule is implicit, the inverse of the step up; ε(x_{t+1}, t + 1) is meant. Both are of first order (S1.E59-60: down, and up).",
        "Wei (2024), equation 60",
    ),
)
