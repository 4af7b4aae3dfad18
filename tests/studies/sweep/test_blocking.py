from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convprof.dtypes import F32
from convprof.errors import InputError
from convprof.problems import Conv2d, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.studies.run import Choice, contestants
from convprof.studies.sweep import blocking
from convprof.studies.sweep.blocking import Blocked

GEMM = Gemm(m=50, n=45, k=37)
BIG = Gemm(m=999, n=999, k=999)
CONV = Conv2d(c=5, h=9, w=8, k=20, r=3, s=3, pad=(1, 1))


def everyone(problem, *names):
    return contestants(problem, Choice(names, ("nhwc",)))


def product(changes, problem=GEMM):
    strategy = Blocked(registry.find("gemm", "packed"), changes)
    prepared = strategy.prepare(problem, Setting())
    random = np.random.default_rng(0)
    a, b = (
        random.random(shape, dtype=np.float32)
        for shape in tuple(spec.shape for spec in problem.operands("nchw", F32))
    )
    prepared.bind(a, b)
    prepared.run()
    return np.abs(prepared.output() - a.astype(float) @ b.astype(float)).max()


@pytest.mark.parametrize(
    "changes",
    [
        {"mc": 2, "kc": 5, "nc": 3},
        {"mc": 7, "kc": 7, "nc": 7},
        {"mc": 16, "kc": 16, "nc": 16},
        {"mc": 999, "kc": 999, "nc": 999},
        {"rows": 1},
        {"rows": 5},
        {"vectors": 3},
        {"pack_b": 0},
        {"pack_b": 1},
    ],
    ids=str,
)
def test_any_blocking_computes_the_product(changes):
    assert product(changes) < 1e-4


def test_each_instruction_set_has_a_blocked_contestant():
    choice = Choice(("packed",), isas=("sse", "avx2"))
    every = blocking.blocked(contestants(GEMM, choice), "tile.kc", 16)
    assert [c.label for c in every] == ["packed sse 1 thread", "packed avx2 1 thread"]


def test_the_other_numbers_stay_the_models_choice():
    packed = registry.find("gemm", "packed")
    chosen = packed.blockings(GEMM, Setting())[0]
    assert replace(chosen, kc=5) == Blocked(packed, {"kc": 5}).blocking(GEMM, Setting())


def test_only_strategies_with_the_number_take_part():
    found = blocking.blocked(everyone(GEMM, "naive", "packed"), "tile", 16)
    assert [contestant.label for contestant in found] == ["packed 1 thread"]
    found = blocking.blocked(everyone(CONV, "microkernel", "tiled"), "tile", 2)
    assert [contestant.label for contestant in found] == ["microkernel nhwc 1 thread"]


@pytest.mark.parametrize(
    ("problem", "names", "over", "values", "message"),
    [
        (GEMM, ("packed",), "tile.foo", (1,), "vary tile.NAME: packed has rows"),
        (GEMM, ("naive",), "tile", (16,), "naive cannot vary mc, kc, nc; name a strategy"),
        (GEMM, (), "tile.foo", (1,), "these strategies cannot vary foo"),
        (CONV, ("microkernel",), "tile.kc", (8,), "microkernel has vectors, rows, block_rows"),
        (GEMM, ("packed",), "tile.rows", (8, 100), "range: rows may be at most 64, not 100"),
        (BIG, ("packed",), "tile", (2,), "tile 2 cuts 999x999:999x999 into 125,000,000 blocks"),
    ],
)  # fmt: skip
def test_what_cannot_be_varied_is_said_before_measuring(problem, names, over, values, message):
    with pytest.raises(InputError) as error:
        blocking.check(everyone(problem, *names), over, values)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("over", "known"), [("tile", True), ("tile.kc", True), ("unroll", True), ("size", False)]
)
def test_what_is_a_blocking(over, known):
    assert known == blocking.is_blocking(over)
