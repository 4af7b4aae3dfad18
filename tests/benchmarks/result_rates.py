"""False alarms of ``compare results``, and how many slow-downs of 5 % it finds.

    python tests/benchmarks/result_rates.py [--times 200]          simulated runs
    python tests/benchmarks/result_rates.py --measure 21 [PROBLEM]   processes of ``convprof run``

Simulated: a run of some rows; each row has 25 rounds with a random error, some disturbed rounds,
and an error of the run that all its rounds share (pages, alignment, clock). One row is slower by
5 %. The whole of ``compare results`` judges, with one file and with several files for each side.

Measured: every process is compared with the process before it. A slow-down of 5 % is planted into
the document of the later process: all times of one row are multiplied.

Expected: alarms in under 1 % of the rows, and at least 95 % of the slow-downs found, where runs
differ by 0.5 %. Where they differ by more, several files for each side find them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from convprof import stats
from convprof.studies import reading
from convprof.studies.compare import results
from convprof.studies.compare.results_files import Side
from convprof.studies.show import Saved

SLOWER = 1.05
PROBLEM = "256x256:256x256"
ROWS = 24


@dataclass(frozen=True)
class Noise:
    """What a run adds to the true time."""

    rounds: float
    """Standard deviation of a round's logarithm."""
    disturbed: float
    """Share of the rounds that take a third longer, on the average."""
    run: float
    """Standard deviation of what all rounds of a row of a run share."""

    def draw(self, random_: random.Random, seconds: float) -> list[float]:
        """Return the rounds of one row of one run."""
        seconds *= math.exp(random_.gauss(0, self.run))
        return [
            seconds
            * math.exp(random_.gauss(0, self.rounds))
            * (1 + (random_.expovariate(3) if random_.random() < self.disturbed else 0))
            for _ in range(stats.MOST_ROUNDS)
        ]


NOISES = {
    "quiet": Noise(0.004, 0.02, 0.002),
    "usual": Noise(0.012, 0.05, 0.005),
    "runs differ": Noise(0.012, 0.05, 0.02),
    "noisy": Noise(0.03, 0.10, 0.01),
}


def row(number: int, rounds: list[float]) -> dict[str, Any]:
    """Return a measurement in JSON."""
    low, high = stats.median_interval(rounds) or (None, None)
    return {
        "problem": {
            "kind": "gemm", "descriptor": f"64x{64 + number}:{64 + number}x64", "name": None,
            "m": 64, "n": 64, "k": 64 + number, "batch": 1,
        },
        "strategy": "packed", "dtype": "f32", "threads": 1, "status": "ok", "bytes_min": 1,
        "time_s": {
            "median": stats.median(rounds), "ci95_low": low, "ci95_high": high,
            "samples": len(rounds), "rounds_s": list(stats.compact(rounds)),
        },
        "flops": {"direct": 1, "executed": 1},
    }  # fmt: skip


def document(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a result document in JSON."""
    return {
        "schema_version": 2, "kind": "result", "tool_version": "1",
        "machine": {"key": "0123456789ab"}, "ceilings": {}, "measurements": rows,
    }  # fmt: skip


def side(name: str, documents: list[dict[str, Any]]) -> Side:
    """Return one side of ``compare results``."""
    read = [reading.document(made) for made in documents]
    return Side(name, tuple(Saved(f"{name}{at}", made) for at, made in enumerate(read)))


def simulate(times: int) -> None:
    """Print the rates by noise, number of rows, and files for each side."""
    for name, noise in NOISES.items():
        for rows, files in ((1, 1), (ROWS, 1), (ROWS, 3)):
            random_ = random.Random(1)
            counts: Counter[str] = Counter()
            comparisons = max(20, times // rows if rows > 1 else times)
            for _ in range(comparisons):

                def drawn(
                    slow: float, noise: Noise = noise, rows: int = rows, r: random.Random = random_
                ) -> dict[str, Any]:
                    # the last row is the slow one
                    seconds = [slow if at == rows - 1 else 1.0 for at in range(rows)]
                    return document([row(at, noise.draw(r, s)) for at, s in enumerate(seconds)])

                sides = [
                    side("base", [drawn(1.0) for _ in range(files)]),
                    side("new", [drawn(1.0) for _ in range(files)]),
                    side("slow", [drawn(SLOWER) for _ in range(files)]),
                ]
                counts["alarms"] += len(results.compare(*sides[:2]).changed)
                counts["found"] += results.compare(sides[0], sides[2]).rows[-1].verdict == "slower"
            print(
                f"{name:11} {rows:2} rows, {files} files a side: "
                f"{100 * counts['alarms'] / comparisons / rows:5.2f} % of the rows are alarms, "
                f"{100 * counts['found'] / comparisons:5.1f} % found"
            )


def run(problems: list[str], folder: Path, number: int) -> dict[str, Any]:
    """Return the document of one process."""
    path = folder / f"{number}.json"
    command = ["-m", "convprof", "run", *problems, "--json", str(path), "--quiet"]
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    made: dict[str, Any] = json.loads(path.read_text())
    return made


def slowed(made: dict[str, Any], at: int) -> dict[str, Any]:
    """Return a document whose measurement number ``at`` takes 5 % longer."""
    slow: dict[str, Any] = json.loads(json.dumps(made))
    measurement = slow["measurements"][at]
    time = measurement["time_s"]
    for key in ("median", "ci95_low", "ci95_high", "min"):
        time[key] = None if time[key] is None else SLOWER * time[key]
    time["rounds_s"] = [SLOWER * seconds for seconds in time["rounds_s"]]
    measurement["cycles"]["per_call"] *= SLOWER
    if measurement["peak_fraction"]:
        measurement["peak_fraction"] /= SLOWER
    return slow


def measure(processes: int, problems: list[str], files: int) -> None:
    """Print the verdicts on processes that follow one another."""
    with tempfile.TemporaryDirectory() as folder:
        documents = [run(problems, Path(folder), number) for number in range(processes)]
    groups = [documents[at : at + files] for at in range(0, processes - files + 1, files)]
    alarms: Counter[str] = Counter()
    found: Counter[str] = Counter()
    gates, distances = 0, []
    for base, new in pairwise(groups):
        compared = results.compare(side("base", base), side("new", new))
        alarms.update(each.verdict for each in compared.rows)
        gates += bool(compared.failing(SLOWER - 1))
        distances += [abs(math.log(each.ratio.value)) for each in compared.rows if not each.doubt]
        timed = [at for at, m in enumerate(new[0]["measurements"]) if m["status"] == "ok"]
        for at in timed:
            slow = results.compare(side("base", base), side("new", [slowed(m, at) for m in new]))
            found.update(each.verdict for each in slow.rows if _is(each, new[0], at))
    print("the same:", dict(alarms), f"; --fail-on slower:5% fails {gates} of {len(groups) - 1}")
    print("5 % slower:", dict(found))
    if distances:
        ordered = sorted(distances)
        middle, most = ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100]
        print(f"two runs differ by {100 * middle:.2f} % (median), {100 * most:.1f} % (95 of 100)")


def _is(row_: results.Row, made: dict[str, Any], at: int) -> bool:
    m, fields = row_.a.first, made["measurements"][at]
    labels = (m.problem["descriptor"], m.strategy, m.layout, m.threads, m.isa)
    return labels == (
        fields["problem"]["descriptor"],
        *(fields[key] for key in ("strategy", "layout", "threads", "isa")),
    )


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", nargs="*", default=[PROBLEM])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--measure", type=int, metavar="PROCESSES")
    parser.add_argument("--files", type=int, default=1, help="processes of one side")
    flags = parser.parse_args()
    if flags.measure:
        measure(flags.measure, flags.problem, flags.files)
    else:
        simulate(flags.times)


if __name__ == "__main__":
    main()
