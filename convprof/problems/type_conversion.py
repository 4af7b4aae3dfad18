"""A change of element type between layers: quantise f32 to bytes, or the reverse."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.dtypes import find
from convprof.problems.base import Problem
from convprof.problems.requantisation import limits
from convprof.problems.shapes import IMAGE_AXES, shape_text
from convprof.problems.tensors import TensorSpec, activation, picked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.shapes import Shape
    from convprof.problems.tensors import Array, Points

FACTORS = "factors"
"""The operand: scale and zero point."""
QUANTISE, DEQUANTISE = "f32:f32:u8", "u8:f32:f32"
"""The types of both directions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeConversion(Problem):
    """``saturate(round(x / scale) + zero)``, or ``(x - zero) * scale``, of every element.

    As QuantizeLinear and DequantizeLinear of ONNX (operator set 13), with one scale and zero point
    for a whole activation. The types say which: the source or the result is f32.
    """

    kind: ClassVar[str] = "convert"

    shape: Shape
    """Logical sizes."""
    name: str = field(default="", compare=False)

    @property
    def macs(self) -> int:
        """None are counted."""
        return 0

    @property
    def flops(self) -> int:
        """A factor and a term for each element."""
        return 2 * math.prod(self.shape)

    @property
    def terms(self) -> int:
        """One: nothing is summed."""
        return 1

    @property
    def descriptor(self) -> str:
        """Return ``1x64x56x56``."""
        return shape_text(self.shape)

    @property
    def has_layout(self) -> bool:
        """Whether it is an image."""
        return len(self.shape) == IMAGE_AXES

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return the activation, and its scale and zero point."""
        factors = TensorSpec(FACTORS, (2,), None, find("f32"), constant=True, limits=(0.25, 0.5))
        return (activation("x", self.shape, self._laid_out(layout), types.source), factors)

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return the activation in the other type."""
        return activation("y", self.shape, self._laid_out(layout), types.result)

    def _laid_out(self, layout: str) -> str | None:
        return layout if self.has_layout else None

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return the other type's numbers, as float64: bytes of f32, or f32 of bytes."""
        import numpy as np  # late: `convprof --help` must not load it

        x, (scale, zero) = operands
        if x.dtype.kind != "f":
            return picked((x.astype("f8") - zero) * scale, points)
        low, high = limits(find("u8"))
        quotient = x.astype(np.float32) / np.float32(scale)
        whole = np.clip(np.rint(quotient.astype("f8")) + np.rint(zero), low, high)
        return picked(whole, points)

    def dims(self) -> dict[str, Any]:
        """Return the sizes in JSON types."""
        return {"shape": list(self.shape)}
