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


class Bytes(NamedTuple):
    """The meaning of the bytes of an activation."""

    scale: Scale | None
    """Of the unsigned bytes; None where the file has several scales, or other types than bytes."""
    dtype: np.dtype[Any] = UNSIGNED


def moved(node: FileNode, known: dict[str, Bytes]) -> Bytes | None:
    """Return the meaning of a node's results, if the node moves bytes."""
    return known.get(node.input(0)) if node.kind in MOVERS and node.has(0) else None
