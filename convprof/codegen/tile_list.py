"""Run a list of register tiles: the kernel of each tile, and its parts of ``a``, ``b`` and ``c``.

Every shape, blocking, loop order and share of the threads is a list of tiles, built once in Python;
one short loop runs the list. Stages have the team's signature ``(lo, hi, buffers, dims)``, with
``dims`` = number of tasks, then the first tile of each task, then the words of each tile: the
kernel's address and a byte offset per pointer, into ``a``, ``b`` and ``c``.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import disassembly, tile_shares
from convprof.codegen.jit import Module
from convprof.codegen.kernels.base import FUNCTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.codegen.isa import Isa
    from convprof.codegen.kernels.base import Kernel


def _run_ir(pointers: int) -> str:
    """Return the loop over tiles of ``pointers`` pointers; a kernel may ignore the last ones."""
    count = range(pointers)
    bases = "\n".join(
        f"  %at{i} = getelementptr ptr, ptr %buffers, i64 {i}\n  %base{i} = load ptr, ptr %at{i}"
        for i in count
    )
    offsets = "\n".join(
        f"  %word{i} = getelementptr i64, ptr %tile, i64 {i + 1}\n"
        f"  %offset{i} = load i64, ptr %word{i}\n"
        f"  %now{i} = getelementptr i8, ptr %base{i}, i64 %offset{i}"
        for i in count
    )
    return f"""
define void @run_tiles(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
{bases}
  %tasks = load i64, ptr %dims
  %starts = getelementptr i64, ptr %dims, i64 1
  %skip = add i64 %tasks, 1
  %tiles = getelementptr i64, ptr %starts, i64 %skip
  %first_p = getelementptr i64, ptr %starts, i64 %lo
  %last_p = getelementptr i64, ptr %starts, i64 %hi
  %first = load i64, ptr %first_p
  %last = load i64, ptr %last_p
  %none = icmp sge i64 %first, %last
  br i1 %none, label %done, label %loop
loop:
  %i = phi i64 [ %first, %entry ], [ %next, %loop ]
  %tile = getelementptr [{pointers + 1} x i64], ptr %tiles, i64 %i
  %kernel = load ptr, ptr %tile
{offsets}
  call void %kernel({", ".join(f"ptr %now{i}" for i in count)})
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %last
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""


@functools.cache
def _runner(pointers: int) -> Module:
    return Module(_run_ir(pointers))


def runner_address(pointers: int = 3) -> int:
    """Return the address of the loop over tiles whose kernels take this number of pointers."""
    return _runner(pointers).address("run_tiles")


_KERNELS: OrderedDict[tuple[Kernel, Isa], TileKernel] = OrderedDict()
"""Compiled kernels for further use, the least recently used first."""

MOST_KERNELS = 1024
"""The most kernels during one problem: its layouts, thread counts and blockings share kernels."""
KEPT_KERNELS = 128
"""The most kernels for the next problem: about 5 MiB."""


def kernel(tile: Kernel, isa: Isa) -> TileKernel:
    """Return a compiled kernel; a tile is compiled once, until its kernel is dropped."""
    key = tile, isa
    tile_kernel = _KERNELS.get(key)
    if tile_kernel is None:
        module = Module(tile.ir(), isa.without)
        around = (kernel(each, isa) if each else None for each in (tile.setup, tile.teardown))
        tile_kernel = TileKernel(tile, module, module.address(FUNCTION), *around)
        _KERNELS[key] = tile_kernel
        forget_kernels(MOST_KERNELS)
    else:
        _KERNELS.move_to_end(key)
    return tile_kernel


def forget_kernels(kept: int) -> None:
    """Drop all but the last ``kept`` kernels; a plan keeps its own kernels alive."""
    while len(_KERNELS) > kept:
        _KERNELS.popitem(last=False)


@dataclass(frozen=True, eq=False)
class TileKernel:
    """A compiled kernel."""

    tile: Kernel
    module: Module
    address: int
    setup: TileKernel | None = None
    teardown: TileKernel | None = None

    def element_bytes(self, pointers: int) -> tuple[int, ...]:
        """Return the bytes of an element behind each pointer of a list; 0 for unused pointers."""
        sizes = self.tile.element_bytes
        return (*sizes[:pointers], *[0] * (pointers - len(sizes)))


@dataclass
class TileList:
    """Tiles grouped into tasks that any thread may take; build it, then take ``dims``."""

    starts: list[int] = field(default_factory=list)
    rows: list[np.ndarray[Any, np.dtype[np.int64]]] = field(default_factory=list)
    count: int = 0
    uses: dict[TileKernel, int] = field(default_factory=dict)
    """The number of tiles of each kernel; the list keeps its kernels alive."""
    executed_macs: int = 0
    """Multiply-adds of all tiles, if the caller counts them."""
    _table: np.ndarray[Any, np.dtype[np.int64]] | None = None
    _state: TileKernel | None = None
    """The setup that has run last in this task."""

    def task(self) -> None:
        """Begin a new task. Any thread may run it, so it sets up and tears down by itself."""
        self._tear_down()
        self.starts.append(self.count)

    def add(self, tile_kernel: TileKernel, *offsets: Any) -> None:
        """Append tiles of one kernel.

        An offset per pointer (into ``a``, ``b``, ``c``), in elements: numbers or arrays of one
        length.
        """
        self._set_up(tile_kernel, len(offsets))
        self._append(tile_kernel, *offsets)

    def _append(self, tile_kernel: TileKernel, *offsets: Any) -> None:
        block = np.empty((max(map(np.size, offsets)), len(offsets) + 1), dtype=np.int64)
        block[:, 0] = tile_kernel.address
        sizes = tile_kernel.element_bytes(len(offsets))
        for word, (offset, size) in enumerate(zip(offsets, sizes, strict=True), start=1):
            np.multiply(offset, size, out=block[:, word])
        self.rows.append(block)
        self.count += len(block)
        self.uses[tile_kernel] = self.uses.get(tile_kernel, 0) + len(block)

    def _set_up(self, tile_kernel: TileKernel, pointers: int) -> None:
        """Append the setup of a kernel, unless the kernels before had the same."""
        setup = tile_kernel.setup
        if setup is not None and setup is not self._state:
            self._append(setup, *[0] * pointers)
            self._state = setup

    def _tear_down(self) -> None:
        """Append the end of the task's state."""
        if self._state is not None and self._state.teardown is not None:
            self._append(self._state.teardown, *[0] * (self.rows[-1].shape[1] - 1))
        self._state = None

    def add_each(self, kernels: Sequence[TileKernel], *offsets: Any, tasks: bool = False) -> None:
        """Append rows of tiles, a kernel for each tile of a row, the same in every row.

        An offset per pointer, in elements: numbers or arrays that broadcast to ``(rows, tiles)``.
        With ``tasks`` every row is a task.
        """
        if any(each.setup is not kernels[0].setup for each in kernels):
            kernels, offsets = _with_setups(kernels, offsets)
        else:
            self._set_up(kernels[0], len(offsets))
        addresses = np.array([[each.address for each in kernels]])
        sizes = np.array([[each.element_bytes(len(offsets)) for each in kernels]])
        scaled = (np.asarray(x) * sizes[..., pointer] for pointer, x in enumerate(offsets))
        columns = np.broadcast_arrays(addresses, *scaled)
        block = np.stack(columns, axis=-1).astype(np.int64)
        rows, tiles, words = block.shape
        if tasks:
            self.starts += range(self.count, self.count + rows * tiles, tiles)
        self.rows.append(block.reshape(-1, words))
        self.count += rows * tiles
        for each in kernels:
            self.uses[each] = self.uses.get(each, 0) + rows
        self._state = kernels[-1].setup or self._state

    def share_out(self, parts: int) -> None:
        """Make ``parts`` tasks of equal work of all tasks; tiles stay in order where possible.

        Tasks whose kernels need a state of the thread remain as they are.
        """
        if not self.count or any(each.setup is not None for each in self.uses):
            return
        table = np.concatenate(self.rows)
        division = tile_shares.shares(self._cycles(table), self.starts, parts)
        self.rows = [table[np.concatenate(division.tiles)]]
        ends = np.cumsum([len(each) for each in division.tiles])
        self.starts = [0, *ends[:-1].tolist()]

    def task_cycles(self) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """Return an estimate of the core cycles of each task; None for equal tasks without one.

        ``dims`` was called before.
        """
        table = self.dims()
        tasks = int(table[0])
        starts = table[1 : tasks + 2]
        before = np.zeros(self.count + 1)
        if self.count:
            np.cumsum(self._cycles(table[tasks + 2 :].reshape(self.count, -1)), out=before[1:])
        cycles: np.ndarray[Any, np.dtype[np.float64]] = np.diff(before[starts])
        return cycles

    def _cycles(
        self, table: np.ndarray[Any, np.dtype[np.int64]]
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return an estimate of the core cycles of each row of a table of tiles."""
        known = {each.address: each.tile.cycles for each in self.uses}
        addresses, which = np.unique(table[:, 0], return_inverse=True)
        return np.array([known[address] for address in addresses.tolist()])[which]

    def dims(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the runner's integers; tiles must not be added afterwards."""
        if self._table is None:
            self._tear_down()
            head = np.array([len(self.starts), *self.starts, self.count], dtype=np.int64)
            self._table = np.concatenate([head, *(block.ravel() for block in self.rows)])
            self.rows = []  # the table has all tiles
        return self._table


def _with_setups(
    kernels: Sequence[TileKernel], offsets: tuple[Any, ...]
) -> tuple[list[TileKernel], tuple[Any, ...]]:
    """Return the tiles of a row with a setup before each tile that needs another one."""
    order: list[tuple[TileKernel, int]] = []
    state = None
    for position, each in enumerate(kernels):
        if each.setup is not None and each.setup is not state:
            state = each.setup
            order.append((state, position))
        order.append((each, position))
    positions = [position for _, position in order]
    row = np.zeros((1, len(kernels)), dtype=np.int64)
    whole = np.broadcast_arrays(row, *offsets)[1:]
    return [each for each, _ in order], tuple(offset[:, positions] for offset in whole)


def inner_loop(lists: Iterable[TileList]) -> tuple[str, str] | None:
    """Return the inner loop of the kernel that does most of the multiply-adds.

    The title has its counts; its assembly follows. If no kernel sums products, return the inner
    loop of the kernel with the most results; None if no kernel has a title.
    """
    products: dict[TileKernel, int] = {}
    others: dict[TileKernel, int] = {}
    for each, tiles in (
        (each, tiles) for tile_list in lists for each, tiles in tile_list.uses.items()
    ):
        if each.tile.fmas:
            products[each] = products.get(each, 0) + tiles * each.tile.fmas
        elif each.tile.elements:
            others[each] = others.get(each, 0) + tiles * each.tile.elements
    work = products or others
    if not work:
        return None
    most = max(work, key=lambda each: work[each])
    code = disassembly.busiest(most.module.assembly())
    return f"{most.tile.title}, {code}", "\n".join(code.instructions)
