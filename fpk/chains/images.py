r"""The law of F(X) on the line, X given by pieces and F by a function that may fold.

Nothing is inverted but where somebody asks: with ξ_i(y) the points at which F crosses y,

    P(F(X) ≤ y) = Σ_i ± P(X ≤ ξ_i) [+ 1],     p_F(y) = Σ_i p(ξ_i)/|F′(ξ_i)|,     E φ(F(X)) = ∫ φ(F(x)) p(x) dx,

the sign + where F rises through the level y, − where it falls, and the 1 where F ends below it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.polynomial.legendre import legder, legvander
from numpy.typing import NDArray

from fpk.chains.pieces import NEGLIGIBLE, NODES, RESOLVED, Index, PiecewiseLaw, U, refined, remainder, series
from fpk.laws import Array
from fpk.laws.base import central_derivative, identity_projection

Map = Callable[[Array], Array]

#: Places of a panel between which a crossing is looked for: both ends and the nodes.
_PLACES = np.concatenate([[-1.0], U, [1.0]])
_AT_PLACES = legvander(_PLACES, NODES - 1).T
_SLOPES = legder(np.eye(NODES))
#: Iterations for a crossing, and how far beyond its bracket an iterate may aim: crossings may be ends of brackets.
_NEWTON, _SLIP = 12, 1e-9


class ImageLaw:
    """The law of ``image(X)``.

    Parameters
    ----------
    base : PiecewiseLaw
        The law of X.
    image : callable
        F, positions (n,) ↦ (n,).

    Notes
    -----
    Two crossings between neighbouring nodes are overlooked: near folds the distribution function errs by the mass between them (:meth:`slack`).
    """

    def __init__(self, base: PiecewiseLaw, image: Map) -> None:
        self.image = image
        self.base, self.images = resolved_image(base, image)

    def __repr__(self) -> str:
        return f"ImageLaw of {self.base!r}"

    @property
    def dimension(self) -> int:
        """Dimension, 1."""
        return 1

    @cached_property
    def _series(self) -> Array:
        return series(self.images)

    @cached_property
    def _steps(self) -> tuple[Array, Array]:
        """Values of F before and after each stretch between neighbouring places, (panels · stretches,)."""
        at = self._series @ _AT_PLACES
        at[1:, 0] = at[:-1, -1]  # panels meet: no level slips through between them
        return at[:, :-1].ravel(), at[:, 1:].ravel()

    @property
    def monotone(self) -> bool:
        """Whether F rises, as far as its places tell."""
        before, after = self._steps
        return bool(np.all(after >= before))

    def slack(self, y: Array) -> Array:
        """Bound for the error of the distribution function at y (n,): the mass about the turns of F that reach y."""
        before, after = self._steps
        turns = np.flatnonzero(np.diff(np.sign(after - before)))
        below = self.base.cdf(self._ends(np.arange(len(before) + 1)))
        mass = below[turns + 2] - below[turns]
        swing = np.abs(after[turns] - before[turns]) + np.abs(after[turns + 1] - before[turns + 1])
        return (np.abs(y[:, None] - after[turns]) <= swing) @ mass

    def _ends(self, stretch: Index) -> Array:
        """Where stretches begin."""
        panel, within = np.divmod(stretch, len(_PLACES) - 1)
        panel, within = (
            np.where(panel == len(self.images), panel - 1, panel),
            np.where(panel == len(self.images), -1, within),
        )
        return self._places(panel, _PLACES[within])

    def _crossings(self, y: Array) -> tuple[Index, Index, Array, NDArray[np.bool_]]:
        """Number of the level, panel, place on [−1, 1] and direction of each crossing."""
        before, after = self._steps
        level, step = np.nonzero((before[None] <= y[:, None]) != (after[None] <= y[:, None]))
        panel, within = np.divmod(step, len(_PLACES) - 1)
        lower, upper = _PLACES[within], _PLACES[within + 1]
        rising = after[step] > before[step]
        return level, panel, self._roots(y[level], panel, lower, upper, rising), rising

    def _roots(self, y: Array, panel: Index, lower: Array, upper: Array, rising: NDArray[np.bool_]) -> Array:
        """Newton's method on the panels' polynomials, halving where it leaves the bracket."""
        values, slopes = self._series[panel], (_SLOPES @ self._series.T).T[panel]
        u = 0.5 * (lower + upper)
        for _ in range(_NEWTON):
            basis = legvander(u, NODES - 1)
            gap = np.einsum("nm,nm->n", basis, values) - y
            beyond = (gap > 0) == rising
            lower, upper = np.where(beyond, lower, u), np.where(beyond, u, upper)
            slope = np.einsum("nm,nm->n", basis[:, :-1], slopes)
            aim = u - gap / np.where(slope == 0, np.inf, slope)
            inside = (aim > lower - _SLIP) & (aim < upper + _SLIP)
            u = np.where(inside, np.clip(aim, lower, upper), 0.5 * (lower + upper))
        return u

    def _places(self, panel: Index, u: Array) -> Array:
        edges = self.base.edges
        return edges[panel] + 0.5 * (u + 1) * (edges[panel + 1] - edges[panel])

    def cdf(self, x: Array) -> Array:
        """P(F(X) ≤ x) at x of shape (n,)."""
        y = np.asarray(x, float)
        level, panel, u, rising = self._crossings(y)
        sign = np.where(rising, 1.0, -1.0)
        ends_below = self._steps[1][-1] <= y
        total = np.where(ends_below, self.base.cumulative[-1], 0.0)
        np.add.at(total, level, sign * self.base.cdf(self._places(panel, u)))
        return np.clip(total, 0.0, 1.0)

    def density_at(self, y: Array) -> Array:
        """The density at y of shape (n,); infinite where F turns."""
        level, panel, u, _ = self._crossings(y)
        with np.errstate(divide="ignore"):
            part = np.maximum(self.base.density_at(self._places(panel, u)), 0.0) / np.abs(self._slope(panel, u))
        return np.bincount(level, part, len(y)).astype(float)

    def _slope(self, panel: Index, u: Array) -> Array:
        """F′ at places of panels."""
        local = np.einsum("nm,nm->n", legvander(u, NODES - 2), (_SLOPES @ self._series.T).T[panel])
        return 2 * local / np.diff(self.base.edges)[panel]

    def log_density(self, x: Array) -> Array:
        """Log p(x), shape (n,); −∞ where F does not come."""
        with np.errstate(divide="ignore"):
            return np.log(self.density_at(x[:, 0]))

    def score(self, x: Array) -> Array:
        """∂ log p, shape (n, 1), by differences of a thousandth of the law's width."""
        width = _spread(self.images.ravel(), self.base.masses.ravel())
        return central_derivative(lambda y: self.log_density(y)[:, None], x, 1e-3 * width)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, 1)."""
        return self.image(self.base.sample(n, rng)[:, 0])[:, None]

    def projected(self, direction: Array) -> ImageLaw:
        """The law itself; only the direction +1 is available."""
        return identity_projection(self, direction)

    def breakpoints(self) -> Array:
        """Images of the panels' edges, increasing."""
        return np.unique(self._series @ _AT_PLACES[:, [0, -1]])


def resolved_image(base: PiecewiseLaw, image: Map) -> tuple[PiecewiseLaw, Array]:
    """The law on panels on each of which F is a polynomial, and F at their nodes (panels, NODES)."""
    width = _spread(image(base.nodes.ravel()), base.masses.ravel())

    def coarse(at: Array, masses: Array) -> NDArray[np.bool_]:
        held = np.abs(masses).sum(1)
        return (remainder(at) * held > RESOLVED * width) & (held > NEGLIGIBLE)

    return refined(base, image, coarse)


def _spread(places: Array, masses: Array) -> float:
    """Standard deviation."""
    mean = masses @ places / masses.sum()
    return float(np.sqrt(np.abs(masses @ (places - mean) ** 2 / masses.sum())))
