from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from convprof.codegen import disassembly
from convprof.codegen.jit import Module
from convprof.codegen.probes.chains import ADDS_PER_ITERATION, add_chain
from convprof.codegen.probes.flush import flush_lines
from convprof.codegen.probes.fma import CHAINS, UNFUSED_CHAINS, UNROLL, fma_kernel
from convprof.codegen.probes.tsc import ticks
from convprof.codegen.target import target
from convprof.machine import facts, peaks

SIMD = facts().cpu.simd
BITS = peaks.widest(SIMD)[0]
x86 = pytest.mark.skipif(target().arch != "x86_64", reason="reads x86 assembly")
no_chain = pytest.mark.skipif(add_chain() is None, reason="no add instruction known here")
no_flush = pytest.mark.skipif(flush_lines() is None, reason="no flush instruction known here")

REGISTER = {128: "%xmm", 256: "%ymm", 512: "%zmm"}
VECTORS = [
    pytest.param(
        dtype,
        bits,
        marks=pytest.mark.skipif(not SIMD.fma or bits > BITS, reason="not on this CPU"),
        id=f"{dtype}-{bits}",
    )
    for dtype in ("f32", "f64")
    for bits in REGISTER
]


def loop_of(assembly):
    """Return the instructions of the only loop."""
    (loop,) = disassembly.loops(assembly)
    return loop.instructions


def adds(instructions):
    """Return those that add one register to another."""
    return [text for text in instructions if re.match(r"addq\s+%\w+, %\w+", text)]


TWICE = """
import ctypes, gc
from convprof.codegen.jit import Module
IR = "define i64 @twice(i64 %x) { %y = add i64 %x, %x ret i64 %y }"
"""


def run_python(program):
    """Run a program in a fresh interpreter: a crash must not take the other tests with it."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout.split()


@no_chain
def test_the_chain_executes_its_adds_and_no_others():
    chain = add_chain()
    for iterations, step in [(1, 1), (2, 1), (7, 3), (1000, 1)]:
        assert step * (1 + iterations * ADDS_PER_ITERATION) == chain(iterations, step)
    assert chain(0, 1) == 0
    assert chain(-1, 1) == 0


@no_chain
@x86
def test_the_chain_is_as_long_as_it_says():
    loop = loop_of(add_chain().module.assembly())
    links = adds(loop)
    assert len(links) == ADDS_PER_ITERATION
    # every one reads what the one before wrote, and the step comes from a register
    assert len(set(links)) == 1
    step, total = re.findall(r"%\w+", links[0])
    assert step != total
    assert len(loop) == ADDS_PER_ITERATION + 3  # the counter, its comparison, the jump


@x86
@pytest.mark.parametrize(("dtype", "bits"), VECTORS)
def test_the_peak_kernel_is_multiply_adds_in_registers(dtype, bits):
    kernel = fma_kernel(dtype, bits)
    loop = loop_of(kernel.module.assembly())
    suffix = {"f32": "ps", "f64": "pd"}[dtype]
    multiply_adds = [
        text for text in loop if text.startswith("vfmadd") and suffix in text.split()[0]
    ]

    assert len(multiply_adds) == CHAINS * UNROLL
    assert all(text.count(REGISTER[bits]) == 3 for text in multiply_adds)
    assert not [text for text in loop if "(" in text]  # no memory, so no spills either
    assert len(loop) == CHAINS * UNROLL + 3
    targets = [text.split()[-1] for text in multiply_adds]
    assert len(set(targets)) == CHAINS
    assert all(targets.count(register) == UNROLL for register in targets)
    lanes = bits // {"f32": 32, "f64": 64}[dtype]
    assert kernel.operand_bytes == 2 * bits // 8
    assert kernel.flops_per_iteration == 2 * lanes * CHAINS * UNROLL


@x86
@pytest.mark.parametrize(("dtype", "bits"), VECTORS)
def test_the_peak_kernel_without_fused_instructions(dtype, bits):
    loop = loop_of(fma_kernel(dtype, bits, fused=False).module.assembly())
    suffix = {"f32": "ps", "f64": "pd"}[dtype]
    counts = Counter(text.split()[0] for text in loop)
    assert counts[f"vmul{suffix}"] == UNFUSED_CHAINS * UNROLL
    assert counts[f"vadd{suffix}"] == UNFUSED_CHAINS * UNROLL
    assert len(loop) == 2 * UNFUSED_CHAINS * UNROLL + 3
    assert not [text for text in loop if "(" in text]


@x86
@no_chain
@pytest.mark.parametrize("count", [1, 30, 60, 120])
def test_adds_among_the_multiply_adds(count):
    loop = loop_of(fma_kernel("f32", BITS, count).module.assembly())
    assert len(adds(loop)) == count
    assert len(set(adds(loop))) == 1  # one chain
    assert not [text for text in loop if "(" in text]
    assert len([text for text in loop if text.startswith("vfmadd")]) == CHAINS * UNROLL
    longest = max(len(run) for run in re.split("v", "".join(text[0] for text in loop)))
    assert longest <= -(-count // (CHAINS * UNROLL)) + 3  # spread evenly, plus the loop's own


def test_the_peak_kernel_leaves_its_operands_alone():
    kernel = fma_kernel("f64", 128)
    operands = np.full(kernel.operand_bytes // 8, 0.5)
    buffers = np.array([operands.ctypes.data], dtype=np.int64)
    iterations = np.array([3], dtype=np.int64)
    word, pointer = ctypes.c_int64, ctypes.c_void_p
    peak = kernel.module.function("peak", None, word, word, pointer, pointer)
    peak(0, 4, buffers.ctypes.data, iterations.ctypes.data)
    np.testing.assert_array_equal(operands, 0.5)

    operands[:] = np.nan  # now the sum is NaN: it is stored, so it was computed
    operands[0] = 7.0
    peak(0, 4, buffers.ctypes.data, iterations.ctypes.data)
    assert np.isnan(operands[0])


@no_flush
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 4096, 100_003])
@pytest.mark.parametrize("skip", [0, 1, 33])
def test_flushing_changes_no_byte(count, skip):
    memory = np.arange(count + 256, dtype=np.uint32).astype(np.uint8)
    before = memory.copy()
    flush_lines()(memory.ctypes.data + skip, count)
    np.testing.assert_array_equal(memory, before)


@no_flush
@x86
def test_a_flush_reaches_the_last_line_and_waits():
    text = flush_lines().module.assembly()
    assert text.count("clflush") == 2  # in the loop, and the line of the last byte
    assert text.index("mfence") > text.rindex("clflush")


@no_flush
@x86
@pytest.mark.skipif(sys.platform != "linux", reason="protects a page as Linux does")
def test_nothing_beyond_the_end_is_touched():
    program = """
import ctypes, mmap
from convprof.codegen.probes.flush import flush_lines
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc = ctypes.CDLL(None)
assert libc.mprotect(ctypes.c_void_p(start + page), ctypes.c_size_t(page), 0) == 0
for skip in (0, 1, 63, 64, page - 1):
    flush_lines()(start + skip, page - skip)
print("unharmed")
"""
    assert run_python(program) == (0, ["unharmed"])


@pytest.mark.skipif(ticks() is None, reason="no time-stamp counter to read here")
def test_ticks_go_on():
    readings = [ticks()() for _ in range(100)]
    assert sorted(readings) == readings
    assert readings[0] < readings[-1]


def test_malformed_ir_is_an_error_and_not_a_crash():
    with pytest.raises(RuntimeError, match="expected"):
        Module("define void @f( {")


def test_a_function_keeps_its_module_alive():
    program = """
twice = Module(IR).function("twice", ctypes.c_int64, ctypes.c_int64)
gc.collect()
print(twice(21))
"""
    assert run_python(TWICE + program) == (0, ["42"])


def test_a_module_can_go_while_others_stay_and_come():
    program = """
word = ctypes.c_int64
stays = Module(IR)
for _ in range(3):
    goes = Module(IR)
    print(goes.function("twice", word, word)(4))
    del goes
    gc.collect()
print(stays.function("twice", word, word)(21), "twice" in stays.assembly())
"""
    assert run_python(TWICE + program) == (0, ["8", "8", "8", "42", "True"])


def test_a_module_is_as_large_as_its_code_and_not_as_what_compiled_it():
    program = """
import psutil
held = lambda: psutil.Process().memory_info().rss
Module(IR).address("twice")
before = held()
many = [Module(IR.replace("%x, %x", f"%x, {number}")) for number in range(80)]
assert len({each.address("twice") for each in many}) == 80
print((held() - before) // 80 < 250_000)  # a target machine's tables are over 700,000 bytes
"""
    assert run_python(TWICE + program) == (0, ["True"])


@pytest.mark.skipif(target().arch != "x86_64", reason="names a feature of x86")
def test_modules_without_some_features_have_a_compiler_of_their_own():
    program = """
FEATURES = ["avx512f"]
print(Module(IR, FEATURES).function("twice", ctypes.c_int64, ctypes.c_int64)(3))
print(Module(IR).function("twice", ctypes.c_int64, ctypes.c_int64)(4))
"""
    assert run_python(TWICE + program) == (0, ["6", "8"])
