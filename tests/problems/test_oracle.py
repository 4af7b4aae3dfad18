"""The oracle is what every strategy is held against, so it is held against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_convolutions import fitting
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.problems import Conv2d, Gemm

SMALL = st.integers(1, 3)


def by_hand(p, x, weights):
    """Return the convolution by its definition, with no array but the result."""
    y = np.zeros(p.y_shape("nchw"))
    top, left, _, _ = p.pads
    for n, k, out_row, out_column in np.ndindex(*y.shape):
        group = k // (p.k // p.groups)
        for c, r, s in np.ndindex(p.c // p.groups, p.r, p.s):
            row = out_row * p.stride[0] + r * p.dilation[0] - top
            column = out_column * p.stride[1] + s * p.dilation[1] - left
            if 0 <= row < p.h and 0 <= column < p.w:
                pixel = x[n, group * (p.c // p.groups) + c, row, column]
                y[n, k, out_row, out_column] += float(pixel) * float(weights[k, c, r, s])
    return y


@st.composite
def convolutions(draw):
    pair = st.tuples(SMALL, SMALL)
    (r, s), stride, dilation = draw(pair), draw(pair), draw(pair)
    pad = draw(st.tuples(*[st.integers(0, 3)] * 4))
    groups = draw(SMALL)
    return fitting(
        draw,
        SMALL,
        st.integers(1, 2),
        st.integers(0, 3),
        r=r,
        s=s,
        stride=stride,
        pad=pad,
        dilation=dilation,
        groups=groups,
    )


def operands(first, second, seed):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, first), random.uniform(-1, 1, second)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(convolutions(), st.integers(0, 99))
def test_convolutions_equal_the_definition(p, seed):
    x, weights = operands(p.x_shape("nchw"), p.weight_shape, seed)
    result = p.reference((x, weights))
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, by_hand(p, x, weights), rtol=0, atol=1e-13)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(convolutions(), st.data())
def test_points_of_a_convolution_equal_the_whole(p, data):
    x, weights = operands(p.x_shape("nchw"), p.weight_shape, 1)
    whole = p.reference((x, weights))
    indices = st.integers(0, whole.size - 1)
    points = np.array(data.draw(st.lists(indices, min_size=1, max_size=9)), dtype=np.int64)
    picked = p.reference((x, weights), points)
    assert picked.shape == points.shape
    np.testing.assert_allclose(picked, whole.ravel()[points], rtol=0, atol=1e-13)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.builds(Gemm, m=SMALL, n=SMALL, k=st.integers(1, 6), batch=SMALL), st.data())
def test_products_equal_the_definition(g, data):
    a, b = operands(g.a_shape, g.b_shape, 2)
    left, right = a.reshape(g.batch, g.m, g.k), b.reshape(g.batch, g.k, g.n)
    expected = np.zeros((g.batch, g.m, g.n))
    for z, i, j, t in np.ndindex(g.batch, g.m, g.n, g.k):
        expected[z, i, j] += left[z, i, t] * right[z, t, j]
    expected = expected.reshape(g.c_shape)

    result = g.reference((a, b))
    assert (g.c_shape, np.float64) == (result.shape, result.dtype)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-13)

    indices = st.integers(0, expected.size - 1)
    points = np.array(data.draw(st.lists(indices, min_size=1, max_size=9)), dtype=np.int64)
    np.testing.assert_allclose(
        g.reference((a, b), points), expected.ravel()[points], rtol=0, atol=1e-13
    )


RAMP = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)


@pytest.mark.parametrize(
    ("options", "weights", "expected"),
    [
        # correlation, not mathematical convolution: the filter is not flipped
        ({"r": 2, "s": 2}, [[1, 2], [3, 4]], [[37, 47], [67, 77]]),
        ({"r": 1, "s": 2}, [[1, 10]], [[21, 32], [54, 65], [87, 98]]),
        (
            {"r": 3, "s": 3, "pad": (1, 1)},
            np.ones((3, 3)),
            [[12, 21, 16], [27, 45, 33], [24, 39, 28]],
        ),
        (
            {"r": 2, "s": 2, "stride": (1, 2), "pad": (1, 0, 0, 1)},
            [[1, 0], [0, 10]],
            [[20, 0], [51, 3], [84, 6]],
        ),
        ({"r": 2, "s": 2, "dilation": (2, 2)}, [[1, 2], [3, 4]], [[1 + 6 + 21 + 36]]),
        ({"r": 1, "s": 1, "stride": (2, 2)}, [[2]], [[2, 6], [14, 18]]),
    ],
)
def test_values_worked_out_by_hand(options, weights, expected):
    p = Conv2d(c=1, h=3, w=3, k=1, **options)
    result = p.reference((RAMP, np.array(weights, dtype=float).reshape(p.weight_shape)))
    np.testing.assert_array_equal(result[0, 0], expected)


def test_groups_keep_to_their_channels():
    p = Conv2d(c=4, h=1, w=1, k=6, r=1, s=1, groups=2)
    x = np.array([1.0, 10, 100, 1000]).reshape(1, 4, 1, 1)
    weights = np.array([[1.0, 0], [0, 1], [1, 1], [1, 0], [0, 1], [2, 3]]).reshape(6, 2, 1, 1)
    result = p.reference((x, weights))
    np.testing.assert_array_equal(result.ravel(), [1, 10, 11, 100, 1000, 3200])


def test_sums_are_taken_in_float64():
    p = Conv2d(c=3, h=1, w=1, k=1, r=1, s=1)
    x = np.array([1e8, 1, -1e8], dtype=np.float32).reshape(1, 3, 1, 1)
    ones = np.ones((1, 3, 1, 1), dtype=np.float32)
    assert p.reference((x, ones)).item() == 1
    assert p.reference((x, ones), np.array([0])).item() == 1
    g = Gemm(m=1, n=1, k=3)
    assert g.reference((x.reshape(1, 3), ones.reshape(3, 1))).item() == 1
    assert g.reference((x.reshape(1, 3), ones.reshape(3, 1)), np.array([0])).item() == 1
