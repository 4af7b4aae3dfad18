"""How good the estimates of the remaining time are, by command.

    python tests/benchmarks/estimates.py [COMMAND…] [--keep FOLDER]
    python tests/benchmarks/estimates.py --replay FOLDER

Each command runs twice in a process of its own: the first time with an empty folder of stored
choices, ceilings and loop nests, and again with what that left. The events and their times are
recorded. Printed are the largest and the median error after the first third of a command, as a
share of its whole time. ``--keep`` stores the recordings; ``--replay`` gives stored events to the
estimate as it is now, on a clock that follows the recording. A recording of a busy machine serves
as well as one of an idle machine: both sequences happened.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from convprof import cli
from convprof.measure import events
from convprof.measure.estimate import Estimate

COMMANDS = [
    "run",
    "run resnet50:layer1.* -s microkernel -s im2col",
    "network mnist-cnn",
    "network resnet18",
    "network resnet18 --plan",
    "ladder gemm",
    "sweep gemm",
    "compare layouts resnet50:layer2.0.*",
]
FIRST, AGAIN = "first", "again"


def record(path: Path, words: list[str]) -> None:
    """Run a command in this process; write its events, each with its time, to a file."""
    seen: list[list[object]] = []
    see = Estimate.see

    def kept(self: Estimate, event: object) -> None:
        see(self, event)
        seen.append([round(time.monotonic() - began, 4), type(event).__name__, _plain(event)])

    Estimate.see = kept
    began = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main(words)
    recording = {"words": words, "took_s": round(time.monotonic() - began, 4), "events": seen}
    path.write_text(json.dumps(recording).replace("], [", "],\n["), encoding="utf-8")


def _plain(event: object) -> dict[str, object]:
    """Return the fields of an event in JSON types that the estimate may read."""
    fields = ((f.name, f.default, getattr(event, f.name)) for f in dataclasses.fields(event))
    simple = (str, int, float, bool, type(None))
    return {
        name: round(value, 7) if isinstance(value, float) else value
        for name, default, value in fields
        if isinstance(value, simple)
        and value != default
        and name not in {"label", "round", "rounds"}
    }


def event_of(name: str, fields: dict[str, object]) -> events.Event:
    """Return a recorded event; results and labels are not in a recording."""
    kind = getattr(events, name)
    missing = {f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}
    return kind(**{**dict.fromkeys(missing - fields.keys(), 0), **fields})


def replayed(recording: dict[str, object]) -> list[tuple[float, float]]:
    """Return the times of a recorded command, and the estimates at these times."""
    now = 0.0
    estimate = Estimate(lambda: now)
    estimates = []
    for at, name, fields in recording["events"]:
        now = at
        estimate.see(event_of(name, fields))
        if estimate.remaining_s is not None:
            estimates.append((at, estimate.remaining_s))
    return estimates


def errors(recording: dict[str, object]) -> list[tuple[float, float]]:
    """Return times and errors after the first third, both as shares of the whole time."""
    took_s = recording["took_s"]
    return [
        (at / took_s, (left_s - (took_s - at)) / took_s)
        for at, left_s in replayed(recording)
        if at >= took_s / 3
    ]


def line(name: str, recording: dict[str, object]) -> str:
    """Return the errors of a command for people."""
    found = errors(recording)
    if not found:
        return f"{name}: {recording['took_s']:.1f} s, no estimate after the first third"
    at, worst = max(found, key=lambda each: abs(each[1]))
    middle = statistics.median(abs(error) for _, error in found)
    return (
        f"{name}: {recording['took_s']:.1f} s, error at most {worst:+.0%} (after {at:.0%} of the "
        f"time), median {middle:.0%}"
    )


def recorded(command: str, folder: Path, cache: str) -> dict[str, object]:
    """Run a command in a process of its own; return its recording."""
    path = folder / f"{command.replace(' ', '_').replace('*', '').replace(':', '-')}.json"
    words = [sys.executable, __file__, "--record", str(path), *command.split()]
    subprocess.run(words, env={**os.environ, "CONVPROF_CACHE_DIR": cache}, check=True)
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Print two lines per command, or a line per recording."""
    if sys.argv[1:2] == ["--record"]:
        record(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", default=COMMANDS)
    parser.add_argument("--keep", type=Path, help="folder for the recordings")
    parser.add_argument("--replay", type=Path, help="folder with recordings; nothing is run")
    options = parser.parse_args()
    if options.replay:
        for path in sorted(options.replay.rglob("*.json")):
            recording = json.loads(path.read_text(encoding="utf-8"))
            print(line(f"{' '.join(recording['words'])} ({path.parent.name})", recording))
        return
    with tempfile.TemporaryDirectory() as temporary:
        for command in options.commands:
            with tempfile.TemporaryDirectory() as cache:
                for which in (FIRST, AGAIN):
                    folder = (options.keep or Path(temporary)) / which
                    folder.mkdir(parents=True, exist_ok=True)
                    print(line(f"{command} ({which})", recorded(command, folder, cache)))
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
