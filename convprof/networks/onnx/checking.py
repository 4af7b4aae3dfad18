"""A second opinion on shapes: the onnx package's own inference."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.networks.onnx.expanding import MICROSOFT
from convprof.networks.onnx.node import Constant
from convprof.networks.onnx.package import onnx_package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from convprof.networks.onnx.node import FileNode, Value
    from convprof.networks.onnx.source import Source
    from convprof.problems.shapes import Shape

_POOLS = ("AveragePool", "MaxPool")
_READ_BYTES = ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul")
"""Operators whose constants have the element types of the file."""
_LAST_WINDOW_BEGINS_INSIDE = 22  # the operator set whose inference leaves out other windows


def check_shapes(
    source: Source,
    nodes: Sequence[FileNode],
    values: Mapping[str, Value | Constant],
    shapes: Mapping[str, Shape],
) -> None:
    """Compare the shape of every value with the onnx package's inference for the inputs' shapes.

    ``nodes`` are the file's own, before patterns were replaced. What is known beforehand takes
    part as an input of its shape, or with its few values: weights are not needed. Raises
    InputError naming the node when the shapes differ or the inference refuses the graph.
    """
    package = onnx_package()
    model = _bare(source, nodes, values, shapes)
    try:
        inferred = package.shape_inference.infer_shapes(model, strict_mode=True)
    except (package.shape_inference.InferenceError, ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        printable = "".join(each if each.isprintable() else "?" for each in reason)
        raise InputError(f"the onnx package cannot infer its shapes: {printable}") from None
    theirs = {
        info.name: _shape(info) for info in (*inferred.graph.value_info, *inferred.graph.output)
    }
    for node in nodes:
        for name in node.outputs:
            ours, other = values.get(name), theirs.get(name)
            if ours is None or isinstance(ours, Constant) or other is None:
                continue
            if other != ours.shape:
                raise node.refused(f"its result is {ours.shape} here, and {other} to onnx")


def _bare(
    source: Source,
    nodes: Sequence[FileNode],
    values: Mapping[str, Value | Constant],
    shapes: Mapping[str, Shape],
) -> onnx.ModelProto:
    """Return a model of the nodes alone: no weights, no shapes but the inputs'."""
    package = onnx_package()
    helper, types = package.helper, _types_of(source)
    number = next(iter(types.values()))
    live = [node for node in nodes if not _is_known(node, values)]
    checked = [node for node in live if not _is_counted_otherwise(node, source.opset)]
    read = {name for node in checked for name in node.inputs}
    inputs = [
        helper.make_tensor_value_info(name, types[name], shape) for name, shape in shapes.items()
    ]
    computed = {name for node in checked for name in node.outputs} | {*shapes}
    of_bytes = {name for node in checked if node.kind in _READ_BYTES for name in node.inputs}
    names = package.TensorProto.DataType
    small: list[Any] = []
    for name in sorted(read - computed):
        value = values.get(name)
        if value is None:
            continue
        if isinstance(value, Constant) and value.values is not None:
            small.append(package.numpy_helper.from_array(value.values, name))
            continue
        stored = value.stored if isinstance(value, Constant) and name in of_bytes else ""
        element = names.Value(stored) if stored else number
        inputs.append(helper.make_tensor_value_info(name, element, value.shape))
    outputs = [helper.make_empty_tensor_value_info(name) for name in source.outputs]
    protos = [
        _in_known_domain(node.proto, source.opset) for node in checked if node.proto is not None
    ]
    graph = helper.make_graph(protos, "shapes", inputs, outputs, small)
    opsets = [helper.make_opsetid("", source.opset), helper.make_opsetid(MICROSOFT, 1)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets)
    return model


def _types_of(source: Source) -> dict[str, int]:
    """Return the element types of the inputs by name."""
    return {value.name: value.type.tensor_type.elem_type for value in source.inputs}


def _is_counted_otherwise(node: FileNode, opset: int) -> bool:
    """Whether onnx's inference counts the results of a pooling by the rule before opset 22.

    That rule keeps a last window of which nothing is in the image or the padding before it. No
    runtime computes such a window, and the rule of opset 22 leaves it out, at every opset here.
    """
    rounded_up = node.kind in _POOLS and bool(node.integer("ceil_mode", 0))
    return rounded_up and opset < _LAST_WINDOW_BEGINS_INSIDE


def _in_known_domain(proto: onnx.NodeProto, opset: int) -> onnx.NodeProto:
    """Return a node under the name "" of the default domain: the inference has only that name.

    It skips the operators of other domains. Also newer operators than the file's set, which ONNX
    Runtime's tools write under the default domain, must be skipped.
    """
    is_standard = proto.domain != MICROSOFT and _has(proto.op_type, opset)
    domain = "" if is_standard else MICROSOFT
    if proto.domain == domain:
        return proto
    plain = type(proto)()
    plain.CopyFrom(proto)
    plain.domain = domain
    return plain


@functools.lru_cache(maxsize=1024)
def _has(kind: str, opset: int) -> bool:
    """Whether a version of the standard operators has one of that name."""
    defs = onnx_package().defs
    try:
        defs.get_schema(kind, opset, "")
    except defs.SchemaError:
        return not defs.has(kind)  # an unknown name is reported by the inference
    return True


def _is_known(node: FileNode, values: Mapping[str, Value | Constant]) -> bool:
    """Whether a node's results are constants."""
    return any(isinstance(values.get(name), Constant) for name in node.outputs if name)


def _shape(info: onnx.ValueInfoProto) -> Shape | None:
    """Return a shape if all of it is known."""
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return None if None in sizes else tuple(size for size in sizes if size is not None)
