"""Vector registers for compiled loops: tiles turned from rows into columns, and steps of eliminations on whole tiles.

Loops that change rows into columns, or whose numbers depend on others of the same array, are compiled number by number: these instructions are
written as vectors. Arrays are flat, with places in them; nobody checks that these lie inside.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types  # type: ignore[import-untyped]
from numba.extending import intrinsic  # type: ignore[import-untyped]

#: Numbers in a register, and along each side of a tile.
TILE = 8
VECTOR = ir.VectorType(ir.DoubleType(), TILE)


def _place(context: Any, builder: Any, signature: Any, args: Any, array: int, index: Any) -> Any:
    """Where a vector begins: at ``index`` of the argument with number ``array``."""
    data = context.make_array(signature.args[array])(context, builder, args[array]).data
    return builder.bitcast(builder.gep(data, [index]), VECTOR.as_pointer())


@intrinsic
def turn_tile(typing: Any, source: Any, at: Any, stride: Any, target: Any, to: Any, step: Any) -> Any:
    """target[to + j · step + k] = source[at + k · stride + j] for j, k < TILE, turned in registers."""

    def generated(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def places(array: int, start: int, stride: int) -> list[Any]:
            found = [args[start]]
            for _ in range(TILE - 1):
                found.append(builder.add(found[-1], args[stride]))
            return [_place(context, builder, signature, args, array, index) for index in found]

        rows = [builder.load(place, align=8) for place in places(0, 1, 2)]
        for width in (1, 2, 4):  # swaps blocks of this width across the diagonal
            low = [k + TILE * (k // width % 2) - width * (k // width % 2) for k in range(TILE)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), TILE), [k + shift for k in low]) for shift in (0, width)]
            turned = list(rows)
            for k in range(TILE):
                if k // width % 2 == 0:
                    pair = rows[k], rows[k + width]
                    turned[k], turned[k + width] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            rows = turned
        for row, place in zip(rows, places(3, 4, 5), strict=True):
            builder.store(row, place, align=8)
        return context.get_dummy_value()

    return types.void(source, at, stride, target, to, step), generated


@intrinsic
def add_tile(typing: Any, x: Any, to: Any, at: Any, factor: Any, of: Any) -> Any:
    """x[to + k] += factor[of + k] · x[at + k] for k < TILE."""

    def generated(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _place(context, builder, signature, args, 0, args[1])
        here, there, by = (
            builder.load(place, align=8)
            for place in (target, *(_place(context, builder, signature, args, a, args[i]) for a, i in ((0, 2), (3, 4))))
        )
        product = builder.fmul(by, there, flags=("contract",))
        builder.store(builder.fadd(here, product, flags=("contract",)), target, align=8)
        return context.get_dummy_value()

    return types.void(x, to, at, factor, of), generated


@intrinsic
def scale_tile(typing: Any, x: Any, to: Any, factor: Any, of: Any) -> Any:
    """x[to + k] *= factor[of + k] for k < TILE."""

    def generated(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, by = (_place(context, builder, signature, args, a, args[i]) for a, i in ((0, 1), (2, 3)))
        builder.store(builder.fmul(builder.load(target, align=8), builder.load(by, align=8)), target, align=8)
        return context.get_dummy_value()

    return types.void(x, to, factor, of), generated
