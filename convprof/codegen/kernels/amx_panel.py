"""Products of any number of rows with a panel of 32 columns, in the tile registers of AMX.

Small products in cache, one after the other, as in attention: all operands are filled up to whole
tile registers. So one configuration of the registers is enough for all kernels, and a kernel has
all rows of a panel: the next sums are loaded while the stores of the sums before are on their way.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from convprof.codegen.kernels.base import Kernel, Pointers
from convprof.codegen.kernels.cycles import CALL_CYCLES
from convprof.codegen.kernels.tile_registers import (
    GROUP_BYTES,
    GROUPS,
    ROW_BYTES,
    SIDE,
    STEP_CYCLES,
    SUMS,
    TILE_ROWS,
    A,
    B,
    Configure,
    TileInstructions,
    TileProduct,
)
from convprof.codegen.writer import Writer, counted
from convprof.integers import ceil_div

if TYPE_CHECKING:
    from convprof.dtypes import DType, Types

PANEL_BYTES = SIDE * GROUP_BYTES
"""Bytes from one group of ``b``, or one row of ``c``, to the next."""
STORE_CYCLES = 70
"""Storing 32 x 32 sums, with rows 128 bytes apart, and starting the next ones: 45 to 100 cycles."""
LOAD_CYCLES = 200
"""Loading 32 x 32 sums before they are added to."""


@dataclass(frozen=True)
class TilePanel(Kernel):
    """``void tile(T *a, T *b, U *c)``: ``c (rows, 32)`` is ``a (rows, k)`` times ``b (k, 32)``.

    ``b`` is ``(k / group, 32, group)``. Of 16 ``columns``, the other 16 are not touched.
    """

    pointers: ClassVar[Pointers] = (("%a", "source"), ("%b", "weights"), ("%c", "accumulator"))

    product: TileProduct
    rows: int
    """Whole tile registers."""
    columns: int
    """16 or 32."""
    steps: int
    """Steps of the sum, of 16 groups each."""
    a_row: int
    """Elements from one row of ``a`` to the next."""
    accumulate: bool = False
    """Whether the sums begin with ``c``; else with zero."""

    @property
    def setup(self) -> Kernel:
        """The shapes of the tile registers: all of them whole."""
        return whole_registers(self.types, self.lanes)

    @property
    def _computes_in(self) -> DType:
        return self.types.accumulator

    @property
    def title(self) -> str:
        """``208x32 panel in tile registers``."""
        return f"{self.rows}x{self.columns} panel in tile registers"

    @property
    def fmas(self) -> int:
        """Vector multiply-adds in one execution."""
        groups = self.rows * ceil_div(self.columns, self.lanes) * self.steps * GROUPS
        return groups * self.product.k_group

    @property
    def cycles(self) -> float:
        """Estimate of the core cycles of one execution, operands in cache."""
        return CALL_CYCLES + panel_cycles(self.rows, self.steps, accumulate=self.accumulate)

    def declarations(self, w: Writer) -> str:
        """Return the intrinsics of tiles."""
        return super().declarations(w) + TileInstructions.declarations(self.product)

    def _code(self, w: Writer) -> str:
        """Write a loop over 32 rows each, then the rest of 16 rows."""
        whole, rest = divmod(self.rows, SIDE)
        if rest not in (0, TILE_ROWS) or self.columns not in (TILE_ROWS, SIDE):
            raise ValueError(f"{self.rows}x{self.columns} sums are not whole tile registers")

        def body(index: str, _: list[str]) -> list[str]:
            self._sums(w, index, SIDE // TILE_ROWS)
            return []

        counted(w, whole, body)
        if rest:
            self._sums(w, str(whole), 1)
        return f"entry:\n{w.taken()}\n"

    def _sums(self, w: Writer, index: str, down: int) -> None:
        """Write the sums of one or two tiles of rows, after ``index`` times 32 rows."""
        tiles = TileInstructions(w, self.product)
        a = _moved(w, "%a", index, SIDE * self._a_bytes)
        c = _moved(w, "%c", index, SIDE * PANEL_BYTES)
        cells = list(itertools.product(range(down), range(self.columns // TILE_ROWS)))
        places = {
            SUMS + 2 * i + j: tiles.at(c, TILE_ROWS * i * PANEL_BYTES + ROW_BYTES * j)
            for i, j in cells
        }
        for register, place in places.items():
            if self.accumulate:
                tiles.load(register, place, PANEL_BYTES)
            else:
                tiles.zero(register)

        def step(turn: str, _: list[str]) -> list[str]:
            b = _moved(w, "%b", turn, GROUPS * PANEL_BYTES)
            self._step(tiles, _moved(w, a, turn, ROW_BYTES), b, cells)
            return []

        counted(w, self.steps, step)
        for register, place in places.items():
            tiles.store(register, place, PANEL_BYTES)

    def _step(self, tiles: TileInstructions, a: str, b: str, cells: list[tuple[int, int]]) -> None:
        """Write the loads and products of a step."""
        loaded = set()
        for i, j in cells:
            for register, pointer, start, distance in (
                (A + i, a, TILE_ROWS * i * self._a_bytes, self._a_bytes),
                (B + j, b, ROW_BYTES * j, PANEL_BYTES),
            ):
                if register not in loaded:
                    tiles.load(register, tiles.at(pointer, start), distance)
                    loaded.add(register)
            tiles.multiply(SUMS + 2 * i + j, A + i, B + j)

    @property
    def _a_bytes(self) -> int:
        return self.a_row * self.types.source.bytes


def whole_registers(types: Types, lanes: int) -> Configure:
    """Return the kernel that configures all tile registers with 16 rows of 64 bytes."""
    return Configure(types, lanes, (TILE_ROWS, TILE_ROWS), SIDE, GROUPS)


def panel_cycles(rows: int, steps: int, *, accumulate: bool) -> float:
    """Estimate the core cycles of a panel: steps from L1 or L2, stores, and loads of sums."""
    ends = STORE_CYCLES + LOAD_CYCLES * accumulate
    return rows / SIDE * (steps * STEP_CYCLES + ends)


def _moved(w: Writer, pointer: str, index: str, distance: int) -> str:
    """Write ``pointer`` advanced by ``index`` times a number of bytes."""
    if index == "0":
        return pointer
    return w.add(f"getelementptr i8, ptr {pointer}, i64 {w.add(f'mul i64 {index}, {distance}')}")
