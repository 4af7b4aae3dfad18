"""The basis of the theories: costs of multiply-adds and loads on this core, measured here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.codegen import isa as isas
from convprof.codegen.probes.instructions import Instruction, catalogue
from convprof.dtypes import find
from convprof.errors import RefusedError
from convprof.machine.instructions import Bench, best_meter, missing
from convprof.results import NATIVE
from convprof.studies.study.repeated import Shape

if TYPE_CHECKING:
    from convprof.machine.cpu import Cpu
    from convprof.machine.model import MachineModel

DEADLINE_S = 1.0
"""For the passes over a handful of loops; they take a third of it."""
LOAD_TYPES = ("f32", "i64")
"""A load costs the same whatever is loaded; the catalogue has one type per width."""
RELIABLE = 0.03
"""A core does a whole number of things per cycle: a count this near to one is rounded."""


@dataclass(frozen=True)
class Costs:
    """Of one type and width, in core cycles; None where it is not known."""

    bits: int
    fma_latency: float | None
    fmas_per_cycle: float | None
    loads_per_cycle: float | None
    """Vectors of that width."""
    elements_per_cycle: float | None
    """Scalar loads."""
    flop_per_s: float
    """The measured peak in this width."""
    core_hz: float | None
    """The clock under that load."""

    @property
    def chains(self) -> float | None:
        """Independent sums that keep the multiply-adds busy: latency x multiply-adds a cycle."""
        if self.fma_latency is None or self.fmas_per_cycle is None:
            return None
        return self.fma_latency * self.fmas_per_cycle

    def again(self, machine: MachineModel, dtype: str, *, fused: bool = True) -> Costs:
        """Return the same with the peak measured again, if that is lower."""
        now = machine.measure_width_again(dtype, self.bits, fused=fused)
        return dataclasses.replace(self, flop_per_s=now.flop_per_s, core_hz=now.core_hz)

    def lines(self) -> tuple[str, ...]:
        """Return what is known, a line each."""
        width = f"{self.bits} bits"
        peak = f"peak in {width}: {units.si(self.flop_per_s, 'FLOP/s')}"
        if self.core_hz:
            peak += f" at {units.si(self.core_hz, 'Hz')}"
        counts = (
            ("cycles from a multiply-add to the next on its sum", self.fma_latency),
            ("multiply-adds per cycle", self.fmas_per_cycle),
            ("loads per cycle", self.loads_per_cycle),
        )
        known = [f"{'unknown' if n is None else units.digits(n)} {text}" for text, n in counts]
        return (peak, f"in {width}: {', '.join(known)} (measured)")


def costs(machine: MachineModel, dtype: str, bits: int, *, fused: bool = True) -> Costs:
    """Measure the costs of a type in a width. `bits` of one element mean scalars.

    Without `fused` no latency is known: a sum then waits for an addition only.
    """
    peak = machine.measure_width(dtype, bits, fused=fused)
    width = None if bits == element_bits(dtype) else bits
    names = {f"fma {dtype} {width or 'scalar'}"}
    loads = {f"load {kind} {width or 'scalar'}" for kind in LOAD_TYPES}
    scalars = {f"load {kind} scalar" for kind in LOAD_TYPES}
    figures = instruction_costs(machine.facts.cpu, (names if fused else set()) | loads | scalars)
    latency = next((figures[name][0] for name in names if name in figures), None)
    ports = peak.flop_per_cycle / (2 * bits // element_bits(dtype)) if peak.flop_per_cycle else None
    return Costs(
        bits=bits,
        fma_latency=None if latency is None else whole(latency),
        fmas_per_cycle=None if ports is None else whole(ports),
        loads_per_cycle=_per_cycle(figures, loads),
        elements_per_cycle=_per_cycle(figures, scalars),
        flop_per_s=peak.flop_per_s,
        core_hz=peak.core_hz,
    )


def element_bits(dtype: str) -> int:
    """Return the bits of an element."""
    return find(dtype).bits


def whole(value: float) -> float:
    """Return the whole number that a measured count is within 3 % of, or the count itself."""
    nearest = round(value)
    return float(nearest) if nearest and abs(value - nearest) <= RELIABLE * nearest else value


def _per_cycle(figures: dict[str, tuple[float | None, float]], names: set[str]) -> float | None:
    each = next((figures[name][1] for name in sorted(names) if name in figures), None)
    return whole(1 / each) if each else None


def instruction_costs(cpu: Cpu, names: set[str]) -> dict[str, tuple[float | None, float]]:
    """Return latency and reciprocal throughput by name; {} without a meter."""
    meter = best_meter()
    rows = catalogue(cpu.architecture, avx=bool(cpu.extensions.get("AVX")))
    able = [
        row
        for row in rows
        if isinstance(row, Instruction)
        and row.key.name in names
        and not missing(row, cpu.extensions)
    ]
    if meter is None or not able:
        return {}
    bench = Bench(able, meter)
    for _ in bench.passes(DEADLINE_S):
        pass
    return {
        key.name: (cost.latency, cost.reciprocal_throughput)
        for key, cost in bench.costs().items()
        if cost.reciprocal_throughput is not None
    }


# The widths of the kernels that can be generated here, including one element, and the tile.

ROWS, VECTORS, TURN = 6, 2, 4
"""Twelve sums: enough for a latency of four cycles and two multiply-adds per cycle, and with what
else they need they fit into 16 registers."""
VECTOR_BITS = (128, 256, 512)


def widths(dtype: str) -> tuple[int, ...]:
    """Return the widths in bits, one element first. RefusedError where nothing is generated."""
    if not isas.available():
        raise RefusedError("no kernels are generated for this CPU; run it on x86-64 or AArch64")
    widest = isas.find(NATIVE).bits
    return (element_bits(dtype), *(bits for bits in VECTOR_BITS if bits <= widest))


def shape(bits: int, dtype: str, *, fused: bool) -> Shape:
    """Return the tile, the same number of rows and vectors in every width."""
    return Shape(ROWS, VECTORS, bits // element_bits(dtype), TURN, fused)


def spelled(bits: int, dtype: str) -> str:
    """Return `scalar` or `256 bits`."""
    return "scalar" if bits == element_bits(dtype) else f"{bits} bits"
