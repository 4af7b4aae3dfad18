"""The number of threads that this process can still start: libraries end it if a start fails.

A limit on processes (``ulimit -u``, RLIMIT_NPROC) counts threads; ``pids.max`` of a cgroup too.
"""

from __future__ import annotations

import os
import threading
import time

TASKS = "/proc/self/task"
PATIENCE_S = 0.05


def startable(most: int) -> int:
    """Return the number of threads, at most ``most``, that can be started now, by starting them."""
    before = _tasks()
    gate = threading.Event()
    threads: list[threading.Thread] = []
    try:
        for _ in range(most):
            thread = threading.Thread(target=gate.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:  # can't start new thread
        pass
    finally:
        gate.set()
    for thread in threads:
        thread.join()
    # The system may count a joined thread for a moment.
    deadline = time.perf_counter() + PATIENCE_S
    while threads and _tasks() > before and time.perf_counter() < deadline:
        time.sleep(1e-4)
    return len(threads)


def _tasks() -> int:
    try:
        return len(os.listdir(TASKS))  # noqa: PTH208  # fast
    except OSError:
        return 0
