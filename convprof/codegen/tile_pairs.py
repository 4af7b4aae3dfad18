"""Run lists of tiles for every block of rows against blocks of columns, in scratch memory.

An algorithm that never stores a whole rows-by-columns matrix visits blocks of columns for each
block of rows. The tiles of all pairs are the same, except for their starts. So a few lists are
enough for all pairs, and their length does not grow with the problem. A task is a block of rows of
one item of one group (a head of an image); it runs four lists:

    begin (the first block of columns),  step (each of the next),  last (the last one),  end

Blocks of rows of different kinds have different lists, and more steps from one block to the next
where rows have more and more columns.

Stages have the team's signature ``(lo, hi, buffers, dims)``. The buffers: rows, columns of two
kinds (keys, then values), a mask, results, scratch, claims, factors for all tasks. A thread claims
one piece of scratch while it runs tasks, so that one piece per thread is enough.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.jit import Module
from convprof.codegen.tile_list import TileKernel, TileList

if TYPE_CHECKING:
    from convprof.dtypes import DType, Types

    Words = np.ndarray[Any, np.dtype[np.int64]]

ROWS, KEYS, VALUES, MASK, RESULTS, SCRATCH, FACTORS = range(7)
"""The base of a tile's pointer: the block of rows, the block of columns among the keys and among
the values, the block of the mask, the block of results, the thread's piece of scratch, and the
factors, which are the same for all blocks."""
LISTS = 4
BEGIN, STEP, LAST, END = range(LISTS)
CLAIM_BYTES = LINE_BYTES
"""Bytes of a claim: a word that shows whether a thread uses the piece of scratch, on a cache line
of its own. All claims are 0 at first, and no other code may write to them."""

KINDS = 3
"""Kinds of blocks of rows, at most."""
_FIELDS = ("blocks", "items", "sharing", "slots", "slot_bytes")
_OPERANDS = ("rows", "keys", "values", "mask", "results")
"""The operands in the order of their bases and buffers."""
_MOVING = _OPERANDS[KEYS : MASK + 1]
"""The operands that have another start for each block of columns."""
_PLACE_WORDS, _KIND_WORDS = 5, 3
_KINDS_AT = len(_FIELDS) + _PLACE_WORDS * len(_OPERANDS)
_HEAD = _KINDS_AT + _KIND_WORDS * KINDS
_TILE_WORDS = 7

_IR = f"""
define internal void @list(ptr %dims, i64 %which, ptr %bases) {{
entry:
  %starts = getelementptr i64, ptr %dims, i64 {_HEAD}
  %tiles = getelementptr i64, ptr %starts, i64 {KINDS * LISTS + 1}
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

define internal ptr @place(ptr %start, ptr %place, i64 %group, i64 %item, i64 %block) {{
entry:
  %group_p = getelementptr i64, ptr %place, i64 1
  %item_p = getelementptr i64, ptr %place, i64 2
  %block_p = getelementptr i64, ptr %place, i64 3
  %first_at = load i64, ptr %place
  %group_bytes = load i64, ptr %group_p
  %item_bytes = load i64, ptr %item_p
  %block_bytes = load i64, ptr %block_p
  %group_at = mul i64 %group, %group_bytes
  %item_at = mul i64 %item, %item_bytes
  %block_at = mul i64 %block, %block_bytes
  %in_item = add i64 %first_at, %block_at
  %in_group = add i64 %item_at, %in_item
  %at = add i64 %group_at, %in_group
  %there = getelementptr i8, ptr %start, i64 %at
  ret ptr %there
}}

define void @run_pairs(i64 %lo, i64 %hi, ptr %buffers, ptr %dims) {{
entry:
  %bases = alloca [{FACTORS + 1} x ptr]
%OPERANDS%
  %base_factors = getelementptr ptr, ptr %bases, i64 {FACTORS}
  store ptr %buffer_factors, ptr %base_factors
  br label %claim
claim:
  %slot = phi i64 [ 0, %entry ], [ %slot_next, %taken ]
  %claim_at = mul i64 %slot, {CLAIM_BYTES}
  %word = getelementptr i8, ptr %buffer_claims, i64 %claim_at
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
  %scratch = getelementptr i8, ptr %buffer_scratch, i64 %slot_at
  %base_scratch = getelementptr ptr, ptr %bases, i64 {SCRATCH}
  store ptr %scratch, ptr %base_scratch
  br label %task
task:
  %t = phi i64 [ %lo, %claimed ], [ %t_next, %ended ]
  %which = sdiv i64 %t, %blocks
  %block = srem i64 %t, %blocks
  %group = sdiv i64 %which, %items
  %item = srem i64 %which, %items
  %shared_item = sdiv i64 %item, %sharing
%STARTS%
%KIND%
  %kind_at = mul i64 %kind, {_KIND_WORDS}
  %kind_p = getelementptr i64, ptr %kinds, i64 %kind_at
  %steps_p = getelementptr i64, ptr %kind_p, i64 1
  %growth_p = getelementptr i64, ptr %kind_p, i64 2
  %kind_first = load i64, ptr %kind_p
  %first_steps = load i64, ptr %steps_p
  %growth = load i64, ptr %growth_p
  %since = sub i64 %block, %kind_first
  %grown = mul i64 %since, %growth
  %steps = add i64 %first_steps, %grown
  %list_begin = mul i64 %kind, {LISTS}
  %list_step = add i64 %list_begin, {STEP}
  %list_last = add i64 %list_begin, {LAST}
  %list_end = add i64 %list_begin, {END}
  call void @list(ptr %dims, i64 %list_begin, ptr %bases)
  br label %advance
advance:
  %s = phi i64 [ 0, %task ], [ %s_next, %step ]
%ADVANCES%
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
    text = _IR.replace("%POINTERS%", pointers).replace("%OPERANDS%", _operands())
    text = text.replace("%STARTS%", _starts()).replace("%KIND%", _kind())
    return text.replace("%ADVANCES%", _advances())


def _operands() -> str:
    """Write the loads of the buffers and of the head of the table."""
    lines = []
    for i, name in enumerate((*_OPERANDS, "scratch", "claims", "factors")):
        lines.append(f"  %buffer_p{i} = getelementptr ptr, ptr %buffers, i64 {i}")
        lines.append(f"  %buffer_{name} = load ptr, ptr %buffer_p{i}")
    for i, field in enumerate(_FIELDS):
        lines.append(f"  %{field}_word = getelementptr i64, ptr %dims, i64 {i}")
        lines.append(f"  %{field} = load i64, ptr %{field}_word")
    for i, name in enumerate(_OPERANDS):
        at = len(_FIELDS) + _PLACE_WORDS * i
        lines.append(f"  %{name}_place = getelementptr i64, ptr %dims, i64 {at}")
        lines.append(f"  %{name}_base = getelementptr ptr, ptr %bases, i64 {i}")
    for name in _MOVING:
        lines.append(f"  %{name}_by_p = getelementptr i64, ptr %{name}_place, i64 4")
        lines.append(f"  %{name}_by = load i64, ptr %{name}_by_p")
    lines.append(f"  %kinds = getelementptr i64, ptr %dims, i64 {_KINDS_AT}")
    for i in range(1, KINDS):
        lines.append(f"  %first_p{i} = getelementptr i64, ptr %kinds, i64 {_KIND_WORDS * i}")
        lines.append(f"  %first{i} = load i64, ptr %first_p{i}")
    return "\n".join(lines)


def _starts() -> str:
    """Write the starts of a task's operands."""
    return "\n".join(
        f"  %{name} = call ptr @place(ptr %buffer_{name}, ptr %{name}_place, i64 %group, "
        f"i64 %{'shared_item' if name in ('keys', 'values') else 'item'}, i64 %block)\n"
        f"  store ptr %{name}, ptr %{name}_base"
        for name in _OPERANDS
    )


def _kind() -> str:
    """Write the kind of a block: the number of kinds after the first that have begun."""
    lines = [f"  %begun{i} = icmp sge i64 %block, %first{i}" for i in range(1, KINDS)]
    lines += [f"  %one{i} = zext i1 %begun{i} to i64" for i in range(1, KINDS)]
    total = "0"
    for i in range(1, KINDS):
        name = "%kind" if i == KINDS - 1 else f"%kind{i}"
        lines.append(f"  {name} = add i64 {total}, %one{i}")
        total = name
    return "\n".join(lines)


def _advances() -> str:
    """Write the operands' starts for the next block of columns."""
    phis = [
        f"  %{name}_now = phi ptr [ %{name}, %task ], [ %{name}_next, %step ]" for name in _MOVING
    ]
    moves = [
        f"  %{name}_next = getelementptr i8, ptr %{name}_now, i64 %{name}_by\n"
        f"  store ptr %{name}_next, ptr %{name}_base"
        for name in _MOVING
    ]
    return "\n".join(phis + moves)


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
    """From one row or column to the next."""


class Blocked(NamedTuple):
    """Where blocks of an operand begin, in elements."""

    start: int
    """Of the first block, from the start of the buffer."""
    group: int
    """From one group to the next."""
    item: int
    """From one item of a group to the next."""
    rows: int
    """From one block of rows to the next."""
    columns: int
    """From one block of columns to the next."""


NOWHERE = Blocked(0, 0, 0, 0, 0)
"""An operand that no tile reads."""


class Kind(NamedTuple):
    """Blocks of rows, one after the other, with the same lists."""

    first: int
    """The first of the blocks."""
    steps: int
    """Its blocks of columns between the first and the last."""
    growth: int
    """The steps by which each further block has more."""


@dataclass(frozen=True)
class Strides:
    """The repetition of the lists."""

    blocks: int
    """Blocks of rows in an item."""
    kinds: tuple[Kind, ...]
    """Each runs four lists of its own; a kind without blocks begins where the next one does."""
    items: int
    """Items in a group."""
    sharing: int
    """Items, one after the other, that have the same columns."""
    rows: Blocked
    keys: Blocked
    values: Blocked
    mask: Blocked
    results: Blocked
    slots: int
    """Pieces of scratch: as many as threads."""
    slot: int
    """Elements in a piece."""


class PairTiles(TileList):
    """The lists of all kinds: ``task()`` begins the next one; tiles begin relative to blocks."""

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

    def table(self, strides: Strides, types: Types, masks: DType) -> Words:
        """Return the runner's integers; tiles must not be added afterwards.

        ``masks``: the type of the mask.
        """
        s, source = strides, types.source
        operands = (s.rows, s.keys, s.values, s.mask, s.results)
        sizes = (each.bytes for each in (source, source, source, masks, types.result))
        places = [n * size for each, size in zip(operands, sizes, strict=True) for n in each]
        unused = [Kind(s.blocks, 0, 0)] * (KINDS - len(s.kinds))
        kinds = [n for kind in (*s.kinds, *unused) for n in kind]
        slot = s.slot * types.accumulator.bytes
        head = [s.blocks, s.items, s.sharing, s.slots, slot, *places, *kinds]
        lists = KINDS * LISTS + 1
        starts = [*self.starts, *[self.count] * lists][:lists]
        table = np.concatenate([np.array([*head, *starts], dtype=np.int64), *self.rows])
        self.rows = []  # the table has all tiles
        return table
