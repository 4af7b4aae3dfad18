"""From one node of the file to operations of a network, a function per operator.

A module per family, each with a table ``CONVERTERS`` by the operator's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.onnx.converters import (
    along_axis,
    arranging,
    attention,
    deciding,
    einsum,
    elementwise,
    gathering,
    grouped_weights,
    joined_attention,
    limits,
    normalising,
    padding,
    pooling,
    products,
    quantised,
    recurrent,
    reducing,
    resizing,
    scaling,
    selecting,
)
from convprof.networks.onnx.converters.opaque import opaque
from convprof.networks.onnx.node import UnsupportedNodeError

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Converter, Importer, Results
    from convprof.networks.onnx.node import FileNode, Value

CONVERTERS: dict[str, Converter] = {
    **products.CONVERTERS,
    **pooling.CONVERTERS,
    **elementwise.CONVERTERS,
    **limits.CONVERTERS,
    **deciding.CONVERTERS,
    **einsum.CONVERTERS,
    **recurrent.CONVERTERS,
    **reducing.CONVERTERS,
    **normalising.CONVERTERS,
    **along_axis.CONVERTERS,
    **arranging.CONVERTERS,
    **padding.CONVERTERS,
    **selecting.CONVERTERS,
    **gathering.CONVERTERS,
    **resizing.CONVERTERS,
    **scaling.CONVERTERS,
    **attention.CONVERTERS,
    **quantised.CONVERTERS,
    **grouped_weights.CONVERTERS,
    **joined_attention.CONVERTERS,
}

_REASONS = {
    **dict.fromkeys(("If", "Loop", "Scan"), "nested graphs are not supported"),
}


def converter(node: FileNode) -> Converter:
    """Return what converts a node: into operations, or where none fits, into an opaque one."""
    convert = CONVERTERS.get(node.kind, _unsupported)

    def converted(net: Importer, node: FileNode) -> Results:
        try:
            return convert(net, node)
        except UnsupportedNodeError as error:
            return opaque(net, node, error)

    return converted


def _unsupported(_: Importer, node: FileNode) -> Value:
    """Raise the error for an operator without a converter."""
    supported = ", ".join(sorted(kind for kind in CONVERTERS if kind.isidentifier()))
    raise node.unsupported(_REASONS.get(node.kind, f"not supported; supported are {supported}"))
