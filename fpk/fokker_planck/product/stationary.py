r"""Stationary laws in two and three dimensions: null vectors of high-order operators, currents, and how fast all else decays.

    A p = 0,  ∫ p = 1,        A v = λ v with the largest Re λ < 0: the spectral gap is −Re λ.

A drift that is no gradient leaves a law at rest with a current that goes round,

    J = f p − ∇·(D p) ≠ 0,    ∇·J = 0.

Nothing is factored. With P = e^{τA} from the scheme that also moves densities, p belongs to the eigenvalue e^{0} = 1 of P and the slowest modes to
the next ones e^{λτ}, while all that is fast, rough or spurious has e^{λτ} ≈ 0: Arnoldi's method finds them from some dozens of products
with P, however stiff A is. The duration τ is that of an exponential of :data:`STAGES` stages. Barriers make |e^{λτ}| come close to 1, which
these subspaces see as well as any other isolated eigenvalue; errors grow like ε/(1 − |e^{λτ}|).

In an open box nothing is at rest exactly: p decays at the rate λ₀ at which it leaks. It is taken for a law only if that is slow against the gap.

References
----------
Saad (2011), Numerical Methods for Large Eigenvalue Problems, §6.2 and §8.2; Risken (1989), The Fokker–Planck Equation, §6.4 (currents).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fpk.errors import GridError, MassAtEdges, SchemeError
from fpk.fokker_planck.product.differences import FIRST
from fpk.fokker_planck.product.discretisation import ProductDiscretisation, discretised, named_box
from fpk.fokker_planck.product.explicit import frozen_symbols
from fpk.fokker_planck.product.fields import Fields, fields_at, pairs
from fpk.fokker_planck.product.solutions import ProductLaw, ProductMarginals
from fpk.fokker_planck.product.solver import EDGE_CELLS, EDGE_LIMIT, LARGEST
from fpk.fokker_planck.steady import require_steady
from fpk.grids import ProductGrid
from fpk.laws import Array
from fpk.marginals import Estimate
from fpk.panels import Panel
from fpk.problem import Problem
from fpk.shown import Summarised

#: Stages of an exponential: fewer need more of them, more are longer than Arnoldi's method needs.
STAGES = 200
#: Modes that are looked for (the law and the next four), vectors of the subspace, and how often it is begun again at most.
MODES, SUBSPACE, RESTARTS = 5, 24, 40
#: Relative residual of the eigenvectors.
TOLERANCE = 1e-12
#: Part of τ after which phases of modes are read: rotations by less than half a turn are told apart.
EARLY = 0.125
#: Agreement of the decay over that part with the decay over τ.
SAME = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class ProductStationaryLaw(Summarised):
    """The law that a steady problem leaves alone, on a product grid.

    Parameters
    ----------
    problem : Problem
    grid : ProductGrid
    density : array of the grid's shape
        p at the cell centres, ∫ p = 1.
    spectrum : complex array, shape (4,)
        The eigenvalues of A nearest to the imaginary axis after that of p, by decreasing real part.
    leak : float
        Rate at which mass at rest leaves the box, |λ₀|.
    floor : float
        What no refinement removes: mass near the edges, the leak against the gap, and round-off.
    plan : ProductDiscretisation
        What computed it.
    halved : callable
        Finds the law on half the cells along each axis.
    """

    problem: Problem
    grid: ProductGrid
    density: Array
    spectrum: Any
    leak: float
    floor: float
    plan: ProductDiscretisation
    halved: Callable[[], ProductStationaryLaw]

    @property
    def gap(self) -> float:
        """−Re λ of the slowest decay: correlations die like exp(−gap · t)."""
        return float(-self.spectrum[0].real)

    @property
    def minimum(self) -> float:
        """The deepest undershoot (≥ 0 up to round-off for positive schemes)."""
        return float(self.density.min())

    @cached_property
    def current(self) -> Array:
        """J = f p − ∇·(D p) at the cell centres by differences of eighth order, shape (d, *shape)."""
        return current_of(fields_at(self.problem, self.grid)(0.0), self.grid, self.density)

    @cached_property
    def law(self) -> ProductLaw:
        """The law itself, log-splined between the cell centres."""
        return self._marginals.law(0.0)

    @cached_property
    def _marginals(self) -> ProductMarginals:
        order = self.plan.scheme.order
        return _AtRest(
            self.grid, (0.0,), self.density[None], order, self.floor, self.plan, lambda: self.halved()._marginals
        )

    def expect(self, panel: Panel) -> Estimate:
        """Expectations, the same at all times, with a budget from half of the cells; joint ones of the process at rest.

        The budget is infinite where half of the cells cannot hold the law.
        """
        return self._marginals.expect(panel)

    def __str__(self) -> str:
        """What computed it, in words."""
        return self._marginals.source


class _AtRest(ProductMarginals):
    """Marginals that are the same at all times."""

    @property
    def source(self) -> str:
        return f"law at rest, {self.plan}"

    def density(self, t: float) -> Array:
        return self.densities[0]

    def _residuals(self, half: ProductMarginals) -> tuple[None, None]:
        return None, None  # those of solutions from 0 on mean nothing here

    def _taken_back(self, u: Array, s: float, t: float) -> Array:
        return self.plan.stepper.returned(u, 0.0, t - s) if s < t else u


def at_rest(problem: Problem, grid: ProductGrid, *, scheme: Any = None) -> ProductStationaryLaw:
    """The stationary law of a steady problem in a box. :func:`fpk.fokker_planck.stationary.stationary` comes here for product grids.

    Parameters
    ----------
    problem : Problem
        d = 2 or 3, coefficients independent of t, with a drift that confines; its initial law is not used.
    grid : ProductGrid
        A box that holds the law, and is checked.
    scheme : ProductScheme, optional
        As for :func:`fpk.solve`. ``POSITIVE`` of :mod:`fpk.fokker_planck.product.positive` gives the law of a random walk, positive everywhere.

    Returns
    -------
    ProductStationaryLaw

    Raises
    ------
    SchemeError
        For coefficients that depend on t, walls, no noise, or a scheme whose steps are not exponentials.
    MassAtEdges
        If the law reaches the edges of the box, or nothing confines it.
    GridError
        If cells are too wide for the drift, or the law is not found because modes by the dozen decay as slowly as it does.

    Accuracy
    --------
    The order of the scheme, by default the eighth in the cell widths: a rotating Gaussian with standard deviations of 3.9 and 6.3 cells is wrong by
    3e-7 in L1. Besides, TOLERANCE/(1 − e^{−gap τ}).

    Examples
    --------
    >>> import fpk
    >>> spiral = fpk.Problem(["-x0 - 2*x1", "2*x0 - x1"], 1.0, initial=fpk.Gaussian([1.5, 0.0], 0.5))
    >>> found = at_rest(spiral, fpk.Grid(-5, 5, cells=48) ** 2)
    >>> round(float(found.density.sum() * found.grid.volume), 12), round(found.gap, 6)
    (1.0, 1.0)
    """
    require_steady(problem, "a stationary law")
    plan = discretised(problem, grid, until=problem.horizon, steps=1, scheme=scheme)
    tau = duration(fields_at(problem, grid)(0.0), grid)
    values, vectors = slowest(plan, tau)
    others = [unwound(plan, tau, mu, v) for mu, v in zip(values[1:], vectors[1:], strict=True)]
    spectrum = np.array(sorted(others, key=lambda rate: -rate.real))
    rate, density = float(np.log(np.abs(values[0]))) / tau, _normalised(plan, vectors[0], tau)
    floor = _floor(plan, tau, rate, -others[0].real, density)
    return ProductStationaryLaw(
        problem,
        grid,
        density,
        spectrum,
        abs(rate),
        floor,
        plan,
        lambda: at_rest(problem, grid.halved(), scheme=plan.scheme),
    )


def duration(fields: Fields, grid: ProductGrid) -> float:
    """τ with 8 √(aτ) + bτ = :data:`STAGES`, for the largest damping a and frequency b of the symbols: about that many stages."""
    damping, frequency = frozen_symbols(fields, grid)
    root, b = 8 * float(damping.max()) ** 0.5, float(frequency.max())
    return (2 * STAGES / (root + (root**2 + 4 * b * STAGES) ** 0.5)) ** 2


def slowest(plan: ProductDiscretisation, tau: float) -> tuple[Any, Any]:
    """The eigenvalues of e^{τA} largest in modulus, shape (MODES,), the largest first, and their vectors, shape (MODES, *shape).

    Raises
    ------
    GridError
        If they are too close to one another to be found.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

    shape, n = plan.grid.shape, plan.grid.cells
    made: Any = LinearOperator
    arnoldi: Any = eigs
    operator = made((n, n), dtype=float, matvec=lambda x: plan.stepper.advanced(x.reshape(shape), 0.0, tau).ravel())
    start = 1 + np.cos(np.arange(n) ** 1.5)  # mass, and something of every mode
    try:
        found = arnoldi(operator, k=MODES, v0=start, ncv=SUBSPACE, tol=TOLERANCE, maxiter=RESTARTS)
    except ArpackNoConvergence as error:
        name = plan.problem.name or "the problem"
        raise GridError(
            f"no law at rest of {name} was found in {named_box(plan.grid)}: many modes are slow against τ={tau:.2g}, the time of one exponential. "
            "Use fewer cells, or solve to a late time."
        ) from error
    order = np.argsort(-np.abs(found[0]), kind="stable")
    return found[0][order], found[1].T[order].reshape(MODES, *shape)


def unwound(plan: ProductDiscretisation, tau: float, mu: complex, v: Array) -> complex:
    """λ with e^{λτ} = μ, its imaginary part by how far the mode v has turned after a part of τ.

    Raises
    ------
    SchemeError
        If the mode has not decayed as exponentials do.
    """
    early = tuple(plan.stepper.advanced(np.ascontiguousarray(part), 0.0, EARLY * tau) for part in (v.real, v.imag))
    decay, phase = (np.log(np.abs(mu)), np.angle(mu))
    begun = complex(np.log(np.vdot(v, early[0] + 1j * early[1]) / np.vdot(v, v))) / EARLY
    if not abs(begun.real - decay) <= SAME * max(1.0, -decay):
        raise SchemeError(
            f"a stationary law needs exponential steps; those of {plan.scheme} are not. "
            "Leave scheme= out, or take scheme=POSITIVE of fpk.fokker_planck.product.positive."
        )
    return complex(decay, phase + 2 * np.pi * np.round((begun.imag - phase) / (2 * np.pi))) / tau


def _normalised(plan: ProductDiscretisation, v: Any, tau: float) -> Array:
    """The density of an eigenvector; positive schemes move what round-off made negative back above zero."""
    p = v.real / v.real.sum()
    p = plan.stepper.advanced(np.abs(p), 0.0, tau) if plan.scheme.positive else p
    return p / (p.sum() * plan.grid.volume)


def _floor(plan: ProductDiscretisation, tau: float, rate: float, gap: float, density: Array) -> float:
    """What no refinement removes; refuses what is not at rest, or not alone so."""
    name, box = plan.problem.name or "the problem", named_box(plan.grid)
    seen = TOLERANCE / (EDGE_LIMIT * tau)  # rates below are round-off
    outside, slow = outermost(density) * plan.grid.volume, EDGE_LIMIT * max(gap, seen)
    if rate > slow:
        raise GridError(
            f"waves grow at the rate {rate:.2g} on {plan.grid} cells of {box}: they are too wide for the drift of {name}. "
            "Use more cells, or scheme=POSITIVE of fpk.fokker_planck.product.positive."
        )
    if outside > EDGE_LIMIT or -rate > slow:
        raise MassAtEdges(
            f"{name} has no law at rest in {box}: of what decays least {outside:.2g} is at the edges (allowed {EDGE_LIMIT:g}), and it leaves at the "
            f"rate {abs(rate):.2g} (the next mode at {gap:.2g}). Widen the grid, or give the process a drift that confines it."
        )
    if gap < seen:
        raise GridError(
            f"{name} has more than one law at rest in {box}, up to round-off: parts of it exchange no mass (gap {gap:.2g}). "
            "Use a box that holds one part, or more noise."
        )
    return LARGEST * (outside + abs(rate) / gap) + TOLERANCE / -float(np.expm1(-gap * tau))


def outermost(density: Array) -> float:
    """Σ |p| over the outermost cells, as many as ``solve`` looks at."""
    inner = tuple(slice(rim, -rim) for rim in (max(2, int(EDGE_CELLS * n) // 2) for n in density.shape))
    return float(np.abs(density).sum() - np.abs(density[inner]).sum())


def current_of(fields: Fields, grid: ProductGrid, p: Array) -> Array:
    """J_i = f_i p − Σ_j ∂_j (D_ij p), shape (d, *shape), with p = 0 outside the box."""
    from scipy.ndimage import correlate1d

    weights, J = np.array([*(-c for c in reversed(FIRST)), 0.0, *FIRST]), fields.drift * p
    for (i, j), D in zip(pairs(grid.dimension), fields.diffusivity, strict=True):
        for to, along in {(i, j), (j, i)}:
            J[to] -= correlate1d(D * p, weights / grid.spacings[along], axis=along, mode="constant")
    return J
