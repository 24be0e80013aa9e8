"""Selling's decomposition: exact, non-negative, and along the offsets that geometry demands."""

from __future__ import annotations

import numpy as np
import pytest

import fpk
from fpk.errors import SchemeError
from fpk.fokker_planck.product.fields import pairs
from fpk.fokker_planck.product.selling import LENGTH, REACH, decomposed, stencil_of

BOX = fpk.Grid(-3, 3, cells=24) * fpk.Grid(-2, 2, cells=32)


def directed_tensors(rng: np.random.Generator, d: int, count: int, condition: float) -> np.ndarray:
    """Random rotations of diag(1, ..., 1/condition)."""
    turned = np.linalg.qr(rng.normal(size=(count, d, d)))[0]
    values = condition ** -np.sort(rng.uniform(size=(count, d)))
    values[:, 0], values[:, -1] = 1.0, 1.0 / condition
    return np.einsum("nij,nj,nkj->nik", turned, values, turned)


def reconstructed(weights: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nki,nkj->nij", weights, offsets, offsets)


def offsets_with_weight(matrix: list[list[float]]) -> dict[tuple[int, ...], float]:
    weights, offsets = decomposed(np.array([matrix]))
    return {tuple(e.tolist()): round(float(w), 12) for w, e in zip(weights[0], offsets[0], strict=True) if w > 0}


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("condition", [1.0, 30.0, 1e4])
def test_weights_are_not_negative_and_sum_to_the_tensor(rng, d, condition) -> None:
    D = directed_tensors(rng, d, 2000, condition)
    weights, offsets = decomposed(D)
    assert weights.min() >= 0
    assert np.abs(reconstructed(weights, offsets) - D).max() < 1e-15 * condition**1.5 + 1e-14


def test_fields_that_jump_from_cell_to_cell_are_decomposed_as_well(rng) -> None:
    D = directed_tensors(rng, 3, 40_000, 1e4)
    weights, offsets = decomposed(D)
    assert np.isfinite(weights).all()
    assert np.abs(reconstructed(weights, offsets) - D).max() < 1e-9


@pytest.mark.parametrize("d", [2, 3])
def test_offsets_are_no_longer_than_the_root_of_the_condition(rng, d) -> None:
    for condition in (3.0, 25.0, 400.0):
        D = directed_tensors(rng, d, 10_000, condition)
        weights, offsets = decomposed(D)
        assert np.where(weights > 0, np.abs(offsets).max(axis=2), 0).max() <= LENGTH * condition**0.5


def test_known_tensors_have_known_offsets() -> None:
    assert offsets_with_weight([[2.0, 0.0], [0.0, 3.0]]) == {(1, 0): 2, (0, 1): 3}
    assert offsets_with_weight([[1.0, 1.0], [1.0, 1.0]]) == {(1, 1): 1}
    assert offsets_with_weight([[1.0, -1.0], [-1.0, 1.0]]) == {(1, -1): 1}
    assert offsets_with_weight([[4.0, -6.0], [-6.0, 9.0]]) == {(2, -3): 1}
    assert offsets_with_weight([[3.0, 1.0], [1.0, 2.0]]) == {(1, 0): 2, (0, 1): 1, (1, 1): 1}
    assert offsets_with_weight([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]]) == {(1, 0, 0): 1, (0, 1, 0): 2, (0, 0, 1): 3}
    assert offsets_with_weight([[1.0, 2, -1], [2.0, 4, -2], [-1.0, -2, 1]]) == {(1, 2, -1): 1}
    assert offsets_with_weight([[0.0, 0.0], [0.0, 0.0]]) == {}


def test_weights_vary_continuously_with_the_tensor() -> None:
    angle = np.linspace(0, np.pi, 4001)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    D = 0.04 * np.eye(2) + 0.96 * along[:, :, None] * along[:, None, :]
    weights, offsets = decomposed(D)
    for e in ([1, 0], [0, 1], [1, 1], [1, -1], [2, 1]):
        tent = np.where((offsets == e).all(axis=2), weights, 0).sum(axis=1)
        assert tent.max() > 0
        assert np.abs(np.diff(tent)).max() < 10 * (angle[1] - angle[0])


def turning(grid) -> np.ndarray:
    """Noise 25 times stronger along a direction that turns through the box, as D_ij for i ≤ j."""
    angle = (grid.points @ [0.4, 0.7]).reshape(grid.shape)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * c + 0.04 * s * s, 0.96 * c * s, s * s + 0.04 * c * c])


def test_the_stencil_of_a_field_is_that_of_each_of_its_cells() -> None:
    D = turning(BOX)
    stencil = stencil_of(D, BOX)
    steps = stencil.offsets * BOX.spacings
    for entry, (i, j) in zip(D, pairs(2), strict=True):
        np.testing.assert_allclose(
            np.einsum("kxy,k->xy", stencil.weights, steps[:, i] * steps[:, j]), entry, atol=1e-14
        )
    assert stencil.weights.min() == 0
    assert ((stencil.weights > 0).sum(axis=0) <= 3).all()
    assert stencil.weights.any(axis=(1, 2)).all()


def test_one_matrix_for_all_cells_stays_one() -> None:
    stencil = stencil_of(np.array([0.7, 0.3, 0.4]).reshape(3, 1, 1), BOX)
    assert stencil.weights.shape == (3, 1, 1)
    assert stencil.offsets.shape == (3, 2)


def test_noise_along_no_whole_direction_is_refused_with_the_way_out() -> None:
    v = np.array([1.0, 2**0.5])
    singular = np.outer(v, v)[[0, 0, 1], [0, 1, 1]].reshape(3, 1, 1)
    with pytest.raises(SchemeError, match=r"stronger in one direction.*Use cells whose widths follow the noise"):
        stencil_of(singular, BOX)


def test_noise_along_one_direction_that_turns_is_refused_with_the_place() -> None:
    D = turning(BOX) - 0.04 * np.array([1, 0, 1]).reshape(3, 1, 1)
    with pytest.raises(SchemeError, match=rf"more than {min(REACH, 12)} cells away at x = \["):
        stencil_of(D, BOX)


def test_tensors_that_are_singular_along_a_curve_get_a_trace_of_noise_there() -> None:
    D = turning(BOX)
    D[:, 5, 7] = [1.0, 2**0.5, 2.0]
    stencil = stencil_of(D, BOX)
    assert np.abs(stencil.offsets).max() <= min(REACH, 12)
    steps = stencil.offsets * BOX.spacings
    found = np.einsum("kxy,ki,kj->xyij", stencil.weights, steps, steps)
    excess = found[5, 7] - np.array([[1.0, 2**0.5], [2**0.5, 2.0]])
    assert 0 < np.linalg.eigvalsh(excess / np.outer(BOX.spacings, BOX.spacings))[0] < 0.01 * 2 / BOX.spacings[1] ** 2
    np.testing.assert_allclose(
        np.delete(found[..., 0, 0].ravel(), 5 * 32 + 7), np.delete(D[0].ravel(), 5 * 32 + 7), atol=1e-14
    )


def test_an_indefinite_tensor_is_refused_as_such() -> None:
    with pytest.raises(SchemeError, match="not positive semi-definite: eigenvalues from -"):
        stencil_of(np.array([1.0, 2.0, 1.0]).reshape(3, 1, 1), BOX)
