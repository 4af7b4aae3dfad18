"""The operands of requantisation in the order that kernels read, and the stage that rungs end with.

A zero point of the source is subtracted from every element of a sum: ``sum of (x - zero) * w`` is
``sum of x * w`` less ``zero`` times the sum of the weights, which goes into the bias.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels import requantise
from convprof.codegen.kernels.requantise import RequantisePass
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import find
from convprof.integers import ceil_div
from convprof.problems.epilogue import BIAS
from convprof.problems.requantisation import OUTPUT_AXES, RESIDUAL_SCALE, ZERO_POINTS, limits
from convprof.strategies import epilogue
from convprof.strategies.epilogue import BIASES, LIMITS
from convprof.strategies.plan import WEIGHTS, Buffer, Native, Packed, Stage, Y

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import Types
    from convprof.problems import Trainable
    from convprof.problems.epilogue import Epilogue
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]

TASK_ELEMENTS = 8192
"""Results per task: enough to outweigh the call, few enough to share out among the threads."""
ROWS = 8
"""Rows that share a loaded vector of bias and scales."""


def packed(
    p: Trainable, types: Types, sums: Callable[[Array], Array] | None = None, rows: int = 1
) -> dict[str, Packed]:
    """Return the biases and the limits as kernels read them; nothing without requantisation.

    ``sums`` returns the sums of weights, ``(rows, channels)``: a row for each set of filter taps
    that some pixels lose to the padding. Without it there is one row, of all weights.
    """
    if not types.requantises:
        return {}
    ends, channels = p.epilogue, p.channels
    axis = OUTPUT_AXES[p.kind]

    def of_all(weights: Array) -> Array:
        others = tuple(i for i in range(weights.ndim) if i != axis)
        total: Array = weights.sum(axis=others, dtype=np.int64)
        return total[None]

    def biases(weights: Array, zeros: Array, bias: Array | int = 0) -> Array:
        whole: Array = bias - int(zeros[0]) * (sums or of_all)(weights)
        return whole.astype(np.int32)

    sources = (WEIGHTS, ZERO_POINTS, *[BIAS] * ends.bias)
    more = (ZERO_POINTS, *[RESIDUAL_SCALE] * (ends.add and types.result.is_exact))
    words = Buffer((requantise.WORDS,), find("s32"))
    return {
        BIASES: Packed(Buffer((rows, channels), find("s32")), biases, sources),
        LIMITS: Packed(words, lambda *of: _limits(ends, types, *of), more),
    }


def _limits(
    ends: Epilogue, types: Types, zeros: Array, residual_scale: Array | None = None
) -> Array:
    """Return the words of ``codegen.kernels.requantise``; results in f32 use none of them."""
    words = np.zeros(requantise.WORDS, np.float32)
    if not types.result.is_exact:
        return words.view(np.int32)
    low, high = (limit - int(zeros[2]) for limit in limits(types.result))
    words[requantise.LOW] = max(low, 0) if ends.function else low
    words[requantise.HIGH] = high
    words[requantise.RESIDUAL_ZERO] = zeros[1]
    words[requantise.RESIDUAL_SCALE] = 0 if residual_scale is None else residual_scale[0]
    bits: Array = words.view(np.int32)
    bits[requantise.ZERO] = zeros[2]
    return bits


def bordered(buffer: Buffer) -> Packed:
    """Return a padded image filled with the zero point of the source, as padding counts."""

    def fill(target: Array, zeros: Array) -> None:
        target[...] = zeros[0]

    return Packed(buffer, fill, (ZERO_POINTS,), into=True)


def stage(p: Trainable, sums: str, setting: Setting) -> Stage:
    """Return the stage that makes the bytes of the whole result from its sums."""
    isa, types = isas.find(setting.isa), setting.types
    result = p.result(setting.layout, types)
    lone = result.layout == "nchw"
    columns = math.prod(result.shape[2:]) if lone else p.channels
    rows = result.elements // columns
    each = max(1, min(ROWS, rows)) if not lone else 1

    def tile(height: int) -> RequantisePass:
        return RequantisePass(
            types=types,
            lanes=isa.lanes(types.accumulator.bytes),
            columns=columns,
            rows=height,
            lone=lone,
            epilogue=p.epilogue,
            fused=isa.fused,
        )

    tiles = TileList()
    whole = rows // each
    together = max(1, TASK_ELEMENTS // (each * columns))
    for first in range(0, whole, together):
        begin = np.arange(first, min(first + together, whole)) * each
        _add(tiles, kernel(tile(each), isa), begin, (p, columns, types), lone=lone)
    if rows > whole * each:
        last = np.array([whole * each])
        _add(tiles, kernel(tile(rows - whole * each), isa), last, (p, columns, types), lone=lone)
    buffers = epilogue.buffers(p.epilogue, (sums, sums, Y), types)
    native = Native(runner_address(len(buffers)), tiles)
    tasks = ceil_div(whole, together) + (rows > whole * each)
    return Stage("requantise", native, tasks, buffers, tiles.dims(), work_fraction=0.0)


def _add(
    tiles: TileList, each: Any, rows: Array, of: tuple[Trainable, int, Types], *, lone: bool
) -> None:
    """Add a task of tiles that begin at some rows."""
    p, columns, types = of
    begin = rows * columns
    channel = rows % p.channels if lone else 0 * rows
    tiles.task()
    more = epilogue.offsets(p.epilogue, types, channel, begin)
    tiles.add(each, begin, 0 * rows, begin, 0 * rows, *more)
