"""The memory of ``run --batch`` after a number of problems: it should stay the same.

python tests/benchmarks/batch_memory.py [STRATEGIES] [PROBLEMS] [FLAG...]

STRATEGIES as ``-s`` takes them, ``default`` for none; every further word goes to ``convprof run``.
No two problems are the same, so each has kernels of its own. With ``made-up`` nothing is measured:
each problem gets as many results as the default strategies give, and what is seen is what results
take, while they are collected and while JSON, CSV and Markdown are written.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from convprof.cli import main as convprof
from convprof.cli.measuring import Measuring
from convprof.measure.report import describe
from convprof.render import files
from convprof.results import Cycles, Flops, Measurement, Time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convprof.problems import Problem

PROBLEMS = 1000
SHOWN = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
MIB = 2**20
MADE_UP = "made-up"
STRATEGIES = ("naive", "reordered", "direct", "im2col", "packed", "microkernel", "tiled", "fft")
BEGUN_S = time.perf_counter()


def descriptors(count: int) -> list[str]:
    """Return small 3x3 convolutions, each with another image or other channels."""
    sizes = [(8 + i % 37, 10 + i // 37 % 29, 8 + i // 1073 + i % 41) for i in range(count)]
    return [f"mb1ic{c}ih{image}oc{k}kh3ph1" for c, image, k in sizes]


class MadeUp:
    """A study without a measurement: 16 contestants with a time, and two that are refused."""

    def __init__(self, problem: Problem, *_: Any) -> None:
        self.problem = problem

    def events(self) -> Iterator[Any]:
        """Yield nothing."""
        return iter(())

    def measurements(self) -> list[Measurement]:
        """Return results of random numbers."""
        problem = describe(self.problem)
        timed = [self._timed(problem, name, at) for name in STRATEGIES for at in ("nchw", "nhwc")]
        refused = [
            Measurement(
                problem, "winograd", layout, "f32", 1, "hot", "refused",
                reason="winograd needs a filter of at most 4 times the stride; got 5x5 stride 1",
            )
            for layout in ("nchw", "nhwc")
        ]  # fmt: skip
        return timed + refused

    def _timed(self, problem: dict[str, Any], strategy: str, layout: Any) -> Measurement:
        flops, some = self.problem.flops, random.random
        median = some() * 1e-4
        return Measurement(
            problem, strategy, layout, "f32", 1, "hot", "ok",
            time_s=Time(median, some() * 1e-6, median * 0.9, median * 1.1, some() * 1e-4, 25, 31),
            cycles=Cycles(median * 3e9, median * 3e9 / flops, "calibrated", 3e9 + some() * 1e8),
            flops=Flops(flops, flops), flop_per_s=flops / median, peak_fraction=some(),
            bytes_min=flops // 7, intensity=some(), bytes_moved=flops // 5, bound="compute",
            phases={"pad": some() * 1e-5, "multiply": some() * 1e-4}, workspace_bytes=1 << 15,
            prepare_s=some() * 1e-3, compile_s=some() * 1e-2, max_rel_error=some() * 1e-7,
        )  # fmt: skip


def say(what: str) -> None:
    """Print what the process holds."""
    held = psutil.Process().memory_info().rss / MIB
    elapsed_s = time.perf_counter() - BEGUN_S
    print(f"{what:>20} {held:7.0f} MiB {elapsed_s:8.1f} s", file=sys.stderr)


def watched() -> None:
    """Let the runner of commands say what it holds after some of the problems and each file."""
    one, write = Measuring._one, files.write_atomically

    def measured(self: Any, problem: Problem, number: int, *more: Any) -> None:
        one(self, problem, number, *more)
        if number + 1 in SHOWN:
            say(f"{number + 1} problems")

    def written(path: str, text: files.Text) -> None:
        write(path, text)
        say(f"{Path(path).name}, {Path(path).stat().st_size / MIB:.0f} MiB")

    Measuring._one = measured  # type: ignore[method-assign]
    files.write_atomically = written


def main() -> None:
    """Run the batch in this process."""
    strategies, count, *flags = [*sys.argv[1:], *("default", str(PROBLEMS))[len(sys.argv) - 1 :]]
    chosen = [] if strategies in ("default", MADE_UP) else ["-s", strategies]
    watched()
    with tempfile.TemporaryDirectory() as folder:
        if strategies == MADE_UP:
            from convprof.studies import run

            run.Run = MadeUp  # type: ignore[assignment,misc]
            for form, suffix in (("json", "json"), ("csv", "csv"), ("markdown", "md")):
                flags += [f"--{form}", str(Path(folder) / f"results.{suffix}")]
        batch = Path(folder) / "batch.txt"
        batch.write_text("\n".join(descriptors(int(count))) + "\n")
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # for the rest of the process
        words = ["run", "--batch", str(batch), "-t", "1", "--budget", "0.001", "--rounds", "6"]
        try:
            convprof([*words, "--quiet", *chosen, *flags])
        finally:
            say("the end")


if __name__ == "__main__":
    main()
