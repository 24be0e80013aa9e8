"""Grids in three dimensions: a full tensor against the exact Gaussian, and the orders of the schemes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array
from fpk.study import Claim, Evidence, Size, order_evidence, study
from fpk.verdict import Outcome

from ._planes import SCHEMES, square, tumbling, wave_error

C, R = Outcome.CONFIRMED, Outcome.REFUTED
HALF, TIME = 6.0, 0.4
TIGHT = 5.0

CLAIMS = (
    Claim(
        "grid3d.tensor",
        "equality",
        "In space too a tumbling Ornstein–Uhlenbeck process with a full tensor has its Gaussian law on the grid.",
        r"dX = AX\,dt + G\,dW \;\Rightarrow\; X_t\sim N\Bigl(e^{tA}m,\; e^{tA}\Sigma e^{tA^T}+\int_0^t e^{sA}GG^Te^{sA^T}ds\Bigr)",
        "Risken (1989), The Fokker–Planck Equation, section 6.5",
        {"stated": C, "no rotation": R, "cross terms dropped": R, "½ on g²": R, "cross terms + 5 %": R, "g² + 2 %": R},
        {
            "no rotation": "the off-diagonal part of A is dropped",
            "cross terms dropped": "the grid is told that the noises are independent",
            "½ on g²": "half of the diffusivity",
            "cross terms + 5 %": "the off-diagonal part of D is 5 % too large",
            "g² + 2 %": "all of D is 2 % too large",
        },
    ),
    Claim(
        "grid3d.orders",
        "order",
        "The schemes have their declared orders in space: eight in cells, two in cells and steps together.",
        r"\mathbb E_{h,\tau}\varphi-\mathbb E\varphi = O(h^q)+O(\tau^r)",
        "Hundsdorfer and Verwer (2003); Selling (1874); Fornberg (1996)",
        {"stated": C, "one order too high": R, "one order too low": R},
        {"one order too high": "one more than the scheme declares", "one order too low": "one less"},
        "The positive scheme with cell Péclet numbers |f| h/D below about one where the law is, so with a tenth of the drift.",
    ),
)  # fmt: skip

#: The axes, and two diagonals that see correlations.
SLICES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5**0.5, 0.5**0.5, 0], [0.5**0.5, 0, 0.5**0.5]])
#: Factors on the rotation, on the cross terms and on GGᵀ.
TENSORS: dict[str, dict[str, float]] = {
    "stated": {}, "no rotation": {"turn": 0.0}, "cross terms dropped": {"cross": 0.0}, "½ on g²": {"noise": 0.5},
    "cross terms + 5 %": {"cross": 1.05}, "g² + 2 %": {"noise": 1.02},
}  # fmt: skip


#: What is left out with Fourier differences, which take longer.
GROSS = ("no rotation", "½ on g²", "cross terms + 5 %")


@study(
    "grid3d.tensor",
    variants=TENSORS,
    cases=("central", "Fourier"),
    applies=lambda variant, case: case == "central" or variant not in GROSS,
)
def tensor(variant: dict[str, float], case: str, size: Size, seed: int) -> Evidence:
    """On [−5, 5]³ from N((.6, 0, −.4), .8² I) to t = .4."""
    exact = fpk.exact(tumbling(), times=[TIME])
    panel = fpk.law_panel({TIME: exact.law(TIME)}, directions=SLICES)
    solved = fpk.solve(
        tumbling(**variant), square(TIGHT, size.cells(CELLS[case]), 3), times=[TIME], scheme=SCHEMES[case]
    )
    return Evidence(solved.expect(panel), exact.expect(panel), panel.names, panel=panel.digest)


#: Cells along each axis in the quick size.
CELLS = {"central": 32, "Fourier": 38}
#: Of nearly constant ratio where the order is high: its enclosure is extrapolated from them.
LEVELS = {"central": (28, 36, 48, 64), "alternating": (18, 21, 24, 28, 32), "positive": (20, 24, 28, 32, 40)}
#: A factor on the drift, with which cell Péclet numbers are about one on the coarsest level.
SLOW = {"positive": 0.1}


@lru_cache(maxsize=8)
def _errors(scheme: str) -> Array:
    problem, chosen = tumbling(SLOW.get(scheme, 1.0)), SCHEMES[scheme]
    return np.array(
        [
            wave_error(problem, square(HALF, n, 3), TIME, scheme=chosen, steps=None if chosen.order > 2 else n // 2)[0]
            for n in LEVELS[scheme]
        ]
    )


@study("grid3d.orders", variants={"stated": 0, "one order too high": 1, "one order too low": -1}, cases=tuple(LEVELS))
def orders(variant: int, case: str, size: Size, seed: int) -> Evidence:
    errors, counts = _errors(case), np.array(LEVELS[case])
    claimed = SCHEMES[case].order + variant
    return order_evidence(errors, 1 / counts, claimed, floor=3e-13, source=f"errors of E cos k·x, {case}")
