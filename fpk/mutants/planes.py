"""Wrong variants of grids in two and three dimensions: tensors, schemes, steps back, flows, budgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fpk.fokker_planck.product.fields import Fields, pairs
from fpk.laws import Array
from fpk.mutants.changes import Change, Function, instead, parts, then, times
from fpk.mutants.planting import Mutant

PRODUCT = "fokker_planck.product"
FIELDS = f"{PRODUCT}.fields:fields_at"
TENSOR = "problem:Problem.diffusivity_matrix"
DIVERGENCE = "transformations:_half_divergence"
COLUMN = "transformations:_column"
SCORE = f"{PRODUCT}.solutions:gradient"
OPERATOR = f"{PRODUCT}.alternating:operator_of"
SELLING = f"{PRODUCT}.selling:decomposed"
CUT = f"{PRODUCT}.explicit:faber_coefficients"
FLOW = f"{PRODUCT}.divergence:divergence"


# -- the equation -----------------------------------------------------------------------------------------------------------


def _read(alter: Callable[[Fields], Fields]) -> Change:
    """Drift and diffusivity at the cell centres, altered whenever they are read."""

    def change(original: Function) -> Function:
        def fields_at(problem: Any, grid: Any) -> Callable[[float], Fields]:
            read = original(problem, grid)
            return lambda t: alter(read(t))

        return fields_at

    return change


def _crossed(factor: float) -> Change:
    """Every D_ij with i ≠ j times a factor."""

    def alter(fields: Fields) -> Fields:
        factors = np.array([1.0 if i == j else factor for i, j in pairs(fields.dimension)])
        return replace(fields, diffusivity=(fields.diffusivity.T * factors).T.copy())

    return _read(alter)


def _pulled(factor: float) -> Change:
    """f times a factor."""
    return _read(lambda fields: replace(fields, drift=factor * fields.drift))


def _transposed_tensor(original: Function) -> Function:
    """½ GᵀG."""

    def diffusivity_matrix(self: Any, x: Array, t: float) -> Array:
        g = self.diffusion(x if self.diffusion.state_dependent else x[:1], t)
        return 0.5 * np.einsum("nmi,nmj->nij", g, g) if g.ndim == 3 else original(self, x, t)

    return diffusivity_matrix


def _transposed_drift(original: Function) -> Function:
    """Aᵀx + b."""
    return lambda self, x, t: original(replace(self, slope=lambda t: np.transpose(self.slope(t))), x, t)


def _row(diffusion: Any, x: Array, t: float, j: int) -> Array:
    """Column j of GᵀG."""
    h = diffusion(x, t)
    return (np.swapaxes(h, 1, 2) @ h[:, :, j : j + 1])[:, :, 0]


# -- schemes ----------------------------------------------------------------------------------------------------------------


def _space_only(weights: Array) -> Array:
    """In space, where differences have nine weights, without the cross term of the first and the last axis."""
    kept = np.ones(len(weights))
    kept[4] = len(weights) == 5
    return weights * kept


def _mirrored(decomposition: tuple[Array, Any]) -> tuple[Array, Any]:
    """Offsets e with −e_0."""
    weights, offsets = decomposition
    return weights, offsets * np.array([-1] + [1] * (offsets.shape[-1] - 1))


def _first_alone(self: Any, rooms: Array, t: float, step: float, count: int) -> None:
    """Douglas' steps: p + k₁."""
    operator, lines = self._prepared(t, step)
    state, first, _ = rooms
    for _ in range(count):
        self._stage(operator, lines, state, (0.0, step), first)
        state += first


def _moved_twice(original: Function) -> Function:
    """The first axis takes a step of its own after all of them have."""
    from fpk.fokker_planck.product.separable import along

    return lambda self, p, t, step: along(self.axes[0].propagator(t, t + step), original(self, p, t, step), 0)


def _one_for_all(original: Function) -> Function:
    """Every axis is moved like the first."""

    def advanced(self: Any, p: Array, t: float, step: float) -> Array:
        alike = type(self)((self.axes[0],) * len(self.axes))
        return original(alike, p, t, step)

    return advanced


def _read_at_the_end(original: Function) -> Function:
    """c(t) (t − s) for ∫c from s to t."""

    def length(self: Any, s: float, t: float) -> float:
        short = 1e-4 * (t - s)
        return original(self, t - short, t) * 1e4 if t > s else 0.0

    return length


# -- backwards --------------------------------------------------------------------------------------------------------------


def _in_order(self: Any, u: Array, t: float, step: float) -> Array:
    """Transposed exponentials, first to last."""
    for exponential, duration in self.exponentials(t, step):
        u = self._applied(exponential, u, duration, transposed=True)
    return u


# -- what solutions tell ------------------------------------------------------------------------------------------------------


def _traced_with(sign: float) -> Change:
    """log p_t with ``sign`` · log |∂x_0/∂x|."""

    def change(original: Function) -> Function:
        def traced_back(problem: Any, x: Array, t: float, mesh: Array) -> Array:
            from fpk.fokker_planck.product.flow import carried

            origin, log_volume = carried(problem, x, mesh[mesh <= t][::-1])
            return problem.initial.log_density(origin) + sign * log_volume

        return traced_back

    return change


def _budget_times(factor: float) -> Change:
    """Budgets times a factor."""
    return then(lambda found: replace(found, bias_bound=factor * found.bias_bound))


BELOW = "what comes after the last term is round-off"

PLANES = (
    Mutant("plane: cross terms dropped", FIELDS, _crossed(0.0), "scheme"),
    Mutant("plane: cross terms: sign", FIELDS, _crossed(-1.0), "scheme"),
    Mutant("plane: ½ on cross terms", FIELDS, _crossed(0.5), "scheme"),
    Mutant("plane: cross terms + 1 %", FIELDS, _crossed(1.01), "scheme", near=True),
    Mutant("plane: ½ extra in the drift", FIELDS, _pulled(0.5), "scheme"),
    Mutant("plane: drift + 1 %", FIELDS, _pulled(1.01), "scheme", near=True),
    Mutant("Aᵀ for A", "coefficients:Linear.__call__", _transposed_drift, "problem"),
    Mutant("½ missing on GGᵀ", TENSOR, times(2.0), "problem"),
    Mutant("GᵀG for GGᵀ", TENSOR, _transposed_tensor, "problem"),
    Mutant("GGᵀ + 0.5 %", TENSOR, times(1.005), "problem", near=True),
    Mutant("∇·(GGᵀ) of a matrix dropped", DIVERGENCE, times(0.0), "transformation"),
    Mutant("∇·(GᵀG) for ∇·(GGᵀ)", COLUMN, instead(_row), "transformation"),
    Mutant("∇·(GGᵀ) of a matrix + 5 %", DIVERGENCE, times(1.05), "transformation", near=True),
    Mutant("score of a product grid: sign", SCORE, times(-1.0), "field"),
    Mutant("score of a product grid + 5 %", SCORE, times(1.05), "field", near=True),
    Mutant("space: one of three cross terms dropped", f"{PRODUCT}.central:Central._weights", then(_space_only), "scheme"),
    Mutant("Faber: half of the ellipse", f"{PRODUCT}.explicit:enclosing", then(lambda e: type(e)(e.centre / 2, e.real / 2, e.imaginary / 2)),
           "scheme"),
    Mutant("Faber: a tenth of the terms left out", CUT, then(lambda alpha: alpha[: 9 * len(alpha) // 10]), "scheme"),
    Mutant("Faber: one term early", CUT, then(lambda alpha: alpha[:-1]), "scheme", excuse=BELOW),
    Mutant("Magnus: averages in the wrong order", f"{PRODUCT}.explicit:FaberStepper.exponentials", then(lambda found: found[::-1]), "scheme",
           pure=False),
    Mutant("Fourier: k² + 1 %", f"{PRODUCT}.spectral:_waves", then(lambda k: (k[0], [1.01 * own for own in k[1]])), "scheme", near=True),
    Mutant("separable: first axis moved twice", f"{PRODUCT}.separable:SeparableSteps.advanced", _moved_twice, "scheme"),
    Mutant("separable: all axes like the first", f"{PRODUCT}.separable:SeparableSteps.advanced", _one_for_all, "scheme"),
    Mutant("separable: clock read at the end", f"{PRODUCT}.axes:Axis._length", _read_at_the_end, "scheme"),
    Mutant("Selling: one weight dropped", SELLING, then(lambda found: (found[0] * [1, 1, 0, *[1] * (found[0].shape[1] - 3)], found[1])), "scheme"),
    Mutant("Selling: offsets mirrored", SELLING, then(_mirrored), "scheme"),
    Mutant("Selling: weights + 5 %", SELLING, parts(1.05, 1), "scheme", near=True),
    Mutant("positive: up for down", f"{PRODUCT}.positive:_fitted", then(lambda jumps: replace(jumps, up=jumps.down, down=jumps.up)), "scheme"),
    Mutant("positive: steps 2 % too long", f"{PRODUCT}.positive:poisson", lambda original: lambda mean, tail: original(1.02 * mean, tail),
           "scheme", near=True),
    Mutant("positive: a third of the rate of leaving", f"{PRODUCT}.positive:Jumps.fastest", times(1 / 3), "scheme"),
    Mutant("alternating: ½ on cross terms", OPERATOR, then(lambda A: replace(A, rates=np.concatenate(
        [A.rates[: 2 * len(A.shape)], 0.5 * A.rates[2 * len(A.shape) :]]))), "scheme"),
    Mutant("alternating: corrector missing", f"{PRODUCT}.alternating:AlternatingSteps._march", instead(_first_alone), "scheme", pure=False),
    Mutant("alternating: θ halved", f"{PRODUCT}.alternating:lines_of", lambda original: lambda A, c: original(A, c / 2), "scheme"),
    Mutant("backwards: exponentials in forward order", f"{PRODUCT}.explicit:FaberStepper.returned", instead(_in_order), "scheme", pure=False),
    Mutant("backwards: lines not transposed", f"{PRODUCT}.alternating:Lines.factors", lambda original: (
        lambda self, *, transposed=False: original(self)), "scheme"),
    Mutant("backwards: propagators not transposed", f"{PRODUCT}.separable:SeparableSteps.returned", lambda original: (
        lambda self, u, t, step: self.advanced(u, t, step)), "scheme"),
    Mutant("joint laws: not taken back", f"{PRODUCT}.solutions:ProductMarginals._taken_back", instead(lambda self, u, s, t: u), "scheme"),
    Mutant("flow: divergence dropped", FLOW, times(0.0), "scheme"),
    Mutant("flow: ½ on the divergence", FLOW, times(0.5), "scheme"),
    Mutant("flow: divergence + 1 %", FLOW, times(1.01), "scheme", near=True),
    Mutant("flow: volume inverted", f"{PRODUCT}.flow:traced_back", _traced_with(-1.0), "scheme"),
    Mutant("reversal: ratios at the wrong end", f"{PRODUCT}.reversal:ReversedSteps._interval", then(lambda found: (found[0], found[2], found[1])),
           "scheme"),
    Mutant("residuals: generator + 1 %", f"{PRODUCT}.residuals:ProductResiduals._generator", times(1.01), "scheme", near=True),
    Mutant("product budgets: a thousandth", f"{PRODUCT}.solutions:ProductMarginals.expect", _budget_times(1e-3), "scheme"),
)  # fmt: skip
