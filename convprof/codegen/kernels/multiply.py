"""How one step of a sum multiplies: by fused multiply-adds, or in the ways of short elements.

A step takes a group of ``k_group`` elements of a row of ``a`` and of a column of ``b``. Both are
neighbours in memory, so a group of 4 bytes is read as one number of 32 bits: one load and broadcast
for ``a``, one vector for the columns of ``b``. Each way makes operands of what was read and adds
the products of operands to a vector of sums. ``dot_products`` has the ways of one instruction,
``widening`` the ways for every CPU, ``half`` the multiply-adds of f16, and ``ways`` chooses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.codegen.isa import register_rows
from convprof.codegen.kernels.elements import WORD
from convprof.codegen.kernels.transpose import separated

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType


@dataclass(frozen=True)
class Multiply(ABC):
    """One way; equal ones write equal code."""

    k_group: int
    """Elements of a sum per step."""
    parts: int = 1
    """Operands that are made of a group."""

    @property
    def instruction(self) -> str:
        """What multiplies, for people."""
        return "FMA"

    @property
    def rows(self) -> int:
        """Rows of ``a`` in one operand."""
        return 1

    def operand_type(self, w: Writer) -> str:
        """Return the type of both operands in LLVM."""
        return w.vector

    @property
    def turn(self) -> int:
        """Steps per iteration of the inner loop, at most; 0: as many as suit the vectors.

        One where operands are made of what is read, in registers besides the sums.
        """
        return 1

    @property
    def adds_groups(self) -> bool:
        """Whether one instruction adds the products of two groups as they are in memory."""
        return False

    @property
    def across(self) -> int:
        """Vectors of sums that one operand of ``b`` is multiplied for."""
        return 1

    @property
    def registers(self) -> int:
        """Registers that an element of ``a`` or a vector of ``b`` takes while it is used."""
        return self.parts

    @property
    def panel_vectors(self) -> int:
        """Vectors across a panel of ``b``, where registers are many: 9 x 3 vectors of sums."""
        return 3

    def tile_rows(self, vectors: int, isa: Isa) -> int:
        """Return the most rows of a register tile that is ``vectors`` wide: whole operands."""
        most = register_rows(vectors, isa, self.registers)
        return max(1, most // self.rows) * self.rows

    @property
    def add_operations(self) -> int:
        """Vector operations of one ``add``."""
        return 1

    @property
    def conversions(self) -> int:
        """Vector operations that make the operands of a group, of ``a`` or of ``b``."""
        return 0

    def operations(self, rows: Any, vectors: int) -> Any:
        """Count the vector operations of a step of a register tile; ``rows`` may be an array."""
        down, across = rows / self.rows, vectors / self.across
        adds = down * across * self.parts * self.add_operations
        return adds + (down + across) * self.conversions

    def operations_of_product(self, rows: int, vectors: int) -> float:
        """Return the vector operations of a step over its multiply-adds of vectors.

        Less than one where an instruction has several products, more where elements are converted.
        """
        return float(self.operations(rows, vectors)) / (rows * vectors * self.k_group)

    def correction(self, w: Writer) -> str | None:  # noqa: ARG002
        """Return the operand whose products with ``b`` are subtracted from sums; mostly None."""
        return None

    def flops(self, lanes: int) -> int:
        """Return the operations of one ``add``: 2 per product. ``lanes``: of a vector of sums."""
        return 2 * lanes * self.across * self.k_group * self.rows // self.parts

    def sums(self, w: Writer) -> Writer:
        """Return a writer of the vectors that ``add`` adds to."""
        return w

    @property
    def in_groups(self) -> DType | None:
        """What a group is read as, in a lane of its own; None where elements have lanes."""
        return WORD

    @abstractmethod
    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Write the operands of one vector of columns of ``b``."""

    @abstractmethod
    def row(self, w: Writer, vector: str) -> list[str]:
        """Write the operands of a group of ``a``, which every lane of the vector has.

        Of the groups of several ``rows``, each has a lane of its own.
        """

    @abstractmethod
    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write ``total`` plus the products of two operands."""

    def apart(self, w: Writer, sums: list[str]) -> list[str]:  # noqa: ARG002
        """Write a vector of sums for each of the ``rows`` of an operand, from as many vectors."""
        return sums

    def declarations(self, w: Writer) -> str:  # noqa: ARG002
        """Return the intrinsics that only this way calls."""
        return ""


@dataclass(frozen=True)
class Fma(Multiply):
    """A multiply-add for each element: f32 and f64."""

    @property
    def turn(self) -> int:
        """Operands are read as they are."""
        return 0

    @property
    def in_groups(self) -> DType | None:
        """None: a lane is an element."""
        return None

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Take the elements of a group apart."""
        return separated(w, vectors)

    def row(self, w: Writer, vector: str) -> list[str]:  # noqa: ARG002
        """Return the element itself."""
        return [vector]

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write one multiply-add."""
        return w.fma(a, b, total)


FMA = Fma(1)
