"""The seconds that this process has spent on timed searches, and how many searches they were."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from convprof.strategies import kernels

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL_S = 0.4
"""Seconds of a search, before one was made: eight candidates are compiled, and timed 9 times."""

_seconds: list[float] = []


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """Count the block as one search, without the loop nests that it compiles."""
    start, compiled_s = time.perf_counter(), kernels.compile_seconds()
    yield
    compiling_s = kernels.compile_seconds() - compiled_s
    _seconds.append(time.perf_counter() - start - compiling_s)


def total_s() -> float:
    """Return the seconds of all searches so far."""
    return sum(_seconds)


def usual_s() -> float:
    """Return the mean seconds of a search so far."""
    return total_s() / len(_seconds) if _seconds else USUAL_S
