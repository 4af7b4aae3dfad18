"""What the inner loop of a strategy can reach at most, from its instructions and this machine.

Three limits, each as a share of the peak on one core:

- arithmetic: the measured peak of vectors as wide as the loop's, fused or not as the loop's;
- chains: an iteration takes as long as its longest chain of dependent sums, at measured latencies;
- loads: bytes per FLOP between L1 and the registers, at the measured bandwidth of L1.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from convprof.codegen import disassembly
from convprof.codegen.assembly_line import ADD, FMA, MULTIPLY, SCALAR
from convprof.dtypes import find
from convprof.errors import ConvprofError
from convprof.studies.instructions import Instructions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.codegen.disassembly import Code
    from convprof.machine.model import MachineModel
    from convprof.machine.peaks import Peak
    from convprof.strategies.base import Prepared

Kind = Literal["arithmetic", "chains", "loads"]
LOOP_KINDS: tuple[Kind, ...] = get_args(Kind)
BITS = {"xmm": 128, "ymm": 256, "zmm": 512, "v": 128}
NOISE = 1.07
"""Latencies and peaks are measured: a number up to 7 % over a whole number is that number."""
SCALAR_BITS = 128
"""Scalars use one element of a register of this width."""


@dataclass(frozen=True)
class Core:
    """What one core can do, as measured here; None where it is not known."""

    peak: Peak
    arithmetic_share: float
    """Share of `peak` that instructions like the loop's reach at most."""
    latency: Mapping[str, float]
    """Core cycles by kind of instruction."""
    l1_bytes_per_s: float | None


@dataclass(frozen=True)
class Limit:
    """The share of the one-core peak that a loop can reach at most, for one reason."""

    kind: Kind
    share: float


class Loop(Protocol):
    """What tables and sentences say of an inner loop: of code, or of a document."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Floating-point instructions by kind."""

    @property
    def width(self) -> str:
        """The widest register of the arithmetic."""

    @property
    def loads(self) -> int:
        """Whole vectors read."""

    @property
    def elements(self) -> int:
        """Single numbers that are read and broadcast."""

    @property
    def stores(self) -> int:
        """Vectors written."""

    @property
    def spills(self) -> int:
        """Accesses to the stack."""

    @property
    def flops(self) -> int:
        """Floating-point operations."""

    @property
    def bytes_moved(self) -> int:
        """Bytes from and to L1."""

    @property
    def bytes_per_flop(self) -> float:
        """Bytes from and to L1 per FLOP."""

    @property
    def chains(self) -> int:
        """Chains of dependent sums."""

    @property
    def lanes(self) -> float:
        """Elements that an arithmetic instruction computes, on average."""

    @property
    def fused(self) -> bool:
        """Whether multiply-adds are single instructions."""

    @property
    def walk(self) -> tuple[int, int] | None:
        """Bytes by which the pointer to the vectors advances, and that it loads."""


@dataclass(frozen=True)
class Evidence:
    """An inner loop and what it can reach."""

    loop: Loop
    limits: tuple[Limit, ...]
    """The known limits."""
    chains_needed: int | None
    """Chains that are needed for as many instructions per cycle as the core can start."""
    latency: float | None
    """Cycles from one sum of a chain to the next."""
    l1_bytes_per_s: float | None

    @property
    def binding(self) -> Limit | None:
        """The lowest limit; None if none is known."""
        return min(self.limits, key=lambda limit: limit.share, default=None)

    def share(self, kind: Kind) -> float | None:
        """Return what one limit allows; None if it is not known."""
        return next((limit.share for limit in self.limits if limit.kind == kind), None)

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as the result document has it."""
        loop = self.loop
        return {
            "instructions": dict(loop.counts),
            "width": loop.width,
            "loads": loop.loads,
            "elements": loop.elements,
            "stores": loop.stores,
            "spills": loop.spills,
            "flops": loop.flops,
            "bytes": loop.bytes_moved,
            "walk": loop.walk,
            "chains": loop.chains,
            "chains_needed": self.chains_needed,
            "latency_cycles": self.latency,
            "l1_bytes_per_s": self.l1_bytes_per_s,
            "at_most": {limit.kind: limit.share for limit in self.limits},
        }


def loop_of(prepared: Prepared) -> Code | None:
    """Return the inner loop that does the work; None for a library, whose code is not read."""
    generated = prepared.inner_loops()
    if generated:
        loop = disassembly.read(generated[0][1])
        return loop if loop.flops else None
    return disassembly.hottest(prepared.loop_nests())


def evidence(loop: Code, core: Core) -> Evidence:
    """Return the limits of a loop on a core."""
    limits = [Limit("arithmetic", core.arithmetic_share)]
    recurrence = _recurrence(loop, core)
    per_cycle = core.peak.flop_per_cycle
    if recurrence and per_cycle:
        limits.append(Limit("chains", min(1.0, loop.flops / recurrence / per_cycle)))
    if core.l1_bytes_per_s and loop.bytes_moved:
        rate = core.l1_bytes_per_s / loop.bytes_per_flop
        limits.append(Limit("loads", min(1.0, rate / core.peak.flop_per_s)))
    latency = recurrence / sum(loop.links.values()) if recurrence else None
    needed = None
    if latency and per_cycle:
        sums_per_cycle = core.arithmetic_share * per_cycle / (2 * loop.lanes)
        needed = math.ceil(latency * sums_per_cycle / NOISE)
    return Evidence(loop, tuple(limits), needed, latency, core.l1_bytes_per_s)


def _recurrence(loop: Code, core: Core) -> float | None:
    """Return the cycles of an iteration's longest chain; None for no chain or unknown latencies."""
    if not loop.chains or any(kind not in core.latency for kind in loop.links):
        return None
    return sum(count * core.latency[kind] for kind, count in loop.links.items())


def measure(prepared: Prepared, peak: Peak, machine: MachineModel) -> Evidence | None:
    """Measure what limits the loop on one core, whose peak is ``peak``; None without a loop."""
    loop = loop_of(prepared)
    if loop is None:
        return None
    dtype = prepared.setting.dtype
    scalar = loop.width == SCALAR
    bits = SCALAR_BITS if scalar else BITS[loop.width]
    machine.measure_bandwidth(1, "L1")
    core = Core(
        peak,
        _arithmetic_share(dtype, bits, peak, machine, fused=loop.fused)
        / (_elements(dtype) if scalar else 1),
        latencies(dtype, None if scalar else bits),
        machine.bandwidth(1, "L1"),
    )
    return evidence(loop, core)


def _elements(dtype: str) -> int:
    return SCALAR_BITS // find(dtype).bits


def _arithmetic_share(
    dtype: str, bits: int, peak: Peak, machine: MachineModel, *, fused: bool
) -> float:
    if (bits, fused) == (peak.bits, peak.fused):
        return 1.0
    own = machine.measure_width(dtype, bits, fused=fused)
    return min(1.0, own.flop_per_s / peak.flop_per_s)


@functools.cache
def latencies(dtype: str, bits: int | None) -> dict[str, float]:
    """Measure the latencies of `fma`, `mul` and `add` in core cycles, a tenth of a second.

    Latencies that cannot be measured here are left out.
    """
    width = "scalar" if bits is None else str(bits)
    names = {f"{kind} {dtype} {width}": kind for kind in (FMA, MULTIPLY, ADD)}
    try:
        study = Instructions(f"^({'|'.join(map(re.escape, names))})$")
        for _ in study.passes():
            pass
    except ConvprofError:
        return {}
    return {names[row.name]: row.latency for row in study.rows() if row.latency is not None}
