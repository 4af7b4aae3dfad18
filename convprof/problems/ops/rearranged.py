"""Several rearrangements, one after the other, as one: every element is moved once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.problems.ops.base import Op
from convprof.problems.places import places_of

if TYPE_CHECKING:
    from convprof.problems.ops.base import Array
    from convprof.problems.places import Strides
    from convprof.problems.shapes import Shape

__all__ = ["Rearranged"]


@dataclass(frozen=True, slots=True)
class Rearranged(Op):
    """The operations ``ops``, each of which only rearranges the result of the one before."""

    kind: ClassVar[str] = "rearrange"
    keeps_images: ClassVar[bool] = False

    ops: tuple[Op, ...]

    @property
    def text(self) -> str:
        """``slice, reshape, transpose``."""
        return ", ".join(op.text for op in self.ops)

    @property
    def only_rearranges(self) -> bool:
        """True: nothing is computed."""
        return True

    def output(self, *inputs: Shape) -> Shape:
        """Return the shape of the last result."""
        (shape,) = self.checked(inputs)
        for op in self.ops:
            shape = op.output(shape)
        return shape

    def reference(self, *operands: Array) -> Array:
        """Return the result of the last operation: a view, if NumPy can make one."""
        (x,) = operands
        for op in self.ops:
            x = op.reference(x)
        return x

    def strides(self, shape: Shape) -> Strides | None:
        """Return the result's places in an input of a shape; see ``places_of``."""
        return places_of(self.reference, shape)
