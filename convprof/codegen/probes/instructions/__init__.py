"""The tested instructions: their text, and chains of one instruction, for x86-64 and AArch64."""

from __future__ import annotations

from convprof.codegen.probes.instructions import aarch64, x86
from convprof.codegen.probes.instructions.chains import Chain, compile_chains, data_block
from convprof.codegen.probes.instructions.instruction import Absent, Instruction
from convprof.codegen.target import target

__all__ = [
    "Absent",
    "Chain",
    "Instruction",
    "catalogue",
    "compile_chains",
    "data_block",
]


def catalogue(arch: str | None = None, *, avx: bool = True) -> list[Instruction | Absent]:
    """Return every instruction of an architecture, by default this one; empty if unknown.

    ``avx`` says whether 128-bit and scalar x86 code is written in AVX's three-operand form.
    """
    name = arch or target().arch
    if name == "x86_64":
        return x86.catalogue(avx=avx)
    return aarch64.catalogue() if name == "aarch64" else []
