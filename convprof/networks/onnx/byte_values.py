"""Activations of bytes: the numbers that the bytes mean, and the operators that move them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from convprof.networks.onnx.node import FileNode
    from convprof.problems.quantisation import Scale

UNSIGNED, SIGNED = np.dtype(np.uint8), np.dtype(np.int8)
SIGNED_ZERO = 128
"""What is added to a signed byte to store the byte as an unsigned one."""
MOVERS = frozenset(
    ("DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Pad", "Reshape",
     "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
     "Upsample")
)  # fmt: skip
"""Operators whose results are bytes of the first input, or bytes between these."""
_JOINING = "Concat"
"""Moves bytes if all inputs have the same meaning."""
_READERS = frozenset(("ConvInteger", "DequantizeLinear", "MatMulInteger", "QGemm"))
_PREFIX = "QLinear"
"""The other operators that compute with bytes begin so."""


class Bytes(NamedTuple):
    """The meaning of the bytes of an activation."""

    scale: Scale | None
    """Of the unsigned bytes; None where the file has several scales, or other types than bytes."""
    dtype: np.dtype[Any] = UNSIGNED
    zero_name: str = ""
    """The file's name of the zero point, if only the values of the input tell the zero point."""

    def has_zero(self, node: FileNode, at: int) -> bool:
        """Whether a node's input may be the zero point of these bytes, by the name."""
        return not self.zero_name or (node.has(at) and node.input(at) == self.zero_name)


def moved(node: FileNode, known: dict[str, Bytes]) -> Bytes | None:
    """Return the meaning of a node's results, if the node moves bytes."""
    moves = node.kind in MOVERS or node.kind == _JOINING
    return known.get(node.input(0)) if moves and node.has(0) else None


def check_reader(node: FileNode, known: dict[str, Bytes]) -> None:
    """Raise InputError where a node computes with bytes as if the bytes were their numbers."""
    if not any(name in known for name in node.inputs):
        return
    if node.kind in _READERS or node.kind.startswith(_PREFIX):
        return
    if node.kind == _JOINING:
        if len({known.get(name) for name in node.inputs}) > 1:
            raise node.refused("its inputs are bytes with different scales or zero points")
    elif node.kind not in MOVERS or any(name in known for name in node.inputs[1:]):
        raise node.refused(
            "it computes with bytes; only operators that move bytes, QLinear operators, "
            "ConvInteger, MatMulInteger and DequantizeLinear are read there"
        )
