"""The convolutions and products of any ONNX file, whether or not convprof computes the network.

Only names, attributes and shapes are read; weights outside of the file are never opened.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.logs.model_nodes import PADDINGS, ModelNode, ModelNodes
from convprof.networks.onnx.inference import inferred_values
from convprof.networks.onnx.load import read_model
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.source import MOST_NODES

if TYPE_CHECKING:
    import onnx

_CONVOLUTION = "Conv"
_PRODUCTS = ("Gemm", "MatMul")
_FUSED = frozenset({
    "Add", "BatchNormalization", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu",
    "Mul", "Relu", "Sigmoid", "Tanh",
})  # fmt: skip
"""Operators that libraries fuse into the node before: the name of the last one may name all."""
_MOST_FUSED = 8
_SMALL = 1024
"""Elements of a constant that shape inference may need, such as the shape of a Reshape."""
_LARGEST = 2**40
_AXES = 2


def model_nodes(path: str | Path) -> ModelNodes:
    """Return the nodes by name; InputError, with the file, for what is no ONNX model."""
    try:
        return _model_nodes(Path(path))
    except InputError as error:
        raise error.at(str(path)) from None


def _model_nodes(path: Path) -> ModelNodes:
    model = read_model(path)
    if len(model.graph.node) > MOST_NODES:
        raise InputError(f"the graph has more than {MOST_NODES} nodes")
    return _nodes(model.graph, _shapes(model))


def _nodes(graph: onnx.GraphProto, shapes: dict[str, tuple[int, ...]]) -> ModelNodes:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for proto in graph.node:
        for name in proto.input:
            readers.setdefault(str(name), []).append(proto)
    nodes = ModelNodes()
    for proto in graph.node:
        node = _node(proto, shapes)
        if node is None:
            continue
        nodes.add(str(proto.name), node)
        last = proto
        for _ in range(_MOST_FUSED):
            output = str(last.output[0]) if last.output else ""
            nodes.add(output, node)
            following = readers.get(output, [])
            if len(following) != 1 or following[0].op_type not in _FUSED:
                break
            last = following[0]
            nodes.add(str(last.name), node)
    return nodes


def _node(proto: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> ModelNode | None:
    is_convolution = proto.op_type == _CONVOLUTION
    if not is_convolution and proto.op_type not in _PRODUCTS:
        return None
    names = [str(name) for name in proto.input]
    if len(names) < _AXES or not proto.output:
        return None
    x, weights = (shapes.get(name, ()) for name in names[:_AXES])
    result = shapes.get(str(proto.output[0]), ())
    if not is_convolution:
        return ModelNode(False, x, weights, result)
    numbers = {a.name: [int(value) for value in a.ints[: 2 * _AXES]] for a in proto.attribute}
    single = {a.name: a for a in proto.attribute}
    padding = single["auto_pad"].s.decode("ascii", "replace") if "auto_pad" in single else ""
    down, across = _pair(numbers.get("strides"))
    pads = numbers.get("pads") or [0, 0, 0, 0]
    if len(pads) != 2 * _AXES:
        return None
    return ModelNode(
        True,
        x,
        weights,
        result,
        (down, across),
        (pads[0], pads[1], pads[2], pads[3]),
        _pair(numbers.get("dilations")),
        int(single["group"].i) if "group" in single else 1,
        next((known for known in PADDINGS if known == padding), "NOTSET"),
    )


def _pair(numbers: list[int] | None) -> tuple[int, int]:
    """Return the numbers of both axes; 1 for what is not given."""
    first, second, *_ = [*(numbers or []), 1, 1]
    return first, second


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shape of each value that the model, or the inference of the package, tells."""
    graph = model.graph
    shapes = {str(t.name): tuple(int(size) for size in t.dims) for t in graph.initializer}
    values = [*graph.input, *graph.value_info, *graph.output]
    values += inferred_values(_without_weights(model))
    for value in values:
        shape = _static(value)
        if shape:
            shapes.setdefault(str(value.name), shape)
    return {
        name: shape
        for name, shape in shapes.items()
        if shape and min(shape) > 0 and math.prod(shape) <= _LARGEST
    }


def _static(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Return a shape; empty if a size is open."""
    dims: Any = value.type.tensor_type.shape.dim
    return tuple(int(dim.dim_value) for dim in dims) if all(d.dim_value > 0 for d in dims) else ()


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with large constants as inputs of their shapes: no weights are copied."""
    helper = onnx_package().helper
    graph = model.graph
    large = [t for t in graph.initializer if math.prod(t.dims) > _SMALL]
    names = {str(tensor.name) for tensor in large}
    declared = {str(value.name) for value in graph.input}
    inputs = [
        helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
        for t in large
        if str(t.name) not in declared
    ]
    bare = helper.make_graph(
        list(graph.node),
        "shapes",
        [*graph.input, *inputs],
        list(graph.output),
        [t for t in graph.initializer if str(t.name) not in names and not t.external_data],
        value_info=list(graph.value_info),
    )
    result: onnx.ModelProto = helper.make_model(
        bare, opset_imports=list(model.opset_import), ir_version=max(4, int(model.ir_version))
    )
    return result
