"""How many finished problems of a batch survive SIGINT, SIGTERM, SIGHUP and SIGKILL?

A batch of small products is ended at ten moments by each signal. Finished are the problems whose
tables were printed, or that are in the journal, whichever are more. Kept are those in the document,
or after SIGKILL in what ``convprof show`` makes of the journal. Then the same command runs again:
it has to end with every problem, and with the very figures that were kept.

    python tests/benchmarks/interruptions.py [--problems 40] [--moments 10]
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL")
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGKILL": -9}
CONVPROF = [sys.executable, "-m", "convprof"]
TITLE = "gemm ("
LONGEST_S = 120.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits "ignored"
    rng = random.Random(arguments.seed)
    print("signal   after  finished  kept  exit  again  same figures")
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in SIGNALS:
            for moment in range(arguments.moments):
                after = 1 + moment * (arguments.problems - 8) // max(1, arguments.moments - 1)
                row = once(Path(folder), name, after, arguments.problems, rng.random() * 0.05)
                finished, kept, code, again, same = row
                right = kept >= finished and code == CODES[name] and again and same
                bad += not right
                marks = f"{'yes' if again else 'NO':>5}  {'yes' if same else 'NO'}"
                print(f"{name:8} {after:5} {finished:9} {kept:5} {code:5}  {marks}", flush=True)
    print(f"{bad} of {len(SIGNALS) * arguments.moments} interruptions cost something")
    sys.exit(1 if bad else 0)


def once(folder, name, after, problems, delay_s):
    """End a batch a little after ``after`` problems are finished; count."""
    batch, path, log = folder / "batch", folder / "o.json", folder / "out"
    journal = folder / "o.json.journal"
    for old in folder.iterdir():
        old.unlink()
    batch.write_text("".join(f"{16 + n}x16:16x16\n" for n in range(problems)))
    command = [*CONVPROF, "run", "--batch", str(batch), "-s", "naive,packed", "-t", "1"]
    command += ["--budget", "0.01", "--json", str(path)]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        until(lambda: journal.exists() and lines(journal) > after, process)
        time.sleep(delay_s)
        process.send_signal(getattr(signal, name))
        code = process.wait(LONGEST_S)
    printed = log.read_text().count(TITLE)
    finished = lines(journal) - 1 if journal.exists() else printed
    if name == "SIGKILL":
        finished = max(finished, printed)
        subprocess.run(
            [*CONVPROF, "show", str(journal), "--json", str(path), "--quiet"],
            stdout=subprocess.DEVNULL,
            check=False,
        )
    kept = figures(path)
    path.unlink(missing_ok=True)
    with log.open("w") as out:
        subprocess.run(command, stdout=out, stderr=subprocess.DEVNULL, check=False)
    final = figures(path)
    whole = len(final) == problems and log.read_text().count(TITLE) == problems
    # An interrupted problem has fewer samples in the document, and is measured again.
    saved = [key for key in kept if kept[key] == final.get(key)]
    return finished, len(kept), code, whole and not journal.exists(), len(saved) >= finished


def until(condition, process):
    """Wait until something is so; RuntimeError if the process ends before."""
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"ended with {process.returncode} before the moment")
        time.sleep(0.002)


def lines(path):
    """Return the number of whole lines."""
    return path.read_bytes().count(b"\n")


def figures(path):
    """Return the samples of each problem by its size; nothing for no document."""
    if not path.exists():
        return {}
    found = {}
    for m in json.loads(path.read_text(encoding="utf-8"))["measurements"]:
        found.setdefault(m["problem"]["m"], []).append((m["strategy"], m["time_s"]))
    return found


if __name__ == "__main__":
    main()
