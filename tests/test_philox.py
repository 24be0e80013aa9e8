"""Random bits: the published answers of Random123, and what must differ does."""

import numpy as np
import pytest

from fpk.particles.philox import key_of, philox

#: Counter, key and answer, from the file kat_vectors of Random123.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [np.uint32(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN, ids=["zeros", "ones", "digits of pi"])
@pytest.mark.parametrize("function", [philox, philox.py_func], ids=["compiled", "plain"])
def test_known_answers_of_random123(function, counter, key, answer):
    with np.errstate(over="ignore"):  # numpy warns of the wrap-around that the plain function is about
        assert list(function(*words(counter), *words(key))) == words(answer)


@pytest.mark.parametrize("flipped", range(0, 192, 7))
def test_flipping_one_bit_of_counter_or_key_changes_about_half_of_the_bits(flipped):
    """Of n = 128 · 64 bits, the share flipped is within 6 standard deviations of 1/2 (α = 2e-9)."""
    rng, differences = np.random.default_rng(flipped), 0
    for _ in range(64):
        given = rng.integers(2**32, size=6, dtype=np.uint32)
        other = given.copy()
        other[flipped // 32] ^= np.uint32(1 << flipped % 32)
        differences += sum(int(a ^ b).bit_count() for a, b in zip(philox(*given), philox(*other), strict=True))
    assert abs(differences - 4096) < 6 * 8192**0.5 / 2


def test_keys_are_those_of_numpy_and_differ_between_seeds():
    assert key_of(7) == tuple(np.random.SeedSequence(7).generate_state(2, np.uint32))
    assert len({key_of(seed) for seed in range(10_000)}) == 10_000


def test_seeds_may_be_of_any_size_but_not_negative():
    assert key_of(2**200 + 1) != key_of(2**200)
    with pytest.raises(ValueError, match="non-negative"):
        key_of(-1)
