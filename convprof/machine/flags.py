"""Feature flags of the CPU under one spelling, whatever program printed them.

Linux says ``sse4_1`` and ``pni``, macOS ``SSE4.1`` and ``AVX1.0``, LLVM ``sse4.1`` and ``sse3``.
Here it is ``sse41``, ``avx``, ``sse3``: lower case without punctuation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convprof.codegen import arm_features
from convprof.codegen.architecture import ARM, X86

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.machine.sources import Source


_ALIASES = {
    # x86: Linux and macOS names -> the name that LLVM uses
    "pni": "sse3",
    "avx1.0": "avx",
    "sha_ni": "sha",
    "rdrand": "rdrnd",
    # ARM: Linux' names of the architecture's features -> LLVM's
    "asimd": "neon",
    "advsimd": "neon",
    "asimdhp": "fullfp16",
    "fp16": "fullfp16",
    "asimddp": "dotprod",
}


def spell(flag: str) -> str:
    """Return the one spelling of a flag: ``AVX512_VNNI`` and ``avx512vnni`` are the same."""
    lower = flag.lower()
    plain = _ALIASES.get(lower, lower)
    return plain.replace("_", "").replace(".", "").replace("-", "")


@dataclass(frozen=True)
class Flags:
    """Which features the CPU has.

    `known` maps spelled flags to present or absent. With `complete`, whatever is not in
    `known` is absent; without it, unknown.
    """

    known: Mapping[str, bool]
    complete: bool

    def has(self, flag: str) -> bool | None:
        """Return whether the flag (any spelling) is present; None when unknown."""
        return self.known.get(spell(flag), False if self.complete else None)


def _from_cpuinfo(source: Source) -> Flags | None:
    """Intersect over the CPUs: code may run on any of them."""
    lines = [block.get("flags") or block.get("features") for block in source.cpuinfo]
    sets = [frozenset(map(spell, line.split())) for line in dict.fromkeys(lines) if line]
    if not sets:
        return None
    common = sets[0].intersection(*sets[1:])
    return Flags(dict.fromkeys(common, True), complete=True)


def _from_macos_x86(source: Source) -> Flags | None:
    lists = (source.sysctl(f"machdep.cpu.{name}") for name in ("features", "leaf7_features"))
    words = " ".join(filter(None, lists)).split()
    return Flags(dict.fromkeys(map(spell, words), True), complete=True) if words else None


def _from_macos_arm(source: Source) -> Flags | None:
    known = {}
    for flag, names in arm_features.MACOS.items():
        answers = [source.sysctl_integer(name, low=0) for name in names]
        if any(answer is not None for answer in answers):
            known[flag] = any(answers)
    # No Apple CPU runs SVE outside SME's streaming mode, and sysctl has no name for it.
    return Flags(known | {"sve": False, "sve2": False}, complete=False) if known else None


def _from_llvm(source: Source) -> Flags | None:
    features = source.llvm_features()
    if not features:
        return None
    return Flags({spell(name): on for name, on in features.items()}, complete=False)


def detect(source: Source) -> Flags:
    """Return the flags from the cheapest place that has them; all unknown when none has."""
    readers = [_from_cpuinfo]
    if source.macos and source.architecture == X86:
        readers = [_from_macos_x86]
    if source.macos and source.architecture == ARM:
        readers = [_from_macos_arm]
    for reader in (*readers, _from_llvm):
        flags = reader(source)
        if flags is not None:
            return flags
    return Flags({}, complete=False)


# Instruction-set extensions that matter here, and the widest vectors for float arithmetic.

_X86_EXTENSIONS = {
    "SSE": "sse",
    "SSE2": "sse2",
    "SSE3": "sse3",
    "SSSE3": "ssse3",
    "SSE4.1": "sse4_1",
    "SSE4.2": "sse4_2",
    "AVX": "avx",
    "AVX2": "avx2",
    "FMA": "fma",
    "F16C": "f16c",
    "AVX512F": "avx512f",
    "AVX512BW": "avx512bw",
    "AVX512DQ": "avx512dq",
    "AVX512VL": "avx512vl",
    "AVX512CD": "avx512cd",
    "AVX512-VNNI": "avx512_vnni",
    "AVX-VNNI": "avx_vnni",
    "AVX512-BF16": "avx512_bf16",
    "AVX512-FP16": "avx512_fp16",
    "AMX-TILE": "amx_tile",
    "AMX-BF16": "amx_bf16",
    "AMX-INT8": "amx_int8",
}
_ARM_EXTENSIONS = {
    "NEON": "asimd",
    "FP16": "asimdhp",
    "DOTPROD": "asimddp",
    "BF16": "bf16",
    "I8MM": "i8mm",
    "SVE": "sve",
    "SVE2": "sve2",
}
_EXTENSIONS = {X86: _X86_EXTENSIONS, ARM: _ARM_EXTENSIONS}

_SVE_LENGTH = "proc/sys/abi/sve_default_vector_length"
_SVE_BYTES = range(16, 257, 16)  # Arm ARM: 128 to 2048 bits in steps of 128

Isa = Literal["avx512", "avx2", "avx", "sse", "neon", "sve"]


@dataclass(frozen=True)
class Simd:
    """The widest vectors usable for float arithmetic; all None when the flags are unknown."""

    isa: Isa | None = None
    bits: int | None = None
    """Width of one register; None for SVE of unknown length."""
    f32_lanes: int | None = None
    """Single-precision numbers in one register."""
    f64_lanes: int | None = None
    """Double-precision numbers in one register."""
    registers: int | None = None
    """Architectural vector registers."""
    fma: bool | None = None
    """Whether these vectors have a fused multiply-add."""

    @property
    def fixed(self) -> Simd:
        """The widest vectors of a fixed length, as generated code has: NEON's on a CPU with SVE."""
        return _NEON if self.isa == "sve" else self


def _vectors(isa: Isa, bits: int | None, registers: int, fma: bool | None) -> Simd:
    if bits is None:
        return Simd(isa, registers=registers, fma=fma)
    return Simd(isa, bits, bits // 32, bits // 64, registers, fma)


_NEON = _vectors("neon", bits=128, registers=32, fma=True)


def extensions(source: Source, flags: Flags) -> dict[str, bool | None]:
    """Return extension -> present, absent or unknown (None), oldest first."""
    table = _EXTENSIONS.get(source.architecture, {})
    return {name: flags.has(flag) for name, flag in table.items()}


def simd(source: Source, flags: Flags) -> Simd:
    """Return the widest vectors for float arithmetic."""
    if source.architecture == X86:
        return _x86(flags)
    if source.architecture == ARM:
        return _arm(source, flags)
    return Simd()


def _x86(flags: Flags) -> Simd:
    fma = flags.has("fma")
    if flags.has("avx512f"):
        # AVX-512F brings its own fused multiply-add, whatever the older flag says.
        return _vectors("avx512", bits=512, registers=32, fma=True)
    if flags.has("avx2"):
        return _vectors("avx2", bits=256, registers=16, fma=fma)
    if flags.has("avx"):
        return _vectors("avx", bits=256, registers=16, fma=fma)
    if flags.has("sse2"):
        return _vectors("sse", bits=128, registers=16, fma=False)
    return Simd()


def _arm(source: Source, flags: Flags) -> Simd:
    if flags.has("sve"):
        length = source.integer(_SVE_LENGTH)
        bits = length * 8 if length in _SVE_BYTES and length is not None else None
        return _vectors("sve", bits=bits, registers=32, fma=True)
    return _NEON if flags.has("asimd") else Simd()
