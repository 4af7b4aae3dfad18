"""How much memory ``run --batch`` holds after so many problems: it should stay the same.

python tests/benchmarks/batch_memory.py [STRATEGIES] [PROBLEMS] [FLAG...]

STRATEGIES as ``-s`` takes them, ``default`` for none; every further word goes to ``convprof run``.
No two problems are the same, so each has kernels of its own.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from convprof.cli import main as convprof
from convprof.cli.measuring import Measuring

if TYPE_CHECKING:
    from convprof.problems import Problem

PROBLEMS = 1000
SHOWN = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
MIB = 2**20


def descriptors(count: int) -> list[str]:
    """Return small 3x3 convolutions, each with another image or other channels."""
    sizes = [(8 + i % 37, 10 + i // 37 % 29, 8 + i // 1073 + i % 41) for i in range(count)]
    return [f"mb1ic{c}ih{image}oc{k}kh3ph1" for c, image, k in sizes]


def watched(begun_s: float) -> None:
    """Let the runner of commands print what the process holds after some of the problems."""
    process, one = psutil.Process(), Measuring._one

    def measured(self: Any, problem: Problem, number: int, *more: Any) -> None:
        one(self, problem, number, *more)
        if number + 1 in SHOWN:
            held = process.memory_info().rss / MIB
            elapsed_s = time.perf_counter() - begun_s
            print(f"{number + 1:6} problems {held:7.0f} MiB {elapsed_s:8.1f} s", file=sys.stderr)

    Measuring._one = measured  # type: ignore[method-assign]


def main() -> None:
    """Run the batch in this process."""
    strategies, count, *flags = [*sys.argv[1:], *("default", str(PROBLEMS))[len(sys.argv) - 1 :]]
    chosen = [] if strategies == "default" else ["-s", strategies]
    watched(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        batch = Path(folder) / "batch.txt"
        batch.write_text("\n".join(descriptors(int(count))) + "\n")
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # for the rest of the process
        words = ["run", "--batch", str(batch), "-t", "1", "--budget", "0.001", "--rounds", "6"]
        convprof([*words, "--quiet", *chosen, *flags])


if __name__ == "__main__":
    main()
