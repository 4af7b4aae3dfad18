"""An operation of a network as a problem of its own: what is no convolution and no product."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems.shapes import IMAGE_AXES, Shape, physical, shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from convprof.problems.ops.base import Array, Op

VARIANCE = "running_var"
"""The name of a batch norm's variances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """``op`` of inputs of given logical shapes; ``name`` takes no part in comparisons.

    Where ``laid_out``, tensors of four axes are images (n, c, h, w) that lie in memory in the
    layout asked for; elsewhere every tensor lies as its shape says, whatever the layout.
    Operands are the activations in order, then the op's weights and its buffers, in their order.
    """

    kind: ClassVar[str] = "operation"

    op: Op
    inputs: tuple[Shape, ...]
    laid_out: bool = False
    name: str = field(default="", compare=False)

    @property
    def macs(self) -> int:
        """Multiply-accumulates: none but for attention's products."""
        return self.op.macs(*self.inputs)

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return self.op.flops(*self.inputs)

    @property
    def output(self) -> Shape:
        """The logical shape of the result."""
        return self.op.output(*self.inputs)

    @property
    def gives_image(self) -> bool:
        """Whether the result lies in the layout, not as its shape says."""
        image = self.op.makes_images or self.op.keeps_images
        return self.laid_out and image and len(self.output) == IMAGE_AXES

    def bytes_min(self, itemsize: int) -> int:
        """Return the bytes that must move: operands read once, the result written once.

        A view that has to be made in another place moves too.
        """
        shapes = (*self.operand_shapes("nchw"), self.output)
        return sum(math.prod(shape) for shape in shapes) * itemsize

    def operand_shapes(self, layout: str) -> tuple[Shape, ...]:
        """Return the shapes as they lie in memory."""
        op, inputs = self.op, self.inputs
        known = {**op.weights(*inputs), **op.buffers(*inputs)}
        return (*(self.physical(shape, layout) for shape in inputs), *known.values())

    def positive_operands(self) -> frozenset[int]:
        """Return the positions of the operands whose elements are variances: never negative."""
        op, inputs = self.op, self.inputs
        names = [*("" for _ in inputs), *op.weights(*inputs), *op.buffers(*inputs)]
        return frozenset(i for i, name in enumerate(names) if name == VARIANCE)

    def result_shape(self, layout: str) -> Shape:
        """Return the shape of the result as it lies in memory."""
        return self.physical(self.output, layout) if self.gives_image else self.output

    def physical(self, shape: Shape, layout: str) -> Shape:
        """Return the sizes in memory of a tensor of a logical shape."""
        return physical(shape, layout) if self.laid_out else shape

    def reference(
        self, operands: Sequence[Array], points: np.ndarray[Any, np.dtype[np.int64]] | None = None
    ) -> Array:
        """Return the result in float64 and in its logical shape, or at flat indices of it.

        ``operands`` in logical shapes, in the order of the class.
        """
        result = self.op.reference(*(operand.astype("f8") for operand in operands))
        return result if points is None else result.ravel()[points]

    def dims(self) -> dict[str, Any]:
        """Return what is computed and the logical shapes, for JSON."""
        return {
            "op": self.op.kind,
            "text": self.op.text,
            "inputs": [list(shape) for shape in self.inputs],
            "output": list(self.output),
        }

    @property
    def descriptor(self) -> str:
        """``max 3x3 s2 of 1x64x112x112``; nothing that could be parsed."""
        return f"{self.op.text} of {', '.join(shape_text(shape) for shape in self.inputs)}"
