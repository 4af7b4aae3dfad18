"""A change of layout, as a problem of its own: what a conversion between NCHW and NHWC costs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder:
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
    def descriptor(self) -> str:
        """Return ``1x64x56x56``: batch, channels, height, width."""
        return f"{self.n}x{self.c}x{self.h}x{self.w}"

    def with_batch(self, n: int) -> Reorder:
        """Return the same conversion of ``n`` images."""
        return dataclasses.replace(self, n=n)

    def shape(self, layout: str) -> tuple[int, int, int, int]:
        """Return the shape of the activation in ``nchw`` or ``nhwc``."""
        return (
            (self.n, self.c, self.h, self.w)
            if layout == "nchw"
            else (self.n, self.h, self.w, self.c)
        )

    def operand_shapes(self, layout: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shape of the activation in the layout it comes in; there is no second."""
        return self.shape(layout), (0,)

    def result_shape(self, layout: str) -> tuple[int, ...]:
        """Return the shape in the layout it is converted to."""
        return self.shape("nhwc" if layout == "nchw" else "nchw")

    def bytes_min(self, itemsize: int) -> int:
        """Return the bytes read once and written once."""
        return 2 * self.n * self.c * self.h * self.w * itemsize

    def dims(self) -> dict[str, Any]:
        """Return the sizes in JSON types."""
        return {"n": self.n, "c": self.c, "h": self.h, "w": self.w}
