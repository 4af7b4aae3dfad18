"""An operation of a network, neither a convolution nor a product, as a problem of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems.base import Problem
from convprof.problems.shapes import IMAGE_AXES, Shape, shape_text
from convprof.problems.tensors import TensorSpec, activation, picked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.ops.base import Op
    from convprof.problems.ops.byte_attention import ByteAttention
    from convprof.problems.tensors import Array, Points

VARIANCE = "running_var"
"""The name of a batch norm's variances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Problem):
    """``op`` of inputs of given logical shapes; ``name`` takes no part in comparisons.

    Where ``laid_out``, tensors of four axes are images (n, c, h, w) that are stored in the layout
    of the setting; elsewhere the order of axes in memory is the logical one. Operands are the
    activations in order, then the op's weights and its buffers, in their order.
    """

    kind: ClassVar[str] = "operation"

    op: Op = field()  # a field without a default: the base class has a property here
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
        """Whether the result is stored in the layout of the setting."""
        image = self.op.makes_images or self.op.keeps_images
        return self.laid_out and image and len(self.output) == IMAGE_AXES

    @property
    def parameters(self) -> tuple[str, ...]:
        """The op's weights and buffers."""
        return (*self.op.weights(*self.inputs), *self.op.buffers(*self.inputs))

    def view(self, x: Array) -> Array | None:
        """Return the input in another shape or order, if the op does nothing else."""
        return self.op.reference(x) if self.op.is_view else None

    @property
    def has_layout(self) -> bool:
        """Whether its images are stored in the layout of the setting."""
        return self.laid_out

    @property
    def is_opaque(self) -> bool:
        """Whether the op is opaque."""
        return self.op.is_opaque

    @property
    def layer_kind(self) -> str:
        """The op's word: ``pool``."""
        return self.op.kind

    @property
    def layer_text(self) -> str:
        """The op's words: ``max 3x3 s2``."""
        return self.op.text

    @property
    def terms(self) -> int:
        """The steps behind one element of the result, or the longest axis that it may sum over."""
        axes = [axis for shape in self.inputs for axis in shape]
        return max(self.flops // max(1, math.prod(self.output)), *axes, 1)

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return the activations, then the op's weights and buffers."""
        op, inputs = self.op, self.inputs
        known = {**op.weights(*inputs), **op.buffers(*inputs)}
        bytes_ = self._in_bytes(types)
        in_bytes = bytes_.own_inputs if bytes_ else len(inputs)
        constant = types.scale if bytes_ else types.weights
        activations = (
            replace(
                activation(
                    f"x{i}",
                    shape,
                    layout if self._is_image(shape) else None,
                    types.source if i < in_bytes else types.scale,
                ),
                limits=op.limits,
            )
            for i, shape in enumerate(inputs)
        )
        constants = (
            TensorSpec(name, shape, None, constant, constant=True, positive=name == VARIANCE)
            for name, shape in known.items()
        )
        return (*activations, *constants, *(bytes_.operands(types) if bytes_ else ()))

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return the result."""
        return activation("y", self.output, layout if self.gives_image else None, types.result)

    def _is_image(self, shape: Shape) -> bool:
        return self.laid_out and len(shape) == IMAGE_AXES

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return the result in float64 and in its logical shape, or at flat indices of it."""
        return picked(self.op.reference(*(operand.astype("f8") for operand in operands)), points)

    def _in_bytes(self, types: Types) -> ByteAttention | None:
        """Return the attention that reads bytes, if the op is one in these types."""
        return self.op.byte_attention(*self.inputs) if types.requantises else None

    def reference_in(
        self, types: Types, operands: Sequence[Array], points: Points | None = None
    ) -> Array:
        """Return the float64 reference; of attention in bytes by the scales of the operands."""
        bytes_ = self._in_bytes(types)
        if bytes_ is None:
            return self.reference(operands, points)
        return picked(bytes_.reference(types, *operands), points)

    def known_error(self, types: Types) -> float:
        """Return what the rounding of weights to bytes adds in attention."""
        bytes_ = self._in_bytes(types)
        return bytes_.problem.known_error(types) if bytes_ else 0.0

    def why_not_in(self, types: Types) -> str | None:
        """Refuse what attention refuses."""
        bytes_ = self._in_bytes(types)
        return bytes_.problem.why_not_in(types) if bytes_ else None

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
        """``max 3x3 s2 of 1x64x112x112``: for people, not for ``parse``."""
        return f"{self.op.text} of {', '.join(shape_text(shape) for shape in self.inputs)}"
