"""A small file cannot make large tensors: sizes are checked before anything is computed."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.networks.onnx.arithmetic import EVALUATORS
from convprof.networks.onnx.folding import FOLLOWERS
from convprof.networks.onnx.weight_operators import OPERATORS

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.networks.onnx import load  # noqa: E402

LARGE = 1 << 22
"""Numbers of a tensor that a test would compute without the checks: 32 MiB."""
MOST_BYTES = 1 << 20
SMALL = np.ones((6, 6), np.float32)


@pytest.fixture
def small_memory():
    """Fail where a test allocates more than a file of a few weights needs."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MOST_BYTES


def chain_to_indices(node):
    """Return nodes that permute an axis by indices, which are the minimum of a large tensor."""
    return [
        node("ConstantOfShape", "sizes", "large"),
        node("ReduceMin", "large", "zero", axes=[0], keepdims=0),
        node("Cast", "zero", "whole", to=7),
        node("Add", "order whole", "indices"),
        node("Gather", "x indices", axis=1),
    ]


ORDER = {"order": np.arange(6).reshape(2, 3)}


@pytest.mark.usefixtures("small_memory")
def test_indices_of_large_tensors_are_not_computed(save, node):
    weights = {**ORDER, "sizes": np.array([8 * LARGE])}
    path = save(chain_to_indices(node), (2, 6), weights)
    with pytest.raises(InputError, match="only one index, or neighbours in order"):
        load(path, {}).network.macs  # noqa: B018


def test_indices_of_small_tensors_are_computed(ops, node):
    weights = {**ORDER, "sizes": np.array([5000])}
    assert ops(chain_to_indices(node), (2, 6), weights)


def test_indices_in_another_file_are_not_read(save, node, tmp_path):
    def move(model):
        tensor = next(each for each in model.graph.initializer if each.name == "order")
        data = tensor.raw_data
        (tmp_path / "model.data").write_bytes(data)
        onnx.external_data_helper.set_external_data(tensor, "model.data", 0, len(data))
        tensor.ClearField("raw_data")

    path = save([node("Gather", "x order", axis=1)], (2, 6), ORDER, change=move)
    with pytest.raises(InputError, match="only one index, or neighbours in order"):
        load(path, {})


def scaled(kind, block, scale, shape=(6, 6)):
    """Return a weight that is quantised or dequantised in blocks of the last axis."""
    x = np.ones(shape, np.float32 if kind == "QuantizeLinear" else np.int8)
    return {"v": x, "s": np.ones(scale, np.float32)}, {"axis": 1, "block_size": block}


@pytest.mark.parametrize(
    ("block", "scale"),
    [(LARGE, (6, 2)), (-1, (6, 2)), (7, (6, 2)), (6, (6, LARGE // 6)), (3, (1, 2)), (0, (LARGE,))],
)
@pytest.mark.parametrize("kind", ["DequantizeLinear", "QuantizeLinear"])
def test_blocks_that_do_not_fit(save, node, kind, block, scale):
    weights, attributes = scaled(kind, block, scale)
    nodes = [node(kind, "v s", "w", **attributes)]
    nodes += [node("DequantizeLinear", "w one", "u")] if kind == "QuantizeLinear" else []
    weights |= {"one": np.float32(1)} if kind == "QuantizeLinear" else {}
    last = "u" if kind == "QuantizeLinear" else "w"
    path = save([*nodes, node("MatMul", f"x {last}")], (2, 6), weights, opset=21)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"its scale or zero point does not fit|cannot infer"):
        load(path, {}).weights()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    own = sum(each.nbytes for each in weights.values())
    assert peak < MOST_BYTES + 4 * own


def test_blocks_that_fit(save, node):
    for block, count in ((3, 2), (4, 2), (6, 1), (1, 6)):
        weights, attributes = scaled("DequantizeLinear", block, (6, count))
        weights["s"] *= np.arange(1, count + 1)
        nodes = [node("DequantizeLinear", "v s", "w", **attributes), node("MatMul", "x w")]
        (own,) = load(save(nodes, (2, 6), weights, opset=21), {}).weights().values()
        expected = np.repeat(weights["s"], block, 1)[:, :6]
        np.testing.assert_array_equal(own["weight"], expected)


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize(
    ("kind", "shape", "attributes"),
    [
        ("Conv", (1, 1, 2, 2), {"dilations": [LARGE, 1], "pads": [LARGE, 0, 0, 0]}),
        ("AveragePool", (1, 1, 6, 6), {"kernel_shape": [LARGE, 1], "pads": [LARGE - 1, 0, 0, 0]}),
        ("MaxPool", (1, 1, 6, 6), {"kernel_shape": [2, 2], "dilations": [LARGE, 1],
                                   "pads": [LARGE, 0, 0, 0]}),
    ],
)  # fmt: skip
def test_operators_with_large_intermediates(save, node, kind, shape, attributes):
    inputs = "v k" if kind == "Conv" else "v"
    weights = {"v": np.ones((1, 1, 6, 6), np.float32)}
    weights |= {"k": np.ones(shape, np.float32)} if kind == "Conv" else {}
    path = save([node(kind, inputs, "w", **attributes), node("Add", "x w")], (1, 1, 1, 1), weights)
    with pytest.raises(InputError, match="it is not supported on weights"):
        load(path, {}).weights()


@pytest.mark.parametrize(
    ("kind", "inputs"), [("LayerNormalization", "column row"), ("PRelu", "column row")]
)
def test_operands_beyond_the_result(save, node, kind, inputs):
    weights = {"column": np.ones((600, 1), np.float32), "row": np.ones(700, np.float32)}
    path = save([node(kind, inputs, "w"), node("Add", "x w")], (600, 1), weights)
    with pytest.raises(InputError, match=r"more numbers than its result|cannot infer"):
        load(path, {}).weights()


@pytest.mark.parametrize("size", [3, 600])
def test_weights_that_are_standardised(save, node, size):
    """The filters of weight-standardised networks: one norm per output channel."""
    shape, vector = (1, 3, 5), np.ones(size, np.float32)
    weights = {"v": np.arange(15, dtype=np.float32).reshape(shape), "scale": vector, "bias": vector}
    nodes = [node("InstanceNormalization", "v scale bias", "w"), node("Add", "x w")]
    path = save(nodes, shape, weights)
    if size > shape[1]:
        with pytest.raises(InputError, match="one number per channel"):
            load(path, {})
        return
    (own,) = load(path, {}).weights().values()
    np.testing.assert_allclose(own["weight"].mean(-1), np.ones(3), atol=1e-5)


def test_every_operator_on_constants_is_listed():
    assert {*EVALUATORS, *FOLLOWERS} <= OPERATORS
