"""An opaque operation in a file that is written from a network: the node that it was read from."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.networks.onnx.package import onnx_package
from convprof.problems.ops import Opaque

if TYPE_CHECKING:
    import onnx

    from convprof.networks.onnx.writer import Writer
    from convprof.problems.graph import Node
    from convprof.problems.ops import Op

_RESULT = "y"


def write(w: Writer, node: Node, op: Opaque, opset: int) -> None:
    """Write the node with the names of the network; InputError if that version lacks it."""
    package = onnx_package()
    model = _converted(op.model, opset)
    if model is None:
        raise InputError(f"{node.name}: {op.text} has no form in ONNX")
    names = {f"x{at}": name for at, name in enumerate(node.inputs)}
    names |= {f"w{at}": w.weight(node, f"w{at}") for at in range(len(op.weight_shapes))}
    for tensor in model.graph.initializer:
        names[tensor.name] = w.constant(node, package.numpy_helper.to_array(tensor))
    for original in model.graph.node:  # the node, and the casts of whole numbers around it
        for name in filter(None, original.output):
            names[name] = node.name if name == _RESULT else f"{node.name} {name}"
        proto = package.NodeProto.FromString(original.SerializeToString())
        proto.input[:] = [names.get(name, "") for name in original.input]
        proto.output[:] = [names.get(name, "") for name in original.output]
        proto.name = proto.output[0] or node.name
        w.nodes.append(proto)


def has_form(op: Op, opset: int) -> bool:
    """Whether an op that is opaque can be written in a version of the operators."""
    match op:
        case Opaque(model=data):
            return _converted(data, opset) is not None
    return True


@functools.lru_cache(maxsize=64)
def _converted(data: bytes, opset: int) -> onnx.ModelProto | None:
    """Return the model of one node in another version; None where that takes other operators.

    Casts of whole numbers before and after the node are the same in every version.
    """
    package = onnx_package()
    model = package.ModelProto.FromString(data)
    try:
        converted: onnx.ModelProto = package.version_converter.convert_version(model, opset)
    except (RuntimeError, ValueError):
        return None
    return converted if len(converted.graph.node) == len(model.graph.node) else None
