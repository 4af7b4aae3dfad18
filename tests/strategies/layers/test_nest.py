"""Loops over arrays: joined as far as can be, and meeting the same elements as before."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convprof.strategies.layers.stages import Nest, parts, repeated, row_major, strides_of


def met(nest):
    """Return the elements of the arrays that are visited together, in no order."""
    offsets = nest.offsets(range(len(nest.sizes)))
    return sorted(zip(*(array.tolist() for array in offsets), strict=True))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_joined_loops_visit_the_same_elements(sizes, random):
    shape = tuple(sizes)
    turned = list(range(len(shape)))
    random.shuffle(turned)
    dense = row_major(tuple(shape[axis] for axis in turned))
    other = tuple(dense[turned.index(axis)] for axis in range(len(shape)))
    nest = Nest(shape, (other, repeated(other, shape), row_major(shape)))
    assert met(nest) == met(nest.joined())


def test_arrays_with_equal_strides_are_one_loop():
    strides = row_major((2, 3, 4))
    assert Nest((24,), ((1,), (1,))) == Nest((2, 3, 4), (strides, strides)).joined()


def test_a_number_per_channel_leaves_the_axes_it_needs():
    x = strides_of((2, 3, 4, 5), image=True, layout="nhwc")
    joined = Nest((2, 3, 4, 5), (x, (0, 1, 0, 0), x)).joined()
    assert Nest((40, 3), ((3, 1), (0, 1), (3, 1))) == joined
    x = row_major((2, 3, 4, 5))
    joined = Nest((2, 3, 4, 5), (x, (0, 1, 0, 0), x)).joined()
    assert Nest((2, 3, 20), ((60, 20, 1), (0, 1, 0), (60, 20, 1))) == joined


def test_an_image_in_nhwc_has_its_channels_side_by_side():
    image = np.arange(2 * 3 * 4 * 5).reshape(2, 4, 5, 3)
    strides = strides_of((2, 3, 4, 5), image=True, layout="nhwc")
    for at in itertools.product(range(2), range(3), range(4), range(5)):
        assert image.transpose(0, 3, 1, 2)[at] == np.dot(at, strides)


def test_parts_cover_an_extent():
    assert parts(9, 4) == [(0, 4), (4, 4), (8, 1)]
