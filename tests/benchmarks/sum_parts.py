"""Convolutions with few tiles: whole sums, and sums in parts of the input channels.

    python tests/benchmarks/sum_parts.py [--threads N] [--rounds N] [PROBLEM ...]

Interleaved rounds in one process; the fastest sample of each counts.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from interleaved import fastest_us

from convprof.measure.operands import Operands
from convprof.problems import parse
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.conv import channel_parts
from convprof.strategies.conv.blocking import PartedBlocking
from convprof.strategies.conv.dense_tiles import DensePlan

PROBLEMS = [
    "ic2048ih1oc16kh1", "ic2048ih1oc64kh1", "ic2048ih7oc16kh1", "ic512ih7oc32kh3ph1",
    "ic512ih3oc64kh3ph1", "ic512ih7oc64kh1",
]  # fmt: skip
CALLS = 20


def main() -> int:
    """Print a line for each problem and number of parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("problems", nargs="*", default=PROBLEMS)
    chosen = parser.parse_args()
    setting = Setting("nhwc", threads=chosen.threads, tune="off")
    strategy = registry.find("conv2d", "microkernel")
    for text in chosen.problems:
        p = parse(text)
        whole = DensePlan(p, setting).chosen
        blockings = {1: whole}
        for parts in (2, 4):
            own = DensePlan(channel_parts._parted(p, parts), setting).chosen
            blockings[parts] = PartedBlocking(**asdict(own), parts=parts)
        prepared = [strategy.prepare_blocked(p, setting, each) for each in blockings.values()]
        operands = Operands(p, setting.types, 0).all("nhwc")
        for each in prepared:
            each.bind(*operands)
        fastest = fastest_us(prepared, chosen.rounds, CALLS)
        columns = "  ".join(
            f"{parts} parts {each:7.2f} µs" for parts, each in zip(blockings, fastest, strict=True)
        )
        print(f"{text:20} {chosen.threads} threads  {columns}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
