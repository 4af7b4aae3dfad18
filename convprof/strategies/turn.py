"""A stage that transposes matrices through vector registers, for what has another order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.simd import isa as isas
from convprof.simd.tiles import TileList, kernel, runner_address
from convprof.simd.transpose import TransposeTile
from convprof.strategies.plan import Native, Plan, Stage

if TYPE_CHECKING:
    from convprof.strategies.base import Setting

ROWS, COLUMNS = 128, 64
"""Of a tile: its lines of the target, 512 bytes long in f32, and of the source stay in L1."""


def turn_stage(
    phase: str, source: str, target: str, shape: tuple[int, int, int], setting: Setting
) -> Stage:
    """Return the stage that transposes each of ``n`` matrices: ``shape (n, rows, columns)``."""
    n, rows, columns = shape
    isa = isas.find(setting.isa)
    tiles = TileList(setting.dtype)
    matrices = np.arange(n) * rows * columns
    for i in range(0, rows, ROWS):
        for j in range(0, columns, COLUMNS):
            tile = TransposeTile(
                dtype=setting.dtype,
                lanes=isa.lanes(setting.itemsize),
                rows=min(ROWS, rows - i),
                columns=min(COLUMNS, columns - j),
                source_row=columns,
                target_row=rows,
            )
            begin, to = matrices + i * columns + j, matrices + j * rows + i
            made = [kernel(tile, isa)]
            tiles.add_each(made, 0, 0, begin[:, None], to[:, None], tasks=True)
    dims = tiles.dims()
    buffers = (source, source, source, target)
    return Stage(phase, Native(runner_address(len(buffers)), tiles), int(dims[0]), buffers, dims)


def count_tables(plan: Plan) -> None:
    """Set the plan's ``table_words`` to the size of all tables that its stages hold."""
    held = (step.dims for step in plan.steps if isinstance(step, Stage))
    plan.table_words = sum(dims.size for dims in held if isinstance(dims, np.ndarray))
