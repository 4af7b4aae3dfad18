"""Hostile ONNX files, and what reads them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from hostile_making import NUMBERS, mutated
from hypothesis import strategies as st

from convprof.dtypes import F32

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Tensors = dict[str, Any]
OUTSIDE = "w.bin"
"""The file next to the model that has some of its weights."""
OUTSIDE_BYTES = 512


def _ones(*shape: int, dtype: str = "float32") -> Any:
    import numpy as np

    return np.ones(shape, dtype)


def _numbers(*values: float, dtype: str = "int64") -> Any:
    import numpy as np

    return np.array(values, dtype)


def _one(value: float, dtype: str = "float32") -> Any:
    import numpy as np

    return np.array(value, dtype)


def _model(
    nodes: list[Any],
    inputs: dict[str, list[Any]],
    tensors: Tensors,
    outputs: tuple[str, ...] = ("y",),
    opset: int = 17,
) -> Any:
    """Return a model; an input whose name begins with ``id`` has whole numbers."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info(
                x, TensorProto.INT64 if x.startswith("id") else TensorProto.FLOAT, shape
            )
            for x, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs],
        [numpy_helper.from_array(value, key) for key, value in tensors.items()],
    )
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains)


def _of_images() -> Iterator[Any]:
    from onnx.helper import make_node as node

    image = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2], group=1),
        node("BatchNormalization", ["a", "s", "s", "s", "v"], ["b"], epsilon=1e-5),
        node("Relu", ["b"], ["c"]),
        node("MaxPool", ["c"], ["d"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        node("Concat", ["d", "d"], ["h"], axis=1),
        node("GlobalAveragePool", ["h"], ["m"]),
        node("Flatten", ["m"], ["n"], axis=1),
        node("Gemm", ["n", "u"], ["y"], transB=1, alpha=1.0),
    ]
    tensors = {"w": _ones(4, 3, 3, 3), "s": _ones(4), "v": _ones(4), "u": _ones(5, 8)}
    yield _model(image, {"x": ["N", 3, 16, 16]}, tensors)
    padded = [
        node("Pad", ["x", "p"], ["e"], mode="constant"),
        node("Slice", ["e", "i", "j", "k"], ["f"]),
        node("Conv", ["f", "w"], ["y"], pads=[0, 0, 0, 0]),
    ]
    places = {"i": _numbers(0), "j": _numbers(3), "k": _numbers(1), "w": _ones(4, 3, 3, 3)}
    tensors = {"p": _numbers(0, 0, 1, 1, 0, 0, 1, 1), **places}
    yield _model(padded, {"x": ["N", 3, 8, 8]}, tensors)
    larger = [
        node("Add", ["x", "z"], ["a"]),
        node("Resize", ["a", "", "i"], ["b"], mode="linear"),
        node("ConvTranspose", ["b", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], group=1),
        node("InstanceNormalization", ["c", "s", "s"], ["d"]),
        node("Elu", ["d"], ["e"], alpha=0.5),
        node("LogSoftmax", ["e"], ["y"], axis=1),
        node("PRelu", ["z", "o"], ["v"]),
    ]
    factors = {"i": _numbers(1, 1, 1.5, 2, dtype="float32"), "w": _ones(3, 4, 3, 4)}
    tensors = {**factors, "s": _ones(4), "o": _ones(1)}
    inputs = {"x": ["N", 3, 5, 4], "z": ["N", 3, 5, 4]}
    yield _model(larger, inputs, tensors, ("y", "v", "a"))


def _of_texts() -> Iterator[Any]:
    from onnx.helper import make_node as node

    text = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["x", "t"], ["a"]),
        node("Softmax", ["a"], ["b"], axis=-1),
        node("MatMul", ["b", "x"], ["c"]),
        node("Add", ["c", "x"], ["d"]),
        node("LayerNormalization", ["d", "g"], ["e"], axis=-1),
        node("Reshape", ["e", "r"], ["f"]),
        node("MatMul", ["f", "w"], ["y"]),
    ]
    tensors = {"g": _ones(8), "r": _numbers(1, 4, 8), "w": _ones(8, 3)}
    yield _model(text, {"x": ["N", 4, 8]}, tensors)
    masked = [
        node("Gather", ["table", "ids"], ["e"], axis=0),
        node("Equal", ["ids", "none"], ["m"]),
        node("Unsqueeze", ["m", "axes"], ["n"]),
        node("Where", ["n", "low", "zero"], ["bias"]),
        node("Reshape", ["e", "heads"], ["h"]),
        node("Transpose", ["h"], ["q"], perm=[0, 2, 1, 3]),
        node("Attention", ["q", "q", "q", "bias"], ["a"], scale=0.5, is_causal=0),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3]),
        node("Reshape", ["b", "rows"], ["c"]),
        node("Einsum", ["c", "w"], ["y"], equation="bij,jk->bik"),
    ]
    tensors = {
        "table": _ones(16, 8), "none": _one(0, "int64"), "axes": _numbers(1, 2),
        "low": _one(-1e9), "zero": _one(0.0), "heads": _numbers(0, 0, 2, 4),
        "rows": _numbers(0, 0, 8), "w": _ones(8, 3),
    }  # fmt: skip
    yield _model(masked, {"ids": ["N", 5]}, tensors, opset=23)
    chosen = [
        node("Trilu", ["full", "up"], ["mask"], upper=1),
        node("Add", ["x", "mask"], ["a"]),
        node("CumSum", ["a", "last"], ["b"]),
        node("TopK", ["b", "two"], ["c", "places"], axis=-1),
        node("GatherElements", ["b", "places"], ["d"], axis=-1),
        node("ReduceMean", ["d"], ["e"], axes=[-1], keepdims=1),
        node("ArgMax", ["b"], ["f"], axis=-1, keepdims=0),
        node("Cast", ["f"], ["g"], to=1),
        node("GatherND", ["e", "at"], ["y"], batch_dims=0),
    ]
    tensors = {
        "full": _ones(4, 4), "up": _one(1, "int64"), "last": _one(2, "int64"),
        "two": _numbers(2), "at": _numbers(0, dtype="int64").reshape(1, 1),
    }  # fmt: skip
    yield _model(chosen, {"x": ["N", 4, 4]}, tensors, ("y", "g"))


def _of_sequences() -> Iterator[Any]:
    from onnx.helper import make_node as node

    nodes = [
        node("LSTM", ["x", "w", "r", "b", "lengths"], ["a", "h", "c"], hidden_size=4,
             direction="bidirectional"),
        node("Transpose", ["a"], ["t"], perm=[0, 2, 1, 3]),
        node("Reshape", ["t", "rows"], ["d"]),
        node("GRU", ["d", "u", "v"], ["e", ""], hidden_size=3, linear_before_reset=1),
        node("Squeeze", ["e", "one"], ["f"]),
        node("RNN", ["f", "p", "q"], ["", "y"], hidden_size=2),
    ]  # fmt: skip
    tensors = {
        "w": _ones(2, 16, 6), "r": _ones(2, 16, 4), "b": _ones(2, 32),
        "lengths": _numbers(5, dtype="int32"), "rows": _numbers(5, -1, 8), "u": _ones(1, 9, 8),
        "v": _ones(1, 9, 3), "one": _numbers(1), "p": _ones(1, 2, 3), "q": _ones(1, 2, 2),
    }  # fmt: skip
    yield _model(nodes, {"x": [5, "N", 6]}, tensors)


def _of_bytes() -> Iterator[Any]:
    from onnx.helper import make_node as node

    pairs = [
        node("QuantizeLinear", ["x", "s", "z"], ["a"]),
        node("DequantizeLinear", ["a", "s", "z"], ["b"]),
        node("DequantizeLinear", ["w", "sw", "zw"], ["c"], axis=0),
        node("Conv", ["b", "c"], ["d"], pads=[1, 1, 1, 1]),
        node("QuantizeLinear", ["d", "s", "z"], ["e"]),
        node("QLinearConv", ["e", "s", "z", "v", "sv", "zv", "s", "z"], ["f"]),
        node("QLinearAdd", ["f", "s", "z", "f", "s", "z", "s", "z"], ["h"],
             domain="com.microsoft"),
        node("DequantizeLinear", ["h", "s", "z"], ["y"]),
    ]  # fmt: skip
    tensors = {
        "s": _one(0.1), "z": _one(3, "uint8"), "w": _ones(4, 3, 3, 3, dtype="int8"),
        "sw": _ones(4), "zw": _ones(4, dtype="int8"), "v": _ones(4, 4, 1, 1, dtype="int8"),
        "sv": _one(0.5), "zv": _one(0, "int8"),
    }  # fmt: skip
    yield _model(pairs, {"x": ["N", 3, 8, 8]}, tensors)
    rows = [
        node("DynamicQuantizeLinear", ["x"], ["a", "s", "z"]),
        node("MatMulInteger", ["a", "w", "z", "zw"], ["b"]),
        node("Cast", ["b"], ["c"], to=1),
        node("Mul", ["c", "s"], ["d"]),
        node("MatMulNBits", ["d", "packed", "scales"], ["y"], K=32, N=4, bits=4, block_size=16,
             domain="com.microsoft"),
    ]  # fmt: skip
    tensors = {
        "w": _ones(8, 32, dtype="int8"), "zw": _one(0, "int8"),
        "packed": _ones(4, 2, 8, dtype="uint8"), "scales": _ones(8),
    }  # fmt: skip
    yield _model(rows, {"x": ["N", 4, 8]}, tensors)


def _of_joined() -> Iterator[Any]:
    """Yield models with operators that are several others, as ONNX Runtime's tools write them."""
    from onnx.helper import make_node

    node = functools.partial(make_node, domain="com.microsoft")
    text = [
        make_node("Reshape", ["x", "rows"], ["r"]),
        node("FusedGemm", ["r", "w"], ["a"], activation="LeakyRelu", activation_alpha=0.1,
             alpha=1.0, beta=1.0),
        make_node("Reshape", ["a", "tokens"], ["b"]),
        node("Attention", ["b", "qkv", "bias", "mask"], ["c"], num_heads=2, unidirectional=1,
             mask_filter_value=-1e4),
        node("SkipLayerNormalization", ["c", "b", "g", "g"], ["d"], epsilon=1e-5),
        node("MultiHeadAttention", ["d", "d", "d"], ["e"], num_heads=2, scale=0.5),
        node("FusedMatMul", ["e", "d"], ["f"], transB=1, transBatchA=0, alpha=2.0),
        node("QuickGelu", ["f"], ["h"], alpha=1.5),
        make_node("LpNormalization", ["h"], ["i"], axis=-1, p=1),
        make_node("ReduceLogSumExp", ["i"], ["y"], axes=[1], keepdims=0),
    ]  # fmt: skip
    tensors = {
        "w": _ones(8, 8), "rows": _numbers(-1, 8), "tokens": _numbers(1, 5, 8),
        "qkv": _ones(8, 24), "bias": _ones(24), "mask": _ones(1, 5, dtype="int32"), "g": _ones(8),
    }  # fmt: skip
    yield _model(text, {"x": ["N", 40]}, tensors)
    volumes = [
        make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1, 1, 1], strides=[2, 1, 1], group=1),
        make_node("Softplus", ["a"], ["b"]),
        make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2, 2], strides=[2, 2, 2]),
        make_node("Reshape", ["c", "shape"], ["d"]),
        node("FusedConv", ["d", "v"], ["e"], activation="Clip", activation_params=[0.0, 1.0],
             pads=[1, 1, 1, 1]),
        make_node("GroupNormalization", ["e", "g", "g"], ["f"], num_groups=2, epsilon=1e-5),
        make_node("Resize", ["f", "", "", "sizes"], ["h"], mode="cubic", axes=[2, 3],
                  cubic_coeff_a=-0.5, antialias=1, keep_aspect_ratio_policy="not_larger"),
        make_node("Tile", ["h", "times"], ["i"]),
        make_node("ReduceMin", ["i", "axes"], ["y"], keepdims=1),
    ]  # fmt: skip
    tensors = {
        "w": _ones(4, 3, 3, 3, 3), "v": _ones(4, 8, 3, 3), "g": _ones(4),
        "shape": _numbers(0, -1, 3, 3), "sizes": _numbers(7, 9), "times": _numbers(1, 2, 1, 1),
        "axes": _numbers(2),
    }  # fmt: skip
    yield _model(volumes, {"x": ["N", 3, 8, 6, 6]}, tensors, opset=21)


def _with_outside() -> Iterator[Any]:
    """Yield a model whose larger weights are in the file ``OUTSIDE``."""
    from onnx import TensorProto
    from onnx.external_data_helper import set_external_data
    from onnx.helper import make_node as node

    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "v"], ["y"]),
    ]
    tensors = {"w": _ones(4, 3, 3, 3), "v": _ones(4, 4, 1, 1)}
    model = _model(nodes, {"x": ["N", 3, 8, 8]}, tensors)
    offset = 0
    for tensor in model.graph.initializer:
        length = len(tensor.raw_data)
        set_external_data(tensor, OUTSIDE, offset, length)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        offset += length
    yield model


@functools.cache
def _models() -> list[bytes]:
    of = (_of_images, _of_texts, _of_sequences, _of_bytes, _of_joined, _with_outside)
    return [model.SerializeToString() for family in of for model in family()]


@st.composite
def models(draw: st.DrawFn) -> bytes:
    """Draw a model with fields changed as only a program would, or bytes as only a disk would."""
    import onnx

    data = draw(st.sampled_from(_models()))
    if draw(st.integers(0, 3)) == 0:
        return draw(mutated([data]))
    model = onnx.load_model_from_string(data)
    for _ in range(draw(st.integers(1, 4))):
        _change(draw, model)
    changed: bytes = model.SerializeToString()
    return changed


LARGE = NUMBERS.filter(lambda number: abs(number) < 2**63)
KINDS = (
    *("Conv", "Relu", "Add", "MatMul", "Gemm", "Concat", "Split", "Reshape", "Gather", "Cast"),
    *("Constant", "ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Identity", "Shape"),
    *("Slice", "Pad", "Sum", "Softmax", "Transpose", "Unsqueeze", "Clip", "If", "Nosuch", "Div"),
    *("ConvTranspose", "InstanceNormalization", "Elu", "LogSoftmax", "ArgMax", "GRU", "Einsum"),
    *("LSTM", "RNN", "Attention", "Where", "TopK", "CumSum", "Trilu", "GatherND", "ScatterND"),
    *("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger"),
    *("MatMulInteger", "MatMulNBits", "QLinearAdd", "DynamicQuantizeLinear", "RotaryEmbedding"),
    *("GroupNormalization", "LpNormalization", "ReduceL1", "ReduceMin", "Swish", "Mish"),
)
TEXTS = ("", "linear", "bidirectional", "reverse", "bij,jk->bik", "ii->i", "...", "SAME_UPPER",
         "Tanh", "reflect", "../w.bin", "/etc/passwd", "w.bin", "0", "-1", "9" * 30)  # fmt: skip


def _change(draw: st.DrawFn, model: Any) -> None:
    """Change one field of a node, of a tensor or of the model."""
    graph = model.graph
    change = draw(st.sampled_from([_attribute, _text, _kind, _edge, _tensor, _data, _outside]))
    if draw(st.integers(0, 7)) == 0:
        shape = graph.input[0].type.tensor_type.shape
        draw(st.sampled_from(list(shape.dim)[1:])).dim_value = draw(LARGE)
    elif draw(st.integers(0, 15)) == 0:
        model.opset_import[0].version = draw(LARGE)
    else:
        nodes = graph.initializer if change in {_tensor, _data, _outside} else graph.node
        change(draw, draw(st.sampled_from(list(nodes))), graph)


def _attribute(draw: st.DrawFn, node: Any, graph: Any) -> None:
    del graph
    for attribute in draw(st.permutations(list(node.attribute)))[:1]:
        attribute.i = draw(LARGE)
        attribute.f = draw(st.floats(width=32))
        del attribute.ints[:]
        attribute.ints.extend(draw(st.lists(LARGE, max_size=6)))
        if draw(st.booleans()):
            attribute.type = draw(st.integers(0, 14))


def _text(draw: st.DrawFn, node: Any, graph: Any) -> None:
    del graph
    for attribute in draw(st.permutations(list(node.attribute)))[:1]:
        attribute.s = draw(st.sampled_from(TEXTS)).encode()
        attribute.strings[:] = [each.encode() for each in draw(st.lists(st.sampled_from(TEXTS)))]


def _kind(draw: st.DrawFn, node: Any, graph: Any) -> None:
    del graph
    node.op_type = draw(st.sampled_from(KINDS))


def _edge(draw: st.DrawFn, node: Any, graph: Any) -> None:
    names = [each for other in graph.node for each in (*other.input, *other.output)]
    if node.input:
        node.input[draw(st.integers(0, len(node.input) - 1))] = draw(st.sampled_from([*names, ""]))


def _tensor(draw: st.DrawFn, tensor: Any, graph: Any) -> None:
    del graph
    tensor.dims[:] = draw(st.lists(LARGE, max_size=5))


def _data(draw: st.DrawFn, tensor: Any, graph: Any) -> None:
    del graph
    tensor.data_type = draw(st.integers(0, 23))
    tensor.raw_data = draw(st.binary(max_size=80))


def _outside(draw: st.DrawFn, tensor: Any, graph: Any) -> None:
    del graph
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key = draw(st.sampled_from(["location", "offset", "length", "checksum"]))
    entry.value = draw(st.sampled_from(TEXTS) | NUMBERS.map(str))


MOST_WEIGHTS = 1 << 20


def read_model(data: bytes, folder: Path) -> bool:
    """Read the nodes of a model; import it, count it, and fuse it; read its weights if small."""
    from convprof.networks.onnx import load
    from convprof.networks.onnx.model_nodes import model_nodes
    from convprof.problems import NetworkProblem
    from convprof.strategies.base import Setting
    from convprof.strategies.networks.recipe import recipe_for

    path = folder / "m.onnx"
    path.write_bytes(data)
    (folder / OUTSIDE).write_bytes(bytes(OUTSIDE_BYTES))
    for node in model_nodes(path):
        problem = node.problem()
        assert problem is None or problem.macs > 0
    imported = load(path, {"N": 1})
    assert imported.network.macs >= 0
    assert imported.network.bytes_min(F32) > 0
    for dtype in ("f32", "bf16"):
        recipe = recipe_for(NetworkProblem(imported.network), fuse=True)
        assert len(recipe.dtypes(Setting("nhwc", dtype))) == len(recipe.steps)
    if imported.weight_elements < MOST_WEIGHTS:
        imported.weights()
        imported.quantisation()
    return True
