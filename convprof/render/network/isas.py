"""The table of instruction sets of ``network NAME``: the same chain with the kernels of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import doubts, tables
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.studies.comparison import times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.compare.isas import IsaComparison

TITLE = "instruction sets"


def isas_report(
    console: Console, chains: Sequence[Measurement], comparisons: Sequence[IsaComparison]
) -> None:
    """Print a row per instruction set, and the times in doubt."""
    print_table(console, TITLE, isa_columns(chains, comparisons), chains)
    line = doubts.line(chains)
    say(console, *([] if line is None else [line]), style="dim")


def isa_columns(
    chains: Sequence[Measurement], comparisons: Sequence[IsaComparison]
) -> list[Column[Measurement]]:
    """Return the columns: time, clock, and the ratio to the time of the row above."""
    unit = units.table_unit([m.time_s.median for m in chains if m.time_s])
    above = {str(comparison.a.isa): times(comparison.ratio) for comparison in comparisons}

    def time(m: Measurement) -> str:
        return tables.NOTHING if m.time_s is None else units.digits(unit.scale(m.time_s.median))

    return [
        Column("ISA", lambda m: doubts.marked(str(m.isa), m.doubt), 1, "left"),
        Column(f"chain [{unit.name}]", time, 1),
        Column("clock [GHz]", _clock, 3),
        Column("against the row above", lambda m: above.get(str(m.isa), tables.NOTHING), 2),
    ]


def _clock(m: Measurement) -> str:
    return tables.NOTHING if m.cycles is None else f"{m.cycles.core_hz / 1e9:.2f}"
