"""From one node of the file to operations of a network, a function per operator.

A module per family, each with a table ``CONVERTERS`` by the operator's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.onnx.converters import (
    arranging,
    elementwise,
    limits,
    normalising,
    padding,
    pooling,
    products,
    selecting,
)

if TYPE_CHECKING:
    from convprof.networks.onnx.importer import Converter
    from convprof.networks.onnx.node import FileNode

CONVERTERS: dict[str, Converter] = {
    **products.CONVERTERS,
    **pooling.CONVERTERS,
    **elementwise.CONVERTERS,
    **limits.CONVERTERS,
    **normalising.CONVERTERS,
    **arranging.CONVERTERS,
    **padding.CONVERTERS,
    **selecting.CONVERTERS,
}

_REASONS = {
    "ConvTranspose": "transposed convolutions are not supported: they have no forward strategy "
    "here; leave the part that scales images up out of the file",
    **dict.fromkeys(("If", "Loop", "Scan"), "nested graphs are not supported"),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), "recurrent layers are not supported"),
}


def converter(node: FileNode) -> Converter:
    """Return what converts a node; InputError for an operator that is not supported."""
    if node.kind in CONVERTERS:
        return CONVERTERS[node.kind]
    supported = ", ".join(sorted(kind for kind in CONVERTERS if kind.isidentifier()))
    raise node.unsupported(_REASONS.get(node.kind, f"not supported; supported are {supported}"))
