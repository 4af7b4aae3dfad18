"""What LLVM's name for the CPU does to the register tiles: accesses to the stack, and speed.

    python tests/benchmarks/scheduling_models.py [ROUNDS]

For each name the main tile of every instruction set of this CPU is generated with the scheduling
model of that name. All of them run in interleaved rounds, operands in L1 and L2; the table gives
the accesses to the stack in the inner loop and the time as a ratio to the model that convprof
chooses (median of the rounds' ratios; over 1 is slower).
"""

from __future__ import annotations

import ctypes
import random
import sys
import time

import numpy as np

from convprof.codegen import disassembly, isa, scheduling
from convprof.codegen.jit import Module
from convprof.stats import median

NAMES = (
    "rocketlake", "icelake-server", "skylake-avx512", "x86-64-v4", "skylake", "sapphirerapids",
    "alderlake", "haswell", "znver2", "znver3", "znver4", "znver5", "sandybridge", "nocona",
    "generic",
)  # fmt: skip
ROUNDS = 201
CALLS = 40
STEPS = 768
"""Steps of the reduction in a call: 256 channels of a filter row of 3."""


def contestants(which: isa.Isa) -> dict[str, tuple[ctypes._CFuncPtr, int]]:
    """Return the tile under each name, and the accesses to the stack in its inner loop."""
    tile = scheduling._tile(which, 2, 3, STEPS // 3)
    pointer = ctypes.c_void_p
    found = {}
    for name in NAMES:
        module = Module(tile.ir(), which.without, cpu=name)
        spills = disassembly.busiest(module.assembly()).spills
        found[name] = (module.function("tile", None, pointer, pointer, pointer), spills)
    return found


def rounds(tiles: dict[str, tuple[ctypes._CFuncPtr, int]], count: int) -> dict[str, list[float]]:
    """Return seconds per call under each name, one sample a round in a shuffled order."""
    rng = np.random.default_rng(1)
    a, b, c = (rng.standard_normal(1 << 18, dtype=np.float32) for _ in range(3))
    operands = [x.ctypes.data for x in (a, b, c)]
    order, shuffled = list(tiles), random.Random(1)
    times: dict[str, list[float]] = {name: [] for name in tiles}
    for _ in range(count):
        shuffled.shuffle(order)
        for name in order:
            run = tiles[name][0]
            run(*operands)
            start = time.perf_counter()
            for _ in range(CALLS):
                run(*operands)
            times[name].append((time.perf_counter() - start) / CALLS)
    return times


def main() -> None:
    """Print a table for each instruction set."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    chosen = scheduling.model()
    print(f"LLVM calls this CPU {chosen.host}; kernels are generated for {chosen.name}")
    for name in isa.widths():
        which = isa.ISAS[name]
        tiles = contestants(which)
        times = rounds(tiles, count)
        base = times[chosen.name if chosen.name in times else NAMES[0]]
        flops = 2 * len(scheduling._tile(which, 2, 3, 1).rows) * 2 * which.lanes(4) * STEPS
        print(f"\n{name}: {'model':16s} {'spills':>6s} {'time':>7s} {'GFLOP/s':>8s}")
        for model in sorted(times, key=lambda model: median(times[model])):
            ratio = median([x / y for x, y in zip(times[model], base, strict=True)])
            rate = flops / median(times[model]) / 1e9
            print(f"{'':{len(name)}s}  {model:16s} {tiles[model][1]:6d} {ratio:7.3f} {rate:8.1f}")


if __name__ == "__main__":
    main()
