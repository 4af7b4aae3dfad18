"""The memory of a chain's results: results that are not needed at the same time share it.

Sizes and lifetimes are known beforehand, so the offsets are too. The largest result is placed
first; each gets the lowest offset at which it overlaps no result with an overlapping lifetime
(Pisarchyk & Lee 2020, greedy by size).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.integers import round_up
from convprof.strategies.memory import PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A piece of memory: from the layer that writes it to the last layer that reads it."""

    size: int
    """Bytes."""
    first: int
    last: int

    def overlaps(self, other: Lifetime) -> bool:
        """Return whether both are needed at some time."""
        return self.first <= other.last and other.first <= self.last


def places(lives: Mapping[str, Lifetime]) -> tuple[dict[str, int], int]:
    """Return the offset of each piece, in whole pages, and the bytes needed in all."""
    order = sorted(lives, key=lambda name: (-lives[name].size, lives[name].first, name))
    offsets: dict[str, int] = {}
    total = 0
    for name in order:
        life = lives[name]
        taken = sorted(
            (offsets[other], offsets[other] + _pages(lives[other].size))
            for other in offsets
            if lives[other].overlaps(life)
        )
        at = 0
        for start, end in taken:
            if at + _pages(life.size) <= start:
                break
            at = max(at, end)
        offsets[name] = at
        total = max(total, at + _pages(life.size))
    return offsets, total


def _pages(size: int) -> int:
    return round_up(size, PAGE_BYTES)
