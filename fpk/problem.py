r"""The problem: a stochastic differential equation, where it starts, how long it runs and where it lives.

    dX = f(X, t) dt + g(X, t) dW,    X_0 ~ p_0,    0 ≤ t ≤ T     (Itô; E[dW dWᵀ] = I dt)

`drift` is f, `diffusion` is g; `diffusivity` always means D = ½ g gᵀ. Its marginals p_t solve the Fokker–Planck equation

    ∂_t p = −∂_i(f_i p) + ∂_i ∂_j (D_ij p).

Time runs forward with the data at t = 0. A reverse-time problem is again a `Problem`, whose own clock τ = T − t runs forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any, Literal

import numpy as np

from fpk.coefficients import Coefficient, Linear
from fpk.errors import ProblemError, SchemeError
from fpk.laws import Array, as_law
from fpk.scalars import scalar
from fpk.schedules import Schedule
from fpk.shown import Shown, written
from fpk.tracing import traceable


@dataclass(frozen=True)
class Boundary:
    """What happens at the ends of the interval a one-dimensional process lives on.

    ``open`` is the whole line (a grid then has to be wide enough, and is checked); ``no_flux`` reflects, ``periodic`` wraps around,
    ``absorbing`` removes.

    Parameters
    ----------
    kind : ``"open"`` (default), ``"no_flux"``, ``"periodic"`` or ``"absorbing"``
    lower, upper : float
        Where the walls are; infinite, their default, for ``open``.

    Raises
    ------
    ProblemError
        For an unknown kind, or walls that are missing, not finite or not ordered.
    """

    kind: Literal["open", "no_flux", "periodic", "absorbing"] = "open"
    lower: float = -np.inf
    upper: float = np.inf

    def __post_init__(self) -> None:
        kinds = ("open", "no_flux", "periodic", "absorbing")
        if self.kind not in kinds:
            raise ProblemError(f"unknown boundary {self.kind!r}; one of {', '.join(kinds)}.")
        lower, upper = scalar(self.lower), scalar(self.upper)
        if self.kind == "open" and (lower, upper) != (-np.inf, np.inf):
            raise ProblemError("an open boundary has no walls; name the kind: no_flux, periodic or absorbing.")
        if self.kind != "open" and not -np.inf < lower < upper < np.inf:
            raise ProblemError(
                f"a {self.kind} boundary needs finite lower < upper, got {self.lower!r}, {self.upper!r}."
            )


OPEN = Boundary()


@dataclass(frozen=True)
class Problem(Shown):
    """dX = drift dt + diffusion dW from ``initial``, for 0 ≤ t ≤ ``horizon``.

    Parameters
    ----------
    drift, diffusion : number, callable ``f(x, t)`` or ``g(t)``, :class:`fpk.Linear`, sympy expression or its text
        Positions are (n, d) arrays, one-dimensional problems keep d = 1; functions for torch, JAX and others are given by
        :func:`fpk.array_libraries.written_for`. The diffusion broadcasts to (n, d) (one noise for each
        coordinate) or is a matrix of shape (n, d, m). For d > 1 a drift in formulas is a list of d, in x0, x1, ... and t.
    initial : Law or frozen scipy.stats law
        The law of X_0.
    horizon : float, default 1
        T, in units of the problem's time.
    boundary : Boundary, default the whole space
    schedule : Schedule, optional
        The (α, σ) of the law X_t = α_t X_0 + σ_t Z, where it is known.
    name : str, optional
        What messages and reports call it.
    noise_covariance : array, shape (m, m), optional
        Q, where the noises are correlated: E dW dWᵀ = Q dt. It is folded into the diffusion, which becomes G L with L Lᵀ = Q.

    Raises
    ------
    ProblemError
        If the horizon is not positive and finite, a coefficient cannot be understood, or the diffusion is negative.

    Examples
    --------
    >>> import fpk
    >>> problem = fpk.Problem("-x", "sqrt(2)", initial=fpk.Gaussian(1.0, 0.2), horizon=2.0)
    >>> problem.drift(np.array([[3.0]]), 0.0)
    array([[-3.]])
    """

    drift: Any
    diffusion: Any
    _: KW_ONLY
    initial: Any
    horizon: float = 1.0
    boundary: Boundary = OPEN
    schedule: Schedule | None = field(default=None, compare=False)
    name: str = ""
    noise_covariance: InitVar[Any] = None

    def __post_init__(self, noise_covariance: Any) -> None:
        if not 0 < scalar(self.horizon) < np.inf:
            raise ProblemError(f"the horizon must be positive and finite, got {self.horizon!r}.")
        if not isinstance(self.boundary, Boundary):
            raise ProblemError(
                f"the boundary must be a Boundary, for example Boundary('no_flux', 0.0, 1.0); got {self.boundary!r}."
            )
        if isinstance(self.initial, type):
            raise ProblemError(
                f"the initial law must be a law, got the class {self.initial.__name__}: give its parameters."
            )
        object.__setattr__(self, "initial", as_law(self.initial))
        for name in ("drift", "diffusion"):
            given = getattr(self, name)
            given = given.given if isinstance(given, Coefficient) else given
            object.__setattr__(self, name, Coefficient(given, self.dimension, name))
        if noise_covariance is not None:
            mixed = _correlated(self.diffusion, _numbers(noise_covariance))
            object.__setattr__(self, "diffusion", Coefficient(mixed, self.dimension, "diffusion"))
        self._check_diffusion()

    def __repr__(self) -> str:
        """As it would be written, without what is left at its default."""
        return written(self, plain=2)

    def _check_diffusion(self) -> None:
        probe = self.initial.sample(16, np.random.default_rng(0))
        for t in (0.0, 0.5 * self.horizon, self.horizon):
            value = self.diffusion(probe, t)
            if value.ndim < 3 and np.any(value < 0):
                raise ProblemError(
                    f"the diffusion g must not be negative, got {value.min():.4g} at t={t:g}. (g multiplies dW; the diffusivity is ½g².)"
                )

    @property
    def dimension(self) -> int:
        """Dimension d."""
        return self.initial.dimension

    @property
    def noiseless(self) -> bool:
        """Whether the diffusion is the constant 0, so that the process is an ordinary differential equation."""
        return self.diffusion.constant == 0.0

    @property
    def steady(self) -> bool:
        """Whether neither coefficient depends on t, as far as their form tells."""
        return self.drift.steady and self.diffusion.steady

    def diffusivity(self, x: Array, t: float) -> Array:
        """D = ½ g² at x, shape (n, d) (diagonal noise)."""
        if self.diffusion.constant is not None:
            same = np.empty(x.shape)
            same.fill(0.5 * self.diffusion.constant**2)
            return same
        value = self.diffusion(x, t)
        if value.ndim == 3:
            raise ProblemError("a matrix diffusion has no diagonal diffusivity; ask for diffusivity_matrix.")
        return np.broadcast_to(0.5 * value**2, x.shape)

    def diffusivity_matrix(self, x: Array, t: float) -> Array:
        """D = ½ G Gᵀ at x, shape (n, d, d), or (1, d, d) where it does not depend on x."""
        g = self.diffusion(x if self.diffusion.state_dependent else x[:1], t)
        if g.ndim == 3:
            return 0.5 * np.einsum("nim,njm->nij", g, g)
        rows = len(x) if self.diffusion.state_dependent else 1
        return 0.5 * np.broadcast_to(g, (rows, self.dimension))[:, :, None] ** 2 * np.eye(self.dimension)

    def checked_times(self, times: Sequence[float]) -> tuple[float, ...]:
        """The times, increasing; refuses what lies outside [0, horizon]."""
        plain = type(times) in (list, tuple) and set(map(type, times)) <= {float, int}
        if not (plain or np.ndim(times) == 1) or not len(times):
            raise ProblemError(
                f"times must be a list of at least one time, for example times=[0.5, 1.0]; got {times!r}."
            )
        end = self.horizon * (1 + 1e-12)
        if any(not 0 <= (t if plain else scalar(t)) <= end for t in times):
            raise ProblemError(f"times must lie in [0, {self.horizon:g}] (the problem's horizon), got {list(times)}.")
        return tuple(sorted({float(t) for t in times}))


def _numbers(given: Any) -> Array:
    try:
        return np.asarray(given, float)
    except (TypeError, ValueError) as error:
        raise ProblemError(f"the covariance of the noises must be numbers, got {given!r}.") from error


def _correlated(diffusion: Coefficient, covariance: Array) -> Any:
    """G L for a factor L of the covariance of the noises, in the most telling form a diffusion can have."""
    factor = _factor(covariance)
    anywhere = np.zeros((1, diffusion.dimension))

    def mixed(x: Array, t: float) -> Array:
        g = diffusion(x, t)
        if g.ndim < 3:
            g = np.broadcast_to(g, x.shape)[:, :, None] * np.eye(diffusion.dimension)
        if g.shape[2] != len(factor):
            raise ProblemError(f"{g.shape[2]} noises have a covariance of that size, got shape {covariance.shape}.")
        return (g[:, :, :, None] * factor).sum(2)

    if diffusion.state_dependent:
        return traceable(mixed) if diffusion.traceable else mixed
    return mixed(anywhere, 0.0)[0] if diffusion.steady else lambda t: mixed(anywhere, t)


def _factor(covariance: Array) -> Array:
    """L with L Lᵀ = Q."""
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or not np.allclose(covariance, covariance.T):
        raise ProblemError(
            f"the covariance of the noises must be a symmetric (m, m) matrix, got {covariance.tolist()}."
        )
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-12 * max(values[-1], 0.0) or values[-1] <= 0:
        raise ProblemError(
            f"the covariance of the noises has the eigenvalues {values.tolist()}: none may be negative, nor all 0."
        )
    return vectors * np.sqrt(np.maximum(values, 0.0))


def checked_steps(steps: Any, *, what: str) -> int:
    """The steps, refused where they are no whole number of at least 1.

    Raises
    ------
    SchemeError
        With what was given.
    """
    if not isinstance(steps, (int, float, np.integer, np.floating)) or not (steps >= 1 and steps % 1 == 0):
        raise SchemeError(f"{what} needs a whole number of steps ≥ 1, got steps={steps!r}.")
    return int(steps)


def step_plan(times: Sequence[float], steps: int) -> tuple[tuple[int, float], ...]:
    """For each interval between 0 and the increasing ``times``: how many of ``steps`` it gets, and how long they are."""
    starts = (0.0, *times[:-1])
    counts = [max(1, round(steps * (b - a) / times[-1])) if b > a else 0 for a, b in zip(starts, times, strict=True)]
    return tuple((n, (b - a) / n if n else 0.0) for n, a, b in zip(counts, starts, times, strict=True))


def chain_name(times: Sequence[float], steps: int) -> str:
    """The name of the steps that ``steps`` steps to the last of ``times`` are: equal names, equal step sequences."""
    return " ".join(f"{count}×{length:.12g}" for count, length in step_plan(times, steps))


def noising(schedule: Schedule, initial: Any, *, horizon: float = 1.0, name: str = "") -> Problem:
    """The forward (noising) SDE dX = f(t) X dt + g(t) dW of a schedule.

    Parameters
    ----------
    schedule : Schedule
        For example :class:`fpk.VPSchedule`.
    initial : Law
        The data law, at t = 0.
    horizon : float, default 1
    name : str, optional

    Returns
    -------
    Problem

    Raises
    ------
    ProblemError
        If the schedule has noise at t = 0: the SDE starts from the data themselves.

    Examples
    --------
    >>> import fpk
    >>> problem = noising(fpk.VPSchedule(0.1, 20.0), fpk.Gaussian(2.0, 0.5))
    >>> round(float(problem.diffusion(np.zeros((1, 1)), 1.0)), 6)
    4.472136
    """
    if (left := schedule.sigma(0.0)) > 1e-12:
        raise ProblemError(
            f"an SDE starts from the data, {schedule!r} has noise of standard deviation {left:g} there: follow its velocity "
            "(fpk.fields.exact_field with kind='velocity'), or let the noise begin at 0."
        )
    return Problem(
        Linear(schedule.drift_rate),
        schedule.diffusion,
        initial=initial,
        horizon=horizon,
        schedule=schedule,
        name=name or type(schedule).__name__,
    )
