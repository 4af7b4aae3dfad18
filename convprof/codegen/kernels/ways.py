"""The fastest way of an instruction set to multiply elements of some types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.codegen.architecture import X86
from convprof.codegen.kernels.dot_products import PAIR, Dot, Matrix, Shifted
from convprof.codegen.kernels.elements import WORD
from convprof.codegen.kernels.half import half
from convprof.codegen.kernels.multiply import FMA, Multiply
from convprof.codegen.kernels.widening import Bytes, Convert, Madd, MaddWords, Pairs, Words
from convprof.codegen.target import target

if TYPE_CHECKING:
    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.f16_blocks import Sums
    from convprof.dtypes import Types

_MADD = {
    128: "llvm.x86.sse2.pmadd.wd",
    256: "llvm.x86.avx2.pmadd.wd",
    512: "llvm.x86.avx512.pmaddw.d.512",
}
"""The intrinsics of vpmaddwd, by bits of a vector."""
DEEP = 1 << 30
"""Elements of a sum, where their number does not matter."""


def multiply(
    types: Types, isa: Isa, *, rows: int = PAIR, depth: int = DEEP, sums: Sums | None = None
) -> Multiply:
    """Return the fastest way of an instruction set; ValueError for types without one.

    ``sums`` of f16 may be rounded to f16, block by block, as their number and length allow. None:
    all sums are in the accumulator's type.
    ``rows`` of ``a`` use the same ``b``, and ``depth`` elements of a sum are neighbours. Where half
    of an instruction for matrices would compute nothing, a dot product is as fast, and its sums are
    in order.
    """
    source, weights = types.source.name, types.weights.name
    if types.uniform is not None and types.uniform.has_fma:
        return FMA
    matrix = _matrix(isa, source)
    if matrix and (rows < matrix.rows or 2 * depth <= matrix.k_group):
        matrix = None
    if (source, weights) == ("bf16", "bf16"):
        return matrix or bf16_dot(isa) or Pairs(2, 2)
    if (source, weights) == ("f16", "f16"):
        return (half(types, isa, sums) if sums else None) or Convert(1)
    if source in {"u8", "s8"} and weights == "s8":
        return matrix or bytes_dot(isa, source)
    if (source, weights) == ("s16", "s16"):
        return _vnni(isa, "vpdpwssd", 2) or _words(isa)
    raise ValueError(f"no kernel multiplies {types.name}")


def _matrix(isa: Isa, source: str) -> Matrix | None:
    """Return the instruction for two rows and two columns, if the instruction set has it."""
    if source == "bf16" and isa.has("bf16"):
        return Matrix(4, PAIR, "llvm.aarch64.neon.bfmmla", "<8 x bfloat>")
    if source in {"u8", "s8"} and isa.has("i8mm"):
        name = "usmmla" if source == "u8" else "smmla"
        return Matrix(8, PAIR, f"llvm.aarch64.neon.{name}.v4i32.v16i8", "<16 x i8>")
    return None


def bf16_dot(isa: Isa) -> Dot | None:
    """Return the instruction for pairs of bf16, if the instruction set has it."""
    if isa.has("bf16"):
        return Dot(2, 1, "llvm.aarch64.neon.bfdot.v4f32.v8bf16", "<8 x bfloat>")
    if not isa.has("avx512bf16"):
        return None
    lanes = isa.bits // WORD.bits
    return Dot(2, 1, f"llvm.x86.avx512bf16.dpbf16ps.{isa.bits}", f"<{2 * lanes} x bfloat>")


def bytes_dot(isa: Isa, source: str) -> Multiply:
    """Return the fastest way for groups of four bytes and s8, without instructions for matrices."""
    return _bytes_dot(isa, source) or _widened(isa, source)


def mixed_dot(isa: Isa) -> Dot | None:
    """Return the instruction for groups of u8 and s8; None without one for both as they are."""
    if isa.has("i8mm"):
        return Dot(4, 1, "llvm.aarch64.neon.usdot.v4i32.v16i8", "<16 x i8>")
    return _vnni(isa, "vpdpbusd", 4)


def _vnni(isa: Isa, instruction: str, k_group: int) -> Dot | None:
    """Return an instruction of AVX512-VNNI or AVX-VNNI, if the instruction set has one of them."""
    if not isa.has("avx512vnni") and not isa.has("avxvnni"):
        return None
    operand = f"<{isa.bits // WORD.bits} x i32>"
    return Dot(k_group, 1, f"llvm.x86.avx512.{instruction}.{isa.bits}", operand)


def _bytes_dot(isa: Isa, source: str) -> Dot | None:
    """Return the instruction for groups of bytes and s8, with shifted bytes if it needs them."""
    mixed = mixed_dot(isa)
    if isa.has("dotprod"):
        sdot = "llvm.aarch64.neon.sdot.v4i32.v16i8", "<16 x i8>"
        return Dot(4, 1, *sdot) if source == "s8" else mixed or Shifted(4, 1, *sdot)
    if source == "s8" and isa.has("avxvnniint8"):
        return Dot(4, 1, f"llvm.x86.avx2.vpdpbssd.{isa.bits}", f"<{isa.bits // 8} x i8>")
    if source == "u8" or mixed is None:
        return mixed
    return Shifted(4, 1, mixed.intrinsic, mixed.operand)


def _widened(isa: Isa, source: str) -> Multiply:
    signed = source == "s8"
    if target().arch == X86:
        return Madd(4, 2, _MADD[isa.bits], signed)
    return Bytes(4, 4, signed)


def _words(isa: Isa) -> Multiply:
    return MaddWords(2, 1, _MADD[isa.bits]) if target().arch == X86 else Words(1)
