"""The kinds of blocks of queries: which blocks of keys each of them has.

Without a causal mask every block has all keys; the last block has fewer queries. With one, a block
of queries has all blocks of keys before its first query's own key, and then the keys up to its last
query's own key. These are the *diagonal* keys: some queries have all of them, others have fewer.
The number of keys in a block divides the number of queries, so that the diagonal is at the same
place in all blocks of a kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.tile_pairs import Kind
from convprof.integers import ceil_div
from convprof.problems.attention import CAUSAL

if TYPE_CHECKING:
    from convprof.problems import Attention

KEY_STEP = 16
"""Keys are left out of a diagonal in whole steps: each number of keys is a kernel of its own."""


@dataclass(frozen=True)
class Columns:
    """A block of keys, as a block of queries has it."""

    keys: int
    diagonal: int | None = None
    """The keys that the first query has; each further query has one more. None: all have all."""

    def of(self, query: int) -> int:
        """Return the keys that a query has."""
        return self.keys if self.diagonal is None else min(self.keys, self.diagonal + query)

    def computed(self, query: int) -> int:
        """Return the keys whose powers a query needs, in steps of ``KEY_STEP``: at least one."""
        return min(self.keys, ceil_div(max(1, self.of(query)), KEY_STEP) * KEY_STEP)


@dataclass(frozen=True)
class BlockKind:
    """Blocks of queries that run the same lists."""

    run: Kind
    """Where they are, and how many steps they have."""
    queries: int
    begin: Columns
    has_steps: bool
    last: Columns
    """The last block of keys; without keys if the first block has them all."""
    step_keys: int
    """Keys of a block between the first and the last."""

    @property
    def most_keys(self) -> int:
        """The keys of the largest block."""
        steps = self.step_keys if self.has_steps else 0
        return max(self.begin.keys, steps, self.last.keys)


def kinds(p: Attention, width: int, keys: int) -> list[BlockKind]:
    """Return the kinds of blocks of ``width`` queries and ``keys`` keys, in order."""
    return _causal(p, width, keys) if p.mask == CAUSAL else _whole(p, width, keys)


def _whole(p: Attention, width: int, keys: int) -> list[BlockKind]:
    """Return a kind of blocks of ``width`` queries and one of the rest; all have all keys."""
    blocks = ceil_div(p.keys, keys)
    steps = max(0, blocks - 2)  # the first and the last are in other lists
    begin = Columns(min(keys, p.keys))
    last = Columns(p.keys - (blocks - 1) * keys if blocks > 1 else 0)
    wide, rest = divmod(p.tokens, width)
    return [
        BlockKind(Kind(first, steps, 0), queries, begin, steps > 0, last, keys)
        for first, queries in ((0, width if wide else 0), (wide, rest))
    ]


def _causal(p: Attention, width: int, keys: int) -> list[BlockKind]:
    """Return the kinds with a causal mask.

    The first block of queries may have diagonal keys only; then it is a kind of its own.
    """
    if width % keys:
        raise ValueError(f"{keys} keys do not divide {width} queries")
    wide, rest = divmod(p.tokens, width)
    blocks = ceil_div(p.tokens, width)
    first = int(p.earlier + 1 < keys)
    runs = [(range(1), min(width, p.tokens))] * first
    runs += [(range(first, wide), width), (range(max(first, wide), blocks), rest)]
    return [_diagonal(p, blocks, queries, width, keys) for blocks, queries in runs]


def _diagonal(p: Attention, blocks: range, queries: int, width: int, keys: int) -> BlockKind:
    """Return the kind of some blocks of queries, whose last keys are diagonal."""
    whole, diagonal = divmod(p.earlier + 1, keys)  # of the first block
    growth = width // keys
    before = whole + growth * blocks.start  # blocks of keys before the diagonal ones
    last = Columns(max(0, diagonal + queries - 1), diagonal)
    if queries == 1 and not diagonal:  # its own key is the last one of a whole block
        before, last = before - 1, Columns(keys)
    most = before + growth * (len(blocks) - 1)
    return BlockKind(
        Kind(blocks.start, before - 1, growth),
        queries if blocks else 0,
        Columns(keys) if before else last,
        most > 1,
        last if before else Columns(0),
        keys,
    )
