"""The digit's way through two layers: filters, sums over channels, pooling and counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from convprof import networks
from convprof.studies.explain.channels import channels
from convprof.studies.explain.digit import SIDE, STROKES, digit, drawn
from convprof.studies.explain.shape_filters import first_layer, shapes


@pytest.fixture(scope="module")
def page():
    return channels(7)


def test_ten_digits_are_drawn_and_each_is_another():
    images = [digit(number) for number in range(10)]
    assert len(STROKES) == len(images)
    for image in images:
        assert image.shape == (SIDE, SIDE)
        assert (image.min(), image.max()) == (0, 1)
        assert 0.08 < image.mean() < 0.25
    for a, b in itertools.pairwise(images):
        assert np.abs(a - b).mean() > 0.02


def test_a_stroke_is_three_pixels_wide():
    image = drawn([((14, 2), (14, 26))])
    assert image[14, 11:18].tolist() == [0, 0, 1, 1, 1, 0, 0]


def test_filters_have_length_1_and_first_layer_filters_mean_0(page):
    first = first_layer()
    assert np.allclose(first.weights.sum(axis=(1, 2, 3)), 0, atol=1e-6)
    for filters in (first, page.second.filters):
        flat = filters.weights.reshape(len(filters.weights), -1)
        assert np.allclose(np.linalg.norm(flat, axis=1), 1)
        assert len(set(filters.names)) == len(filters.names) == len(flat)
    assert len({frozenset(shape.arms) for shape in shapes()}) == 64


def test_a_bar_answers_where_the_bar_is():
    first = first_layer()
    across = first.names.index("bright bar E-W")
    assert (first.weights[across, 0, 2] > 0).all()
    assert (first.weights[across, 0, [0, 4]] < 0).all()
    below = first.names.index("edge, bright S")
    assert (first.weights[below, 0, 3:] > 0).all()
    assert (first.weights[below, 0, :2] < 0).all()


def test_every_filter_answers_most_to_its_own_shape(page):
    conv1, conv2, moved = page.own
    assert (conv1.own, conv1.of) == (32, 32)
    assert (conv2.own, conv2.of) == (64, 64)
    assert 0.9 * moved.of < moved.own < moved.of == 512


@pytest.mark.parametrize(
    ("number", "filter_", "row", "column"),
    [(1, "line N+S", 9, 7), (7, "line NNE+SSW", 9, 7), (4, "sharp corner SW+S", 2, 8)],
)
def test_digits_are_answered_by_the_shapes_that_they_have(number, filter_, row, column):
    page = channels(number)
    answer = page.second.answer(page.second.ranked()[0])
    assert answer.filter == filter_
    assert abs(answer.row - row) <= 1
    assert abs(answer.column - column) <= 1


def test_what_the_channels_add_makes_the_output(page):
    added = page.added
    assert len(added.channels) == 32
    assert added.total == pytest.approx(added.answer.value, rel=1e-12)
    k = page.second.filters.names.index(added.answer.filter)
    assert page.second.maps[k, added.answer.row, added.answer.column] == added.answer.value


def test_pooling_is_the_largest_of_each_square(page):
    blocks = page.first.maps.reshape(32, 14, 2, 14, 2)
    assert np.array_equal(blocks.max(axis=(2, 4)), page.first.pooled)
    before = page.corner.before
    quarters = [[before[i : i + 2, j : j + 2].max() for j in (0, 2)] for i in (0, 2)]
    assert np.array_equal(quarters, page.corner.after)
    k = page.first.filters.names.index(page.corner.filter)
    row, column = page.corner.row, page.corner.column
    square = page.first.maps[k, row : row + 4, column : column + 4]
    assert np.array_equal(square, page.corner.before)
    assert row % 2 == column % 2 == 0


@pytest.mark.parametrize("number", [0, 4, 8])
def test_pooling_lessens_what_a_move_changes(number):
    _, conv1, pool1, conv2, pool2 = (change.share for change in channels(number).changes)
    assert pool1 < conv1
    assert pool2 < conv2 < conv1


def test_strategies_compute_the_same_maps(page):
    for stage in (page.first, page.second):
        assert [each.strategy for each in stage.checked] == ["direct", "microkernel"]
        assert all(each.difference < 1e-5 for each in stage.checked)
        expected = stage.checked[0].output[0] + stage.filters.bias[:, None, None]
        assert np.allclose(np.maximum(expected, 0), stage.maps, atol=1e-4)


def test_the_counts_are_the_networks(page):
    by_name = {layer.name: layer for layer in page.layers}
    assert by_name["conv1"].parameters == 32 * (1 * 5 * 5 + 1) == 832
    assert by_name["conv2"].parameters == 64 * (32 * 5 * 5 + 1) == 51_264
    assert by_name["conv2"].output == page.second.maps.shape
    assert by_name["pool2"].output == page.second.pooled.shape
    assert page.parameters == sum(layer.parameters for layer in page.layers) == 3_274_634
    assert len(page.layers) == len(networks.network("mnist-cnn").nodes)
