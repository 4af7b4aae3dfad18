"""``tiled`` with its tiles shared out over the cores. Removes the limit of one core."""

from __future__ import annotations

from convprof.strategies.gemm.tiled import Tiled


class Threaded(Tiled):
    """Blocked for registers and caches, all threads."""

    name = "threaded"
    summary = "tiled, with the tiles shared out over the threads"
    parallel = True
    least_threads = 2
    on_one_thread = Tiled.name
