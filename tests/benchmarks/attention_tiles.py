"""Is attention in the tile registers of AMX as fast as counted, and are its blocks the best ones?

    python tests/benchmarks/attention_tiles.py [--dtypes bf16,int8] [--rounds 40] [PROBLEM ...]

One thread, interleaved rounds; the fastest sample of each counts. A line for each blocking in tile
registers, with the estimate, and one for the first blocking in vectors. The clock for the estimate
is measured under vectors of the same width. Without AMX only vectors are measured.
"""

from __future__ import annotations

import argparse

from interleaved import fastest_us

from convprof.codegen import isa as isas
from convprof.codegen.kernels.tile_registers import _PRODUCTS
from convprof.dtypes import of_kind, types
from convprof.machine import facts, peaks
from convprof.measure.operands import Operands
from convprof.problems import parse
from convprof.strategies import registry
from convprof.strategies.attention import amx_blocking
from convprof.strategies.base import Setting
from convprof.strategies.tuning.tunable import spelled

PROBLEMS = ("1x12x197x64", "1x12x577x64", "1x12x1024x64", "1x12x1024x64:causal", "1x32x1024x128")
CALLS = 2
FUSED = registry.find("attention", "fused")


def estimates(p, of):
    """Return the estimated cycles of each blocking in tile registers."""
    product = _PRODUCTS[of.source.name, of.weights.name]
    chosen = [
        amx_blocking.choose(p, of, 1, product, queries_times=queries, keys_times=keys)
        for queries, keys in ((1.0, 1), (1.0, 2), (0.5, 1), (2.0, 1))
    ]
    return {each: amx_blocking.cycles(p, of, product, each) for each in dict.fromkeys(chosen)}


def measured(p, dtype, contestants, rounds):
    """Return the milliseconds of each pair of instruction set and blocking."""
    operands, ready = Operands(p, types(dtype), 0).all("nchw"), []
    for isa, blocking in contestants:
        ready.append(FUSED.prepare_blocked(p, Setting(dtype=dtype, isa=isa), blocking))
        ready[-1].bind(*operands)
        ready[-1].run()
    fastest = fastest_us(ready, rounds, CALLS)
    return {pair: us / 1e3 for pair, us in zip(contestants, fastest, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", default=PROBLEMS)
    parser.add_argument("--dtypes", default="bf16,int8")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    bits, fused = peaks.widest(facts().cpu.simd)
    hz = peaks.measure("f32", 1, bits, fused=fused).core_hz
    vectors, has_tiles = isas.widths()[-1], isas.AMX in isas.available()
    for text in options.problems:
        p = parse(f"attention:{text}")
        for name in options.dtypes.split(","):
            dtype = of_kind(name, "attention")
            cycles = estimates(p, types(dtype))
            of_vectors = vectors, FUSED.blockings(p, Setting(dtype=dtype, isa=vectors))[0]
            in_tiles = [(isas.AMX, each) for each in cycles if has_tiles]
            times = measured(p, dtype, [*in_tiles, of_vectors], options.rounds)
            print(f"{text} {name}")
            print(f"  {vectors:7}{spelled(of_vectors[1]):42}{times[of_vectors]:9.3f} ms")
            for blocking, count in cycles.items():
                time = times.get((isas.AMX, blocking))
                shown = "not measured" if time is None else f"{time:9.3f} ms"
                estimate = f"counted {1e3 * count / hz:.3f} ms ({count / 1e3:,.0f}k cycles)"
                print(f"  {isas.AMX:7}{spelled(blocking):42}{shown:12}  {estimate}", flush=True)


if __name__ == "__main__":
    main()
