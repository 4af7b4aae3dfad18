"""The peak of tile registers: its code, and its run by a model of the instructions."""

from __future__ import annotations

import ctypes
import re
from dataclasses import replace

import llvmlite.binding as llvm
import numpy as np
import pytest
from tile_model import TileModel, emulated

from convprof.codegen import disassembly
from convprof.codegen import isa as isas
from convprof.codegen.architecture import X86
from convprof.codegen.kernels import tile_registers
from convprof.codegen.probes import peak, tile_products
from convprof.codegen.probes.tile_products import L1, REGISTERS, TILE_BITS
from convprof.codegen.target import target

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
