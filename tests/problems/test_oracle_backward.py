"""The gradients' references are held against the definition of a gradient: finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.problems import Conv2d, Gemm

SMALL = st.integers(1, 3)
STEP = 1e-3
"""The forward pass is linear in each operand: central differences are exact but for rounding."""


@st.composite
def convolutions(draw):
    r, s, dilation = draw(SMALL), draw(SMALL), draw(st.tuples(SMALL, SMALL))
    groups = draw(st.integers(1, 2))
    return Conv2d(
        n=draw(st.integers(1, 2)),
        c=groups * draw(SMALL),
        h=(r - 1) * dilation[0] + draw(SMALL),
        w=(s - 1) * dilation[1] + draw(SMALL),
        k=groups * draw(SMALL),
        r=r,
        s=s,
        stride=draw(st.tuples(SMALL, SMALL)),
        pad=draw(st.tuples(*[st.integers(0, 3)] * 4)),
        dilation=dilation,
        groups=groups,
    )


def difference(function, at, direction):
    """Return the derivative of a function along a direction."""
    return (function(at + STEP * direction) - function(at - STEP * direction)) / (2 * STEP)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(convolutions(), st.integers(0, 999))
def test_gradients_of_a_convolution_are_its_directional_derivatives(p, seed):
    random = np.random.default_rng(seed)
    shapes = (p.x_shape("nchw"), p.weight_shape, p.y_shape("nchw"))
    x, w, dy = (random.uniform(-1, 1, shape) for shape in shapes)
    along_x, along_w = random.uniform(-1, 1, x.shape), random.uniform(-1, 1, w.shape)

    expected = difference(lambda at: np.sum(dy * p.reference((at, w))), x, along_x)
    actual = np.sum(along_x * p.data_gradient(dy, w))
    assert actual == pytest.approx(expected, rel=1e-8, abs=1e-8)

    expected = difference(lambda at: np.sum(dy * p.reference((x, at))), w, along_w)
    actual = np.sum(along_w * p.weights_gradient(x, dy))
    assert actual == pytest.approx(expected, rel=1e-8, abs=1e-8)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(convolutions(), st.integers(0, 999))
def test_some_points_of_a_convolutions_gradients_equal_the_whole(p, seed):
    random = np.random.default_rng(seed)
    shapes = (p.x_shape("nchw"), p.weight_shape, p.y_shape("nchw"))
    x, w, dy = (random.uniform(-1, 1, shape) for shape in shapes)
    for function, operands in (
        (p.data_gradient, (dy, w)),
        (p.weights_gradient, (x, dy)),
    ):
        whole = function(*operands).ravel()
        points = random.integers(0, whole.size, 20)
        np.testing.assert_allclose(
            function(*operands, points), whole[points], rtol=1e-12, atol=1e-12
        )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(SMALL, SMALL, SMALL, SMALL, st.integers(0, 999))
def test_gradients_of_a_product(m, n, k, batch, seed):
    g = Gemm(m=m, n=n, k=k, batch=batch)
    random = np.random.default_rng(seed)
    a, b, dc = (random.uniform(-1, 1, shape) for shape in (g.a_shape, g.b_shape, g.c_shape))
    along_a, along_b = random.uniform(-1, 1, a.shape), random.uniform(-1, 1, b.shape)

    da, db = g.data_gradient(dc, b), g.weights_gradient(a, dc)
    expected = difference(lambda at: np.sum(dc * g.reference((at, b))), a, along_a)
    assert np.sum(along_a * da) == pytest.approx(expected, rel=1e-8, abs=1e-8)
    expected = difference(lambda at: np.sum(dc * g.reference((a, at))), b, along_b)
    assert np.sum(along_b * db) == pytest.approx(expected, rel=1e-8, abs=1e-8)

    points = random.integers(0, da.size, 5)
    np.testing.assert_allclose(g.data_gradient(dc, b, points), da.ravel()[points])
    points = random.integers(0, db.size, 5)
    np.testing.assert_allclose(g.weights_gradient(a, dc, points), db.ravel()[points])
