"""Register-tile kernels for AMX: the sums of 32 rows by 32 columns stay in four tile registers.

    sums[i, j]  +=  a[i] * b[j]      i, j = 0, 1: two tiles of rows of a, two of columns of b

A step of the sum loads four tiles and multiplies them with each other: 16 groups of ``k``, each
group 4 bytes, two bf16 or four bytes (Intel SDM, TDPBF16PS, TDPBUSD). The kernel that sets the
shapes of the registers is a tile of the list as any other (``Kernel.setup``). At the edges of a
matrix the shapes have fewer rows and columns, so that loads and stores touch the matrix only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.kernels import requantise
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.cycles import CALL_CYCLES
from convprof.codegen.kernels.elements import Elements
from convprof.codegen.kernels.ends import end
from convprof.codegen.kernels.epilogue import POINTERS
from convprof.codegen.kernels.segment_loops import Moved, SegmentLoops
from convprof.codegen.kernels.split import PAIRS
from convprof.codegen.kernels.tile_registers import (
    GROUP_BYTES,
    ROW_BYTES,
    SIDE,
    STEP_CYCLES,
    SUMS,
    TILE_ROWS,
    A,
    B,
    Configure,
    Rows,
    TileInstructions,
    TileProduct,
    parts,
)
from convprof.integers import ceil_div
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType

    Move = Callable[[int, str, int], None]
    """A load or a store of a tile register: the register, the place, the bytes of a row."""


@dataclass(frozen=True)
class AmxTile(Kernel):
    """One kernel, of up to 32 rows by 32 columns. Offsets and lengths in elements.

    ``%sums`` are 32 x 32 numbers of the accumulator's type: the sums of the blocks of ``k`` before,
    and the place where a result is rounded or finished. ``%d`` is prefetched.
    """

    product: TileProduct
    rows: tuple[Rows, ...]
    """One or two tiles of rows."""
    columns: int
    steps: int
    """Steps of the sum in a segment."""
    depth: int
    """Groups of ``k`` in a step."""
    a_row: int
    """Elements from one row of ``a`` to the next."""
    b_row: int
    """Elements from one group of ``b`` to the next: the columns of a panel times the group."""
    c_row: int
    first: bool = True
    """Whether the sums begin with zero; else with ``%sums``."""
    last: bool = True
    """Whether the sums are the result; else they are stored in ``%sums``."""
    fetch_lines: int = 0
    """Lines of ``%d`` that each step prefetches into L2."""
    epilogue: Epilogue = NO_EPILOGUE
    pieces: int = 1
    """Pieces of which each number is the sum: a step multiplies ``PAIRS`` of them."""
    a_piece: int = 0
    """Elements from one piece of ``a`` to the next."""
    b_piece: int = 0
    segments: tuple[tuple[int, int], ...] = ((0, 0),)
    """Where each run of the reduction starts: in elements of ``a``, and in groups of ``b``."""
    fetch_c: bool = True
    """Whether the rows of ``c`` after these are prefetched."""
    sums_on_stack: bool = False
    """Whether ``%sums`` is memory of the kernel itself, not its last pointer."""

    @property
    def parameters(self) -> Pointers:
        """The pointers of the epilogue or of requantisation, then ``%sums``."""
        followed = requantise.POINTERS if self.types.requantises else POINTERS
        return followed if self.sums_on_stack else (*followed, ("%sums", "accumulator"))

    @property
    def height(self) -> int:
        """Rows of all tiles."""
        return sum(part.height for part in self.rows)

    @property
    def setup(self) -> Kernel:
        """The shapes of the tile registers."""
        heights = tuple(part.height for part in self.rows)
        return Configure(self.types, self.lanes, heights, self.columns, self.depth)

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def _all_steps(self) -> int:
        """Steps of all segments and of all pairs of pieces."""
        return self.steps * len(self.segments) * len(PAIRS[self.pieces])

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        groups = self.height * len(parts(self.columns)) * self._all_steps * self.depth
        return groups * self.product.k_group

    @property
    def cycles(self) -> float:
        """Estimate of the core cycles: a step takes as long for any number of pixels."""
        return self._all_steps * STEP_CYCLES + CALL_CYCLES

    @property
    def title(self) -> str:
        """``32x32 tile in tile registers``."""
        return f"{self.height}x{self.columns} tile in tile registers"

    @property
    def is_direct(self) -> bool:
        """Whether the tile registers are stored in ``c`` itself."""
        return self.types.result == self.types.accumulator and not self.epilogue

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of tiles, of the rounding and of the stores."""
        return super().declarations(w) + TileInstructions.declarations(self.product)

    def _code(self, w: Writer) -> str:
        return _AmxCode(self, w).text()


class _AmxCode:
    """The text of one kernel."""

    def __init__(self, tile: AmxTile, w: Writer) -> None:
        self.tile, self.w = tile, w
        self.tiles = TileInstructions(w, tile.product)
        self.c = Elements(w, tile.types.result, tile.types.accumulator)
        self.widths = parts(tile.columns)
        self.cells = list(itertools.product(range(len(tile.rows)), range(len(self.widths))))
        self.size = tile.types.source.bytes

    def text(self) -> str:
        """Return a loop over the steps of each segment between the sums before and after."""
        tile = self.tile
        self._begin()
        head = self.w.taken()
        if not tile.segments:  # deep in the padding of a convolution
            return f"entry:\n{head}\n  br label %done\ndone:\n{self._end()}"
        self._step()
        step = self.w.taken()
        a = Moved("a", tile.depth * GROUP_BYTES)
        b = Moved("b", tile.depth * tile.b_row * self.size)
        others = (
            Moved("d", tile.fetch_lines * LINE_BYTES, first="%d"),
            Moved("c", self._rows_ahead * self._c_row_bytes, first="%c_ahead"),
        )
        segments = [
            (first * self.size, row * tile.b_row * self.size) for first, row in tile.segments
        ]
        loops = SegmentLoops(segments, (a, b), others, tile.steps)
        return loops.text(self.w, head, step, self._end(), ("", ""))

    @property
    def _c_row_bytes(self) -> int:
        return self.tile.c_row * self.tile.types.result.bytes

    @property
    def _rows_ahead(self) -> int:
        """Rows of the next tile of ``c`` that each step prefetches."""
        tile = self.tile
        steps = tile.steps * len(tile.segments)
        return ceil_div(tile.height, steps) if tile.last and tile.fetch_c else 0

    def _sums(self, move: Move, pointer: str, places: Sequence[int], row_bytes: int) -> None:
        """Write the loads or stores of the sums; ``places``: the bytes before each tile of rows."""
        for i, j in self.cells:
            place = self.tiles.at(pointer, places[i] + ROW_BYTES * j)
            move(SUMS + 2 * i + j, place, row_bytes)

    def _kept(self, move: Move) -> None:
        """Write the loads or stores of sums that are not the result."""
        row_bytes = GROUP_BYTES * SIDE
        self._sums(move, "%sums", (0, TILE_ROWS * row_bytes), row_bytes)

    def _begin(self) -> None:
        tile = self.tile
        if tile.sums_on_stack:
            self.w.lines.append(f"  %sums = alloca [{SIDE * SIDE} x i32], align {LINE_BYTES}")
        ahead = tile.height * self._c_row_bytes
        self.w.lines.append(f"  %c_ahead = getelementptr i8, ptr %c, i64 {ahead}")
        if not tile.first:
            self._kept(self.tiles.load)
            return
        for i, j in self.cells:
            self.tiles.zero(SUMS + 2 * i + j)

    def _step(self) -> None:
        """Write the loads and products of a step, and after each product some prefetches.

        Many prefetches in a row would wait for each other, and the loads for them.
        """
        tile, lines = self.tile, self._lines_ahead()
        each = list(itertools.product(PAIRS[tile.pieces], self.cells))
        loaded: dict[int, int] = {}
        for number, ((p, q), (i, j)) in enumerate(each):
            if loaded.get(A + i) != p:
                offset = tile.rows[i].a + p * tile.a_piece
                self._load(A + i, self.tiles.at("%a_now", offset * self.size), tile.a_row)
                loaded[A + i] = p
            if loaded.get(B + j) != q:
                place = self.tiles.at("%b_now", ROW_BYTES * j + q * tile.b_piece * self.size)
                self._load(B + j, place, tile.b_row)
                loaded[B + j] = q
            self.tiles.multiply(SUMS + 2 * i + j, A + i, B + j)
            part = slice(len(lines) * number // len(each), len(lines) * (number + 1) // len(each))
            for pointer, offset in lines[part]:
                self.w.prefetch(self.tiles.at(pointer, offset), level=2)

    def _load(self, register: int, place: str, row: int) -> None:
        self.tiles.load(register, place, row * self.size)

    def _lines_ahead(self) -> list[tuple[str, int]]:
        """Return the lines that a step prefetches: of ``d``, and of the next tile of ``c``."""
        row_bytes = self.tile.columns * self.tile.types.result.bytes
        lines = [("%d_now", LINE_BYTES * line) for line in range(self.tile.fetch_lines)]
        return lines + [
            ("%c_now", row * self._c_row_bytes + start)
            for row in range(self._rows_ahead)
            for start in range(0, row_bytes, LINE_BYTES)
        ]

    def _end(self) -> str:
        """Return the stores of the sums, and the loop that finishes a row of them at a time."""
        tile = self.tile
        if tile.last and tile.is_direct:
            places = [part.c * tile.types.result.bytes for part in tile.rows]
            self._sums(self.tiles.store, "%c", places, self._c_row_bytes)
            return f"{self.w.taken()}\n"
        self._kept(self.tiles.store)
        stores = self.w.taken()
        return f"{stores}\n{self._finish()}" if tile.last else f"{stores}\n"

    def _finish(self) -> str:
        """Return a loop for each tile of rows, which finishes a row of sums at a time."""
        tile, w = self.tile, self.w
        finish = end(w, tile.epilogue, tile.types)
        masks = [w.mask(n) for n in self.widths]
        biases = [finish.bias(w.lanes * j, mask) for j, mask in enumerate(masks)]
        loops = []
        for i, part in enumerate(tile.rows):
            first = part.c * tile.types.result.bytes
            starts = {
                "sum": self.tiles.at("%sums", TILE_ROWS * i * GROUP_BYTES * SIDE),
                "c": self.tiles.at("%c", first),
                "residual": self.tiles.at("%residual", first) if tile.epilogue.add else "%c",
            }
            head = w.taken()
            for j, mask in enumerate(masks):
                total = w.load(w.at(f"%sum{i}", w.lanes * j))
                total = finish.apply(total, biases[j], (f"%residual{i}", w.lanes * j), mask)
                self.c.store(total, self.c.at(f"%c{i}", w.lanes * j), mask)
            loops.append(f"{head}\n{self._row_loop(i, starts, w.taken())}")
        return "".join(loops)

    def _row_loop(self, i: int, starts: dict[str, str], body: str) -> str:
        """Return the loop over the rows of the ``i``-th tile of rows."""
        distances = dict.fromkeys(starts, self._c_row_bytes) | {"sum": GROUP_BYTES * SIDE}
        phis = "\n".join(
            f"  %{name}{i} = phi ptr [ {start}, %rows{i} ], [ %{name}{i}_next, %row{i} ]"
            for name, start in starts.items()
        )
        nexts = "\n".join(
            f"  %{name}{i}_next = getelementptr i8, ptr %{name}{i}, i64 {distance}"
            for name, distance in distances.items()
        )
        return f"""  br label %rows{i}
rows{i}:
  br label %row{i}
row{i}:
  %r{i} = phi i64 [ 0, %rows{i} ], [ %r{i}_next, %row{i} ]
{phis}
{body}
{nexts}
  %r{i}_next = add i64 %r{i}, 1
  %r{i}_more = icmp ult i64 %r{i}_next, {self.tile.rows[i].height}
  br i1 %r{i}_more, label %row{i}, label %finished{i}
finished{i}:
"""
