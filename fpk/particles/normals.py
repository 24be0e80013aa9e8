r"""Standard normal numbers as a function of particle, group and stream: Philox words through the transform of Box and Muller (1958).

With u and θ uniform on (0, 1] and on a circle,

    (z₀, z₁) = √(−2 log u) · (cos θ, sin θ)

are independent and normal. A word v gives u = 1 − v/2³², so that 0 < u and |z| ≤ √(64 log 2) = 6.66 (beyond it: 2.7e-11 of the law).
Another word gives θ: 30 bits place it between −π/4 and π/4, one bit mirrors it at the diagonal, one at the origin. A step of four numbers
(z₀ ... z₃) takes four words. All is computed in float32, with every rounding as written (fused products and sums, no reordering), so that a
number is the same wherever it stands in an array and whatever width the machine's vectors have.

Systematic errors, summed over all 2³² words (u, or θ):

============================  =========  ========================================================================
mean of r² / 2 − 1            −2e-12     the grid alone leaves −log(2π 2³²) / 2³³ = −2.8e-9; roundings, as much
mean of r⁴ / 8 − 1            −2.8e-8    the tail beyond u = 2⁻³²
means of 2 cos², 2 sin² − 1   5e-10
means of cos, sin, cos · sin  < 2e-15    symmetry
E z² − 1, E z⁴ − 3            5e-10, −8e-8
============================  =========  ========================================================================
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32, njit, uint32, void  # type: ignore[import-untyped]
from numpy.typing import NDArray

from fpk.instructions import prefer_wide_vectors
from fpk.particles.elementary import bits_of, number_of, polynomial
from fpk.particles.philox import Word, compiled, philox


def _single(*coefficients: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(c) for c in coefficients)


#: −2 log(1 + f) / f on [√½ − 1, √2 − 1]: minimax in the relative error (6e-9), rounded to float32 from the first coefficient on.
_LOG = _single(
    -2.0,
    1.0,
    -0.66666633,
    0.500015676,
    -0.400045961,
    0.332507342,
    -0.283626825,
    0.262434751,
    -0.257567257,
    0.157464638,
)
#: sin(π y / 2) / y and cos(π y / 2) as polynomials in y² on [0, ¼], errors 3e-8 (of the first coefficient alone) and 4e-10.
_SIN = _single(1.57079637, -0.645966649, 0.0797125250, -0.00468597142)
_COS = _single(1.0, -1.23370051, 0.253668517, -0.0208552554, 0.000893581775)
_STEP, _BIT, _ONE, _NONE = _single(2.0**-32, -2.0 * math.log(2.0), 1.0, 0.0)
_ROOT_HALF, _EXPONENT, _MANTISSA = np.uint32(0x3F3504F3), np.uint32(23), np.uint32(0x7FFFFF)
#: Words below it have u ≥ √½.
_NEAR_ONE = np.uint32(round((1.0 - math.sqrt(0.5)) * 2**32))
_SIGN, _MIRROR, _TWO, _WIDTH = np.uint32(1 << 31), np.uint32(1 << 30), np.uint32(2), np.int32(32)


@compiled
def radius(word: Word) -> np.float32:
    """√(−2 log(1 − word/2³²)) in float32: log u = k log 2 + log(1 + f), with f = −word/2³² itself near u = 1."""
    bits = np.uint32(bits_of(np.float32(np.uint32(-word))) - _ROOT_HALF)
    mantissa = number_of(np.uint32((bits & _MANTISSA) + _ROOT_HALF))
    near_one = word < _NEAR_ONE
    f = -np.float32(word) * _STEP if near_one else mantissa - _ONE
    k = _NONE if near_one else np.float32(np.int32(bits >> _EXPONENT) - _WIDTH)
    return np.float32(math.sqrt(polynomial(f, (k * _BIT, polynomial(f, _LOG)))))


@compiled
def direction(word: Word) -> tuple[np.float32, np.float32]:
    """A point (cos θ, sin θ) of the unit circle in float32; the 2³² points are symmetric about both axes and both diagonals."""
    y = np.float32(np.int32(np.uint32((word << _TWO) | _TWO))) * _STEP
    sign = np.uint32(word & _SIGN)
    c = polynomial(y * y, _COS)
    s = y * polynomial(y * y, _SIN)
    c, s = number_of(np.uint32(bits_of(c) ^ sign)), number_of(np.uint32(bits_of(s) ^ sign))
    return (s, c) if word & _MIRROR else (c, s)


@njit(
    void(float32[:, ::1], uint32[::1], uint32, uint32, uint32, uint32),
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath=False,
)
def fill(out: NDArray[np.float32], particles: NDArray[Word], group: Word, stream: Word, key0: Word, key1: Word) -> None:
    """Fill ``out[w, j]`` with the normal number 4 · group + w of particle ``particles[j]`` in a stream.

    Parameters
    ----------
    out : float32 array (4, n), C-contiguous
        Any n. The numbers do not depend on n, nor on the place j where a particle stands.
    particles : uint32 array (n,)
        Numbers of particles.
    group, stream, key0, key1 : uint32
        The counter is (particle, group, stream, 0); the key comes from :func:`fpk.particles.philox.key_of`.
    """
    prefer_wide_vectors()
    if out.shape[0] != 4 or out.shape[1] != len(particles):
        raise ValueError("out must have the shape (4, n) for n particles: allocate it from their number")
    for j in range(len(particles)):
        a, b, c, d = philox(particles[j], group, stream, np.uint32(0), key0, key1)
        out[0, j], out[1, j], out[2, j], out[3, j] = number_of(a), number_of(b), number_of(c), number_of(d)
    for w in (0, 2):
        for j in range(len(particles)):
            r = radius(bits_of(out[w, j]))
            c, s = direction(bits_of(out[w + 1, j]))
            out[w, j], out[w + 1, j] = r * c, r * s
