"""Attention by hand: its numbers against the reference and strategies, and what is global in it."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.studies.explain.attention import attention, layers_to_reach, patches, reach, softmax


@pytest.mark.parametrize("side", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 7])
def test_the_outputs_are_the_reference_and_the_strategies(side, seed):
    page = attention(side, seed)
    operands = page.q[None, None], np.stack([page.k, page.v])[:, None, None]
    assert np.allclose(page.problem.reference(operands)[0, 0], page.output, rtol=1e-12, atol=1e-12)
    assert [each.strategy for each in page.checked] == ["naive", "fused"]
    assert all(each.difference < 1e-5 for each in page.checked)


def test_every_step_follows_from_the_one_before():
    page = attention(3, 0)
    assert page.tokens.shape == (9, 4)
    for matrix, projection in zip((page.q, page.k, page.v), page.projections, strict=True):
        assert np.array_equal(matrix, page.tokens @ projection)
    assert np.array_equal(page.products, page.q @ page.k.T)
    assert np.allclose(page.scores, page.products / 2**0.5)
    for row in range(9):
        powers = [np.exp(score - max(page.scores[row])) for score in page.scores[row]]
        assert np.allclose(page.powers[row], powers)
        assert np.allclose(page.weights[row], np.array(powers) / sum(powers))
    assert np.allclose(page.weights.sum(axis=1), 1, atol=1e-15)


def test_the_page_shows_weights_that_differ():
    weights = attention(3, 0).weights[attention(3, 0).token]
    assert weights.max() < 0.9
    assert weights.max() > 5 * weights.min()


def test_the_softmax_of_large_scores_is_finite():
    powers, weights = softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]]))
    assert powers.max() == 1
    assert weights.tolist() == [[1, 0], [0.5, 0.5]]


def test_patches_are_cut_row_by_row():
    image = np.arange(16).reshape(4, 4)
    assert patches(image).tolist() == [
        [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15],
    ]  # fmt: skip


def test_the_order_of_patches_plays_no_part():
    assert all(attention(3, seed).order < 1e-14 for seed in range(5))


@pytest.mark.parametrize("side", [2, 3, 4, 5])
def test_a_convolution_reaches_one_patch_further_per_layer_and_attention_all(side):
    for layers in range(1, layers_to_reach(side) + 1):
        after = reach(side, layers, 0)
        rows, columns = np.indices((side, side))
        assert np.array_equal(after.convolution, np.maximum(rows, columns) <= layers)
        assert after.attention.all()
    assert after.convolution.all()
    if side > 2:
        assert not reach(side, layers_to_reach(side) - 1, 0).convolution.all()
