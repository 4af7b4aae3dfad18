"""The CPU itself: its names, its instruction sets, its nominal clock."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from convprof.codegen.architecture import ARM, X86
from convprof.machine import brand as brands
from convprof.machine import flags as cpu_flags
from convprof.machine.brand import guess
from convprof.machine.sources import integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.machine.flags import Flags, Simd
    from convprof.machine.sources import Source

_CPU0 = "sys/devices/system/cpu/cpu0"
_BRAND_CLOCK = re.compile(r"@\s*([0-9]{1,5}(?:\.[0-9]{1,4})?)\s*([GM])Hz", re.IGNORECASE)
_WINDOWS = re.compile(r"Family (\d+) Model (\d+) Stepping (\d+)(?:, (\w+))?")
_PLAUSIBLE_HZ = (1e8, 1e10)

ClockSource = Literal["brand", "base_frequency", "cppc", "sysctl", "bogomips"]


@dataclass(frozen=True)
class NominalClock:
    """The clock that the maker states, not the clock at which the core runs."""

    hz: float | None = None
    source: ClockSource | None = None
    """``bogomips`` is half the BogoMIPS of an x86 CPU: its time-stamp counter, only a hint."""


@dataclass(frozen=True)
class Model:
    """The CPU's own numbers. On Arm: architecture, part number, variant and revision."""

    vendor: str | None = None
    family: int | None = None
    model: int | None = None
    stepping: int | None = None
    """On Arm ``variant * 16 + revision``, as in MIDR_EL1."""


@dataclass(frozen=True)
class Cpu:
    """What the CPU is."""

    architecture: str
    """``x86_64``, ``aarch64`` or the system's own name."""
    brand: str | None
    model: Model
    microarchitecture: str | None
    """A guess; names of virtual CPUs are not trusted."""
    microarchitecture_source: Literal["flags", "part number"] | None
    extensions: Mapping[str, bool | None] = field(hash=False)
    """Extension -> present, absent or unknown (None), oldest first."""
    simd: Simd
    nominal_clock: NominalClock
    tile_registers: str | None = None
    """``permitted``, why this process may not use them, or ``unknown``; None for a CPU without AMX,
    and where the permission was not requested."""


def detect(source: Source) -> Cpu:
    """Return what the CPU is; unknown parts are None."""
    flags = cpu_flags.detect(source)
    name = brands.detect(source)
    model = _model(source)
    design, origin = _design(source, model, flags)
    return Cpu(
        architecture=source.architecture,
        brand=name,
        model=model,
        microarchitecture=design,
        microarchitecture_source=origin,
        extensions=cpu_flags.extensions(source, flags),
        simd=cpu_flags.simd(source, flags),
        nominal_clock=_nominal_clock(source, name),
    )


def with_permissions(cpu: Cpu, source: Source) -> Cpu:
    """Return the CPU with what the system permits; this loads LLVM on a CPU with AMX."""
    if not cpu.extensions.get("AMX-TILE"):
        return cpu
    return dataclasses.replace(cpu, tile_registers=source.tile_permission() or "unknown")


def _design(
    source: Source, model: Model, flags: Flags
) -> tuple[str | None, Literal["flags", "part number"] | None]:
    if source.architecture == ARM:
        core = brands.arm_core(source.cpuinfo[0]) if source.cpuinfo else None
        return core, "part number" if core else None
    design = guess(model.vendor, flags)
    return design, "flags" if design else None


def _model(source: Source) -> Model:
    if source.macos:
        return _macos_model(source)
    if source.cpuinfo:
        block = source.cpuinfo[0]
        return _arm_model(block) if source.architecture == ARM else _x86_model(block)
    match = _WINDOWS.search(source.processor or "")
    if match is None:
        return Model()
    family, model, stepping, vendor = match.groups()
    return Model(vendor, integer(family), integer(model), integer(stepping))


def _x86_model(block: dict[str, str]) -> Model:
    return Model(
        brands.clean(block.get("vendor_id")),
        integer(block.get("cpu family")),
        integer(block.get("model")),
        integer(block.get("stepping")),
    )


def _arm_model(block: dict[str, str]) -> Model:
    variant, revision = integer(block.get("cpu variant")), integer(block.get("cpu revision"))
    return Model(
        brands.arm_implementer(block),
        integer(block.get("cpu architecture")),
        integer(block.get("cpu part")),
        None if variant is None or revision is None else variant * 16 + revision,
    )


def _macos_model(source: Source) -> Model:
    prefix = "machdep.cpu."
    if source.architecture == ARM:
        # A hash that names the core's design, printed as a signed or an unsigned 32-bit number.
        family = source.sysctl_integer("hw.cpufamily", low=-(1 << 31), high=(1 << 32) - 1)
        return Model("Apple", None if family is None else family % (1 << 32))
    return Model(
        brands.clean(source.sysctl(prefix + "vendor")),
        source.sysctl_integer(prefix + "family", low=0),
        source.sysctl_integer(prefix + "model", low=0),
        source.sysctl_integer(prefix + "stepping", low=0),
    )


def _nominal_clock(source: Source, name: str | None) -> NominalClock:
    """Take the first plausible answer, the maker's own word first."""
    match = _BRAND_CLOCK.search(name or "")
    scale = 1e9 if match and match[2].upper() == "G" else 1e6
    answers: tuple[tuple[float | None, ClockSource], ...] = (
        (float(match[1]) * scale if match else None, "brand"),
        (_scaled(source.integer(f"{_CPU0}/cpufreq/base_frequency"), 1e3), "base_frequency"),
        (_scaled(source.integer(f"{_CPU0}/acpi_cppc/nominal_freq"), 1e6), "cppc"),
        (_scaled(source.sysctl_integer("hw.cpufrequency"), 1.0), "sysctl"),
        (_bogomips(source), "bogomips"),
    )
    low, high = _PLAUSIBLE_HZ
    for hz, origin in answers:
        if hz is not None and low <= hz <= high:
            return NominalClock(hz, origin)
    return NominalClock()


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value * unit


def _bogomips(source: Source) -> float | None:
    """Half of it is the time-stamp counter's rate on x86; on Arm it means something else."""
    if source.architecture != X86 or not source.cpuinfo:
        return None
    try:
        return float(source.cpuinfo[0].get("bogomips", "")) / 2 * 1e6
    except ValueError:
        return None
