"""Elements in memory that have another type than the vectors that a kernel computes with.

A vector is converted where it is read and where it is written: bf16 and f16 to and from f32, bytes
to 32 bits. Where both types are the same, the code is plain loads and stores.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.codegen.target import target
from convprof.dtypes import DTYPES, DType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convprof.codegen.writer import Writer

WORD, HALF_WORD = DTYPES["s32"], DType("", "", "i16", 2, "", 0.0, 0.0)
"""The whole numbers that hold the bits of an f32, and of a short float."""
HALF = replace(DTYPES["f16"], llvm="half")
"""An f16 that is computed with, not only converted."""
DOUBLE_WORD = DType("", "", "i64", 8, "", 0.0, 0.0)
"""The whole number that holds the bits of eight bytes."""
_BF16_FEATURES = {16: "avx512bf16", 4: "bf16"}
"""The feature that rounds f32 to bf16, by elements of f32 in a vector: AVX-512, AArch64."""


class Elements:
    """Elements of one type behind pointers, for a writer of vectors of another type.

    Elements of equal size are moved as they are: f32 that a kernel makes of sums in s32 itself.
    """

    def __init__(self, w: Writer, dtype: DType, computes_in: DType) -> None:
        self.w, self.dtype, self.computes_in = w, dtype, computes_in
        self._same = dtype.bytes == computes_in.bytes
        self._memory = w if self._same else w.typed(dtype)
        self._widened = None if self._same else _WIDENED[dtype.name]

    def at(self, pointer: str, offset: int | str) -> str:
        """Return ``pointer`` advanced by a number of elements."""
        return self._memory.at(pointer, offset)

    def load(self, pointer: str, mask: str | None = None) -> str:
        """Return the vector at ``pointer``, converted; lanes outside the mask are 0."""
        value = self._memory.load(pointer, mask)
        return value if self._widened is None else self._widened(self.w, value)

    def broadcast(self, pointer: str) -> str:
        """Return a vector of the element at ``pointer``, converted."""
        value = self._memory.broadcast(pointer)
        return value if self._widened is None else self._widened(self.w, value)

    def store(self, value: str, pointer: str, mask: str | None = None) -> None:
        """Store a vector, rounded to the type of the elements."""
        short = value if self._same else rounded(self.w, value, self.dtype)
        if short != value and mask is not None and mask.count("i1 1") == 1:
            # LLVM 22 makes a store of 4 bytes of a shortened vector of which one lane is stored.
            memory = self._memory
            one = self.w.add(f"extractelement {memory.vector} {short}, i64 0")
            place = f"ptr {pointer}, align {memory.align}"
            self.w.lines.append(f"  store {memory.element} {one}, {place}")
            return
        self._memory.store(short, pointer, mask)


def rounded(w: Writer, value: str, dtype: DType) -> str:
    """Write a vector of sums as short elements have it in memory; other types are left alone."""
    return _ROUNDED[dtype.name](w, value) if dtype.name in _ROUNDED else value


def widened(w: Writer, value: str, dtype: DType) -> str:
    """Write a vector of short elements, as memory has them, in the type of the writer."""
    return _WIDENED[dtype.name](w, value)


def paired(w: Writer, first: str, second: str, dtype: DType) -> str:
    """Write two vectors of sums, rounded, as one vector of words: a pair of elements in each."""
    words = w.typed(WORD).vector
    if dtype.name == "bf16" and _has_bf16(w):
        # Rounded end to end, then in pairs: vcvtne2ps2bf16 and vpermw, or bfcvtn, bfcvtn2 and zip1.
        lanes = range(2 * w.lanes)
        count, v, short = f"{len(lanes)} x", w.vector, f"<{len(lanes)} x bfloat>"
        all_ = w.add(f"shufflevector {v} {first}, {v} {second}, <{count} i32> {_picks(lanes)}")
        bits = w.add(f"fptrunc <{count} {w.element}> {all_} to {short}")
        order = _picks(i // 2 + i % 2 * w.lanes for i in lanes)
        pairs = w.add(f"shufflevector {short} {bits}, {short} poison, <{count} i32> {order}")
        return cast(w, pairs, short, words)
    low, high = (
        w.add(f"zext {w.typed(HALF_WORD).vector} {rounded(w, each, dtype)} to {words}")
        for each in (first, second)
    )
    return w.add(f"or {words} {low}, {w.add(f'shl {words} {high}, splat (i32 16)')}")


def paired_powers(w: Writer, first: str, second: str, dtype: DType) -> str:
    """Write two vectors of numbers from 0 to 1 as ``paired`` does; bf16 in fewer operations.

    Half of a step is rounded up: an addition, and no test for what does not occur. A NaN whose
    lower bits are 0, as computed ones have, stays NaN.
    """
    if dtype.name != "bf16":
        return paired(w, first, second, dtype)
    words = w.typed(WORD).vector
    low, high = (
        w.add(f"add {words} {cast(w, each, w.vector, words)}, splat (i32 {1 << 15})")
        for each in (first, second)
    )
    upper = w.add(f"and {words} {high}, splat (i32 {-1 << 16})")
    return w.add(f"or {words} {w.add(f'lshr {words} {low}, splat (i32 16)')}, {upper}")


def _picks(lanes: Iterable[int]) -> str:
    return f"<{', '.join(f'i32 {lane}' for lane in lanes)}>"


def _has_bf16(w: Writer) -> bool:
    """Whether the CPU rounds a whole vector to bf16 in one instruction: vcvtneps2bf16, bfcvtn."""
    feature = _BF16_FEATURES.get(w.lanes)
    return feature is not None and target().has(feature)


def cast(w: Writer, value: str, before: str, after: str) -> str:
    """Write the same bits as another type."""
    return w.add(f"bitcast {before} {value} to {after}")


def _widen_bf16(w: Writer, value: str) -> str:
    """Write f32: a bf16 is the upper half of one."""
    words = w.typed(WORD).vector
    wide = w.add(f"zext {w.typed(HALF_WORD).vector} {value} to {words}")
    return cast(w, w.add(f"shl {words} {wide}, splat (i32 16)"), words, w.vector)


def widen_f16(w: Writer, value: str) -> str:
    """Write f32 from the bits of f16."""
    halves = f"<{w.lanes} x half>"
    short = cast(w, value, w.typed(HALF_WORD).vector, halves)
    return w.add(f"fpext {halves} {short} to {w.vector}")


def _extended(how: str, to_float: str) -> Callable[[Writer, str], str]:
    def extend(w: Writer, value: str) -> str:
        if w.element == "float":
            return w.add(f"{to_float} {w.typed(DTYPES['s8']).vector} {value} to {w.vector}")
        return w.add(f"{how} {w.typed(DTYPES['s8']).vector} {value} to {w.vector}")

    return extend


_WIDENED: dict[str, Callable[[Writer, str], str]] = {
    "bf16": _widen_bf16,
    "f16": widen_f16,
    "u8": _extended("zext", "uitofp"),
    "s8": _extended("sext", "sitofp"),
}


def _round_bf16(w: Writer, total: str) -> str:
    """Write the upper halves, rounded to nearest, ties to even; of NaN without rounding."""
    if _has_bf16(w):
        short = f"<{w.lanes} x bfloat>"
        value = w.add(f"fptrunc {w.vector} {total} to {short}")
        return cast(w, value, short, w.typed(HALF_WORD).vector)
    words = w.typed(WORD).vector
    bits = cast(w, total, w.vector, words)
    upper = w.add(f"lshr {words} {bits}, splat (i32 16)")
    last = w.add(f"and {words} {upper}, splat (i32 1)")
    half = w.add(f"add {words} {last}, splat (i32 32767)")
    sum_ = w.add(f"add {words} {bits}, {half}")
    nearest = w.add(f"lshr {words} {sum_}, splat (i32 16)")
    nan = w.add(f"or {words} {upper}, splat (i32 64)")
    is_nan = w.add(f"fcmp uno {w.vector} {total}, {total}")
    either = w.typed(WORD).select(is_nan, nan, nearest)
    return w.add(f"trunc {words} {either} to {w.typed(HALF_WORD).vector}")


def _round_f16(w: Writer, total: str) -> str:
    halves = f"<{w.lanes} x half>"
    short = w.add(f"fptrunc {w.vector} {total} to {halves}")
    return cast(w, short, halves, w.typed(HALF_WORD).vector)


def _shorten(w: Writer, total: str) -> str:
    """Write the lowest bytes."""
    return w.add(f"trunc {w.vector} {total} to {w.typed(DTYPES['s8']).vector}")


_ROUNDED: dict[str, Callable[[Writer, str], str]] = {
    "bf16": _round_bf16,
    "f16": _round_f16,
    "u8": _shorten,
    "s8": _shorten,
}
