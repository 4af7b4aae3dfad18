"""Channels filled up to whole groups, for instructions that add several products to a sum.

Three channels of bytes become four, the last of them zero. Then a tap starts at a group of its own,
and no group reads a neighbouring pixel, or memory behind the image.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.transpose import CopyPanel
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import of_one
from convprof.integers import ceil_div, round_up
from convprof.strategies.plan import Native, Stage

if TYPE_CHECKING:
    from convprof.problems import Conv2d
    from convprof.strategies.base import Setting
    from convprof.strategies.conv.regions import Convolution

FILLED = "x_filled"
TASK_PIXELS = 1024
"""Pixels that a task copies."""


def filled(p: Conv2d, k_group: int) -> Conv2d:
    """Return the convolution whose groups of channels are whole groups of elements."""
    return replace(p, c=p.groups * round_up(p.cg, k_group))


def fill_stages(source: str, p: Conv2d, whole: Convolution, setting: Setting) -> list[Stage]:
    """Return the stage that copies the NHWC image of ``p`` into ``FILLED``; none if it is whole."""
    if whole.c == p.c:
        return []
    isa, dtype = isas.find(setting.isa), setting.types.source
    pixels = p.n * p.h * p.w * p.groups
    tiles = TileList()

    def copy(rows: int) -> CopyPanel:
        return CopyPanel(
            types=of_one(dtype),
            lanes=min(isa.lanes(dtype.bytes), 1 << (whole.cg - 1).bit_length()),
            rows=rows,
            columns=p.cg,
            width=whole.cg,
            row=p.cg,
            fused=isa.fused,
        )

    starts = np.arange(0, pixels, TASK_PIXELS)
    tasks = ceil_div(pixels, TASK_PIXELS)
    for first in starts:
        tiles.task()
        each = kernel(copy(min(TASK_PIXELS, pixels - int(first))), isa)
        tiles.add(each, first * p.cg, 0, first * whole.cg)
    native = Native(runner_address(), tiles)
    return [Stage("fill", native, tasks, (source, source, FILLED), tiles.dims())]
