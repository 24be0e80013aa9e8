r"""Elementary functions of float64 that become vector instructions in the loops of compiled callers.

Each is one expression without branches: an argument is reduced, x = k log 2 + r or x = k π/2 + r (Cody and Waite 1980), a polynomial is
summed, and special values are selected at the end. Every operation is rounded as written, fused products and sums included, so a result has
the same bits on every machine and in every place of an array.

============  ====================================  ====================================================================
function      largest error found, in last places   where
============  ====================================  ====================================================================
exp           0.9                                   everywhere, results below 2⁻¹⁰²² included
expm1         1.7                                   above 2⁻¹⁰²⁰ in size
log           0.9                                   everywhere; −∞ at 0, NaN below
sin, cos      1.5                                   up to 2⁴⁵ in size, next to zeros too; NaN beyond
sinh, cosh    2.2, 1.3                              sinh: above 2⁻¹⁰²⁰ in size
tanh          2.6                                   above 2⁻¹⁰²⁰ in size
arctan        2.2                                   everywhere
============  ====================================  ====================================================================

NaN gives NaN; the sign of a zero may be lost. The square root is numpy's: it is exact and becomes vectors by itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.core import types  # type: ignore[import-untyped]

from fpk.instructions import instruction
from fpk.particles.philox import compiled

_INTEGERS = {types.float64: types.uint64, types.float32: types.uint32}
_FLOATS = {integer: number for number, integer in _INTEGERS.items()}


def _reinterpreted(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.bitcast(args[0], context.get_value_type(signature.return_type))


@instruction
def bits_of(typing: Any, x: Any) -> Any:
    """The bits of a float64 (float32) as a uint64 (uint32)."""
    return _INTEGERS[x](x), _reinterpreted


@instruction
def number_of(typing: Any, bits: Any) -> Any:
    """The float64 (float32) that has the bits of a uint64 (uint32)."""
    return _FLOATS[bits](bits), _reinterpreted


@instruction
def polynomial(typing: Any, x: Any, coefficients: Any) -> Any:
    """c₀ + x (c₁ + x (c₂ + ...)) by Horner's rule, each product with its sum rounded once; x and coefficients of one type."""

    def generated(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, packed = args
        value, *others = [builder.extract_value(packed, i) for i in reversed(range(coefficients.count))]
        for c in others:
            value = builder.fma(value, x, c)
        return value

    return x(x, coefficients), generated


#: Added to a small number, it leaves the nearest integer in the lowest bits: their unit is 1.
_ROUNDER = 1.5 * 2.0**52
_ROUNDER_BITS = np.float64(_ROUNDER).view(np.uint64)
_ONE, _TWO, _EXPONENT = np.uint64(1), np.uint64(2), np.uint64(52)
_MANTISSA, _SIGN = np.uint64(2**52 - 1), np.uint64(2**63)
_LOG2 = (0.6931471805599453, 2.3190468138462996e-17)
#: (eʳ − 1 − r) / r² on [−½ log 2, ½ log 2]: minimax to 2e-17 of eʳ − 1.
_EXP = (
    0.5000000000000006,
    0.16666666666666682,
    0.04166666666657369,
    0.008333333333316977,
    0.0013888888932348704,
    0.00019841269897754937,
    2.4801504487069305e-05,
    2.755723273471537e-06,
    2.762630904771697e-07,
    2.5112944492472473e-08,
)
#: Twice the bias of an exponent: a power of two is a product of two, as 2¹⁰²⁴ (1 − ε) and the smallest denormals need it.
_BIAS = np.uint64(2046)


@compiled
def _reduced(x: float) -> tuple[float, np.uint64]:
    """p and n of eˣ = (1 + p) 2ⁿ⁻²⁰⁴⁶, for −746 < x < 711 or the nearer of them."""
    x = 711.0 if x > 711.0 else x
    x = -746.0 if x < -746.0 else x
    rounded = polynomial(x, (_ROUNDER, 1.0 / _LOG2[0]))
    k = rounded - _ROUNDER
    near = polynomial(k, (x, -_LOG2[0]))  # exact
    r = polynomial(k, (near, -_LOG2[1]))
    lost = polynomial(k, (near - r, -_LOG2[1]))
    return r + polynomial(r * r, (lost, polynomial(r, _EXP))), bits_of(rounded) - _ROUNDER_BITS + _BIAS


@compiled
def _scaled(p: float, n: np.uint64) -> float:
    """p 2ⁿ⁻²⁰⁴⁶."""
    half = n >> _ONE
    return p * number_of(half << _EXPONENT) * number_of((n - half) << _EXPONENT)


@compiled
def _quarter_of_expm1(x: float) -> float:
    """(eˣ − 1) / 4, which does not overflow where the hyperbolic sine does not."""
    p, n = _reduced(x)
    return _scaled(p, n - _TWO) + (_scaled(1.0, n - _TWO) - 0.25)


@compiled
def _signed(size: float, x: float) -> float:
    """A non-negative number with the sign of x."""
    return number_of(bits_of(size) | (bits_of(x) & _SIGN))


@compiled
def exp(x: float) -> float:
    """eˣ."""
    p, n = _reduced(x)
    return _scaled(1.0 + p, n)


@compiled
def expm1(x: float) -> float:
    """eˣ − 1, without cancellation at 0."""
    return 4.0 * _quarter_of_expm1(x)


@compiled
def sinh(x: float) -> float:
    """(eˣ − e⁻ˣ) / 2."""
    t = _quarter_of_expm1(abs(x))
    return _signed(2.0 * t + (0.5 * (t / (t + 0.25)) if t < math.inf else t), x)


@compiled
def cosh(x: float) -> float:
    """(eˣ + e⁻ˣ) / 2."""
    p, n = _reduced(abs(x))
    half = _scaled(1.0 + p, n - _ONE)
    return half + 0.25 / half


@compiled
def tanh(x: float) -> float:
    """(e²ˣ − 1) / (e²ˣ + 1)."""
    size = abs(x)
    t = _quarter_of_expm1(2.0 * (20.0 if size > 20.0 else size))
    return _signed(t / (t + 0.5), x)


_ROOT_HALF = np.float64(0.5**0.5).view(np.uint64)
_RAISED = np.uint64(1023 << 52) - _ROOT_HALF
#: log 2 with zeros at the end, so that multiples are exact, and the rest.
_LOG2_SHORT, _LOG2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10
#: log(1 + f) = 2 artanh s, s = f / (2 + f), from s³ on, in powers of s²: those of FreeBSD's libm (Sun Microsystems 1993).
_LOG = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)


@compiled
def log(x: float) -> float:
    """Natural logarithm: x = 2ᵏ (1 + f) with √½ ≤ 1 + f < √2."""
    denormal = x < 2.0**-1022
    bits = bits_of(x * 2.0**54 if denormal else x) + _RAISED
    k = number_of((bits >> _EXPONENT) | _ROUNDER_BITS) - (_ROUNDER + 1023.0)
    k = k - 54.0 if denormal else k
    f = number_of((bits & _MANTISSA) + _ROOT_HALF) - 1.0
    s, half = f / (2.0 + f), 0.5 * f * f
    rest = s * (half + s * s * polynomial(s * s, _LOG)) + k * _LOG2_REST
    value = k * _LOG2_SHORT - ((half - rest) - f)
    value = -math.inf if x == 0.0 else value
    value = math.nan if x < 0.0 else value
    return value if x < math.inf else x


#: π/2 in three doubles.
_QUARTER = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
#: (sin r − r) / r³ and cos r in powers of r² for |r| ≤ π/4: those of FreeBSD's libm (Sun Microsystems 1993).
_SIN = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
_COS = (
    1.0,
    -0.5,
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)
#: Above it, the nearest multiple of π/2 is not found.
_FAR = 2.0**45


@compiled
def _turned(x: float, quarters: np.uint64) -> float:
    """The sine of x + quarters · π/2."""
    rounded = polynomial(x, (_ROUNDER, 2.0 / math.pi))
    k = rounded - _ROUNDER
    r = polynomial(k, (polynomial(k, (polynomial(k, (x, -_QUARTER[0])), -_QUARTER[1])), -_QUARTER[2]))
    n = bits_of(rounded) + quarters
    s = polynomial(r * r * r, (r, polynomial(r * r, _SIN)))
    value = polynomial(r * r, _COS) if n & _ONE else s
    value = number_of(bits_of(value) ^ ((n & _TWO) << np.uint64(62)))
    return value if abs(x) <= _FAR else math.nan


@compiled
def sin(x: float) -> float:
    """The sine, up to 2⁴⁵ in size; NaN beyond."""
    return _turned(x, np.uint64(0))


@compiled
def cos(x: float) -> float:
    """The cosine, up to 2⁴⁵ in size; NaN beyond."""
    return _turned(x, _ONE)


#: (arctan t − t) / t³ in powers of t² for |t| ≤ tan(π/8): minimax to 3e-17 of t².
_ARCTAN = (
    -0.3333333333333087,
    0.19999999999226034,
    -0.14285714204867397,
    0.11111106996461456,
    -0.09090789502052088,
    0.07690158254981812,
    -0.06641832251109403,
    0.05695953624646908,
    -0.04368212442179227,
    0.02136366272004308,
)


@compiled
def arctan(x: float) -> float:
    """The angle in (−π/2, π/2): π/2 or π/4 or 0, and what is left, below π/8."""
    size = abs(x)
    middle, far = size > 0.4142135623730950, size > 2.414213562373095
    t = (-1.0 if far else (size - 1.0 if middle else size)) / (size if far else (size + 1.0 if middle else 1.0))
    share = 1.0 if far else (0.5 if middle else 0.0)
    z = t * t
    rest = polynomial(t * z, (share * _QUARTER[1], polynomial(z, _ARCTAN)))
    return _signed(share * _QUARTER[0] + (t + rest), x)
