"""How fast are products of few rows with large weights, m = 1 ... 64?

    python tests/benchmarks/few_rows.py [--size 4096] [--dtypes f32,bf16,int8] [--threads 1,2]
        [--rows 1,2,4,8,16,32,64] [--strategies packed,prepacked] [--rounds 15] [--isa native]

All contestants of a number of rows take turns: a round is one sample of each. Printed per row: the
least time, the bytes of the weights per second as a share of the measured load bandwidth (of the
level that holds the weights), the share of the peak, and the ratio to the time of the last
number of fewer rows, as `fewer rows / this`: above 1.00 the kernel of more rows is faster.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import convprof
from convprof.dtypes import types
from convprof.machine import bandwidth
from convprof.machine.caches import MEMORY
from convprof.machine.model import MachineModel
from convprof.measure.operands import Operands
from convprof.problems import Gemm


def prepared_for(g: Gemm, strategy: str, dtype: str, threads: int, isa: str) -> Any:
    prepared = convprof.prepare(g, strategy, threads=threads, dtype=dtype, isa=isa)
    prepared.bind(*Operands(g, types(dtype), 0).all("nchw"))
    for _ in range(3):
        prepared.run()
    return prepared


def least(contestants: dict[Any, Any], rounds: int) -> dict[Any, float]:
    seconds = dict.fromkeys(contestants, 9.0)
    for _ in range(rounds):
        for key, prepared in contestants.items():
            prepared.run()  # the first call after another contestant's turn finds cold caches
            start = time.perf_counter()
            prepared.run()
            seconds[key] = min(seconds[key], time.perf_counter() - start)
    return seconds


def limits(machine: MachineModel, nbytes: int, threads: int) -> float:
    """Return the load bandwidth of the nearest level twice as large as the weights."""
    sizes = {each.name: each.share_bytes * threads for each in machine.levels(threads)}
    level = next((name for name, size in sizes.items() if 2 * nbytes <= size), MEMORY)
    measured = bandwidth.measure(threads, (level,), ("load",), bandwidth.QUICK_REPEATS)
    return max(each.bytes_per_s or 0.0 for each in measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--dtypes", default="f32,bf16,int8")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rows", default="1,2,3,4,6,7,8,12,16,17,24,32,48,64")
    parser.add_argument("--strategies", default="packed,prepacked")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--isa", default="native")
    options = parser.parse_args()
    machine, size = MachineModel.here(), options.size
    for dtype in options.dtypes.split(","):
        for threads in map(int, options.threads.split(",")):
            nbytes = size * size * types(dtype).weights.bytes
            highest = limits(machine, nbytes, threads)
            peak = machine.measure_peaks(dtype, [threads], options.isa)[0].flop_per_s
            print(f"{dtype}, {threads} thread(s): bandwidth {highest / 1e9:.1f} GB/s")
            before: dict[str, tuple[int, float]] = {}
            for m in map(int, options.rows.split(",")):
                g = Gemm(m=m, n=size, k=size)
                names = options.strategies.split(",")
                every = {s: prepared_for(g, s, dtype, threads, options.isa) for s in names}
                for name, seconds in least(every, options.rounds).items():
                    last = f"x{before[name][1] / seconds:.2f}" if name in before else ""
                    before[name] = m, seconds
                    print(
                        f"  m={m:<3} {name:10} {seconds * 1e3:8.3f} ms"
                        f"  {100 * nbytes / seconds / highest:5.1f} % of the bandwidth"
                        f"  {100 * g.flops / seconds / peak:5.1f} % of the peak  "
                        f"fewer rows / this: {last}"
                    )


if __name__ == "__main__":
    main()
