r"""Where statements about noise end: sums without variance, paths that jump, two meanings of dw; and slips of wording about them.

Sums of n independent terms over √n tend to a Gaussian if E ξ² < ∞; increments of diffusions have E Δ³, E Δ⁴ = o(dt), those of jumping paths do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Remark, Size, order_evidence, study
from fpk.verdict import Outcome

from .._limits import limit, limit_evidence
from .._systems import DATA, boxed
from ._steps import Mover, normal

C, R = Outcome.CONFIRMED, Outcome.REFUTED

CLAIMS = (
    Claim(
        "err:S4.T54",
        "order",
        "Only inside: sums of independent terms over √n tend to a Gaussian, with an error of order n^(−1/2), where the terms have finite variance.",
        r"\sup_x\Bigl|P\bigl(n^{-1/2}\sum_i\xi_i\le x\bigr)-\Phi(x)\Bigr|=O(n^{-1/2})\quad\text{only if}\quad\mathbb E\xi^2<\infty",
        "GM (2023), text at equation 54",
        {"inside": C, "outside": R},
        {"inside": "exponential terms less their mean", "outside": "Cauchy terms: the mean of n has the law of one"},
    ),
    Claim(
        "err:S4.T50",
        "identity",
        "Only inside: third and fourth moments of an increment are of higher order than dt where paths do not jump; the second is of order dt anyway.",
        r"\lim_{dt\to0}\frac{\mathbb E\Delta^3}{dt}=\lim_{dt\to0}\frac{\mathbb E\Delta^4}{dt}=0\quad\text{only without jumps}",
        "GM (2023), text at equation 50",
        {"inside": C, "outside": R},
        {"inside": "drift and noise", "outside": "drift, noise and jumps N(.2, .8²) at rate 1"},
    ),
    Claim(
        "err:S4.E19-68",
        "identity",
        "Two conventions under one symbol: dw with variance σ²dt in the equations up to 36, with variance dt from 50 on; their Fokker–Planck equations agree at σ = 1.",
        r"dw\sim\mathcal N(0,\sigma^2dt):\quad\text{printed: }\tfrac12\partial_x^2(g^2p)\qquad\text{corrected: }\tfrac12\sigma^2\partial_x^2(g^2p)",
        "GM (2023), equations 19 to 36 and 50 to 68",
        {"printed": R, "corrected": C, "degenerate": C},
        {
            "printed": "equation 51 for noise of variance σ²dt, σ = 1.6",
            "corrected": "equation 33 for it",
            "degenerate": "equation 51 for noise of variance dt",
        },
    ),
)

REMARKS = (
    Remark(
        "err:S4.E23",
        "The cross term of (dx)² is printed as 2fg dx dt.",
        "2fg dw dt is meant, as the line after it has; both are of higher order than dt and drop out.",
        "GM (2023), equation 23",
    ),
    Remark(
        "err:S4.T25",
        "dw and its powers are said to be replaced by their expectations.",
        "Powers from the second on are (S4.E25); dw itself stays, or the noise would vanish from every equation.",
        "GM (2023), text at equation 25",
    ),
    Remark(
        "err:S4.T27",
        "p(x, t) is introduced as the chance to be between x and x + dx and between t and t + dt.",
        "It is the density in x at a fixed time t; the integrals that follow are over x alone.",
        "GM (2023), text at equation 27",
    ),
    Remark(
        "err:S4.E31",
        "The rate of the density is printed as an ordinary derivative dp/dt.",
        "∂p/∂t at fixed x is meant, as in the Fokker–Planck equation derived from it.",
        "GM (2023), equation 31",
    ),
    Remark(
        "err:S4.P43",
        "Section 2.7 refers twice to equation 58.",
        "Equation 43 is meant: a slip of numbering.",
        "GM (2023), section 2.7",
    ),
    Remark(
        "err:S1.E22-23",
        "The remainder of the expansion is printed as O(dt), and f(x, t) stands inside an expectation over x_t.",
        "o(dt) is needed to divide by dt, and f(x_t, t) is meant; the limit taken afterwards is right.",
        "Wei (2024), equations 22 and 23",
    ),
    Remark(
        "err:S2.P13-text",
        "The variance-preserving process is said to be defined in equation 7.",
        "Equation 8 defines it: a slip of numbering.",
        "Rakitin, text on the variance-preserving process",
    ),
    Remark(
        "err:S2.E16-text",
        "The increment of a d-dimensional Brownian motion is said to be N(0, h).",
        "N(0, hI) is meant.",
        "Rakitin, text at equation 16",
    ),
)

#: Characteristic functions of one term.
TERMS: dict[str, Callable[[Array], Any]] = {
    "inside": lambda k: np.exp(-1j * k) / (1 - 1j * k),
    "outside": lambda k: np.exp(-np.abs(k)) + 0j,
}


def _gauss(edges: Array, nodes: int) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights of every interval, each of shape (intervals, nodes)."""
    u, w = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * np.diff(edges)[:, None]
    return edges[:-1, None] + half * (1 + u), half * w


@study("err:S4.T54", variants=TERMS)
def finite_variance(variant: Callable[[Array], Any], case: str, size: Size, seed: int) -> Evidence:
    """Distribution functions of the sums from their characteristic functions (Gil-Pelaez), n = 8 ... 8,192; Φ by quadrature."""
    k, weight = (a.ravel() for a in _gauss(np.concatenate([[0.0], np.geomspace(1e-3, 400.0, 25)]), 40))
    edges = np.linspace(-9.0, 3.0, 121)
    y, mass = _gauss(edges, 8)
    claimed = np.cumsum((mass * fpk.Gaussian(0.0, 1.0).density(y.reshape(-1, 1)).reshape(y.shape)).sum(1))[59:]
    waves = np.exp(-1j * np.outer(edges[60:], k))

    def distance(n: int) -> float:
        sums = 0.5 - (waves * variant(k / n**0.5) ** n / k).imag @ weight / np.pi
        return float(np.abs(sums - claimed).max())

    counts = 8 * 4 ** np.arange(6)
    distances = [distance(int(n)) for n in counts]
    return order_evidence(distances, 1 / counts, 0.5, floor=1e-8, source="distance to N(0, 1)")


@study("err:S4.T50", variants={"inside": 0.0, "outside": 1.0})
def without_jumps(variant: float, case: str, size: Size, seed: int) -> Evidence:
    """Drift .4, noise .9 and jumps at rate ``variant``: a sum over the number of jumps, each term by quadrature."""
    z, w = normal()

    def moments(h: float) -> Array:
        chance, found = np.exp(-variant * h), np.zeros(3)
        for jumps in range(8):
            spread = Mover(fpk.Problem(0.4, 0.9, initial=DATA))(np.zeros(1), h**0.5 * z, h)
            delta = (spread[:, None] + 0.2 * jumps + 0.8 * jumps**0.5 * z).ravel()
            found += chance * np.array([delta**2, delta**3, delta**4]) @ np.outer(w, w).ravel() / h
            chance *= variant * h / (jumps + 1)
        return found

    names = ("E Δ²/dt", "E Δ³/dt", "E Δ⁴/dt")
    return limit_evidence(
        moments, np.array([0.81 + 0.68 * variant, 0.0, 0.0]), step=0.04, names=names, source="quadrature as dt → 0"
    )


#: σ, and whether the noise term of the Fokker–Planck equation has σ².
CONVENTIONS = {"printed": (1.6, False), "corrected": (1.6, True), "degenerate": (1.0, False)}


@study("err:S4.E19-68", variants=CONVENTIONS)
def two_conventions(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    """dx = −x dt + .8 dw to t = .5: E x and E x² of chains with dw ~ N(0, σ²dt) as dt → 0, less those on the grid."""
    sigma, squared = variant
    problem = boxed("-x", 0.8 * (sigma if squared else 1.0), initial=DATA, horizon=0.5)

    def on_cells(cells: int) -> Array:
        solved = fpk.solve(problem, fpk.Grid(-6.5, 7.0, cells=cells), times=[0.5])
        x, mass = solved.grid.centers, solved.densities[0] * solved.grid.widths
        return np.array([mass @ x, mass @ x**2])

    def chain(h: float) -> Array:
        mean, second = float(DATA.mean[0]), float(DATA.covariance[0, 0] + DATA.mean[0] ** 2)
        for _ in range(round(0.5 / h)):
            mean, second = (1 - h) * mean, (1 - h) ** 2 * second + 0.64 * sigma**2 * h
        return np.array([mean, second])

    cells = size.cells(96)
    fine, coarse = on_cells(2 * cells), on_cells(cells)
    found, bound, coarser = limit([chain(0.02 / 2**k) for k in range(4)])
    first = fpk.residual(
        found - fine, bound + np.abs(fine - coarse), coarser=coarser - coarse, source="chains less the grid"
    )
    return Evidence(first, zero_estimate(2), ("E x", "E x²"))
