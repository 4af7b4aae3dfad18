"""Ways that multiply short elements as longer ones, for CPUs without an instruction for groups.

pairs         two bf16 to two f32: shifted up, and masked; then an FMA each
convert       one f16 to one f32; then an FMA
madd words    two numbers of 16 bits; vpmaddwd multiplies and adds them, then an addition
madd          four bytes to two pairs of 16 bits; then as ``madd words``
words         one number of 16 bits; smlal on AArch64
bytes         four bytes to four numbers of 32 bits; multiply and add
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.kernels.cycles import CONVERSION
from convprof.codegen.kernels.elements import HALF_WORD, WORD, cast, widen_f16
from convprof.codegen.kernels.multiply import Multiply

if TYPE_CHECKING:
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType

BYTES = 4
"""Bytes of a group that fills a number of 32 bits."""


@dataclass(frozen=True)
class Pairs(Multiply):
    """Two bf16, the upper halves of f32, in a number of 32 bits."""

    @property
    def conversions(self) -> int:
        """A shift and a mask."""
        return 2

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Write each pair as two f32."""
        return self.row(w, vectors[0])

    def row(self, w: Writer, vector: str) -> list[str]:
        """Write the pair as two f32: shifted up, and without the lower half."""
        words = w.typed(WORD).vector
        first = w.add(f"shl {words} {vector}, splat (i32 16)")
        second = w.add(f"and {words} {vector}, splat (i32 -65536)")
        return [cast(w, each, words, w.vector) for each in (first, second)]

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write one multiply-add."""
        return w.fma(a, b, total)


@dataclass(frozen=True)
class Convert(Multiply):
    """One f16, for a CPU that converts f16 to f32."""

    @property
    def conversions(self) -> int:
        """One conversion."""
        return CONVERSION

    @property
    def in_groups(self) -> DType | None:
        """A number of 16 bits."""
        return HALF_WORD

    @property
    def panel_vectors(self) -> int:
        """Four: each conversion of an element of ``a`` is used four times (6 to 25 %)."""
        return 4

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Write the f32 of each f16."""
        return self.row(w, vectors[0])

    def row(self, w: Writer, vector: str) -> list[str]:
        """Write the f32 of the f16."""
        return [widen_f16(w, vector)]

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write one multiply-add."""
        return w.fma(a, b, total)


@dataclass(frozen=True)
class MaddWords(Multiply):
    """Two numbers of 16 bits, as they are in memory. Sums are exact modulo 2**32."""

    intrinsic: str = ""

    @property
    def instruction(self) -> str:
        """The name in assembly."""
        return "vpmaddwd"

    @property
    def add_operations(self) -> int:
        """Products of pairs, and a sum."""
        return 2

    def operand_type(self, w: Writer) -> str:
        """Return the type of pairs of 16 bits."""
        return f"<{2 * w.lanes} x i16>"

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Return the pairs of ``b``."""
        return self.row(w, vectors[0])

    def row(self, w: Writer, vector: str) -> list[str]:
        """Return the pair of ``a``."""
        return [cast(w, vector, w.typed(WORD).vector, self.operand_type(w))]

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write the sums of pairs of products, and add them."""
        pairs = self.operand_type(w)
        products = w.add(f"call {w.vector} @{self.intrinsic}({pairs} {a}, {pairs} {b})")
        return w.plus(total, products)

    def declarations(self, w: Writer) -> str:
        """Return the intrinsic of vpmaddwd."""
        pairs = self.operand_type(w)
        return f"declare {w.vector} @{self.intrinsic}({pairs}, {pairs})\n"


@dataclass(frozen=True)
class Madd(MaddWords):
    """Four bytes as two pairs of 16 bits: no sum of two products of bytes exceeds 32 bits."""

    signed: bool = True
    """Whether the elements of ``a`` have a sign; the elements of ``b`` always have one."""

    @property
    def conversions(self) -> int:
        """Two shifts for the even bytes, one for the odd bytes."""
        return 3

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Write the even and the odd bytes of ``b``."""
        return self._halves(w, vectors[0], signed=True)

    def row(self, w: Writer, vector: str) -> list[str]:
        """Write the even and the odd bytes of ``a``."""
        return self._halves(w, vector, signed=self.signed)

    def _halves(self, w: Writer, vector: str, *, signed: bool) -> list[str]:
        """Write the even and the odd bytes, each in 16 bits."""
        pairs = self.operand_type(w)
        both = cast(w, vector, w.typed(WORD).vector, pairs)
        if not signed:
            even = w.add(f"and {pairs} {both}, splat (i16 255)")
            return [even, w.add(f"lshr {pairs} {both}, splat (i16 8)")]
        up = w.add(f"shl {pairs} {both}, splat (i16 8)")
        even = w.add(f"ashr {pairs} {up}, splat (i16 8)")
        return [even, w.add(f"ashr {pairs} {both}, splat (i16 8)")]


@dataclass(frozen=True)
class Words(Multiply):
    """One number of 16 bits, for every CPU."""

    @property
    def instruction(self) -> str:
        """The name in the assembly of AArch64."""
        return "smlal"

    @property
    def in_groups(self) -> DType | None:
        """A number of 16 bits."""
        return HALF_WORD

    def operand_type(self, w: Writer) -> str:
        """Return the type of numbers of 16 bits."""
        return w.typed(HALF_WORD).vector

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:  # noqa: ARG002
        """Return the numbers of ``b``."""
        return vectors

    def row(self, w: Writer, vector: str) -> list[str]:  # noqa: ARG002
        """Return the number of ``a``."""
        return [vector]

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write the product in 32 bits, and add it."""
        short = self.operand_type(w)
        left, right = (w.add(f"sext {short} {each} to {w.vector}") for each in (a, b))
        return w.fma(left, right, total)


@dataclass(frozen=True)
class Bytes(Multiply):
    """Four bytes, each in 32 bits: for every CPU."""

    signed: bool = True

    @property
    def instruction(self) -> str:
        """Two instructions."""
        return "multiply, add"

    @property
    def add_operations(self) -> int:
        """A product, and a sum."""
        return 2

    @property
    def conversions(self) -> int:
        """Two shifts for each byte."""
        return 2 * BYTES

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:
        """Write each byte of ``b`` with its sign."""
        return self._each(w, vectors[0], "ashr")

    def row(self, w: Writer, vector: str) -> list[str]:
        """Write each byte of ``a``."""
        return self._each(w, vector, "ashr" if self.signed else "lshr")

    def _each(self, w: Writer, vector: str, shift: str) -> list[str]:
        operands = []
        for number in range(BYTES):
            up = w.add(f"shl {w.vector} {vector}, splat (i32 {8 * (BYTES - 1 - number)})")
            operands.append(w.add(f"{shift} {w.vector} {up}, splat (i32 {8 * (BYTES - 1)})"))
        return operands

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write a multiplication and an addition."""
        return w.plus(total, w.add(f"mul {w.vector} {a}, {b}"))
