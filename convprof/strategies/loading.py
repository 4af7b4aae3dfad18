"""The seconds of what a process does once: it loads loop nests and libraries."""

from __future__ import annotations

from convprof.strategies import kernels
from convprof.strategies.peers import package


def seconds() -> float:
    """Return the seconds that this process has spent so far."""
    return kernels.compile_seconds() + package.import_seconds()
