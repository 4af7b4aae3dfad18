"""Stages of generated kernels: the tiles of a loop nest, shared out to the threads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.elementwise import Operand, RowsTile
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.problems.shapes import IMAGE_AXES
from convprof.strategies.plan import Native, Plan, Stage, X

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from convprof.codegen.kernels.base import Role
    from convprof.codegen.kernels.elementwise import Join
    from convprof.codegen.tile_list import TileKernel
    from convprof.problems.epilogue import Function
    from convprof.problems.operation import Operation
    from convprof.problems.ops.elementary import ElementaryFunction
    from convprof.problems.shapes import Shape
    from convprof.strategies.base import Setting

    Offsets = np.ndarray[Any, np.dtype[np.int64]]


LEAST, MOST = 1024, 16384
"""Elements of a tile: enough to hide the call, few enough for two threads on a small tensor."""
TASKS_PER_THREAD = 4


@dataclass(frozen=True)
class KernelContext:
    """The types and the instruction set that kernels are generated for."""

    setting: Setting

    @property
    def isa(self) -> isas.Isa:
        """The instruction set."""
        return isas.find(self.setting.isa)

    @property
    def lanes(self) -> int:
        """Elements of the accumulator's type in a vector."""
        return self.isa.lanes(self.setting.types.accumulator.bytes)

    def elements(self, total: int) -> int:
        """Return the elements of a tile for ``total`` elements: whole vectors."""
        threads = self.setting.threads
        share = total // (TASKS_PER_THREAD * threads) if threads > 1 else total
        return max(LEAST, min(MOST, share)) // self.lanes * self.lanes

    def stage(self, phase: str, tiles: TileList, buffers: Sequence[str]) -> Stage:
        """Return the stage that runs the tiles; each tile is a task unless the list defines tasks.

        The schedule is static: the data that a thread wrote in the stage before is in its own
        cache.
        """
        if not tiles.starts:
            tiles.starts = list(range(tiles.count))
        native = Native(runner_address(len(buffers)), tiles)
        dims = tiles.dims()
        return Stage(phase, native, int(dims[0]), tuple(buffers), dims, static_schedule=True)


def rows_stage(
    phase: str,
    step: Join | Function | ElementaryFunction,
    nest: Nest,
    buffers: Sequence[str],
    context: KernelContext,
    *,
    starts: Sequence[int] | None = None,
    constants: tuple[float, ...] = (),
    roles: Mapping[str, Role] = MappingProxyType({}),
) -> Stage:
    """Return the stage that computes ``step`` for each element; the result is the last array.

    Along the result's innermost axis every array must be dense, or repeated. ``starts``: the first
    element of each array in its buffer. ``roles``: of buffers whose elements have another type than
    the source.
    """
    nest = nest.joined()
    *outer, inner = range(len(nest.sizes))
    length = nest.sizes[inner]
    elements = context.elements(int(np.prod(nest.sizes)))
    per_tile = max(1, elements // length)
    rows_axis = max(outer, key=lambda axis: (min(per_tile, nest.sizes[axis]), axis), default=None)
    rows = 1 if rows_axis is None else nest.sizes[rows_axis]
    apart = [0 if rows_axis is None else strides[rows_axis] for strides in nest.strides]

    def tile(rows: int, length: int) -> RowsTile:
        operands = zip(apart[:-1], nest.strides[:-1], buffers, strict=False)
        return RowsTile(
            types=context.setting.types,
            lanes=context.lanes,
            rows=rows,
            length=length,
            operands=tuple(
                Operand(row, bool(strides[inner]), role=roles.get(buffer, "source"))
                for row, strides, buffer in operands
            ),
            y_row=apart[-1],
            step=step,
            constants=constants,
            registers=context.isa.registers,
            fused=context.isa.fused,
        )

    rest = nest.offsets(axis for axis in outer if axis != rows_axis)
    begins = [first + begin for first, begin in zip(rest, starts or [0] * len(rest), strict=True)]
    blocks = [
        _Block(i, j, tile(high, wide))
        for i, high in parts(rows, per_tile)
        for j, wide in parts(length, elements)
    ]
    along = [strides[inner] for strides in nest.strides]
    return context.stage(phase, _tiles(blocks, begins, apart, along, context), buffers)


class _Block(NamedTuple):
    """A tile, and where it begins: a row, and an element of the row."""

    row: int
    element: int
    tile: RowsTile


def _tiles(
    blocks: Sequence[_Block],
    begins: Sequence[Offsets],
    apart: Sequence[int],
    along: Sequence[int],
    context: KernelContext,
) -> TileList:
    """Return the tiles; ``apart``, ``along``: each array's steps between rows, between elements."""
    tiles = TileList()
    kernels = [kernel(block.tile, context.isa) for block in blocks]
    within = [
        np.array([block.row * row + block.element * step for block in blocks])
        for row, step in zip(apart, along, strict=True)
    ]
    add_blocks(tiles, kernels, begins, within)
    return tiles


def add_blocks(
    tiles: TileList,
    kernels: Sequence[TileKernel],
    begins: Sequence[Offsets],
    within: Sequence[Offsets],
) -> None:
    """Append the same blocks at each of many places.

    For each pointer: the start of each place, and the offset of each block from that start.
    """
    offsets = [begin[:, None] + block[None, :] for begin, block in zip(begins, within, strict=True)]
    tiles.add_each(kernels, *offsets)


# The buffers of an operation: activations, weights, scratch buffers, result.


def named(problem: Operation) -> dict[str, Shape]:
    """Return the weights and buffers by the op's own names, with their shapes."""
    op, inputs = problem.op, problem.inputs
    return {**op.weights(*inputs), **op.buffers(*inputs)}


def activations(problem: Operation) -> list[str]:
    """Return the buffer names of an operation's inputs, in order: ``x``, ``x1``, ..."""
    return [X, *(f"{X}{i}" for i in range(1, len(problem.inputs)))]


def plan_of(problem: Operation) -> Plan:
    """Return a plan with the names of the operands, and no steps yet."""
    return Plan(operands=tuple(activations(problem)))


# Loops over arrays with any strides: sizes, and a stride per array and axis; as few loops as
# possible.


@dataclass(frozen=True)
class Nest:
    """``sizes`` of the axes and for each array ``strides`` in elements, 0 along repeated axes."""

    sizes: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    def joined(self) -> Nest:
        """Return the same loops, the last array's smallest stride innermost, as few as possible.

        Axes of 1 are left out, and neighbours are joined where all arrays allow it.
        """
        order = sorted(range(len(self.sizes)), key=lambda axis: -self.strides[-1][axis])
        axes: list[tuple[int, tuple[int, ...]]] = []
        for axis in order:
            size = self.sizes[axis]
            steps = tuple(strides[axis] for strides in self.strides)
            if size == 1:
                continue
            if axes and axes[-1][1] == tuple(size * step for step in steps):
                axes[-1] = (axes[-1][0] * size, steps)
            else:
                axes.append((size, steps))
        if not axes:
            axes.append((1, tuple(1 for _ in self.strides)))
        sizes, steps_of = zip(*axes, strict=True)
        return Nest(sizes, tuple(zip(*steps_of, strict=True)))

    def offsets(self, axes: Iterable[int]) -> list[Offsets]:
        """Return for each array the offsets of the loops over these axes, in their order."""
        chosen = list(axes)
        sizes = [self.sizes[axis] for axis in chosen]
        grid = np.indices(sizes).reshape(len(sizes), math.prod(sizes)) if sizes else None
        if grid is None:
            return [np.zeros(1, np.int64) for _ in self.strides]
        return [
            np.asarray([strides[axis] for axis in chosen]) @ grid  # whole numbers
            for strides in self.strides
        ]


def row_major(shape: Shape) -> tuple[int, ...]:
    """Return the strides of an array that is dense and in order."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def strides_of(shape: Shape, *, image: bool, layout: str) -> tuple[int, ...]:
    """Return the strides of an activation with a logical shape; an image may be in NHWC."""
    if not image or layout == "nchw":
        return row_major(shape)
    _, c, h, w = shape
    return h * w * c, 1, w * c, c


def input_strides(problem: Operation, layout: str) -> list[tuple[int, ...]]:
    """Return the strides of each input of an operation."""
    return [
        strides_of(shape, image=problem.laid_out and len(shape) == IMAGE_AXES, layout=layout)
        for shape in problem.inputs
    ]


def result_strides(problem: Operation, layout: str) -> tuple[int, ...]:
    """Return the strides of an operation's result."""
    return strides_of(problem.output, image=problem.gives_image, layout=layout)


def parts(extent: int, most: int) -> list[tuple[int, int]]:
    """Return ``(first, length)`` of pieces of ``most``; the last piece has the rest."""
    return [(first, min(most, extent - first)) for first in range(0, extent, most)]


def repeated(strides: Sequence[int], shape: Shape) -> tuple[int, ...]:
    """Return the strides, with 0 along axes of one element: these are repeated."""
    return tuple(0 if size == 1 else stride for stride, size in zip(strides, shape, strict=True))
