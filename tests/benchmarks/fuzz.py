"""Hostile inputs for every reader: at least 10,000 each, counted.

    python tests/benchmarks/fuzz.py [--inputs 10000] [--seed 0] [--reader NAME]...
    python tests/benchmarks/fuzz.py --guided 60 --reader "batch files"

Prints a row per reader: inputs, accepted, refused, faults; and the first input of each fault.
``--guided`` looks for inputs that reach further lines of the code, for so many seconds; it needs
``pip install atheris``, which no part of convprof does otherwise.
Expected: no fault. How inputs are made and what is a fault: tests/fuzz/hostile_bounds.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

ROW = "{:<20}{:>9}{:>10}{:>9}{:>8}{:>8}"
FUZZ = Path(__file__).resolve().parents[1] / "fuzz"


class Trial:
    """The inputs of one reader: counts, and for each kind of fault its traceback and input."""

    def __init__(self, reader, folder):
        self.reader, self.folder = reader, Path(folder)
        self.counts, self.faults = Counter(), {}
        self.begun = time.process_time()

    def one(self, value):
        """Try an input."""
        import hostile_bounds

        self.counts["inputs"] += 1
        try:
            self.counts[hostile_bounds.judge(self.reader, value, self.folder)] += 1
        except (Exception, hostile_bounds.TooSlowError) as error:  # noqa: BLE001  # what is looked for
            self.counts["faults"] += 1
            frame = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} {Path(frame.filename).name}:{frame.lineno}"
            self.faults.setdefault(kind, (traceback.format_exc(limit=-6), value))

    def every(self, inputs, start):
        """Return the test that tries that number of inputs."""

        @seed(start)
        @settings(
            max_examples=inputs,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(self.reader.inputs())
        def test(value):
            self.one(value)

        return test

    def report(self):
        """Print the counts and the faults."""
        numbers = [self.counts[word] for word in ("inputs", "accepted", "refused", "faults")]
        seconds = time.process_time() - self.begun
        print(ROW.format(self.reader.name, *numbers, f"{seconds:.0f}"), flush=True)
        for kind, (trace, value) in self.faults.items():
            print(f"--- {kind}: {repr(value)[:2000]}\n{trace}", flush=True)


def guided(trial, seconds):
    """Let atheris look for inputs that reach further; does not return."""
    import atheris

    test = trial.every(1, 0).hypothesis.fuzz_one_input
    end = time.monotonic() + seconds

    def one(data):
        test(data)
        if time.monotonic() > end:
            trial.report()
            os._exit(bool(trial.faults))  # libFuzzer has no other way to stop without an error

    with atheris.instrument_imports(include=["convprof"]):
        atheris.Setup([sys.argv[0], "-verbosity=0", "-max_len=4000"], one)
        atheris.Fuzz()


def main():
    """Try the readers and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="Only this one; repeatable.")
    parser.add_argument("--guided", type=float, metavar="SECONDS", help="By coverage, of one.")
    given_ = parser.parse_args()
    if given_.guided and len(given_.reader or ()) != 1:
        parser.error("--guided: name one --reader")
    sys.path.insert(0, str(FUZZ))
    import hostile

    print(ROW.format("reader", "inputs", "accepted", "refused", "faults", "CPU s"), flush=True)
    failed = False
    for reader in hostile.READERS:
        if given_.reader and reader.name not in given_.reader:
            continue
        if reader.needs and importlib.util.find_spec(reader.needs) is None:
            print(f"{reader.name:<20} left out: {reader.needs} is not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(reader, folder)
            if given_.guided:
                guided(trial, given_.guided)
            trial.every(given_.inputs, given_.seed)()
        trial.report()
        failed |= bool(trial.faults)
    sys.exit(failed)


if __name__ == "__main__":
    main()
