"""How many more threads this process can start: libraries end the process where one does not start.

A limit on processes (``ulimit -u``, RLIMIT_NPROC) counts threads, as does ``pids.max`` of a cgroup.
"""

from __future__ import annotations

import os
import threading
import time

TASKS = "/proc/self/task"
PATIENCE_S = 0.05


def startable(wanted: int) -> int:
    """Return how many threads, at most ``wanted``, can be started now; found by starting them."""
    before = _tasks()
    gate = threading.Event()
    threads: list[threading.Thread] = []
    try:
        for _ in range(wanted):
            thread = threading.Thread(target=gate.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:  # can't start new thread
        pass
    finally:
        gate.set()
    for thread in threads:
        thread.join()
    # A thread that has been joined may still count for a moment.
    deadline = time.perf_counter() + PATIENCE_S
    while threads and _tasks() > before and time.perf_counter() < deadline:
        time.sleep(1e-4)
    return len(threads)


def _tasks() -> int:
    try:
        return len(os.listdir(TASKS))  # noqa: PTH208  # fast
    except OSError:
        return 0
