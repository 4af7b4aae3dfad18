"""Register-tile kernels for AMX: the sums of 32 rows by 32 columns stay in four tile registers.

    sums[i, j]  +=  a[i] * b[j]      i, j = 0, 1: two tiles of rows of a, two of columns of b

A tile register has up to 16 rows of 64 bytes. A step of the sum loads four tiles and multiplies
them with each other: 16 groups of ``k``, each group 4 bytes, two bf16 or four bytes (Intel SDM,
TDPBF16PS, TDPBUSD). Tile registers have a shape, which a configuration sets; the kernel that
configures is a tile of the list as any other (``Kernel.setup``). At the edges of a matrix the
configuration has fewer rows and columns, so that loads and stores touch the matrix only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels import requantise
from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.elements import Elements
from convprof.codegen.kernels.ends import end
from convprof.codegen.kernels.epilogue import POINTERS
from convprof.codegen.kernels.split import PAIRS
from convprof.codegen.target import target
from convprof.integers import ceil_div
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.codegen.isa import Isa
    from convprof.codegen.writer import Writer
    from convprof.dtypes import DType, Types

TILE_ROWS = 16
"""Rows of a tile register."""
ROW_BYTES = 64
GROUP_BYTES = 4
"""Bytes of a group of ``k``, and of a sum."""
GROUPS = ROW_BYTES // GROUP_BYTES
"""Groups of ``k`` in a tile of ``a`` (along a row) and of ``b`` (a row each); columns of a tile."""
SIDE = 2 * TILE_ROWS
"""Rows and columns of the sums of a kernel."""
LINE_BYTES = 64
_SUMS, _A, _B = 0, 4, 6
"""The first tile registers of the sums (2 x 2), of ``a`` (2) and of ``b`` (2)."""


@dataclass(frozen=True)
class TileProduct:
    """The instruction that multiplies two tiles of some types."""

    instruction: str
    k_group: int
    """Elements of a sum in a group of 4 bytes."""
    feature: str
    """What the CPU needs, in LLVM's spelling."""

    def steps(self, k: int) -> tuple[int, int]:
        """Return the steps of a sum of ``k`` elements, and the groups of each step.

        As few equal steps as possible; zeros fill ``k`` up if they make more than ``k``.
        """
        groups = ceil_div(k, self.k_group)
        steps = ceil_div(groups, GROUPS)
        return steps, ceil_div(groups, steps)


_PRODUCTS = {
    ("bf16", "bf16"): TileProduct("tdpbf16ps", 2, "amx-bf16"),
    ("f16", "f16"): TileProduct("tdpfp16ps", 2, "amx-fp16"),
    ("u8", "s8"): TileProduct("tdpbusd", 4, "amx-int8"),
    ("s8", "s8"): TileProduct("tdpbssd", 4, "amx-int8"),
}


def tile_product(types: Types, isa: Isa) -> TileProduct | None:
    """Return the tile instruction of an instruction set for some types; None without one."""
    product = _PRODUCTS.get((types.source.name, types.weights.name))
    if product is None or not isa.has_tiles or not target().has(product.feature):
        return None
    return product


def _parts(length: int) -> tuple[int, ...]:
    """Return the parts of up to 32 rows or columns in tile registers of 16."""
    return tuple(min(TILE_ROWS, length - start) for start in range(0, length, TILE_ROWS))


def shapes(registers: Sequence[tuple[int, int]]) -> bytes:
    """Return what LDTILECFG reads for the rows, and bytes of a row, of eight registers.

    64 bytes: palette 1, the bytes of rows in 16 bits, the rows (Intel SDM).
    """
    row_bytes = b"".join(size.to_bytes(2, "little") for _, size in registers)
    counts = bytes(rows for rows, _ in registers)
    return bytes([1]) + bytes(15) + row_bytes + bytes(16) + counts + bytes(8)


@dataclass(frozen=True)
class Configure(Kernel):
    """Set the shapes of the tile registers, which also sets them to zero."""

    pointers: ClassVar[Pointers] = ()

    rows: int
    columns: int
    depth: int
    """Groups of ``k`` in a step."""

    @property
    def teardown(self) -> Kernel:
        """Give the registers back, so that the system need not save them."""
        return Release(self.types, self.lanes)

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def declarations(self, w: Writer) -> str:  # noqa: ARG002
        """Return the intrinsic."""
        return "declare void @llvm.x86.ldtilecfg(ptr)\n"

    def bytes(self) -> bytes:
        """Return the 64 bytes of the configuration."""
        each = [(0, 0)] * 8
        for i, rows in enumerate(_parts(self.rows)):
            each[_A + i] = rows, GROUP_BYTES * self.depth
            for j, columns in enumerate(_parts(self.columns)):
                each[_SUMS + 2 * i + j] = rows, GROUP_BYTES * columns
                each[_B + j] = self.depth, GROUP_BYTES * columns
        return shapes(each)

    def _code(self, w: Writer) -> str:
        numbers = ", ".join(f"i8 {byte}" for byte in self.bytes())
        w.constants += f"@tile_shapes = private constant [64 x i8] [{numbers}], align 64\n"
        return "  call void @llvm.x86.ldtilecfg(ptr @tile_shapes)\n"


@dataclass(frozen=True)
class Release(Kernel):
    """Give the tile registers back."""

    pointers: ClassVar[Pointers] = ()

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    def declarations(self, w: Writer) -> str:  # noqa: ARG002
        """Return the intrinsic."""
        return "declare void @llvm.x86.tilerelease()\n"

    def _code(self, w: Writer) -> str:  # noqa: ARG002
        return "  call void @llvm.x86.tilerelease()\n"


@dataclass(frozen=True)
class AmxTile(Kernel):
    """One kernel, of up to 32 rows by 32 columns. Offsets and lengths in elements.

    ``%sums`` are 32 x 32 numbers of the accumulator's type: the sums of the blocks of ``k`` before,
    and the place where a result is rounded or finished. ``%d`` is prefetched.
    """

    product: TileProduct
    rows: int
    columns: int
    steps: int
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

    @property
    def parameters(self) -> Pointers:
        """Those of what may follow the sums, and the sums."""
        followed = requantise.POINTERS if self.types.requantises else POINTERS
        return (*followed, ("%sums", "accumulator"))

    @property
    def setup(self) -> Kernel:
        """The shapes of the tile registers."""
        return Configure(self.types, self.lanes, self.rows, self.columns, self.depth)

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        groups = self.rows * len(_parts(self.columns)) * self.steps * self.depth
        return groups * self.product.k_group * len(PAIRS[self.pieces])

    @property
    def title(self) -> str:
        """``32x32 tile in tile registers``."""
        return f"{self.rows}x{self.columns} tile in tile registers"

    @property
    def is_direct(self) -> bool:
        """Whether the tile registers are stored in ``c`` itself."""
        return self.types.result == self.types.accumulator and not self.epilogue

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of tiles, of the rounding and of the stores."""
        return (
            super().declarations(w)
            + f"""
declare void @llvm.x86.tilezero(i8 immarg)
declare void @llvm.x86.tileloadd64(i8 immarg, ptr, i64)
declare void @llvm.x86.tilestored64(i8 immarg, ptr, i64)
declare void @llvm.x86.{self.product.instruction}(i8 immarg, i8 immarg, i8 immarg)
"""
        )

    def _code(self, w: Writer) -> str:
        return _AmxCode(self, w).text()


class _AmxCode:
    """The text of one kernel."""

    def __init__(self, tile: AmxTile, w: Writer) -> None:
        self.tile, self.w = tile, w
        self.c = Elements(w, tile.types.result, tile.types.accumulator)
        self.heights, self.widths = _parts(tile.rows), _parts(tile.columns)
        self.size = tile.types.source.bytes

    def text(self) -> str:
        """Return a loop over the steps between the sums before and after."""
        tile = self.tile
        self._begin()
        head = self.w.taken()
        self._step()
        step = self.w.taken()
        a_step = tile.depth * GROUP_BYTES
        b_step = tile.depth * tile.b_row * self.size
        d_step = tile.fetch_lines * LINE_BYTES
        return f"""entry:
{head}
  br label %step
step:
  %t = phi i64 [ 0, %entry ], [ %t_next, %step ]
  %a_now = phi ptr [ %a, %entry ], [ %a_next, %step ]
  %b_now = phi ptr [ %b, %entry ], [ %b_next, %step ]
  %d_now = phi ptr [ %d, %entry ], [ %d_next, %step ]
  %c_now = phi ptr [ %c_ahead, %entry ], [ %c_next, %step ]
{step}
  %a_next = getelementptr i8, ptr %a_now, i64 {a_step}
  %b_next = getelementptr i8, ptr %b_now, i64 {b_step}
  %d_next = getelementptr i8, ptr %d_now, i64 {d_step}
  %c_next = getelementptr i8, ptr %c_now, i64 {self._rows_ahead * self._c_row_bytes}
  %t_next = add i64 %t, 1
  %t_more = icmp ult i64 %t_next, {tile.steps}
  br i1 %t_more, label %step, label %done
done:
{self._end()}"""

    @property
    def _c_row_bytes(self) -> int:
        return self.tile.c_row * self.tile.types.result.bytes

    @property
    def _rows_ahead(self) -> int:
        """Rows of the next tile of ``c`` that each step prefetches."""
        return ceil_div(self.tile.rows, self.tile.steps) if self.tile.last else 0

    def _call(self, name: str, *operands: str | int) -> None:
        texts = (each if isinstance(each, str) else f"i8 {each}" for each in operands)
        self.w.lines.append(f"  call void @llvm.x86.{name}({', '.join(texts)})")

    def _move(self, name: str, register: int, place: str, row_bytes: int) -> None:
        self._call(name, register, f"ptr {place}", f"i64 {row_bytes}")

    def _at(self, pointer: str, offset: int) -> str:
        return self.w.add(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer

    def _sums(self, name: str, pointer: str, row_bytes: int) -> None:
        """Write the loads or stores of the sums."""
        for i in range(len(self.heights)):
            for j in range(len(self.widths)):
                place = self._at(pointer, TILE_ROWS * i * row_bytes + ROW_BYTES * j)
                self._move(name, _SUMS + 2 * i + j, place, row_bytes)

    def _begin(self) -> None:
        ahead = self.tile.rows * self._c_row_bytes
        self.w.lines.append(f"  %c_ahead = getelementptr i8, ptr %c, i64 {ahead}")
        if not self.tile.first:
            self._sums("tileloadd64", "%sums", GROUP_BYTES * SIDE)
            return
        for i in range(len(self.heights)):
            for j in range(len(self.widths)):
                self._call("tilezero", _SUMS + 2 * i + j)

    def _step(self) -> None:
        """Write the loads and products of a step, and after each product some prefetches.

        Many prefetches in a row would wait for each other, and the loads for them.
        """
        tile, lines, across = self.tile, self._lines_ahead(), len(self.widths)
        each = list(itertools.product(PAIRS[tile.pieces], range(len(self.heights)), range(across)))
        loaded: dict[int, int] = {}
        for number, ((p, q), i, j) in enumerate(each):
            if loaded.get(_A + i) != p:
                offset = TILE_ROWS * i * tile.a_row + p * tile.a_piece
                self._load(_A + i, self._at("%a_now", offset * self.size), tile.a_row)
                loaded[_A + i] = p
            if loaded.get(_B + j) != q:
                place = self._at("%b_now", ROW_BYTES * j + q * tile.b_piece * self.size)
                self._load(_B + j, place, tile.b_row)
                loaded[_B + j] = q
            self._call(tile.product.instruction, _SUMS + 2 * i + j, _A + i, _B + j)
            part = slice(len(lines) * number // len(each), len(lines) * (number + 1) // len(each))
            for pointer, offset in lines[part]:
                self.w.prefetch(self._at(pointer, offset), level=2)

    def _load(self, register: int, place: str, row: int) -> None:
        self._move("tileloadd64", register, place, row * self.size)

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
            self._sums("tilestored64", "%c", self._c_row_bytes)
            return f"{self.w.taken()}\n"
        self._sums("tilestored64", "%sums", GROUP_BYTES * SIDE)
        stores = self.w.taken()
        return f"{stores}\n{self._finish()}" if tile.last else f"{stores}\n"

    def _finish(self) -> str:
        tile, w = self.tile, self.w
        finish = end(w, tile.epilogue, tile.types)
        masks = [None if n == w.lanes else w.mask(n) for n in self.widths]
        biases = [finish.bias(w.lanes * j, mask) for j, mask in enumerate(masks)]
        head = w.taken()
        for j, mask in enumerate(masks):
            total = w.load(w.at("%sum_row", w.lanes * j))
            total = finish.apply(total, biases[j], ("%residual_row", w.lanes * j), mask)
            self.c.store(total, self.c.at("%c_row", w.lanes * j), mask)
        return f"""{head}
  br label %rows
rows:
  br label %row
row:
  %r = phi i64 [ 0, %rows ], [ %r_next, %row ]
  %sum_row = phi ptr [ %sums, %rows ], [ %sum_next, %row ]
  %c_row = phi ptr [ %c, %rows ], [ %c_row_next, %row ]
  %residual_row = phi ptr [ %residual, %rows ], [ %residual_next, %row ]
{w.taken()}
  %sum_next = getelementptr i8, ptr %sum_row, i64 {GROUP_BYTES * SIDE}
  %c_row_next = getelementptr i8, ptr %c_row, i64 {self._c_row_bytes}
  %residual_next = getelementptr i8, ptr %residual_row, i64 {self._c_row_bytes}
  %r_next = add i64 %r, 1
  %r_more = icmp ult i64 %r_next, {tile.rows}
  br i1 %r_more, label %row, label %finished
finished:
"""
