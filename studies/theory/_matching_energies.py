"""Laws e^{−f}/Z with f given by symbols, and what is left when −∇f is taken for their score."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import sympy as sp

import fpk
from fpk.laws import Array

#: What is claimed to be the score, from ∇f (n, d), f (n,) and Z.
Score = Callable[[Array, Array, float], Array]

X, Y = sp.symbols("x y", real=True)
LINE, HEIGHT = np.array([-1.4, -0.6, 0.1, 0.9, 2.0]), 1.3
ENERGIES: dict[str, sp.Expr] = {
    "line": X**4 / 4 - X**2 / 2 + sp.sin(2 * X) / 3 + HEIGHT,
    "plane": X**4 / 4 - X**2 / 2 + Y**2 - X * Y / 2 + sp.sin(X + 2 * Y) / 3 - HEIGHT,
}
#: Functions that −∇f is integrated against.
TRIALS: tuple[sp.Expr, ...] = (sp.sin(X + Y), sp.cos(2 * Y) * X, Y + X**2 / 3)


def _numeric(expression: sp.Expr) -> Callable[[Array], Array]:
    function = sp.lambdify((X, Y), expression, "numpy")
    return lambda x: np.broadcast_to(np.asarray(function(x[:, 0], x[:, -1]), float), len(x))


def _slopes(expression: sp.Expr, dimension: int) -> Callable[[Array], Array]:
    parts = [_numeric(sp.diff(expression, v)) for v in (X, Y)[:dimension]]
    return lambda x: np.stack([part(x) for part in parts], axis=1)


@lru_cache(maxsize=4)
def _on_the_line(level: int) -> tuple[Array, Array, Array, float]:
    """At LINE the slope of the tabulated log p, ∇f and f; and Z, by a sum over a lattice."""
    f, x, at = _numeric(ENERGIES["line"]), np.linspace(-5.0, 5.0, 400 * level + 1), LINE[:, None]
    law = fpk.TabulatedLaw.gibbs(lambda y: f(y[:, None]), -5.0, 5.0, cells=200 * level)
    Z = float(np.exp(-f(x[:, None])).sum() * (x[1] - x[0]))
    return law.score(at), _slopes(ENERGIES["line"], 1)(at), f(at), Z


def on_the_line(claimed: Score, level: int) -> Array:
    """The slope of log p less what is claimed."""
    score, slope, f, Z = _on_the_line(level)
    return score - claimed(slope, f, Z)


@lru_cache(maxsize=4)
def _in_the_plane(level: int) -> tuple[Array, Array, Array, float, Array]:
    """On a lattice masses, ∇f and f; Z; and the trial functions with their gradients, shape (trials, n, 3)."""
    line = np.arange(-6.0, 6.01, 0.36 / level)
    x = np.stack(np.meshgrid(line[np.abs(line) < 4.5], line, indexing="ij"), axis=-1).reshape(-1, 2)
    f = _numeric(ENERGIES["plane"])(x)
    masses = np.exp(-f)
    trials = np.array([np.column_stack([_numeric(g)(x), _slopes(g, 2)(x)]) for g in TRIALS])
    total = float(masses.sum()) * (0.36 / level) ** 2
    return masses / masses.sum(), _slopes(ENERGIES["plane"], 2)(x), f, total, trials


def in_the_plane(claimed: Score, level: int) -> Array:
    """E [g s + ∇g] for every trial function g: 0 where s is the score, by parts."""
    masses, slope, f, Z, trials = _in_the_plane(level)
    score = claimed(slope, f, Z)
    return np.array([masses @ (g[:, :1] * score + g[:, 1:]) for g in trials]).ravel()
