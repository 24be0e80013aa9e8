r"""The Fokker–Planck equation ∂_t p = −∇·(f p) + ½ Σ ∂_i ∂_j (M_ij p), M = G Q Gᵀ, and the ways in which the sources arrive at it.

Its right side is held against the process itself: against images of linear processes, whose laws follow from their paths by Itô's formula, and
against the rates at which expectations change over one short step. Neither knows the equation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

import fpk
from fpk.laws import Array, central_derivative
from fpk.marginals import zero_estimate
from fpk.study import Evidence, Size, study

from .._limits import limit_evidence
from .._planes import slices_of
from .._systems import DATA
from ._bent import CORRELATED, Image, Sheared, ShearedLaw
from ._equation_claims import EQUATIONS
from ._plane_systems import BENT, END, START, STRAIGHT, SYSTEMS, TENSORS, Change, diagonal
from ._rates import (
    Lattice,
    Rate,
    bumps,
    forward,
    on_two_grids,
    one_step,
    rate_evidence,
    two_levels,
    wave_names,
    waves,
)

CLAIMS = EQUATIONS

# -- in the plane ------------------------------------------------------------------------------------------------------------


def _between(x: Array, t: float) -> Array:
    """f + ½∇·M: the drift with which the equation reads −∇·(fp) + ½∇·(M∇p)."""
    columns = [
        central_derivative(lambda h, j=j: BENT.spread(x + h * np.eye(2)[j], t)[:, :, j], np.zeros(1), 2e-3)
        for j in range(2)
    ]
    return BENT.drift(x, t) + 0.5 * (columns[0] + columns[1])


#: Drift, G and Q of the equation that is solved.
Field = Callable[[Array, float], Array]
SOLVED: dict[str, tuple[Field, Field, Array]] = {
    "stated": (BENT.drift, BENT.diffusion, CORRELATED),
    "½ missing": (BENT.drift, BENT.diffusion, 2 * CORRELATED),
    "Q dropped": (BENT.drift, BENT.diffusion, np.eye(2)),
    "G transposed": (BENT.drift, lambda x, t: np.swapaxes(BENT.diffusion(x, t), 1, 2), CORRELATED),
    "tensor between the derivatives": (_between, BENT.diffusion, CORRELATED),
    "GQGᵀ + 1 %": (BENT.drift, BENT.diffusion, 1.01 * CORRELATED),
}


@study("S0.E37-38", variants=SOLVED)
def correlated_noises(variant: tuple[Field, Field, Array], case: str, size: Size, seed: int) -> Evidence:
    """The equation solved on two grids of the plane, against the law of the process by its paths."""
    drift, G, Q = variant
    problem = fpk.Problem(drift, G, initial=ShearedLaw(BENT, 0.0), horizon=END, noise_covariance=Q)
    below = BENT.below.law(END)
    panel = slices_of({END: below})

    def solved(cells: int) -> Array:
        grid = fpk.Grid(-4.8, 4.8, cells=size.cells(cells)) ** 2
        return fpk.solve(problem, grid, times=[END], steps=1).unbudgeted(panel).value

    first = on_two_grids(solved, 38, 32)
    return Evidence(first, Image(below, BENT.image, END).expect(panel), panel.names, panel=panel.digest)


PLANE_WAVES = [[1.0, 0.0], [0.0, 1.0], [1.0, -1.0], [1.5, 0.7]]
PLANE_NAMES = wave_names(PLANE_WAVES)
LATE = 0.2


@lru_cache(maxsize=8)
def _density_rates(system: Sheared, level: int, size: Size) -> tuple[Lattice, Array, Array]:
    """Lattice, density at :data:`LATE`, and the rates of E cos and E sin by differences of the law in time."""
    lattice = Lattice(6.0, size.cells(24) * level, 2)
    x = lattice.points
    slope = central_derivative(lambda t: system.density(x, float(t)), np.array(LATE), 0.04 / level)
    return lattice, system.density(x, LATE), lattice.integrals(waves(PLANE_WAVES), slope)


def _divergence_rates(
    system: Sheared, form: str, change: Callable[[Array], Array], size: Size, *, outside: bool = False
) -> Evidence:
    """∂_t p less a divergence form with M changed, tested with waves, on two lattices."""

    def residual_at(level: int) -> Array:
        lattice, p, rates = _density_rates(system, level, size)
        x = lattice.points
        f, M = system.drift(x, LATE), change(system.spread(x, LATE))
        if form == "score":
            spread = (M @ system.score(x, LATE)[:, :, None])[:, :, 0] * p[:, None]
        elif outside:
            gradient = np.stack([lattice.derivative(p, i) for i in range(2)], axis=1)
            spread = (M @ gradient[:, :, None])[:, :, 0]
        else:
            spread = np.stack([lattice.divergence(M[:, i] * p[:, None]) for i in range(2)], axis=1)
        right = -lattice.divergence(f * p[:, None] - 0.5 * spread)
        return rates - lattice.integrals(waves(PLANE_WAVES), right)

    return two_levels(residual_at, names=PLANE_NAMES, source="law of the process less the divergence")


FORMS: dict[str, tuple[Callable[[Array], Array], bool]] = {
    "stated": (lambda M: M, False),
    "½ missing": (lambda M: 2 * M, False),
    "noise sign": (lambda M: -M, False),
    "cross terms dropped": (diagonal, False),
    "M outside the divergence": (lambda M: M, True),
    "M + 1 %": (lambda M: 1.01 * M, False),
}


@study(
    "S0.E39-40",
    variants=FORMS,
    cases=("M(x), divergence", "M(t), divergence", "M(t), score"),
    applies=lambda variant, case: case == "M(x), divergence" or variant != "M outside the divergence",
)
def divergence_form(variant: tuple[Callable[[Array], Array], bool], case: str, size: Size, seed: int) -> Evidence:
    system = BENT if case.startswith("M(x)") else STRAIGHT
    return _divergence_rates(system, case.split(", ")[1], variant[0], size, outside=variant[1])


@study("err:S0.E38-40", variants={"printed": (STRAIGHT, 1.0), "M(x)": (BENT, 1.0), "M + 1 %": (STRAIGHT, 1.01)})
def score_form(variant: tuple[Sheared, float], case: str, size: Size, seed: int) -> Evidence:
    system, factor = variant
    return _divergence_rates(system, "score", lambda M: factor * M, size)


@lru_cache(maxsize=4)
def _stepped(case: str, size: Size) -> tuple[Lattice, Rate]:
    """The lattice and the rates of one step, computed once for all variants."""
    lattice = Lattice(6.0, size.cells(36), 2)
    return lattice, lru_cache(maxsize=8)(one_step(SYSTEMS[case].problem, lattice, waves(PLANE_WAVES), 0.5, nodes=6))


@study(
    "S3.E7",
    variants=TENSORS,
    cases=tuple(SYSTEMS),
    applies=lambda variant, case: case != "σ = 0" or variant in ("stated", "drift sign", "drift + 1 %"),
)
def squared_noise(variant: Change, case: str, size: Size, seed: int) -> Evidence:
    """One step of the problem, against the right side with f and σ written out again."""
    lattice, rate = _stepped(case, size)
    x, y = lattice.points.T
    f = np.stack(SYSTEMS[case].drift(x, y), axis=1)
    sigma = np.moveaxis(np.array(SYSTEMS[case].noise(x, y)), 2, 0)
    right = forward(lattice, START.density(lattice.points), *variant(f, sigma))
    claimed = lattice.integrals(waves(PLANE_WAVES), right)
    return rate_evidence(rate, claimed, names=PLANE_NAMES, source=f"one step of the process, {case}")


def _squares(x: Array) -> Array:
    """|x|² and cos x₀."""
    return np.stack([(x**2).sum(1), np.cos(x[:, 0])])


@study(
    "err:S3.E7",
    variants={"printed": (True, {1: 2.0, 2: 3.0}), "corrected": (False, {1: 2.0, 2: 3.0}), "degenerate": (True, {1: 1.0, 2: 2.0})},
    cases=("d = 1", "d = 2"),
)  # fmt: skip
def noise_not_squared(variant: tuple[bool, dict[int, float]], case: str, size: Size, seed: int) -> Evidence:
    """Brownian motion of noise σ: E|X|² grows at σ²d."""
    printed, strengths = variant
    d = int(case[-1])
    sigma, start, lattice = strengths[d], fpk.Gaussian(np.full(d, 0.3), 0.7), Lattice(6.5, size.cells(48), d)
    rate = one_step(fpk.Problem(0.0, sigma, initial=start), lattice, _squares)
    p = start.density(lattice.points)
    laplacian = lattice.spreading(p[:, None, None] * np.eye(d))
    right = 0.5 * (d * sigma if printed else sigma**2) * laplacian
    return rate_evidence(
        rate,
        lattice.integrals(_squares, right),
        names=("d/dt E|X|²", "d/dt E cos X₀"),
        source="one step of the process",
    )


# -- on the line -------------------------------------------------------------------------------------------------------------

LINE_WAVES = [[0.7], [1.5], [2.5]]
STRENGTH = 1.3


def _well(x: Array) -> Array:
    return np.sin(2 * x) - 0.5 * x


def _g(x: Array) -> Array:
    return 0.6 + 0.2 * np.sin(x)


WAVY = fpk.Problem("sin(2*x) - 0.5*x", "1.3*(0.6 + 0.2*sin(x))", initial=DATA, name="state-dependent noise")


def _wave_slopes(x: Array) -> tuple[Array, Array]:
    """φ′ and φ″ of the waves."""
    k = np.array(LINE_WAVES)
    return np.concatenate([-k * np.sin(k @ x.T), k * np.cos(k @ x.T)]), -(np.concatenate([k, k]) ** 2) * waves(
        LINE_WAVES
    )(x)


#: A factor on f, the squared noise, and whether it stands outside the derivatives.
WEAK: dict[str, tuple[float, Callable[[Array], Array], bool]] = {
    "stated": (1.0, lambda x: STRENGTH**2 * _g(x) ** 2, False),
    "½ missing": (1.0, lambda x: 2 * STRENGTH**2 * _g(x) ** 2, False),
    "drift sign": (-1.0, lambda x: STRENGTH**2 * _g(x) ** 2, False),
    "g for g²": (1.0, lambda x: STRENGTH**2 * _g(x), False),
    "σ for σ²": (1.0, lambda x: STRENGTH * _g(x) ** 2, False),
    "g² outside": (1.0, lambda x: STRENGTH**2 * _g(x) ** 2, True),
    "σ² + 1 %": (1.0, lambda x: 1.01 * STRENGTH**2 * _g(x) ** 2, False),
}


def _line(size: Size) -> Lattice:
    return Lattice(6.0, size.cells(256))


@study(
    "S4.E30-33",
    variants=WEAK,
    cases=("generator", "density"),
    applies=lambda variant, case: case == "density" or variant != "g² outside",
)
def weak_form(variant: tuple[float, Callable[[Array], Array], bool], case: str, size: Size, seed: int) -> Evidence:
    factor, squared, outside = variant
    lattice, tests = _line(size), waves(LINE_WAVES)
    x = lattice.points
    p, f, M = DATA.density(x), factor * _well(x), squared(x)
    if case == "generator":
        slope, curvature = _wave_slopes(x)
        claimed = (slope * f[:, 0] + 0.5 * curvature * M[:, 0]) @ p * lattice.volume
    elif outside:
        right = forward(lattice, p, f, 0 * M[:, None]) + 0.5 * M[:, 0] * lattice.spreading(p[:, None, None])
        claimed = lattice.integrals(tests, right)
    else:
        claimed = lattice.integrals(tests, forward(lattice, p, f, M[:, None]))
    rate = one_step(WAVY, lattice, tests)
    return rate_evidence(rate, claimed, names=wave_names(LINE_WAVES), source=f"one step of the process, {case}")


PLACES = np.array([-1.5, -0.9, -0.4, 0.3, 0.9, 1.6, 2.2])


def _slope_of_flux(x: Array) -> tuple[Array, Array]:
    """f∇p and p∇f at the places, by the score."""
    p, score = DATA.density(x), DATA.score(x)[:, 0]
    return _well(x)[:, 0] * p * score, p * (2 * np.cos(2 * x[:, 0]) - 0.5)


#: A factor on everything, one on f, and whether the derivative of f is there; the sign of the gradient.
DELTAS = {
    "stated": (1.0, 1.0, True, 1.0),
    "gradient by X": (1.0, 1.0, True, -1.0),
    "f outside": (1.0, 1.0, False, 1.0),
    "½ extra": (0.5, 1.0, True, 1.0),
    "f + 1 %": (1.0, 1.01, True, 1.0),
}


@study(
    "S1.E17-21",
    variants=DELTAS,
    cases=("density", "flux", "divergence"),
    applies=lambda variant, case: variant in {
        "density": ("stated", "½ extra"), "flux": ("stated", "½ extra", "f + 1 %"), "divergence": tuple(DELTAS)
    }[case],
)  # fmt: skip
def delta_functions(variant: tuple[float, float, bool, float], case: str, size: Size, seed: int) -> Evidence:
    """Limits in the square of the width, from widths of .06 down."""
    whole, weight, inner, sign = variant
    lattice, x = Lattice(6.0, size.cells(1024)), PLACES[:, None]
    Y, mass = lattice.points, DATA.density(lattice.points) * lattice.volume

    def expected(squared: float) -> Array:
        delta = bumps(PLACES, squared**0.5)(Y)
        if case == "density":
            return delta @ mass
        gradient = 1.0 if case == "flux" else -(PLACES[:, None] - Y[:, 0]) / squared
        return (delta * gradient) @ (_well(Y)[:, 0] * mass)

    first, second = _slope_of_flux(x)
    flux = whole * weight * _well(x)[:, 0] * DATA.density(x)
    claimed = {
        "density": whole * DATA.density(x), "flux": flux, "divergence": whole * weight * sign * (first + inner * second)
    }[case]  # fmt: skip
    names = tuple(f"x = {place:g}" for place in PLACES)
    return limit_evidence(expected, claimed, step=0.004, names=names, source=f"{case} by mollified δ")


BUMP = 0.15
FORWARD_IN_TIME = fpk.Problem("sin(2*x) - 0.5*x*(1 + t)", "0.6 + 0.8*t", initial=DATA, name="noise in time")
SIGMA = 1.0


def _moving_well(x: Array) -> Array:
    return np.sin(2 * x) - 0.75 * x


def _expansion(
    problem: fpk.Problem, f: Callable[[Array], Array], squared: float, size: Size, *, printed: bool = False
) -> Evidence:
    """One step seen through mollified δ functions less −∇(fp) + ½σ²∇²p, or with ∇(fσ) as printed."""
    lattice, tests = _line(size), bumps(PLACES, BUMP)
    x = lattice.points
    p = DATA.density(x)
    drift = lattice.derivative(f(x)[:, 0] * p)
    if printed:
        drift = SIGMA * central_derivative(f, x, 1e-3)[:, 0]
    right = 0.5 * squared * lattice.spreading(p[:, None, None]) - drift
    names = tuple(f"d/dt E δ(x − X), x = {place:g}" for place in PLACES)
    rate = one_step(problem, lattice, tests, 0.5, nodes=16)
    return rate_evidence(
        rate, lattice.integrals(tests, right), names=names, source="one step of the process", step=0.005
    )


@study(
    "S1.E22-24",
    variants={
        "stated": (1.0, 1.0, False),
        "dt² for dt": (1.0, 0.0, False),
        "fσ for fp": (1.0, 1.0, True),
        "½ missing": (1.0, 2.0, False),
        "drift sign": (-1.0, 1.0, False),
        "σ² + 1 %": (1.0, 1.01, False),
    },
)
def delta_expansion(variant: tuple[float, float, bool], case: str, size: Size, seed: int) -> Evidence:
    """At t = ½, where σ = 1."""
    factor, squared, printed = variant
    return _expansion(FORWARD_IN_TIME, lambda x: factor * _moving_well(x), squared * SIGMA**2, size, printed=printed)


@study("err:S1.E23-last", variants={"printed": (True, True), "corrected": (False, True), "degenerate": (True, False)})
def flux_with_the_noise(variant: tuple[bool, bool], case: str, size: Size, seed: int) -> Evidence:
    printed, drifting = variant
    problem = FORWARD_IN_TIME if drifting else fpk.Problem(0.0, SIGMA, initial=DATA)
    return _expansion(problem, _moving_well if drifting else lambda x: 0 * x, SIGMA**2, size, printed=printed)


def _powers(x: Array) -> Array:
    return np.stack([x[:, 0], (x[:, 0] - DATA.mean[0]) ** 2])


@study("err:S1.E23-lines-2-3", variants={"printed": (1.5, False), "corrected": (1.5, True), "degenerate": (0.0, False)})
def squared_time_step(variant: tuple[float, bool], case: str, size: Size, seed: int) -> Evidence:
    """Mean and variance; the drift is sin 2x − ½x."""
    sigma, kept = variant
    lattice = _line(size)
    x = lattice.points
    spread = np.full((len(x), 1, 1), sigma**2 * kept)
    right = forward(lattice, DATA.density(x), _well(x), spread)
    problem = fpk.Problem(lambda x, t: _well(x), sigma, initial=DATA)
    names = ("d/dt E X", "d/dt E(X − m)²")
    return rate_evidence(
        one_step(problem, lattice, _powers),
        lattice.integrals(_powers, right),
        names=names,
        source="one step of the process",
    )


#: ξ, and how far x is from it.
EXPANDED = ((0.4, 0.1), (-0.7, 0.08), (1.3, -0.1))
WIDTH = 0.8


@study("err:S1.E18", variants={"printed": (False, False), "corrected": (True, False), "degenerate": (False, True)})
def taylor_polynomial(variant: tuple[bool, bool], case: str, size: Size, seed: int) -> Evidence:
    """A Gaussian δ of width .8; the bound is Lagrange's remainder, |δ‴| ≤ 1.4 w⁻³ times its peak."""
    corrected, doubled = variant
    law = fpk.Gaussian(0.0, WIDTH)
    places = [(0.1, 0.1), (-0.08, -0.08)] if doubled else EXPANDED
    values, bounds = [], []
    for xi, off in places:
        u, at = xi / WIDTH, law.density(np.array([[xi]]))[0]
        powers = off if corrected else xi
        polynomial = at * (1 - u * powers / WIDTH + 0.5 * (u**2 - 1) * (powers / WIDTH) ** 2)
        values.append(law.density(np.array([[xi + off]]))[0] - polynomial)
        bounds.append(1.4 * 0.4 / WIDTH**4 * abs(off) ** 3 / 6)
    first = fpk.residual(np.array(values), np.array(bounds), proven=True, source="δ less its Taylor polynomial")
    return Evidence(first, zero_estimate(len(values)), tuple(f"ξ = {xi:g}, x = {xi + off:g}" for xi, off in places))
