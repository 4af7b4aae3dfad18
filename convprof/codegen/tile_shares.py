"""Divide tiles among threads into shares of equal work.

Tiles keep their order as far as possible, because neighbours use the same data: only groups of
tiles at the ends of shares are divided. Where few large tiles are left in such a group, the largest
go first, each to the thread with the most room.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Integers = np.ndarray[Any, np.dtype[np.int64]]
    Floats = np.ndarray[Any, np.dtype[np.float64]]

NEAR = 0.02
"""Of a share: so much more or less work is accepted to keep tiles in order."""


class Shares(NamedTuple):
    """The tiles of each thread, and the work of the busiest thread over the mean."""

    tiles: list[Integers]
    """Positions of tiles."""
    longest: float
    """Work of the largest share."""
    mean: float

    @property
    def balance(self) -> float:
        """The mean share over the longest."""
        return self.mean / self.longest if self.longest else 1.0


def shares(costs: Floats, starts: Sequence[int], count: int) -> Shares:
    """Divide tiles into ``count`` shares of equal ``costs``.

    ``starts`` are the positions of the first tile of each group.
    """
    edges = np.array([*starts, len(costs)], dtype=np.int64)
    before = np.concatenate([[0.0], np.cumsum(costs)])[edges]
    mean, last = float(costs.sum()) / count, len(edges) - 1
    own: list[list[Integers]] = [[] for _ in range(count)]
    member, room, number = 0, mean, 0
    while number < last:
        alone = member == count - 1
        inside = last - number if alone else _inside(before[number:], room, NEAR * mean)
        own[member].append(np.arange(edges[number], edges[number + inside]))
        room -= float(before[number + inside] - before[number])
        number += inside
        if number == last:
            break
        lo, hi = int(edges[number]), int(edges[number + 1])
        rest, left = float(before[-1] - before[number]), count - member - 1
        group, work = costs[lo:hi], float(before[number + 1] - before[number])
        further = max(0.0, rest - room) / left
        ends = [room]
        while sum(ends) < work - NEAR * mean and len(ends) <= left:
            ends.append(further)
        division = _divided(group, ends, NEAR * mean)
        for offset, positions in enumerate(division):
            own[member + offset].append(lo + positions)
        member += len(ends) - 1
        room = ends[-1] - float(group[division[-1]].sum())
        # small groups fill the share: what it lacked would add up on the last shares
        if room <= min(NEAR * mean, work / 2) and member < count - 1:
            member += 1
            room = (rest - work) / (count - member)
        number += 1
    tiles = [np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in own]
    longest = max(float(costs[positions].sum()) for positions in tiles)
    return Shares(tiles, longest, mean)


def _inside(before: Floats, room: float, near: float) -> int:
    """Return how many groups are whole in a share that has room for more after them.

    ``before`` is the work before each group; at its end, the work of all.
    """
    fitting = int(np.searchsorted(before, before[0] + room + near, side="right"))
    after = room - (before[1:fitting] - before[0])
    ending = after <= np.minimum(near, np.diff(before[:fitting]) / 2)
    return int(ending.argmax()) if ending.any() else len(after)


def _divided(costs: Floats, rooms: Sequence[float], near: float) -> list[Integers]:
    """Return the positions of the tiles for each room: in order, or the largest tiles first."""
    positions = np.arange(len(costs))
    if len(rooms) == 1:
        return [positions]
    before = np.concatenate([[0.0], np.cumsum(costs)])
    limits = np.cumsum(rooms)[:-1]
    after = np.minimum(np.searchsorted(before, limits), len(costs))
    nearer = np.abs(before[np.maximum(after - 1, 0)] - limits) < np.abs(before[after] - limits)
    in_order = np.split(positions, np.maximum.accumulate(after - nearer))
    if _error(costs, in_order, rooms) <= near:
        return in_order
    rest = max(0.0, float(costs.sum()) - sum(rooms[:-1]))
    heap = [(-room, index) for index, room in enumerate((*rooms[:-1], rest))]
    heapq.heapify(heap)
    chosen: list[list[int]] = [[] for _ in rooms]
    for position in np.argsort(-costs, kind="stable").tolist():
        room, index = heap[0]
        chosen[index].append(position)
        heapq.heapreplace(heap, (room + float(costs[position]), index))
    largest_first = [np.array(sorted(own), dtype=np.int64) for own in chosen]
    return min(in_order, largest_first, key=lambda each: _error(costs, each, rooms))


def _error(costs: Floats, division: Sequence[Integers], rooms: Sequence[float]) -> float:
    """Return by how much the worst share misses its room; only the last share gets more later."""
    *full, last = (
        float(costs[positions].sum()) - room
        for positions, room in zip(division, rooms, strict=True)
    )
    return max([last, *map(abs, full)])
