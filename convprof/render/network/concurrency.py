"""The table of numbers of threads and of streams: latency, throughput, speed-up, efficiency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import doubts, tables
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.studies.network.concurrency import name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.studies.network.concurrency import Concurrency, Mode

TITLE = "threads and streams"
STREAMS_LINE = (
    "streams compute an inference each at the same time; efficiency: the speed-up for each thread"
)


def concurrency_report(console: Console, concurrency: Concurrency) -> None:
    """Print a row per mode, and what the words mean."""
    print_table(console, TITLE, mode_columns(concurrency.modes), concurrency.modes)
    line = doubts.line(mode.measurement for mode in concurrency.modes)
    say(console, STREAMS_LINE, *([] if line is None else [line]), style="dim")


def mode_columns(modes: Sequence[Mode]) -> list[Column[Mode]]:
    """Return the columns, latencies in one unit."""
    unit = units.table_unit([mode.latency_s for mode in modes])
    return [
        Column("computed by", _name, 1, "left"),
        Column(f"latency [{unit.name}]", lambda m: units.digits(unit.scale(m.latency_s)), 1),
        Column("inferences/s", lambda m: f"{m.per_second:,.{_decimals(m.per_second)}f}", 2),
        Column("speed-up", lambda m: _number(m.speed_up), 3),
        Column("efficiency", lambda m: _percent(m.efficiency), 4),
    ]


def _name(mode: Mode) -> str:
    return doubts.marked(name(mode), mode.measurement.doubt)


def _decimals(value: float) -> int:
    return len(units.digits(value).partition(".")[2])


def _number(value: float | None) -> str:
    return tables.NOTHING if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return tables.NOTHING if value is None else f"{100 * value:.0f} %"
