"""The peak of tile registers: its code, and its run by a model of the instructions."""

from __future__ import annotations

import ctypes
import functools
import io
import re
from dataclasses import asdict, replace

import llvmlite.binding as llvm
import numpy as np
import pytest
from rich.console import Console
from tile_model import TileModel, emulated

from convprof.codegen import disassembly
from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.kernels import tile_registers
from convprof.codegen.probes import peak, tile_products
from convprof.codegen.probes.tile_products import L1, REGISTERS, TILE_BITS
from convprof.codegen.target import target
from convprof.errors import InputError
from convprof.machine import ceilings_store, facts, peaks
from convprof.machine.ceilings_store import Ceilings
from convprof.machine.model import MachineModel
from convprof.machine.peaks import Peak
from convprof.render import tables
from convprof.render.ceilings import ceilings_report
from convprof.render.compare import dtypes, peers
from convprof.render.sysinfo import system
from convprof.render.sysinfo.hardware import Lookup
from convprof.results import Measurement
from convprof.studies import ceilings, sysinfo
from convprof.studies.roofline_session import with_limits

pytestmark = pytest.mark.skipif(target().arch != X86, reason="x86 instructions")


@pytest.fixture
def model(monkeypatch):
    """Give this CPU tile registers, executed by a model."""
    host = replace(target(), features="+amx-bf16,+amx-int8")
    monkeypatch.setattr(tile_registers, "target", lambda: host)
    monkeypatch.setattr(isas, "available", lambda: ("sse", "avx2", "avx512", "amx"))
    unit = TileModel()
    monkeypatch.setattr(tile_products, "Module", emulated(unit))
    tile_products.tile_kernel.cache_clear()
    yield unit
    tile_products.tile_kernel.cache_clear()


@pytest.mark.parametrize(("dtype", "flops"), [("bf16", 16384), ("u8:s8:s32", 32768)])
def test_each_iteration_is_six_products(model, dtype, flops):
    kernel = peak.kernel(peak.Arithmetic(dtype, TILE_BITS), 5)
    assert (peak.flops_at_once(dtype, TILE_BITS), kernel.flops_per_iteration) == (flops, 6 * flops)
    name = peak.instruction(dtype, TILE_BITS)
    run(kernel, model)
    assert model.counts[name] == 6 * TURNS
    assert model.counts["tileloadd64"] == 2


@pytest.mark.parametrize(("dtype", "flops"), [("bf16", 16384), ("u8:s8:s32", 32768)])
def test_the_tile_ceiling_loads_four_tiles_for_four_products(model, dtype, flops):
    kernel = peak.kernel(peak.Arithmetic(dtype, TILE_BITS, operands=L1), 5)
    assert kernel.flops_per_iteration == 4 * flops
    assert kernel.operand_bytes == 32 << 10
    run(kernel, model)
    assert model.counts[peak.instruction(dtype, TILE_BITS)] == 4 * TURNS
    assert model.counts["tileloadd64"] == 4 * TURNS


TURNS = 36
"""Iterations: more than the steps of the operands, which are used in turn."""


def run(kernel, model):
    """Run a kernel in the model, which notes every load from beyond the operands."""
    operands = np.full(kernel.operand_bytes, 0x3F, "u1")
    model.memory = [operands]
    buffers, dims = np.array([operands.ctypes.data]), np.array([TURNS // 3])
    call = kernel.module.function("peak", None, *[ctypes.c_int64] * 4)
    call(0, 3, buffers.ctypes.data, dims.ctypes.data)
    assert model.faults == []
    assert model.is_released


def loop_of(monkeypatch, operands):
    """Return the loop of a kernel of tdpbf16ps with 120 additions, for a CPU with AMX."""
    texts = []

    class Kept:
        def __init__(self, ir):
            texts.append(ir)

        def address(self, name):  # noqa: ARG002
            return 0

    monkeypatch.setattr(tile_products, "Module", Kept)
    of = tile_registers.TileProduct("tdpbf16ps", 2, "")
    tile_products.tile_kernel.__wrapped__(of, 120, operands=operands)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()
    cpu = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    text = cpu.create_target_machine(cpu="sapphirerapids", opt=3).emit_assembly(
        llvm.parse_assembly(texts[0])
    )
    (loop,) = disassembly.loops(text)
    return loop


def test_the_loop_has_the_additions_between_the_products(monkeypatch):
    loop = loop_of(monkeypatch, REGISTERS)
    kinds = "".join(line[0] for line in loop.instructions if re.match("tdp|addq", line))
    assert kinds.count("t") == 6
    assert kinds.startswith("t" + ("a" * 20 + "t") * 5)
    assert not [line for line in loop.instructions if "(" in line]


def test_the_loop_of_the_tile_ceiling_is_a_step_of_a_product(monkeypatch):
    loop = loop_of(monkeypatch, L1)
    names = ("tdpbf16ps", "tileloadd", "addq %")
    counts = [sum(line.startswith(name) for line in loop.instructions) for name in names]
    assert counts[:2] == [4, 4]
    assert counts[2] >= 120
    sums = {re.search(r"%tmm\d$", line)[0] for line in loop.instructions if "tdp" in line}
    assert len(sums) == 4, "four independent sums"
    assert not [line for line in loop.instructions if "(%rsp" in line]


def test_the_peak_of_short_types_is_the_one_of_tile_registers(model):  # noqa: ARG001
    machine = MachineModel(facts())
    for isa in ("native", "amx"):
        assert machine.arithmetic("bf16", isa).bits == TILE_BITS
        assert machine.arithmetic("f32", isa).bits < TILE_BITS
    assert machine.arithmetic("bf16", "avx512").bits < TILE_BITS
    assert ceilings.kinds()[-1] == ("amx", TILE_BITS, True)
    assert ceilings._computes("u8:s8:s32", "amx", TILE_BITS, fused=True)
    assert not ceilings._computes("f32", "amx", TILE_BITS, fused=True)


def a_peak(name, dtype, threads, bits=TILE_BITS, **_):
    """Return the figures of a machine whose tile ceiling is 80 % of the instruction's peak."""
    ceiling = name == "measure_tile_ceiling"
    rate, operands = (1.6e12, L1) if ceiling else (2e12, REGISTERS)
    return Peak("amx", bits, dtype, threads, rate, None, None, None, operands=operands)


def test_ceilings_and_results_show_the_tile_ceiling(model, monkeypatch):  # noqa: ARG001
    for name in ("measure", "measure_tile_ceiling"):
        monkeypatch.setattr(peaks, name, functools.partial(a_peak, name))
    machine = MachineModel(facts())
    machine.measure_peaks("bf16", [1])
    assert machine.tile_ceiling("bf16", 1).flop_per_s == 1.6e12
    assert machine.tile_ceiling("bf16", 1, "avx512") is None
    assert machine.tile_ceiling("f32", 1) is None
    seen = [Lookup(each) for each in sysinfo._peaks(machine, "bf16", 1, [])]
    assert [system._peak(each)[0] for each in seen] == ["bf16", "bf16 tiles"]
    listed = [of.operands for isa, of in ceilings._arithmetics() if isa == "amx"]
    assert listed == [REGISTERS, L1, REGISTERS, L1]  # bf16, int8

    problem = {"kind": "gemm", "descriptor": "1"}
    row = Measurement(problem, "packed", None, "bf16", 1, "hot", "ok", flop_per_s=8e11)
    row = with_limits(row, machine)
    assert (row.peak_fraction, row.tile_fraction) == (0.4, 0.5)
    assert [c.cell(row) for c in tables.run_columns([row]) if c.heading == "% tiles"] == ["50.0"]
    plain = replace(row, tile_fraction=None)
    for shown in (row, plain):
        every = (
            tables.run_columns([shown]),
            peers._contestant_columns([shown], frozenset()),
            dtypes._columns([dtypes._Row(shown, None)]),
        )
        headings = [[column.heading for column in columns] for columns in every]
        assert ["% tiles" in names for names in headings] == [shown is row] * 3


def test_a_stored_tile_ceiling_is_read_again():
    stored = a_peak("measure_tile_ceiling", "bf16", 2)
    assert ceilings_store.read_peak(asdict(stored)) == stored
    assert stored.is_tile_ceiling
    with pytest.raises(InputError, match="an unknown place of operands"):
        ceilings_store.read_peak(asdict(replace(stored, operands="L9")))
    before = {key: value for key, value in asdict(stored).items() if key != "operands"}
    assert not ceilings_store.read_peak(before).is_tile_ceiling


def test_the_table_of_ceilings_says_what_the_tile_ceiling_is():
    console = Console(file=io.StringIO(), width=120)
    sets = [Ceilings(1, 1e9, (a_peak("measure_tile_ceiling", "bf16", 1),), ())]
    ceilings_report(console, sets, ["bf16"], now=1e9, machine="m")
    text = console.file.getvalue()
    assert "from L1" in text
    assert "the tile ceiling, of 2 x 2 tiles" in text
