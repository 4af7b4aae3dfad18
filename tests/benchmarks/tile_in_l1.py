"""What share of the sustained peak does a register tile reach, with everything in L1?

    python tests/benchmarks/tile_in_l1.py [--dtypes f32,bf16,int8] [--steps 128] [--rounds 5]

The first tile of ``prepacked`` for 1024 x 1024 x 1024 runs again and again on the same operands:
rows of a, one panel of b and a tile of c, ``--steps`` long. The peak is measured next to each round
(median of 20 ms without a pause), and so is the tile. Around 97 to 100 % in f32 mean that the peak
is one that kernels can reach on this machine.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.f16_blocks import MANY
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.threads import Program, team
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.dtypes import types
from convprof.machine import facts, peaks
from convprof.problems import Gemm
from convprof.strategies.gemm import prepacked

CALLS, SAMPLES = 100, 100


def tile_of(dtype: str, steps: int) -> Tile:
    of, isa = types(dtype), isas.find("native")
    how = multiply(of, isa, sums=MANY)
    lanes = isa.lanes(of.accumulator.bytes)
    first = prepacked.choose(Gemm(m=1024, n=1024, k=1024), isa, of)
    steps = steps * 4 // of.accumulator.bytes  # as many bytes in every type
    depth = steps * how.k_group
    return Tile(
        types=of,
        lanes=lanes,
        rows=tuple(i * depth for i in range(first.rows)),
        segments=((0, 0),),
        run=steps,
        a_step=how.k_group,
        multiply=how,
        vectors=first.vectors,
        b_row=first.vectors * lanes * how.k_group,
        c_rows=tuple(i * first.vectors * lanes for i in range(first.rows)),
        columns=first.vectors * lanes,
    )


def rate(tile: Tile) -> float:
    """Return operations per second: the median of SAMPLES calls of a list of tiles."""
    isa, of = isas.find("native"), tile.types
    tiles = TileList()
    tiles.task()
    tiles.add(kernel(tile, isa), np.zeros(CALLS, np.int64), 0, 0)
    depth, width = tile.run * tile.k_group, tile.vectors * tile.lanes
    shapes = ((len(tile.rows) * depth, of.source), (depth * width, of.weights))
    arrays = [np.zeros(size, each.array_type) for size, each in shapes]
    arrays.append(np.zeros(len(tile.rows) * width, of.result.array_type))
    table = np.array([x.ctypes.data for x in arrays], np.int64)
    row = (runner_address(), 0, 1, table.ctypes.data, tiles.dims().ctypes.data)
    program, members, seconds = Program([row], 1), team(1), []
    for _ in range(SAMPLES):
        start = time.perf_counter()
        members.run(program)
        seconds.append(time.perf_counter() - start)
    return 2 * len(tile.rows) * width * depth * CALLS / statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtypes", default="f32,f64,bf16,int8")
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    bits, fused = peaks.widest(facts().cpu.simd)
    for dtype in options.dtypes.split(","):
        tile = tile_of(dtype, options.steps)
        print(f"{dtype} {tile.title}, {tile.multiply.instruction}:", end="")
        shares = []
        for _ in range(options.rounds):
            peak = peaks.measure(types(dtype).name, 1, bits, fused=fused)
            shares.append(100 * rate(tile) / peak.flop_per_s)
        low, middle, high = min(shares), statistics.median(shares), max(shares)
        print(f"  {middle:.1f} % of the peak ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
