"""Instruction sets that kernels are generated for: vector width and number of registers."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from convprof.codegen.architecture import ARM, X86
from convprof.codegen.target import target
from convprof.errors import InputError
from convprof.integers import even_block
from convprof.results import NATIVE


@dataclass(frozen=True, slots=True)
class Isa:
    """What a kernel is generated for."""

    name: str
    bits: int
    registers: int
    temporaries: int = 1
    """Registers that a register tile needs in addition to its sums and a row of ``b``: the element
    that is multiplied; the product, where it is not added at once; on AArch64, where instructions
    do not read their operands from memory, five elements that LLVM loads ahead."""
    without: tuple[str, ...] = ()
    """LLVM features to switch off. Features that need them are off too: without ``avx`` there is no
    AVX2, FMA or AVX-512."""
    fused: bool = True
    """Whether it has fused multiply-add."""

    def lanes(self, itemsize: int) -> int:
        """Return the elements in a vector."""
        return self.bits // (8 * itemsize)


ISAS = {
    "sse": Isa("sse", 128, 16, 2, ("avx",), fused=False),
    "avx2": Isa("avx2", 256, 16, 1, ("avx512f",)),
    "avx512": Isa("avx512", 512, 32, 1),
    "neon": Isa("neon", 128, 32, 6),
}


@functools.cache
def available() -> tuple[str, ...]:
    """Return the names of the instruction sets of this CPU, widest last."""
    host = target()
    if host.arch == ARM:
        return ("neon",)
    if host.arch != X86:
        return ()
    found = ["sse"]
    if host.has("avx2", "fma"):
        found.append("avx2")
    if host.has("avx512f", "avx512vl", "avx512dq", "avx512bw"):
        found.append("avx512")
    return tuple(found)


def find(name: str) -> Isa:
    """Return an instruction set of this CPU; ``native`` is the widest. InputError otherwise."""
    names = available()
    if name == NATIVE:
        # Every 64-bit target of LLVM has vectors of 128 bits, lowered to what there is.
        return ISAS[names[-1]] if names else Isa("generic", 128, 16, 2, fused=False)
    if name not in names:
        known = ", ".join(names) or "none that kernels are generated for"
        raise InputError(
            f"this CPU has {known}; use one of them or {NATIVE}", field="isa", value=name
        )
    return ISAS[name]


def register_rows(vectors: int, isa: Isa) -> int:
    """Return the most rows of a tile: accumulators, a row of ``b`` and temporaries fit."""
    return max(1, (isa.registers - vectors - isa.temporaries) // vectors)


def register_vectors(across: int, isa: Isa) -> int:
    """Return the vectors across a tile, so that as few equal panels as possible make ``across``.

    Two, so that a loaded element is used twice; four with SSE, where spreading it over a vector
    takes a shuffle, which the multiplications and additions have to make room for.
    """
    wide = 2 if isa.fused else 4
    return even_block(across, wide)
