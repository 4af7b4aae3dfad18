"""A network as a problem: all its layers, one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems.shapes import Shape, physical, shape_text

if TYPE_CHECKING:
    from convprof.problems.graph import Network, Weights
    from convprof.problems.ops.base import Array


@dataclass(frozen=True, eq=False)
class NetworkProblem:
    """``network`` from its input to its result, images in the layout of the setting."""

    kind: ClassVar[str] = "network"

    network: Network

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return self.network.macs

    @property
    def flops(self) -> int:
        """Floating-point operations of all layers, as written: nothing folded."""
        return self.network.flops

    def bytes_min(self, itemsize: int) -> int:
        """Return the least bytes: each layer's operands read, its result written, caches cold."""
        return self.network.bytes_min(itemsize)

    def operand_shapes(self, layout: str) -> tuple[Shape, ...]:
        """Return the shape of the input; the weights are bound by layer and name."""
        return (physical(self.network.input, layout),)

    def result_shape(self, layout: str) -> Shape:
        """Return the shape of the result."""
        output = self.network.output
        return physical(output, layout) if self.gives_image else output

    @property
    def gives_image(self) -> bool:
        """Whether the result is an image, in the layout of the setting."""
        *_, last = self.network.shapes
        return last in self.network.images

    def reference(self, x: Array, weights: Weights) -> Array:
        """Return the result in float64 and in its logical shape, layer by layer."""
        return self.network.reference(x, weights)

    def dims(self) -> dict[str, Any]:
        """Return the shapes for JSON."""
        return {
            "input": list(self.network.input),
            "output": list(self.network.output),
            "elements": math.prod(self.network.input),
        }

    @property
    def descriptor(self) -> str:
        """``resnet50 of 1x3x224x224``; nothing that could be parsed."""
        return f"{self.network.name} of {shape_text(self.network.input)}"
