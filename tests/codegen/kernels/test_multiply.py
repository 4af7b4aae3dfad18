"""How register tiles multiply short elements: right results, and the instructions meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multiply_tiles import a_tile
from other_cpus import X86_TRIPLE, assembly

from convprof.codegen import disassembly
from convprof.codegen import isa as isas
from convprof.codegen.architecture import ARM, X86
from convprof.codegen.isa import ISAS, available
from convprof.codegen.kernels.dot_products import Dot, Matrix, Shifted
from convprof.codegen.kernels.f16_blocks import MANY
from convprof.codegen.kernels.half import Half
from convprof.codegen.kernels.ways import mixed_dot, multiply
from convprof.codegen.kernels.widening import Bytes, Convert, Madd, Pairs
from convprof.codegen.target import TUNING, target
from convprof.codegen.tile_list import forget_kernels
from convprof.dtypes import S16, tolerance, types
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.results import NATIVE
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.gemm.panels import PANELS
from convprof.strategies.gemm.prepacked_tiles import PanelBlocking, PanelStages
from convprof.strategies.plan import Packed, Plan
from convprof.strategies.plan_runner import PlanRunner

SIZES = st.integers(1, 40)


@pytest.mark.parametrize(
    ("dtype", "isa", "features", "way"),
    [
        ("bf16", "avx512", ("avx512bf16",), Dot),
        ("bf16", "avx512", ("avx512vnni",), Pairs),
        ("bf16", "avx2", ("avx512bf16",), Pairs),
        ("bf16:bf16:f32", "sse", (), Pairs),
        ("f16", "avx2", ("f16c",), Convert),
        ("f16", "avx2", ("f16c", "avx512fp16"), Convert),
        ("f16", "avx512", ("f16c",), Convert),
        ("f16", "avx512", ("f16c", "avx512fp16"), Half),
        ("f16:f16:f32", "avx512", ("f16c", "avx512fp16"), Convert),
        ("int8", "avx512", ("avx512vnni",), Dot),
        ("int8", "avx2", ("avxvnni",), Dot),
        ("int8", "avx2", ("avx512vnni",), Madd),
        ("int8", "avx512", (), Madd),
        ("s8:s8:s32", "avx512", ("avx512vnni",), Shifted),
        ("bf16", "neon", ("bf16",), Matrix),
        ("f16", "neon", (), Convert),
        ("f16", "neon", ("fullfp16",), Half),
        ("int8", "neon", ("dotprod",), Shifted),
        ("int8", "neon", ("dotprod", "i8mm"), Matrix),
        ("s8:s8:s32", "neon", ("dotprod",), Dot),
        ("s8:s8:s32", "neon", ("dotprod", "i8mm"), Matrix),
        ("s8:s8:s32", "avx2", ("avxvnniint8", "avxvnni"), Dot),
        ("s8:s8:s32", "avx2", ("avx512vnni",), Madd),
    ],
)
def test_the_fastest_way_of_an_instruction_set(dtype, isa, features, way, cpu):
    cpu(X86, *features)
    assert type(multiply(types(dtype), ISAS[isa], sums=MANY)) is way


@pytest.mark.parametrize(
    ("dtype", "shape", "way"),
    [
        ("bf16", {"rows": 1}, Dot),
        ("int8", {"rows": 1}, Dot),
        ("int8", {"rows": 2}, Matrix),
        ("bf16", {"depth": 2}, Dot),
        ("bf16", {"depth": 3}, Matrix),
        ("int8", {"depth": 4}, Dot),
        ("int8", {"depth": 5}, Matrix),
    ],
)
def test_no_half_of_a_matrix_instruction_computes_nothing(dtype, shape, way, cpu):
    cpu(ARM, "bf16", "dotprod", "i8mm")
    assert type(multiply(types(dtype), ISAS["neon"], **shape)) is way


def test_every_other_cpu_widens(cpu):
    cpu(ARM)
    assert type(multiply(types("bf16"), ISAS["neon"])) is Pairs
    assert type(multiply(types("int8"), ISAS["neon"])) is Bytes
    with pytest.raises(ValueError, match="no kernel multiplies u8:u8:s32"):
        multiply(types("u8:u8:s32"), ISAS["neon"])


@pytest.mark.parametrize(
    ("dtype", "isa", "name", "instruction"),
    [
        ("bf16:bf16:f32", "avx512", "sapphirerapids", "vdpbf16ps"),
        ("int8", "avx512", "icelake-server", "vpdpbusd"),
        ("int8", "avx2", "alderlake", "vpdpbusd"),
        ("s8:s8:s32", "avx2", "sierraforest", "vpdpbssd"),
    ],
)
def test_the_inner_loop_of_a_cpu_with_the_instruction(dtype, isa, name, instruction, cpu):
    cpu(X86, "avx512bf16", "avx512vnni", "avxvnni", "avxvnniint8")
    tile = a_tile(dtype, ISAS[isa], rows=4)
    code = disassembly.busiest(assembly(tile, X86_TRIPLE, name))
    # four steps a turn, each 4 rows by 2 vectors
    assert code.products == {instruction: 4 * 4 * 2}
    assert code.spills == 0
    assert code.widest == ("zmm" if isa == "avx512" else "ymm")
    assert code.elements == 4 * 4, "a group of a is one load, spread over a vector"


@pytest.mark.parametrize(
    ("isa", "name", "extension", "instruction"),
    [
        ("avx512", "icelake-server", "avx512vnni", "vpdpwssd"),
        ("avx512", "skylake-avx512", "", "vpmaddwd"),
        ("avx2", "alderlake", "avxvnni", "vpdpwssd"),
        ("avx2", "haswell", "", "vpmaddwd"),
        ("sse", "x86-64", "", "pmaddwd"),
    ],
)
def test_pairs_of_16_bits_are_multiplied_as_they_are(isa, name, extension, instruction, cpu):
    cpu(X86, extension)
    tile = a_tile(S16.name, ISAS[isa], rows=4)
    code = disassembly.busiest(assembly(tile, X86_TRIPLE, name, TUNING[X86]))
    assert code.products == {instruction: tile.unroll * 4 * 2}
    assert tile.unroll == (4 if extension else 1)
    assert code.spills == 0
    additions = sum(bool(re.match(r"v?paddd", line)) for line in code.instructions)
    assert additions == (0 if extension else 4 * 2)


@pytest.mark.parametrize(("isa", "name"), [("avx512", "icelake-server"), ("avx2", "alderlake")])
def test_signed_bytes_are_shifted_in_registers(isa, name, cpu):
    cpu(X86, "avx512vnni", "avxvnni")
    tile = a_tile("s8:s8:s32", ISAS[isa], rows=4)
    code = disassembly.busiest(assembly(tile, X86_TRIPLE, name))
    # four steps a turn, each 4 rows and the row to subtract by 2 vectors
    assert code.products == {"vpdpbusd": 4 * 5 * 2}
    assert sum(line.startswith("vpxor") for line in code.instructions) == 4 * 4
    assert code.spills == 0


def error_of(g, setting, how, blocking, seed):
    """Return the largest error of a product in panels that multiplies in the way ``how``."""
    stages = PanelStages(g, setting, blocking, how)
    plan = Plan(workspaces=stages.workspaces(), packed={PANELS: Packed(stages.buffer, stages.pack)})
    plan.steps = [*stages.all()]
    operands = Operands(g, setting.types, seed)
    runner = PlanRunner("panels", g, setting, plan)
    runner.bind(*operands.all("nchw"))
    runner.run()
    return max_rel_error(operands, runner.output(), "nchw")


@pytest.mark.parametrize("source", ["u8", "s8"])
@settings(max_examples=25, deadline=None)
@given(m=SIZES, n=SIZES, k=SIZES, seed=st.integers(0, 99))
def test_bytes_of_any_cpu_give_the_exact_product(source, m, n, k, seed):
    g, setting = Gemm(m=m, n=n, k=k), Setting(dtype=f"{source}:s8:s32")
    how = Bytes(4, 4, source == "s8")
    assert error_of(g, setting, how, PanelBlocking(3, 1, 3, g.k), seed) == 0
    forget_kernels(64)


@dataclass(frozen=True)
class WrittenOut(Matrix):
    """``smmla`` or ``usmmla`` in the instructions of any CPU."""

    signed: bool = True

    def add(self, w, a, b, total):
        """Write each row's and each column's products, and add them up by halves."""
        longer = [
            w.add(f"{extend} <16 x i8> {of} to <16 x i32>")
            for of, extend in ((a, "sext" if self.signed else "zext"), (b, "sext"))
        ]
        cells = [(i, j) for i in (0, 1) for j in (0, 1)]
        picks = [[8 * i + k for i, _ in cells for k in range(8)]]
        picks += [[8 * j + k for _, j in cells for k in range(8)]]
        operands = [
            w.add(f"shufflevector <16 x i32> {of}, <16 x i32> poison, {indices(places)}")
            for of, places in zip(longer, picks, strict=True)
        ]
        sums, length = w.add(f"mul <32 x i32> {', '.join(operands)}"), 32
        while length > 4:
            halves = [
                w.add(f"shufflevector <{length} x i32> {sums}, <{length} x i32> poison, {part}")
                for part in (indices(range(first, length, 2)) for first in (0, 1))
            ]
            length //= 2
            sums = w.add(f"add <{length} x i32> {', '.join(halves)}")
        return w.plus(total, sums)

    def declarations(self, _w):
        """No intrinsic is called."""
        return ""


def indices(places):
    places = list(places)
    return f"<{len(places)} x i32> <{', '.join(f'i32 {place}' for place in places)}>"


@pytest.mark.skipif(target().arch not in {X86, ARM}, reason="needs vectors of 128 bits")
@pytest.mark.parametrize("source", ["u8", "s8"])
@settings(max_examples=4, deadline=None)
@example(m=1, n=1, k=1, seed=0)
@example(m=5, n=7, k=8, seed=0)
@example(m=2, n=8, k=300, seed=0)
@given(m=SIZES, n=SIZES, k=SIZES, seed=st.integers(0, 99))
def test_pairs_of_rows_and_columns_give_the_exact_product(source, m, n, k, seed):
    g, setting = Gemm(m=m, n=n, k=k), Setting(dtype=f"{source}:s8:s32", isa=available()[0])
    how = WrittenOut(8, 2, "", "<16 x i8>", signed=source == "s8")
    assert error_of(g, setting, how, PanelBlocking(min(g.m, 4), 2, 4, g.k), seed) == 0
    forget_kernels(64)


@pytest.mark.parametrize("name", ["packed", "prepacked"])
@pytest.mark.parametrize("dtype", ["bf16", "bf16:bf16:f32", "f16", "int8", "s8:s8:s32"])
@pytest.mark.parametrize("isa", available())
def test_every_blocking_gives_the_product(isa, dtype, name):
    of, g = types(dtype), Gemm(m=70, n=130, k=333)
    setting, strategy = Setting(dtype=of.name, isa=isa), registry.find("gemm", name)
    if strategy.why_not(g, setting):
        pytest.skip(strategy.why_not(g, setting))
    operands = Operands(g, of, 7)
    for blocking in strategy.blockings(g, setting):
        prepared = strategy.prepare_blocked(g, setting, blocking)
        prepared.bind(*operands.all("nchw"))
        prepared.run()
        assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(of, g.k)


@pytest.mark.parametrize("kc", [64, 100])
def test_a_rounded_result_has_the_whole_sum_in_one_block(kc):
    g, setting = Gemm(m=8, n=40, k=200), Setting(dtype="bf16")
    how = multiply(setting.types, isas.find(NATIVE))
    stages = PanelStages(g, setting, PanelBlocking(3, 1, 8, kc), how)
    with pytest.raises(ValueError, match="a result that is rounded cannot be added to"):
        stages.all()
    for strategy in (registry.find("gemm", name) for name in ("packed", "prepacked")):
        deep = Gemm(m=100, n=70, k=9000)
        assert {each.kc for each in strategy.blockings(deep, setting)} == {deep.k}


@pytest.mark.skipif(target().arch != X86, reason="reads x86 assembly")
@pytest.mark.parametrize("dtype", ["bf16:bf16:f32", "f16:f16:f32", "int8", "s8:s8:s32"])
@pytest.mark.parametrize("isa", available())
def test_the_inner_loop_of_this_cpu_keeps_its_sums_in_registers(isa, dtype):
    of, g = types(dtype), Gemm(m=512, n=512, k=512)
    setting, strategy = Setting(dtype=of.name, isa=isa), registry.find("gemm", "prepacked")
    if strategy.why_not(g, setting):
        pytest.skip(strategy.why_not(g, setting))
    prepared = strategy.prepare(g, setting)
    operands = [np.zeros(spec.shape) for spec in g.operands("nchw", of)]
    prepared.bind(*operands)
    ((title, _),) = prepared.inner_loops()
    assert " 0 spills" in title


@pytest.mark.parametrize(
    ("arch", "isa", "features"),
    [
        (X86, "avx512", ()),
        (X86, "avx2", ("avx512vnni",)),
        (X86, "sse", ("avxvnni",)),
        (ARM, "neon", ("dotprod",)),
    ],
)
def test_bytes_of_mixed_signs_need_an_instruction_that_takes_them(arch, isa, features, cpu):
    cpu(arch, *features)
    assert mixed_dot(ISAS[isa]) is None
