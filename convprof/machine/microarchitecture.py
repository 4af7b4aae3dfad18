"""A guess at the core's design, by its flags and not by its name.

Virtual machines give family, model and brand as they please; a flag that the hypervisor shows
is an instruction that works. Hidden flags still mislead: the guess is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convprof.machine.flags import Flags


@dataclass(frozen=True)
class _Rule:
    """The first rule whose flags are all present names the design."""

    name: str
    flags: str


_INTEL = (
    _Rule("Granite Rapids or newer (Redwood Cove family)", "amx_fp16 avx512_fp16"),
    _Rule("Sapphire Rapids or newer (Golden Cove family)", "amx_tile avx512_fp16"),
    _Rule("Golden Cove family or newer (AMX absent or hidden)", "avx512_fp16"),
    _Rule("Tiger Lake (Willow Cove)", "avx512_vp2intersect"),
    _Rule("Ice Lake or Rocket Lake (Sunny Cove family)", "avx512_vnni avx512_vbmi2"),
    _Rule("Cannon Lake", "avx512vbmi"),
    _Rule("Cooper Lake", "avx512_vnni avx512_bf16"),
    _Rule("Cascade Lake", "avx512_vnni"),
    _Rule("Skylake-X", "avx512bw"),
    _Rule("Knights Landing or Knights Mill", "avx512f"),
    _Rule("Sierra Forest, Arrow Lake, Lunar Lake or newer", "avx_ifma"),
    _Rule("Alder Lake or newer (no AVX-512)", "avx_vnni"),
    _Rule("Skylake (client) or its successors to Comet Lake", "avx2 clflushopt"),
    _Rule("Broadwell", "avx2 adx"),
    _Rule("Haswell", "avx2"),
    _Rule("Ivy Bridge", "avx f16c"),
    _Rule("Sandy Bridge", "avx"),
    _Rule("Atom family (Silvermont to Tremont)", "sse4_2 movbe"),
    _Rule("Nehalem or Westmere", "sse4_2"),
)
_AMD = (
    _Rule("Zen 5", "avx512f avx_vnni"),
    _Rule("Zen 5", "avx512_vp2intersect"),
    _Rule("Zen 4", "avx512f"),
    _Rule("Zen 3", "avx2 vaes"),
    _Rule("Zen 2", "avx2 clwb"),
    _Rule("Zen or Zen+", "avx2 sha_ni"),
    _Rule("Excavator", "avx2"),
    _Rule("Piledriver or Steamroller", "avx fma"),
    _Rule("Bulldozer or Jaguar", "avx"),
)
_RULES = {"GenuineIntel": _INTEL, "AuthenticAMD": _AMD}


def guess(vendor: str | None, flags: Flags) -> str | None:
    """Return the design that the flags point to, or None when there is no rule for it."""
    for rule in _RULES.get(vendor or "", ()):
        if all(flags.has(flag) for flag in rule.flags.split()):
            return rule.name
    return None
