"""The stage that writes activations as digits of 8 bits, for ``codegen.kernels.digit_weights``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.digits import DIGITS, PER_LANE, STARTS, DigitPass
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import DTYPES, Types
from convprof.integers import ceil_div, split
from convprof.strategies.plan import Buffer, Native, Stage, X

if TYPE_CHECKING:
    from convprof.problems import Gemm
    from convprof.problems.grouped_weights import GroupedWeights
    from convprof.strategies.base import Setting

DIGIT_BUFFER, START_BUFFER = "a_digits", "a_starts"


def stage(g: Gemm, weights: GroupedWeights, depth: int, setting: Setting) -> Stage:
    """Return the stage; rows have ``depth`` elements, in whole words of weights."""
    isa, groups, digits = isas.find(setting.isa), ceil_div(g.k, weights.group), count(setting)
    types = Types(setting.types.source, DTYPES["s8"], DTYPES["f32"], DTYPES["s8"])
    lanes = isa.lanes(types.accumulator.bytes)
    before, tiles = (groups - 1) * weights.group, TileList()
    for share in split(g.m * groups, setting.threads):
        tiles.task()
        rows, group = np.divmod(np.asarray(share), groups)
        for some, length, filled in (
            (group < groups - 1, weights.group, weights.group),
            (group == groups - 1, g.k - before, depth - before),
        ):
            if not some.any():
                continue
            tile = DigitPass(types, lanes, length, filled, digits, fused=isa.fused)
            row, first = rows[some], group[some] * weights.group
            starts = (row * groups + group[some]) * STARTS
            offsets = row * g.k + first, (row * depth + first) * digits, starts
            tiles.add(kernel(tile, isa), *offsets)
    buffers = (X, DIGIT_BUFFER, START_BUFFER)
    native = Native(runner_address(len(buffers)), tiles)
    return Stage("digits", native, setting.threads, buffers, tiles.dims(), work_fraction=0.0)


def workspaces(g: Gemm, weights: GroupedWeights, depth: int, setting: Setting) -> dict[str, Buffer]:
    """Return the buffers of the digits, and of the sums and the unit of each group."""
    groups = ceil_div(g.k, weights.group)
    return {
        DIGIT_BUFFER: Buffer((g.m, depth // PER_LANE, count(setting), PER_LANE), DTYPES["s8"]),
        START_BUFFER: Buffer((g.m, groups, STARTS), DTYPES["f32"]),
    }


def count(setting: Setting) -> int:
    """Return the digits of an activation."""
    return DIGITS[setting.types.source.name]
