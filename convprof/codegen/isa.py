"""Instruction sets that kernels are generated for: vector width and number of registers."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from convprof.codegen import tile_permission
from convprof.codegen.architecture import ARM, X86
from convprof.codegen.target import target
from convprof.errors import InputError
from convprof.integers import even_block
from convprof.results import NATIVE


@dataclass(frozen=True, slots=True)
class Isa:
    """An instruction set that a kernel is generated for."""

    name: str
    bits: int
    registers: int
    temporaries: int = 1
    """Registers that a register tile needs in addition to its sums and a row of ``b``: the
    multiplied element; the product, if the addition is a separate instruction; on AArch64, where
    instructions have no memory operands, five elements that LLVM loads ahead."""
    without: tuple[str, ...] = ()
    """LLVM features to switch off. Features that need them are off too: without ``avx`` there is no
    AVX2, FMA or AVX-512."""
    fused: bool = True
    """Whether the instruction set has a fused multiply-add."""
    vectors_of: str = ""
    """The instruction set whose vectors this one has, if it adds other registers only."""

    @property
    def has_tiles(self) -> bool:
        """Whether kernels may use the tile registers of AMX."""
        return self.name == AMX

    def has(self, feature: str) -> bool:
        """Whether the CPU has an extension that kernels of this instruction set may use."""
        return self.name in _EXTENDS[feature] and target().has(feature)

    @property
    def converts_f16(self) -> bool:
        """Whether it has instructions between f16 and f32."""
        return self.name == "neon" or self.has("f16c")

    @property
    def multiplies_f16(self) -> bool:
        """Whether vectors of f16 are multiplied and added, not only converted."""
        return any(self.has(feature) for feature in _F16_FEATURES)

    def lanes(self, itemsize: int) -> int:
        """Return the elements in a vector."""
        return self.bits // (8 * itemsize)


AMX = "amx"
_F16_FEATURES = ("avx512fp16", "fullfp16")
_EXTENDS = {
    "f16c": ("avx2", "avx512", AMX),
    "dotprod": ("neon",),
    "i8mm": ("neon",),
    "bf16": ("neon",),
    "avxvnni": ("avx2",),
    "avxvnniint8": ("avx2",),
    "avx512vnni": ("avx512", AMX),
    "avx512bf16": ("avx512", AMX),
    "avx512fp16": ("avx512", AMX),
    "fullfp16": ("neon",),
}
"""The instruction sets that an extension, in LLVM's spelling, belongs to."""

ISAS = {
    "sse": Isa("sse", 128, 16, 2, ("avx",), fused=False),
    "avx2": Isa("avx2", 256, 16, 1, ("avx512f",)),
    "avx512": Isa("avx512", 512, 32, 1),
    AMX: Isa(AMX, 512, 32, 1, vectors_of="avx512"),
    "neon": Isa("neon", 128, 32, 6),
}


@functools.cache
def available() -> tuple[str, ...]:
    """Return the names of the instruction sets of this CPU, widest last; AMX after its vectors."""
    host = target()
    if host.arch == ARM:
        return ("neon",)
    if host.arch != X86:
        return ()
    names = ["sse"]
    if host.has("avx2", "fma"):
        names.append("avx2")
    if host.has("avx512f", "avx512vl", "avx512dq", "avx512bw"):
        names.append("avx512")
        if tile_permission.refusal() is None:
            names.append(AMX)
    return tuple(names)


def find(name: str) -> Isa:
    """Return an instruction set of this CPU; ``native`` is the widest. InputError otherwise."""
    names = available()
    if name == NATIVE:
        # LLVM supports vectors of 128 bits on every 64-bit target, if necessary in scalar code.
        return ISAS[names[-1]] if names else Isa("generic", 128, 16, 2, fused=False)
    if name not in names:
        known = ", ".join(names) or "none that kernels are generated for"
        reason = f"{tile_permission.refusal()}; " if name == AMX and target().arch == X86 else ""
        message = f"{reason}this CPU has {known}; use one of them or {NATIVE}"
        raise InputError(message, field="isa", value=name)
    return ISAS[name]


def widths() -> tuple[str, ...]:
    """Return the instruction sets of this CPU that differ in their vectors, widest last."""
    return tuple(name for name in available() if not ISAS[name].vectors_of)


def of_bits(bits: int) -> Isa:
    """Return the instruction set of this CPU with vectors of that width; else the native one."""
    return next((ISAS[name] for name in available() if ISAS[name].bits == bits), find(NATIVE))


def register_rows(vectors: int, isa: Isa, parts: int = 1) -> int:
    """Return the most rows of a tile whose sums, row of ``b`` and temporaries fit the registers.

    ``parts``: registers for each element of ``a`` or ``b``; above 1 where elements are widened.
    """
    temporaries = isa.temporaries + (parts if parts > 1 else 0)
    return max(1, (isa.registers - parts * vectors - temporaries) // vectors)


def register_vectors(across: int, isa: Isa) -> int:
    """Return the vectors across a tile, for the fewest equal panels that make up ``across``.

    Two, so that a loaded element is used twice; four with SSE, where a broadcast needs a shuffle
    that competes with the multiplications and additions.
    """
    wide = 2 if isa.fused else 4
    return even_block(across, wide)
