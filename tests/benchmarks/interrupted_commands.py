"""Does Ctrl-C or SIGTERM at any moment cost a measurement of ``network``, ``ladder`` or ``sweep``?

    python tests/benchmarks/interrupted_commands.py [--moments 10] [COMMAND…]

Each command runs once to its end, then is ended by each signal at random moments of that time. The
process writes down every sample (of ``sweep``: every finished point). Wanted: exit code 130 or 143,
no traceback, one line that says it was interrupted, every sample's contestant in the document, and
in the printed table something wherever the document has something.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = [
    "network mnist-cnn --tune off --budget 0.02",
    "network mnist-cnn --plan --tune off --budget 0.01",
    "ladder gemm --size 96 --budget 0.02",
    "sweep gemm --range 16:128:x2 --budget 0.02",
    "run 64x64:64x64 --budget 0.02",
]
CODES = {"SIGINT": 130, "SIGTERM": 143}
LONGEST_S = 300.0
EARLY_S = 0.4
"""Before, Python itself and convprof's first modules start: no handler is there yet."""


def child(log: str, words: list[str]) -> None:
    """Run a command; write a line to ``log`` for each sample and each point that is stored."""
    from convprof import cli
    from convprof.measure.session import Session
    from convprof.studies.journal import Journal

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    waiting: list[str] = []
    sample, append = Session._sample, Journal.append

    def noted(line: str) -> None:
        os.write(descriptor, f"{line}\n".encode())

    def sampled(self, participant):
        while waiting:  # it is in the participant by now
            noted(waiting.pop())
        result = sample(self, participant)
        contestant = participant.contestant
        waiting.append(
            key(
                contestant.problem.descriptor,
                contestant.strategy.name,
                contestant.layout,
                contestant.setting.threads,
                contestant.cache,
            )
        )
        return result

    def appended(self, record):
        append(self, record)
        if "x" in record:
            noted(f"point {record['x']}")

    Session._sample, Journal.append = sampled, appended
    cli.main(words)


def key(*parts: object) -> str:
    """Return what tells the measurements of a document apart."""
    return json.dumps(parts)


def stored(path: Path) -> set[str]:
    """Return the keys of the document's measurements, or the points of a sweep's journal."""
    if not path.exists():
        return set()
    text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        records = [json.loads(line) for line in text.splitlines()]
        return {f"point {record['x']}" for record in records if "x" in record}
    return {
        key(m["problem"]["descriptor"], m["strategy"], m["layout"], m["threads"], m["cache"])
        for m in document.get("measurements", [])
        if m["time_s"] is not None
    }


def once(
    folder: Path, command: str, name: str | None, after_s: float, apart: set[str]
) -> tuple[float, list[str]]:
    """Run a command, and end it after some seconds; return its time and what is wrong.

    ``apart``: what is never in a document. A run to its end adds to it: experiments, not results.
    """
    for old in folder.iterdir():
        old.unlink()
    log, path = folder / "log", folder / "out.json"
    words = [*command.split(), "--json", str(path)]
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", str(log), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    began = time.monotonic()
    if name is not None:
        time.sleep(after_s)
        process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=LONGEST_S)
    took_s = time.monotonic() - began
    ended = name is None or process.returncode == 0  # it was over before the signal
    lines = log.read_text().splitlines() if log.exists() else []
    points = {line for line in lines if line.startswith("point")}
    sampled = points if command.startswith("sweep") else set(lines)
    kept = stored(path)
    wrong = []
    if process.returncode not in ({0} if ended else {CODES[name or ""]}):
        wrong.append(f"exit code {process.returncode}")
    if "Traceback" in err:
        wrong.append(f"a traceback:\n{err.strip()}")
    if not ended and "interrupted" not in err:
        wrong.append(f"no line about the interruption: {err.strip()[-200:]!r}")
    if name is None:
        apart |= sampled - kept
    lost = sampled - kept - apart
    if lost:
        wrong.append(f"{len(lost)} of {len(sampled)} lost: {min(lost)}")
    if kept and not out.strip():
        wrong.append("nothing printed")
    return took_s, wrong


def main() -> int:
    """Print a line per command and signal; return 1 if something was lost."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", default=COMMANDS)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits "ignored"
    rng = random.Random(options.seed)
    bad = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for command in options.commands:
            apart: set[str] = set()
            whole_s, wrong = once(folder, command, None, 0.0, apart)
            print(f"{command}: {whole_s:.1f} s to the end, {len(apart)} apart; {wrong}", flush=True)
            for name in CODES:
                moments = [rng.uniform(EARLY_S, whole_s) for _ in range(options.moments)]
                for after_s in sorted(moments):
                    _, found = once(folder, command, name, after_s, apart)
                    for each in found:
                        print(f"  {name} after {after_s:.2f} s: {each}", flush=True)
                    wrong += found
            bad += len(wrong)
            count = options.moments * len(CODES)
            print(f"{command}: {count} interruptions, {len(wrong)} faults")
            sys.stdout.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
