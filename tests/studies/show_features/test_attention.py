from __future__ import annotations

import math

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.studies.show_features import attention
from convprof.studies.show_features.picture import Picture


def picture_of(rgb):
    return Picture("x", rgb.shape[:0:-1], np.float32(rgb))


def slopes_of(plane):
    return np.float32([np.gradient(plane, axis=1), np.gradient(plane, axis=0)])


@pytest.mark.parametrize(
    ("size", "patch", "found"),
    [
        ((256, 218), None, (16, 16, 13)),
        ((20, 20), None, (5, 4, 4)),
        ((26, 256), None, (6, 4, 42)),
        ((1, 1), None, (1, 1, 1)),
        ((3, 1024), None, (1, 3, 1024)),
        ((1024, 1024), None, (16, 64, 64)),
        ((40, 50), 8, (8, 5, 6)),
        ((40, 50), 40, (40, 1, 1)),
    ],
)
def test_patches_suit_the_picture(size, patch, found):
    grid = attention.grid(*size, patch)
    assert (grid.patch, grid.rows, grid.columns) == found


def test_patches_that_do_not_fit_or_are_too_many():
    with pytest.raises(InputError, match=r"patch=41: the picture is 50x40 here; use at most 40"):
        attention.grid(40, 50, 41)
    with pytest.raises(InputError, match=r"patch=1: makes 65536 patches of 256x256 pixels"):
        attention.grid(256, 256, 1)


def test_cutting_keeps_patches_together():
    plane = np.arange(7 * 9).reshape(7, 9)
    grid = attention.grid(7, 9, 3)
    cut = grid.cut(plane)
    assert cut.shape == (6, 9)
    assert cut[4].tolist() == plane[3:6, 3:6].ravel().tolist()


def test_tokens_are_of_one_length_and_like_patches_have_like_tokens():
    rgb = np.random.default_rng(0).random((3, 32, 48))
    rgb[:, :8, :8] = rgb[:, 24:, 40:]
    slopes = np.stack([np.pad(s, 0) for s in slopes_of(rgb.mean(0))])
    slopes[:, :8, :8] = slopes[:, 24:, 40:]
    found = attention.tokens(picture_of(rgb), slopes, attention.grid(32, 48, 8))
    assert found.shape == (24, 4 + attention.ANGLES)
    lengths = np.linalg.norm(found, axis=1)
    assert lengths == pytest.approx(math.sqrt(4 + attention.ANGLES), rel=1e-5)
    assert found[0] == pytest.approx(found[-1], abs=1e-6)


def test_edges_count_in_the_bin_of_their_direction():
    slopes = np.zeros((2, 4, 12), np.float32)
    slopes[0, :, :4] = -2  # across, whatever the sign
    slopes[1, :, 4:8] = 3
    slopes[:, :, 8:] = 1
    slopes[1, :2, :4] = 1e-7
    slopes[1, 2:, :4] = -1e-7  # next to nothing, to both sides
    bins = np.array(attention._directions(slopes, attention.grid(4, 12, 4)))
    assert bins[:, 0].tolist() == [2, 0, 0, 0, 0, 0, 0, 0]
    assert bins[:, 1].tolist() == [0, 0, 0, 0, 3, 0, 0, 0]
    assert bins[:, 2] == pytest.approx([0, 0, math.sqrt(2), 0, 0, 0, 0, 0])


def test_an_even_picture_pays_the_same_attention_to_all():
    rgb = np.full((3, 16, 16), 0.3)
    grid = attention.grid(16, 16, 4)
    tokens = attention.tokens(picture_of(rgb), slopes_of(rgb[0]), grid)
    assert not tokens.any()
    weights = attention.weights(tokens @ tokens.T, tokens.shape[1])
    assert weights == pytest.approx(1 / 16)


def test_weights_are_the_softmax_of_scaled_scores():
    scores = np.float32([[0, 2, 4], [1000, 0, -1000]])
    found = attention.weights(scores, 4)
    powers = np.exp([0, 1, 2])
    assert found[0] == pytest.approx(powers / powers.sum())
    assert found[1].tolist() == [1, 0, 0]


def test_the_scores_are_one_product():
    tokens = np.random.default_rng(0).random((5, 12)).astype(np.float32)
    step = attention.scores_step(tokens)
    assert step.problem.descriptor == "5x12:12x5"
    assert (step.first @ step.second) == pytest.approx(tokens @ tokens.T)


def test_queries_are_three_different_patches():
    slopes = np.ones((2, 20, 20), np.float32)
    slopes[:, 5:10, 15:] = 7
    slopes[:, 15:, :5] = 0
    grid = attention.grid(20, 20, 5)
    found = {query.name: query.token for query in attention.queries(slopes, grid)}
    assert found == {"the centre": 10, "the most edges": 7, "the fewest edges": 12}
    slopes[:] = 1
    assert len({query.token for query in attention.queries(slopes, grid)}) == 3
    assert len(attention.queries(slopes, attention.grid(20, 20, 20))) == 1
