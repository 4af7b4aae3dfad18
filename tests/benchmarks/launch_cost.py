"""What launching and joining a team of threads costs, with nothing to do.

    python tests/benchmarks/launch_cost.py

convprof's team, numba's parallel region under each threading layer that this installation has, and
a thread pool of the standard library. Medians and minima in microseconds over back-to-back launches.
"""  # noqa: E501

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from convprof.codegen.threads import Program, team
from convprof.machine import facts
from convprof.stats import median
from convprof.strategies import kernels

LAUNCHES = 2000

NUMBA = """
import time, numba, numpy as np
numba.config.THREADING_LAYER = {layer!r}
@numba.njit(parallel=True)
def region(out):
    for i in numba.prange(len(out)):
        out[i] = i
out = np.zeros({threads})
numba.set_num_threads({threads})
region(out)
times = []
for _ in range({launches}):
    start = time.perf_counter_ns()
    region(out)
    times.append(time.perf_counter_ns() - start)
times.sort()
print(times[len(times) // 2], times[0])
"""


def nothing(lo, hi, buffers, dims):
    """Do nothing."""


def ours(threads: int) -> list[int]:
    """Return the times of launching convprof's team."""
    members = team(threads)
    table = np.zeros(4, dtype=np.int64)
    row = (kernels.address(nothing, "f32"), 0, threads, table.ctypes.data, table.ctypes.data)
    program = Program([row], threads)
    return _times(lambda: members.run(program))


def pool(threads: int) -> list[int]:
    """Return the times of handing a task to each thread of a standard pool."""
    with ThreadPoolExecutor(threads) as executor:
        return _times(lambda: wait([executor.submit(int) for _ in range(threads)]))


def _times(launch) -> list[int]:
    times = []
    for _ in range(LAUNCHES):
        start = time.perf_counter_ns()
        launch()
        times.append(time.perf_counter_ns() - start)
    return times


def _print(label: str, middle: float, least: float) -> None:
    print(f"{label:28} median {middle / 1e3:8.2f} µs   least {least / 1e3:8.2f} µs")


def main() -> None:
    """Print a line per kind of team."""
    threads = facts().topology.usable_cores
    print(f"{threads} threads")
    for label, times in (("convprof's team", ours(threads)), ("ThreadPoolExecutor", pool(threads))):
        _print(label, median(times), min(times))
    for layer in ("omp", "tbb", "workqueue"):
        code = NUMBA.format(layer=layer, threads=threads, launches=LAUNCHES)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            middle, least = map(int, done.stdout.split())
            _print(f"numba prange, {layer}", middle, least)
        else:
            print(f"numba prange, {layer:13} not available")


if __name__ == "__main__":
    main()
