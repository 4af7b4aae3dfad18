"""What is read off an inner loop, from texts in both syntaxes."""

from __future__ import annotations

import pytest

from convprof.codegen import inner_loop
from convprof.codegen.inner_loop import busiest, read

DOT = """
vmovss -4(%r13,%rbp,4), %xmm1
vfmadd132ss (%rcx), %xmm0, %xmm1
vmovss (%r13,%rbp,4), %xmm0
vfmadd132ss (%r8,%rcx), %xmm1, %xmm0
cmpq %rbp, %r12
jne .LBB0_25
"""
AXPY = """
vmovups (%rsi,%r8,4), %ymm2
vfmadd213ps (%r15,%r8,4), %ymm1, %ymm2
vmovups %ymm2, (%r15,%r8,4)
"""
APART = """
vmovups (%r10), %zmm8
vbroadcastss (%r9,%r11,4), %zmm10
vmulps %zmm8, %zmm10, %zmm11
vaddps %zmm1, %zmm11, %zmm1
vmulps 64(%r10){1to16}, %zmm10, %zmm10
vaddps %zmm7, %zmm10, %zmm7
addq $4096, %r10
"""
SSE = """
movups (%r10), %xmm2
movddup (%r9), %xmm3
mulpd %xmm2, %xmm3
addpd %xmm3, %xmm0
subq $-128, %r10
"""
NEON = """
ldp q4, q5, [x1], #32
ldr s6, [x0], #4
fmla v0.4s, v4.4s, v6.s[0]
fmla v1.4s, v5.4s, v6.s[0]
fadd v2.2d, v2.2d, v3.2d
"""
CASES = {
    # text: counts, flops, width, loads, elements, stores, bytes, chains, links, walked, used
    "dot": (DOT, (2, 0, 0), 4, "scalar", (4, 0, 0), 16, 1, {"fma": 2}, None, None),
    "axpy": (AXPY, (1, 0, 0), 16, "ymm", (2, 0, 1), 96, 0, {}, None, None),
    "apart": (APART, (0, 2, 2), 64, "zmm", (1, 2, 0), 72, 2, {"add": 1}, 4096, 64),
    "sse": (SSE, (0, 1, 1), 4, "xmm", (1, 1, 0), 24, 1, {"add": 1}, 128, 16),
    "neon": (NEON, (2, 0, 1), 18, "v", (2, 1, 0), 36, 3, {"fma": 1}, None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_turn(case):
    text, counts, flops, width, accesses, size, chains, links, walked, used = CASES[case]
    loop = read(text.strip().splitlines())
    assert counts == tuple(loop.counts.values())
    assert (flops, width) == (loop.flops, loop.width)
    assert accesses == (loop.loads, loop.elements, loop.stores)
    assert size == loop.bytes_moved
    assert (chains, links) == (loop.chains, loop.links)
    assert (walked, used) == (loop.walked, loop.used)


def test_a_register_set_to_zero_begins_no_chain():
    loop = read(["vxorps %xmm0, %xmm0, %xmm0", "vaddss %xmm1, %xmm0, %xmm0"])
    assert (loop.chains, loop.links) == (0, {})


def test_what_follows_from_the_counts():
    loop = read(APART.strip().splitlines())
    assert not loop.fused
    assert loop.lanes == 16
    assert loop.bytes_per_flop == 72 / 64
    assert read(AXPY.strip().splitlines()).fused


def test_the_busiest_loop_of_several_texts():
    one = "f:\n.L1:\nvaddss (%rax), %xmm0, %xmm0\njne .L1\nret\n"
    two = f"g:\n.L2:\n{AXPY}jne .L2\n.L3:\nvaddps %ymm0, %ymm1, %ymm1\njne .L3\nret\n"
    assert busiest([one, two]).flops == 16
    assert busiest([one]).flops == 1
    assert busiest(["f:\n.L1:\ndecq %rax\njne .L1\nret\n"]) is None
    assert inner_loop.busiest([]) is None


@pytest.mark.parametrize(
    ("extra", "spills"),
    [
        ([], 0),
        (["vmovups 64(%rsp), %zmm3", "vmovups %zmm4, 128(%rsp)"], 2),
        (["vfmadd231ps 8(%rsp), %zmm1, %zmm2"], 1),
        (["ldr q7, [sp, #32]"], 1),
    ],
)
def test_accesses_to_the_stack_are_counted(extra, spills):
    assert read([*APART.strip().splitlines(), *extra]).spills == spills
