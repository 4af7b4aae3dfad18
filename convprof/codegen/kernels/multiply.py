"""How one step of a sum multiplies: by fused multiply-adds, or in the ways of short elements.

A step takes a group of ``k_group`` elements of a row of ``a`` and of a column of ``b``. Both are
neighbours in memory, so a group of 4 bytes is read as one number of 32 bits: one load and broadcast
for ``a``, one vector for the columns of ``b``. Each way makes operands of what was read and adds
the products of operands to a vector of sums:

    dot           one instruction for the whole group (vdpbf16ps, vpdpbusd, bfdot, sdot, usdot)
    shifted       one for bytes of the other sign: of a + 128 or a - 128, and sums of b subtracted
    pairs         two bf16 to two f32: shifted up, and masked; then an FMA each
    convert       one f16 to one f32; then an FMA
    half          an FMA of f16, whose sums are added to sums of f32 after each block of steps
    madd          four bytes to two pairs of 16 bits; vpmaddwd multiplies and adds pairs, exactly
    bytes         four bytes to four numbers of 32 bits; multiply and add
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.architecture import X86
from convprof.codegen.isa import register_rows
from convprof.codegen.kernels.cycles import converted_cycles, half_cycles
from convprof.codegen.kernels.elements import HALF, HALF_WORD, WORD, cast, widen_f16
from convprof.codegen.kernels.f16_blocks import longest_block
from convprof.codegen.kernels.transpose import separated
from convprof.codegen.target import target
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.f16_blocks import Sums
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType, Types

BYTES = 4
"""Bytes of a group that fills a number of 32 bits."""
HALF_TEMPORARIES = 2
"""Registers for the upper half of a sum in f16, and for a half in f32."""


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
    def registers(self) -> int:
        """Registers that an element of ``a`` or a vector of ``b`` takes while it is used."""
        return self.parts

    @property
    def across(self) -> int:
        """Vectors of sums that one operand of ``b`` is multiplied for."""
        return 1

    def tile_rows(self, vectors: int, isa: Isa, *, in_place: bool = False) -> int:
        """Return the most rows of a tile whose sums and operands fit the registers.

        ``in_place``: the tile reads ``b`` where it is.
        """
        return register_rows(vectors, isa, self.parts if in_place else self.registers)

    def correction(self, w: Writer) -> str | None:  # noqa: ARG002
        """Return the operand whose products with ``b`` every sum has too many; mostly None."""
        return None

    def flops(self, lanes: int) -> int:
        """Return the operations of one ``add``: 2 per product. ``lanes``: of a vector of sums."""
        return 2 * lanes * self.across * self.k_group // self.parts

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
        """Write the operands of a group of ``a``, which every lane of the vector has."""

    @abstractmethod
    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write ``total`` plus the products of two operands."""

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
    def registers(self) -> int:
        """The shifted element has a register, and so have the constant and its sums."""
        return 2

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


_SIGNS = f"splat (i32 {0x80808080 - (1 << 32)})"
"""The sign bits of four bytes."""
_DOTS = ("vdpbf16ps", "vpdpbusd", "vpdpbssd", "bfdot", "usdot", "sdot")
"""The instructions, each before those whose name is a part of its own."""


@dataclass(frozen=True)
class Pairs(Multiply):
    """Two bf16, the upper halves of f32, in a number of 32 bits."""

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
    def in_groups(self) -> DType | None:
        """A number of 16 bits."""
        return HALF_WORD

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
class Half(Multiply):
    """Multiply-adds of f16, in vectors of twice as many lanes as vectors of f32.

    ``half_code`` writes the steps: the sums of a block are apart from the sums in f32.
    """

    longest: int = 1
    """Steps of a block, at most."""

    @property
    def instruction(self) -> str:
        """The name in assembly."""
        return "vfmadd231ph"

    @property
    def turn(self) -> int:
        """An iteration is a block."""
        return self.longest

    @property
    def across(self) -> int:
        """Two: an f16 has half the bytes of its sum."""
        return 2

    def tile_rows(self, vectors: int, isa: Isa, *, in_place: bool = False) -> int:  # noqa: ARG002
        """Return the most rows: each has sums in f32 and in f16."""
        across = ceil_div(vectors, self.across)
        free = isa.registers - across - HALF_TEMPORARIES
        return max(1, free // (vectors + across))

    def sums(self, w: Writer) -> Writer:
        """Return a writer of vectors of f16."""
        return half_writer(w, self.across)

    def operand_type(self, w: Writer) -> str:
        """Return the type of vectors of f16."""
        return self.sums(w).vector

    def columns(self, w: Writer, vectors: list[str]) -> list[str]:  # noqa: ARG002
        """Take the elements of ``b`` as they are."""
        return vectors

    def row(self, w: Writer, vector: str) -> list[str]:  # noqa: ARG002
        """Take the element of ``a`` as it is."""
        return [vector]

    def add(self, w: Writer, a: str, b: str, total: str) -> str:
        """Write one multiply-add."""
        return self.sums(w).fma(a, b, total)

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of vectors of f16, whole and half."""
        texts = [half_writer(w, across).declarations() for across in (1, self.across)]
        lines = (line for text in texts for line in text.splitlines())
        return "".join(f"{line}\n" for line in lines if "f16" in line)


def half_writer(w: Writer, across: int) -> Writer:
    """Return a writer of vectors of f16 for the lanes of some vectors of sums."""
    return w.typed(HALF, lanes=across * w.lanes)


@dataclass(frozen=True)
class Madd(Multiply):
    """Four bytes as two pairs of 16 bits: no sum of two products of bytes exceeds 32 bits."""

    signed: bool = True
    """Whether the elements of ``a`` have a sign; the elements of ``b`` always have one."""
    intrinsic: str = ""

    @property
    def instruction(self) -> str:
        """The name in assembly."""
        return "vpmaddwd"

    def operand_type(self, w: Writer) -> str:
        """Return the type of pairs of 16 bits."""
        return f"<{2 * w.lanes} x i16>"

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
class Bytes(Multiply):
    """Four bytes, each in 32 bits: for every CPU."""

    signed: bool = True

    @property
    def instruction(self) -> str:
        """Two instructions."""
        return "multiply, add"

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


FMA = Fma(1)
_MADD = {128: "llvm.x86.sse2.pmadd.wd", 256: "llvm.x86.avx2.pmadd.wd"}
_MADD[512] = "llvm.x86.avx512.pmaddw.d.512"
"""The intrinsics of vpmaddwd, by bits of a vector."""


def multiply(types: Types, isa: Isa, sums: Sums) -> Multiply:
    """Return the fastest way of an instruction set; ValueError for types without one."""
    source, weights = types.source.name, types.weights.name
    if types.uniform is not None and types.uniform.has_fma:
        return FMA
    if (source, weights) == ("bf16", "bf16"):
        return bf16_dot(isa) or Pairs(2, 2)
    if (source, weights) == ("f16", "f16"):
        return _half(types, isa, sums) or Convert(1)
    if source in {"u8", "s8"} and weights == "s8":
        return _bytes_dot(isa, source) or _widened(isa, source)
    raise ValueError(f"no kernel multiplies {types.name}")


def bf16_dot(isa: Isa) -> Dot | None:
    """Return the instruction for pairs of bf16, if the instruction set has it."""
    if isa.has("bf16"):
        return Dot(2, 1, "llvm.aarch64.neon.bfdot.v4f32.v8bf16", "<8 x bfloat>")
    if not isa.has("avx512bf16"):
        return None
    lanes = isa.bits // WORD.bits
    return Dot(2, 1, f"llvm.x86.avx512bf16.dpbf16ps.{isa.bits}", f"<{2 * lanes} x bfloat>")


def _half(types: Types, isa: Isa, sums: Sums) -> Half | None:
    """Return multiply-adds of f16, if they take fewer cycles than those of converted elements.

    All blocks of a sum are equally long.
    """
    if not isa.has("avx512fp16"):
        return None
    most = longest_block(types, sums)
    longest = next((steps for steps in range(most, 0, -1) if sums.terms % steps == 0), 0)
    if not longest:
        return None
    way, vectors = Half(1, longest=longest), Half(1).across
    tall, usual = way.tile_rows(vectors, isa), register_rows(vectors, isa)
    cost = half_cycles(tall, longest) / tall
    return way if cost < converted_cycles(usual, vectors) / usual else None


def _bytes_dot(isa: Isa, source: str) -> Dot | None:
    if isa.has("dotprod"):
        return _arm_bytes_dot(isa, source)
    operand = f"<{isa.bits // WORD.bits} x i32>"
    if source == "s8" and isa.has("avxvnniint8"):
        return Dot(4, 1, f"llvm.x86.avx2.vpdpbssd.{isa.bits}", f"<{isa.bits // 8} x i8>")
    if not (isa.has("avx512vnni") or isa.has("avxvnni")):
        return None
    way = Dot if source == "u8" else Shifted
    return way(4, 1, f"llvm.x86.avx512.vpdpbusd.{isa.bits}", operand)


def _arm_bytes_dot(isa: Isa, source: str) -> Dot:
    """Return usdot or sdot; without usdot, sdot of ``a - 128``."""
    mixed = source == "u8"
    name = "usdot" if mixed and isa.has("i8mm") else "sdot"
    way = Shifted if mixed and name == "sdot" else Dot
    return way(4, 1, f"llvm.aarch64.neon.{name}.v4i32.v16i8", "<16 x i8>")


def _widened(isa: Isa, source: str) -> Multiply:
    signed = source == "s8"
    if target().arch == X86:
        return Madd(4, 2, signed, _MADD[isa.bits])
    return Bytes(4, 4, signed)
