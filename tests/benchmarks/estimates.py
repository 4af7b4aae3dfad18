"""How good the estimates of the remaining time are, by command.

    python tests/benchmarks/estimates.py

Runs commands in this process and records, at every event, what progress would show. Prints the
largest and the median error after the first third of a command, as a share of its whole time.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time

from convprof import cli
from convprof.measure.estimate import Estimate

COMMANDS = [
    "run",
    "run resnet50:layer1.* -s microkernel -s im2col",
    "network mnist-cnn",
    "network resnet18 --plan",
    "ladder gemm",
    "sweep gemm",
    "compare layouts resnet50:layer2.0.*",
]


def recorded(words: list[str]) -> tuple[list[tuple[float, float]], float, float]:
    """Run a command; return times and estimates, and when it began and ended."""
    estimates: list[tuple[float, float]] = []
    see = Estimate.see

    def seen(self: Estimate, event: object) -> None:
        see(self, event)
        remaining = self.remaining_s
        if remaining is not None:
            estimates.append((time.monotonic(), remaining))

    Estimate.see = seen
    began = time.monotonic()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            cli.main(words)
    finally:
        Estimate.see = see
    return estimates, began, time.monotonic()


def main() -> None:
    """Print a line per command."""
    for command in sys.argv[1:] or COMMANDS:
        estimates, began, ended = recorded(command.split())
        whole = ended - began
        errors = [
            abs(left - (ended - at)) / whole for at, left in estimates if at - began >= whole / 3
        ]
        worst, middle = (max(errors), statistics.median(errors)) if errors else (0.0, 0.0)
        print(f"{command}: {whole:.1f} s, error at most {worst:.0%}, median {middle:.0%}")


if __name__ == "__main__":
    main()
