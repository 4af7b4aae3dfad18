"""A stage that transposes matrices through vector registers: another layout, another order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels import transpose
from convprof.codegen.kernels.transpose import InterleaveTile, TransposeTile
from convprof.codegen.threads import Program, Work, team
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import COMMON, F32, SHORT_FLOATS, of_one
from convprof.integers import ceil_div
from convprof.problems import LayoutConversion
from convprof.strategies.base import Setting
from convprof.strategies.plan import Buffer, Native, Packed, Plan, Stage, X, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]


ROWS, COLUMNS = 128, 64
"""Rows of a tile: its rows in source and target, 512 bytes long in f32, stay in L1."""
LONG = 2048
"""Elements of each row in a tile of few rows."""
TASKS_PER_THREAD = 4
"""Enough tasks for the threads to finish together although the tasks differ."""


def transpose_stage(
    phase: str, source: str, target: str, matrices: Buffer, setting: Setting
) -> Stage:
    """Return the stage that transposes each of ``n`` matrices ``(n, rows, columns)``."""
    tiles = _tiles(matrices, setting)
    buffers = (source, source, source, target)
    native = Native(runner_address(len(buffers)), tiles)
    return Stage(phase, native, tiles.count, buffers, tiles.dims())


def transposed(weights: Buffer, setting: Setting) -> Packed:
    """Return the packing that transposes each of ``n`` matrices ``(n, rows, columns)`` at once.

    The weights are contiguous.
    """
    n, rows, columns = weights.shape
    tiles = _tiles(weights, setting)
    dims = tiles.dims()

    def transpose_all(target: Array, source: Array) -> None:
        pointers = np.array([source.ctypes.data] * 3 + [target.ctypes.data], dtype=np.int64)
        address = runner_address(len(pointers))
        work = Work(address, 0, tiles.count, pointers.ctypes.data, dims.ctypes.data)
        team(setting.threads).run(Program([work], setting.threads))

    buffer = Buffer((n, columns, rows), weights.dtype)
    return Packed(buffer, transpose_all, into=True, tables=(dims,))


def _tiles(matrices: Buffer, setting: Setting) -> TileList:
    """Return the blocks of all matrices, each a task."""
    n, rows, columns = matrices.shape
    isa = isas.find(setting.isa)
    # squares of as many lanes as f32 has: 64 by 64 bytes would not fit the registers
    lanes = isa.lanes(max(matrices.dtype.bytes, F32.source.bytes))
    tall, wide = _cuts((n, rows, columns), lanes, setting.threads)
    blocks = [
        (_tile(len(i), len(j), matrices, lanes), i[0] * columns + j[0], j[0] * rows + i[0])
        for i, j in itertools.product(_parts(rows, tall), _parts(columns, wide))
    ]
    starts = np.arange(n)[:, None] * rows * columns
    begin, to = (np.array([block[pointer] for block in blocks]) for pointer in (1, 2))
    tiles = TileList()
    kernels = [kernel(tile, isa) for tile, _, _ in blocks]
    tiles.add_each(kernels, 0, 0, starts + begin, starts + to)
    tiles.starts = list(range(tiles.count))
    return tiles


def _tile(tall: int, wide: int, matrices: Buffer, lanes: int) -> TransposeTile | InterleaveTile:
    """Return the kernel that transposes a block; a narrow matrix is cut along its length only."""
    _, rows, columns = matrices.shape
    types = of_one(matrices.dtype)
    if rows <= transpose.MOST:
        return InterleaveTile(types, lanes, rows, wide, columns)
    if columns <= transpose.MOST:
        return InterleaveTile(types, lanes, columns, tall, rows, split=True)
    return TransposeTile(types, lanes, tall, wide, source_row=columns, target_row=rows)


def _cuts(shape: tuple[int, int, int], lanes: int, threads: int) -> tuple[int, int]:
    """Return the rows and columns of a block: chosen for the cache, fewer if threads need work."""
    n, rows, columns = shape
    tasks = TASKS_PER_THREAD * threads if threads > 1 else 1
    if min(rows, columns) <= transpose.MOST:
        long = LONG
        while n * ceil_div(max(rows, columns), long) < tasks and long > lanes:
            long //= 2
        return (rows, long) if rows <= transpose.MOST else (long, columns)
    tall, wide = ROWS, COLUMNS
    while n * ceil_div(rows, tall) * ceil_div(columns, wide) < tasks and max(tall, wide) > lanes:
        tall, wide = (tall // 2, wide) if tall >= wide else (tall, wide // 2)
    return tall, wide


def _parts(size: int, most: int) -> list[range]:
    """Return ``size`` positions in parts of ``most``, whole vectors except the last part."""
    return [range(first, min(first + most, size)) for first in range(0, size, most)]


# Convert an activation between NCHW and NHWC: transpose each image through vector registers.


class Transpose(Planned[LayoutConversion]):
    """The conversion from the setting's layout to the other layout."""

    name = "transpose"
    kind = "reorder"
    summary = "convert between NCHW and NHWC in squares of vector registers"
    parallel = True
    generated = True
    dtypes = (*COMMON, *SHORT_FLOATS, "u8")

    def plan(self, p: LayoutConversion, setting: Setting) -> Plan:
        """One stage over blocks of each image."""
        pixels = p.h * p.w
        rows, columns = (p.c, pixels) if setting.layout == "nchw" else (pixels, p.c)
        plan = Plan()
        images = Buffer((p.n, rows, columns), setting.types.source)
        plan.steps = [transpose_stage("transpose", X, Y, images, setting)]
        return plan
