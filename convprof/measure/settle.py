"""Wait until nobody else in this process is busy.

Thread teams keep spinning for a while after their work is done (OpenBLAS about 30 ms, libgomp some
milliseconds, Intel's OpenMP 200 ms), ready for the next call. On few cores that takes a core away
from whoever is measured next.
"""

from __future__ import annotations

import time

LOOK_SECONDS = 2e-4
BUSY_SHARE = 0.5
"""Processor time per elapsed time above which some other thread must be spinning: this one sleeps."""  # noqa: E501
PATIENCE_SECONDS = 0.3


def settle() -> None:
    """Return as soon as the other threads of this process rest, or after 0.3 s."""
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while True:
        start, used = time.perf_counter(), time.process_time()
        time.sleep(LOOK_SECONDS)
        now = time.perf_counter()
        if time.process_time() - used < BUSY_SHARE * (now - start) or now > deadline:
            return
