"""The proof: ``microkernel`` and ``packed`` keep their sums in registers, the widest there are."""

from __future__ import annotations

import itertools

import pytest

from convprof.codegen import disassembly, isa
from convprof.codegen.kernels.depthwise import DepthwiseTile
from convprof.codegen.target import target
from convprof.codegen.tile_list import TileList
from convprof.problems import Conv2d, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting

pytestmark = [
    pytest.mark.skipif(target().arch != "x86_64", reason="reads x86 assembly"),
    pytest.mark.usefixtures("read_only_kernels"),
]

REGISTERS = {"sse": "xmm", "avx2": "ymm", "avx512": "zmm"}
PROBLEMS = {
    "default": Conv2d(c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1)),
    "1x1": Conv2d(c=256, h=14, w=14, k=64, r=1, s=1),
    "stem": Conv2d(c=3, h=32, w=32, k=64, r=7, s=7, stride=(2, 2)),
    "remainders": Conv2d(c=13, h=19, w=17, k=37, r=3, s=3, pad=(1, 0)),
    "three vectors": Conv2d(c=20, h=9, w=9, k=48, r=3, s=3),
    "depthwise": Conv2d(c=256, h=28, w=28, k=256, r=3, s=3, pad=(1, 1), groups=256),
    "depthwise, strided": Conv2d(
        c=45, h=15, w=15, k=45, r=5, s=5, pad=(2, 2), stride=(2, 2), groups=45
    ),
    "gemm": Gemm(m=512, n=512, k=500),
    "gemm, remainders": Gemm(m=101, n=117, k=203),
    "gemm, few rows": Gemm(m=5, n=301, k=700),
    "matrix times vector": Gemm(m=300, n=1, k=700),
}
MAIN = {
    ("sse", "f32"): ("2x16 tile", 8),
    ("sse", "f64"): ("2x8 tile", 8),
    ("avx2", "f32"): ("6x16 tile", 48),
    ("avx2", "f64"): ("6x8 tile", 48),
    ("avx512", "f32"): ("14x32 tile", 112),
    ("avx512", "f64"): ("14x16 tile", 112),
}

EVERY_TILE = ("remainders", "depthwise", "gemm, remainders")
"""Cases in which all tiles are tried that a search may choose, not only the first."""

each_isa = pytest.mark.parametrize("name", [n for n in isa.available() if n in REGISTERS])
each_dtype = pytest.mark.parametrize("dtype", ["f32", "f64"])


def plans(problem, setting):
    """Yield the strategy prepared with every register tile that it may choose."""
    name = {"conv2d": "microkernel", "gemm": "packed"}[problem.kind]
    strategy = registry.find(problem.kind, name)
    seen = set()
    for variant in strategy.blockings(problem, setting):
        tile = (variant.vectors, variant.rows, getattr(variant, "pack_b", None))
        if tile not in seen:  # the others cut the work of the same tiles into other blocks
            seen.add(tile)
            yield strategy.prepare_blocked(problem, setting, variant)


def kept(prepared):
    return [step.kernel.keep for step in prepared._plan.steps]


def fmas(tile):
    """Return the multiply-adds that one iteration of a tile's inner loop must have."""
    if isinstance(tile, DepthwiseTile):
        return len(tile.pixels) * len(tile.taps) if tile.channels >= tile.lanes else None
    return len(tile.rows) * tile.vectors * tile.unroll


@each_isa
@each_dtype
@pytest.mark.parametrize("case", PROBLEMS)
def test_every_kernel(case, dtype, name):
    seen = set()
    # a tile of f64 is a tile of f32 with other types: as many registers
    most = None if case in EVERY_TILE and dtype == "f32" else 1
    found = plans(PROBLEMS[case], Setting("nhwc", dtype, 1, name))
    for prepared in itertools.islice(found, most):
        for keep in kept(prepared):
            if not isinstance(keep, TileList):  # packing
                assert not any(code.spills for code in disassembly.loops(keep.assembly()))
                continue
            for made in keep.uses.keys() - seen:
                seen.add(made)
                check(made, REGISTERS[name])
    assert seen


def check(made, register):
    text = made.module.assembly()
    assert not any(code.spills for code in disassembly.loops(text)), made.tile
    expected = fmas(made.tile)
    if expected:
        loop = disassembly.busiest(text)
        assert (expected, register) == (loop.fmas, loop.widest), made.tile


@each_isa
@each_dtype
@pytest.mark.parametrize("case", ["default", "gemm"])
def test_the_kernel_that_does_the_work(case, dtype, name):
    prepared = next(plans(PROBLEMS[case], Setting("nhwc", dtype, 1, name)))
    ((title, text),) = prepared.inner_loops()
    shape, count = MAIN[name, dtype]
    arithmetic = "multiply + add" if name == "sse" else "FMA"
    assert title.startswith(f"{shape}, {count} {arithmetic}, ")
    assert title.endswith(f" loads, 0 spills, {REGISTERS[name]}")
    assert len(text.splitlines()) > count


@pytest.mark.skipif("avx512" not in isa.available(), reason="no AVX-512")
def test_a_14x32_tile_is_two_loads_and_fourteen_broadcasts_a_step():
    prepared = next(plans(PROBLEMS["default"], Setting("nchw", "f32", 1, "avx512")))
    ((title, _),) = prepared.inner_loops()
    assert title == "14x32 tile, 112 FMA, 8+56 loads, 0 spills, zmm"


def test_strategies_without_generated_kernels_have_no_loops_to_show():
    prepared = registry.find("conv2d", "tiled").prepare(PROBLEMS["stem"], Setting())
    assert prepared.inner_loops() == []


RUNGS = {
    # (isa, rung): tile, multiply-adds per iteration, whether in one instruction
    ("avx512", "vectorized"): ("4x32 tile", 8, "multiply + add"),
    ("avx512", "fma"): ("4x32 tile", 8, "FMA"),
    ("avx512", "unrolled"): ("14x32 tile", 112, "FMA"),
    ("avx2", "vectorized"): ("4x16 tile", 8, "multiply + add"),
    ("avx2", "fma"): ("4x16 tile", 8, "FMA"),
    ("avx2", "unrolled"): ("6x16 tile", 48, "FMA"),
    ("sse", "vectorized"): ("4x8 tile", 8, "multiply + add"),
}


@pytest.mark.parametrize(("name", "rung"), [key for key in RUNGS if key[0] in isa.available()])
def test_the_rungs_below_packed_differ_by_one_idea_each(name, rung):
    g = PROBLEMS["gemm"]
    prepared = registry.find("gemm", rung).prepare(g, Setting("nchw", "f32", 1, name))
    ((title, text),) = prepared.inner_loops()
    shape, count, arithmetic = RUNGS[name, rung]
    assert title.startswith(f"{shape}, {count} {arithmetic}, ")
    assert title.endswith(f" loads, 0 spills, {REGISTERS[name]}")
    assert len(text.splitlines()) > count
    for keep in kept(prepared):
        for made in keep.uses:
            check(made, REGISTERS[name])
