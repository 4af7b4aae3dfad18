"""Loops around one instruction: dependent steps for its latency, independent steps for its rate.

A loop is one piece of inline assembly with fixed registers, so that a compiler neither reorders nor
removes anything. A chain of dependent additions, one core cycle each, may run among the steps: if
it is the slower of the two, the time of the loop gives the core clock under the same load.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen.cache_line import LINE_BYTES
from convprof.codegen.jit import Module
from convprof.codegen.probes.instructions import aarch64, x86
from convprof.codegen.probes.instructions.instruction import (
    PAGE_BYTES,
    SIZE,
    TILE_BITS,
    TILE_ROW_BYTES,
    Instruction,
)
from convprof.codegen.target import target
from convprof.integers import round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

A_AT, B_AT, X_AT, SHAPES_AT = 0, LINE_BYTES, 2 * LINE_BYTES, 3 * LINE_BYTES
"""The offsets of the constants, of the start of the chains and of the shapes of tile registers in
the data block. The widest vector has a line."""
NODES = 61
"""The length of the pointer chase, in cache lines: coprime to the steps of a loop, so that no load
reads the same address in every iteration, which a value predictor would learn."""
NODES_AT = PAGE_BYTES
DATA_BYTES = 8192

FAST_STEPS, SLOW_STEPS = 192, 24
"""Instructions in a loop; counter and jump add one or two more, outside the chain."""


@dataclass(frozen=True)
class Chain:
    """A loop to compile: one instruction, dependent or not, with or without a clock chain."""

    instruction: Instruction
    dependent: bool
    adds: int = 0
    """Dependent additions per iteration of the loop."""

    @property
    def steps(self) -> int:
        """Steps per iteration; a step may be a few instructions."""
        steps = SLOW_STEPS if self.instruction.slow else FAST_STEPS
        period = len(self.instruction.places) or len(self._texts)
        return round_up(steps, period)

    @property
    def rounds(self) -> int:
        """Repetitions of the instruction's list of steps per iteration."""
        return self.steps // len(self._texts)

    @property
    def counted(self) -> int:
        """Instructions per iteration that the row counts."""
        if self.dependent:
            return self.rounds * self.instruction.counted
        return self.steps

    @property
    def _texts(self) -> tuple[str, ...]:
        texts = self.instruction.chain if self.dependent else self.instruction.independent
        if not texts:
            raise ValueError(f"{self.instruction.key.name} has no dependent chain")
        return texts

    def body(self, arch: str) -> list[str]:
        """Return the lines of one iteration."""
        spelled = _ARCHS[arch]
        key, texts, places = self.instruction.key, self._texts, self.instruction.places
        count = 1 if self.dependent else spelled.chains(self.instruction)
        dtype = key.dtype
        if key.operation == "convert" and key.source and key.source[0] == "i":
            dtype = key.source  # general registers are as wide as the integers
        lines: list[str] = []
        done = 0
        for step in range(self.steps):
            # Independent chains alternate: the first step of each, then the second step of each.
            which, text = step % count, texts[step // count % len(texts)]
            if self.dependent:
                text = texts[step % len(texts)]
            names = spelled.registers(which, key.bits, dtype)
            if places:
                names["place"] = str(NODES_AT + places[step % len(places)])
            lines += text.format(**names).split("\n")
            due = self.adds * (step + 1) // self.steps
            lines += [spelled.add] * (due - done)
            done = due
        return lines


@dataclass(frozen=True)
class _Arch:
    registers: Callable[[int, int | None, str], dict[str, str]]
    general: tuple[str, ...]
    vectors: int
    add: str
    iterations: str
    """The register that counts iterations down."""
    data: str
    clobbered: tuple[str, ...]
    last: str

    def chains(self, instruction: Instruction) -> int:
        """Return the number of independent chains for which there are registers."""
        text = "".join(instruction.independent)
        if instruction.key.bits == TILE_BITS:
            return x86.TILES
        return len(self.general) if "{x" not in text and "{q" not in text else self.vectors


_ARCHS = {
    "x86_64": _Arch(
        x86.registers, x86.GENERAL, x86.VECTORS, "addq %r14, %r15", "rcx", "rsi",
        (*x86.GENERAL, "r12", *(f"xmm{i}" for i in range(16)), "dirflag", "fpsr", "flags"),
        "decq %rcx\njnz 1b",
    ),
    "aarch64": _Arch(
        aarch64.registers, aarch64.GENERAL, aarch64.VECTORS, "add x2, x2, x3", "x1", "x0",
        ("x2", "x3", *aarch64.GENERAL, "x16", "x17", *(f"v{i}" for i in range(32)), "cc"),
        "subs x1, x1, #1\nb.ne 1b",
    ),
}  # fmt: skip


def text(chain: Chain, arch: str) -> str:
    """Return the loop as assembly text: load the registers, then repeat the body."""
    first = _x86_start(chain) if arch == "x86_64" else _arm_start()
    spelled = _ARCHS[arch]
    align = ".p2align 6"
    lines = [*first, align, "1:", *chain.body(arch), *spelled.last.split("\n")]
    bits = chain.instruction.key.bits or 0
    if bits == TILE_BITS:
        lines.append("tilerelease")
    elif arch == "x86_64" and bits > 128:  # noqa: PLR2004
        # Used upper halves of registers slow down every later SSE instruction of the process.
        lines.append("vzeroupper")
    return "\n".join(lines)


def _x86_start(chain: Chain) -> list[str]:
    """Return the code that sets every register of the templates."""
    wide = chain.instruction.key.bits or 128
    register = {256: "ymm", 512: "zmm"}.get(wide, "xmm")
    move = "movups" if register == "xmm" else "vmovups"
    lines = [f"{move} {at}(%rsi), %{register}{i}" for at, i in ((A_AT, x86.A), (B_AT, x86.B))]
    lines += [f"{move} {X_AT}(%rsi), %{register}{i}" for i in range(x86.VECTORS)]
    lines += [f"movq {X_AT}(%rsi), %{name}" for name in x86.GENERAL]
    if wide == TILE_BITS:
        lines.append(f"ldtilecfg {SHAPES_AT}(%rsi)")
        lines += [f"tilezero %tmm{i}" for i in range(x86.TILES + 2)]
    # Chains that need many registers need no second constant: they overwrite its register.
    return [*lines, f"movq {A_AT}(%rsi), %r12", f"movq {B_AT}(%rsi), %r13", "xorl %r11d, %r11d"]


def _arm_start() -> list[str]:
    lines = [f"ldr q{i}, [x0, #{at}]" for at, i in ((A_AT, aarch64.A), (B_AT, aarch64.B))]
    lines += [f"ldr q{i}, [x0, #{X_AT}]" for i in range(aarch64.VECTORS)]
    lines += [f"ldr x16, [x0, #{A_AT}]", f"ldr x17, [x0, #{B_AT}]"]
    lines += [f"ldr {name}, [x0, #{X_AT}]" for name in aarch64.GENERAL]
    return [*lines, "mov x2, x1", "mov x3, x1"]


def ir(chains: Sequence[Chain], arch: str) -> str:
    """Return a module in LLVM IR with functions ``chain0(iterations, data)``, ``chain1``, ..."""
    spelled = _ARCHS[arch]
    clobbered = ",".join(f"~{{{name}}}" for name in (*spelled.clobbered, "memory"))
    constraints = f"={{{spelled.iterations}}},{{{spelled.data}}},0,{clobbered}"
    parts = []
    for number, chain in enumerate(chains):
        assembly = text(chain, arch).replace("$", "$$").replace("\n", "\\0A ")
        features = ",".join(f"+{_llvm_name(name)}" for name in chain.instruction.needs)
        attributes = f' "target-features"="{features}"' if features else ""
        parts.append(
            f"define void @chain{number}(i64 %iterations, ptr %data){attributes} {{\n"
            f'  %r = call i64 asm sideeffect "{assembly}", "{constraints}"'
            "(ptr %data, i64 %iterations)\n  ret void\n}\n"
        )
    return "\n".join(parts)


def _llvm_name(extension: str) -> str:
    name = extension.lower()
    if name == "fp16":
        return "fullfp16"
    return name if name.startswith("amx") else name.replace("-", "")


def compile_chains(chains: Sequence[Chain]) -> list[Callable[[int, int], Any]]:
    """Return ``run(iterations, address of the data block)`` per chain; ``iterations`` from 1.

    LLVM ends the process on invalid assembly text: the tests compile every chain.
    """
    if not chains:
        return []
    module = Module(ir(chains, target().arch))
    return [
        module.function(f"chain{number}", None, ctypes.c_int64, ctypes.c_void_p)
        for number in range(len(chains))
    ]


def data_block(instruction: Instruction, *, dependent: bool) -> NDArray[np.uint8]:
    """Return the data of a chain: constants and start values, or a ring of addresses.

    The data has ``DATA_BYTES`` bytes, or more where the steps read at several places, and is
    aligned to a page. The values have the type that the chain's first step reads.
    """
    size = max(DATA_BYTES, NODES_AT + PAGE_BYTES + max(instruction.places, default=0))
    room = np.zeros(size + PAGE_BYTES, dtype=np.uint8)
    data = room[-room.ctypes.data % PAGE_BYTES :][:size]
    key, values = instruction.key, instruction.values
    operand = key.source or key.dtype
    first = key.dtype if key.operation in {"dot", "matrix"} else operand
    for at, value, name in ((A_AT, values.a, operand), (B_AT, values.b, operand)):
        data[at : at + LINE_BYTES].view(_numpy(name))[:] = _stored(value, name)
    data[X_AT : X_AT + LINE_BYTES].view(_numpy(first))[:] = _stored(values.x, first)
    if key.bits == TILE_BITS:
        data[A_AT : A_AT + 8].view(np.int64)[:] = int(values.a)
        shapes = data[SHAPES_AT : SHAPES_AT + LINE_BYTES]
        shapes[0] = 1  # the only palette there is: eight tiles of 1 KiB
        shapes[16:32].view(np.uint16)[:] = TILE_ROW_BYTES
        shapes[48:56] = TILE_BITS // 8 // TILE_ROW_BYTES
    if key.operation == "load" and dependent:
        start = data.ctypes.data + NODES_AT
        order = np.random.default_rng(0).permutation(NODES)
        nodes = data[NODES_AT:].view(np.uint64)
        nodes[order * LINE_BYTES // 8] = start + np.roll(order, -1) * LINE_BYTES
        data[X_AT : X_AT + LINE_BYTES].view(np.uint64)[:] = start
    return data


def _numpy(name: str) -> np.dtype[Any]:
    """Return the type of an element in the data block; a bf16 is its bits."""
    return np.dtype("u2" if name == "bf16" else f"{name[0]}{SIZE[name]}")


def _stored(value: float, name: str) -> Any:
    """Return a value as the data block has it."""
    if name == "bf16":  # the upper half of an f32
        return np.float32(value).view(np.uint32) >> np.uint32(16)
    if SIZE[name] == 1:
        return np.uint8(int(value) & 255).astype(_numpy(name))
    return value
