r"""Random bits as a function of a counter: Philox4x32-10 of Salmon, Moraes, Dror and Shaw (SC 2011), as published in Random123.

A counter of four words is scrambled ten times, with a key (k₀, k₁) that grows by (W₀, W₁) from one round to the next:

    (c₀, c₁, c₂, c₃) ↦ (hi(M₁ c₂) ⊕ c₁ ⊕ k₀, lo(M₁ c₂), hi(M₀ c₀) ⊕ c₃ ⊕ k₁, lo(M₀ c₀)),

where hi and lo are the upper and lower 32 bits of a product of 64. There is no state: whoever knows a counter knows its bits,
in any order and on any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit  # type: ignore[import-untyped]

#: 32 bits.
Word = np.uint32

#: How scalar functions are compiled: into the loops of their callers, where they become vector instructions, and rounded as written.
#: What is not said here would be taken over from whichever caller is compiled first, and be kept in the cache for all others.
compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=False, forceinline=True)

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def key_of(seed: int) -> tuple[Word, Word]:
    """Two words of key from a non-negative integer of any size, through :class:`numpy.random.SeedSequence`.

    Raises
    ------
    ValueError
        From numpy, for a negative seed.
    """
    first, second = np.random.SeedSequence(seed).generate_state(2, np.uint32)
    return first, second


@compiled
def philox(c0: Word, c1: Word, c2: Word, c3: Word, k0: Word, k1: Word) -> tuple[Word, Word, Word, Word]:
    """Four independent words of 32 uniform bits for a counter of four words and a key of two.

    The words stand in the lower halves of 64 bits, as the products need them; what collects in the upper halves is masked away.
    """
    a, b, c, d = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    k, m = np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        p, q = _M0 * (a & _LOW), _M1 * (c & _LOW)
        a, b, c, d = (q >> _HALF) ^ b ^ k, q, (p >> _HALF) ^ d ^ m, p
        k, m = k + _W0, m + _W1
    return np.uint32(a), np.uint32(b), np.uint32(c), np.uint32(d)
