"""An operation of a file that convprof does not compute itself: another program does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems.ops.base import Op

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["Opaque"]


@dataclass(frozen=True, slots=True)
class Opaque(Op):
    """One operator of ONNX, from activations to one result. Its FLOPs are not counted."""

    kind: ClassVar[str] = "opaque"
    arity: ClassVar[int] = 0
    keeps_images: ClassVar[bool] = False
    is_opaque: ClassVar[bool] = True

    operator: str
    reads: tuple[Shape, ...]
    """The shapes of the activations."""
    result: Shape
    weight_shapes: tuple[Shape, ...]
    model: bytes = field(repr=False)
    """An ONNX model of this one node: inputs ``x0``, …, then ``w0``, …, output ``y``."""
    multiply_adds: int
    """What is known of the MACs; 0 where nothing is known."""
    evaluate: Callable[..., Array] = field(repr=False, compare=False)
    """The function that computes the result in float64, by the onnx package."""

    @property
    def text(self) -> str:
        """``GRU (opaque)``."""
        return f"{self.operator} ({self.kind})"

    @property
    def settings(self) -> dict[str, Any]:
        """The operator."""
        return {"operator": self.operator}

    def output(self, *inputs: Shape) -> Shape:
        """Return the shape that the onnx package infers."""
        if self.checked(inputs) != self.reads:
            raise self.misfit(inputs[0], f"it reads {self.reads}")
        return self.result

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return the constants: ``w0``, …."""
        self.checked(inputs)
        return {f"w{i}": shape for i, shape in enumerate(self.weight_shapes)}

    def macs(self, *inputs: Shape) -> int:
        """Return the multiply-accumulates that are known."""
        self.checked(inputs)
        return self.multiply_adds

    def flops(self, *inputs: Shape) -> int:
        """Return 2 per MAC that is known."""
        return 2 * self.macs(*inputs)

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return a deviation that keeps sums over all but the first axis of order one."""
        return 0.0, 1 / math.sqrt(max(1, math.prod(shape[1:])))

    def reference(self, *operands: Array) -> Array:
        """Return the result of the onnx package's reference evaluator."""
        return self.evaluate(*operands)
