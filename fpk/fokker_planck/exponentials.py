r"""Exponential steps: p ↦ exp(τA) p through rational functions, exact in time where A(t) = c(t) A.

    exp(z) ≈ r(z) = r_∞ + Re Σ_s c_s / (z − z_s),       exp(τA) p ≈ r_∞ p + Re Σ_s τ⁻¹ c_s (A − z_s/τ)⁻¹ p.

:data:`CRAM16` is the near-best approximation on the whole negative axis (5e-14 there; not to be used off it), so one step is enough for a real
spectrum, however long. :data:`PADE45` is L-stable of order 9. With A(t) = c(t) A the solution is exp(∫c · A) p: a change of clock.
For other A(t), the commutator-free Magnus method of order 4 takes two exponentials a step, with the Gauss nodes t₁, t₂ and
a_± = ¼ ± √3/6:

    p(t + τ) = exp(τ(a_− A₁ + a_+ A₂)) exp(τ(a_+ A₁ + a_− A₂)) p(t).

References
----------
Cody, Meinardus and Varga (1969); Trefethen, Weideman and Schmelzer (2006), Carathéodory–Fejér computation of the poles; Blanes and Moan
(2006), the commutator-free method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev

from fpk.errors import SchemeError
from fpk.fokker_planck import kernels
from fpk.fokker_planck.fluxes import Rates, Sampled
from fpk.fokker_planck.stepping import Stepper, periodic_solver
from fpk.fokker_planck.sweep import LANES, room_for, solve_shifted
from fpk.grids import Grid
from fpk.laws import Array
from fpk.problem import Problem

#: Times at which a change of clock is looked for, as fractions of the horizon: Gauss–Legendre nodes.
LOOKS = tuple((1 + np.polynomial.legendre.leggauss(17)[0]) / 2)
#: Degree of the series of a clock's rate.
CHEBYSHEV = 48
#: Largest √(Σ q²/π)/max|q| for which errors of CRAM-16 stay near round-off.
NEAR = 1e3
#: Largest relative departure from A(t) = c(t) A.
SAME = 1e-11


@dataclass(frozen=True, eq=False)
class Rational:
    """A rational approximation of the exponential function, r(0) = 1.

    Parameters
    ----------
    name : str
    order : float
        Of r(z) − e^z at 0; infinite where the error is at round-off on the whole negative axis.
    poles, residues : complex arrays, shape (s,)
        One of each conjugate pair, its residue doubled.
    """

    name: str
    order: float
    poles: Array
    residues: Array

    @cached_property
    def _lanes(self) -> tuple[Array, Array]:
        """Real and imaginary parts of poles and residues, shape (2, LANES); idle lanes repeat the first pole with no residue."""
        poles = np.full((2, LANES), [[self.poles[0].real], [self.poles[0].imag]])
        residues, count = np.zeros((2, LANES)), len(self.poles)
        poles[:, :count], residues[:, :count] = (
            (self.poles.real, self.poles.imag),
            (self.residues.real, self.residues.imag),
        )
        return poles, residues

    @cached_property
    def direct(self) -> float:
        """r_∞, so that r(0) = 1 to the last bit and mass is conserved."""
        return 1.0 + float((self.residues / self.poles).real.sum())

    def propagator(self, rates: Rates, step: float) -> Callable[[Array], Array]:
        """p ↦ r(step · A) p, shape (n,) to (n,).

        Sparse factors are kept where the matrix wraps around; elsewhere every p takes one sweep, which costs no more than solves with
        kept factors, and less memory.
        """
        if rates.periodic:
            return self._wrapped(rates, self.poles / step, self.residues / step)
        poles, residues = self._lanes

        def applied(p: Array) -> Array:
            out, room = np.empty(len(p)), np.empty(room_for(len(p), rates.width))
            solve_shifted(rates.rows, step, np.ascontiguousarray(p), poles, residues, self.direct, room, out)
            return out

        return applied

    def _wrapped(self, rates: Rates, shifts: Array, residues: Array) -> Callable[[Array], Array]:
        solvers = []
        for z in shifts:
            rows = rates.rows.astype(complex)
            rows[rates.width] -= z
            solvers.append(periodic_solver(rows))
        return lambda p: (
            self.direct * p
            + sum(((c * solve(p, False)).real for c, solve in zip(residues, solvers, strict=True)), np.zeros(len(p)))
        )


CRAM16 = Rational(
    "CRAM-16",
    math.inf,
    np.array([
        6.426297498431201 + 1.19469992052438j, 5.9583674621392655 + 3.589227090646854j,
        5.0036231348759 + 5.999953382819157j, 3.520017060276091 + 8.440745872125058j,
        1.4311509492921133 + 10.931598701985953j, -1.4006174319284785 + 13.505837945478275j,
        -5.248999134432127 + 16.230183380116973j, -10.823477773031836 + 19.288503044383653j,
    ]),
    2 * np.array([
        -65.0718884746133 - 227.02100270712035j, 114.45229473099192 + 103.22096588234179j,
        -63.169221599283766 - 11.485310154339723j, 15.253002879103532 - 5.754168940020549j,
        -1.5071179978683673 + 1.781385256456009j, 0.04275759844238182 - 0.1592163426367635j,
        0.00017311765382911756 + 0.004460097427039742j, -2.5442469904170713e-07 - 2.4708286341080016e-05j,
    ]),
)  # fmt: skip


def pade(numerator: int, denominator: int) -> Rational:
    """The Padé approximation [numerator / denominator] of e^z; L-stable for one or two degrees more below than above."""
    from numpy.polynomial import Polynomial

    m, k = numerator, denominator
    total = math.factorial(m + k)
    above = Polynomial([math.comb(m, j) * math.factorial(m + k - j) / total for j in range(m + 1)])
    below = Polynomial([(-1) ** j * math.comb(k, j) * math.factorial(m + k - j) / total for j in range(k + 1)])
    poles: Any = below.roots().astype(complex)
    poles = poles[poles.imag > -1e-12 * np.abs(poles)]
    poles = np.where(np.abs(poles.imag) < 1e-12 * np.abs(poles), poles.real, poles)
    for _ in range(3):  # Newton: roots of the companion matrix are good to a few digits less
        poles = poles - below(poles) / below.deriv()(poles)
    residues = above(poles) / below.deriv()(poles) * np.where(poles.imag == 0, 1, 2)
    return Rational(f"Padé({m},{k})", m + k, poles, residues)


PADE45 = pade(4, 5)


@dataclass(frozen=True)
class Exponential:
    """One exponential for each interval between stored times, where A(t) = c(t) A; with a spectrum not known to be real, Padé(4,5) steps.

    Parameters
    ----------
    name : str
    order : float
    positive : bool
        Rational functions of this order undershoot.
    """

    name: str = "exponential"
    order: float = PADE45.order
    positive: bool = False

    def stepper(self, rates_at: Callable[[float], Rates], clock: Clock) -> Stepper:
        """Steps of this method along the clock of A(t) = c(t) A."""
        return ExponentialStepper(rates_at(clock.reference), clock)


@dataclass(frozen=True)
class Magnus4:
    """The commutator-free Magnus method of order 4, with Padé(4,5) exponentials."""

    name: str = "Magnus-4"
    order: float = 4
    positive: bool = False

    def stepper(self, rates_at: Callable[[float], Rates], clock: Any = None) -> Stepper:
        """Steps of this method; ``clock`` is not used."""
        return MagnusStepper(rates_at)


EXPONENTIAL, MAGNUS4 = Exponential(), Magnus4()


@dataclass(frozen=True)
class Clock:
    """∫c over an interval, where A(t) = c(t) A(reference)."""

    reference: float
    elapsed: Callable[[float, float], float]


STEADY = Clock(0.0, lambda a, b: b - a)


def time_change(problem: Problem, grid: Grid) -> Clock | None:
    """The clock of A(t) = c(t) A, or None where drift and diffusivity are not one function of x times one of t.

    Looked for at 17 times on the whole grid and, at three places, at every time the integral of c needs.
    """
    if problem.steady:
        return STEADY
    try:
        return _found(problem, grid)
    except _NotOneClock:
        return None


class _NotOneClock(SchemeError):
    def __init__(self) -> None:
        super().__init__(
            "drift and diffusivity do not change in time by one common factor: an exponential of one matrix is not the solution. "
            "Pass scheme=MAGNUS or ACCURATE (fpk.fokker_planck.discretisation)."
        )


def _found(problem: Problem, grid: Grid) -> Clock:
    sampled = Sampled(problem, grid)
    seen = [(t * problem.horizon, *sampled(t * problem.horizon)[:2]) for t in (LOOKS[0], LOOKS[-1])]
    reference, f, D = max(seen, key=lambda s: s[2].max())
    for t in LOOKS:
        _ratio(*sampled(t * problem.horizon)[:2], f, D)
    x = grid.centers[[grid.cells // 4, grid.cells // 2, 3 * grid.cells // 4], None]

    def at(t: float) -> tuple[Array, Array]:
        return problem.drift.column(x, t), problem.diffusivity(x, t)[:, 0]

    unit = at(reference)
    return Clock(reference, _integrated(lambda t: _ratio(*at(t), *unit), problem.horizon))


def _integrated(rate: Callable[[float], float], horizon: float) -> Callable[[float, float], float]:
    """(a, b) ↦ ∫_a^b rate dt, to ten digits: by one Chebyshev series where that resolves the rate, else by quadrature each time."""
    from scipy.integrate import quad

    def quadrature(a: float, b: float) -> float:
        value, error = quad(rate, a, b, epsabs=0.0, epsrel=1e-12, full_output=True)[:2]
        if error > 1e-10 * abs(value):
            raise _NotOneClock
        return value

    total = quadrature(0.0, horizon)
    series = Chebyshev.interpolate(lambda t: np.array([rate(u) for u in t]), CHEBYSHEV, domain=(0.0, horizon))
    if np.abs(series.coef[-4:]).max() > 1e-13 * np.abs(series.coef).max():
        return quadrature
    primitive = series.integ()

    def elapsed(a: float, b: float) -> float:
        value = float(primitive(b) - primitive(a))
        return value if abs(value) > 1e-4 * abs(total) else quadrature(a, b)  # differences of small values lose digits

    return elapsed


def _ratio(f: Array, D: Array, f_unit: Array, D_unit: Array) -> float:
    """The c of (f, D) = c (f_unit, D_unit)."""
    c = float(D.sum() / D_unit.sum())
    if (
        max(np.abs(f - c * f_unit).max() / (np.abs(f_unit).max() or 1.0), np.abs(D - c * D_unit).max() / D_unit.max())
        > SAME * c
    ):
        raise _NotOneClock
    return c


class ExponentialStepper(Stepper):
    """Rational exponentials of one rate matrix along a clock."""

    def __init__(self, rates: Rates, clock: Clock) -> None:
        super().__init__(lambda t: rates)
        self._matrix = rates
        self.clock = clock
        self.rational: Rational | None = None

    def rates(self, t: float) -> Rates:
        """The one rate matrix, at all times."""
        return self._matrix

    def counted(self, steps: int) -> int:
        """One step for each interval with :data:`CRAM16`."""
        return 1 if self._chosen(None) is CRAM16 else steps

    def _chosen(self, q: Array | None) -> Rational:
        """CRAM-16 for a real spectrum and a state that is not large where Gibbs weights are small; decided once, so that maps stay transposes.

        The error of CRAM-16 is 5e-14 in the norm √(Σ q²/π), which does not grow. Before any state is known, q = 1 stands for it.
        """
        if self.rational is None:
            equilibrium = self.rates(0.0).equilibrium
            near = (
                equilibrium is not None
                and kernels.weighted_norm(*equilibrium, np.ones(len(equilibrium[1])) if q is None else q) < NEAR
            )
            if q is None:
                return CRAM16 if near else PADE45
            self.rational = CRAM16 if near else PADE45
        return self.rational

    def run(self, p: Array, times: tuple[float, ...], steps: int) -> Iterator[tuple[float, Array]]:
        """As every stepper; chooses the rational function by the first state."""
        self._chosen(p)
        yield from super().run(p, times, steps)

    def _mapped(self, state: Array, t: float, step: float, *, transposed: bool) -> Array:
        length = round_clock(self.clock.elapsed(t, t + step))

        def made() -> Callable[[Array], Array]:
            rates = self._matrix.transposed() if transposed else self._matrix
            return self._chosen(None).propagator(rates, length)

        return self.kept((length, transposed), made)(state)

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The state at t + step: r(∫c · A) p."""
        return self._mapped(p, t, step, transposed=False)

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transpose: r(∫c · Aᵀ) u."""
        return self._mapped(u, t, step, transposed=True)


def round_clock(length: float) -> float:
    """The length without its last three digits, so that steps which differ by round-off share their factors."""
    return float(f"{length:.13g}")


class MagnusStepper(Stepper):
    """Two exponentials of combined rate matrices for each step."""

    NODES = (0.5 - 3**0.5 / 6, 0.5 + 3**0.5 / 6)
    WEIGHTS = (0.25 + 3**0.5 / 6, 0.25 - 3**0.5 / 6)

    def _combined(self, t: float, step: float) -> tuple[Rates, Rates]:
        one, two = (self.rates_at(t + node * step) for node in self.NODES)
        large, small = self.WEIGHTS
        mixed = [one._replace(rows=a * one.rows + b * two.rows) for a, b in ((large, small), (small, large))]
        return mixed[0], mixed[1]

    def advanced(self, p: Array, t: float, step: float) -> Array:
        """The state at t + step."""
        for rates in self._combined(t, step):
            p = PADE45.propagator(rates, step)(p)
        return p

    def returned(self, u: Array, t: float, step: float) -> Array:
        """The transposed exponentials, the other way round."""
        for rates in reversed(self._combined(t, step)):
            u = PADE45.propagator(rates.transposed(), step)(u)
        return u
