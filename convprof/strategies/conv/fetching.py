"""Software prefetch: each tile of a panel of weights fetches a part of the next panel.

Without prefetch, a panel's first tile reads all weights from beyond L2, and waits; the other tiles
find them in a cache. With prefetch, every tile reads a share of the next panel, in proportion to
its time, and no tile waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div

if TYPE_CHECKING:
    Integers = np.ndarray[Any, np.dtype[np.int64]]


class Fetching:
    """Assigns the parts of each panel to the tiles that run before it."""

    def __init__(self, panel: int, work: int) -> None:
        """Take the elements of a panel, and the rows times steps of all tiles that use it."""
        self._panel = panel
        self._work = work
        self._start, self._size, self._taken = 0, panel, 0

    def begin(self, start: int, size: int) -> None:
        """Begin with another panel: its first element, and its number of elements."""
        self._start, self._size, self._taken = start, size, 0

    def each_step(self, rows: int) -> int:
        """Return the elements that each step of a tile of this height has to fetch."""
        return ceil_div(self._panel * rows, max(1, self._work))

    def take(self, tiles: int, elements: int) -> Integers:
        """Return where each of ``tiles`` starts to fetch, ``elements`` each."""
        starts = self._taken + np.arange(tiles) * elements
        self._taken += tiles * elements
        return self._start + np.minimum(starts, max(0, self._size - elements))
