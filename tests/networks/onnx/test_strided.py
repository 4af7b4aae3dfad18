"""Strides against NumPy moving numbers about."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convprof.networks.onnx.converters.packed_attention import Strided

SIZES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4)


def places(strided, shape):
    """Return the offset of every element, in the order of the shape."""
    offsets = []
    for axis in strided.axes:
        runs = [range(0, count * step, step) for count, step in axis]
        offsets.append([sum(each) for each in itertools.product(*runs)])
    flat = [strided.offset + sum(each) for each in itertools.product(*offsets)]
    return np.array(flat).reshape(shape)


@given(data=st.data())
def test_any_chain_of_moves(data):
    shape = tuple(data.draw(SIZES))
    expected = np.arange(math.prod(shape)).reshape(shape)
    found = Strided.whole(shape)
    for _ in range(data.draw(st.integers(0, 5))):
        move = data.draw(st.sampled_from(["transpose", "slice", "reshape"]))
        if move == "transpose":
            axes = tuple(data.draw(st.permutations(range(expected.ndim))))
            expected, found = expected.transpose(axes), found.transposed(axes)
        elif move == "slice":
            axis = data.draw(st.integers(0, expected.ndim - 1))
            start = data.draw(st.integers(0, expected.shape[axis] - 1))
            cut = [slice(None)] * expected.ndim
            cut[axis] = slice(start, start + 1)
            expected, found = expected[tuple(cut)], found.sliced(axis, start, start + 1)
        else:
            sizes = list(expected.shape)
            if data.draw(st.booleans()) and len(sizes) > 1:
                sizes[:2] = [sizes[0] * sizes[1]]
            else:
                sizes = [sizes[0], 1, *sizes[1:]]
            expected, found = expected.reshape(sizes), found.reshaped(tuple(sizes))
        if found is None:
            return
        assert np.array_equal(expected, places(found, expected.shape))


def test_axes_put_together_come_apart_again():
    images_and_heads = Strided.of((2, 3, 4), (100, 4, 1)).reshaped((6, 4))
    assert images_and_heads is not None
    assert images_and_heads.reshaped((2, 3, 4)) == Strided.of((2, 3, 4), (100, 4, 1))


def test_a_run_that_would_break():
    assert Strided.of((2, 3), (10, 1)).reshaped((3, 2)) is None
    assert Strided.of((2, 3), (10, 1)).reshaped((6,)).sliced(0, 1, 2) is None


def test_the_same_elements():
    assert Strided.whole((2, 3)).same(Strided.of((2, 3), (3, 1)))
    assert not Strided.whole((2, 3)).same(Strided.of((2, 3), (1, 2)))
    assert not Strided.whole((2, 3)).same(Strided.of((2, 3), (3, 1), 1))
