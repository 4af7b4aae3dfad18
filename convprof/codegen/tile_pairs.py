"""Run lists of tiles for every block of rows against every block of columns, in scratch memory.

An algorithm that never stores a whole rows-by-columns matrix visits all blocks of columns for each
block of rows. The tiles of all pairs are the same, except for their starts. So one list is enough
for all pairs, and its length does not grow with the problem. A task is a block of rows of one item
of one group (a head of an image); it runs four lists:

    begin (the first block of columns),  step (each of the next),  last (the last one),  end

Stages have the team's signature ``(lo, hi, buffers, dims)``. The buffers: rows, columns of two
kinds (keys, then values), results, scratch, claims. A thread claims one piece of scratch while it
runs tasks, so that one piece per thread is enough.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.codegen.jit import Module
from convprof.codegen.tile_list import TileKernel, TileList

if TYPE_CHECKING:
    from convprof.dtypes import Types

    Words = np.ndarray[Any, np.dtype[np.int64]]

ROWS, KEYS, VALUES, RESULTS, SCRATCH = range(5)
"""The base of a tile's pointer: the block of rows, the block of columns among the keys and among
the values, the block of results, the thread's piece of scratch."""
LISTS = 4
BEGIN, STEP, LAST, END = range(LISTS)
CLAIM_BYTES = 64
"""Bytes of a claim: a word that shows whether a thread uses the piece of scratch, on a cache line
of its own. All claims are 0 at first, and no other code may write to them."""

_HEAD = 16
_TILE_WORDS = 7

_IR = f"""
define internal void @list(ptr %dims, i64 %which, ptr %bases) {{
entry:
  %starts = getelementptr i64, ptr %dims, i64 {_HEAD}
  %tiles = getelementptr i64, ptr %starts, i64 {2 * LISTS + 1}
  %first_p = getelementptr i64, ptr %starts, i64 %which
  %last_p = getelementptr i64, ptr %first_p, i64 1
  %first = load i64, ptr %first_p
  %last = load i64, ptr %last_p
  %none = icmp sge i64 %first, %last
  br i1 %none, label %done, label %loop
loop:
  %i = phi i64 [ %first, %entry ], [ %next, %loop ]
  %tile = getelementptr [{_TILE_WORDS} x i64], ptr %tiles, i64 %i
  %kernel = load ptr, ptr %tile
%POINTERS%
  call void %kernel(ptr %now0, ptr %now1, ptr %now2)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %last
  br i1 %more, label %loop, label %done
done:
  ret void
}}

define internal ptr @place(ptr %start, ptr %walk, i64 %group, i64 %item, i64 %block) {{
entry:
  %item_p = getelementptr i64, ptr %walk, i64 1
  %block_p = getelementptr i64, ptr %walk, i64 2
  %group_bytes = load i64, ptr %walk
  %item_bytes = load i64, ptr %item_p
  %block_bytes = load i64, ptr %block_p
  %group_at = mul i64 %group, %group_bytes
  %item_at = mul i64 %item, %item_bytes
  %block_at = mul i64 %block, %block_bytes
  %in_group = add i64 %item_at, %block_at
  %at = add i64 %group_at, %in_group
  %there = getelementptr i8, ptr %start, i64 %at
  ret ptr %there
}}

define void @run_pairs(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
  %bases = alloca [5 x ptr]
%BUFFERS%
%DIMS%
  br label %claim
claim:
  %slot = phi i64 [ 0, %entry ], [ %slot_next, %taken ]
  %claim_at = mul i64 %slot, {CLAIM_BYTES}
  %word = getelementptr i8, ptr %buffer4, i64 %claim_at
  %pair = cmpxchg ptr %word, i64 0, i64 1 acquire monotonic
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %mine, label %claimed, label %taken
taken:
  %slot_up = add i64 %slot, 1
  %slot_end = icmp sge i64 %slot_up, %slots
  %slot_next = select i1 %slot_end, i64 0, i64 %slot_up
  br label %claim
claimed:
  %slot_at = mul i64 %slot, %slot_bytes
  %scratch = getelementptr i8, ptr %buffer3, i64 %slot_at
  %base4 = getelementptr ptr, ptr %bases, i64 {SCRATCH}
  store ptr %scratch, ptr %base4
  br label %task
task:
  %t = phi i64 [ %lo, %claimed ], [ %t_next, %ended ]
  %which = sdiv i64 %t, %blocks
  %block = srem i64 %t, %blocks
  %group = sdiv i64 %which, %items
  %item = srem i64 %which, %items
  %rows = call ptr @place(ptr %buffer0, ptr %rows_walk, i64 %group, i64 %item, i64 %block)
  %keys = call ptr @place(ptr %buffer1, ptr %columns_walk, i64 %group, i64 %item, i64 0)
  %results = call ptr @place(ptr %buffer2, ptr %results_walk, i64 %group, i64 %item, i64 %block)
  %values = getelementptr i8, ptr %keys, i64 %values_at
  store ptr %rows, ptr %bases
  %base1 = getelementptr ptr, ptr %bases, i64 {KEYS}
  store ptr %keys, ptr %base1
  %base2 = getelementptr ptr, ptr %bases, i64 {VALUES}
  store ptr %values, ptr %base2
  %base3 = getelementptr ptr, ptr %bases, i64 {RESULTS}
  store ptr %results, ptr %base3
  %narrow = icmp sge i64 %block, %wide
  %kind = select i1 %narrow, i64 {LISTS}, i64 0
  %list_step = add i64 %kind, {STEP}
  %list_last = add i64 %kind, {LAST}
  %list_end = add i64 %kind, {END}
  call void @list(ptr %dims, i64 %kind, ptr %bases)
  br label %advance
advance:
  %s = phi i64 [ 0, %task ], [ %s_next, %step ]
  %keys_now = phi ptr [ %keys, %task ], [ %keys_next, %step ]
  %values_now = phi ptr [ %values, %task ], [ %values_next, %step ]
  %keys_next = getelementptr i8, ptr %keys_now, i64 %step_bytes
  %values_next = getelementptr i8, ptr %values_now, i64 %step_bytes
  store ptr %keys_next, ptr %base1
  store ptr %values_next, ptr %base2
  %s_more = icmp slt i64 %s, %steps
  br i1 %s_more, label %step, label %ended
step:
  call void @list(ptr %dims, i64 %list_step, ptr %bases)
  %s_next = add i64 %s, 1
  br label %advance
ended:
  call void @list(ptr %dims, i64 %list_last, ptr %bases)
  call void @list(ptr %dims, i64 %list_end, ptr %bases)
  %t_next = add i64 %t, 1
  %t_more = icmp slt i64 %t_next, %hi
  br i1 %t_more, label %task, label %free
free:
  store atomic i64 0, ptr %word release, align 8
  ret void
}}
"""
_FIELDS = ("blocks", "wide", "steps", "items", "values_at", "slots", "slot_bytes")
_WALKS = ("rows", "columns", "results")


def _ir() -> str:
    pointers = "\n".join(
        f"  %base_at{i} = getelementptr i64, ptr %tile, i64 {1 + 2 * i}\n"
        f"  %base_no{i} = load i64, ptr %base_at{i}\n"
        f"  %base_p{i} = getelementptr ptr, ptr %bases, i64 %base_no{i}\n"
        f"  %base{i} = load ptr, ptr %base_p{i}\n"
        f"  %offset_at{i} = getelementptr i64, ptr %tile, i64 {2 + 2 * i}\n"
        f"  %offset{i} = load i64, ptr %offset_at{i}\n"
        f"  %now{i} = getelementptr i8, ptr %base{i}, i64 %offset{i}"
        for i in range(3)
    )
    buffers = "\n".join(
        f"  %buffer{i}_p = getelementptr ptr, ptr %buffers, i64 {i}\n"
        f"  %buffer{i} = load ptr, ptr %buffer{i}_p"
        for i in range(5)
    )
    dims = "\n".join(
        f"  %{field}_p = getelementptr i64, ptr %dims, i64 {i}\n"
        f"  %{field} = load i64, ptr %{field}_p"
        for i, field in enumerate(_FIELDS)
    )
    walks = "\n".join(
        f"  %{walk}_walk = getelementptr i64, ptr %dims, i64 {len(_FIELDS) + 3 * i}"
        for i, walk in enumerate(_WALKS)
    )
    # The third distance of the walk over columns is the length of a step.
    step = len(_FIELDS) + 3 * _WALKS.index("columns") + 2
    dims += (
        f"\n  %step_p = getelementptr i64, ptr %dims, i64 {step}"
        "\n  %step_bytes = load i64, ptr %step_p"
    )
    text = _IR.replace("%POINTERS%", pointers)
    return text.replace("%BUFFERS%", buffers).replace("%DIMS%", f"{dims}\n{walks}")


@functools.cache
def _runner() -> Module:
    return Module(_ir())


def runner_address() -> int:
    """Return the address of the stage that runs the lists."""
    return _runner().address("run_pairs")


class Walk(NamedTuple):
    """The distances between parts of a buffer, in elements."""

    group: int
    """From one group to the next."""
    item: int
    """From one item of a group to the next."""
    step: int
    """From one row or column, or a block of them, to the next."""

    def by(self, block: int) -> Walk:
        """Return the walk in blocks of ``block`` rows or columns."""
        return self._replace(step=block * self.step)


@dataclass(frozen=True)
class Strides:
    """The repetition of the lists; distances in elements."""

    blocks: int
    """Blocks of rows in an item."""
    wide: int
    """The number of first blocks, which run the first four lists; the others run the second
    four."""
    steps: int
    """Blocks of columns between the first and the last."""
    items: int
    """Items in a group."""
    rows: Walk
    columns: Walk
    results: Walk
    """The three walks, in blocks."""
    values: int
    """The distance from the keys to the values."""
    slots: int
    """Pieces of scratch: as many as threads."""
    slot: int
    """Elements in a piece."""


class PairTiles(TileList):
    """The eight lists: ``task()`` begins the next list; tiles begin relative to their blocks."""

    def place(self, tile_kernel: TileKernel, *places: tuple[int, int]) -> None:
        """Append a tile: for each of its pointers a base (``ROWS``, …) and elements from it."""
        words = [tile_kernel.address]
        for (base, at), size in zip(places, tile_kernel.element_bytes(len(places)), strict=True):
            words += [base, at * size]
        self.rows.append(np.array(words, dtype=np.int64))
        self.count += 1
        self.uses[tile_kernel] = self.uses.get(tile_kernel, 0) + 1

    def task_cycles(self) -> None:
        """Return no estimate: all tasks run the same lists."""

    def table(self, strides: Strides, types: Types) -> Words:
        """Return the runner's integers; tiles must not be added afterwards."""
        s, source, result = strides, types.source.bytes, types.result.bytes
        sizes = ((s.rows, source), (s.columns, source), (s.results, result))
        walks = [n * size for walk, size in sizes for n in walk]
        slot = s.slot * types.accumulator.bytes
        head = [s.blocks, s.wide, s.steps, s.items, s.values * source, s.slots, slot, *walks]
        starts = [*self.starts, self.count]
        table = np.concatenate([np.array([*head, *starts], dtype=np.int64), *self.rows])
        self.rows = []  # the table has all tiles
        return table
