"""What is stated about the lines of the field of charges: forward, backward, from a hemisphere and from a plane."""

from __future__ import annotations

from fpk.study import Claim, Remark
from fpk.verdict import Outcome

C, R = Outcome.CONFIRMED, Outcome.REFUTED

FLOWS = (
    Claim(
        "S4.E93-94",
        "identity",
        "Particles that follow the static field carry their density by the continuity equation, where there are charges and where there are none.",
        r"\dot x=E(x) \;\Rightarrow\; \partial_tp=-\nabla\cdot(E\,p)",
        "GM (2023), equations 93 and 94",
        {"stated": C, "sign": R, "E outside": R, "div E alone": R, "½ extra": R, "E + 1 %": R},
        {
            "sign": "+∇·(Ep)",
            "E outside": "−E·∇p, which is the same where there are no charges",
            "div E alone": "−p∇·E",
            "½ extra": "half of it",
            "E + 1 %": "E is 1 % too large",
        },
    ),
    Claim(
        "S4.T-noise",
        "order",
        "Along the lines of the augmented field the data are forgotten: at a distance r their angles are uniform on the half circle up to O(1/r), up to O(1/r²) for centred data.",
        r"\sup_a\bigl|P(\arg\tilde X_r\le a)-\tfrac a\pi\bigr|=O(1/r),\qquad O(1/r^2)\text{ if }\mathbb EY=0",
        "GM (2023), text after equation 94",
        {"stated": C, "one order higher": R, "half an order lower": R, "exponent N": R, "v + 2 %": R},
        {
            "one order higher": "another factor 1/r",
            "half an order lower": "a factor √r slower",
            "exponent N": "the field with |x − y|^N, whose lines do not spread evenly",
            "v + 2 %": "lines of slopes 2 % too large",
        },
        assumptions="N = 1.",
    ),
    Claim(
        "S4.E95",
        "identity",
        "The flow with the opposite field takes every particle back to where it came from.",
        r"\dot x=E(x)\text{ for a time }T,\text{ then }\dot x=-E(x)\text{ for }T:\qquad x(2T)=x(0)",
        "GM (2023), equation 95",
        {"stated": C, "sign": R, "½ extra": R, "E_z dropped": R, "E + 1 %": R},
        {
            "sign": "+E on the way back too",
            "½ extra": "−½E on the way back",
            "E_z dropped": "only across on the way back",
            "E + 1 %": "−1.01 E on the way back",
        },
        assumptions="the way there keeps the angle under which the data are seen (N = 1), or the flux about the axis (N = 2).",
    ),
    Claim(
        "S4.T-col",
        "identity",
        "Without the added dimension the backward flow collapses: on the line to the median of the data, in the plane to the maxima of the potential, one for each cluster that stands out.",
        r"\dot x=-E(x):\qquad N=1:\ x(t)\to m,\ F(m)=\tfrac12;\qquad N=2:\ x(t)\to\text{a maximum of }\varphi",
        "GM (2023), text after equation 95",
        {"stated": C, "mean": R, "augmented": R, "sign": R, "median + 1 %": R},
        {
            "mean": "all go to the mean of the data",
            "augmented": "the flow with the added dimension, which ends all over the data; N = 1",
            "sign": "the forward flow",
            "median + 1 %": "half the mass and 1 % of that more is on the left; N = 2: places 1 % further out",
        },
    ),
    Claim(
        "err:S4.T-col",
        "identity",
        "Only inside: all samples go to one point on the line, and where clusters in the plane are one; from two that stand out they go to two points, from three to three.",
        r"\dot x=-E(x):\quad\max_{i,j}|x_i(t)-x_j(t)|\to0\text{ only where }\varphi\text{ has one maximum}",
        "GM (2023), text after equation 95",
        {"inside": C, "outside": R, "close by": R},
        {
            "inside": "two peaks on the line; one cluster in the plane, and two whose centres are 2 widths apart",
            "outside": "two and three clusters in the plane, far from each other",
            "close by": "two clusters whose centres are 4 widths apart; up to 3.17 there would be one maximum",
        },
        assumptions="round clusters of one width.",
    ),
    Claim(
        "S4.T-hem",
        "order",
        "Points uniform on a large hemisphere, followed back along the lines, end with the law of the data: the distance falls like 1/r.",
        r"\tilde x\sim\mathcal U(S^N_+(r)) \;\Rightarrow\; x(0)\sim p+O(1/r)",
        "GM (2023), hemisphere theorem",
        {
            "stated": C,
            "one order higher": R,
            "half an order lower": R,
            "exponent N": R,
            "cosine law": R,
            "start + 5 %": R,
        },
        {
            "one order higher": "like 1/r²",
            "half an order lower": "like 1/√r",
            "exponent N": "lines of the field with |x − y|^N; N = 1",
            "cosine law": "a start with density ∝ z on the hemisphere",
            "start + 5 %": "a start with 5 % more on one side than on the other",
        },
        assumptions="the limit r → ∞; N = 1 from the hemisphere to z = 0, N = 2 to the height .2, where the law is that of X₀ + .2 C.",
    ),
    Claim(
        "err:S4.T-hem",
        "identity",
        "Right as printed, in the limit: from the hemisphere of infinite radius the lines end with samples of p at z = 0.",
        r"\lim_{r\to\infty}\mathbb E\,\varphi(x_r(0))=\int\varphi\,p\,dx",
        "GM (2023), hemisphere theorem",
        {"printed": C, "cosine law": R, "start + 5 %": R},
        {
            "printed": "the uniform law on the hemisphere",
            "cosine law": "a start with density ∝ z on the hemisphere",
            "start + 5 %": "a start with 5 % more on one side than on the other",
        },
        assumptions="N = 1; the limit r → ∞ and the stop at z = 0 are part of the statement.",
    ),
    Claim(
        "S4.E101",
        "identity",
        "The height can be the time: the lines are those of dx/dz = v_x/v_z.",
        r"\frac{dx}{dt}=v_x,\ \frac{dz}{dt}=v_z \;\Rightarrow\; \frac{dx}{dz}=\frac{v_x}{v_z}",
        "GM (2023), equation 101",
        {"stated": C, "v_z/v_x": R, "v_x alone": R, "sign": R, "v_x + 1 %": R},
        {
            "v_z/v_x": "the reciprocal",
            "v_x alone": "dx/dz = −v_x",
            "sign": "dx/dz = −v_x/v_z",
            "v_x + 1 %": "v_x is 1 % too large",
        },
    ),
    Claim(
        "err:S4.E101",
        "identity",
        "With the height as time the slope is v_x over v_z, not over itself.",
        r"\frac{dx}{dz}=v_x\,v_z^{-1},\text{ not } v_x\,v_x^{-1}=1",
        "GM (2023), equation 101",
        {"printed": R, "corrected": C, "degenerate": C, "v_x + 1 %": R},
        {
            "printed": "v_x over v_x",
            "corrected": "v_x over v_z",
            "degenerate": "v_x over v_x on the line x = z of one charge at 0",
            "v_x + 1 %": "v_x is 1 % too large",
        },
    ),
    Claim(
        "S4.T101",
        "identity",
        "On a high plane the start is the hemisphere projected from the origin, a multivariate Cauchy law: then the lines end with the law of the data.",
        r"x(z_{\max})\sim\frac{z}{(\|x\|^2+z^2)^{(N+1)/2}} \;\Rightarrow\; x(0)\to p,\quad z_{\max}\to\infty",
        "GM (2023), text after equation 101",
        {"stated": C, "Gaussian": R, "exponent N + 2": R, "z + 3 %": R},
        {
            "Gaussian": "a normal start with the standard deviation 2z",
            "exponent N + 2": "a start with the density ∝ (‖x‖² + z²)^(−(N+2)/2)",
            "z + 3 %": "the start of a plane 3 % higher",
        },
        assumptions="N = 1 to z = 0; N = 2 to the height .2, where the law is that of X₀ + .2 C.",
    ),
    Claim(
        "err:S4.T101",
        "identity",
        "Only inside: a start on the plane gives the data if its law is the hemisphere projected from the origin; a uniform or a normal one does not, however wide.",
        r"x(z_{\max})\sim\frac{z}{(\|x\|^2+z^2)^{(N+1)/2}}",
        "GM (2023), text after equation 101",
        {"inside": C, "outside": R},
        {"inside": "Cauchy with the scale z", "outside": "uniform on ±3z; normal with the standard deviation 2z"},
        assumptions="N = 1.",
    ),
)

REMARKED = (
    Remark(
        "err:S4.E94",
        "The rate of the density along the flow is written as an ordinary derivative dp/dt.",
        "The partial derivative at a fixed place is meant. The derivative along a particle's way is −p∇·E instead, which is 0 where there are no charges: "
        "S4.E93-94 checks the equation with the partial one.",
        "GM (2023), equation 94",
    ),
)
