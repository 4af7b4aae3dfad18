"""What the importer follows from node to node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.ops import Shape


@dataclass(frozen=True, slots=True)
class Value:
    """An activation: the node that computes it, its shape, and a factor not yet applied.

    Exporters scale queries and keys one by one; the factor moves on until a product takes it up.
    """

    name: str
    shape: Shape
    factor: float = 1.0
    origin: FileNode | None = None
    """The node of the file that asked for the factor."""
