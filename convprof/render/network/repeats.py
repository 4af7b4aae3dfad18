"""Blocks of layers that repeat, found by equal layers and numbers in their names.

``layer3.1.conv1``, ``layer3.1.conv2``, ``layer3.2.conv1``, ``layer3.2.conv2`` become the two rows
``layer3.1-2.conv1`` and ``layer3.1-2.conv2``, if the layers of both blocks are equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

Row = TypeVar("Row")

MOST_ROWS = 30
"""Longer tables have a row for blocks that repeat, unless ``--all`` requests every row."""
ALL_LINE = "blocks that repeat share a row: --all shows every layer"
LONGEST_BLOCK = 64
"""The most layers of one block; longer blocks are not searched for."""
_NUMBER = re.compile(r"(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Extent:
    """The layers that a table shows."""

    top: int | None = None
    """The number of slowest layers; None: all, in the network's order."""
    every: bool = False
    """Whether blocks that repeat have rows of their own in long tables."""

    def groups(
        self,
        rows: Sequence[Row],
        name: Callable[[Row], str],
        signature: Callable[[Row], Hashable],
    ) -> list[Group[Row]]:
        """Return the rows of a table in the network's order."""
        if self.every or len(rows) <= MOST_ROWS:
            return [Group(name(row), (row,)) for row in rows]
        return grouped(rows, name, signature)


@dataclass(frozen=True, slots=True)
class Group(Generic[Row]):
    """A row, or the rows at the same place of blocks that repeat."""

    name: str
    rows: tuple[Row, ...]


def grouped(
    rows: Sequence[Row], name: Callable[[Row], str], signature: Callable[[Row], Hashable]
) -> list[Group[Row]]:
    """Return the rows in order, with rows of repeated blocks together.

    A block repeats if the signatures of its rows repeat, and if the same number in all names
    increases by one. Of several divisions into blocks, the one that saves most rows is used.
    """
    names, kinds = [name(row) for row in rows], [signature(row) for row in rows]
    groups: list[Group[Row]] = []
    at = 0
    while at < len(rows):
        length, times = _best(names, kinds, at)
        for offset in range(length):
            places = range(at + offset, at + offset + length * times, length)
            label = _range(names[places[0]], names[places[-1]])
            groups.append(Group(label, tuple(rows[place] for place in places)))
        at += length * times
    return groups


def _best(names: Sequence[str], kinds: Sequence[Hashable], at: int) -> tuple[int, int]:
    """Return the length of the block that begins at a row, and the number of its repeats."""
    best, saved = (1, 1), 0
    for length in range(1, min(LONGEST_BLOCK, (len(names) - at) // 2) + 1):
        times = 1
        while _again(names, kinds, at + (times - 1) * length, length):
            times += 1
        if length * (times - 1) > saved:
            best, saved = (length, times), length * (times - 1)
    return best


def _again(names: Sequence[str], kinds: Sequence[Hashable], at: int, length: int) -> bool:
    """Whether the block at a row is followed by an equal block."""
    after = at + length
    if after + length > len(names) or kinds[at:after] != kinds[after : after + length]:
        return False
    pairs = zip(names[at:after], names[after : after + length], strict=True)
    counts = {_counted(first, second) for first, second in pairs}
    return len(counts) == 1 and None not in counts


def _counted(first: str, second: str) -> int | None:
    """Return the number in the first name that is one more in the second name, or None."""
    a, b = _NUMBER.split(first), _NUMBER.split(second)
    if len(a) != len(b):
        return None
    different = {(x, y) for x, y in zip(a, b, strict=True) if x != y}
    if len(different) != 1:
        return None
    x, y = different.pop()
    numbers = x.isdecimal() and y.isdecimal()
    return int(x) if numbers and int(y) == int(x) + 1 else None


def _range(first: str, last: str) -> str:
    """Return ``layer3.1-5.conv1`` for ``layer3.1.conv1`` to ``layer3.5.conv1``."""
    pairs = zip(_NUMBER.split(first), _NUMBER.split(last), strict=True)
    return "".join(x if x == y else f"{x}-{y}" for x, y in pairs)
