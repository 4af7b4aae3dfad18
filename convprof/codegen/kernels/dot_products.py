"""One instruction for all products of a group, or of several groups.

dot           one for a group of four bytes: vdpbf16ps, vpdpbusd, vpdpwssd, bfdot, sdot, usdot
shifted       one for bytes of the other sign: of a + 128 or a - 128, and sums of b subtracted
matrix        one for the groups of two rows and two columns: bfmmla, smmla, usmmla
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.elements import DOUBLE_WORD, WORD, cast
from convprof.codegen.kernels.multiply import Multiply

if TYPE_CHECKING:
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType

PAIR = 2
"""Rows of ``a``, and columns of ``b``, of an instruction for matrices."""


@dataclass(frozen=True)
class Dot(Multiply):
    """One instruction for the sum of a group's products."""

    intrinsic: str = ""
    operand: str = ""
    """The type of both factors, in LLVM."""

    @property
    def instruction(self) -> str:
        """The name in assembly."""
        return next(name for name in _DOTS if name.removeprefix("v") in self.intrinsic)

    @property
    def turn(self) -> int:
        """Operands are read as they are."""
        return 0

    @property
    def adds_groups(self) -> bool:
        """Yes."""
        return True

    def operand_type(self, w: Writer) -> str:  # noqa: ARG002
        """Return the type that the intrinsic takes."""
        return self.operand

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Return the groups as the instruction takes them."""
        return self.row(w, vectors[0])

    def row(self, w: Writer, vector: str) -> list[str]:
        """Return the group as the instruction takes it."""
        words = w.typed(WORD).vector
        return [vector if self.operand == words else cast(w, vector, words, self.operand)]

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write the instruction."""
        v, operand = w.vector, self.operand
        operands = f"{v} {total}, {operand} {a}, {operand} {b}"
        return w.add(f"call {v} @{self.intrinsic}({operands})")

    def declarations(self, w: Writer) -> str:
        """Return the instruction's intrinsic."""
        v, operand = w.vector, self.operand
        return f"declare {v} @{self.intrinsic}({v}, {operand}, {operand})\n"


@dataclass(frozen=True)
class Shifted(Dot):
    """Signed bytes for an instruction that takes unsigned bytes, or the reverse: ``a`` +- 128.

    An exclusive or of the sign bits makes either of them. The products of 128 or -128 and ``b`` are
    summed in a row of their own and subtracted at the end. All sums are exact modulo 2**32.
    """

    @property
    def adds_groups(self) -> bool:
        """No: groups are shifted."""
        return False

    @property
    def registers(self) -> int:
        """The shifted element has a register, and so have the constant and its sums."""
        return 2

    @property
    def conversions(self) -> int:
        """The shift; the row of ``b``'s sums costs as much as one for each vector of ``b``."""
        return 1

    def row(self, w: Writer, vector: str) -> list[str]:
        """Write the group with the sign bit of each byte inverted."""
        words = w.typed(WORD).vector
        return super().row(w, w.add(f"xor {words} {vector}, {_SIGNS}"))

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Return the groups of ``b`` as the instruction takes them."""
        return super().row(w, vectors[0])

    def correction(self, w: Writer) -> str | None:  # noqa: ARG002
        """Return the sign bit in each byte: 128, or -128."""
        return _SIGNS if "i32" in self.operand else "splat (i8 -128)"


@dataclass(frozen=True)
class Matrix(Dot):
    """Two rows of ``a`` times two columns of ``b``, with groups of eight bytes: AArch64.

    A vector of sums has ``c[0, 0], c[0, 1], c[1, 0], c[1, 1]``. The four columns of a vector of
    ``b`` are two operands, so that two rows have as many vectors of sums as in the other ways. Rows
    of ``a`` are read where they are.
    """

    @property
    def adds_groups(self) -> bool:
        """No: two groups of each operand."""
        return False

    @property
    def rows(self) -> int:
        """Two."""
        return PAIR

    @property
    def in_groups(self) -> DType | None:
        """A number of 64 bits."""
        return DOUBLE_WORD

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Write each pair of columns as an operand."""
        words, (groups,) = w.typed(DOUBLE_WORD).vector, vectors
        picks = [f"<2 x i32> <i32 {i}, i32 {i + 1}>" for i in range(0, w.lanes, PAIR)]
        pairs = [w.add(f"shufflevector {words} {groups}, {words} poison, {i}") for i in picks]
        return [self._operand(w, pair) for pair in pairs]

    def row(self, w: Writer, vector: str) -> list[str]:
        """Return the groups of both rows, once for each pair of columns."""
        return [self._operand(w, vector)] * self.parts

    def _operand(self, w: Writer, vector: str) -> str:
        return cast(w, vector, f"<{PAIR} x {DOUBLE_WORD.llvm}>", self.operand)

    def apart(self, w: Writer, sums: list[str]) -> list[str]:
        """Write the first rows of both pairs of columns, and the second rows."""
        left, right = sums
        return [w.mixed(left, right, picks) for picks in ((0, 1, 4, 5), (2, 3, 6, 7))]


_SIGNS = f"splat (i32 {0x80808080 - (1 << 32)})"
"""The sign bits of four bytes."""
_DOTS = (
    *("vdpbf16ps", "vpdpbusd", "vpdpbssd", "vpdpwssd"),
    *("bfdot", "usdot", "sdot", "bfmmla", "usmmla", "smmla"),
)
"""The instructions, each before those whose name is a part of its own."""
