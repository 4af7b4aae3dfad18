"""Feature flags of the CPU under one spelling, whoever printed them.

Linux says ``sse4_1`` and ``pni``, macOS ``SSE4.1`` and ``AVX1.0``, LLVM ``sse4.1`` and ``sse3``.
Here it is ``sse41``, ``avx``, ``sse3``: lower case without punctuation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.machine.sources import ARM, X86

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

_MACOS_ARM = {
    "neon": ("hw.optional.AdvSIMD", "hw.optional.neon"),
    "fullfp16": ("hw.optional.arm.FEAT_FP16", "hw.optional.neon_fp16"),
    "dotprod": ("hw.optional.arm.FEAT_DotProd",),
    "bf16": ("hw.optional.arm.FEAT_BF16",),
    "i8mm": ("hw.optional.arm.FEAT_I8MM",),
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
    for flag, names in _MACOS_ARM.items():
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
