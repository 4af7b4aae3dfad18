"""What single instructions cost on this machine, in core cycles."""

from __future__ import annotations

from convprof.machine.instructions.bench import Bench, Cost
from convprof.machine.instructions.cycle_meter import (
    CounterMeter,
    CycleMeter,
    PairedMeter,
    best_meter,
)
from convprof.machine.instructions.support import missing

__all__ = [
    "Bench",
    "Cost",
    "CounterMeter",
    "CycleMeter",
    "PairedMeter",
    "best_meter",
    "missing",
]
