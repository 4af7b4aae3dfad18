from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import llvmlite.binding as llvm
import pytest

from convprof.codegen import disassembly, isa, scheduling, tile_permission
from convprof.codegen import target as targets
from convprof.codegen.isa import ISAS, register_rows
from convprof.codegen.jit import Module
from convprof.codegen.kernels.depthwise import DepthwiseTile, Tap
from convprof.codegen.kernels.gemm import Tile
from convprof.codegen.target import target
from convprof.dtypes import types
from convprof.errors import InputError

HERE = isa.widths()
x86 = pytest.mark.skipif(target().arch != "x86_64", reason="reads x86 assembly")

FORBIDDEN = {
    "sse": r"%[yz]mm|%xmm(1[6-9]|[23]\d)|%k\d|\bv[a-z]+\d*[ps][sd]\b|vzeroupper",
    "avx2": r"%zmm|%[xy]mm(1[6-9]|[23]\d)|%k\d",
    "avx512": r"(?!)",
}
BYTES = {"f32": 4, "f64": 8}


def tile(which, dtype, vectors=2, **changes):
    lanes = which.lanes(BYTES[dtype])
    rows = range(register_rows(vectors, which))
    made = Tile(
        types=types(dtype),
        lanes=lanes,
        rows=tuple(i * 64 for i in rows),
        segments=((0, 0), (999, 64), (1998, 128)),
        run=64,
        vectors=vectors,
        b_row=vectors * lanes,
        c_rows=tuple(i * vectors * lanes for i in rows),
        columns=vectors * lanes,
        fused=which.fused,
    )
    return replace(made, **changes)


def kernels(which, dtype):
    """Return the IR of one kernel of every sort, masked ones too."""
    lanes = which.lanes(BYTES[dtype])
    whole = tile(which, dtype)
    ragged = tile(which, dtype, columns=2 * lanes - 1, padded=False, accumulate=True)
    depthwise = DepthwiseTile(
        types=types(dtype),
        lanes=lanes,
        pixels=(0, 19, 38, 57),
        taps=tuple(Tap(((19 * row, 0),), row) for row in range(3)),
        c_pixels=(0, 19, 38, 57),
        channels=19,
        b_row=-(-19 // lanes) * lanes,
        registers=which.registers,
        fused=which.fused,
    )
    packing = replace(ragged, padded=True, pack_row=100)
    return [whole.ir(), ragged.ir(), depthwise.ir(), packing.ir()]


@x86
@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("name", HERE)
def test_code_for_an_instruction_set_stays_within_it(name, dtype):
    which = ISAS[name]
    for ir in kernels(which, dtype):
        text = Module(ir, which.without).assembly()
        assert re.search(FORBIDDEN[name], text) is None
        widest = {"sse": "xmm", "avx2": "ymm", "avx512": "zmm"}[name]
        assert widest == disassembly.read(text).widest


@x86
def test_the_pattern_finds_what_is_forbidden():
    assert re.search(FORBIDDEN["sse"], "vaddps %xmm1, %xmm2, %xmm3")
    assert re.search(FORBIDDEN["sse"], "movaps %xmm16, %xmm3")
    assert re.search(FORBIDDEN["avx2"], "vmovups (%rsi), %ymm0 {%k1} {z}")
    native = Module(kernels(ISAS["avx2"], "f32")[1]).assembly()
    if "avx512" in HERE:  # without the switch LLVM uses what it finds: masks, 32 registers
        assert re.search(FORBIDDEN["avx2"], native)


def test_the_assembly_shown_is_the_code_that_runs():
    ir = tile(isa.find("native"), "f32").ir()
    objects = []
    cpu = scheduling.model().name
    engine = llvm.create_mcjit_compiler(targets.parsed(ir), targets.machine(cpu))
    engine.set_object_cache(lambda _, data: objects.append(data), lambda _: None)
    engine.finalize_object()
    assert [targets.machine(cpu).emit_object(targets.parsed(ir))] == objects

    module = Module(ir)
    expected = targets.machine(cpu).emit_assembly(targets.parsed(ir))
    assert [expected, expected] == [module.assembly(), module.assembly()]


def fake(monkeypatch, arch, features=""):
    host = replace(target(), arch=arch, features=features)
    for module in (isa, tile_permission):
        monkeypatch.setattr(module, "target", lambda: host)
    isa.available.cache_clear()
    tile_permission.refusal.cache_clear()


@pytest.fixture(autouse=True)
def _forget():
    yield
    isa.available.cache_clear()
    tile_permission.refusal.cache_clear()


def test_aarch64_has_neon(monkeypatch):
    fake(monkeypatch, "aarch64", "+neon")
    assert isa.available() == ("neon",)
    assert isa.find("native") is isa.find("neon") is ISAS["neon"]
    with pytest.raises(InputError, match=r"isa=avx2: this CPU has neon; use one of them or nat"):
        isa.find("avx2")


AVX512 = "+avx512f,+avx512vl,+avx512dq,+avx512bw"


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ("+sse2,-avx", ("sse",)),
        ("+avx,+avx2,-fma", ("sse",)),
        ("+avx,+avx2,+fma,-avx512f", ("sse", "avx2")),
        (f"+avx2,+fma,{AVX512}", ("sse", "avx2", "avx512")),
        ("+avx2,+fma,+avx512f,-avx512vl", ("sse", "avx2")),
    ],
)
def test_x86_has_what_its_flags_say(monkeypatch, features, names):
    fake(monkeypatch, "x86_64", features)
    assert names == isa.available()
    assert isa.find("native") is ISAS[names[-1]]


AMX = f"+avx2,+fma,{AVX512},+amx-tile,+amx-bf16,+amx-int8"


@pytest.mark.parametrize(
    ("features", "platform", "error", "reason"),
    [
        (AMX, "linux", 0, None),
        (AMX, "linux", 95, "Linux refuses the tile registers of AMX"),
        (AMX, "win32", 0, "tile registers are used on Linux only"),
        (AMX.replace("+amx-bf16", "-amx-bf16"), "linux", 0, "amx-bf16"),
    ],
)
def test_tile_registers_need_the_cpu_and_the_system(monkeypatch, features, platform, error, reason):
    monkeypatch.setattr(tile_permission, "_request", lambda: error)
    monkeypatch.setattr(tile_permission, "sys", SimpleNamespace(platform=platform))
    fake(monkeypatch, "x86_64", features)
    names = ("sse", "avx2", "avx512")
    assert names == isa.widths()
    assert isa.available() == (names if reason else (*names, "amx"))
    assert isa.of_bits(512) is ISAS["avx512"]
    assert isa.find("native") is ISAS[isa.available()[-1]]
    if reason:
        with pytest.raises(InputError, match=f"isa=amx: .*{reason}.*; this CPU has sse, avx2"):
            isa.find("amx")


@pytest.mark.skipif(sys.platform != "linux" or target().arch != "x86_64", reason="a system call")
def test_the_system_answers_the_request():
    allowed = tile_permission._request() == 0
    assert allowed or not target().has("amx-tile")


def test_another_architecture_has_none_and_gets_narrow_vectors(monkeypatch):
    fake(monkeypatch, "riscv64")
    assert (isa.find("native").bits, isa.find("native").fused) == (128, False)
    with pytest.raises(InputError, match="isa=neon: this CPU has none that kernels are gen"):
        isa.find("neon")


@pytest.fixture
def aarch64():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    try:
        found = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip("this LLVM has no AArch64 target")

    def emit(ir, cpu):
        module = llvm.parse_assembly(ir)
        module.triple = triple
        module.verify()
        return str(found.create_target_machine(cpu=cpu, opt=3, jit=True).emit_assembly(module))

    return emit


@pytest.mark.parametrize("cpu", ["", "neoverse-n1", "apple-m1"])
@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("vectors", [1, 2, 3, 4])
def test_a_neon_tile_stays_in_registers(aarch64, vectors, dtype, cpu):
    made = tile(ISAS["neon"], dtype, vectors)
    text = aarch64(made.ir(), cpu)
    loop = disassembly.busiest(text)
    sums = len(made.rows) * vectors
    assert sums >= 20
    assert (loop.fmas, loop.widest) == (sums * made.unroll, "v")
    assert [code.spills for code in disassembly.loops(text)] == [0, 0]
    arrangement = {"f32": ".4s", "f64": ".2d"}[dtype]
    vector = [line for line in loop.instructions if re.match(rf"fmla v\d+\{arrangement}", line)]
    assert len(vector) == loop.fmas


def test_neon_tiles_two_wide_have_24_sums():
    assert register_rows(2, ISAS["neon"]) == 12
