"""``tiled`` with its tiles shared out over the cores. Removes the limit of one core."""

from __future__ import annotations

from typing import ClassVar

from convprof.strategies.gemm.tiled import Tiled


class Threaded(Tiled):
    """Blocked for registers and caches, all threads."""

    name: ClassVar[str] = "threaded"
    summary: ClassVar[str] = "tiled, with the tiles shared out over the threads"
    parallel: ClassVar[bool] = True
