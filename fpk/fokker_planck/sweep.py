r"""One banded elimination for many shifts at once: direct · p + Re Σ_s c_s (A − z_s)⁻¹ p, the matrix used once.

The elimination is without pivoting: shifts off the spectrum's axis keep the numerical range of A − z away from 0.

Where a number of an ordinary elimination stands, there is a *pair*: LANES real parts and then LANES imaginary parts, one for each shift.
The instructions below act on the pairs that start at given places of one array, all lanes together. They are written as vector
instructions, because loops over lanes are not reliably compiled to them, and stand in the file of their caller, because a cached
compilation only looks at the age of its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types  # type: ignore[import-untyped]
from numba.extending import intrinsic  # type: ignore[import-untyped]

from fpk.fokker_planck.kernels import compiled
from fpk.laws import Array

#: Shifts handled side by side: one AVX-512 register of doubles.
LANES = 8
#: Doubles of a pair.
PAIR = 2 * LANES
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_FUSED = ("contract",)  # a product and a sum in one rounding


class _Pairs:
    """Arithmetic with the pairs of one array, as instructions."""

    def __init__(self, builder: Any, data: Any) -> None:
        self.builder, self.data = builder, data

    def _pointers(self, at: Any) -> list[Any]:
        starts = [self.builder.add(at, ir.Constant(at.type, part)) for part in (0, LANES)]
        return [self.builder.bitcast(self.builder.gep(self.data, [start]), _VECTOR.as_pointer()) for start in starts]

    def __getitem__(self, at: Any) -> list[Any]:
        return [self.builder.load(pointer, align=8) for pointer in self._pointers(at)]

    def __setitem__(self, at: Any, pair: Any) -> None:
        for pointer, vector in zip(self._pointers(at), pair, strict=True):
            self.builder.store(vector, pointer, align=8)

    def all_lanes(self, value: Any) -> Any:
        """The vector that is ``value`` in every lane."""
        integer = ir.IntType(32)
        first = self.builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(integer, 0))
        return self.builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(integer, LANES), [0] * LANES))

    def added(self, a: Any, b: Any) -> Any:
        """A + b."""
        return self.builder.fadd(a, b, flags=_FUSED)

    def less(self, a: Any, b: Any) -> Any:
        """A − b."""
        return self.builder.fsub(a, b, flags=_FUSED)

    def times(self, a: Any, b: Any) -> Any:
        """A b."""
        return self.builder.fmul(a, b, flags=_FUSED)

    def product(self, x: Any, y: Any) -> tuple[Any, Any]:
        """X y, complex."""
        (a, b), (c, d) = x, y
        return self.less(self.times(a, c), self.times(b, d)), self.added(self.times(a, d), self.times(b, c))

    def less_product(self, z: Any, x: Any, y: Any) -> tuple[Any, Any]:
        """Z − x y, complex."""
        (e, f), (a, b), (c, d) = z, x, y
        real = self.added(self.less(e, self.times(a, c)), self.times(b, d))
        return real, self.less(self.less(f, self.times(a, d)), self.times(b, c))


def _written(recipe: Callable[..., Any]) -> Callable[..., Any]:
    """The code generator that follows a recipe (pairs of the first argument, the other arguments) with nothing to return."""

    def generated(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        result = recipe(
            _Pairs(builder, context.make_array(signature.args[0])(context, builder, args[0]).data), *args[1:]
        )
        return context.get_dummy_value() if result is None else result

    return generated


def instruction(typed: Callable[..., Any]) -> Callable[..., Any]:
    """A function that compiled code can call, from one of the types of its arguments."""
    return intrinsic(typed)


@instruction
def fill(typing: Any, room: Any, at: Any, value: Any) -> Any:
    """room[at] = value, real, in all lanes."""

    def recipe(pairs: _Pairs, at: Any, value: Any) -> None:
        pairs[at] = pairs.all_lanes(value), ir.Constant(_VECTOR, [0.0] * LANES)

    return types.void(room, at, value), _written(recipe)


@instruction
def subtract(typing: Any, room: Any, at: Any, other: Any) -> Any:
    """room[at] −= room[other]."""

    def recipe(pairs: _Pairs, at: Any, other: Any) -> None:
        pairs[at] = [pairs.less(a, b) for a, b in zip(pairs[at], pairs[other], strict=True)]

    return types.void(room, at, other), _written(recipe)


@instruction
def multiply(typing: Any, room: Any, at: Any, by: Any) -> Any:
    """room[at] *= room[by]."""

    def recipe(pairs: _Pairs, at: Any, by: Any) -> None:
        pairs[at] = pairs.product(pairs[at], pairs[by])

    return types.void(room, at, by), _written(recipe)


@instruction
def subtract_product(typing: Any, room: Any, at: Any, first: Any, second: Any) -> Any:
    """room[at] −= room[first] · room[second]."""

    def recipe(pairs: _Pairs, at: Any, first: Any, second: Any) -> None:
        pairs[at] = pairs.less_product(pairs[at], pairs[first], pairs[second])

    return types.void(room, at, first, second), _written(recipe)


@instruction
def invert(typing: Any, room: Any, at: Any) -> Any:
    """room[at] = 1 / room[at]."""

    def recipe(pairs: _Pairs, at: Any) -> None:
        a, b = pairs[at]
        size = pairs.added(pairs.times(a, a), pairs.times(b, b))
        share = pairs.builder.fdiv(ir.Constant(_VECTOR, [1.0] * LANES), size)
        pairs[at] = pairs.times(a, share), pairs.times(pairs.builder.fneg(b), share)

    return types.void(room, at), _written(recipe)


@instruction
def eliminate(typing: Any, room: Any, at: Any, pivot: Any, width: Any, right: Any) -> Any:
    """Take room[at] · room[pivot] times the record at ``pivot`` off the ``width`` entries after ``at`` and off room[right].

    The record is an inverse pivot, the entries after it, and a right side.
    """

    def recipe(pairs: _Pairs, at: Any, pivot: Any, width: Any, right: Any) -> None:
        builder, one = pairs.builder, ir.Constant(at.type, 1)
        multiple = pairs.product(pairs[at], pairs[pivot])
        with cgutils.for_range(builder, width) as loop:
            away = builder.mul(builder.add(loop.index, one), ir.Constant(at.type, PAIR))
            place = builder.add(at, away)
            pairs[place] = pairs.less_product(pairs[place], multiple, pairs[builder.add(pivot, away)])
        last = builder.add(pivot, builder.mul(builder.add(width, one), ir.Constant(at.type, PAIR)))
        pairs[right] = pairs.less_product(pairs[right], multiple, pairs[last])

    return types.void(room, at, pivot, width, right), _written(recipe)


@instruction
def real_sum(typing: Any, room: Any, first: Any, second: Any) -> Any:
    """Re Σ_s room[first] · room[second] over the lanes."""

    def recipe(pairs: _Pairs, first: Any, second: Any) -> Any:
        real, _ = pairs.product(pairs[first], pairs[second])
        lanes = [pairs.builder.extract_element(real, ir.Constant(ir.IntType(32), s)) for s in range(LANES)]
        while len(lanes) > 1:
            lanes = [pairs.added(a, b) for a, b in zip(lanes[::2], lanes[1::2], strict=True)]
        return lanes[0]

    return types.float64(room, first, second), _written(recipe)


def room_for(n: int, w: int) -> int:
    """Doubles that :func:`solve_shifted` needs for n rows of half bandwidth w: as many records, and some."""
    return (n + w + 1) * (w + 2) * PAIR + 2 * PAIR + LANES


@compiled
def solve_shifted(
    rows: Array, step: float, p: Array, poles: Array, residues: Array, direct: float, room: Array, out: Array
) -> None:
    """Fill ``out`` with direct · p + Re Σ_s c_s (step · A − z_s)⁻¹ p; ``poles`` and ``residues`` (2, LANES); no multipliers are kept.

    The record of a row is its inverse pivot, upper entries and right side. Records go down in memory, so that a row's lower entries stand
    before its pivot: in the record of the next row, which is not written yet.
    """
    w, n = len(rows) // 2, rows.shape[1]
    size, right = (w + 2) * PAIR, (w + 1) * PAIR
    z = -(room.ctypes.data // 8) % LANES  # vectors that lie across two cache lines take twice as long
    c = z + PAIR
    for s in range(LANES):
        room[z + s], room[z + LANES + s] = poles[0, s] / step, poles[1, s] / step
        room[c + s], room[c + LANES + s] = residues[0, s] / step, residues[1, s] / step
    end = c + PAIR
    room[end + (n + 1) * size : end + (n + 1 + w) * size] = 0.0  # rows before the first
    for i in range(n):
        pivot = end + (n - i) * size
        lower = pivot - w * PAIR
        for k in range(2 * w + 1):
            fill(room, lower + k * PAIR, rows[k, i])
        fill(room, pivot + right, p[i])
        subtract(room, pivot, z)
        for k in range(w):
            eliminate(room, lower + k * PAIR, pivot + (w - k) * size, w, pivot + right)
        invert(room, pivot)
    for i in range(n - 1, -1, -1):
        pivot = end + (n - i) * size
        y = pivot + right
        for k in range(1, min(w, n - 1 - i) + 1):
            subtract_product(room, y, pivot + k * PAIR, y - k * size)
        multiply(room, y, pivot)
        out[i] = direct * p[i] + real_sum(room, c, y)
