"""Terms and factors of single elements: tensors that are repeated along their axes of size 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.problems.ops.base import SMALL
from convprof.problems.ops.normalisation import SameShape
from convprof.problems.shapes import shape_text

if TYPE_CHECKING:
    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["Factors", "Terms"]


@dataclass(frozen=True, slots=True)
class _PerElement(SameShape):
    """A tensor of the activation's axes, repeated along its axes of size 1."""

    steps: ClassVar[int] = 1

    shape: Shape
    learned: bool = True
    """Whether the tensor was learned: it is a weight, else a buffer."""

    @property
    def text(self) -> str:
        """``terms 1x3x8x8``."""
        return f"{self.kind} {shape_text(self.shape)}"

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` of the op's shape, if it was learned."""
        return self._tensor(inputs) if self.learned else {}

    def buffers(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` of the op's shape, if it was not learned."""
        return {} if self.learned else self._tensor(inputs)

    def _tensor(self, inputs: tuple[Shape, ...]) -> dict[str, Shape]:
        x = self.output(*inputs)
        fits = len(x) == len(self.shape) and all(
            size in (1, of) for size, of in zip(self.shape, x, strict=True)
        )
        if not fits:
            raise self.misfit(x, f"it needs the axes of {shape_text(self.shape)}")
        return {"weight": self.shape}


@dataclass(frozen=True, slots=True)
class Terms(_PerElement):
    """A term per element: a relative position bias, the grid of a detector, a mask of scores."""

    kind: ClassVar[str] = "terms"

    causal: bool = False
    """Whether it is a causal mask of scores: the last query has every key."""

    @property
    def text(self) -> str:
        """``terms 1x12x8x8``, ``causal mask 1x1x8x8``."""
        return f"{'causal mask' if self.causal else self.kind} {shape_text(self.shape)}"

    @property
    def is_causal(self) -> bool:
        """Whether it is a causal mask."""
        return self.causal

    def fixed(self, shape: Shape) -> Array | None:
        """Return the numbers of a causal mask; else None."""
        return causal_mask(shape) if self.causal else None

    def reference(self, *operands: Array) -> Array:
        """Return the sum; NumPy repeats sizes of 1."""
        x, weight = operands
        return x + weight


def causal_mask(shape: Shape) -> Array:
    """Return 0 up to each query's own key, and the lowest number of f32 for the keys after it.

    The last two axes are queries and keys; the last query has every key.
    """
    tokens, keys = shape[-2:]
    after = ~np.tri(tokens, keys, keys - tokens, dtype=bool)
    return np.broadcast_to(np.where(after, np.finfo(np.float32).min, np.float32(0)), shape)


@dataclass(frozen=True, slots=True)
class Factors(_PerElement):
    """A factor per element: the sizes of a detector's boxes, the cosines of rotated positions."""

    kind: ClassVar[str] = "factors"

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return a mean of 1."""
        return 1.0, SMALL

    def reference(self, *operands: Array) -> Array:
        """Return the product; NumPy repeats sizes of 1."""
        x, weight = operands
        return x * weight
