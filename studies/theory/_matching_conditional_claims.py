"""What is stated of scores of noised data and of scores given the data."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "S2.E3",
        "identity",
        "Noised data have a density, whatever the data: the mean of the noise's density over the data.",
        r"\hat X=\alpha X+\sigma Z \;\Rightarrow\; p_{\hat X}(\hat x)=\int p(\hat x|x)\,dP_X(x)",
        "Rakitin, equation 3",
        {
            "stated": C,
            "without p(x)": R,
            "α dropped": R,
            "arguments exchanged": R,
            "σ for σ²": R,
            "σ² + 1 %": R,
        },
        {
            "without p(x)": "the plain average over the points of the data",
            "α dropped": "noise around x in place of αx",
            "arguments exchanged": "the density of N(αx̂, σ²) at x",
            "σ for σ²": "noise of the variance σ",
            "σ² + 1 %": "the noise variance is 1 % too large",
        },
        assumptions="held against the product of characteristic functions, inverted; two points and Cantor's law have no density themselves.",
    ),
    Claim(
        "S0.E30",
        "identity",
        "The score of the noised law is the mean of the scores given the data, over what the data may have been.",
        r"\nabla\log p_t(x)=\mathbb E\bigl[\nabla_x\log p_{t|0}(x|X_0)\,\big|\,X_t=x\bigr]",
        "Chen (2024), equation 30; Rakitin, equation 4",
        {
            "stated": C,
            "prior for posterior": R,
            "not divided by p": R,
            "score sign": R,
            "½ extra": R,
            "score + 0.5 %": R,
        },
        {
            "prior for posterior": "the mean over the data law",
            "not divided by p": "the mean with the joint density as its weight: ∇p",
            "½ extra": "half the mean",
            "score + 0.5 %": "the conditional scores are 0.5 % too large",
        },
        assumptions="one case is not Gaussian: the noise depends on the state, and the score comes from a solution on a grid.",
    ),
    Claim(
        "S0.E31",
        "identity",
        "Means of functions of X₀ and X_t stay the same when X₀ is drawn anew from its law given X_t.",
        r"\mathbb E_{x_0}\,\mathbb E_{x_t|x_0}\,\mathbb E_{y\sim p_{0|t}(\cdot|x_t)}\,f(y,x_t)=\mathbb E_{x_0}\,\mathbb E_{x_t|x_0}\,f(x_0,x_t)",
        "Chen (2024), equation 31 (lemma 1)",
        {
            "stated": C,
            "y from the data": R,
            "y without the prior": R,
            "root of the likelihood": R,
            "the data's share + 2 %": R,
        },
        {
            "y from the data": "y is drawn from the data law, whatever X_t is",
            "y without the prior": "Bayes' rule with a uniform prior",
            "root of the likelihood": "as if the noise had twice its variance",
            "the data's share + 2 %": "2 % of the draws are from the data law",
        },
    ),
    Claim(
        "S0.E33",
        "identity",
        "For a Gaussian conditional law with mean e and variance V the conditional score is −(x − e)/V, itself normal with variance 1/V.",
        r"\nabla\log p_{t|0}(X_t|x_0)=-\frac{X_t-e(t)}{V(t)}\sim\mathcal N\bigl(0,\,V(t)^{-1}\bigr)",
        "Chen (2024), equation 33",
        {
            "stated": C,
            "score sign": R,
            "½ extra": R,
            "√V for V": R,
            "e dropped": R,
            "V for 1/V": R,
            "V + 0.5 %": R,
        },
        {
            "½ extra": "−(x − e)/(2V)",
            "√V for V": "−(x − e)/√V, of variance 1",
            "e dropped": "−x/V",
            "V for 1/V": "a score of variance V",
            "V + 0.5 %": "V is 0.5 % too large",
        },
        assumptions="linear drift, noise free of x; both change in time here, and the score is that of a density on a grid.",
    ),
    Claim(
        "S0.E34",
        "identity",
        "Matching the conditional score is predicting the noise ξ that was added, with ξ_θ = −√V s_θ and the weight 1/V.",
        r"\mathbb E\bigl\|s_\theta-\nabla\log p_{t|0}\bigr\|^2=\frac{1}{V(t)}\,\mathbb E\bigl\|\xi_\theta(e+\sqrt V\xi,t)-\xi\bigr\|^2,\qquad \xi_\theta=-\sqrt V\,s_\theta",
        "Chen (2024), equation 34",
        {
            "stated": C,
            "sign of ξ": R,
            "√V dropped": R,
            "V for √V": R,
            "1/V dropped": R,
            "1/√V for 1/V": R,
            "V + 0.5 %": R,
        },
        {
            "sign of ξ": "ξ_θ = +√V s_θ",
            "√V dropped": "ξ_θ = −s_θ",
            "V for √V": "ξ_θ = −V s_θ",
            "1/V dropped": "the loss of the noise without a weight",
            "1/√V for 1/V": "the weight 1/√V",
            "V + 0.5 %": "the weight is 1/(1.005 V)",
        },
    ),
    Claim(
        "S2.P-alpha",
        "identity",
        "The score of N(αx, σ²I) is (αx − x̂)/σ², and what best fits it over all pairs is the score of the mixture of these kernels.",
        r"\nabla_{\hat x}\log\mathcal N(\hat x|\alpha x,\sigma^2I)=\frac{\alpha x-\hat x}{\sigma^2},\qquad \arg\min_s\mathbb E\Bigl\|s(\hat X)-\frac{\alpha X-\hat X}{\sigma^2}\Bigr\|^2=\nabla\log\int p(x)\,\mathcal N(\cdot|\alpha x,\sigma^2I)\,dx",
        "Rakitin, section 2, after equation 6",
        {
            "stated": C,
            "score sign": R,
            "α dropped": R,
            "σ for σ²": R,
            "½ extra": R,
            "σ² + 0.5 %": R,
        },
        {
            "α dropped": "(x − x̂)/σ²",
            "σ for σ²": "(αx − x̂)/σ",
            "½ extra": "(αx − x̂)/(2σ²)",
            "σ² + 0.5 %": "σ² is 0.5 % too large",
        },
        assumptions="the regression is solved over features that can say the score: x and the probabilities of the points.",
    ),
    Claim(
        "err:S0.E46-line-3",
        "identity",
        "Misprint: in the third line the mixed flux is multiplied by p_t once more; the conditional densities have to be divided by p_t there.",
        r"\text{printed: }-\nabla\!\cdot\Bigl(\int v\,p_t(x|x_1)q(x_1)dx_1\;p_t\Bigr)\qquad\text{corrected: }-\nabla\!\cdot\Bigl(\int v\,\frac{p_t(x|x_1)q(x_1)}{p_t(x)}dx_1\;p_t\Bigr)",
        "Chen (2024), equation 46, third line",
        {"printed": R, "corrected": C},
        {"printed": "the flux times p_t", "corrected": "the flux itself"},
    ),
    Claim(
        "err:S0.E47",
        "identity",
        "Too much as printed: that the fluxes of two velocities have equal divergences makes the velocities equal on the line only.",
        r"\nabla\!\cdot(p_tu)=\nabla\!\cdot(p_tv)\;\Rightarrow\;u=v\quad(d=1)",
        "Chen (2024), equation 47",
        {"inside": C, "outside": R},
        {
            "inside": "on the line: −∂ₜF/p is the mean of the conditional velocities",
            "outside": "in the plane: the score, turned by 90°, may be added",
        },
        assumptions="d = 1 and fluxes that vanish far out.",
    ),
)

REMARKS = (
    Remark(
        "err:S2.E3",
        "The density of noised data is written with p_X(x) dx also where the data have no density.",
        "dP_X(x) is meant: the formula holds for every law, as S2.E3 checks on two points and on Cantor's law.",
        "Rakitin, equation 3",
    ),
    Remark(
        "err:S0.E42",
        "The flow map has the arguments (x, t), and its start is written φ(0, x) = x.",
        "φ(x, 0) = x is meant: the arguments are exchanged in one place.",
        "Chen (2024), equation 42",
    ),
)
