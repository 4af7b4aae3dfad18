from __future__ import annotations

import pytest

from convprof.codegen import disassembly

AVX512 = """
	.text
tile:
	.cfi_startproc
	xorl	%eax, %eax
	vxorps	%xmm0, %xmm0, %xmm0
.LBB0_1:                                # %segment
                                        # =>This Loop Header: Depth=1
	movq	(%r9,%rcx), %r10
	leaq	(%rsi,%r10,4), %r9
	prefetcht0	(%rdx)
	.p2align	4
.LBB0_2:
	vbroadcastss	-1036(%r10,%r11,4), %zmm10
	vmovups	64(%r9), %zmm11             # 64-byte load
	vfmadd231ps	%zmm11, %zmm10, %zmm0
	vfmadd231ps	128(%r9), %zmm10, %zmm1
	vfmadd231ps	4(%r10){1to16}, %zmm11, %zmm2
	vfmadd231ss	%xmm3, %xmm4, %xmm5
	addq	$4, %r11
	cmpq	$192, %r11
	jb	.LBB0_2
	incq	%rax
	cmpq	$3, %rax
	jb	.LBB0_1
	vmovups	%zmm0, (%rdx)
	retq
"""


def test_loops_from_the_outermost_and_the_innermost_alone():
    outer, inner = disassembly.loops(AVX512)
    assert [inner] == disassembly.innermost(AVX512)
    assert inner == disassembly.busiest(AVX512)
    assert len(inner.instructions) == 9
    assert inner.instructions[0] == "vbroadcastss -1036(%r10,%r11,4), %zmm10"
    assert inner.instructions[1] == "vmovups 64(%r9), %zmm11"
    assert inner.instructions[-1] == "jb .LBB0_2"
    assert len(outer.instructions) == 15
    assert outer.instructions[-1] == "jb .LBB0_1"


def test_what_is_counted():
    inner = disassembly.busiest(AVX512)
    assert (inner.fmas, inner.fused, inner.widest) == (3, True, "zmm")  # not the scalar one
    assert (inner.loads, inner.elements, inner.stores) == (2, 2, 0)
    assert (inner.spills, inner.scalar) == (0, 3)
    assert str(inner) == "3 FMA, 2+2 loads, 0 spills, zmm"


def test_neither_addresses_nor_prefetches_are_loads():
    outer = disassembly.loops(AVX512)[0]
    assert (outer.loads, outer.elements) == (2, 2)
    assert outer.scalar == 9


def test_everything():
    code = disassembly.read(AVX512)
    assert (code.stores, len(code.instructions)) == (1, 19)


SSE = """
f:
.LBB0_2:
	movss	(%r10,%r11,4), %xmm13
	shufps	$0, %xmm13, %xmm13
	movups	(%r9), %xmm12
	movaps	%xmm12, %xmm14
	mulps	%xmm13, %xmm14
	addps	%xmm14, %xmm6
	movaps	%xmm15, -72(%rsp)
	mulps	%xmm13, %xmm12
	addps	-24(%rsp), %xmm12
	addss	%xmm1, %xmm2
	subq	$-128, %r9
	jne	.LBB0_2
	retq
"""


def test_multiplications_and_additions_apart_and_spills():
    (loop,) = disassembly.loops(SSE)
    assert (loop.fmas, loop.fused, loop.widest) == (2, False, "xmm")
    assert (loop.loads, loop.elements, loop.stores, loop.spills) == (1, 1, 0, 2)
    assert str(loop) == "2 multiply + add, 1+1 loads, 2 spills, xmm"


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("vmovups (%rsi), %zmm0 {%k1} {z}", (1, 0, 0, 0)),
        ("vmovups %zmm0, 64(%rdx) {%k1}", (0, 0, 1, 0)),
        ("vmaskmovps %ymm0, %ymm1, (%rdx)", (0, 0, 1, 0)),
        ("vmaskmovps (%rsi), %ymm1, %ymm0", (1, 0, 0, 0)),
        ("vmovaps .LCPI0_0(%rip), %ymm1", (1, 0, 0, 0)),
        ("movddup 8(%rsi), %xmm1", (0, 1, 0, 0)),
        ("vbroadcastss %xmm1, %ymm0", (0, 0, 0, 0)),
        ("vextractps $1, %xmm0, 4(%rdx)", (0, 0, 1, 0)),
        ("vmovups %ymm9, 32(%rsp)", (0, 0, 0, 1)),
        ("movq 8(%rsp), %rax", (0, 0, 0, 1)),
        ("movq %rax, (%rdx)", (0, 0, 0, 0)),
        ("vaddps (%rbp,%rcx,4), %ymm1, %ymm2", (1, 0, 0, 0)),
        ("ldr q1, [x9, #32]", (1, 0, 0, 0)),
        ("ldp q12, q14, [x11], #64", (2, 0, 0, 0)),
        ("ldr s1, [x13, #768]", (0, 1, 0, 0)),
        ("ldp s14, s0, [x13, #8]", (0, 2, 0, 0)),
        ("ld1r { v13.4s }, [x14], #4", (0, 1, 0, 0)),
        ("ld1 { v13.d }[1], [x14], #8", (0, 1, 0, 0)),
        ("stp q12, q13, [x2]", (0, 0, 2, 0)),
        ("st1 { v0.s }[1], [x8]", (0, 0, 1, 0)),
        ("stp q13, q12, [sp, #16]", (0, 0, 0, 1)),
        ("ldr x8, [sp, #8]", (0, 0, 0, 1)),
        ("fmla v1.4s, v2.4s, v0.s[0]", (0, 0, 0, 0)),
        ("prfm pldl1keep, [x8]", (0, 0, 0, 0)),
    ],
)
def test_what_an_instruction_does_with_memory(line, counts):
    code = disassembly.read(f"f:\n\t{line}\n")
    assert counts == (code.loads, code.elements, code.stores, code.spills)


def test_a_frame_pointer_is_the_stack_only_where_it_is_one():
    body = "f:\n\t{}.L1:\n\tvaddps -32(%rbp), %ymm1, %ymm2\n\tjne .L1\n"
    assert disassembly.loops(body.format(""))[0].spills == 0
    assert disassembly.loops(body.format("movq %rsp, %rbp\n"))[0].spills == 1
    arm = "f:\n\t{}.L1:\n\tldr q0, [x29, #-16]\n\tcbnz x8, .L1\n"
    assert disassembly.loops(arm.format(""))[0].spills == 0
    assert disassembly.loops(arm.format("mov x29, sp\n"))[0].spills == 1


NEON = """
tile:                                   // @tile
	movi	v12.2d, #0000000000000000
.LBB0_2:
	ldp	q15, q14, [x11], #32            // 32-byte Folded
	ldr	s0, [x13, #260]
	fmla	v10.4s, v15.4s, v0.s[0]
	fmla	v11.4s, v14.4s, v0.s[0]
	cmp	x12, #64
	b.lo	.LBB0_2
	ret
"""


def test_aarch64():
    (loop,) = disassembly.loops(NEON)
    assert str(loop) == "2 FMA, 2+1 loads, 0 spills, v"
    assert loop.instructions[1] == "ldr s0, [x13, #260]"  # an immediate is no comment
    assert loop.scalar == 2


def test_jumps_forward_and_away_make_no_loop():
    text = "f:\n\tjmp .L2\n.L1:\n\tnop\n.L2:\n\tje .L3\n\tjmp g\n.L3:\n\tretq\n"
    assert disassembly.loops(text) == []
    assert disassembly.busiest(text) == disassembly.read(text)
    assert str(disassembly.read(text)) == "0 FMA, 0+0 loads, 0 spills, scalar"


def test_two_jumps_to_one_label_are_one_loop():
    text = "f:\n.L1:\n\taddps %xmm0, %xmm1\n\tje .L1\n\tmulps %xmm0, %xmm1\n\tjne .L1\n"
    (loop,) = disassembly.loops(text)
    assert len(loop.instructions) == 4


# What an iteration computes, moves and waits for.

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
SSE_TURN = """
movups (%r10), %xmm2
movddup (%r9), %xmm3
mulpd %xmm2, %xmm3
addpd %xmm3, %xmm0
subq $-128, %r10
"""
NEON_TURN = """
ldp q4, q5, [x1], #32
ldr s6, [x0], #4
fmla v0.4s, v4.4s, v6.s[0]
fmla v1.4s, v5.4s, v6.s[0]
fadd v2.2d, v2.2d, v3.2d
"""
CASES = {
    # text: counts, flops, width, loads, elements, stores, bytes, chains, links, walk
    "dot": (DOT, (2, 0, 0), 4, "scalar", (4, 0, 0), 16, 1, {"fma": 2}, None),
    "axpy": (AXPY, (1, 0, 0), 16, "ymm", (2, 0, 1), 96, 0, {}, None),
    "apart": (APART, (0, 2, 2), 64, "zmm", (1, 2, 0), 72, 2, {"add": 1}, (4096, 64)),
    "sse": (SSE_TURN, (0, 1, 1), 4, "xmm", (1, 1, 0), 24, 1, {"add": 1}, (128, 16)),
    "neon": (NEON_TURN, (2, 0, 1), 18, "v", (2, 1, 0), 36, 3, {"fma": 1}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_turn_of_a_loop(case):
    text, counts, flops, width, accesses, size, chains, links, walk = CASES[case]
    loop = disassembly.read(text)
    assert counts == tuple(loop.counts.values())
    assert (flops, width) == (loop.flops, loop.width)
    assert accesses == (loop.loads, loop.elements, loop.stores)
    assert size == loop.bytes_moved
    assert (chains, links) == (loop.chains, loop.links)
    assert walk == loop.walk


def test_a_register_set_to_zero_begins_no_chain():
    loop = disassembly.read("vxorps %xmm0, %xmm0, %xmm0\nvaddss %xmm1, %xmm0, %xmm0\n")
    assert (loop.chains, loop.links) == (0, {})


def test_what_follows_from_the_counts():
    loop = disassembly.read(APART)
    assert not loop.fused
    assert loop.lanes == 16
    assert loop.bytes_per_flop == 72 / 64
    assert disassembly.read(AXPY).fused


def test_the_busiest_loop_of_several_texts():
    one = "f:\n.L1:\nvaddss (%rax), %xmm0, %xmm0\njne .L1\nret\n"
    two = f"g:\n.L2:\n{AXPY}jne .L2\n.L3:\nvaddps %ymm0, %ymm1, %ymm1\njne .L3\nret\n"
    assert disassembly.hottest([one, two]).flops == 16
    assert disassembly.hottest([one]).flops == 1
    assert disassembly.hottest(["f:\n.L1:\ndecq %rax\njne .L1\nret\n"]) is None
    assert disassembly.hottest([]) is None


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
    assert disassembly.read("\n".join([APART, *extra])).spills == spills


def test_a_number_is_an_element_only_where_it_is_spread():
    numbers = ["movss (%rax), %xmm1", "movss 4(%rax), %xmm2"]
    spread = disassembly.read("\n".join([*numbers, "mulps %xmm1, %xmm3"]))
    assert (spread.loads, spread.elements) == (0, 2)
    scalar = disassembly.read("\n".join([*numbers, "mulss %xmm1, %xmm2"]))
    assert (scalar.loads, scalar.elements) == (2, 0)


def test_a_value_read_back_from_the_stack_is_a_spill_and_no_load_but_moves_bytes():
    code = disassembly.read("vmovups 64(%rsp), %ymm1\nvmovups (%rax), %ymm2\n")
    assert (code.loads, code.spills, code.bytes_moved) == (1, 1, 64)


@pytest.mark.parametrize(
    ("line", "size"),
    [
        ("vbroadcastss (%rax), %zmm1", 4),
        ("vbroadcastsd (%rax), %zmm1", 8),
        ("vbroadcastf128 (%rax), %ymm1", 16),
        ("vbroadcastf64x4 (%rax), %zmm1", 32),
        ("vmulpd (%rax){1to8}, %zmm1, %zmm2", 8),
        ("movddup (%rax), %xmm1", 8),
        ("vfmadd231ph (%rax){1to32}, %zmm1, %zmm2", 2),
        ("vpbroadcastw (%rax), %zmm1", 2),
        ("vpbroadcastd (%rax), %zmm1", 4),
    ],
)
def test_what_is_spread_is_read_once(line, size):
    assert disassembly.read(line).bytes_moved == size


def test_multiply_adds_of_f16_have_twice_as_many_lanes():
    code = disassembly.read("vmulph (%rax), %zmm1, %zmm2\nvfmadd231ph %zmm1, %zmm3, %zmm2")
    assert code.counts == {"fma": 1, "mul": 1, "add": 0}
    assert code.flops == 32 + 64
