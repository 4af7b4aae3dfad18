"""``history`` over 10,000 saved runs, and two processes that save 500 runs each.

    python tests/benchmarks/history.py

Expected: ``history`` and ``history PROBLEM`` under 1 s; every run that a process has finished is in
the store, although one of both is killed with SIGKILL in the middle.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from result_rates import document, row

from convprof.studies import reading
from convprof.studies.history import store
from convprof.studies.history.points import points
from convprof.studies.history.save import save

RUNS, PROBLEMS = 10_000, 4
EACH = 500


def writer(name: str) -> None:
    """Save runs; print the number of each that is finished."""
    data = json.dumps(document([row(1, [1e-3] * 25)])).encode()
    for number in range(EACH):
        save(name, data)
        print(number, flush=True)


def fill() -> None:
    """Put 10,000 runs into the store, in one transaction: only reading is measured."""
    draw = random.Random(1)
    rows = [row(at, [1e-3 * draw.lognormvariate(0, 0.01)] * 25) for at in range(PROBLEMS)]
    made = document([each | {"peak_fraction": 0.8} for each in rows])
    save("main", json.dumps(made).encode())
    kept = [(*point.row(), best) for point, best in points(reading.document(made).measurements)]
    connection = sqlite3.connect(store.path())
    with connection:
        copy = "INSERT INTO runs (name, saved_s, machine, brand, document) SELECT name, saved_s + ?, machine, brand, document FROM runs WHERE id = 1"  # noqa: E501
        marks = ", ".join("?" * (len(kept[0]) + 1))
        insert = f"INSERT INTO points VALUES ({marks})"  # noqa: S608  # no value is in the text
        for number in range(2, RUNS + 1):
            connection.execute(copy, [60.0 * number])
            connection.executemany(insert, [(number, *each) for each in kept])
    connection.close()


def seconds(*words: str) -> float:
    """Return the time of a whole command, the fastest of five."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        command = [sys.executable, "-m", "convprof", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = folder
        fill()
        size = store.path().stat().st_size
        print(f"{RUNS:,} runs of {PROBLEMS} problems, {size >> 20} MiB")
        print(f"history: {seconds('history'):.2f} s")
        print(f"history 64x64:64x64: {seconds('history', '64x64:64x64'):.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = folder
        both = [
            subprocess.Popen([sys.executable, __file__, name], stdout=subprocess.PIPE)
            for name in ("whole", "killed")
        ]
        for _ in range(EACH // 2):
            both[1].stdout.readline()
        both[1].send_signal(signal.SIGKILL)
        finished = EACH // 2 + len(both[1].communicate()[0].splitlines())
        both[0].communicate()
        names = [run.name for run in store.saved(None, None)]
        print(f"whole: {names.count('whole')} of {EACH} runs are in the store")
        print(f"killed: {names.count('killed')} runs are in the store, {finished} were finished")


if __name__ == "__main__":
    writer(sys.argv[1]) if sys.argv[1:] else main()
