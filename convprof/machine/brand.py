"""The name that the maker gave the CPU. Names lie in virtual machines: show them, trust flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.machine.parse import integer
from convprof.machine.sources import ARM

if TYPE_CHECKING:
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
    """Return the brand: /proc/cpuinfo, sysctl or Arm's part numbers, else slow py-cpuinfo."""
    block = source.cpuinfo[0] if source.cpuinfo else {}
    names = [block.get(key) for key in _NAME_KEYS]
    # Arm kernels write "ARMv8 Processor rev 3" where others write a name: the part says more.
    arm = [_arm_brand(source)] if source.architecture == ARM else []
    for name in (source.sysctl("machdep.cpu.brand_string"), *arm, *names):
        cleaned = clean(name)
        if cleaned is not None:
            return cleaned
    return clean(source.slow_brand())
