"""Normal numbers: the transform against float64, bits that depend on nothing but their address, and the law they are said to have."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from scipy import special, stats

from fpk.particles.normals import direction, fill, radius
from fpk.particles.philox import key_of, philox

ALPHA = 1e-9
WORDS = 2**32
GROUP, STREAM = np.uint32(5), np.uint32(3)
#: Standard deviations that a normal number exceeds with probability ALPHA.
LIMIT = stats.norm.isf(ALPHA / 2)


def numbers(particles, group=GROUP, stream=STREAM, seed=0):
    out = np.empty((4, len(particles)), np.float32)
    fill(out, np.asarray(particles, np.uint32), np.uint32(group), np.uint32(stream), *key_of(seed))
    return out


@njit
def one_by_one(particles, group, stream, key0, key1):
    """The definition, a particle at a time, in the order of the formulas."""
    out = np.empty((4, len(particles)), np.float32)
    for j in range(len(particles)):
        a, b, c, d = philox(particles[j], group, stream, np.uint32(0), key0, key1)
        for w, (radial, angular) in enumerate(((a, b), (c, d))):
            x, y = direction(angular)
            out[2 * w, j], out[2 * w + 1, j] = radius(radial) * x, radius(radial) * y
    return out


@njit
def tabulated(words):
    """r, cos θ and sin θ of every word, as float64."""
    table = np.empty((3, len(words)))
    for j in range(len(words)):
        table[0, j] = radius(words[j])
        table[1, j], table[2, j] = direction(words[j])
    return table


def angles(words):
    """θ by its definition, float64."""
    quarter, mirrored, negated = words % 2**30, words >> 30 & 1, words >> 31
    theta = (quarter - 2**30 * (quarter >= 2**29) + 0.5) * (np.pi / 2 / 2**30)
    return np.where(mirrored, np.pi / 2 - theta, theta) + np.pi * negated


def test_numbers_are_those_of_the_definition_bit_by_bit():
    particles = np.random.default_rng(1).integers(WORDS, size=1000, dtype=np.uint32)
    expected = one_by_one(particles, GROUP, STREAM, *key_of(0))
    np.testing.assert_array_equal(numbers(particles).view(np.uint32), expected.view(np.uint32))


def test_numbers_are_those_of_box_and_muller_to_float32():
    particles = np.arange(20_000, dtype=np.uint32)
    words = np.array([philox(p, GROUP, STREAM, np.uint32(0), *key_of(0)) for p in particles], dtype=np.int64).T
    got = numbers(particles).astype(float)
    for w in (0, 2):
        r = np.sqrt(-2 * np.log1p(-words[w] / WORDS))
        theta = angles(words[w + 1])
        assert np.all(abs(got[w : w + 2] - r * [np.cos(theta), np.sin(theta)]) <= 3e-7 * r)


@pytest.mark.parametrize("offset", [0, 1, 7])
def test_bits_depend_on_neither_length_nor_place_nor_alignment(offset):
    """Every length, so that vectors and what is left over of them both meet every particle, in shuffled order."""
    reference = numbers(np.arange(200)).view(np.uint32)
    for n in range(1, 71):
        particles = np.random.default_rng(n).permutation(200)[:n].astype(np.uint32)
        room = np.empty(4 * n + offset, np.float32)
        shifted = np.concatenate([np.zeros(offset, np.uint32), particles])[offset:]
        out = room[offset:].reshape(4, n)
        fill(out, shifted, GROUP, STREAM, *key_of(0))
        np.testing.assert_array_equal(out.view(np.uint32), reference[:, particles])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names a processor of that kind")
def test_bits_do_not_depend_on_the_vectors_of_the_machine(tmp_path):
    """Nehalem has vectors of 128 bits, and no instruction that fuses a product and a sum."""
    program = """
import sys
from test_normals import numbers
sys.stdout.buffer.write(numbers(range(1001)).tobytes())
"""
    target = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        env=os.environ | target,
        capture_output=True,
        check=True,
    ).stdout
    np.testing.assert_array_equal(np.frombuffer(elsewhere, np.uint32), numbers(range(1001)).view(np.uint32).ravel())


def test_compiled_callers_get_the_same_bits():
    @njit
    def caller(out, particles, key):
        fill(out, particles, GROUP, STREAM, key[0], key[1])

    particles = np.arange(1000, dtype=np.uint32)
    out = np.empty((4, 1000), np.float32)
    caller(out, particles, key_of(0))
    np.testing.assert_array_equal(out, numbers(particles))


def test_radii_are_right_from_0_to_the_largest():
    edges = np.concatenate([2**k + np.arange(-3, 4) for k in range(3, 32)])
    words = np.unique(np.concatenate([edges, WORDS - edges, np.arange(64), WORDS - 1 - np.arange(64)]))
    got = np.array([radius(np.uint32(word)) for word in words])
    exact = np.sqrt(-2 * np.log1p(-words / WORDS))
    np.testing.assert_allclose(got, exact, rtol=2e-7)
    assert got[0] == 0.0
    assert got[-1] == np.float32(8 * np.sqrt(np.log(2)))


def test_radii_grow_with_their_words_where_pieces_meet():
    middle = round((1 - np.sqrt(0.5)) * WORDS)
    got = np.array([radius(np.uint32(word)) for word in range(middle - 2000, middle + 2000)])
    assert np.all(np.diff(got) >= -2 * np.spacing(got[1:]))
    assert np.ptp(got) < 1e-5


def test_systematic_errors_of_the_moments_are_as_stated():
    """Means of float32 against float64 over words spread evenly; what is left of single roundings is 1e-10."""
    words = np.arange(2**20, dtype=np.uint64) * 2654435769 % WORDS
    r, c, s = tabulated(words.astype(np.uint32))
    exact_r, theta = np.sqrt(-2 * np.log1p(-(words / WORDS))), angles(words.astype(np.int64))
    assert abs(np.mean(r**2 - exact_r**2)) < 2 * 3e-9
    assert abs(np.mean(r**4 - exact_r**4)) < 8 * 1e-8
    for got, exact in ((c, np.cos(theta)), (s, np.sin(theta))):
        assert abs(np.mean(got - exact)) < 1e-9
        assert abs(np.mean(got**2 - exact**2)) < 1e-9
        assert abs(np.mean(got**4 - exact**4)) < 2e-9
    assert abs(np.mean(c * s - np.cos(theta) * np.sin(theta))) < 1e-9


def test_directions_are_symmetric_to_the_last_bit():
    """Flipping the 30 bits of the angle, the mirror's bit or the sign's bit gives −θ, π/2 − θ or θ + π."""
    words = np.random.default_rng(2).integers(2**30, size=10_000, dtype=np.uint32)
    _, c, s = tabulated(words)
    for flipped, expected in ((2**30 - 1, (c, -s)), (2**30, (s, c)), (2**31, (-c, -s))):
        _, *got = tabulated(words ^ np.uint32(flipped))
        np.testing.assert_array_equal(got, expected)


@pytest.fixture(scope="module")
def sample():
    """2²⁴ numbers: words, groups and particles mixed."""
    return np.concatenate([numbers(np.arange(2**20), group) for group in range(4)]).ravel()


def test_the_law_is_normal_by_chi_square(sample):
    counts = np.bincount((special.ndtr(sample.astype(float)) * 1024).astype(int), minlength=1024)
    assert stats.chisquare(counts).pvalue > ALPHA


def test_the_law_is_normal_by_kolmogorov_and_smirnov(sample):
    assert stats.kstest(sample[:: 2**3].astype(float), "norm").pvalue > ALPHA


def test_moments_are_those_of_the_normal_law(sample):
    z = sample.astype(float)
    power = np.ones_like(z)
    for k in range(1, 7):
        power *= z
        mean, square = stats.norm.moment(k), stats.norm.moment(2 * k)
        assert abs(np.mean(power) - mean) < LIMIT * np.sqrt((square - mean**2) / z.size), k


@pytest.mark.parametrize("threshold", [3.0, 4.0, 4.75])
def test_tails_hold_as_much_as_those_of_the_normal_law(sample, threshold):
    beyond = int(np.count_nonzero(abs(sample) > threshold))
    assert stats.binomtest(beyond, sample.size, 2 * stats.norm.sf(threshold)).pvalue > ALPHA


def correlated(a, b):
    """The largest correlation of a, a² with b, b², in standard deviations."""
    powers = [[x.astype(float).ravel(), (x.astype(float).ravel() ** 2 - 1) / np.sqrt(2)] for x in (a, b)]
    return max(abs(np.dot(x, y)) / np.sqrt(x.size) for x in powers[0] for y in powers[1])


PARTICLES = np.arange(2**20)
FIRST = {"particles": PARTICLES, "group": 8, "stream": 1, "seed": 11}
NEIGHBOURS = {
    "particle": {"particles": PARTICLES + 1},
    "particle in the next block": {"particles": PARTICLES + 1024},
    "particle with another upper half": {"particles": PARTICLES + 2**31},
    "group": {"group": 9},
    "group and stream exchanged": {"group": 1, "stream": 8},
    "stream": {"stream": 2},
    "seed": {"seed": 12},
}


@pytest.mark.parametrize("changed", NEIGHBOURS)
def test_neighbours_are_uncorrelated(changed):
    """Four of N sums of products, each normal for N = 2²²; α = 4 ALPHA."""
    assert correlated(numbers(**FIRST), numbers(**{**FIRST, **NEIGHBOURS[changed]})) < LIMIT


@pytest.mark.parametrize(("v", "w"), [(v, w) for v in range(4) for w in range(v)])
def test_the_four_numbers_of_a_group_are_uncorrelated(v, w):
    out = numbers(**FIRST)
    assert correlated(out[v], out[w]) < LIMIT


def test_the_room_must_be_as_long_as_the_particles():
    with pytest.raises(ValueError, match=r"\(4, n\)"):
        fill(np.empty((4, 3), np.float32), np.arange(5, dtype=np.uint32), GROUP, STREAM, *key_of(0))
