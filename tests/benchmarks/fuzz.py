"""Hostile inputs for every reader: at least 10,000 each, counted.

    python tests/benchmarks/fuzz.py [--inputs 10000] [--seed 0] [--reader NAME]...

Prints a row per reader: inputs, accepted, refused, faults; and the first input of each fault.
Expected: no fault. How inputs are made and what is a fault: tests/fuzz/hostile.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"


def tried(reader, inputs, start):
    """Return counts, and for each kind of fault its first traceback and input."""
    import hostile

    counts, faults = Counter(), {}

    with tempfile.TemporaryDirectory() as folder:

        @seed(start)
        @settings(
            max_examples=inputs,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(reader.inputs())
        def every(value):
            counts["inputs"] += 1
            try:
                counts[hostile.judge(reader, value, Path(folder))] += 1
            except (Exception, hostile.TooSlowError) as error:  # noqa: BLE001  # what is looked for
                counts["faults"] += 1
                frame = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} {Path(frame.filename).name}:{frame.lineno}"
                faults.setdefault(kind, (traceback.format_exc(limit=-6), value))

        every()
    return counts, faults


def main():
    """Try the readers and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="Only this one; repeatable.")
    given_ = parser.parse_args()
    sys.path.insert(0, str(FUZZ))
    import hostile

    print(f"{'reader':<20}{'inputs':>9}{'accepted':>10}{'refused':>9}{'faults':>8}{'CPU s':>8}")
    failed = False
    for reader in hostile.READERS:
        if given_.reader and reader.name not in given_.reader:
            continue
        if reader.needs and importlib.util.find_spec(reader.needs) is None:
            print(f"{reader.name:<20} left out: {reader.needs} is not installed")
            continue
        begun = time.process_time()
        counts, faults = tried(reader, given_.inputs, given_.seed)
        numbers = [counts[word] for word in ("inputs", "accepted", "refused", "faults")]
        print(
            "{:<20}{:>9}{:>10}{:>9}{:>8}{:>8.0f}".format(
                reader.name, *numbers, time.process_time() - begun
            ),
            flush=True,
        )
        for kind, (trace, value) in faults.items():
            failed = True
            print(f"--- {kind}: {repr(value)[:2000]}\n{trace}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
