"""What each tile of a panel of weights fetches of the next panel, so that it is near in time.

Weights from beyond L2 meet a panel's first tile faster than the memory gives them, and its other
tiles not at all. Shared out among all tiles, by the time that each takes, the reading keeps an even
pace, and no tile waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div

if TYPE_CHECKING:
    Integers = np.ndarray[Any, np.dtype[np.int64]]


class Fetching:
    """Hands out the parts of one panel after the other to the tiles that come before it."""

    def __init__(self, panel: int, work: int) -> None:
        """Take the elements of a panel, and the rows times steps of all tiles that it meets."""
        self._panel = panel
        self._work = work
        self._start, self._size, self._taken = 0, panel, 0

    def begin(self, start: int, size: int) -> None:
        """Fetch from now on the panel of ``size`` elements that starts there."""
        self._start, self._size, self._taken = start, size, 0

    def each_step(self, rows: int) -> int:
        """Return the elements that each step of a tile of so many rows is to fetch."""
        return ceil_div(self._panel * rows, max(1, self._work))

    def take(self, tiles: int, elements: int) -> Integers:
        """Return where each of so many tiles starts to fetch, ``elements`` each."""
        starts = self._taken + np.arange(tiles) * elements
        self._taken += tiles * elements
        return self._start + np.minimum(starts, max(0, self._size - elements))
