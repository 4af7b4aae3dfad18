"""What single instructions cost on this machine, in core cycles."""

from __future__ import annotations

from convprof.machine.instructions.bench import Bench, Cost
from convprof.machine.instructions.ruler import CounterRuler, PairedRuler, Ruler, best_ruler
from convprof.machine.instructions.support import missing

__all__ = [
    "Bench",
    "Cost",
    "CounterRuler",
    "PairedRuler",
    "Ruler",
    "best_ruler",
    "missing",
]
