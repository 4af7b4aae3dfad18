"""False alarms of ``compare commands --python``, and how many slow-downs of 5 % it finds.

    python tests/benchmarks/environment_rates.py [--times 400]      simulated rounds
    python tests/benchmarks/environment_rates.py --measure 20       commands, each with many rows

Simulated: 25 rounds of two processes. All rounds of a process share an error, each sample has one
of its own, and some are disturbed; the machine drifts for both alike.

Measured: this Python three times in one command. The second is the same as the first: each row
that changes is a false alarm. The third has a clock that makes everything 5 % slower: each row
that is not slower is missed.

Expected: alarms in under 1 % of the rows, and at least 95 % of the slow-downs found.
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
from pathlib import Path
from typing import Any

from result_rates import NOISES, Noise

from convprof import stats
from convprof.studies.compare import results_spread

SLOWER = 1.05
DRIFT = 0.003
"""Standard deviation of the step of the machine's speed from round to round."""
SLOWED = Path(__file__).parents[1] / "measure" / "isolated" / "slowed.py"
PROBLEMS = ("64x64:64x64", "256x256:256x256", "mb1ic64ih28oc64kh3ph1", "mb1ic32ih56oc64kh1")
STRATEGIES = "vectorized,packed,prepacked,microkernel,auto,blas"
"""Without loop nests that numba compiles: 12 % is assumed of their processes."""


def compared(noise: Noise, slow: float, random_: random.Random) -> stats.Ratio:
    """Return the ratio of two processes that are timed in the same rounds."""
    drift, speeds = 0.0, []
    for _ in range(stats.MOST_ROUNDS):
        drift += random_.gauss(0, DRIFT)
        speeds.append(math.exp(drift))
    a, b = (noise.draw(random_, seconds) for seconds in (slow, 1.0))
    sides = ([s * speed for s, speed in zip(side, speeds, strict=True)] for side in (a, b))
    return results_spread.of_processes([stats.paired_ratio(*sides)], 1.0)


def simulate(times: int) -> None:
    """Print the rates by noise."""
    for name, noise in NOISES.items():
        random_ = random.Random(1)
        same = Counter(compared(noise, 1.0, random_).change for _ in range(times))
        slow = Counter(compared(noise, SLOWER, random_).change for _ in range(times))
        alarms = same["slower"] + same["faster"]
        print(
            f"{name:11} {100 * alarms / times:5.2f} % are alarms, "
            f"{100 * slow['slower'] / times:5.1f} % of the slow-downs found"
        )


def run(folder: Path, number: int, seconds: float) -> dict[str, Any]:
    """Return the document of one command."""
    path, slow = folder / f"{number}.json", folder / "slow"
    slow.write_text(f'#!/bin/sh\nexec {sys.executable} -I {SLOWED} {SLOWER} "$@"\n')
    slow.chmod(0o755)
    pythons = [sys.executable, sys.executable, str(slow)]
    command = [
        "-m", "convprof", "compare", "commands", *PROBLEMS, "-s", STRATEGIES, "-t", "1",
        "--budget", str(seconds), "--seed", str(number), "--json", str(path), "--quiet",
        *(word for python in pythons for word in ("--python", python)),
    ]  # fmt: skip
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def measure(commands: int, seconds: float) -> None:
    """Print the verdicts of each further environment, and how far the same Python is from 1."""
    verdicts: dict[str, Counter[str]] = {"B": Counter(), "C": Counter()}
    distances = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(commands):
            for each in run(Path(folder), number, seconds)["comparisons"]:
                place = each["a"]["environment"]
                verdicts[place][each["verdict"]] += 1
                if place == "B" and each["verdict"] in {"slower", "faster"}:
                    way = [
                        each["problem"]["descriptor"],
                        each["b"]["strategy"],
                        each["b"]["layout"],
                    ]
                    print("alarm:", *way, each["ratio"], each["ci95"])
                if place == "B" and each["doubt"] is None:
                    distances.append(abs(math.log(each["ratio"])))
    print("the same:", dict(verdicts["B"]))
    print("5 % slower:", dict(verdicts["C"]))
    if distances:
        ordered = sorted(distances)
        middle, most = ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100]
        print(
            f"two processes differ by {100 * middle:.2f} % (median), {100 * most:.1f} % (95 of 100)"
        )


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=400)
    parser.add_argument("--measure", type=int, metavar="COMMANDS")
    parser.add_argument("--budget", type=float, default=0.07, help="of the command, in seconds")
    flags = parser.parse_args()
    if flags.measure:
        measure(flags.measure, flags.budget)
    else:
        simulate(flags.times)


if __name__ == "__main__":
    main()
