"""Activations, sums, normalisations, tokens and rearrangements."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.dtypes import F32
from convprof.errors import ProblemError
from convprof.problems.ops import (
    Activation,
    Add,
    BatchNorm,
    Bias,
    ClassToken,
    Concat,
    Flatten,
    LayerNorm,
    LayerScale,
    Multiply,
    PositionEmbedding,
    Reshape,
    SelectToken,
    Slice,
    Softmax,
    Tokens,
    Transpose,
)

IMAGE, TOKENS = (2, 3, 4, 5), (2, 7, 6)


@pytest.mark.parametrize(
    ("op", "shape", "parameters", "steps"),
    [
        (Activation("relu"), IMAGE, 0, 1),
        (Activation("gelu"), TOKENS, 0, 5),
        (BatchNorm(), IMAGE, 2 * 3, 2),
        (LayerNorm(), IMAGE, 2 * 3, 7),
        (LayerNorm(), TOKENS, 2 * 6, 7),
        (LayerScale(), IMAGE, 3, 1),
        (Bias(), (2, 9), 9, 1),
        (Softmax(), (2, 3, 4, 4), 0, 5),
        (PositionEmbedding(), TOKENS, 7 * 6, 1),
    ],
)
def test_what_keeps_the_shape(op, shape, parameters, steps):
    size = np.prod(shape)
    assert op.output(shape) == shape
    assert op.parameters(shape) == parameters
    assert op.macs(shape) == 0
    assert op.flops(shape) == steps * size
    assert op.bytes_min(F32, shape) == 4 * (2 * size + parameters)


def test_running_statistics_are_no_parameters():
    assert BatchNorm().buffers(IMAGE) == {"running_mean": (3,), "running_var": (3,)}
    assert LayerNorm().buffers(IMAGE) == {}


def test_unknown_activation():
    with pytest.raises(ProblemError, match="activation 'elu': use one of relu, "):
        Activation("elu")


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
)
def test_broadcasting_is_numpys(a, b):
    a, b = tuple(a), tuple(b)
    try:
        expected = np.broadcast_shapes(a, b) if len(a) == len(b) else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(ProblemError, match="does not fit the first input"):
            Add().output(a, b)
    else:
        assert expected == Multiply().output(a, b) == Add().output(a, b)
        assert Add().flops(a, b) == np.prod(expected)
        moved = np.prod(a) + np.prod(b) + np.prod(expected)
        assert Multiply().bytes_min(F32, a, b) == 4 * moved


def test_from_an_image_to_tokens_and_back_to_one():
    assert Tokens().output(IMAGE) == (2, 20, 3)
    assert Tokens().bytes_min(F32, IMAGE) == 0
    assert ClassToken().output(TOKENS) == (2, 8, 6)
    assert ClassToken().parameters(TOKENS) == 6
    assert SelectToken(0).output(TOKENS) == (2, 6)
    for bad in (7, -1):
        with pytest.raises(ProblemError, match=f"no token {bad}"):
            SelectToken(bad).output(TOKENS)
    with pytest.raises(ProblemError, match="it needs tokens"):
        ClassToken().output(IMAGE)


@pytest.mark.parametrize(
    ("op", "shape", "expected"),
    [
        (Flatten(), IMAGE, (2, 60)),
        (Reshape((0, -1)), IMAGE, (2, 60)),
        (Reshape((0, 0, 2, 3)), TOKENS, (2, 7, 2, 3)),
        (Reshape((4, 30)), IMAGE, (4, 30)),
        (Transpose((0, 2, 3, 1)), IMAGE, (2, 4, 5, 3)),
        (Slice(axis=2, start=2, stop=4), TOKENS, (2, 7, 2)),
    ],
)
def test_rearrangements(op, shape, expected):
    assert expected == op.output(shape)
    assert op.flops(shape) == op.parameters(shape) == 0
    moved = 0 if op.is_view else 2 * 4 * int(np.prod(shape))
    assert moved == op.bytes_min(F32, shape)


@pytest.mark.parametrize(
    "op",
    [
        Reshape((7, -1)),
        Reshape((-1, -1)),
        Reshape((2, 61)),
        Reshape((2, 3, 4, 5, 0)),
        Reshape((-2, -60)),
        Reshape(()),
        Transpose((0, 1, 2)),
        Transpose((0, 1, 1, 2)),
        Slice(axis=1, start=2, stop=4),
        Slice(axis=4, start=0, stop=1),
        Slice(axis=0, start=1, stop=1),
        Concat(4),
    ],
)
def test_impossible_rearrangements(op):
    with pytest.raises(ProblemError, match="cannot read 2x3x4x5"):
        op.output(IMAGE)


def test_concat():
    assert Concat(1).output(IMAGE, (2, 1, 4, 5), IMAGE) == (2, 7, 4, 5)
    assert Concat(1).output(IMAGE) == IMAGE
    with pytest.raises(ProblemError, match="it must fit 2x3x4x5 along axis 1"):
        Concat(1).output(IMAGE, (2, 3, 4, 6))
    with pytest.raises(ProblemError, match="number of inputs 0, must be 1 or more"):
        Concat(1).output()
