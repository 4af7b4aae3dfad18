"""The worked convolution: its numbers, pictures and sizes against brute force and against ONNX."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from drawn_convolutions import convolutions
from hypothesis import given, settings

from convprof.problems import Conv2d, parse
from convprof.problems.onnx_conv import short_attributes
from convprof.studies.explain.conv import (
    DEFAULT,
    by_hand,
    conv,
    direct_sums,
    padded,
    pictures,
    same_against_symmetric,
    sizes,
)
from convprof.studies.explain.frameworks import spellings

ASYMMETRIC = Conv2d(c=2, h=6, w=6, k=4, r=3, s=3, stride=(2, 2), pad=(0, 0, 1, 1), groups=2)
LAYERS = [
    parse(DEFAULT),
    parse("mb1ic4ih9iw7oc2oh4ow6kh2kw3sh2sw1ph0pw0dh0dw1"),
    ASYMMETRIC,
    Conv2d(c=3, h=9, w=9, k=2, r=3, s=3, dilation=(2, 2), pad=(2, 2)),
]


@given(convolutions())
@settings(max_examples=80, deadline=None)
def test_the_products_of_one_window_add_up_to_the_reference(p):
    p = p.with_batch(1)
    random = np.random.default_rng(1)
    x = random.integers(1, 10, (p.c, p.h, p.w))
    weights = random.integers(-2, 3, p.weight_shape)
    one = by_hand(p, x, weights)
    y = p.reference((x[None], weights))[0]
    assert one.total == y[one.filter, *one.pixel]
    assert one.products.size == p.terms
    assert not one.window[:, one.border].any()
    assert one.window[:, ~one.border].all()  # the input has no zero of its own


@pytest.mark.parametrize("p", LAYERS, ids=str)
def test_every_output_is_what_the_strategies_compute(p):
    page = conv(p, seed=2)
    assert [each.strategy for each in page.checked] == ["direct", "microkernel"]
    for each in page.checked:
        assert each.difference == 0
        assert np.array_equal(each.output[0], page.y)


def test_a_wrong_number_on_the_page_would_be_seen(monkeypatch):
    module = importlib.import_module("convprof.studies.explain.conv")
    monkeypatch.setattr(module, "direct_sums", lambda *operands: direct_sums(*operands) + 1)
    assert all(each.difference > 0 for each in conv(parse(DEFAULT), seed=0).checked)


@pytest.mark.parametrize("reads", pictures(), ids=lambda reads: reads.label)
def test_the_marks_are_the_inputs_on_which_an_output_depends(reads):
    p = reads.problem
    ones = np.ones(p.weight_shape, int)
    before = direct_sums(p, padded(p, np.zeros((1, p.h, p.w), int)), ones)
    top, left, _, _ = p.pads
    for i, j in np.ndindex(p.h, p.w):
        x = np.zeros((1, p.h, p.w), int)
        x[0, i, j] = 1
        changed = (direct_sums(p, padded(p, x), ones) != before)[0]
        marks = reads.first[i + top, j + left], reads.second[i + top, j + left]
        assert (changed[0, 0], changed[0, 1]) == marks


@given(convolutions())
@settings(max_examples=80, deadline=None)
def test_sizes_are_what_placing_the_filter_gives(p):
    shown = sizes(p)
    assert shown[0].out == p.p
    for size in shown:
        room = size.axis.size + size.begin + size.end
        starts = [at for at in range(0, room, size.axis.stride) if at + size.axis.span <= room]
        assert size.out == len(starts)
        assert size.unread == room - (starts[-1] + size.axis.span)


def _by_onnx(x, weights, attributes):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    value = onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], "layer",
        [value("x", kind, x.shape), value("w", kind, weights.shape)], [value("y", kind, None)],
    )  # fmt: skip
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x, "w": weights})[0]


def _operands(p):
    random = np.random.default_rng(3)
    x = random.integers(1, 10, p.x_shape("nchw")).astype(np.float32)
    return x, random.integers(-2, 3, p.weight_shape).astype(np.float32)


@pytest.mark.parametrize("p", LAYERS, ids=str)
def test_the_attributes_for_onnx_make_this_layer(p):
    x, weights = _operands(p)
    assert np.array_equal(_by_onnx(x, weights, short_attributes(p)), p.reference((x, weights)))


@pytest.mark.parametrize("p", LAYERS, ids=str)
def test_the_line_for_pytorch_makes_this_layer(p):
    torch = pytest.importorskip("torch")
    code = spellings(p)[0].code
    layers = [eval(part, {"torch": torch}) for part in code.split(", then ")]  # noqa: S307  # our own text, as a reader would type it
    x, weights = _operands(p)
    layers[-1].weight.data = torch.from_numpy(weights)
    layers[-1].bias.data.zero_()
    y = torch.nn.Sequential(*layers)(torch.from_numpy(x)).detach().numpy()
    assert np.array_equal(y, p.reference((x, weights)))


def test_same_with_a_stride_pads_the_end_and_reads_other_inputs():
    torch, keras = same_against_symmetric()
    assert (torch.begin, torch.end) == (1, 1)
    assert (keras.begin, keras.end) == (0, 1)
    assert torch.out == keras.out == 3
    p = Conv2d(c=1, h=6, w=6, k=1, r=3, s=3, stride=(2, 2), pad=(0, 0, 1, 1))
    x, weights = _operands(p)
    upper = {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}
    assert np.array_equal(_by_onnx(x, weights, upper), p.reference((x, weights)))
    symmetric = Conv2d(c=1, h=6, w=6, k=1, r=3, s=3, stride=(2, 2), pad=(1, 1))
    assert not np.array_equal(p.reference((x, weights)), symmetric.reference((x, weights)))


@pytest.mark.parametrize(
    ("p", "same"), [(parse(DEFAULT), True), (ASYMMETRIC, True), (LAYERS[1], False)], ids=str
)
def test_keras_pads_itself_where_its_same_is_this_padding(p, same):
    assert ('padding="same"' in spellings(p)[1].code) == same
