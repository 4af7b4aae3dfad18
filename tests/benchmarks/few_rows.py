"""How fast are products of few rows with large weights, m = 1 ... 64, and where do the times fall?

    python tests/benchmarks/few_rows.py [--weights 1024,2048,4096,4096x11008]
        [--dtypes f32,bf16,f16,int8,u8:s8:u8,f32xint4,bf16xint4,f32xint8] [--threads 1,2]
        [--rows 1,2,3,4,6,8,12,16,24,32,48,64] [--strategies prepacked,packed] [--rounds 30]

``auto`` is what ``--tune off`` chooses. All numbers of rows take turns, as many as memory allows:
a round is one sample of each. Printed for each strategy and number of rows: the least time, the
rate of the weights as a share of the rate of loads of as many bytes, which take turns too, the
share of the peak, and what is wrong:

    slow      one row, and less than the required share of the bandwidth
    falls     more rows take less time (over 3 %)
    splits    two products of fewer rows, which add up to as many rows, take less time (over 3 %)

The last lines say how many were found, and from how many rows the peak is nearer than the
bandwidth. Exit code 1 if anything was found.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from convprof.codegen.probes.streams import ITERATION_BYTES, stream_kernel
from convprof.codegen.threads import Program, team
from convprof.dtypes import types
from convprof.machine import facts
from convprof.machine.caches import holding
from convprof.machine.model import MachineModel
from convprof.measure.operands import Operands
from convprof.problems import Gemm
from convprof.problems.grouped_weights import GroupedWeights
from convprof.strategies import registry
from convprof.strategies.base import Setting

MARGIN = 1.03
LOADS = 0
"""The key of the loads among the numbers of rows."""
MOST_BYTES = 2 << 30
"""Of weights, as they were drawn and packed, of the products that take turns."""
GROUP = 128


class Case(NamedTuple):
    """Weights of a size in a type."""

    k: int
    n: int
    dtype: str
    """The types of the product: ``bf16``, ``u8:s8:u8``."""
    stored: str
    """The type of weights of 8 or 4 bits in groups; or empty."""

    @classmethod
    def of(cls, size: str, dtype: str) -> Case:
        k, _, n = size.partition("x")
        plain, _, stored = dtype.partition("x")
        return cls(int(k), int(n or k), plain, stored)

    def problem(self, m: int) -> Gemm:
        grouped = GroupedWeights(self.stored, GROUP) if self.stored else None
        return Gemm(m=m, k=self.k, n=self.n, grouped_weights=grouped)

    @property
    def nbytes(self) -> int:
        """Bytes of the weights, with the scales of their groups."""
        if not self.stored:
            return self.k * self.n * types(self.dtype).weights.bytes
        bits = GroupedWeights(self.stored, GROUP).bits
        return self.k * self.n * bits // 8 + self.k // GROUP * self.n * 4

    @property
    def required(self) -> float:
        """The least share of the bandwidth with one row."""
        if self.stored:
            return 0.85 if self.stored.endswith("4") else 0.9
        return 0.9 if types(self.dtype).weights.is_exact else 0.95

    def __str__(self) -> str:
        return f"{self.k}x{self.n} {self.dtype}{'x' if self.stored else ''}{self.stored}"


def prepared_for(g: Gemm, strategy: str, setting: Setting) -> Any:
    prepared = registry.find("gemm", strategy).prepare(g, setting)
    prepared.bind(*Operands(g, setting.types, 0).all("nchw"))
    prepared.run()
    return prepared


def sample(prepared: Any) -> float:
    """Return the least of three times, after a call that brings back what others evicted."""
    least = float("inf")
    for call in range(4):
        start = time.perf_counter()
        prepared.run()
        if call:
            least = min(least, time.perf_counter() - start)
    return least


class Loads:
    """Reads as many bytes as there are in the weights, each thread its own part."""

    def __init__(self, nbytes: int, threads: int) -> None:
        part = nbytes // threads // ITERATION_BYTES * ITERATION_BYTES
        self._array = np.ones(threads * part + 64, np.uint8)
        start = -(-self._array.ctypes.data // 64) * 64
        self._buffers = np.array([start], np.int64)
        self._dims = np.array([part, part, 0, part // ITERATION_BYTES], np.int64)
        self._kernel = stream_kernel("load", facts().cpu.simd.fixed.bits or 128)
        addresses = (self._buffers.ctypes.data, self._dims.ctypes.data)
        self._team = team(threads)
        self._program = Program([(self._kernel.address, 0, threads, *addresses, True)], threads)

    def run(self) -> None:
        self._team.run(self._program)


def least(
    case: Case, strategy: str, setting: Setting, rows: list[int], rounds: int
) -> dict[int, float]:
    """Return the least time of each number of rows and of the loads; neighbours take turns."""
    together = max(2, MOST_BYTES // (2 * case.nbytes))
    seconds = dict.fromkeys([LOADS, *rows], float("inf"))
    loads = Loads(case.nbytes, setting.threads)
    for first in range(0, max(1, len(rows) - 1), together - 1):
        turns = {LOADS: loads} | {
            m: prepared_for(case.problem(m), strategy, setting)
            for m in rows[first : first + together]
        }
        for _ in range(rounds):
            for m, prepared in turns.items():
                seconds[m] = min(seconds[m], sample(prepared))
    return seconds


def faults(case: Case, share: float, seconds: dict[int, float], m: int) -> list[str]:
    """Return what is wrong with a time."""
    wrong = []
    if m == 1 and share < case.required:
        wrong.append(f"slow: {case.required:.0%} required")
    more = min((n for n in seconds if n > m), key=lambda n: seconds[n], default=m)
    if seconds[m] > MARGIN * seconds[more]:
        wrong.append(f"falls: {more} rows take {seconds[more] / seconds[m]:.2f} of it")
    pairs = [(n, m - n) for n in seconds if m - n in seconds and n <= m - n]
    split = min(pairs, key=lambda pair: sum(seconds[n] for n in pair), default=None)
    parts = sum(seconds[n] for n in split) if split else float("inf")
    if split and seconds[m] > MARGIN * parts:
        wrong.append(f"splits: {split[0]} and {split[1]} take {parts / seconds[m]:.2f} of it")
    return wrong


def report(machine: MachineModel, case: Case, strategy: str, setting: Setting, options: Any) -> int:
    """Measure and print one table; return the number of faults."""
    rows, threads = [int(m) for m in options.rows.split(",")], setting.threads
    level = holding(machine.levels(threads), case.problem(1).bytes_min(types(case.dtype)))
    peaks = machine.measure_peaks(case.dtype, [threads], options.isa)
    peak = peaks[0].flop_per_s if peaks else float("nan")
    seconds, found = least(case, strategy, setting, rows, options.rounds), 0
    rate = case.nbytes / seconds.pop(LOADS)
    print(f"{case}, {strategy}, {threads} thread(s): {level}, {rate / 1e9:.1f} GB/s")
    for m, time_s in seconds.items():
        share = case.nbytes / time_s / rate
        wrong = faults(case, share, seconds, m)
        found += len(wrong)
        print(
            f"  m={m:<3} {time_s * 1e6:10.1f} us  {share:6.1%} of the bandwidth"
            f"  {case.problem(m).flops / time_s / peak:6.1%} of the peak  {'; '.join(wrong)}"
        )
    both = (m for m in rows if case.problem(m).flops / peak >= case.nbytes / rate)
    print(f"  {found} fault(s); the peak is the limit from m={next(both, '-')}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="1024,2048,4096,4096x11008")
    parser.add_argument(
        "--dtypes", default="f32,bf16,f16,int8,u8:s8:u8,f32xint4,bf16xint4,f32xint8"
    )
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rows", default="1,2,3,4,6,8,12,16,24,32,48,64")
    parser.add_argument("--strategies", default="prepacked,packed")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--isa", default="native")
    options = parser.parse_args()
    machine, found = MachineModel.here(), 0
    for size in options.weights.split(","):
        for dtype in options.dtypes.split(","):
            case = Case.of(size, dtype)
            for threads in map(int, options.threads.split(",")):
                name = types(case.dtype).name
                setting = Setting(dtype=name, threads=threads, isa=options.isa, tune="off")
                for strategy in options.strategies.split(","):
                    if registry.find("gemm", strategy).why_not(case.problem(1), setting) is None:
                        found += report(machine, case, strategy, setting, options)
    print(f"{found} fault(s) in all")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
