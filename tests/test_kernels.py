"""Twins of the compiled kernels: plain loops over dictionaries and dense complex algebra."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpk.fokker_planck import kernels
from fpk.fokker_planck.exponentials import CRAM16, PADE45, pade
from fpk.fokker_planck.fluxes import Rates, bernoulli


def banded(width, n, seed):
    return np.random.default_rng(seed).normal(size=(2 * width + 1, n))


def dense(rows):
    """A[i, i + k] = rows[width + k, i], what lies outside left out."""
    w, n = len(rows) // 2, rows.shape[1]
    A = np.zeros((n, n))
    for i in range(n):
        for k in range(-w, w + 1):
            if 0 <= i + k < n:
                A[i, i + k] = rows[w + k, i]
    return A


# -- rational functions of matrices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rational", [CRAM16, PADE45, pade(2, 3)], ids=lambda r: r.name)
@pytest.mark.parametrize("periodic", [False, True])
def test_rational_functions_of_matrices_are_sums_of_dense_resolvents(rational, periodic):
    n, step = 24, 0.6
    hop = np.ones(n)
    rows = np.stack([hop, -2 * hop, hop])
    if not periodic:
        rows[1, [0, -1]], rows[0, 0], rows[2, -1] = -1.0, 0.0, 0.0
    A = dense(rows)
    if periodic:
        A[0, -1] = A[-1, 0] = 1.0
    p = np.linspace(-1, 2, n) ** 2
    expected = rational.direct * p
    for z, c in zip(rational.poles, rational.residues, strict=True):
        expected = expected + (c * np.linalg.solve(step * A - z * np.eye(n), p)).real
    got = rational.propagator(Rates(rows, periodic), step)(p)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


# -- rational approximations of the exponential ------------------------------------------------------------------------


def evaluated(rational, z):
    return rational.direct + (rational.residues / (z[:, None] - rational.poles)).real.sum(1)


def test_cram_is_the_exponential_on_the_negative_axis():
    z = -np.concatenate([[0.0], np.geomspace(1e-12, 1e6, 4001)])
    assert np.abs(evaluated(CRAM16, z) - np.exp(z)).max() < 1e-13
    assert evaluated(CRAM16, np.zeros(1))[0] == pytest.approx(1.0, abs=1e-15)
    assert abs(CRAM16.direct) < 1e-13  # what is left at −∞
    assert np.all(CRAM16.poles.imag > 0)


@pytest.mark.parametrize(("m", "k"), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (3, 5), (4, 6)])
def test_pade_is_the_quotient_of_its_definition(m, k):
    rational = pade(m, k)
    z = np.concatenate([-np.geomspace(1e-6, 1e5, 60), [0.0, 0.5]])

    def polynomial(a, b, sign):
        total = math.factorial(a + b)
        return sum(sign**j * math.comb(a, j) * math.factorial(a + b - j) / total * z**j for j in range(a + 1))

    expected = polynomial(m, k, 1) / polynomial(k, m, -1)
    np.testing.assert_allclose(evaluated(rational, z), expected, rtol=1e-9, atol=2e-12)
    assert rational.order == m + k
    assert evaluated(rational, np.zeros(1))[0] == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize(("m", "k"), [(1, 2), (2, 3), (3, 4), (4, 5), (4, 6)])
def test_pade_matches_the_exponential_to_its_order_and_is_l_stable(m, k):
    rational, z = pade(m, k), np.array([-0.5, -0.25])
    errors = np.abs(evaluated(rational, z) - np.exp(z))
    constant = math.factorial(m) * math.factorial(k) / (math.factorial(m + k) * math.factorial(m + k + 1))
    if errors.min() > 1e-11:
        assert np.log2(errors[0] / errors[1]) == pytest.approx(m + k + 1, abs=0.5)
        assert errors[1] == pytest.approx(constant * 0.25 ** (m + k + 1), rel=0.3)
    imaginary = 1j * np.geomspace(1e-2, 1e6, 200)
    poles, residues = rational.poles, rational.residues
    paired = np.where(poles.imag == 0, residues, residues / 2)
    size = rational.direct + (paired / (imaginary[:, None] - poles)).sum(1)
    size = size + np.where(poles.imag == 0, 0, (paired.conj() / (imaginary[:, None] - poles.conj()))).sum(1)
    assert np.abs(size).max() <= 1 + 1e-11
    assert abs(evaluated(rational, np.array([-1e13]))[0]) < 1e-10


# -- Bernoulli's function ----------------------------------------------------------------------------------------------


def exact_bernoulli(z):
    with localcontext() as digits:
        digits.prec = 400
        exact = Decimal(float(z))
        return float(exact / (exact.exp() - 1)) if z else 1.0


@given(power=st.floats(-300, math.log10(700)), sign=st.sampled_from([-1, 1]))
def test_bernoulli_is_right_to_round_off_for_every_size(power, sign):
    z = sign * 10.0**power
    assert bernoulli(np.array([z]))[0] == pytest.approx(exact_bernoulli(z), rel=8 * 2.3e-16)


@pytest.mark.parametrize("z", [0.0, -1e-300, 1e-300, 9.999e-6, 1.0001e-5, -9.999e-6, -1.0001e-5, 699.9, 700.0, -700.0])
def test_bernoulli_is_right_where_its_branches_meet(z):
    assert bernoulli(np.array([z]))[0] == pytest.approx(exact_bernoulli(z), rel=8 * 2.3e-16)


# -- mirrors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mirror", "sign"), [(1, 1.0), (1, -1.0), (-1, 1.0), (-1, -1.0), (0, 1.0)])
def test_values_beyond_the_ends_are_mirrored_or_wrapped(mirror, sign):
    values, ghosts = np.arange(1.0, 13.0), 5
    out = kernels.extended(values, ghosts, mirror, sign)
    for place in range(-ghosts, 12 + ghosts):
        if mirror == 0:
            expected = values[place % 12]
        elif 0 <= place < 12:
            expected = values[place]
        else:
            expected = sign * values[-1 - place if place < 0 else 23 - place]
        assert out[ghosts + place] == expected


@pytest.mark.parametrize("width", [1, 3, 5])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_folding_adds_the_columns_of_mirror_images(width, sign):
    n = 12
    rows = banded(width, n, 1)
    A = np.zeros((n, n))
    for i in range(n):
        for k in range(-width, width + 1):
            j = i + k
            inside = 0 <= j < n
            column = j if inside else (-1 - j if j < 0 else 2 * n - 1 - j)
            A[i, column] += (1.0 if inside else sign) * rows[width + k, i]
    folded = rows.copy()
    kernels.fold(folded, sign)
    np.testing.assert_allclose(dense(folded), A, atol=1e-14)
    outside = [(width + k, i) for i in range(n) for k in range(-width, width + 1) if not 0 <= i + k < n]
    assert all(folded[at] == 0.0 for at in outside)


def test_the_divergence_differences_fluxes_at_sixth_order():
    n, spacing = 16, 0.3
    weights = np.random.default_rng(2).normal(size=(n + 5, 6))
    rows = np.zeros((11, n))
    kernels.divergence(weights, spacing, rows)
    slope = np.array([-9, 125, -2250, 2250, -125, 9]) / 1920 / spacing
    expected = np.zeros((n, n + 10))  # columns: cells −5 ... n + 4
    for i in range(n):
        for m in range(6):  # the face i − 2 + m takes the cells i − 5 + m ... i + m
            for j in range(6):
                expected[i, i + m + j] -= slope[m] * weights[i + m, j]
    for i in range(n):
        np.testing.assert_allclose(rows[:, i], expected[i, i : i + 11], atol=1e-12)


# -- the flux ----------------------------------------------------------------------------------------------------------


def climbs(f, D, spacing):
    """∫ f/D over the half cells for values that are constant in each cell."""
    return np.repeat(f / D * spacing / 2, 2)


def twin(f, D, climb, stretch, spacing, mirror):
    """Weights of J at the faces −2 ... n + 2 on the cells of their stencils, in plain numpy."""
    n = len(f)

    def cell(i):
        if mirror == 0:
            return i % n, 1.0
        return (i, 1.0) if 0 <= i < n else (-1 - i if i < 0 else 2 * n - 1 - i, -1.0)

    def half(c, side):
        i, parity = cell(c)
        return climb[2 * i + side] if parity > 0 else -climb[2 * i + 1 - side]

    def rises(face):
        """Φ at the six centres less Φ at the face."""
        out = {}
        for c in range(face, face + 3):
            out[c] = sum(half(i, 0) + half(i, 1) for i in range(face, c)) + half(c, 0)
        for c in range(face - 3, face):
            out[c] = -half(c, 1) - sum(half(i, 0) + half(i, 1) for i in range(c + 1, face))
        return np.array([out[c] for c in range(face - 3, face + 3)])

    faces = range(-2, n + 3)
    phi = {face: rises(face) for face in faces}
    steepest = max(np.abs(r).max() for r in phi.values())
    slope = np.array([-9, 125, -2250, 2250, -125, 9]) / 1920
    mean = np.array([3, -25, 150, 150, -25, 3]) / 256
    differences = np.array([[1, -3, 2, 2, -3, 1], [-1, 5, -10, 10, -5, 1]]) / np.sqrt([[28.0], [252.0]])
    weighed = differences.T @ np.diag([0.02, 1.0]) @ differences
    weights = np.zeros((n + 5, 6))
    for row, face in enumerate(faces):
        places = [cell(c) for c in range(face - 3, face + 3)]
        here = np.array([D[i] for i, _ in places])
        speeds = np.array([parity * f[i] for i, parity in places])
        wall = -face if face < 0 else (2 * n - face if face > n else face)
        scale = 1 / (spacing * stretch[wall])
        rise = np.abs(phi[face]).max()
        share = 1 / (1 + (rise / 0.7) ** 4)
        plain = (1 - share) * mean * speeds - scale * slope * here * np.exp(-share * phi[face])
        gibbs = np.exp(phi[face] - phi[face].max()) / here * here[2]
        free = plain @ gibbs / (gibbs @ weighed @ gibbs + 1e-16 * gibbs @ gibbs)
        weights[row] = plain - free * weighed @ gibbs
    return weights, steepest <= 2.5


#: Speeds that make the flux well-balanced, mixed, and (nearly everywhere) upwind-biased.
REGIMES = {"gentle": 0.5, "mixed": 12.0, "upwind-biased": 400.0}


@pytest.mark.parametrize("mirror", [1, -1, 0])
@pytest.mark.parametrize("regime", list(REGIMES))
@pytest.mark.parametrize("stretched", [False, True])
def test_the_well_balanced_flux_matches_its_twin_in_all_regimes(mirror, regime, stretched):
    n, spacing = 26, 0.08
    x = (np.arange(n) + 0.5) * spacing
    D = 0.3 + 0.1 * np.cos(2 * np.pi * x / (n * spacing))
    f = REGIMES[regime] * (0.3 + np.sin(2 * np.pi * x / (n * spacing)))
    stretch = 1 + 0.3 * np.linspace(0, 1, n + 1) ** 2 if stretched else np.ones(n + 1)
    climb = climbs(f, D, spacing)
    rows = np.zeros((11, n))
    real = kernels.well_balanced(f, D, climb, stretch, spacing, mirror, rows)
    weights, balanced = twin(f, D, climb, stretch, spacing, mirror)
    assert balanced == (regime == "gentle")
    assert real == (balanced and mirror != 0)
    A = np.zeros((n, n))
    slope = np.array([-9, 125, -2250, 2250, -125, 9]) / 1920 / spacing
    for i in range(n):
        for m in range(6):
            for j in range(6):
                c = i - 5 + m + j
                inside = 0 <= c < n
                column = c % n if mirror == 0 else (c if inside else (-1 - c if c < 0 else 2 * n - 1 - c))
                sign = 1.0 if inside or mirror == 0 else float(mirror)
                A[i, column] -= slope[m] * sign * weights[i + m, j]
    got = np.stack([Rates(rows, mirror == 0).applied(e) for e in np.eye(n)], axis=1)
    # Where both differences of the Gibbs weights are tiny, their multiple is round-off over TINY: ε √BEND / (2 √(6 TINY)) = 7e-10.
    np.testing.assert_allclose(got, A, rtol=0, atol=7e-10 * np.abs(A).max())


@pytest.mark.parametrize("speed", [1e2, 1e6, 1e12, -1e12])
def test_weights_stay_finite_and_bounded_at_any_peclet_number(speed):
    n, spacing = 20, 0.1
    f, D = np.full(n, speed), np.full(n, 1e-3)
    weights = np.empty((n + 5, 6))
    kernels.face_weights(
        kernels.extended(f, 5, 0, 1.0),
        kernels.extended(D, 5, 0, 1.0),
        kernels.extended(climbs(f, D, spacing), 10, 0, 1.0),
        np.ones(n + 1),
        spacing,
        weights,
    )
    assert np.all(np.isfinite(weights))
    assert np.abs(weights).max() <= 2 * abs(speed)
    np.testing.assert_allclose(weights.sum(1), speed, rtol=1e-9)  # of a constant density the flux is f
