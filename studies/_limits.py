"""Limits of quantities that are known at a few steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

import fpk
from fpk.laws import Array
from fpk.marginals import zero_estimate
from fpk.study import Evidence


def limit(values: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Limit of a sequence c₀ + c₁h + c₂h² + ... at h, h/2, h/4, h/8: extrapolated value, its error bound, the value a level coarser."""
    table = [list(values)]
    for k in (2, 4, 8):
        last = table[-1]
        table.append([(k * b - a) / (k - 1) for a, b in itertools.pairwise(last)])
    best, before = table[3][0], table[2]
    return best, 2 * np.abs(before[1] - before[0]) + 1e-10, before[0]


def limit_evidence(
    quantity: Callable[[float], Array], claimed: Array, *, step: float, names: Sequence[str], source: str
) -> Evidence:
    """An identity: the limit of ``quantity(h)`` as h → 0, from h = ``step`` and three halvings, less what is claimed."""
    found, bound, coarser = limit([np.asarray(quantity(step / 2**k), float) for k in range(4)])
    first = fpk.residual(found - claimed, bound, coarser=coarser - claimed, source=source)
    return Evidence(first, zero_estimate(len(first.value)), tuple(names))
