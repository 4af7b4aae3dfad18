"""Stages of generated kernels: the tiles of a nest of loops, shared out to the threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convprof.simd import isa as isas
from convprof.simd.rows import Operand, RowsTile
from convprof.simd.tiles import TileList, kernel, runner_address
from convprof.strategies.operations.nest import Nest, parts
from convprof.strategies.plan import Native, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems.functions import Function
    from convprof.simd.rows import Join
    from convprof.simd.tiles import TileKernel
    from convprof.strategies.base import Setting
    from convprof.strategies.operations.nest import Offsets

LEAST, MOST = 1024, 16384
"""Elements of a tile: enough to hide the call, few enough that two threads share a small tensor."""
TASKS_PER_THREAD = 4


@dataclass(frozen=True)
class Made:
    """What kernels are generated for."""

    setting: Setting

    @property
    def isa(self) -> isas.Isa:
        """The instruction set."""
        return isas.find(self.setting.isa)

    @property
    def lanes(self) -> int:
        """Elements of a vector."""
        return self.isa.lanes(self.setting.itemsize)

    def elements(self, total: int) -> int:
        """Return how many elements of ``total`` a tile should have: whole vectors."""
        threads = self.setting.threads
        wanted = total // (TASKS_PER_THREAD * threads) if threads > 1 else total
        return max(LEAST, min(MOST, wanted)) // self.lanes * self.lanes

    def stage(self, phase: str, tiles: TileList, buffers: Sequence[str]) -> Stage:
        """Return the stage that runs the tiles, each a task unless the list says otherwise.

        Every thread takes the same share in each such stage, so that it finds in its cache what it
        wrote in the one before.
        """
        if not tiles.starts:
            tiles.starts = list(range(tiles.count))
        native = Native(runner_address(len(buffers)), tiles)
        dims = tiles.dims()
        return Stage(phase, native, int(dims[0]), tuple(buffers), dims, fixed=True)


def rows_stage(
    phase: str,
    step: Join | Function,
    nest: Nest,
    buffers: Sequence[str],
    made: Made,
    *,
    starts: Sequence[int] | None = None,
    constants: tuple[float, ...] = (),
) -> Stage:
    """Return the stage that does ``step`` to each element; the result is the last array.

    Along the result's innermost axis every array must be dense, or repeated. ``starts``: where
    each array begins in its buffer.
    """
    nest = nest.joined()
    *outer, inner = range(len(nest.sizes))
    length = nest.sizes[inner]
    elements = made.elements(int(np.prod(nest.sizes)))
    per_tile = max(1, elements // length)
    rows_axis = max(outer, key=lambda axis: (min(per_tile, nest.sizes[axis]), axis), default=None)
    rows = 1 if rows_axis is None else nest.sizes[rows_axis]
    apart = [0 if rows_axis is None else strides[rows_axis] for strides in nest.strides]

    def tile(rows: int, length: int) -> RowsTile:
        operands = zip(apart[:-1], nest.strides[:-1], strict=True)
        return RowsTile(
            dtype=made.setting.dtype,
            lanes=made.lanes,
            rows=rows,
            length=length,
            operands=tuple(Operand(row, bool(strides[inner])) for row, strides in operands),
            y_row=apart[-1],
            step=step,
            constants=constants,
            registers=made.isa.registers,
            fused=made.isa.fused,
        )

    rest = nest.offsets(axis for axis in outer if axis != rows_axis)
    begins = [first + begin for first, begin in zip(rest, starts or [0] * len(rest), strict=True)]
    blocks = [
        (i, j, tile(high, wide))
        for i, high in parts(rows, per_tile)
        for j, wide in parts(length, elements)
    ]
    tiles = TileList(made.setting.dtype)
    add_blocks(
        tiles,
        [kernel(block[2], made.isa) for block in blocks],
        begins,
        [
            np.array([i * row + j * strides[inner] for i, j, _ in blocks])
            for row, strides in zip(apart, nest.strides, strict=True)
        ],
    )
    return made.stage(phase, tiles, buffers)


def add_blocks(
    tiles: TileList,
    kernels: Sequence[TileKernel],
    begins: Sequence[Offsets],
    within: Sequence[Offsets],
) -> None:
    """Append the same blocks at each of many places.

    For each pointer: where each place begins, and where each block lies from there.
    """
    offsets = [begin[:, None] + block[None, :] for begin, block in zip(begins, within, strict=True)]
    tiles.add_each(kernels, *offsets)
