"""What the grid keeps whatever the resolution: stationary laws, mass, and (where it is promised) the sign of the density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import fpk
from fpk.charts import Chart
from fpk.fokker_planck.discretisation import ACCURATE, EXACT_IN_TIME, MAGNUS, POSITIVE, SECOND_ORDER, Scheme
from fpk.fokker_planck.fluxes import Rates, ScharfetterGummel, WellBalanced6
from fpk.fokker_planck.stepping import BACKWARD_EULER, DiagonallyImplicit
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Claim, Evidence, Size, study
from fpk.verdict import Outcome

from ._traces import kept, least

C, R = Outcome.CONFIRMED, Outcome.REFUTED
BOX = (-3.0, 3.0)
SCHEMES = {"exponential": EXACT_IN_TIME, "Magnus": MAGNUS, "ESDIRK4": ACCURATE, "second order": SECOND_ORDER}

CLAIMS = (
    Claim(
        "grid1d.stationary-residual",
        "bound",
        "A Gibbs law sampled at the cell centres is stationary: its rate of change is at most 1e-11, however coarse a uniform grid is.",
        r"\|A\,p_s\|_1\le10^{-11},\qquad p_s\propto e^{-(x^4/4-x^2/2)/D}",
        "Scharfetter and Gummel (1969); Chang and Cooper (1970)",
        {"stated": C, "well + 1 %": R, "D + 1 %": R, "half the drift": R},
        {
            "well + 1 %": "the Gibbs law of a well 1 % deeper",
            "D + 1 %": "the Gibbs law of a diffusivity 1 % larger",
            "half the drift": "the law that belongs to half the drift",
        },
        "On stretched grids from 96 cells on: half cells are no longer of one width, and the quadrature of the drift over them errs at sixth order.",
    ),
    Claim(
        "grid1d.mass",
        "bound",
        "Mass is kept to 1e-12 between walls that reflect and around a ring, by every scheme, at every step size.",
        r"\Bigl|\int p_t-\int p_0\Bigr|\le10^{-12}",
        "Telescoping sums of the fluxes",
        {"stated": C, "walls absorb": R, "outflow + 2 %": R},
        {
            "walls absorb": "walls that absorb in the place of reflecting ones, or of a ring",
            "outflow + 2 %": "every cell loses 2 % more than its neighbours gain",
        },
    ),
    Claim(
        "grid1d.positive",
        "bound",
        "With positive=True no density falls below zero, from a start as narrow as a cell and with steps as coarse as the whole run.",
        r"p_0\ge0\;\Rightarrow\;p_t\ge0",
        "Patankar (1980); M-matrices and backward Euler",
        {"stated": C, "sixth order": R, "Crank–Nicolson": R, "stencil + 2 %": R},
        {
            "sixth order": "the default scheme, which undershoots",
            "Crank–Nicolson": "half of the step explicit",
            "stencil + 2 %": "2 % of the sixth-order operator mixed in",
        },
    ),
)  # fmt: skip


WELL = fpk.Problem(
    "x - x**3", 0.5**0.5, initial=fpk.Gaussian(0.3, 0.4), boundary=fpk.Boundary("no_flux", *BOX), name="double well"
)
#: Depth of the well, and factors on D and on the drift, in the law that is held against the operator.
GIBBS = {
    "stated": (1.0, 1.0, 1.0),
    "well + 1 %": (1.01, 1.0, 1.0),
    "D + 1 %": (1.0, 1.01, 1.0),
    "half the drift": (1.0, 1.0, 0.5),
}


@study("grid1d.stationary-residual", variants=GIBBS, cases=("uniform", "stretched", "second order"))
def stationary_residual(variant: tuple[float, float, float], case: str, size: Size, seed: int) -> Evidence:
    """One component for each number of cells."""
    depth, spread, drift = variant
    cells = [96, 128, 192, size.cells(320)] if case == "stretched" else [12, 24, 48, 96, 192, size.cells(320)]
    flux = ScharfetterGummel() if case == "second order" else WellBalanced6()
    found = []
    for n in cells:
        grid = fpk.Grid(*BOX, cells=n) if case != "stretched" else fpk.Grid(*BOX, cells=n, focus=0.0, breadth=0.8)
        x = grid.centers
        p = np.exp(depth * drift * (0.5 * x**2 - 0.25 * x**4) / (0.25 * spread))
        q = p * grid.center_stretch / (p @ grid.widths)
        found.append(float(np.abs(flux.rates(WELL, grid)(0.0).applied(q)).sum() * grid.spacing))
    source = "rate of change " + ", ".join(f"{r:.2g} ({n} cells)" for n, r in zip(cells, found, strict=True))
    return _below(np.array(found), 1e-11, source, tuple(f"{n} cells" for n in cells))


def _below(found: Array, bar: float, source: str, names: tuple[str, ...], *charts: Chart) -> Evidence:
    """Numbers that must stay below a bar, with the rounding of their own sums."""
    first = fpk.Estimate(found - bar, np.full(len(found), 0.01 * bar), source=source)
    return Evidence(first, zero_estimate(len(found)), names, charts=charts)


@dataclass(frozen=True)
class Altered:
    """A flux whose rate matrix is altered: the outflow of every cell times ``outflow``, ``mixed`` parts of the sixth-order one."""

    flux: Any
    outflow: float = 1.0
    mixed: float = 0.0
    order: int = 2
    positive: bool = False

    def rates(self, problem: fpk.Problem, grid: fpk.Grid) -> Callable[[float], Rates]:
        """t ↦ the altered rate matrix."""
        own, sixth = self.flux.rates(problem, grid), WellBalanced6().rates(problem, grid)

        def at(t: float) -> Rates:
            rates, other = own(t), sixth(t)
            rows, w = np.zeros_like(other.rows), other.width
            rows[w - rates.width : w + rates.width + 1] = (1 - self.mixed) * rates.rows
            rows[w] *= self.outflow
            return rates._replace(rows=rows + self.mixed * other.rows)

        return at


KINDS = {"walls": "no_flux", "ring": "periodic"}
MASS_BAR = 1e-12
#: Times by the number of steps.
LOOKED = {1: (0.0, 0.2, 1.0), 20: tuple(np.linspace(0.0, 1.0, 21).tolist())}


@study(
    "grid1d.mass",
    variants={"stated": ("", 1.0), "walls absorb": ("absorbing", 1.0), "outflow + 2 %": ("", 1.02)},
    cases=tuple(KINDS),
)
def mass(variant: tuple[str, float], case: str, size: Size, seed: int) -> Evidence:
    """Every scheme, with one step and with twenty, at several times; a ring carries a drift around itself."""
    kind, outflow = variant
    problem = fpk.Problem(
        "1 + sin(pi*x/3)" if case == "ring" else "x - x**3", lambda t: 0.5 + 0.3 * np.sin(3 * t), initial=fpk.Gaussian(0.3, 0.4),
        boundary=fpk.Boundary(kind or KINDS[case], *BOX),  # type: ignore[arg-type]
    )  # fmt: skip
    steady = replace(problem, diffusion=0.7)
    found, traces = {}, []
    for name, scheme in SCHEMES.items():
        changed = replace(scheme, flux=Altered(scheme.flux, outflow=outflow)) if outflow != 1 else scheme
        for steps, times in LOOKED.items():
            run = fpk.solve(
                steady if scheme is EXACT_IN_TIME else problem, fpk.Grid(*BOX, cells=size.cells(60)),
                times=times, steps=steps, scheme=changed,
            )  # fmt: skip
            traces.append(np.abs(run.mass - run.mass[0]))
            found[f"{name}, {steps} steps"] = float(traces[-1].max())
    worst, names = max(found, key=lambda name: found[name]), tuple(found)
    lost = {"stated, worst of schemes": np.max(traces[1::2], axis=0)[1:]}
    chart = kept(np.array(LOOKED[20][1:]), lost, {"bound": MASS_BAR})
    return _below(np.array(list(found.values())), MASS_BAR, f"worst: {worst}, {found[worst]:.2g}", names, chart)


CRANK_NICOLSON = DiagonallyImplicit("Crank–Nicolson", 2, 0.5, ((), (0.5,)))
STEPPED = {
    "stated": POSITIVE,
    "sixth order": EXACT_IN_TIME,
    "Crank–Nicolson": Scheme(ScharfetterGummel(), CRANK_NICOLSON),
    "stencil + 2 %": Scheme(Altered(ScharfetterGummel(), mixed=0.02), BACKWARD_EULER),
}


@study("grid1d.positive", variants=STEPPED, cases=("well", "strong drift"))
def positive(variant: Scheme, case: str, size: Size, seed: int) -> Evidence:
    """Cells below zero, from a start barely wider than a cell, with steps from the whole run down to a fraction of h²/D."""
    cells = size.cells(60)
    width = 0.7 * (BOX[1] - BOX[0]) / cells
    drift = "x - x**3" if case == "well" else "40*(x - x**3)"
    problem = replace(WELL, drift=drift, initial=fpk.Gaussian(0.31, width))
    options: Any = {"positive": True} if variant is POSITIVE else {"scheme": variant}
    runs = [
        fpk.solve(
            problem, fpk.Grid(*BOX, cells=cells), times=np.linspace(0, end, steps + 1)[1:], steps=steps, **options
        )
        for end, steps in ((1.0, 1), (1.0, 4), (0.05, 3), (0.002, 2))
    ]
    found = [int((run.densities < 0).sum()) for run in runs]
    source = f"cells below zero {found}, deepest {min(0.0, *(run.minimum for run in runs)):.3g}"
    chart = least(np.array(runs[1].times), runs[1].densities.min(axis=1))
    return _below(np.array(found, float), 0.5, source, ("1 step", "4 steps", "3 short steps", "2 tiny steps"), chart)
