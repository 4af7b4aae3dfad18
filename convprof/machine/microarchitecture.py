"""A guess at the core's design, by its flags and not by its name.

Virtual machines give family, model and brand as they please; a flag that the hypervisor shows
is an instruction that works. A hypervisor hides flags as well (AVX-512 in some series of a cloud
whose other series show it), and newer designs have the flags of older ones: so a guess is a lower
bound, and says so.
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


_NO_AVX512 = "(AVX-512 absent or hidden)"

_INTEL = (
    _Rule("Granite Rapids or newer (Redwood Cove family)", "amx_fp16 avx512_fp16"),
    _Rule("Sapphire Rapids or newer (Golden Cove family)", "amx_tile"),
    _Rule("Golden Cove family or newer (AMX absent or hidden)", "avx512_fp16"),
    _Rule("Golden Cove family or newer (AMX absent or hidden)", "avx512_bf16 avx512_vbmi2"),
    _Rule("Tiger Lake (Willow Cove) or newer", "avx512_vp2intersect"),
    _Rule("Ice Lake, Rocket Lake (Sunny Cove family) or newer", "avx512_vnni avx512_vbmi2"),
    _Rule("Cannon Lake or newer", "avx512vbmi"),
    _Rule("Cooper Lake or newer", "avx512_vnni avx512_bf16"),
    _Rule("Cascade Lake or newer", "avx512_vnni"),
    _Rule("Skylake-X or newer", "avx512bw"),
    _Rule("Knights Landing or newer (AVX-512BW absent or hidden)", "avx512f"),
    _Rule("Sierra Forest, Arrow Lake, Lunar Lake or newer", "avx_ifma"),
    _Rule(f"Alder Lake or newer {_NO_AVX512}", "avx_vnni"),
    _Rule(f"Skylake or newer {_NO_AVX512}", "avx2 clflushopt"),
    _Rule("Broadwell or newer", "avx2 adx"),
    _Rule("Haswell or newer", "avx2"),
    _Rule("Ivy Bridge or newer (AVX2 absent or hidden)", "avx f16c"),
    _Rule("Sandy Bridge or newer (AVX2 absent or hidden)", "avx"),
    _Rule("Atom family (Silvermont to Tremont) or newer (AVX absent or hidden)", "sse4_2 movbe"),
    _Rule("Nehalem or newer (AVX absent or hidden)", "sse4_2"),
)
_AMD = (
    _Rule("Zen 5 or newer", "avx512f avx_vnni"),
    _Rule("Zen 5 or newer", "avx512_vp2intersect"),
    _Rule("Zen 4 or newer", "avx512f"),
    _Rule(f"Zen 3 or newer {_NO_AVX512}", "avx2 vaes"),
    _Rule(f"Zen 2 or newer {_NO_AVX512}", "avx2 clwb"),
    _Rule(f"Zen or newer {_NO_AVX512}", "avx2 sha_ni"),
    _Rule(f"Excavator or newer {_NO_AVX512}", "avx2"),
    _Rule("Piledriver or newer (AVX2 absent or hidden)", "avx fma"),
    _Rule("Bulldozer, Jaguar or newer (AVX2 absent or hidden)", "avx"),
)
_RULES = {"GenuineIntel": _INTEL, "AuthenticAMD": _AMD}


def guess(vendor: str | None, flags: Flags) -> str | None:
    """Return the design that the flags point to, or None when there is no rule for it."""
    for rule in _RULES.get(vendor or "", ()):
        if all(flags.has(flag) for flag in rule.flags.split()):
            return rule.name
    return None
