"""Multiply-adds of f16: the length of blocks, the code for another CPU, and results.

Any CPU with AVX-512 executes the kernels: only their multiply-adds of f16 are replaced, by
multiply-adds of f32 whose results are rounded to f16.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from types import SimpleNamespace
from weakref import WeakValueDictionary

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convprof.codegen import disassembly, tile_list
from convprof.codegen import isa as isas
from convprof.codegen import target as targets
from convprof.codegen.isa import ISAS
from convprof.codegen.jit import Module
from convprof.codegen.kernels.f16_blocks import MANY, Sums, longest_block
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.kernels.half import Half
from convprof.codegen.kernels.ways import multiply
from convprof.codegen.kernels.widening import Convert
from convprof.codegen.probes import fma
from convprof.codegen.target import target
from convprof.dtypes import tolerance, types
from convprof.machine import peaks
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d, Gemm
from convprof.strategies import multiplying, plan, registry
from convprof.strategies.base import Setting
from convprof.studies import ceilings

F16 = types("f16")


class InF32(Module):
    """Machine code whose multiply-adds of f16 are computed in f32, and rounded."""

    def __init__(self, ir, without=(), cpu=None):
        kept = (
            line for line in ir.splitlines() if not re.match(r"declare .* @llvm.fma.*f16", line)
        )
        here = re.sub(r"@llvm\.fma\.v(\d+)f16", r"@rounded\1", "\n".join(kept))
        super().__init__(here + self.rounded(16, here) + self.rounded(32, here), without, cpu)

    @staticmethod
    def rounded(lanes, ir):
        """Return the function that replaces the instruction."""
        half, single = f"<{lanes} x half>", f"<{lanes} x float>"
        declared = f"declare {single} @llvm.fma.v{lanes}f32({single}, {single}, {single})"
        wide = "\n".join(f"  %{name}w = fpext {half} %{name} to {single}" for name in "abc")
        return f"""
{"" if declared in ir else declared}
define internal {half} @rounded{lanes}({half} %a, {half} %b, {half} %c) alwaysinline {{
{wide}
  %sum = call {single} @llvm.fma.v{lanes}f32({single} %aw, {single} %bw, {single} %cw)
  %short = fptrunc {single} %sum to {half}
  ret {half} %short
}}
"""


class Kept:
    """IR that is not compiled."""

    def __init__(self, ir, without=()):  # noqa: ARG002
        self.ir = ir

    def address(self, name):  # noqa: ARG002
        return 0


@pytest.fixture
def with_fp16(monkeypatch):
    """Make this CPU one with AVX512-FP16; no kernel stays for other tests."""
    here = target()

    def has(*names):
        return here.has(*(name for name in names if name != "avx512fp16"))

    monkeypatch.setattr(isas, "target", lambda: SimpleNamespace(arch=here.arch, has=has))
    monkeypatch.setattr(tile_list, "Module", InF32)
    monkeypatch.setattr(tile_list, "_KERNELS", OrderedDict())
    monkeypatch.setattr(plan, "_alive", WeakValueDictionary())


executes = pytest.mark.skipif("avx512" not in isas.available(), reason="needs AVX-512")


def in_f16(a, b, longest):
    """Return the product as the kernels compute it: blocks in f16, their sums in f32."""
    m, n = len(a), b.shape[1]
    sums = np.zeros((m, n), np.float32)
    for first in range(0, a.shape[1], longest):
        block = np.zeros((m, n), np.float16)
        for t in range(first, min(first + longest, a.shape[1])):
            exact = np.outer(a[:, t].astype(np.float64), b[t].astype(np.float64)) + block
            block = exact.astype(np.float16)
        sums += block
    return sums.astype(np.float16)


@pytest.mark.parametrize("k", [64, 1024, 8192])
def test_the_error_of_a_block_stays_within_the_tolerance(k):
    longest = longest_block(F16, Sums(k, 48 * 48))
    random = np.random.default_rng(k)
    a, b = (random.uniform(-1, 1, size).astype(np.float16) for size in ((48, k), (k, 48)))
    reference = a.astype(np.float64) @ b.astype(np.float64)
    error = np.abs(in_f16(a, b, longest) - reference).max() / np.abs(reference).max()
    assert longest > 1
    assert error <= tolerance(F16, k)


@pytest.mark.parametrize("mean", [0.0, 0.5, 1.0])
def test_sums_of_mostly_one_sign_stay_within_the_tolerance(mean):
    k = 1024
    random = np.random.default_rng(3)
    a, b = (random.uniform(mean - 1, mean + 1, size) for size in ((32, k), (k, 32)))
    a, b = a.astype(np.float16), np.abs(b).astype(np.float16)
    reference = a.astype(np.float64) @ b.astype(np.float64)
    block = longest_block(F16, Sums(k, 32 * 32))
    error = np.abs(in_f16(a, b, block) - reference).max() / np.abs(reference).max()
    assert error <= tolerance(F16, k)


def test_longer_sums_and_more_results_allow_longer_blocks():
    lengths = [longest_block(F16, Sums(k, 4096)) for k in (64, 1024, 4096, 8192)]
    assert lengths == sorted(lengths)
    assert longest_block(F16, Sums(1024, 64)) < longest_block(F16, Sums(1024, 1 << 20))


@pytest.mark.parametrize("sums", [Sums(1024, 1), Sums(1024, 16), Sums(0, 64), Sums(64, 0)])
def test_few_results_may_all_be_small_and_are_summed_in_f32(sums):
    assert longest_block(F16, sums) == 0


def test_a_result_in_f32_keeps_its_accuracy():
    assert longest_block(types("f16:f16:f32"), MANY) == 0


@pytest.mark.usefixtures("with_fp16")
def test_a_sum_without_equal_blocks_is_converted():
    assert isinstance(multiply(F16, ISAS["avx512"], sums=Sums(1021, 4096)), Convert)
    assert isinstance(multiply(F16, ISAS["avx512"], sums=Sums(1024, 4096)), Half)


def tile(rows, vectors, run, longest):
    """Return a tile of dense rows."""
    width = 16 * vectors
    return Tile(
        types=F16,
        lanes=16,
        rows=tuple(i * run for i in range(rows)),
        segments=((0, 0),),
        run=run,
        vectors=vectors,
        b_row=width,
        c_rows=tuple(i * width for i in range(rows)),
        columns=width,
        multiply=Half(1, longest=longest),
    )


def sapphire_rapids(ir):
    """Return the assembly for a CPU with the instruction; nothing is executed."""
    module = targets.parsed(ir)
    machine = targets.llvm.Target.from_default_triple().create_target_machine(
        cpu="sapphirerapids", opt=3, jit=True
    )
    return str(machine.emit_assembly(module))


@executes
@pytest.mark.parametrize(("vectors", "across"), [(2, 1), (3, 2), (4, 2)])
def test_the_inner_loop_has_a_multiply_add_for_each_32_products(vectors, across):
    longest = 8
    rows = Half(1, longest=longest).tile_rows(vectors, ISAS["avx512"])
    code = disassembly.busiest(sapphire_rapids(tile(rows, vectors, 1024, longest).ir()))
    products = rows * across * longest
    assert code.counts["fma"] + code.counts["mul"] == products
    assert code.counts["mul"] == rows * across, "the first products of a block are its sums"
    assert code.counts["add"] == rows * vectors, "a block is added once to each vector of sums"
    conversions = [line for line in code.instructions if line.startswith("vcvt")]
    assert len(conversions) == rows * vectors
    assert all(line.startswith("vcvtph2psx") for line in conversions)
    assert code.spills == 0


@executes
@pytest.mark.usefixtures("with_fp16")
def test_the_peak_is_the_one_of_multiply_adds_of_f16(monkeypatch):
    monkeypatch.setattr(fma, "Module", Kept)
    kernel, single = (fma.fma_kernel.__wrapped__(dtype, 512) for dtype in ("f16", "f32"))
    assert kernel.flops_per_iteration == 2 * single.flops_per_iteration
    code = disassembly.busiest(sapphire_rapids(kernel.module.ir))
    assert code.counts["fma"] == kernel.chains * kernel.unroll
    assert code.spills == 0


@executes
@pytest.mark.usefixtures("with_fp16")
def test_ceilings_list_the_peak_of_f16():
    assert peaks.listed_types()[-1] == "f16"
    listed = [(isa, of.bits) for isa, of in ceilings._arithmetics() if of.dtype == "f16"]
    assert listed == [("avx512", 512)]


def error_of(problem, name):
    """Return the error of a strategy over the tolerance."""
    setting = Setting(dtype="f16", isa="avx512", layout="nhwc")
    operands = Operands(problem, setting.types, 5)
    prepared = registry.find(problem.kind, name).prepare(problem, setting)
    prepared.bind(*operands.all("nhwc"))
    prepared.run()
    error = max_rel_error(operands, prepared.output(), "nhwc")
    return error / tolerance(setting.types, problem.terms)


@executes
@pytest.mark.usefixtures("with_fp16")
@pytest.mark.parametrize("name", ["packed", "prepacked"])
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(m=st.integers(20, 60), n=st.integers(20, 140), k=st.sampled_from([36, 64, 200, 384]))
def test_products_are_right(name, m, n, k):
    g = Gemm(m=m, n=n, k=k)
    assert isinstance(multiplying.of_gemm(g, F16, ISAS["avx512"]), Half)
    assert error_of(g, name) <= 1


@executes
@pytest.mark.usefixtures("with_fp16")
@pytest.mark.parametrize(
    "problem",
    [
        Conv2d(c=16, h=9, w=9, k=40, r=3, s=3, pad=(1, 1)),
        Conv2d(c=48, h=12, w=12, k=32, r=1, s=1),
        Conv2d(c=64, h=10, w=10, k=80, r=3, s=3, stride=(2, 2), pad=(1, 1), groups=2),
    ],
    ids=("3x3", "1x1", "groups"),
)
def test_convolutions_are_right(problem):
    assert isinstance(multiplying.of_conv2d(problem, F16, ISAS["avx512"]), Half)
    assert error_of(problem, "microkernel") <= 1
