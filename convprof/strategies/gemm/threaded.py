"""``tiled`` with its tiles shared out over the cores. Removes the limit of one core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.strategies.gemm.tiled import Tiled

if TYPE_CHECKING:
    from convprof.problems import Gemm
    from convprof.strategies.base import Setting


class Threaded(Tiled):
    """Blocked for registers and caches, all threads."""

    name = "threaded"
    summary = "tiled, with the tiles shared out over the threads"
    parallel = True
    least_threads = 2

    def why_not(self, problem: Gemm, setting: Setting) -> str | None:
        """Refuse one thread: the code would be the same as in ``tiled``."""
        reason = super().why_not(problem, setting)
        if reason is None and setting.threads < self.least_threads:
            return f"{self.name} needs at least 2 threads; on one thread tiled is the same"
        return reason
