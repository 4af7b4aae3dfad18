"""Transpose a matrix through vector registers, a square of ``lanes`` by ``lanes`` at a time.

A square of 16 takes 16 loads, 64 shuffles of two vectors and 16 stores. The shuffles are four
exchanges, for distances d of 1, 2, 4 and 8: vectors at a distance of d rows swap elements at a
distance of d columns (Eklundh 1972).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType

POINTERS: Pointers = (("%a", "source"), ("%b", "weights"), ("%c", "source"), ("%d", "result"))
"""The first two pointers are not used: the kernel shares a list with kernels of three operands."""

ROWS_PER_ITERATION = 16
"""Rows of the target per iteration of the inner loop: one square, or several narrow squares."""


@dataclass(frozen=True)
class TransposeTile(Kernel):
    """One kernel: ``void tile(T *, T *, T *source, T *target)``; the first two are not used.

    ``target[j, i] = source[i, j]``, or the sum of several sources, for ``rows`` rows ``i`` and
    ``columns`` columns ``j``.
    """

    pointers: ClassVar[Pointers] = POINTERS

    rows: int
    columns: int
    source_row: int
    """Elements from one row of the source to the next."""
    target_row: int
    """Elements from one row of the target to the next."""
    parts: int = 1
    """The number of source matrices that are added up."""
    apart: int = 0
    """Elements from one source matrix to the next."""

    @property
    def _computes_in(self) -> DType:
        return self.types.source if self.parts == 1 else super()._computes_in

    def _code(self, w: Writer) -> str:
        """Write a loop over bands of ``lanes`` rows, then the rest."""
        whole, rest = divmod(self.rows, self.lanes)
        down = ""
        if whole:
            band = self._band(w, "in_bands", ("%c_band", "%d_band"), self.lanes)
            down = f"""  br label %bands
bands:
  %band = phi i64 [ 0, %entry ], [ %band_next, %in_bands_done ]
  %c_band = phi ptr [ %c, %entry ], [ %c_band_next, %in_bands_done ]
  %d_band = phi ptr [ %d, %entry ], [ %d_band_next, %in_bands_done ]
{band}
  %c_band_next = getelementptr {w.element}, ptr %c_band, i64 {self.lanes * self.source_row}
  %d_band_next = getelementptr {w.element}, ptr %d_band, i64 {self.lanes}
  %band_next = add i64 %band, 1
  %band_more = icmp ult i64 %band_next, {whole}
  br i1 %band_more, label %bands, label %last
last:
"""
        if rest:
            source = w.at("%c", whole * self.lanes * self.source_row)
            target = w.at("%d", whole * self.lanes)
            down += f"{w.taken()}\n{self._band(w, 'in_rest', (source, target), rest)}\n"
        return f"""entry:
{down}"""

    def _band(self, w: Writer, label: str, start: tuple[str, str], rows: int) -> str:
        """Return the transposition of some rows, at most ``lanes``; it ends in a block of its own.

        A loop over a few squares at a time, then the remaining squares; the last square is masked.
        """
        squares = max(1, ROWS_PER_ITERATION // self.lanes)
        across = squares * self.lanes
        whole = self.columns // across
        loop = f"  br label %{label}\n{label}:\n"
        if whole:
            c, d, i = (f"%{label}_{name}" for name in "cdi")
            for square in range(squares):
                self._square(w, (c, d), square * self.lanes, self.lanes, rows)
            loop = f"""  br label %{label}_enter
{label}_enter:
  br label %{label}
{label}:
  {i} = phi i64 [ 0, %{label}_enter ], [ {i}_next, %{label} ]
  {c} = phi ptr [ {start[0]}, %{label}_enter ], [ {c}_next, %{label} ]
  {d} = phi ptr [ {start[1]}, %{label}_enter ], [ {d}_next, %{label} ]
{w.taken()}
  {c}_next = getelementptr {w.element}, ptr {c}, i64 {across}
  {d}_next = getelementptr {w.element}, ptr {d}, i64 {across * self.target_row}
  {i}_next = add i64 {i}, 1
  {i}_more = icmp ult i64 {i}_next, {whole}
  br i1 {i}_more, label %{label}, label %{label}_rest
{label}_rest:
"""
        for first in range(whole * across, self.columns, self.lanes):
            self._square(w, start, first, min(self.lanes, self.columns - first), rows)
        return f"{loop}{w.taken()}\n  br label %{label}_done\n{label}_done:"

    def _square(
        self, w: Writer, start: tuple[str, str], first: int, columns: int, rows: int
    ) -> None:
        """Write the transposition of a square, or of the part of it that exists.

        The target's lines are prefetched first, so that they arrive while the source is read.
        """
        source, target = start
        places = [w.at(target, (first + j) * self.target_row) for j in range(columns)]
        for place in places:
            w.prefetch(place, write=True)
        mask = w.mask(columns)
        square = [
            self._row(w, source, i * self.source_row + first, mask) if i < rows else "poison"
            for i in range(self.lanes)
        ]
        mask = w.mask(rows)
        for column, place in zip(transposed(w, square)[:columns], places, strict=True):
            w.store(column, place, mask)

    def _row(self, w: Writer, source: str, start: int, mask: str | None) -> str:
        """Return a vector of the source, the sum of all parts."""
        total = w.load(w.at(source, start), mask)
        for part in range(1, self.parts):
            other = w.load(w.at(source, start + part * self.apart), mask)
            total = w.add(f"fadd {w.vector} {total}, {other}")
        return total


def transposed(w: Writer, rows: list[str]) -> list[str]:
    """Write the exchanges that transpose a square of vectors; return its columns."""
    square, everything = list(rows), range(w.lanes)
    distance = 1
    while distance < w.lanes:
        low = [x if not x & distance else w.lanes + x - distance for x in everything]
        high = [x + distance if not x & distance else w.lanes + x for x in everything]
        for i in everything:
            if not i & distance:
                pair = square[i], square[i + distance]
                square[i], square[i + distance] = w.mixed(*pair, low), w.mixed(*pair, high)
        distance *= 2
    return square


# Copy some columns of a matrix into a panel, scaled if necessary.


@dataclass(frozen=True)
class CopyPanel(Kernel):
    """``void tile(T *a, T *b, U *c)``: ``c (rows, width)`` is ``a (rows, columns)`` times a number.

    If ``c`` has more columns than ``a``, these become 0. With a ``k_group``, ``c`` is ``(rows /
    k_group, width, k_group)``: rows of a group are interleaved, and zeros fill the last group.
    """

    pointers: ClassVar[Pointers] = (("%a", "source"), ("%b", "weights"), ("%c", "result"))

    rows: int
    columns: int
    width: int
    """Elements from one row of ``c`` to the next: whole vectors, or the columns only."""
    row: int
    """Elements from one row of ``a`` to the next."""
    scale: float = 1.0
    k_group: int = 1
    zero_groups: int = 0
    """Groups of zeros after the last row, for sums in steps of several groups."""
    flip: int = 0
    """The bits of each element that are inverted: 128 makes u8 of s8, 128 more."""

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def _code(self, w: Writer) -> str:
        """Write a loop over groups of rows, then the last group if it has fewer rows."""
        whole, rest = divmod(self.rows, self.k_group)
        loop = self._loop(w, whole) if whole else "  br label %done\n"
        if rest:
            source = self._memory(w, "source").at("%a", whole * self.k_group * self.row)
            self._group(w, source, self._target(w, whole), rest)
        for group in range(whole + bool(rest), whole + bool(rest) + self.zero_groups):
            self._group(w, "%a", self._target(w, group), 0)
        return f"""entry:
{loop}done:
{w.taken()}"""

    def _target(self, w: Writer, group: int) -> str:
        return self._memory(w, "result").at("%c", group * self.k_group * self.width)

    def _group(self, w: Writer, source: str, target: str, rows: int) -> None:
        """Write a group with ``rows`` rows of the source; the other rows are 0."""
        a, c = self._memory(w, "source"), self._memory(w, "result")
        for first in range(0, self.width, self.lanes):
            group = ["zeroinitializer"] * self.k_group
            for i in range(rows):
                start = a.at(source, i * self.row + first)
                row = a.load(start, w.mask(self.columns - first))
                group[i] = self._changed(w, row)
            for v, vector in enumerate(interleaved(w, group)):
                place = first * self.k_group + v * self.lanes
                mask = w.mask(self.width * self.k_group - place)
                c.store(vector, c.at(target, place), mask)

    def _changed(self, w: Writer, row: str) -> str:
        if self.flip:
            return w.add(f"xor {w.vector} {row}, {w.splat(self.flip)}")
        return scaled(w, row, self.scale)

    def _loop(self, w: Writer, groups: int) -> str:
        self._group(w, "%from", "%to", self.k_group)
        return f"""  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %i_next, %loop ]
  %from = phi ptr [ %a, %entry ], [ %from_next, %loop ]
  %to = phi ptr [ %c, %entry ], [ %to_next, %loop ]
{w.taken()}
  %from_next = getelementptr {self.types.source.llvm}, ptr %from, i64 {self.k_group * self.row}
  %to_next = getelementptr {self.types.result.llvm}, ptr %to, i64 {self.k_group * self.width}
  %i_next = add i64 %i, 1
  %more = icmp ult i64 %i_next, {groups}
  br i1 %more, label %loop, label %done
"""


def scaled(w: Writer, value: str, scale: float) -> str:
    """Write a vector times a number."""
    if scale == 1.0:
        return value
    return w.add(f"fmul {w.vector} {value}, {w.splat(w.rounded(scale))}")


# Interleave a few rows, or separate them: a transposition with one side narrower than a vector.
#
# An image of three channels has pixels of three elements. With squares, most of each register would
# be empty, and each pixel would need a store of its own. So shuffles make whole vectors of the rows
# from whole vectors of the pixels, or the reverse: 6 shuffles for 3 vectors of 16.

MOST = 4
"""Up to this number of rows, interleaving is faster than squares: ``count`` vectors need ``count *
(count - 1)`` shuffles."""


@dataclass(frozen=True)
class InterleaveTile(Kernel):
    """One kernel: ``void tile(T *, T *, T *source, T *target)``; the first two are not used.

    ``target[j * count + i] = source[i * apart + j]`` for ``count`` rows ``i`` and ``length``
    elements ``j``; with ``split`` the reverse, ``target[i * apart + j] = source[j * count + i]``.
    """

    pointers: ClassVar[Pointers] = POINTERS

    count: int
    length: int
    apart: int
    """Elements from one row to the next."""
    split: bool = False

    def _code(self, w: Writer) -> str:
        """Write a loop over whole vectors, then the rest."""
        whole, rest = divmod(self.length, self.lanes)
        apart, together = self.lanes, self.lanes * self.count
        steps = (together, apart) if self.split else (apart, together)
        loop, start = "", "done"
        if whole:
            self._vectors(w, "%c_now", "%d_now", self.lanes)
            start = "loop"
            loop = f"""loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %c_now = phi ptr [ %c, %entry ], [ %c_next, %loop ]
  %d_now = phi ptr [ %d, %entry ], [ %d_next, %loop ]
{w.taken()}
  %c_next = getelementptr {w.element}, ptr %c_now, i64 {steps[0]}
  %d_next = getelementptr {w.element}, ptr %d_now, i64 {steps[1]}
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {whole}
  br i1 %more, label %loop, label %done
"""
        if rest:
            self._vectors(w, w.at("%c", whole * steps[0]), w.at("%d", whole * steps[1]), rest)
        return f"""entry:
  br label %{start}
{loop}done:
{w.taken()}
"""

    def _vectors(self, w: Writer, source: str, target: str, alive: int) -> None:
        """Write ``alive`` elements of each row, at most ``lanes``."""
        rows = [(i * self.apart, alive) for i in range(self.count)]
        starts = range(0, alive * self.count, self.lanes)
        dense = [(at, min(self.lanes, alive * self.count - at)) for at in starts]
        read, written = (dense, rows) if self.split else (rows, dense)
        vectors = [w.load(w.at(source, at), w.mask(size)) for at, size in read]
        for v, (at, size) in enumerate(written):
            places = [self._place(v, lane) if lane < size else None for lane in range(self.lanes)]
            w.store(_picked(w, vectors, places), w.at(target, at), w.mask(size))

    def _place(self, v: int, lane: int) -> tuple[int, int]:
        """Return the vector and the lane of the source that an element of the target comes from."""
        if self.split:
            return divmod(lane * self.count + v, self.lanes)
        element, row = divmod(v * self.lanes + lane, self.count)
        return row, element


def interleaved(w: Writer, rows: list[str]) -> list[str]:
    """Return vectors with the first elements of all rows, then the second elements, and so on."""
    count = len(rows)
    if count == 1:
        return rows
    return [
        _picked(w, rows, [divmod(v * w.lanes + lane, count)[::-1] for lane in range(w.lanes)])
        for v in range(count)
    ]


def joined(w: Writer, rows: list[str]) -> str:
    """Return one vector: the first elements of all rows, then the second elements, and so on.

    The number of rows is a power of two.
    """
    lanes = w.lanes
    while len(rows) > 1:
        half, kind = len(rows) // 2, f"<{lanes} x {w.element}>"
        picks = ", ".join(f"i32 {i + j * lanes}" for i in range(lanes) for j in (0, 1))
        mask = f"<{2 * lanes} x i32> <{picks}>"
        pairs = zip(rows[:half], rows[half:], strict=True)
        rows = [
            w.add(f"shufflevector {kind} {one}, {kind} {other}, {mask}") for one, other in pairs
        ]
        lanes *= 2
    return rows[0]


def separated(w: Writer, vectors: list[str]) -> list[str]:
    """Return the rows from the vectors of ``interleaved``."""
    count = len(vectors)
    if count == 1:
        return vectors
    return [
        _picked(w, vectors, [divmod(lane * count + row, w.lanes) for lane in range(w.lanes)])
        for row in range(count)
    ]


def _picked(w: Writer, vectors: list[str], places: Sequence[tuple[int, int] | None]) -> str:
    """Return a vector of elements from any of ``given``; where there is no place, whatever is."""
    taken = "poison"
    for number, vector in enumerate(vectors):
        picks: list[int | None] = []
        for lane, place in enumerate(places):
            if place is None or place[0] > number:
                picks.append(None)
            else:
                picks.append(w.lanes + place[1] if place[0] == number else lane)
        taken = w.mixed(taken, vector, picks)
    return taken
