r"""Manufactured solutions: a problem made from the curve of densities that shall solve it.

Choose positive densities p(x, t) of mass 1 with distribution function F(x, t) = ∫ p from the lower end, a diffusion g(x, t) with D = ½ g², and, on
a ring, the flux c(t) through the glued ends. Mass is conserved exactly if the flux is J = c − ∂_t F, and J = f p − ∂_x(D p) then says which
drift does it:

    f = (c − ∂_t F) / p + ∂_x D + D ∂_x log p.

The Fokker–Planck equation holds without a source, no term of it vanishes, and every term varies in x and t. Where p = q(M) M' for a law q and an
increasing map M(·, t), F = Q(M) and the first term is −∂_t M/∂_x M: nothing is divided by a density that may underflow.

============================ ========= ====================================================================================
:func:`between_walls`         no_flux   even about both walls (p, D even, f odd): mirrors keep the full order of a scheme
:func:`pushed_against_walls`  no_flux   f ≠ 0 at the walls: mirror images have a kink there, and every scheme is of second order
:func:`around_a_ring`         periodic  with circulation; nothing is even
:func:`on_the_line`           open      a Gaussian law, bent and moving
:func:`modes_between_walls`   no_flux   f and D are c(t) times functions of x: exact decaying eigenmodes, real spectrum
:func:`modes_around_a_ring`   periodic  steady coefficients with circulation: complex eigenvalues
============================ ========= ====================================================================================

References
----------
Roache (2002), Code verification by the method of manufactured solutions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array
from fpk.problem import OPEN, Boundary, Problem
from fpk.problems.curves import FAR, PROBES, Curve, CurveLaw, as_function, read, symbols

#: Departure of F from 0 and 1 at the ends, and of ∂_x F from p, that is put down to rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Manufactured:
    """A problem with its exact solution.

    Parameters
    ----------
    problem : Problem
        Its initial law is the density at 0.
    curve : Curve
        The solution.
    drift, diffusion, flux : sympy expressions in x and t
        f, g and J = c − ∂_t F.

    Examples
    --------
    >>> import fpk
    >>> made = between_walls()
    >>> solution = fpk.solve(made.problem, fpk.Grid(0, 1, cells=64), times=[1.0], steps=64)
    >>> bool(abs(solution.density(1.0) - made.density(solution.grid.centers, 1.0)).max() < 1e-7)
    True
    """

    problem: Problem
    curve: Curve
    drift: Any = field(repr=False)
    diffusion: Any = field(repr=False)
    flux: Any = field(repr=False)

    def density(self, x: Array, t: float) -> Array:
        """p(x, t) at x of shape (n,)."""
        return np.exp(self.curve.log_density(np.asarray(x, float), t))

    def law(self, t: float) -> CurveLaw:
        """The law of X_t."""
        return self.curve.law(t)

    def residual(self, x: Array, t: float) -> Array:
        """∂_t p + ∂_x(f p) − ∂_x²(D p) at x of shape (n,), by sympy from f, g and log p: it knows nothing of how f was made."""
        import sympy

        s, u = symbols()
        p = sympy.exp(self.curve.log_p)
        left = sympy.diff(p, u) + sympy.diff(self.drift * p, s) - sympy.diff(self.diffusion**2 * p / 2, s, 2)
        return np.broadcast_to(sympy.lambdify([s, u], left, ["scipy", "numpy"])(x, t), np.shape(x))

    def misread(self, variance: float) -> Manufactured:
        """The same densities and drift with a factor on g²: a problem that they do not solve."""
        problem = replace(self.problem, diffusion=as_function(self.diffusion * variance**0.5))
        return replace(self, problem=problem, diffusion=self.diffusion * variance**0.5)


def manufactured(
    density: Any,
    *,
    diffusion: Any,
    boundary: Boundary = OPEN,
    horizon: float = 1.0,
    distribution: Any = None,
    circulation: Any = 0,
    name: str = "manufactured",
) -> Manufactured:
    """The problem whose marginals are the given densities.

    Parameters
    ----------
    density : sympy expression or text, in x and t
        p > 0 of mass 1 over the domain at all times.
    diffusion : sympy expression or text, in x and t
        g > 0.
    boundary : Boundary, default the line
        On a periodic domain p and g have its period.
    horizon : float, default 1
    distribution : sympy expression or text, optional
        F, with F = 0 at the lower end; default: sympy integrates p.
    circulation : sympy expression or text, in t
        c(t), the flux through the ends of a ring; 0 elsewhere.
    name : str

    Raises
    ------
    ProblemError
        If the mass is not 1 at all times, p is not positive, F is not the distribution function of p, or mass would flow through a wall.

    Examples
    --------
    >>> made = manufactured("1 + cos(pi*x)*exp(-t)/2", diffusion="1", boundary=Boundary("no_flux", 0.0, 1.0))
    >>> bool(abs(made.residual(np.linspace(0.1, 0.9, 5), 0.3)).max() < 1e-13)
    True
    """
    import sympy

    x, t = symbols()
    p, c = read(density), read(circulation)
    if distribution is None:
        start = sympy.Float(boundary.lower) if boundary.kind != "open" else -sympy.oo
        F = sympy.integrate(p, (x, start, x))
    else:
        F = read(distribution)
    curve = Curve(sympy.log(p), F, boundary.lower, boundary.upper)
    _check(curve, sympy.lambdify([x, t], p - sympy.diff(F, x), ["scipy", "numpy"]), boundary, horizon, c)
    return _made(curve, (c - sympy.diff(F, t)) / p, diffusion, boundary, horizon, c, name)


def transported(
    level: Any, *, diffusion: Any, horizon: float = 1.0, name: str = "transported Gaussian", slopes: float = 1e-3
) -> Manufactured:
    """The problem on the line with P(X_t ≤ x) = Φ(M(x, t)), Φ the normal distribution function.

    Parameters
    ----------
    level : sympy expression or text, in x and t
        M, increasing in x without bound on both sides.
    diffusion : sympy expression or text, in x and t
        g > 0.
    horizon : float, default 1
    name : str
    slopes : float
        Least ∂_x M that is accepted.

    Raises
    ------
    ProblemError
        If M does not increase.
    """
    import sympy

    x, t = symbols()
    M = read(level)
    slope = sympy.diff(M, x)
    probe = np.linspace(-FAR, FAR, PROBES)
    for when in np.linspace(0.0, horizon, 5):
        steepness = np.broadcast_to(sympy.lambdify([x, t], slope, "numpy")(probe, when), probe.shape)
        if not np.all(steepness > slopes):
            at = probe[int(np.argmin(steepness))]
            raise ProblemError(
                f"the level M = {M} must increase in x, but ∂M/∂x = {steepness.min():.3g} at x={at:g}, t={when:g}. "
                "Make its linear part larger."
            )
    log_p = -(M**2) / 2 + sympy.log(slope) - sympy.log(2 * sympy.pi) / 2
    curve = Curve(log_p, (1 + sympy.erf(M / sympy.sqrt(2))) / 2)
    return _made(curve, -sympy.diff(M, t) / slope, diffusion, OPEN, horizon, sympy.Integer(0), name)


def _made(
    curve: Curve, velocity: Any, diffusion: Any, boundary: Boundary, horizon: float, c: Any, name: str
) -> Manufactured:
    """Drift from the velocity J/p: f = J/p + ∂_x D + D ∂_x log p."""
    import sympy

    x, t = symbols()
    g = read(diffusion)
    D = g**2 / 2
    f = velocity + sympy.diff(D, x) + D * sympy.diff(curve.log_p, x)
    problem = Problem(
        as_function(f), as_function(g), initial=curve.law(0.0), horizon=horizon, boundary=boundary, name=name
    )
    return Manufactured(problem, curve, f, g, c - sympy.diff(curve.F, t))


def _check(curve: Curve, apart: Any, boundary: Boundary, horizon: float, c: Any) -> None:
    """Mass, positivity, F against p, and closed walls, at nine times."""
    if boundary.kind == "absorbing":
        raise ProblemError("manufactured densities keep mass 1: the boundary may be open, no_flux or periodic.")
    if boundary.kind != "periodic" and c != 0:
        raise ProblemError(f"circulation={c} needs a periodic boundary, this one is {boundary.kind}: leave it out.")
    ends = (-FAR, FAR) if boundary.kind == "open" else (boundary.lower, boundary.upper)
    x = np.linspace(*ends, PROBES)
    for t in np.linspace(0.0, horizon, 9):
        with np.errstate(all="ignore"):  # what is not a number is refused here, with its place
            logs, F = curve.log_density(x, t), curve.distribution(x, t)
            off = np.broadcast_to(apart(x, t), x.shape)
        worst = x[int(np.argmin(np.where(np.isnan(logs), -np.inf, logs)))]
        if np.any(np.isnan(logs)) or (boundary.kind != "open" and not np.all(np.isfinite(logs))):
            raise ProblemError(
                f"the density must be positive on the whole domain, it is not at x={worst:.4g}, t={t:g}. Add to it, or weaken its waves."
            )
        if not (abs(F[0]) < ROUNDING and abs(F[-1] - 1) < ROUNDING):
            raise ProblemError(
                f"F must run from 0 to 1, it runs from {F[0]:.6g} to {F[-1]:.6g} at t={t:g}: "
                "the mass of p must be 1 at all times, and the integral begin at the lower end. Divide p by its mass."
            )
        if not np.nanmax(np.abs(off)) < ROUNDING * max(1.0, float(np.exp(logs.max()))):
            raise ProblemError(
                f"distribution= is not the integral of the density: ∂F/∂x − p = {np.nanmax(np.abs(off)):.3g} at t={t:g}. "
                "Leave it out to have p integrated."
            )


# -- instances ---------------------------------------------------------------------------------------------------------

UNIT_WALLS, UNIT_RING = Boundary("no_flux", 0.0, 1.0), Boundary("periodic", 0.0, 1.0)


def between_walls() -> Manufactured:
    """Cosines between walls at 0 and 1: p = 1 + a cos πx + b cos 2πx, with g varying in x and t."""
    return manufactured(
        "1 + (2 + cos(2*t))/8*cos(pi*x) + sin(1 + t)/5*cos(2*pi*x)",
        diffusion="sqrt((4 + cos(pi*x) + t)/12)",
        boundary=UNIT_WALLS,
        distribution="x + (2 + cos(2*t))/8*sin(pi*x)/pi + sin(1 + t)/10*sin(2*pi*x)/pi",
        name="cosines between walls",
    )


def pushed_against_walls() -> Manufactured:
    """p = 1 + a(t)(2x − 1): the drift pushes against both walls, ∂_x p ≠ 0 there.

    The mirror image of p has a kink there. Every scheme is of second order in space, at the walls, inside and in the mean.
    """
    return manufactured(
        "1 + (2 + sin(3*t))/6*(2*x - 1)",
        diffusion="sqrt((4 + x + t)/12)",
        boundary=UNIT_WALLS,
        distribution="x + (2 + sin(3*t))/6*(x**2 - x)",
        name="pushed against walls",
    )


def around_a_ring() -> Manufactured:
    """Waves around a ring of length 1 with the circulation c = (1 + t)/8."""
    return manufactured(
        "1 + (2 + cos(2*t))/16*cos(2*pi*x) + sin(1 + t)/10*sin(2*pi*x)",
        diffusion="sqrt((4 + sin(2*pi*x) + t)/12)",
        boundary=UNIT_RING,
        distribution="x + (2 + cos(2*t))/32*sin(2*pi*x)/pi + sin(1 + t)/20*(1 - cos(2*pi*x))/pi",
        circulation="(1 + t)/8",
        name="waves around a ring",
    )


def on_the_line() -> Manufactured:
    """P(X_t ≤ x) = Φ(M) with M = x − sin(2t)/2 + .3 sin(x + t): two humps at some times, one at others."""
    return transported("x - sin(2*t)/2 + 3*sin(x + t)/10", diffusion="sqrt(1 + sin(x + t)/4)", name="bent Gaussian")


#: The warped coordinate of the modes: odd about 0 and 1, of period 1 up to a shift.
WARP = "(x + sin(2*pi*x)/60)"


def modes_between_walls() -> Manufactured:
    """Brownian motion between walls in the coordinate y = x + sin(2πx)/60, with the clock C(t) = t + t²/2: p dx = (1 + ½ e^{−π²C/10} cos πy) dy."""
    import sympy

    x, t = symbols()
    y, C = read(WARP), read("t + t**2/2")
    slope, decay = sympy.diff(y, x), sympy.exp(-(sympy.pi**2) * C / 10) / 2
    D = sympy.diff(C, t) / 10 / slope**2
    curve = Curve(
        sympy.log(slope * (1 + decay * sympy.cos(sympy.pi * y))),
        y + decay * sympy.sin(sympy.pi * y) / sympy.pi,
        0.0,
        1.0,
    )
    return _of_modes(curve, sympy.Integer(0), D, UNIT_WALLS, "modes between walls")


def modes_around_a_ring() -> Manufactured:
    """Brownian motion with drift ⅛ around a ring, in the coordinate y = x + sin(2πx)/60: p dx = (1 + ½ e^{−4π²t/20} cos 2π(y − t/8)) dy."""
    import sympy

    x, t = symbols()
    y, turn = read(WARP), 2 * sympy.pi
    slope, decay = sympy.diff(y, x), sympy.exp(-(turn**2) * t / 20) / 2

    def wave(function: Any, place: Any) -> Any:
        return decay * function(turn * (place - t / 8))

    D = sympy.Rational(1, 20) / slope**2
    through = (1 + wave(sympy.cos, sympy.Integer(0))) / 8 + wave(sympy.sin, sympy.Integer(0)) * turn / 20
    F = y + (wave(sympy.sin, y) - wave(sympy.sin, sympy.Integer(0))) / turn
    curve = Curve(sympy.log(slope * (1 + wave(sympy.cos, y))), F, 0.0, 1.0)
    return _of_modes(curve, through, D, UNIT_RING, "modes around a ring")


def _of_modes(curve: Curve, c: Any, D: Any, boundary: Boundary, name: str) -> Manufactured:
    import sympy

    velocity = (c - sympy.diff(curve.F, symbols()[1])) / sympy.exp(curve.log_p)
    return _made(curve, velocity, sympy.sqrt(2 * D), boundary, 1.0, c, name)
