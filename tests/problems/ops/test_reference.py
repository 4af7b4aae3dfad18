"""The float64 reference of operations, held against formulas written out and against PyTorch."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest

from convprof.problems import ops
from convprof.problems.epilogue import STEPS
from convprof.problems.operation import Operation


def drawn(*shapes):
    random = np.random.default_rng(0)
    return [random.uniform(-2, 2, shape) for shape in shapes]


def of(op, *operands):
    """Return the reference of activations alone."""
    problem = Operation(op=op, inputs=tuple(x.shape for x in operands), laid_out=True)
    found = problem.reference(operands)
    assert problem.output == found.shape
    return found


def pooled(op, x):
    """Return the pooling of an image, element by element as the docstring of ``Pool2d`` says."""
    n, c, p, q = op.output(x.shape)
    h, w = x.shape[2:]
    top, left, bottom, right = op.pads
    result = np.empty((n, c, p, q))
    for at in itertools.product(range(n), range(c), range(p), range(q)):
        seen, count = [], 0
        for r, s in itertools.product(range(op.r), range(op.s)):
            i, j = at[2] * op.stride[0] + r - top, at[3] * op.stride[1] + s - left
            if 0 <= i < h and 0 <= j < w:
                seen.append(x[at[0], at[1], i, j])
                count += 1
            elif op.count_padding and i < h + bottom and j < w + right:
                count += 1
        result[at] = max(seen) if op.which == "max" else math.fsum(seen) / count
    return result


POOLINGS = [
    {"which": which, "r": r, "s": s, "stride": stride, "pad": pad, "ceil": ceil, "count_padding": n}
    for which, ceil, n in itertools.product(["max", "avg"], [False, True], [False, True])
    for r, s, stride, pad in [
        (3, 3, (2, 2), (1, 1)),
        (2, 3, (2, 1), (0, 1, 1, 2)),
        (5, 1, (3, 2), (0, 0)),
        (1, 1, (2, 2), (0, 0)),
    ]
]


@pytest.mark.parametrize("fields", POOLINGS, ids=str)
@pytest.mark.parametrize("size", [(5, 6), (8, 8), (7, 3)], ids=str)
def test_pooling_is_what_its_docstring_says(fields, size):
    (x,) = drawn((2, 3, *size))
    op = ops.Pool2d(**fields)
    np.testing.assert_allclose(of(op, x), pooled(op, x), rtol=1e-13)


def test_pooling_is_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is the other opinion")
    (x,) = drawn((2, 3, 9, 12))
    for ceil, count in itertools.product([False, True], repeat=2):
        op = ops.Pool2d(
            which="avg", r=3, s=2, stride=(2, 3), pad=(1, 1), ceil=ceil, count_padding=count
        )
        expected = torch.nn.functional.avg_pool2d(
            torch.from_numpy(x), (3, 2), (2, 3), 1, ceil_mode=ceil, count_include_pad=count
        )
        np.testing.assert_allclose(of(op, x), expected.numpy(), rtol=1e-13)


@pytest.mark.parametrize("function", STEPS)
def test_functions_are_pytorchs(function):
    torch = pytest.importorskip("torch", reason="PyTorch is the other opinion")
    (x,) = drawn((3, 500))
    x *= 3
    functional = torch.nn.functional
    tanh = functools.partial(functional.gelu, approximate="tanh")
    known = {"gelu_tanh": tanh, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    expected = (known.get(function) or getattr(functional, function))(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(of(ops.Activation(function), x), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("regions", [(1, 1), (3, 2), (7, 9), (2, 9)])
def test_adaptive_average_is_pytorchs(regions):
    torch = pytest.importorskip("torch", reason="PyTorch is the other opinion")
    (x,) = drawn((2, 3, 7, 9))
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(x), regions)
    np.testing.assert_allclose(of(ops.AdaptiveAverage(*regions), x), expected.numpy(), rtol=1e-13)


@pytest.mark.parametrize(("size", "corners"), [((13, 4), True), ((14, 30), False), ((3, 9), False)])
def test_resizing_is_pytorchs(size, corners):
    torch = pytest.importorskip("torch", reason="PyTorch is the other opinion")
    (x,) = drawn((2, 3, 7, 9))
    scales = size[0] / 7, size[1] / 9
    op = ops.Resize(*size, scales, "align_corners" if corners else "half_pixel")
    call = torch.nn.functional.interpolate
    expected = call(torch.from_numpy(x), size, mode="bilinear", align_corners=corners)
    np.testing.assert_allclose(of(op, x), expected.numpy(), rtol=1e-12)


def test_what_files_have_is_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is the other opinion")
    functional = torch.nn.functional
    x, weight, bias = drawn((2, 3, 7, 9), (3,), (3,))
    t, *vectors = map(torch.from_numpy, (x, weight, bias))
    norm = ops.InstanceNorm(0.25).reference(x, weight, bias)
    for y, expected in (
        (of(ops.Elu(0.5), x), functional.elu(t, 0.5)),
        (of(ops.LogSoftmax(), x), functional.log_softmax(t, -1)),
        (norm, functional.instance_norm(t, weight=vectors[0], bias=vectors[1], eps=0.25)),
    ):
        np.testing.assert_allclose(y, expected.numpy(), rtol=1e-10, atol=1e-12)


def test_a_line_is_a_line_at_every_size():
    """Linear interpolation keeps a linear function, within the outermost centres."""
    x = np.arange(8.0).reshape(1, 1, 1, 8) * np.ones((1, 1, 3, 1))
    y = of(ops.Resize(7, 24, (7 / 3, 3.0)), x)
    np.testing.assert_allclose(y[0, 0, 2, 1:-1], (np.arange(1, 23) + 0.5) / 3 - 0.5)
    corners = of(ops.Resize(3, 15, (1.0, 15 / 8), "align_corners"), x)
    np.testing.assert_allclose(corners[0, 0, 1], np.arange(15) / 2)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 5)])
def test_batch_norm_per_channel(shape):
    x, weight, bias, mean, variance = drawn(shape, *[(shape[1],)] * 4)
    variance = np.abs(variance)
    y = ops.BatchNorm(0.25).reference(x, weight, bias, mean, variance)
    for c in range(shape[1]):
        factor = weight[c] / math.sqrt(variance[c] + 0.25)
        np.testing.assert_allclose((x[:, c] - mean[c]) * factor + bias[c], y[:, c])


@pytest.mark.parametrize(("shape", "axis"), [((2, 3, 4, 5), 1), ((2, 4, 7), 2)])
def test_layer_norm_over_the_channels(shape, axis):
    x, weight, bias = drawn(shape, (shape[axis],), (shape[axis],))
    y = ops.LayerNorm(0.5).reference(x, weight, bias)
    rows, results = (np.moveaxis(a, axis, -1).reshape(-1, shape[axis]) for a in (x, y))
    for row, result in zip(rows, results, strict=True):
        mean = math.fsum(row) / len(row)
        variance = math.fsum((v - mean) ** 2 for v in row) / len(row)
        np.testing.assert_allclose((row - mean) / math.sqrt(variance + 0.5) * weight + bias, result)


@pytest.mark.parametrize(("shape", "axis"), [((2, 3, 4, 5), 1), ((2, 4, 3), 2)])
def test_factors_and_terms_per_channel(shape, axis):
    x, vector = drawn(shape, (3,))
    wide = np.moveaxis(np.broadcast_to(vector, np.moveaxis(x, axis, -1).shape), -1, axis)
    np.testing.assert_array_equal(x * wide, ops.LayerScale().reference(x, vector))
    np.testing.assert_array_equal(x + wide, ops.Bias().reference(x, vector))


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_a_response_norm_is_as_onnx_defines_it(size):
    (x,) = drawn((2, 6, 2, 3))
    y = of(ops.ResponseNorm(size, 0.5, 0.75, 2.0), x)
    for c in range(6):
        first, last = max(0, c - (size - 1) // 2), min(5, c + size // 2)
        squares = (x[:, first : last + 1] ** 2).sum(1)
        np.testing.assert_allclose(x[:, c] / (2.0 + 0.5 / size * squares) ** 0.75, y[:, c])


def test_softmax_of_large_numbers():
    (x,) = drawn((3, 5))
    y = of(ops.Softmax(), x + 1000)
    np.testing.assert_allclose(np.exp(x) / np.exp(x).sum(1, keepdims=True), y, rtol=1e-10)
    np.testing.assert_allclose(np.ones(3), y.sum(1))


def test_sums_products_and_constants():
    a, b = drawn((2, 3, 4, 4), (2, 3, 1, 1))
    np.testing.assert_array_equal(a + b, of(ops.Add(), a, b))
    np.testing.assert_array_equal(a * b, of(ops.Multiply(), a, b))
    np.testing.assert_array_equal(0.5 * a + 3.0, of(ops.Affine(0.5, 3.0), a))


def test_attention_in_parts_is_attention_in_one_and_as_published():
    (packed,) = drawn((2, 5, 24))
    scores = of(ops.AttentionScores(2), packed)
    weights = of(ops.Softmax(), scores)
    mixed = of(ops.AttentionMix(2), weights, packed)
    np.testing.assert_allclose(mixed, of(ops.Attention(2), packed))
    for item, head in itertools.product(range(2), range(2)):
        q, k, v = (
            packed[item, :, 8 * part + 4 * head : 8 * part + 4 * head + 4] for part in range(3)
        )
        np.testing.assert_allclose(q @ k.T / 2.0, scores[item, head])
        np.testing.assert_allclose(weights[item, head] @ v, mixed[item, :, 4 * head : 4 * head + 4])


def test_products_of_two_activations():
    a, b = drawn((2, 3, 4), (2, 4, 5))
    expected = 0.5 * np.einsum("bik,bkj->bij", a, b)
    np.testing.assert_allclose(expected, of(ops.MatMul(scale=0.5), a, b))
    turned = ops.MatMul(transpose_b=True, scale=0.5)
    np.testing.assert_allclose(expected, of(turned, a, b.transpose(0, 2, 1)))


def test_what_only_arranges():
    x, tokens, row = drawn((2, 3, 4, 5), (2, 4, 3), (3,))
    np.testing.assert_array_equal(x.ravel().reshape(2, 60), of(ops.Flatten(), x))
    np.testing.assert_array_equal(x.ravel().reshape(2, 12, 5), of(ops.Reshape((0, -1, 5)), x))
    pixels = of(ops.Tokens(), x)
    assert x[1, 2, 3, 4] == pixels[1, 3 * 5 + 4, 2]
    assert x[1, 2, 3, 4] == of(ops.Transpose((3, 0, 2, 1)), x)[4, 1, 3, 2]
    np.testing.assert_array_equal(x[:, :, 1:3], of(ops.Slice(2, 1, 3), x))
    part = of(ops.Part(3, (2, 5, 6)), x.reshape(2, 60))
    np.testing.assert_array_equal(x.reshape(2, 60)[:, 3:33], part.reshape(2, 30))
    np.testing.assert_array_equal(tokens[:, 2], of(ops.SelectToken(2), tokens))
    joined = of(ops.Concat(1), x, x[:, :1])
    np.testing.assert_array_equal(x, joined[:, :3])
    np.testing.assert_array_equal(x[:, :1], joined[:, 3:])
    with_token = ops.ClassToken().reference(tokens, row)
    np.testing.assert_array_equal([row, row], with_token[:, 0])
    np.testing.assert_array_equal(tokens, with_token[:, 1:])
    (term,) = drawn((4, 3))
    np.testing.assert_array_equal(tokens + term, ops.PositionEmbedding().reference(tokens, term))


def test_an_op_without_a_reference_cannot_be_made():
    class Half(ops.Op):
        kind = "half"

        def output(self, *inputs):
            return inputs[0]

    with pytest.raises(TypeError, match=r"'?reference'?$"):
        Half()
