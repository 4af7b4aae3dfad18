"""Schedules that build on each other: each adds one step to the schedule before.

Sums are computed in the memory of the result.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from convprof.integers import ceil_div
from convprof.strategies.peers.halide.sharing import share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.strategies.peers.halide.algorithm import Nest
    from convprof.strategies.peers.halide.sharing import Share

ROWS, VECTORS = 8, 2
"""The tile: 16 sums that do not depend on each other, more than latency times ports needs (8), and
few enough for the registers of AVX-512 and NEON."""


class Step(IntEnum):
    """The last step of a schedule on the ladder."""

    DEFAULT, REORDER, TILE, TILE_VECTORIZE, PARALLEL, UNROLL = range(6)


def power_below(extent: int, limit: int) -> int:
    """Return the largest power of two up to ``extent`` and ``limit``."""
    return 1 << (min(extent, limit).bit_length() - 1)


def columns_and_rows(nest: Nest) -> tuple[str, str]:
    """Return the contiguous axis of y, and the axis across which operands are reused.

    In NCHW the columns are pixels and the weights differ from row to row, so rows are channels.
    """
    order = nest.shape.y.order
    column = order[-1]
    row = {"ngkpq": "k", "npqgk": "q", "zij": "i"}[order]
    return column, row


def scheduled(nest: Nest, step: Step, threads: int, vector: int) -> Any:
    """Schedule the nest up to ``step``, and return the Func to compile."""
    tail = nest.hl.TailStrategy.GuardWithIf
    sums, update = nest.sums, nest.sums.update()
    column, row = columns_and_rows(nest)
    sizes, loops = nest.shape.sizes, dict(nest.loops)
    vector = power_below(sizes[column], vector)
    pad(nest, step, threads, vector)
    if step == Step.DEFAULT:
        return sums
    inner, rest = [loops[column], *nest.taps, loops[row]], []
    strips = []
    if step >= Step.TILE:
        tiles = {column: VECTORS * vector, row: min(ROWS, sizes[row])}
        if step >= Step.PARALLEL:
            shared = share(_steps(nest, tiles), threads)
            strips = _strips(nest, shared, tiles)
            if shared:
                loops[shared.axis] = strips[0][1]
        (co, ci), (ro, ri) = (_cut(nest, update, loops[a], tiles[a]) for a in (column, row))
        inner, rest = [ci, ri, *nest.taps, co, ro], [pair[0] for pair in strips]
    others = [loops[axis] for axis in reversed(nest.shape.y.order) if axis not in (column, row)]
    update.reorder(*inner, *others, *rest)
    if step >= Step.TILE_VECTORIZE:
        update.vectorize(ci, vector)
        sums.vectorize(loops[column], vector, tail)
    if step >= Step.UNROLL:
        update.unroll(ci).unroll(ri)
    return sums


def _steps(nest: Nest, tiles: Mapping[str, int]) -> dict[str, int]:
    """Return the steps of each of y's loops, the outermost first."""
    return {
        axis: ceil_div(nest.shape.sizes[axis], tiles.get(axis, 1)) for axis in nest.shape.y.order
    }


def _strips(nest: Nest, shared: Share | None, tiles: Mapping[str, int]) -> list[Any]:
    """Split zeroing and summing in the same strips; return the outer and inner variable."""
    if shared is None:
        return []
    outer, inner = nest.hl.Var("strip"), nest.hl.Var("within")
    length = shared.strip * tiles.get(shared.axis, 1)
    tail = nest.hl.TailStrategy.GuardWithIf
    for stage in (nest.sums, nest.sums.update()):
        stage.split(nest.loops[shared.axis], outer, inner, length, tail)
    order = [axis for axis in reversed(nest.shape.y.order) if axis != shared.axis]
    nest.sums.reorder(inner, *(nest.loops[axis] for axis in order), outer).parallel(outer)
    nest.sums.update().parallel(outer)
    return [(outer, inner)]


def _cut(nest: Nest, stage: Any, loop: Any, size: int) -> tuple[Any, Any]:
    """Split a loop into tiles and return the loops over the tiles and within a tile."""
    outer, inner = nest.hl.Var(loop.name() + "o"), nest.hl.Var(loop.name() + "i")
    stage.split(loop, outer, inner, size, nest.hl.TailStrategy.GuardWithIf)
    return outer, inner


def pad(nest: Nest, step: Step, threads: int, vector: int) -> None:
    """Copy the input into zeros before all else, if it is padded."""
    padded, sizes = nest.padded, nest.padded_sizes
    if padded is None or sizes is None:
        return
    padded.compute_root()
    order = nest.shape.x.order
    variables = dict(zip(reversed(order), padded.args(), strict=True))
    last = order[-1]
    tail = nest.hl.TailStrategy.GuardWithIf
    shared = share({axis: sizes[axis] for axis in order[:-1]}, threads)
    if step >= Step.TILE_VECTORIZE:
        padded.vectorize(variables[last], power_below(sizes[last], vector), tail)
    if step >= Step.PARALLEL and shared:
        outer, inner = nest.hl.Var("strip"), nest.hl.Var("within")
        padded.split(variables[shared.axis], outer, inner, shared.strip, tail)
        others = [variables[a] for a in reversed(order) if a != shared.axis]
        padded.reorder(others[0], inner, *others[1:], outer).parallel(outer)
