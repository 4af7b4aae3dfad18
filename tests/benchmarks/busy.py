"""Does a busy machine make convprof state what cannot be true?

    python tests/benchmarks/busy.py [--times 20] [--quick]

Each command runs once on the machine as it is, which should be idle, and then ``--times`` times
next to programs that keep every CPU busy. Counted over those runs: rows with an impossible time
and no mark, rows with a mark, and verdicts (faster, slower) that contradict the idle ones.
Expected: no impossible row without a mark, no contradiction.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

COMMANDS = {
    "run": ["run", "resnet50:layer1.0.conv2"],
    "compare layouts": ["compare", "layouts", "resnet50:layer1.0.conv2"],
    "ladder": ["ladder", "gemm", "--size", "512"],
    "network": ["network", "mnist-cnn"],
}
QUICK = {
    "run": ["run", "64x64:64x64"],
    "compare layouts": ["compare", "layouts", "mb1ic16ih28oc16kh3ph1", "-s", "tiled,microkernel"],
    "ladder": ["ladder", "gemm", "--size", "128"],
    "network": ["network", "mnist-cnn"],
}
SPIN = "while True: pass"
FAR = 4.0
"""A median of this many times the idle median is impossible."""
CERTAIN = {"faster", "slower"}


@contextlib.contextmanager
def load():
    """Keep every CPU busy."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def document(words):
    """Run a command with choices of its own; return its document."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        command = [sys.executable, "-m", "convprof", *words, "-q", "--json", str(path)]
        environment = {**os.environ, "CONVPROF_CACHE_DIR": folder}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        return json.loads(path.read_text(encoding="utf-8"))


def rows(found):
    """Return the measurements with a time, by what tells them apart."""
    return {
        (
            m["problem"]["name"] or m["problem"]["descriptor"],
            m["strategy"],
            m["layout"],
            m["threads"],
            m["cache"],
        ): m
        for m in found["measurements"]
        if m["time_s"] is not None
    }


def verdicts(found):
    """Return the verdict of each comparison, by its two sides."""
    return {json.dumps([c["a"], c["b"]]): c["verdict"] for c in found["comparisons"]}


def judged(idle, busy):
    """Return what is wrong with a document from a busy machine, counted."""
    counts = Counter()
    calm = rows(idle)
    for key, row in rows(busy).items():
        known = calm.get(key)
        counts["rows"] += 1
        counts["marked"] += row["doubt"] is not None
        if known is None or known["doubt"] is not None or row["doubt"] is not None:
            continue
        ratio = row["time_s"]["median"] / known["time_s"]["median"]
        counts["impossible without a mark"] += not 1 / FAR < ratio < FAR
    before = verdicts(idle)
    for key, verdict in verdicts(busy).items():
        counts["comparisons"] += 1
        counts["undecided"] += verdict == "undecided"
        certain = {verdict, before.get(key)} == CERTAIN
        counts["contradictions"] += certain
    return counts


def main():
    """Print a line per command; return 1 if something impossible was stated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="smaller problems")
    options = parser.parse_args()
    wrong = 0
    for name, words in (QUICK if options.quick else COMMANDS).items():
        idle = document(words)
        total = Counter()
        with load():
            for _ in range(options.times):
                total += judged(idle, document(words))
        wrong += total["impossible without a mark"] + total["contradictions"]
        doubtful = sum(m["doubt"] is not None for m in idle["measurements"])
        print(
            f"{name}: {total['rows']} rows, {total['marked']} marked, "
            f"{total['impossible without a mark']} impossible without a mark; "
            f"{total['comparisons']} comparisons, {total['undecided']} undecided, "
            f"{total['contradictions']} contradict the idle ones "
            f"({doubtful} idle rows in doubt)"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
