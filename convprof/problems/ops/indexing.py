"""Rows of a table by their numbers, and tensors that are known beforehand.

Whole numbers are activations like all others: f32 has every whole number up to 2**24.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convprof.problems.checks import size
from convprof.problems.ops.base import OfShape, Op

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.problems.ops.base import Array
    from convprof.problems.shapes import Shape

__all__ = ["ChosenRow", "Converted", "Embedding", "Known"]

MOST_ROWS = 2**24
"""Of a table: f32 has no odd number above it."""


@dataclass(frozen=True, slots=True)
class Embedding(Op):
    """(...) -> (..., width): row ``floor(id)`` of a learned table for every id.

    An id outside the table is the nearest row of it: no memory outside is read. The caller of a
    network is told about such an id before.
    """

    kind: ClassVar[str] = "embedding"
    takes_exact: ClassVar[bool] = True
    keeps_images: ClassVar[bool] = False

    rows: int
    width: int

    def __post_init__(self) -> None:
        size("rows", self.rows)
        size("width", self.width)

    @property
    def text(self) -> str:
        """``embedding 30522x384``."""
        return f"{self.kind} {self.rows}x{self.width}"

    @property
    def limits(self) -> tuple[float, float]:
        """From the first row to the last one."""
        return 0.0, self.rows - 1.0

    def output(self, *inputs: Shape) -> Shape:
        """Return the input's shape with an axis of the width after it."""
        (ids,) = self.checked(inputs)
        if self.rows > MOST_ROWS:
            raise self.misfit(ids, f"a table has at most {MOST_ROWS} rows")
        return (*ids, self.width)

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``weight`` (rows, width)."""
        self.checked(inputs)
        return {"weight": (self.rows, self.width)}

    def places(self, *inputs: Shape) -> int:
        """Return the rows of the table."""
        self.checked(inputs)
        return self.rows

    def distribution(self, name: str, shape: Shape, gain: float) -> tuple[float, float]:  # noqa: ARG002
        """Return a deviation of 1."""
        return 0.0, 1.0

    def bytes_min(self, types: Types, *inputs: Shape) -> int:
        """Return the bytes of the ids, of one row for every id, and of the result."""
        (ids,) = inputs
        row = self.width * (types.weights.bytes + types.result.bytes)
        return math.prod(ids) * (types.source.bytes + row)

    def reference(self, *operands: Array) -> Array:
        """Return the rows."""
        ids, table = operands
        rows = np.clip(np.floor(ids), 0, self.rows - 1).astype(np.int64)
        return np.take(table, rows, axis=0)


@dataclass(frozen=True, slots=True)
class ChosenRow(Op):
    """(n, t, c), (n,) -> (n, c): the row of each item whose number the second input has.

    A number outside the rows is the nearest row, as in an embedding.
    """

    kind: ClassVar[str] = "chosen row"
    keeps_images: ClassVar[bool] = False
    arity: ClassVar[int] = 2

    def output(self, *inputs: Shape) -> Shape:
        """Return (n, c)."""
        x, places = self.checked(inputs)
        if len(x) != len(("n", "t", "c")) or places != x[:1]:
            raise self.misfit(places, f"it does not number the rows of {x}")
        return x[0], x[2]

    def places(self, *inputs: Shape) -> int:
        """Return the rows of an item."""
        x, _ = self.checked(inputs)
        return x[1]

    def bytes_min(self, types: Types, *inputs: Shape) -> int:
        """Return the bytes of the places, of the rows read, and of the result."""
        n, c = self.output(*inputs)
        return n * types.source.bytes + n * c * (types.source.bytes + types.result.bytes)

    def reference(self, *operands: Array) -> Array:
        """Return the rows."""
        x, places = operands
        rows = np.clip(np.floor(places), 0, x.shape[1] - 1).astype(np.int64)
        return x[np.arange(len(x)), rows]


@dataclass(frozen=True, slots=True)
class Converted(Op):
    """A result of f32 in the network's type, which may be shorter: rounded, never infinite."""

    kind: ClassVar[str] = "convert"
    is_view: ClassVar[bool] = True
    takes_exact: ClassVar[bool] = True

    @property
    def only_rearranges(self) -> bool:
        """False: the elements are of another type."""
        return False

    def output(self, *inputs: Shape) -> Shape:
        """Return the shape of the input."""
        (x,) = self.checked(inputs)
        return x

    def reference(self, *operands: Array) -> Array:
        """Return the input: there is one type in float64."""
        (x,) = operands
        return x


@dataclass(frozen=True, slots=True)
class Known(OfShape):
    """A tensor that depends on nothing, as an activation; the input is not used."""

    kind: ClassVar[str] = "known"
    is_constant: ClassVar[bool] = True

    def output(self, *inputs: Shape) -> Shape:
        """Return the tensor's shape."""
        self.checked(inputs)
        return self.shape

    def buffers(self, *inputs: Shape) -> dict[str, Shape]:
        """Return ``values``."""
        self.checked(inputs)
        return {"values": self.shape}

    def reference(self, *operands: Array) -> Array:
        """Return the tensor."""
        return operands[1]
