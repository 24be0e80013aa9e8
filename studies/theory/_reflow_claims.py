"""What is stated about rectified flows."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S3.RF1",
        "equality",
        "The rectified flow has at every time the law of the straight interpolation it was made from.",
        r"\dot Z=v(Z,t),\;v(x,t)=\mathbb E[X_1-X_0\,|\,X_t=x],\;X_t=(1-t)X_0+tX_1,\;Z_0=X_0\;\Rightarrow\;Z_t\sim X_t",
        "LeTolguenec and Biquard, rectified flow; Liu, Gong and Liu (2023), theorem 3.3",
        {
            "stated": C,
            "½ of the velocity": R,
            "clock reversed": R,
            "E[X₁ | X_t] − X_t": R,
            "velocity + 1 %": R,
        },
        {
            "½ of the velocity": "½v",
            "clock reversed": "v(x, 1 − t)",
            "E[X₁ | X_t] − X_t": "what is left of the way, not divided by 1 − t",
            "velocity + 1 %": "the velocity is 1 % too large",
        },
        assumptions="v has a unique flow. Ends that are independent, and ends that are turned against each other.",
    ),
    Claim(
        "err:S3.RFcoup",
        "identity",
        "Too much as printed: the flow does not keep the joint law of both ends, only the law of each.",
        r"\text{printed: }(Z_0,Z_1)\sim(X_0,X_1)\qquad\text{corrected: }Z_0\sim X_0,\;Z_1\sim X_1",
        "LeTolguenec and Biquard, rectified flow",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "independent ends: Cov(Z₁, Z₀) = 0",
            "corrected": "independent ends: Cov Z₁ = Cov X₁",
            "degenerate": "as printed, for X₁ = M X₀ with a symmetric positive M: the lines do not cross",
        },
    ),
    Claim(
        "S3.RF2",
        "bound",
        "S vanishes for straight lines at constant speed, and only there: π² times the mean squared departure from the chords is at most S.",
        r"S(Z)=\int_0^1\mathbb E|Z_1-Z_0-\dot Z_t|^2dt\;\ge\;\pi^2\int_0^1\mathbb E\bigl|Z_t-(1-t)Z_0-tZ_1\bigr|^2dt,\qquad S=0\Leftrightarrow Z_t=(1-t)Z_0+tZ_1",
        "LeTolguenec and Biquard, rectified flow; Liu, Gong and Liu (2023), equation 5",
        {
            "stated": C,
            "displacement dropped": R,
            "half of the displacement": R,
            "straight lines at any speed": R,
            "4π² for π²": R,
            "π² + 2 %": R,
        },
        {
            "displacement dropped": "∫E|Ż|²",
            "half of the displacement": "∫E|½(Z₁ − Z₀) − Ż|²",
            "straight lines at any speed": "S = 0 for straight lines along which the speed changes",
            "4π² for π²": "four times the departure",
            "π² + 2 %": "2 % more of it; the swinging paths are close to equality",
        },
    ),
    Claim(
        "S3.RF3",
        "identity",
        "Rectifying divides the cost: what X₀ → X₁ costs is what the new coupling costs, what the flow lacks in straightness, and the variance of the lines that cross.",
        r"\mathbb E|X_1-X_0|^2=\mathbb E|Z_1-Z_0|^2+S(Z)+V(X),\qquad V(X)=\int_0^1\mathbb E\bigl|X_1-X_0-v(X_t,t)\bigr|^2dt",
        "LeTolguenec and Biquard, rectified flow; Liu, Gong and Liu (2023), theorem 3.7 and its proof",
        {
            "stated": C,
            "S dropped": R,
            "V dropped": R,
            "cost of X for that of Z": R,
            "V twice": R,
            "V + 1 %": R,
        },
        {
            "S dropped": "as if the flow were straight",
            "V dropped": "as if no lines crossed",
            "cost of X for that of Z": "as if the cost stayed the same",
            "V twice": "2V",
            "V + 1 %": "the variance is 1 % too large",
        },
    ),
    Claim(
        "S3.RF4",
        "bound",
        "Among K repetitions one at least has S ≤ E|X₁ − X₀|²/K: all S together are at most the cost one starts with.",
        r"\min_{1\le k\le K}S(Z^k)\le\frac1K\sum_{k=1}^KS(Z^k)\le\frac{\mathbb E|X_1-X_0|^2}{K}",
        "LeTolguenec and Biquard, rectified flow; Liu, Gong and Liu (2023), theorem 3.7",
        {"stated": C, "E|X₁ − X₀|² / 20K": R, "V for E|X₁ − X₀|²": R, "bound − 5 %": R},
        {
            "E|X₁ − X₀|² / 20K": "a twentieth of the bound",
            "V for E|X₁ − X₀|²": "the variance of the crossing lines as a bound",
            "bound − 5 %": "95 % of the bound; ends that are nearly opposite come closer",
        },
        assumptions="Gaussian ends: from the second repetition on the paths are straight.",
    ),
    Claim(
        "err:S3.RFb",
        "bound",
        "Right as printed, with k from 0, but then nothing is said: the straight lines one starts with have S = 0. It is true from k = 1 on.",
        r"\min_{0\le k\le K}S(Z^k)\le\frac{\mathbb E|X_1-X_0|^2}{K}",
        "LeTolguenec and Biquard, rectified flow",
        {"printed": C, "from k = 1": C, "a twentieth, from k = 1": R, "bound − 5 %": R},
        {
            "printed": "k from 0, S(Z⁰) = 0",
            "from k = 1": "without the interpolation",
            "a twentieth, from k = 1": "a twentieth of the bound is below S(Z¹)",
            "bound − 5 %": "from k = 1, 95 % of the bound: ends that are nearly opposite come closer",
        },
    ),
    Claim(
        "S3.RF5",
        "identity",
        "On the line one step makes the increasing map between the laws, which is optimal, and the flow repeated from it runs along straight lines.",
        r"d=1:\qquad Z_1=F_1^{-1}(F_0(Z_0)),\qquad Z^2_t=(1-t)Z^2_0+tZ^2_1",
        "LeTolguenec and Biquard, rectified flow; Liu, Gong and Liu (2023), section 3.3",
        {"stated": C, "decreasing map": R, "the best linear map": R, "½ of the velocity": R, "velocity + 1 %": R},
        {
            "decreasing map": "the dearest coupling",
            "the best linear map": "E X₁ + std(X₁) x",
            "½ of the velocity": "½v",
            "velocity + 1 %": "the velocity is 1 % too large",
        },
    ),
    Claim(
        "S3.RF6",
        "bound",
        "In the plane the rectified coupling is cheaper than independence and still far from optimal: between N(0, diag(4, .05)) and the same law turned by one radian it costs more than 1.7 W₂².",
        r"1.7\,W_2^2<\mathbb E|Z_1-Z_0|^2<\mathbb E|X_1-X_0|^2,\qquad Z_1=\Phi Z_0,\;\Phi\ne\Phi^{\mathsf T}",
        "LeTolguenec and Biquard, rectified flow; Liu, Gong and Liu (2023), section 3.4",
        {"stated": C, "twice": R, "along one axis": R, "1.7 + 2 %": R},
        {
            "twice": "more than 2 W₂²",
            "along one axis": "the same for laws that are not turned: there the map is optimal",
            "1.7 + 2 %": "more than 1.734 W₂²",
        },
    ),
    Claim(
        "err:S3.RFot",
        "identity",
        "Only inside: the rectified coupling is an optimal transport on the line, not in the plane.",
        r"\mathbb E|Z_1-Z_0|^2=W_2^2\quad\text{only for } d=1\text{ (or where the map is a gradient)}",
        "LeTolguenec and Biquard, rectified flow",
        {"inside": C, "outside": R},
        {"inside": "a mixture and N(0, 1) on the line", "outside": "N(0, diag(4, .05)) and the same law turned"},
    ),
)

REMARKS = (
    Remark(
        "err:S3.RFs",
        "The slides propose to minimise the straightness S.",
        "S measures how far paths are from straight lines at constant speed: it is small for straight ones. Not straightness but its lack is minimised.",
        "LeTolguenec and Biquard, rectified flow",
    ),
)
