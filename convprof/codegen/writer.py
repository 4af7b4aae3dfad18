"""Write the LLVM IR of vector kernels, one instruction at a time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.dtypes import DType


class Writer:
    """Collects the lines of one function over vectors of one type."""

    def __init__(self, dtype: DType, lanes: int, *, fused: bool = True) -> None:
        """Without ``fused`` a multiply-add is two instructions, for a CPU that has no FMA."""
        self._fused = fused
        self.element, self.size = dtype.llvm, dtype.bytes
        self.align = self.size
        """The bytes that addresses of elements are multiples of."""
        self.lanes = lanes
        self.vector = f"<{lanes} x {self.element}>"
        self._floats = dtype.has_fma
        self.suffix = f"v{lanes}{'f' if self._floats else 'i'}{8 * self.size}"
        self.lines: list[str] = []
        self.constants = ""
        """Constants of the module, in front of its function."""
        self._names = itertools.count()

    def typed(self, dtype: DType, align: int | None = None, lanes: int | None = None) -> Writer:
        """Return a writer of vectors of another type to the same function.

        ``lanes``: elements of its vectors, if not as many as here.
        """
        other = Writer(dtype, lanes or self.lanes, fused=self._fused)
        other.align = align or dtype.bytes
        other.lines, other._names = self.lines, self._names
        return other

    def add(self, expression: str) -> str:
        """Append ``%n = expression`` and return the name."""
        name = f"%t{next(self._names)}"
        self.lines.append(f"  {name} = {expression}")
        return name

    def at(self, pointer: str, offset: int | str) -> str:
        """Return ``pointer`` advanced by a number of elements."""
        return self.add(f"getelementptr {self.element}, ptr {pointer}, i64 {offset}")

    def mask(self, alive: int) -> str | None:
        """Return the mask of a vector whose first ``alive`` lanes are used; None for all lanes."""
        if alive >= self.lanes:
            return None
        bits = ", ".join(f"i1 {int(lane < alive)}" for lane in range(self.lanes))
        return f"<{self.lanes} x i1> <{bits}>"

    def taken(self) -> str:
        """Return the lines written since the last call."""
        lines = "\n".join(self.lines)
        self.lines.clear()  # the same list stays the one of the other types' writers
        return lines

    def rounded(self, value: float) -> float:
        """Return the nearest number of the element type: LLVM accepts only such constants."""
        return float(np.float32(value)) if self.size == 4 else value  # noqa: PLR2004

    def mixed(self, a: str, b: str, picks: Sequence[int | None]) -> str:
        """Return a vector of elements ``picks`` of ``a`` followed by ``b``.

        None: any value.
        """
        mask = ", ".join("i32 poison" if pick is None else f"i32 {pick}" for pick in picks)
        v, lanes = self.vector, f"<{self.lanes} x i32>"
        return self.add(f"shufflevector {v} {a}, {v} {b}, {lanes} <{mask}>")

    def select(self, condition: str, a: str, b: str) -> str:
        """Return ``a`` where the condition holds, else ``b``, lane by lane."""
        v = self.vector
        return self.add(f"select <{self.lanes} x i1> {condition}, {v} {a}, {v} {b}")

    def larger(self, a: str, b: str) -> str:
        """Return the larger of ``a`` and ``b``, lane by lane; ``a`` where either is NaN."""
        greater = "fcmp ogt" if self._floats else "icmp sgt"
        return self.select(self.add(f"{greater} {self.vector} {b}, {a}"), b, a)

    def smaller(self, a: str, b: str) -> str:
        """Return the smaller of ``a`` and ``b``, lane by lane; ``a`` where either is NaN."""
        return self.select(self.add(f"fcmp ogt {self.vector} {a}, {b}"), b, a)

    def splat(self, value: float) -> str:
        """Return the constant vector of one value."""
        return f"splat ({self.element} {f'{value:.17e}' if self._floats else int(value)})"

    def vector_of(self, numbers: Sequence[float]) -> str:
        """Return the constant vector of some numbers, with zeros after them."""
        filled = [*numbers, *[0.0] * (self.lanes - len(numbers))]
        return f"<{', '.join(f'{self.element} {self.rounded(x):.17e}' for x in filled)}>"

    def broadcast(self, pointer: str) -> str:
        """Return a vector of the element at ``pointer``."""
        scalar = self.add(f"load {self.element}, ptr {pointer}, align {self.align}")
        one = self.add(f"insertelement {self.vector} poison, {self.element} {scalar}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.add(f"shufflevector {self.vector} {one}, {self.vector} poison, {zeros}")

    def gathered(self, *pointers: str) -> str:
        """Return a vector of the elements at some pointers, with a lane for each pointer."""
        kind, vector = f"<{len(pointers)} x {self.element}>", "poison"
        for lane, pointer in enumerate(pointers):
            one = self.add(f"load {self.element}, ptr {pointer}, align {self.align}")
            vector = self.add(f"insertelement {kind} {vector}, {self.element} {one}, i64 {lane}")
        return vector

    def load(self, pointer: str, mask: str | None = None) -> str:
        """Return the vector at ``pointer``; lanes outside the mask are 0 and not touched."""
        if mask is None:
            return self.add(f"load {self.vector}, ptr {pointer}, align {self.align}")
        return self.add(
            f"call {self.vector} @llvm.masked.load.{self.suffix}.p0"
            f"(ptr {pointer}, i32 {self.size}, {mask}, {self.vector} zeroinitializer)"
        )

    def store(self, value: str, pointer: str, mask: str | None = None) -> None:
        """Store a vector; lanes outside the mask are not touched."""
        if mask is None:
            self.lines.append(f"  store {self.vector} {value}, ptr {pointer}, align {self.align}")
            return
        self.lines.append(
            f"  call void @llvm.masked.store.{self.suffix}.p0"
            f"({self.vector} {value}, ptr {pointer}, i32 {self.size}, {mask})"
        )

    def plus(self, a: str, b: str) -> str:
        """Return ``a + b``."""
        return self.add(f"{'fadd' if self._floats else 'add'} {self.vector} {a}, {b}")

    def minus(self, a: str, b: str) -> str:
        """Return ``a - b``."""
        return self.add(f"{'fsub' if self._floats else 'sub'} {self.vector} {a}, {b}")

    def times(self, a: str, b: str) -> str:
        """Return ``a * b``."""
        return self.add(f"{'fmul' if self._floats else 'mul'} {self.vector} {a}, {b}")

    def fma(self, a: str, b: str, c: str) -> str:
        """Return ``a * b + c``; whole numbers are multiplied, then added."""
        v = self.vector
        if not self._floats:
            return self.add(f"add {v} {self.add(f'mul {v} {a}, {b}')}, {c}")
        if not self._fused:
            return self.add(f"fadd {v} {self.add(f'fmul {v} {a}, {b}')}, {c}")
        return self.add(f"call {v} @llvm.fma.{self.suffix}({v} {a}, {v} {b}, {v} {c})")

    def fence(self) -> None:
        """Prevent LLVM from merging loads before and after this point; adds no instruction."""
        self.lines.append('  call void asm sideeffect "", "~{memory}"()')

    def fenced(self, vectors: Sequence[str], pointer: str) -> tuple[list[str], str]:
        """Return the same vectors and pointer after a fence, on AArch64: vectors are in ``w``.

        What computes them stays before the fence, and what uses them comes after it.
        """
        kinds = [self.vector] * len(vectors) + ["ptr"]
        registers = ["=w"] * len(vectors) + ["=r"]
        constraints = ",".join([*registers, *map(str, range(len(kinds))), "~{memory}"])
        values = zip(kinds, [*vectors, pointer], strict=True)
        operands = ", ".join(f"{kind} {value}" for kind, value in values)
        record = f"{{ {', '.join(kinds)} }}"
        every = self.add(f'call {record} asm sideeffect "", "{constraints}"({operands})')
        *same, address = [
            self.add(f"extractvalue {record} {every}, {i}") for i in range(len(kinds))
        ]
        return same, address

    def prefetch(self, pointer: str, level: int = 1, *, write: bool = False) -> None:
        """Prefetch the line at ``pointer`` into the cache of a level, 1 or 2, to read or write."""
        near = 4 - level  # LLVM's scale is 3 for the first level to 0 for no cache
        kind = f"i32 {int(write)}, i32 {near}, i32 1"
        self.lines.append(f"  call void @llvm.prefetch.p0(ptr {pointer}, {kind})")

    def declarations(self) -> str:
        """Return the intrinsics that the functions above call."""
        v, mask = self.vector, f"<{self.lanes} x i1>"
        floats = f"""
declare {v} @llvm.fma.{self.suffix}({v}, {v}, {v})
declare {v} @llvm.fabs.{self.suffix}({v})"""
        return f"""{floats if self._floats else ""}
declare {v} @llvm.masked.load.{self.suffix}.p0(ptr, i32, {mask}, {v})
declare void @llvm.masked.store.{self.suffix}.p0({v}, ptr, i32, {mask})
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
"""


def over_channels(
    w: Writer,
    channels: int,
    body: Callable[[Writer, str, str | None], None],
    *,
    head: str = "",
) -> str:
    """Return the code that runs ``body`` once per vector of channels.

    ``body(writer, channel, mask)`` writes the work on one vector; the last vector is masked if the
    channels do not fill it. ``head`` is written before the loop.
    """
    whole, rest = divmod(channels, w.lanes)
    loop, start = "", "done"
    if whole:
        body(w, "%ch", None)
        lines = w.taken()
        start = "loop"
        loop = f"""loop:
  %ch = phi i64 [ 0, %entry ], [ %next, %loop ]
{lines}
  %next = add i64 %ch, {w.lanes}
  %more = icmp slt i64 %next, {whole * w.lanes}
  br i1 %more, label %loop, label %done
"""
    if rest:
        body(w, str(whole * w.lanes), w.mask(rest))
    tail = w.taken()
    return f"""entry:
{head}
  br label %{start}
{loop}done:
{tail}
"""


# Operations on the lanes of a vector: reduce, broadcast, mask.


def across_lanes(w: Writer, vector: str, join: Callable[[str, str], str]) -> str:
    """Write the reduction of all lanes of a vector; every lane of the result has its value."""
    distance = w.lanes // 2
    while distance:
        picks = ", ".join(f"i32 {lane ^ distance}" for lane in range(w.lanes))
        v = w.vector
        rotated = w.add(f"shufflevector {v} {vector}, {v} poison, <{w.lanes} x i32> <{picks}>")
        vector = join(vector, rotated)
        distance //= 2
    return vector


def alive(w: Writer, vector: str, mask: str | None, dead: str) -> str:
    """Write the vector with the lanes of ``dead`` outside the mask."""
    if mask is None:
        return vector
    return w.add(f"select {mask}, {w.vector} {vector}, {w.vector} {dead}")


def summed(w: Writer, sums: Sequence[str]) -> str:
    """Write the sum of all lanes of some vectors, in every lane."""
    total = sums[0]
    for other in sums[1:]:
        total = w.add(f"fadd {w.vector} {total}, {other}")
    return across_lanes(w, total, lambda a, b: w.add(f"fadd {w.vector} {a}, {b}"))


def first_lane(w: Writer, vector: str) -> str:
    """Write the first lane: then one division replaces 16 divisions of equal numbers."""
    return w.add(f"extractelement {w.vector} {vector}, i64 0")


def everywhere(w: Writer, number: str) -> str:
    """Write a vector of one number."""
    v, zeros = w.vector, f"<{w.lanes} x i32> zeroinitializer"
    one = w.add(f"insertelement {v} poison, {w.element} {number}, i64 0")
    return w.add(f"shufflevector {v} {one}, {v} poison, {zeros}")


# Loops in a writer: over a count, and over the vectors of a row.

UNROLL = 4
"""Vectors of a row per iteration: an addition takes four cycles, so four independent sums."""


def counted(
    w: Writer,
    count: int,
    body: Callable[[str, list[str]], list[str]],
    carried: Sequence[str] = (),
) -> list[str]:
    """Write a loop of ``count`` times ``body(index, vectors)``, which returns the next vectors.

    Return the vectors after the last iteration; ``carried`` are the vectors of the first iteration.
    """
    vectors = list(carried)
    if count <= 1:
        return body("0", vectors) if count else vectors
    mark = len(w.lines)  # no other loop of the function starts at this line
    index, following = f"%i{mark}", f"%i{mark}_next"
    w.lines += [f"  br label %before{mark}", f"before{mark}:", f"  br label %turn{mark}"]
    w.lines.append(f"turn{mark}:")
    names = [f"%v{mark}_{i}" for i in range(len(vectors))]
    place = len(w.lines)
    next_vectors = body(index, names)
    phis = [f"  {index} = phi i64 [ 0, %before{mark} ], [ {following}, %end{mark} ]"]
    phis += [
        f"  {name} = phi {w.vector} [ {first}, %before{mark} ], [ {last}, %end{mark} ]"
        for name, first, last in zip(names, vectors, next_vectors, strict=True)
    ]
    w.lines[place:place] = phis
    w.lines += [
        f"  br label %end{mark}",
        f"end{mark}:",
        f"  {following} = add i64 {index}, 1",
        f"  %more{mark} = icmp ult i64 {following}, {count}",
        f"  br i1 %more{mark}, label %turn{mark}, label %done{mark}",
        f"done{mark}:",
    ]
    return next_vectors


def sweep(
    w: Writer,
    length: int,
    body: Callable[[str, str | None, str], str],
    carried: Sequence[str] = (),
    across: int = UNROLL,
) -> list[str]:
    """Write ``body(offset, mask, vector)`` for every vector of a row of ``length`` elements.

    An iteration has one vector of the row for each of ``carried``, and the body returns the vector
    for the same position of the next iteration. Without ``carried``, an iteration has ``across``
    vectors, and the result of the body is not used. The last vector of the row is masked if the row
    does not fill it. Rows shorter than an iteration need no loop; their offsets are constants.
    """
    lanes, state = w.lanes, list(carried)
    across = len(state) or across
    whole, rest = divmod(length, lanes)
    turns = whole // across

    def at(place: int, offset: str, mask: str | None) -> None:
        next_vector = body(offset, mask, state[place] if carried else "")
        if carried:
            state[place] = next_vector

    def turn(index: str, vectors: list[str]) -> list[str]:
        state[:] = vectors
        start = w.add(f"mul i64 {index}, {across * lanes}")
        for place in range(across):
            at(place, w.add(f"add i64 {start}, {place * lanes}"), None)
        return list(state)

    state[:] = counted(w, turns, turn, state)
    for number in range(turns * across, whole):
        at(number % across, str(number * lanes), None)
    if rest:
        at(whole % across, str(whole * lanes), w.mask(rest))
    return state
