"""The total of a training step, in a line per side, layout and number of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import doubts
from convprof.render.console import say
from convprof.studies.network.training import which_pass
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.network.training import Step
    from convprof.units import Unit

INCOMPLETE = "training step: no total, a pass has no result"


def training_report(console: Console, steps: Sequence[Step]) -> None:
    """Print a line per step, the fastest of each number of threads first."""
    console.print()
    for step in steps:
        say(console, _line(step), style="bold")
    if not steps:
        say(console, INCOMPLETE, style="bold")


def _line(step: Step) -> str:
    unit = units.time_unit([step.seconds])
    parts = " + ".join(
        f"{_time(m, unit)} {which_pass(m)} ({m.strategy})" for m in step.passes if m.time_s
    )
    threads = f"{step.threads} thread{'s' if step.threads > 1 else ''}"
    where = " ".join(filter(None, (step.layout, threads, "in libraries" * step.library)))
    rate = units.si(step.flops / step.seconds, "FLOP/s")
    total = doubts.before(units.digits(unit.scale(step.seconds)), step.doubt)
    line = f"training step, {where}: {total} {unit.name} = {parts}"
    line += f" · {units.si(step.flops, 'FLOP')}, {rate}"
    if step.prepare_s:
        anew = units.digits(unit.scale(step.prepare_s))
        line += f" · rearranging the weights, which a step changes: {anew} {unit.name} more"
    return line


def _time(m: Measurement, unit: Unit) -> str:
    return doubts.before(units.digits(unit.scale(seconds(m))), m.doubt)
