"""The name that the maker gave the CPU. In virtual machines the name can be wrong: trust flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.codegen.architecture import ARM
from convprof.machine.sources import integer

if TYPE_CHECKING:
    from convprof.machine.flags import Flags
    from convprof.machine.sources import Source


_NAME_KEYS = ("model name", "cpu", "uarch")  # x86, POWER, RISC-V

# Numbers from Arm's MIDR_EL1, as listed in util-linux' lscpu-arm.c
_IMPLEMENTERS = {
    0x41: "ARM",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x51: "Qualcomm",
    0x61: "Apple",
    0xC0: "Ampere",
}
_PARTS = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD40): "Neoverse V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD49): "Neoverse N2",
    (0x41, 0xD4F): "Neoverse V2",
    (0x41, 0xD84): "Neoverse V3",
    (0x41, 0xD8E): "Neoverse N3",
    (0x46, 0x001): "A64FX",
    (0x48, 0xD01): "Kunpeng 920",
    (0x51, 0x001): "Oryon",
    (0x61, 0x022): "Icestorm (M1)",
    (0x61, 0x023): "Firestorm (M1)",
    (0x61, 0x032): "Blizzard (M2)",
    (0x61, 0x033): "Avalanche (M2)",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}


def clean(text: str | None) -> str | None:
    """Return the text in single spaces and without control characters; None when empty."""
    if text is None:
        return None
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split()) or None


def arm_implementer(block: dict[str, str]) -> str | None:
    """Return who designed the core of a /proc/cpuinfo block: ``ARM``, ``Apple``."""
    number = integer(block.get("cpu implementer"))
    return None if number is None else _IMPLEMENTERS.get(number)


def arm_core(block: dict[str, str]) -> str | None:
    """Return the core's name by implementer and part number: ``Neoverse V1``."""
    implementer, part = integer(block.get("cpu implementer")), integer(block.get("cpu part"))
    return None if implementer is None or part is None else _PARTS.get((implementer, part))


def _arm_brand(source: Source) -> str | None:
    """Name every kind of core once, in CPU order: ``ARM Cortex-A55 + Cortex-A76``."""
    cores = dict.fromkeys(filter(None, map(arm_core, source.cpuinfo)))
    makers = dict.fromkeys(filter(None, map(arm_implementer, source.cpuinfo)))
    return f"{next(iter(makers))} {' + '.join(cores)}" if cores else None


def detect(source: Source) -> str | None:
    """Return the brand: /proc/cpuinfo, sysctl or Arm's part numbers, else slow py-cpuinfo.

    An emulated CPU has none: py-cpuinfo would find the brand of the host.
    """
    block = source.cpuinfo[0] if source.cpuinfo else {}
    names = [block.get(key) for key in _NAME_KEYS]
    # Arm kernels write "ARMv8 Processor rev 3" where others write a name: the part says more.
    arm = [_arm_brand(source)] if source.architecture == ARM else []
    for name in (source.sysctl("machdep.cpu.brand_string"), *arm, *names):
        cleaned = clean(name)
        if cleaned is not None:
            return cleaned
    return None if source.emulated else clean(source.slow_brand())


# A guess at the core's design, by its flags and not by its name.
#
# Virtual machines give family, model and brand as they please; a flag that the hypervisor shows
# is an instruction that works. A hypervisor hides flags as well (AVX-512 in some series of a cloud
# whose other series show it), and newer designs have the flags of older ones: so a guess is a lower
# bound, and says so.


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
