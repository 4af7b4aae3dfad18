"""The onnx package's shape inference, for files with sizes that were not checked.

Slice of a size below 1 ends the process in some releases (onnx issues 7735 and 8481). So Slice
nodes take part only when the sizes that they read are known: those that depend on no other one
first, then wave by wave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.networks.onnx.package import decode_error, onnx_package

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx

_LATER = "convprof.later"
"""A domain that the package does not have: it infers nothing for its nodes."""
_MOST_WAVES = 32
"""Inferences after the first one; Slice nodes that depend on more others have no shapes."""


def inferred_values(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the types and shapes of values; none where the package refuses the model.

    ``model`` is changed.
    """
    package = onnx_package()
    refused = (
        package.shape_inference.InferenceError, decode_error(), ValueError, RuntimeError, TypeError,
        RecursionError,
    )  # fmt: skip
    graph = model.graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value < 0:
                dim.ClearField("dim_value")
    waves = _waves(graph.node)
    inside = [node for node in _nested(graph.node) if node.op_type == "Slice"]
    for node in (*inside, *(node for node, _ in waves)):
        node.domain = _LATER
    if waves or inside:
        model.opset_import.append(package.helper.make_opsetid(_LATER, 1))
    values: list[onnx.ValueInfoProto] = []
    last = min(max((number for _, number in waves), default=0), _MOST_WAVES)
    for wave in range(last + 1):
        try:
            inferred = package.shape_inference.infer_shapes(model).graph
        except refused:
            return values
        values = [*inferred.value_info, *inferred.output]
        sizes = {value.name: _sizes(value) for value in (*inferred.input, *values)}
        sizes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        for node, number in waves:
            if number == wave + 1 and min(sizes.get(node.input[0], ()), default=1) > 0:
                node.domain = ""
    return values


def _nested(nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return the nodes of the graphs within nodes: the bodies of If, Loop and Scan."""
    pending = [graph for node in nodes for graph in _bodies(node)]
    inside: list[onnx.NodeProto] = []
    while pending:
        inner = pending.pop().node
        inside += inner
        pending += [graph for node in inner for graph in _bodies(node)]
    return inside


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [graph for each in node.attribute for graph in (each.g, *each.graphs) if graph.node]


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    """Return the sizes that are known."""
    dims: Any = value.type.tensor_type.shape.dim
    return [dim.dim_value for dim in dims if dim.HasField("dim_value")]


def _waves(nodes: Sequence[onnx.NodeProto]) -> list[tuple[onnx.NodeProto, int]]:
    """Return the Slice nodes, each with the number of its wave, from 1.

    A Slice or any node after it may give a size of 0, so that the next Slice waits for the shapes.
    """
    last: dict[str, int] = {}
    """By value: the last wave that the value depends on."""
    waves = []
    for node in nodes:
        wave = max((last.get(name, 0) for name in node.input), default=0)
        if node.op_type == "Slice" and node.input:
            wave += 1
            waves.append((node, wave))
        last.update((name, wave) for name in node.output)
    return waves
