"""A whole network as a problem: what is timed when its layers run one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from convprof.problems.operation import IMAGE_AXES, Shape, shape_text

if TYPE_CHECKING:
    from collections.abc import Mapping


class Layers(Protocol):
    """What is asked of a network; ``networks.Network`` is one."""

    @property
    def name(self) -> str:
        """The network's name."""

    @property
    def input(self) -> Shape:
        """The logical shape of its input."""

    @property
    def output(self) -> Shape:
        """The logical shape of its result."""

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The logical shapes of all results by name."""

    @property
    def images(self) -> frozenset[str]:
        """The names of the results that lie in some layout."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""

    @property
    def flops(self) -> int:
        """Floating-point operations."""

    def bytes_min(self, itemsize: int) -> int:
        """Return the bytes that its layers move at least."""


@dataclass(frozen=True, eq=False)
class Whole:
    """``network`` from its input to its result; input and result lie in the setting's layout."""

    kind: ClassVar[str] = "network"

    network: Layers

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
        return (_lying(self.network.input, layout),)

    def result_shape(self, layout: str) -> Shape:
        """Return the shape of the result."""
        output = self.network.output
        return _lying(output, layout) if self.gives_image else output

    @property
    def gives_image(self) -> bool:
        """Whether the result lies in the layout."""
        *_, last = self.network.shapes
        return last in self.network.images

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


def _lying(shape: Shape, layout: str) -> Shape:
    if layout == "nchw" or len(shape) != IMAGE_AXES:
        return shape
    n, c, h, w = shape
    return n, h, w, c
