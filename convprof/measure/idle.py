"""Wait until no other thread of this process is busy.

Thread teams keep spinning for a while after their work is done (libgomp 2 to 10 ms, OpenBLAS and
ONNX Runtime 30 ms and more, Intel's OpenMP 200 ms), ready for the next call. On few cores this
takes a core away from the contestant that is measured next.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

LOOK_SECONDS = 2e-4
BUSY_SHARE = 0.5
"""Processor time per elapsed time above which some other thread must be spinning: this one sleeps."""  # noqa: E501
PATIENCE_SECONDS = 0.3
TASKS = Path("/proc/self/task")


def settle() -> None:
    """Return as soon as the other threads of this process are idle, or after 0.3 s."""
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while time.perf_counter() < deadline:
        start, used = time.perf_counter(), time.process_time()
        time.sleep(LOOK_SECONDS)
        share = (time.process_time() - used) / (time.perf_counter() - start)
        if share < BUSY_SHARE and not _others_run():
            return


def _others_run() -> bool:
    """Return whether the kernel says that another thread of this process runs or wants to.

    The processor time of a thread that runs on another core is brought up to date at the kernel's
    ticks only, every 1 to 10 ms: a look of 0.2 ms does not see it.
    """
    own = str(threading.get_native_id())
    try:
        others = [name for name in os.listdir(TASKS) if name != own]  # noqa: PTH208  # fast
    except OSError:
        return False  # not Linux: only the processor time is known
    return any(_state(TASKS / name / "stat") == "R" for name in others)


def _state(stat: Path) -> str:
    """Return the state of a thread: ``R`` if it runs. The name before it may hold anything."""
    try:
        text = stat.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        return ""
    return text.rpartition(")")[2].strip()[:1]
