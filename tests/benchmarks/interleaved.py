"""Rounds of short calls in one process, for the scripts next to this file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.strategies.base import Prepared


def fastest_us(every: Sequence[Prepared], rounds: int, calls: int) -> list[float]:
    """Return the microseconds of a call of each; a round has some calls of each, in turn."""
    samples = [[_seconds(each, calls) for each in every] for _ in range(rounds)]
    return [1e6 * min(column) for column in zip(*samples, strict=True)]


def _seconds(prepared: Prepared, calls: int) -> float:
    """Return the seconds of a call, one after another."""
    start = time.perf_counter()
    for _ in range(calls):
        prepared.run()
    return (time.perf_counter() - start) / calls
