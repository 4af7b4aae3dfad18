"""A pass over a finished result: one step of an epilogue, or several, read and written in place."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convprof.problems import Conv2d, Gemm
from convprof.simd import isa as isas
from convprof.simd.passes import Pass
from convprof.simd.tiles import TileList, kernel, runner_address
from convprof.strategies import epilogue
from convprof.strategies.plan import Native, Stage, Y

if TYPE_CHECKING:
    from convprof.problems.epilogue import Epilogue
    from convprof.strategies.base import Setting

TASK_ELEMENTS = 8192
"""Of the result: long enough to outweigh the call, short enough to share out among the threads."""
ROWS = 8
"""Rows that share a loaded vector of the bias."""


def stage(p: Conv2d | Gemm, step: Epilogue, setting: Setting) -> Stage:
    """Return the stage that computes a step, or several, over the whole result, in place."""
    isa = isas.find(setting.isa)
    size = math.prod(p.result_shape(setting.layout))
    made = _cut(p, step, setting, size)
    block = made.rows * made.columns
    whole, together = size // block, max(1, TASK_ELEMENTS // block)
    tiles = TileList(setting.dtype)
    for first in range(0, whole, together):
        tiles.task()
        begin = np.arange(first, min(first + together, whole)) * block
        channel = begin // block % _channels(p) if made.lone else 0
        tiles.add(kernel(made, isa), 0, 0, begin, 0, channel, begin)
    rest = size - whole * block
    if rest:
        rows = rest // made.columns
        last = replace(made, rows=rows) if step.bias else replace(made, columns=rest)
        tiles.task()
        tiles.add(kernel(last, isa), 0, 0, size - rest, 0, 0, size - rest)
    dims = tiles.dims()
    buffers = epilogue.buffers(step, (Y, Y, Y))
    native = Native(runner_address(len(buffers)), tiles)
    return Stage(
        f"{step.text.replace(',', ', ')} pass",
        native,
        int(dims[0]),
        buffers,
        dims,
        fixed=True,
        share=0.0,
    )


def _cut(p: Conv2d | Gemm, step: Epilogue, setting: Setting, size: int) -> Pass:
    """Return the kernel for a block of the result, which is ``size`` elements long.

    A bias wants whole planes of a channel in NCHW, and whole rows of channels or columns elsewhere.
    """
    isa = isas.find(setting.isa)
    lanes = isa.lanes(setting.itemsize)
    if not step.bias:
        return Pass(setting.dtype, lanes, step, min(TASK_ELEMENTS, size), fused=isa.fused)
    if isinstance(p, Conv2d) and setting.layout == "nchw":
        return Pass(setting.dtype, lanes, step, p.p * p.q, lone=True, fused=isa.fused)
    columns = _channels(p)
    rows = min(ROWS, size // columns)
    return Pass(setting.dtype, lanes, step, columns, rows, fused=isa.fused)


def _channels(p: Conv2d | Gemm) -> int:
    return p.k if isinstance(p, Conv2d) else p.n
