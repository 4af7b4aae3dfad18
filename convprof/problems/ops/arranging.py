"""Operations that rearrange numbers and compute nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convprof.errors import ProblemError
from convprof.problems.checks import finite, size
from convprof.problems.ops.base import Array, OfShape, Op, broadcast
from convprof.problems.shapes import IMAGE_AXES, Shape, shape_text

# fmt: off
__all__ = [
    "Concat", "Expand", "Flatten", "Pad", "Part", "Reshape", "Slice", "Transpose", "Upsample",
]
# fmt: on


@dataclass(frozen=True, slots=True)
class Flatten(Op):
    """(n, c, h, w) -> (n, c h w), in that order whatever the layout."""

    kind: ClassVar[str] = "flatten"
    keeps_images: ClassVar[bool] = False
    is_view: ClassVar[bool] = True

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, c h w)."""
        (x,) = self.checked(inputs)
        return x[0], math.prod(x[1:])

    def reference(self, *operands: Array) -> Array:
        """Return one row per image."""
        (x,) = operands
        return x.reshape(self.output(x.shape))


@dataclass(frozen=True, slots=True)
class Reshape(Op):
    """The same numbers, in the order of the logical shape, in another one.

    Of ``shape``, 0 keeps the input's size of that axis and one -1 takes what is left (as in ONNX).
    """

    kind: ClassVar[str] = "reshape"
    keeps_images: ClassVar[bool] = False
    is_view: ClassVar[bool] = True

    shape: Shape

    def output(self, *inputs: Shape) -> Shape:
        """Return the new shape."""
        (x,) = self.checked(inputs)
        wrong = self.misfit(x, f"it does not hold as many elements as {self.shape}")
        if not self.shape or 0 in self.shape[len(x) :]:
            raise wrong
        sizes = [x[axis] if size == 0 else size for axis, size in enumerate(self.shape)]
        known = math.prod(size for size in sizes if size != -1)
        if min(sizes) < -1 or known < 1 or sizes.count(-1) > 1 or math.prod(x) % known:
            raise wrong
        sizes_found = tuple(math.prod(x) // known if size == -1 else size for size in sizes)
        if math.prod(sizes_found) != math.prod(x):
            raise wrong
        return sizes_found

    def reference(self, *operands: Array) -> Array:
        """Return the elements in C order in the new shape."""
        (x,) = operands
        return x.reshape(self.output(x.shape))


@dataclass(frozen=True, slots=True)
class Transpose(Op):
    """Axis i of the result is axis ``axes[i]`` of the input."""

    kind: ClassVar[str] = "transpose"
    keeps_images: ClassVar[bool] = False

    axes: tuple[int, ...]

    @property
    def only_rearranges(self) -> bool:
        """True: another order of the axes."""
        return True

    def output(self, *inputs: Shape) -> Shape:
        """Return the sizes in their new order."""
        (x,) = self.checked(inputs)
        if sorted(self.axes) != list(range(len(x))):
            raise self.misfit(x, f"{self.axes} is not a permutation of its axes")
        return tuple(x[axis] for axis in self.axes)

    def reference(self, *operands: Array) -> Array:
        """Return a view with the axes exchanged."""
        (x,) = operands
        return x.transpose(self.axes)


@dataclass(frozen=True, slots=True)
class Expand(OfShape):
    """The elements repeated along axes of size 1: keys that several heads of queries share."""

    kind: ClassVar[str] = "expand"

    def output(self, *inputs: Shape) -> Shape:
        """Return the shape."""
        (x,) = self.checked(inputs)
        if broadcast(self, (x, self.shape), 2) != self.shape:
            raise self.misfit(x, f"it cannot become {shape_text(self.shape)}")
        return self.shape

    def reference(self, *operands: Array) -> Array:
        """Return a copy for every repetition."""
        (x,) = operands
        return np.broadcast_to(x, self.shape)


@dataclass(frozen=True, slots=True)
class Slice(Op):
    """The elements from ``start`` up to ``stop`` of one axis."""

    kind: ClassVar[str] = "slice"
    is_view: ClassVar[bool] = True

    axis: int
    start: int
    stop: int

    def output(self, *inputs: Shape) -> Shape:
        """Return the shape with that axis cut."""
        (x,) = self.checked(inputs)
        if not 0 <= self.axis < len(x) or not 0 <= self.start < self.stop <= x[self.axis]:
            raise self.misfit(x, f"it has no {self.start}:{self.stop} of axis {self.axis}")
        return (*x[: self.axis], self.stop - self.start, *x[self.axis + 1 :])

    def reference(self, *operands: Array) -> Array:
        """Return a view of the part."""
        (x,) = operands
        return x[(slice(None),) * self.axis + (slice(self.start, self.stop),)]


@dataclass(frozen=True, slots=True)
class Part(Op):
    """(n, elements) -> (n, ...): consecutive elements of every row, in another shape.

    The input of a network whose file has several inputs is one row for each image.
    """

    kind: ClassVar[str] = "part"
    makes_images: ClassVar[bool] = True
    is_view: ClassVar[bool] = True

    start: int
    shape: Shape
    """The result's shape, the minibatch first."""

    @property
    def stop(self) -> int:
        """The place after the last element of a row."""
        return self.start + math.prod(self.shape) // self.shape[0]

    def output(self, *inputs: Shape) -> Shape:
        """Return the shape."""
        (x,) = self.checked(inputs)
        rows = len(x) == len(("n", "elements"))
        if not rows or x[0] != self.shape[0] or not 0 <= self.start < self.stop <= x[1]:
            raise self.misfit(x, f"it has no {shape_text(self.shape)} from {self.start} on")
        return self.shape

    def reference(self, *operands: Array) -> Array:
        """Return a view of the part if there is one row, else a copy."""
        (x,) = operands
        return x[:, self.start : self.stop].reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Pad(Op):
    """The input with ``value`` around it: of every axis, how many elements come before and after.

    Padding that belongs to a convolution or a pooling is not an operation.
    """

    kind: ClassVar[str] = "pad"

    before: Shape
    after: Shape
    value: float = 0.0

    def __post_init__(self) -> None:
        if len(self.before) != len(self.after) or min((0, *self.before, *self.after)) < 0:
            raise ProblemError(
                f"pads {self.before} and {self.after}: must be as many, and not negative"
            )
        finite(value=self.value)

    @property
    def text(self) -> str:
        """``pad 1,1,1,1``: top, left, bottom, right of an image; else of every axis."""
        image = len(self.before) == IMAGE_AXES and not any((*self.before[:2], *self.after[:2]))
        sides = (self.before[2:], self.after[2:]) if image else (self.before, self.after)
        return f"{self.kind} {','.join(str(size) for side in sides for size in side)}"

    def output(self, *inputs: Shape) -> Shape:
        """Return the sizes with the padding."""
        (x,) = self.checked(inputs)
        if len(x) != len(self.before):
            raise self.misfit(x, f"it needs {len(self.before)} axes")
        return tuple(
            size + before + after
            for size, before, after in zip(x, self.before, self.after, strict=True)
        )

    def reference(self, *operands: Array) -> Array:
        """Return a padded copy."""
        (x,) = operands
        pads = list(zip(self.before, self.after, strict=True))
        return np.pad(x, pads, constant_values=self.value)


@dataclass(frozen=True, slots=True)
class Upsample(Op):
    """(n, c, h, w) -> (n, c, h rows, w columns): each pixel repeated (nearest neighbour)."""

    kind: ClassVar[str] = "upsample"
    makes_images: ClassVar[bool] = True

    rows: int
    columns: int

    @property
    def text(self) -> str:
        """``upsample 2x2``."""
        return f"{self.kind} {self.rows}x{self.columns}"

    def output(self, *inputs: Shape) -> Shape:
        """Return the larger image."""
        n, c, h, w = self.image(*inputs)
        return n, c, h * size("rows", self.rows), w * size("columns", self.columns)

    def reference(self, *operands: Array) -> Array:
        """Return the pixels repeated along both axes."""
        (x,) = operands
        return x.repeat(self.rows, 2).repeat(self.columns, 3)


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Any number of activations, one after the other along one axis."""

    kind: ClassVar[str] = "concat"
    arity: ClassVar[int] = 0

    axis: int

    def output(self, *inputs: Shape) -> Shape:
        """Return the first shape with the sum of all sizes along the axis."""
        first, *others = self.checked(inputs)
        if not 0 <= self.axis < len(first):
            raise self.misfit(first, f"it has no axis {self.axis}")
        for other in others:
            if len(other) != len(first) or self._rest(other) != self._rest(first):
                raise self.misfit(other, f"it must fit {shape_text(first)} along axis {self.axis}")
        return (
            *first[: self.axis],
            sum(shape[self.axis] for shape in inputs),
            *first[self.axis + 1 :],
        )

    def _rest(self, shape: Shape) -> Shape:
        return shape[: self.axis] + shape[self.axis + 1 :]

    def reference(self, *operands: Array) -> Array:
        """Return all inputs along the axis."""
        return np.concatenate(operands, axis=self.axis)
