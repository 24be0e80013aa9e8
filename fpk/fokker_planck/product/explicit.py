r"""Explicit steps without a stability limit: exponentials as Faber polynomials of the operator.

With p' = A p the solution is e^{τA} p. Let the spectrum of A lie in an ellipse with centre c and half axes a and b, the image of the unit
circle under ψ(w) = c + γ (w + κ/w), γ = (a + b)/2, κ = (a − b)/(a + b). Then

    e^{τz} = Σ_k α_k F_k(z),    F_0 = 1,    F_k(ψ(w)) = w^k + κ^k w^{−k},    γ (F_{k+1} + κ F_{k−1}) = (z − c) F_k    (k ≥ 2),

where α_k are the Fourier coefficients of exp(τψ(e^{iθ})). They fall faster than geometrically, |F_k| ≤ 2 in the ellipse, and 2 Σ_{k>n} |α_k| bounds
what degree n leaves out: the error is known before the first stage. For a real spectrum (b = 0) these are Chebyshev polynomials, and n grows with
√(τa); for an imaginary one n grows like τb. No step size is involved, and transposes are the same polynomials of Aᵀ.

The ellipse encloses the symbols of A with coefficients frozen at the cells: drift, diffusion and cross terms together.
Where A depends on t, fourth-order commutator-free Magnus steps take two exponentials of averages of the fields at two Gauss times:

    p ← e^{τ(α₂A₁ + α₁A₂)} e^{τ(α₁A₁ + α₂A₂)} p,    A₁,₂ = A(t + (½ ∓ √3/6) τ),    α₁,₂ = ¼ ± √3/6.

References
----------
Ellacott (1983) and Beckermann (2005) for Faber series; Bergamaschi et al. (2004) for exponentials of advection and diffusion; Blanes and Moan
(2006) for the Magnus steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np

from fpk.fokker_planck.product.central import Central, Room, blank, framed, symbols, unframed
from fpk.fokker_planck.product.differences import ORDER
from fpk.fokker_planck.product.fields import Fields, fields_at, pairs
from fpk.fokker_planck.stepping import Steps
from fpk.grids import Grid, ProductGrid
from fpk.laws import Array
from fpk.problem import Problem

#: Coefficients below this are left out; those beyond fall faster than geometrically, and round-off is below it.
LEFT_OUT = 3e-14
#: What frozen coefficients may miss of the spectrum.
MARGIN = 1.05
#: Where ellipses may end: on the left as multiples of the deepest symbol, on the right as exponents of growth over the whole duration. Beyond the
#: symbols they are less steep, so that strong drifts fit into slimmer ones.
LEFTS, GROWTHS = (1.05, 1.2, 1.4, 1.7, 2.2), (0.5, 1.5, 3.0)
#: Cells along each axis, and angles in half a turn, at which symbols are looked at.
LOOKS = {2: (24, 12), 3: (7, 8)}
#: Error in time that default steps aim at; the change from which on it falls like the fourth power of steps; the cells along an axis on which
#: steps are tried, and the most that are.
TARGET, ASYMPTOTIC, PILOT, MOST = 1e-8, 3e-6, 32, 4096
EARLY, LATE = 0.25 + 3**0.5 / 6, 0.25 - 3**0.5 / 6


@dataclass(frozen=True)
class Ellipse:
    """An ellipse symmetric about the real axis: its centre c, and half axes a along the real and b along the imaginary direction."""

    centre: float
    real: float
    imaginary: float

    @property
    def capacity(self) -> float:
        """γ = (a + b)/2."""
        return (self.real + self.imaginary) / 2

    @property
    def flatness(self) -> float:
        """κ = (a − b)/(a + b)."""
        return (self.real - self.imaginary) / (self.real + self.imaginary)


@lru_cache(maxsize=256)
def faber_coefficients(ellipse: Ellipse, duration: float) -> Array:
    """α_0 ... α_n of exp(duration · z), the last one above :data:`LEFT_OUT`."""
    size = duration * (ellipse.real + ellipse.imaginary)
    nodes = 2 ** int(np.ceil(np.log2(2 * size + 128)))
    w = np.exp(2j * np.pi * np.arange(nodes) / nodes)
    values = np.exp(duration * (ellipse.centre + ellipse.capacity * (w + ellipse.flatness / w)))
    alpha = (np.fft.fft(values).real / nodes)[: nodes // 2]
    return alpha[: max(2, 1 + int(np.flatnonzero(np.abs(alpha) > LEFT_OUT)[-1]))]


def frozen_symbols(fields: Fields, grid: ProductGrid) -> tuple[Array, Array]:
    """Damping −Re and largest frequency |Im| of the symbols over cells and waves: shapes (S or 1, K) and (S or 1, K)."""
    d = grid.dimension
    cells, angles = LOOKS[d]
    turn = np.linspace(-np.pi, np.pi, 2 * angles + 1)
    first, second = symbols(turn)
    waves = np.array(list(product(range(angles + 1), *[range(2 * angles + 1)] * (d - 1)))).T
    slope = np.stack([first[k] / h for k, h in zip(waves, grid.spacings, strict=True)])
    bend = np.stack([second[k] / h**2 for k, h in zip(waves, grid.spacings, strict=True)])
    terms = np.stack([bend[i] if i == j else 2 * slope[i] * slope[j] for i, j in pairs(d)])
    picked = np.ix_(*[np.unique(np.linspace(0, n - 1, min(n, cells)).astype(int)) for n in grid.shape])
    f, D = (np.stack([c[picked] if c.size > 1 else c for c in of]) for of in (fields.drift, fields.diffusivity))
    damping = D.reshape(len(D), -1).T @ terms
    frequency = f.reshape(d, -1).T @ slope
    np.abs(frequency, out=frequency)
    return damping, frequency if len(damping) > 1 else frequency.max(axis=0, keepdims=True)


def enclosing(damping: Array, frequency: Array, duration: float) -> Ellipse:
    """Of the ellipses that hold all symbols, with :data:`MARGIN`, about the one that needs the fewest stages."""
    deepest = float(damping.max())
    found = [_around(damping, frequency, left * deepest, growth / duration) for left, growth in product(LEFTS, GROWTHS)]
    return min(found, key=lambda e: 8 * (duration * e.real) ** 0.5 + duration * e.imaginary)


def _around(damping: Array, frequency: Array, left: float, right: float) -> Ellipse:
    """The ellipse from −left to right on the real axis that is as high as it has to be."""
    real = (left + right) / 2
    inside = 1 - ((damping - (left - right) / 2) / real) ** 2
    height = float(np.sqrt((frequency**2 / inside).max()))
    return Ellipse((right - left) / 2, real, MARGIN * height + 1e-12 * real)


class FaberStepper(Steps):
    """Exponentials of central differences, over steps of any length.

    Parameters
    ----------
    problem : Problem
    grid : ProductGrid
    """

    def __init__(self, problem: Problem, grid: ProductGrid) -> None:
        self.problem, self.grid = problem, grid
        self.fields_at = fields_at(problem, grid)
        self.stages = 0

    @cached_property
    def _steady(self) -> Exponential:
        return Exponential(self.fields_at(0.0), self.grid)

    def exponentials(self, t: float, step: float) -> list[tuple[Exponential, float]]:
        """What a step from t applies, first to last, and for how long; steps over which averages lose their dissipation are halved."""
        if self.problem.steady:
            return [(self._steady, step)]
        early, late = (self.fields_at(t + (0.5 + sign * 3**0.5 / 6) * step) for sign in (-1, 1))
        averages = [Exponential(averaged(early, late, a, b), self.grid) for a, b in ((EARLY, LATE), (LATE, EARLY))]
        if all(average.dissipates for average in averages):
            return [(average, step / 2) for average in averages]
        return self.exponentials(t, step / 2) + self.exponentials(t + step / 2, step / 2)

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """One exponential where A is steady, two (or more) elsewhere."""
        for exponential, duration in self.exponentials(t, step):
            p = self._applied(exponential, p, duration, transposed=False)
        return p

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transposed exponentials in reverse."""
        for exponential, duration in reversed(self.exponentials(t, step)):
            u = self._applied(exponential, u, duration, transposed=True)
        return u

    def _applied(self, exponential: Exponential, p: Array, duration: float, *, transposed: bool) -> Array:
        out, stages = exponential.applied(p, duration, transposed=transposed)
        self.stages += stages
        return out


def averaged(early: Fields, late: Fields, a: float, b: float) -> Fields:
    """2 (a early + b late): the fields of an exponential over half a step, for a + b = ½."""
    return Fields(
        2 * (a * early.drift + b * late.drift),
        2 * (a * early.diffusivity + b * late.diffusivity),
    )


class Exponential:
    """e^{τA} and e^{τAᵀ} for the fields of one time, on states of the grid's shape."""

    def __init__(self, fields: Fields, grid: ProductGrid) -> None:
        self.operator = Central(fields, grid)
        self.damping, self.frequency = frozen_symbols(fields, grid)

    @property
    def dissipates(self) -> bool:
        """Whether no wave grows: false where an average of two positive tensors is not positive."""
        return bool(self.damping.min() >= -1e-10 * abs(self.damping).max())

    def expansion(self, duration: float) -> tuple[Ellipse, Array]:
        """The ellipse and α."""
        ellipse = enclosing(self.damping, self.frequency, duration)
        return ellipse, faber_coefficients(ellipse, duration)

    def applied(self, p: Array, duration: float, *, transposed: bool) -> tuple[Array, int]:
        """The exponential times p by Clenshaw's recurrence, and its number of stages."""
        ellipse, alpha = self.expansion(duration)
        state = self._summed(framed(p), ellipse, alpha, transposed)
        return unframed(state).copy(), len(alpha) - 1

    def _summed(self, v: Array, ellipse: Ellipse, alpha: Array, transposed: bool) -> Array:
        """Σ α_k F_k(A) v for a framed v: b_k = α_k v + (A − c) b_{k+1}/γ − κ b_{k+2}."""
        scale, count = 1 / ellipse.capacity, len(alpha)
        now, before = blank(self.operator.grid.shape), blank(self.operator.grid.shape)
        np.multiply(v, alpha[-1], out=now)
        back = np.full(count, -ellipse.flatness)
        back[0] *= 2
        mixes = np.stack([alpha, np.full(count, scale), np.full(count, -ellipse.centre * scale), back], axis=1)
        with Room(self.operator.grid, varying=not self.operator.fields.uniform_noise) as room:
            for mix in mixes[-2::-1]:
                self.operator.staged(room, now, mix, v, before, transposed=transposed)
                now, before = before, now
        return now


@dataclass(frozen=True)
class CentralFaber:
    """Central differences of eighth order with exponential steps, exact in time for steady coefficients and of fourth order else."""

    order: float = ORDER
    positive: bool = False

    def __str__(self) -> str:
        return "Central8 + Faber exponential"

    def suits(self, problem: Problem, grid: ProductGrid) -> bool:
        """Wherever there is noise; the law should be a few cells wide."""
        return not problem.noiseless

    def stepper(self, problem: Problem, grid: ProductGrid) -> FaberStepper:
        """The steps."""
        return FaberStepper(problem, grid)

    def steps_for(self, problem: Problem, grid: ProductGrid, *, until: float) -> int:
        """One where the coefficients are steady; else as many as leave an error of :data:`TARGET` in time, found on a coarse grid."""
        return piloted_steps(self, problem, grid, until)


def thinned(grid: ProductGrid, p: Array) -> tuple[ProductGrid, Array]:
    """A grid of at most :data:`PILOT` cells along each axis, and the means of p over its cells."""
    parts = [-(-n // PILOT) for n in grid.shape]
    cells = [n // k for n, k in zip(grid.shape, parts, strict=True)]
    ends = [a.lower + a.spacing * n * k for a, n, k in zip(grid.axes, cells, parts, strict=True)]
    axes = tuple(Grid(a.lower, b, cells=n) for a, b, n in zip(grid.axes, ends, cells, strict=True))
    for axis, (n, k) in enumerate(zip(cells, parts, strict=True)):
        kept = np.take(p, range(n * k), axis=axis)
        p = kept.reshape(*kept.shape[:axis], n, k, *kept.shape[axis + 1 :]).mean(axis=axis + 1)
    return ProductGrid(axes), p


def piloted_steps(scheme: Any, problem: Problem, grid: ProductGrid, until: float) -> int:
    """Steps of a scheme that is exact in time where the coefficients are steady; else found on a coarse grid."""
    if problem.steady or until == 0:
        return 1
    pilot, start = thinned(grid, np.exp(problem.initial.log_density(grid.points)).reshape(grid.shape))
    return found_steps(scheme.stepper(problem, pilot), start, until)


def found_steps(stepper: Steps, start: Array, until: float) -> int:
    """The fewest fourth-order steps whose error in L¹ is below :data:`TARGET`, from the changes when steps are doubled."""

    def solved(steps: int) -> Array:
        return next(p for _, p in stepper.run(start, (until,), steps))

    steps, coarse = 1, solved(1)
    while steps < MOST:
        fine = solved(2 * steps)
        change = float(np.abs(fine - coarse).sum() / np.abs(fine).sum())
        if change < TARGET:
            return steps
        if change < ASYMPTOTIC:
            return int(np.ceil(1.2 * steps * (change / TARGET) ** 0.25))
        steps, coarse = 2 * steps, fine
    return steps
