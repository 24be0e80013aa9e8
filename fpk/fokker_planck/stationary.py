r"""The stationary law on a grid: the null vector of the rate matrix, and how fast everything else decays to it.

    A q = 0,  Σ q Δξ = 1,        A v = λ v with the largest Re λ < 0: the spectral gap is −Re λ.

Both come from solves with A − σ. The null vector is an inverse iteration with σ next to 0; its error grows like ε‖A‖/gap. Without a flux through
the ends the well-balanced and exponentially fitted fluxes vanish on Gibbs weights, so that the law is the Gibbs law at the cell centres.
With a constant force around a circle the law carries a current J ≠ 0, the same at every x.

References
----------
Risken (1989), The Fokker–Planck Equation, §5.2 (potentials) and §11.3 (current in a tilted periodic potential).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fpk.errors import SchemeError
from fpk.fokker_planck.discretisation import check_fit
from fpk.fokker_planck.fluxes import Rates, WellBalanced6, check_noise
from fpk.fokker_planck.steady import require_steady
from fpk.fokker_planck.stepping import Factored
from fpk.grids import Grid, ProductGrid
from fpk.laws import Array, TabulatedLaw
from fpk.problem import Problem
from fpk.shown import Summarised

if TYPE_CHECKING:
    from fpk.fokker_planck.product.discretisation import ProductScheme
    from fpk.fokker_planck.product.stationary import ProductStationaryLaw

#: Shift of the inverse iteration for the null vector, relative to the largest rate, and the most iterations it may take.
NEXT_TO_ZERO, ROUNDS = 1e-11, 30


@dataclass(frozen=True, eq=False, repr=False)
class StationaryLaw(Summarised):
    """The law that the rate matrix of a steady problem leaves alone.

    Parameters
    ----------
    problem : Problem
    grid : Grid
    density : array, shape (cells,)
        p at the cell centres, ∫ p = 1.
    rates : Rates
        The matrix A of q' = A q, q = p dx/dξ.
    """

    problem: Problem
    grid: Grid
    density: Array
    rates: Rates

    @property
    def residual(self) -> float:
        """max |A q| over the largest rate times max |q|: round-off when it is of the order of 1e-16."""
        q = self.density * self.grid.center_stretch
        return float(np.abs(self.rates.applied(q)).max() / (np.abs(self.rates.rows).max() * np.abs(q).max()))

    @property
    def circulation(self) -> float:
        """J, the probability per time that goes around a periodic domain: its mean over x, ∫ f p / length."""
        f = self.problem.drift.column(self.grid.centers[:, None], 0.0)
        return float(f @ (self.density * self.grid.widths)) / (self.grid.upper - self.grid.lower)

    @cached_property
    def law(self) -> TabulatedLaw:
        """The law itself, log-splined between the cell centres."""
        logs = np.log(np.maximum(self.density, np.finfo(float).tiny))
        return TabulatedLaw(self.grid.centers, logs, support=(self.grid.lower, self.grid.upper))

    def __str__(self) -> str:
        """What it is of, in words."""
        return f"law at rest of {self.problem.name or 'the problem'}, {self.grid.cells} cells"

    @cached_property
    def spectrum(self) -> Any:
        """The four eigenvalues of A nearest to 0 after 0 itself, complex, shape (4,), by decreasing real part.

        Accuracy
        --------
        That of the flux; the eigenvalue iteration stops at round-off, ε‖A‖.
        """
        from scipy.sparse.linalg import LinearOperator, eigs

        q = self.density * self.grid.widths
        shift = self._natural_rate
        solve = _shifted(self.rates, shift)

        def without_null(x: Array) -> Array:
            return x - q * x.sum()

        made: Any = LinearOperator
        operator = made((len(q), len(q)), matvec=lambda x: without_null(solve(without_null(x.ravel()))))
        start = without_null(np.cos(np.arange(len(q)) ** 1.5))
        inverses: Any = eigs(operator, k=4, v0=start, which="LM", return_eigenvectors=False)
        found = shift + 1 / inverses
        return found[np.argsort(-found.real)]

    @property
    def _natural_rate(self) -> float:
        """Diffusivity over length squared: what gaps are of the order of, barriers apart."""
        D = self.problem.diffusivity(self.grid.centers[:, None], 0.0)
        return float(D.mean()) / (self.grid.upper - self.grid.lower) ** 2

    @property
    def gap(self) -> float:
        """−Re λ of the slowest decay, ≥ 0 up to round-off: correlations die like exp(−gap · t)."""
        return float(-self.spectrum[0].real)


@overload
def stationary(  # noqa: D418 (every public function has one here)
    problem: Problem, grid: Grid, *, flux: Any = None
) -> StationaryLaw:
    """In one dimension."""
    ...


@overload
def stationary(  # noqa: D418 (every public function has one here)
    problem: Problem, grid: ProductGrid, *, scheme: ProductScheme | None = None
) -> ProductStationaryLaw:
    """In two and three dimensions."""
    ...


def stationary(
    problem: Problem, grid: Grid | ProductGrid, *, flux: Any = None, scheme: Any = None
) -> StationaryLaw | ProductStationaryLaw:
    """The stationary law of a steady problem on a grid. What follows is about one dimension.

    Parameters
    ----------
    problem : Problem
        Drift and diffusion independent of t; its initial law is not used. State the potential
        (:class:`fpk.coefficients.GradientDrift`) for a Gibbs law to round-off.
    grid : Grid or ProductGrid
        An open problem gets reflecting walls at the ends of the grid: look at the density there if nothing confines the process.
        For products see :func:`fpk.fokker_planck.product.stationary.at_rest`.
    flux : WellBalanced6 (default) or ScharfetterGummel
    scheme : ProductScheme
        For product grids only.

    Raises
    ------
    SchemeError
        For coefficients that (may) depend on t, and absorbing walls: nothing stays.
    GridError
        If the grid does not fit the domain.

    Accuracy
    --------
    Gibbs laws: quadrature of the drift over half cells (sixth order in the cell width), or none at all for a stated potential and
    constant noise, plus ε‖A‖/gap. A law with a current: the order of the flux.

    Examples
    --------
    >>> import fpk
    >>> law = stationary(fpk.problems.double_well(initial=fpk.Gaussian(0.0, 1.0)), fpk.Grid(-4, 4, cells=128))
    >>> float(law.density @ law.grid.widths)
    1.0
    """
    if isinstance(grid, ProductGrid):
        from fpk.fokker_planck.product.stationary import at_rest

        _refuse(flux, "flux", "product grids take scheme=")
        return at_rest(problem, grid, scheme=scheme)
    _refuse(scheme, "scheme", "one dimension takes flux=")
    if problem.boundary.kind == "absorbing":
        raise SchemeError(
            "a problem with absorbing walls has no stationary law: everything leaves. Use boundary no_flux, or first_passage."
        )
    rates = steady_rates(problem, grid, flux, what="a stationary law")
    q = _null_vector(rates)
    density = q / grid.center_stretch
    return StationaryLaw(problem, grid, density / (density @ grid.widths), rates)


def _refuse(given: Any, name: str, rule: str) -> None:
    if given is not None:
        raise SchemeError(f"{name}={given!r} is not for this grid: {rule}. Leave it out for the default.")


def steady_rates(problem: Problem, grid: Grid, flux: Any, *, what: str) -> Rates:
    """The one rate matrix of a steady problem, with the default flux for None.

    Raises
    ------
    SchemeError
        For something that is no flux, for noise that vanishes, and for coefficients that depend on t.
    GridError
        If the grid does not fit the domain.
    """
    flux = WellBalanced6() if flux is None else flux
    if isinstance(flux, type) or not hasattr(flux, "rates"):
        raise SchemeError(
            f"flux must be WellBalanced6() or ScharfetterGummel() of fpk.fokker_planck.fluxes, got {flux!r}. "
            "Leave it out for the first."
        )
    check_fit(problem, grid)
    check_noise(problem, grid)
    require_steady(problem, what)
    return flux.rates(problem, grid)(0.0)


def _shifted(rates: Rates, shift: float) -> Callable[[Array], Array]:
    """X ↦ (A − shift)⁻¹ x, for a shift > 0 (off the spectrum)."""
    factored = Factored(rates, 1.0 / shift)
    return lambda x: -factored.solve(x) / shift


def _null_vector(rates: Rates) -> Array:
    shift = NEXT_TO_ZERO * float(np.abs(rates.rows).max())
    solve = _shifted(rates, shift)
    q = np.full(rates.rows.shape[1], 1.0 / rates.rows.shape[1])
    for _ in range(ROUNDS):
        before, q = q, solve(q)
        q /= q.sum()
        if np.abs(q - before).max() <= 1e-15 * np.abs(q).max():
            break
    return q
