"""A change of layout, as a problem of its own: what a conversion between NCHW and NHWC costs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.problems.base import Problem
from convprof.problems.layouts import NCHW, NHWC
from convprof.problems.tensors import TensorSpec, activation, picked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.dtypes import Types
    from convprof.problems.shapes import Shape
    from convprof.problems.tensors import Array, Points


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutConversion(Problem):
    """Move an activation ``(n, c, h, w)`` from the setting's layout into the other one."""

    kind: ClassVar[str] = "reorder"

    n: int
    c: int
    h: int
    w: int
    name: str = field(default="", compare=False)

    @property
    def macs(self) -> int:
        """No arithmetic."""
        return 0

    @property
    def flops(self) -> int:
        """No arithmetic."""
        return 0

    @property
    def terms(self) -> int:
        """One: nothing is summed."""
        return 1

    @property
    def descriptor(self) -> str:
        """Return ``1x64x56x56``: batch, channels, height, width."""
        return f"{self.n}x{self.c}x{self.h}x{self.w}"

    def with_batch(self, n: int) -> LayoutConversion:
        """Return the same conversion of ``n`` images."""
        return dataclasses.replace(self, n=n)

    @property
    def has_layout(self) -> bool:
        """Its operand is in the setting's layout, its result in the other one."""
        return True

    def operands(self, layout: str, types: Types) -> tuple[TensorSpec, ...]:
        """Return the activation in the setting's layout."""
        return (activation("x", self._shape, layout, types.source),)

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return the activation in the other layout."""
        return activation("y", self._shape, NHWC if layout == NCHW else NCHW, types.source)

    def reference(self, operands: Sequence[Array], points: Points | None = None) -> Array:
        """Return the activation itself, in float64, or some of its values."""
        (x,) = operands
        return picked(x.astype("f8"), points)

    @property
    def _shape(self) -> Shape:
        return self.n, self.c, self.h, self.w

    def dims(self) -> dict[str, Any]:
        """Return the sizes in JSON types."""
        return {"n": self.n, "c": self.c, "h": self.h, "w": self.w}
