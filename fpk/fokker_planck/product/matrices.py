r"""Products and exponentials of full matrices of some hundred rows, on one thread.

Libraries of linear algebra divide such products among threads that then wait for each other: on a busy machine for a hundred times as long as the
product takes. Blocks of at most 64 rows are below their thresholds, cost nothing extra, and make results independent of the number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from fpk.laws import Array

#: Rows of a block.
BLOCK = 64
#: Largest norm at which the Taylor polynomial of degree 16 of the exponential has no error but rounding.
RADIUS = 0.78
TAYLOR = np.array([1 / math.factorial(k) for k in range(17)])


def product(a: Array, b: Array) -> Array:
    """The matrix product a b."""
    return _joined(multiplied(_blocks(a), _blocks(b)))[: len(a), : b.shape[1]]


def multiplied(a: Array, b: Array) -> Array:
    """The product of matrices in blocks, (rows, columns, r, c) with (columns, ..., c, ...)."""
    c = np.matmul(a[:, 0, None], b[None, 0])
    for k in range(1, len(b)):
        c += np.matmul(a[:, k, None], b[None, k])
    return c


def exponential(a: Array) -> Array:
    """e^a, by squaring the Taylor polynomial of degree 16 of a/2^s, which takes s + 6 products.

    Accuracy
    --------
    Round-off, times at most the growth of ‖e^{ta}‖ for t ≤ 1.
    """
    n, norm = len(a), float(np.abs(a).sum(0).max())
    squarings = max(0, math.ceil(math.log2(norm / RADIUS))) if norm > 0 else 0
    x = _blocks(a / 2.0**squarings)
    one = _blocks(np.eye(n))
    x2 = multiplied(x, x)
    powers = one, x, x2, multiplied(x2, x), multiplied(x2, x2)
    e = TAYLOR[16] * powers[4]
    for first in (12, 8, 4, 0):
        e = e + sum(TAYLOR[first + k] * powers[k] for k in range(4))
        e = multiplied(e, powers[4]) if first else e
    for _ in range(squarings):
        e = multiplied(e, e)
    return _joined(e)[:n, :n]


def _blocks(a: Array) -> Array:
    """A matrix in equal blocks, (rows, columns, r, c), filled up with zeros."""
    cuts = [-(-n // BLOCK) for n in a.shape]
    sizes = [-(-n // cut) for n, cut in zip(a.shape, cuts, strict=True)]
    full = np.pad(a, [(0, cut * size - n) for n, cut, size in zip(a.shape, cuts, sizes, strict=True)])
    return np.ascontiguousarray(full.reshape(cuts[0], sizes[0], cuts[1], sizes[1]).swapaxes(1, 2))


def _joined(blocks: Array) -> Array:
    """The matrix of blocks."""
    rows, columns, r, c = blocks.shape
    return blocks.swapaxes(1, 2).reshape(rows * r, columns * c)
