"""The code of a register tile: the sums are in vector registers from the first step to the last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from convprof.codegen.architecture import ARM
from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels import functions, partial_sums
from convprof.codegen.kernels.elements import Elements
from convprof.codegen.kernels.ends import end
from convprof.codegen.kernels.multiply import FMA
from convprof.codegen.kernels.segment_loops import Moved, SegmentLoops
from convprof.codegen.kernels.transpose import joined
from convprof.codegen.target import target
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from convprof.codegen.kernels.tile_form import TileForm
    from convprof.codegen.writer import Writer

STRAIGHT_STEPS = 32
"""Sums up to this long are written out. Longer code would not stay in the cache of decoded
instructions, and costs time to generate."""
PACK_AHEAD = 32
"""Rows to fetch ahead of packing: a read from beyond L2 takes as long as 20 of a usual tile."""
LONG = frozenset({"gelu", "gelu_tanh", "silu", "sigmoid", "tanh"})
"""Long functions: they are applied in a loop, after the sums are stored."""


class Place(NamedTuple):
    """Where a sum begins: a pointer, and an offset in elements of ``a`` or rows of ``b``."""

    pointer: str
    offset: int = 0
    is_fixed: bool = False
    """Whether all steps begin here: they are written out without a loop."""


class Code:
    """The text of one kernel."""

    def __init__(self, tile: TileForm, w: Writer) -> None:
        self.tile = tile
        self.w = w
        types = tile.types
        self.a, self.b = w.typed(types.source), w.typed(types.weights)
        self.c = Elements(w, types.result, types.accumulator)
        self.cells = [(i, v) for i in range(len(tile.rows)) for v in range(tile.vectors)]
        self.correction = tile.multiply.correction(w)
        rows = len(tile.rows)
        more = range(rows, rows + (1 if self.correction else -rows % tile.multiply.rows))
        self.summed = self.cells + [(i, v) for i in more for v in range(tile.vectors)]
        """The cells, and a row of what is subtracted from each of them, or that fills a pair."""
        self.unroll = tile.unroll
        late = tile.epilogue.function in LONG and types.result == types.accumulator
        self.late = tile.epilogue.function if late else None
        """A function that is applied to the stored sums, row by row, in a loop."""
        at_once = replace(tile.epilogue, function=None) if self.late else tile.epilogue
        self.finish = end(self.w, at_once, types)

    def text(self) -> str:
        """Return the kernel in the form that suits the length of its sums."""
        tile = self.tile
        if tile.multiply != FMA and tile.pack_row:
            raise ValueError("only rows of one element per step are packed in passing")
        if tile.accumulate and tile.types.result != tile.types.accumulator:
            raise ValueError("a result that is rounded cannot be added to")
        if not tile.fmas:
            return self.nothing()
        steps = tile.run * len(tile.segments)
        short = steps <= STRAIGHT_STEPS and not tile.most_steps and not tile.fourth_row
        return self.straight() if short else self.loops()

    def straight(self) -> str:
        """Return the kernel without a loop: no branch to mispredict, and tiles overlap."""
        head = self._fetch_c()
        sums = ["zeroinitializer"] * len(self.summed)
        for a, b in self.tile.segments:
            starts = Place("%a", a, is_fixed=True), Place("%b", b, is_fixed=True)
            sums = self._steps(sums, self.tile.run, *starts)
        if self.tile.ends:
            # Else its operands would be loaded while the sums need every register.
            sums, _ = self._fenced(sums, Place("%a"))
        body = self._stores(sums)
        return f"{head}\n{body}\n"

    def nothing(self) -> str:
        """Return the kernel of an empty sum: it writes zeros, or adds nothing."""
        idle = self.tile.accumulate and not self.tile.epilogue
        body = "" if idle else self._stores(["zeroinitializer"] * len(self.summed))
        return f"{body}\n"

    def loops(self) -> str:
        """Return the kernel: a loop over segments, and inside a loop over the steps of a run."""
        tile, unroll = self.tile, self.unroll
        first = ["zeroinitializer"] * len(self.summed)
        head = self._fetch_c()
        carried = [f"%acc{i}_{v}" for i, v in self.summed]
        sums = self._steps(carried, unroll, Place("%a_now"), Place("%b_now"))
        step = self.w.taken()
        tail = self._stores(sums)
        begun = [f"%seg{i}_{v}" for i, v in self.summed]
        phis = (
            self._phis("seg", first, "entry", sums, "segment_end"),
            self._phis("acc", begun, "segment", sums, "step"),
        )
        a = Moved("a", unroll * tile.a_step, self.a.element)
        b = Moved("b", unroll * tile.b_row, self.b.element)
        fourth = "%d" if tile.fourth_row else "null"
        others = (Moved("d", unroll * tile.fourth_row, self.b.element, fourth),)
        segments = [(a_start, row * tile.b_row) for a_start, row in tile.segments]
        loops = SegmentLoops(segments, (a, b), others, tile.run, unroll)
        return loops.text(self.w, head, step, tail, phis)

    def _phis(self, name: str, first: list[str], before: str, last: list[str], after: str) -> str:
        """Return the accumulators as values carried around a loop."""
        return "\n".join(
            f"  %{name}{i}_{v} = phi {self.w.vector} "
            f"[ {first[k]}, %{before} ], [ {last[k]}, %{after} ]"
            for k, (i, v) in enumerate(self.summed)
        )

    def _steps(self, sums: list[str], count: int, a: Place, b: Place) -> list[str]:
        """Write ``count`` steps from an element of ``a`` and a row of ``b``; return the sums."""
        tile, w = self.tile, self.w
        sums = list(sums)
        for u in range(count):
            if a.is_fixed:
                sums, a = self._fenced(sums, a)
            across, together = self._row_of_b(b, u), tile.multiply.rows
            for i in range(0, len(tile.rows), together):
                operands = self._groups_of_a(a.pointer, i, a.offset + u * tile.a_step)
                for part, operand in enumerate(operands):
                    for v in range(tile.vectors):
                        k = (i + part % together) * tile.vectors + v
                        sums[k] = tile.multiply.add(w, operand, across[v][part], sums[k])
            if self.correction:
                for v, k in enumerate(range(len(self.cells), len(self.summed))):
                    sums[k] = tile.multiply.add(w, self.correction, across[v][0], sums[k])
            self._fetch_fourth(u, count)
        return sums

    def _fenced(self, sums: list[str], a: Place) -> tuple[list[str], Place]:
        """Prevent loads of several steps at once, which would be kept, and spilled; return both.

        On x86 most products are loads too, and stay in order. On AArch64 the products of a step
        must be tied to the fence, or all of them would follow all loads. So must ``a``: a broadcast
        there takes no offset, and LLVM 20 would compute the addresses of many rows ahead.
        """
        if target().arch == ARM and "zeroinitializer" not in sums:
            sums, pointer = self.w.fenced(sums, a.pointer)
            return sums, a._replace(pointer=pointer)
        self.w.fence()
        return sums, a

    def _groups_of_a(self, pointer: str, row: int, offset: int) -> list[str]:
        """Return the operands of the group of a row of ``a``, each in all lanes of a vector.

        Or of the groups of a pair of rows; the last row is a pair with itself if it is alone.
        """
        multiply, group = self.tile.multiply, self.tile.multiply.in_groups
        starts = [offset + start for start in self.tile.rows[row : row + multiply.rows]]
        if group is not None:
            read = self.a.typed(group, self.a.align)
            places = [self.a.at(pointer, start) for start in starts]
            if multiply.rows == 1:
                return multiply.row(self.w, read.broadcast(places[0]))
            return multiply.row(self.w, read.gathered(places[0], places[-1]))
        operands: list[str] = []
        for one in range(multiply.k_group):
            element = self.a.broadcast(self.a.at(pointer, starts[0] + one))
            operands += multiply.row(self.w, element)
        return operands

    def _row_of_b(self, b: Place, u: int) -> list[list[str]]:
        """Return the ``u``-th step of ``b``: a group of vectors for each vector of columns.

        Prefetch and pack as the tile says.
        """
        tile, group = self.tile, self.tile.multiply.in_groups
        if not tile.padded and (group is not None or tile.k_group > 1):
            return self._group_of_rows(b, u)
        read = self.b if group is None else self.b.typed(group, self.b.align)
        of_columns = tile.k_group if group is None else 1  # vectors that hold a vector of columns
        width = tile.lanes * tile.k_group // of_columns
        offsets = range(0, tile.vectors * tile.lanes * tile.k_group, width)
        start = (b.offset + u) * tile.b_row
        pointer, at = ("%d_now", u * tile.pack_row) if tile.pack_row else (b.pointer, start)
        row = [
            read.load(self.b.at(pointer, at + v), self._b_mask(k)) for k, v in enumerate(offsets)
        ]
        if tile.pack_row:
            for v, value in zip(offsets, row, strict=True):
                read.store(value, self.b.at(b.pointer, start + v))
            self._fetch("%d_now", (u + PACK_AHEAD) * tile.pack_row, level=2)
        if tile.fetch_rows:
            self._fetch(b.pointer, (b.offset + u + tile.fetch_rows) * tile.b_row, level=1)
        groups = range(0, len(row), of_columns)
        return [tile.multiply.columns(self.w, row[v : v + of_columns]) for v in groups]

    def _group_of_rows(self, b: Place, u: int) -> list[list[str]]:
        """Return the ``u``-th step of a ``b`` whose rows are apart: groups made in registers."""
        tile, count, group = self.tile, self.tile.k_group, self.tile.multiply.in_groups
        row = tile.b_row // count
        across = []
        for v in range(tile.vectors):
            start, mask = (b.offset + u) * tile.b_row + v * tile.lanes, self._mask(v)
            places = [self.b.at(b.pointer, start + i * row) for i in range(count)]
            rows = [self.b.load(place, mask) for place in places]
            if group is None:
                across.append(rows)
                continue
            vector, words = joined(self.b, rows), self.b.typed(group).vector
            kind = f"<{tile.lanes * count} x {self.b.element}>"
            if kind != words:
                vector = self.w.add(f"bitcast {kind} {vector} to {words}")
            across.append(tile.multiply.columns(self.w, [vector]))
        return across

    def _fetch_fourth(self, u: int, count: int) -> None:
        """Prefetch the lines of the ``u``-th of an iteration's ``count`` steps.

        Several prefetches in a row would wait for each other, and the sums for them.
        """
        line = LINE_BYTES // self.b.size
        lines = ceil_div(count * self.tile.fetch_row, line)
        for k in range(lines * u // count, lines * (u + 1) // count):
            self.w.prefetch(self.b.at("%d_now", k * line), level=2)

    def _fetch(self, pointer: str, start: int, level: int) -> None:
        """Prefetch a row as wide as the tile, line by line."""
        line = LINE_BYTES // self.b.size
        elements = self.tile.vectors * self.tile.lanes * self.tile.k_group
        for offset in range(0, elements, line):
            self.w.prefetch(self.b.at(pointer, start + offset), level)

    def _fetch_c(self) -> str:
        """Prefetch the lines of result and residual, so that they are near when the sum ends.

        Into L2, which waits for three times as many lines at once as L1.
        """
        for i, v in self.cells if self.tile.writes_result else ():
            self.w.prefetch(self.c.at("%c", self._place(i, v)), level=2)
            self.finish.fetch(("%residual", self._place(i, v)), level=2)
        return self.w.taken()

    def _stores(self, sums: list[str]) -> str:
        tile = self.tile
        biases = [self.finish.bias(v * tile.lanes, self._mask(v)) for v in range(tile.vectors)]
        for total, cell in zip(self._corrected(self._apart(sums)), self.cells, strict=True):
            self._store(total, cell, biases[cell[1]])
        stored = self.w.taken()
        if self.late is None:
            return stored
        columns = [(v * tile.lanes, self._mask(v)) for v in range(tile.vectors)]
        return stored + functions.over_rows(self.w, self.late, tile.c_rows, columns)

    def _store(self, total: str, cell: tuple[int, int], bias: str | None) -> None:
        """Write the end of a vector of sums, and the stores."""
        i, v = cell
        total = partial_sums.add(self.w, self.tile.partial, total, (i, v * self.tile.lanes))
        if not self.tile.writes_result:
            return
        place = self._place(i, v)
        where, mask = self.c.at("%c", place), self._mask(v)
        if self.tile.accumulate:
            total = self.w.plus(total, self.w.load(where, mask))
        total = self.finish.apply(total, bias, ("%residual", place), mask)
        self.c.store(total, where, mask)

    def _apart(self, sums: list[str]) -> list[str]:
        """Write a vector of sums for each cell, where instructions sum for several rows at once."""
        rows, across = self.tile.multiply.rows, self.tile.vectors
        apart = list(sums)
        for first in range(0, len(sums), rows * across):
            for k in range(first, first + across):
                each = slice(k, k + rows * across, across)
                apart[each] = self.tile.multiply.apart(self.w, sums[each])
        return apart

    def _corrected(self, sums: list[str]) -> list[str]:
        """Write the sums without the products that each has too many."""
        if not self.correction:
            return sums[: len(self.cells)]
        extra = sums[len(self.cells) :]
        return [
            self.w.add(f"sub {self.w.vector} {total}, {extra[v]}")
            for total, (_, v) in zip(sums, self.cells, strict=False)
        ]

    def _place(self, i: int, v: int) -> int:
        return self.tile.c_rows[i] + v * self.tile.lanes

    def _mask(self, v: int) -> str | None:
        """Return the mask of the ``v``-th vector of a row; None if all its lanes exist."""
        return self.w.mask(self.tile.columns - v * self.tile.lanes)

    def _b_mask(self, v: int) -> str | None:
        padded = self.tile.padded and not self.tile.pack_row
        return None if padded else self._mask(v)
