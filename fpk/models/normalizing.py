r"""Normalizing flows: layers between a base law and the data, the exact density of what they generate, and its maximum likelihood.

With layers x_k = f_k(x_{k−1}) of :mod:`fpk.models.layers` from the base x_0 ~ p_0 to the data x_m, traced back from a data point,

    log p(x_m) = log p_0(x_0) + Σ_{k=1}^m log |det ∂x_{k−1}/∂x_k|.

References
----------
Rezende and Mohamed (2015), equations 5 to 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fpk.errors import ProblemError
from fpk.laws import Array, Law
from fpk.laws.base import identity_projection, require_one_dimensional
from fpk.models.layers import Layer


@dataclass(frozen=True, eq=False)
class NormalizingFlow:
    """The law of base points moved by layers: a law like any other, with exact density and score.

    Parameters
    ----------
    base : Law
        With a score, where the flow's score or a fit is asked for.
    layers : sequence of Layer
        In the order in which a base point passes them.

    Raises
    ------
    ProblemError
        Without layers, or if a dimension differs.

    Examples
    --------
    >>> import fpk
    >>> from fpk.models.layers import Affine, SinhArcsinh
    >>> flow = NormalizingFlow(fpk.Gaussian(0.0, 1.0), [SinhArcsinh(0.3, -0.2), Affine(-2.0, 1.0)])
    >>> x = flow.forward(np.array([[0.4]]))
    >>> bool(np.allclose(flow.back(x)[0], 0.4))
    True
    """

    base: Law
    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        dimensions = {layer.dimension for layer in self.layers}
        if dimensions != {self.base.dimension}:
            raise ProblemError(
                f"layers of the dimension {self.base.dimension} of the base are needed, got {sorted(dimensions)}."
            )

    @property
    def dimension(self) -> int:
        """Dimension d."""
        return self.base.dimension

    @property
    def parameters(self) -> Array:
        """Those of all layers, one after the other."""
        return np.concatenate([layer.parameters for layer in self.layers])

    def moved(self, parameters: Array) -> NormalizingFlow:
        """The flow with other parameters."""
        ends = np.cumsum([len(layer.parameters) for layer in self.layers])[:-1]
        parts = np.split(np.asarray(parameters, float), ends)
        return NormalizingFlow(self.base, [layer.moved(part) for layer, part in zip(self.layers, parts, strict=True)])

    def forward(self, z: Array) -> Array:
        """Base points moved to the data, shape (n, d)."""
        for layer in self.layers:
            z = layer.forward(z)
        return z

    def back(self, x: Array) -> tuple[Array, Array]:
        """Base points of x, and log |det ∂z/∂x| of shape (n,)."""
        log_det = np.zeros(len(x))
        for layer in self.layers[::-1]:
            x, gained = layer.back(x)
            log_det = log_det + gained
        return x, log_det

    def log_density(self, x: Array) -> Array:
        """Log p at x, shape (n,)."""
        z, log_det = self.back(x)
        return self.base.log_density(z) + log_det

    def density(self, x: Array) -> Array:
        """P at x, shape (n,)."""
        return np.exp(self.log_density(x))

    def score(self, x: Array) -> Array:
        """∇ log p at x, shape (n, d)."""
        return self.slopes(x, np.ones(len(x)))[0]

    def slopes(self, x: Array, weights: Array) -> tuple[Array, Array]:
        """Gradients of Σ_n weights_n log p(x_n): in x, shape (n, d), and in the parameters."""
        passed = [x]
        for layer in self.layers[::-1]:
            passed.append(layer.back(passed[-1])[0])
        along, found = weights[:, None] * self.base.score(passed.pop()), []
        for layer in self.layers:
            along, inner = layer.slopes(passed.pop(), along, weights)
            found.append(inner)
        return along, np.concatenate(found)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n positions, shape (n, d)."""
        return self.forward(self.base.sample(n, rng))

    def cdf(self, x: Array) -> Array:
        """P(X ≤ x) at x of shape (n,), d = 1."""
        require_one_dimensional(self, "cdf")
        below = self.base.cdf(self.back(x[:, None])[0][:, 0])
        ends = self.back(np.array([[0.0], [1.0]]))[0]
        return below if ends[1] > ends[0] else 1 - below

    def projected(self, direction: Array) -> NormalizingFlow:
        """The law itself; only the direction [1] is available."""
        return identity_projection(self, direction)

    def breakpoints(self) -> Array:
        """Those of the base, moved; d = 1."""
        return np.sort(self.forward(self.base.breakpoints()[:, None])[:, 0])


@dataclass(frozen=True)
class Likeliest:
    """What :func:`maximum_likelihood` found.

    Parameters
    ----------
    flow : NormalizingFlow
    loss : float
        −E log p over the rows: at least the entropy of their law, and equal to it only where the flow has that law.
    slope : float
        Largest component of its gradient.
    iterations : int
    """

    flow: NormalizingFlow
    loss: float
    slope: float
    iterations: int

    def __str__(self) -> str:
        """Size, loss and what is left of the gradient."""
        size = f"{len(self.flow.layers)} layers, {len(self.flow.parameters)} parameters"
        return f"{size}: loss {self.loss:.6g}, slope {self.slope:.1e} after {self.iterations} iterations"


def maximum_likelihood(
    flow: NormalizingFlow, rows: Array, *, weights: Array | None = None, slope: float = 1e-7, iterations: int = 500
) -> Likeliest:
    """The flow under which data are likeliest, by quasi-Newton steps (BFGS) from where it stands.

    Parameters
    ----------
    flow : NormalizingFlow
        Its layers say what can be represented, its parameters where the search begins. Laws have many flows, and local optima.
    rows : array, shape (n, d)
        Data, or nodes of a quadrature.
    weights : array, shape (n,), optional
        Of the rows, summing to 1; default equal.
    slope : float
        Largest component of the gradient to stop at.
    iterations : int
        Most iterations.

    Examples
    --------
    >>> import fpk
    >>> from fpk.models.layers import Affine
    >>> flow = NormalizingFlow(fpk.Gaussian(0.0, 1.0), [Affine(1.0)])
    >>> found = maximum_likelihood(flow, np.array([[1.0], [3.0]]))
    >>> found.flow.layers[0].parameters.round(4).tolist()
    [1.0, 2.0]
    """
    from scipy.optimize import minimize

    share = np.full(len(rows), 1 / len(rows)) if weights is None else weights

    def loss(parameters: Array) -> tuple[float, Array]:
        try:
            tried = flow.moved(parameters)
        except ProblemError:  # a matrix without an inverse
            return np.inf, 0 * parameters
        with np.errstate(over="ignore", invalid="ignore"):
            value, gradient = -float(share @ tried.log_density(rows)), -tried.slopes(rows, share)[1]
        return (value, gradient) if np.isfinite(value) and np.all(np.isfinite(gradient)) else (np.inf, 0 * parameters)

    found = minimize(loss, flow.parameters, jac=True, method="BFGS", options={"gtol": slope, "maxiter": iterations})
    return Likeliest(flow.moved(found.x), float(found.fun), float(np.abs(found.jac).max()), int(found.nit))
