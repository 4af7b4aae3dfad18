"""Weights of 8 and 4 bits: activations as digits of 8 bits against weights as f32.

Both are bound in one process and run in turn; the minimum of each is printed, with the rate at
which the weights are read.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import TYPE_CHECKING

from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.problems.grouped_weights import GroupedWeights
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm import grouped_tiles

if TYPE_CHECKING:
    from convprof.strategies.base import Prepared


def prepared(g: Gemm, setting: Setting, operands: Operands, *, digits: bool) -> Prepared:
    before = grouped_tiles.mixed_dot
    if not digits:
        grouped_tiles.mixed_dot = lambda _isa: None
    try:
        made = registry.find("gemm", "prepacked").prepare(g, setting)
    finally:
        grouped_tiles.mixed_dot = before
    made.bind(*operands.all("nchw"))
    return made


def compare(g: Gemm, setting: Setting, rounds: int) -> None:
    operands = Operands(g, setting.types, 1)
    both = [prepared(g, setting, operands, digits=digits) for digits in (False, True)]
    shortest = [math.inf, math.inf]
    for _ in range(rounds):
        for number, each in enumerate(both):
            start = time.perf_counter()
            each.run()
            shortest[number] = min(shortest[number], time.perf_counter() - start)
    weights = g.grouped_weights
    read = g.k * g.n * (weights.bits / 8 + 4 / weights.group)
    errors = [max_rel_error(operands, each.output(), "nchw") for each in both]
    texts = (
        f"{seconds * 1e6:8.0f} us {read / seconds / 1e9:5.1f} GB/s, error {error:.0e}"
        for seconds, error in zip(shortest, errors, strict=True)
    )
    ratio = shortest[0] / shortest[1]
    name = f"{g.m:3} {weights.dtype} {setting.dtype:4} {setting.threads} thr"
    print(f"{name}: {' -> '.join(texts)}  ({ratio:.2f} times as fast)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 16])
    parser.add_argument("--size", type=int, default=4096, help="of the weights: k and n")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    for m in given.rows:
        for dtype, weights in (("f32", "int4"), ("f32", "int8"), ("bf16", "int8")):
            grouped = GroupedWeights(weights, 128)
            g = Gemm(m=m, n=given.size, k=given.size, grouped_weights=grouped)
            compare(g, Setting(dtype=dtype, threads=given.threads), given.rounds)


if __name__ == "__main__":
    main()
