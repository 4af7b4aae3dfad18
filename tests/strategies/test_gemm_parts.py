"""Products with too few tiles for many threads: smaller tiles, and sums in parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convprof.codegen import isa as isas
from convprof.dtypes import tolerance
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm, parse
from convprof.problems.epilogue import Epilogue
from convprof.strategies import registry
from convprof.strategies.balance import balance
from convprof.strategies.base import Setting
from convprof.strategies.gemm import longest_share, packed
from convprof.strategies.gemm.blocked import IN_PLACE, GemmBlocking, PartedBlocking
from convprof.strategies.plan_runner import PlanRunner

pytestmark = pytest.mark.skipif(not isas.available(), reason="no kernels are generated here")
needs_avx512 = pytest.mark.skipif(
    "avx512" not in isas.available(), reason="the cycles of other vectors differ"
)
FIRST = registry.find("gemm", "packed")
LONG = Gemm(m=64, k=4096, n=64)


@pytest.mark.parametrize(
    ("text", "ends", "parts", "threads", "dtype"),
    [
        ("5x24:24x20", {}, 2, 2, "f32"),
        ("5x24:24x20", {"bias": True, "function": "relu"}, 3, 3, "f32"),
        ("5x24:24x20", {"bias": True, "add": True}, 4, 3, "f64"),
        ("9x24:24x7", {}, 3, 3, "u8:s8:s32"),
    ],
)
def test_the_parts_make_the_whole_sum(text, ends, parts, threads, dtype):
    g, setting = parse(text).with_epilogue(Epilogue(**ends)), Setting(dtype=dtype, threads=threads)
    blocking = PartedBlocking(3, 1, 3, 16, 16, IN_PLACE, parts=parts)
    runner = PlanRunner("packed", g, setting, FIRST.plan_blocked(g, setting, blocking))
    operands = Operands(g, setting.types, 0)
    runner.bind(*operands.all("nchw"))
    for _ in range(2):
        runner.output().fill(3)
        runner.run()
        error = max_rel_error(operands, runner.output(), "nchw")
        assert error <= tolerance(setting.types, g.k)


@needs_avx512
@pytest.mark.usefixtures("_on_paper")
@pytest.mark.parametrize(
    ("text", "threads", "kind"),
    [
        ("64x4096:4096x64", 32, GemmBlocking),
        ("16x4096:4096x16", 32, PartedBlocking),
    ],
)
def test_many_threads_are_busy(monkeypatch, text, threads, kind):
    monkeypatch.setattr(packed, "l2_bytes", lambda: 1 << 20)
    g, setting = parse(text), Setting(threads=threads, isa="avx512")
    usual = FIRST.vector_blockings(g, setting)[0]
    first = FIRST.blockings(g, setting)[0]
    assert type(first) is kind
    before, after = (
        balance(FIRST.plan_blocked(g, setting, each), threads) for each in (usual, first)
    )
    assert after >= 0.8 > before


@pytest.mark.parametrize(
    ("g", "threads", "dtype"),
    [
        (LONG, 2, "f32"),
        (Gemm(m=4096, k=512, n=512), 32, "f32"),  # tiles for all
        (replace(LONG, batch=2), 32, "f32"),
        (LONG, 32, "u8:s8:u8"),
    ],
)
def test_other_products_are_cut_as_usual(g, threads, dtype):
    setting = Setting(threads=threads, dtype=dtype)
    usual = FIRST.vector_blockings(g, setting)[0]
    assert longest_share.quicker(g, setting, usual) is None


def test_parts_are_not_rounded_before_the_epilogue():
    g = Gemm(m=16, k=4096, n=16, epilogue=Epilogue(bias=True))
    setting = Setting(threads=32, dtype="bf16")
    assert longest_share._part_counts(g, setting, 2) == [1]
