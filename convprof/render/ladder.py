"""The output of `ladder`: the rungs, their limits, their inner loops, and Halide's schedules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convprof import units
from convprof.doubts import may_be_faster
from convprof.measure.rounds import FEWEST_ROUNDS
from convprof.render import describe, doubts, tables
from convprof.render.columns import BEST, VERDICT_STYLES, Column, print_table
from convprof.render.console import say
from convprof.render.ladder_words import chains, idea, loop_counts, sentence, share
from convprof.render.rung_limit_words import limit_phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.results import Measurement
    from convprof.studies.comparison import Comparison
    from convprof.studies.evidence import Evidence
    from convprof.studies.ladder.study import Pair, Step

    Row = tuple[Step, Evidence]


NOTHING = tables.NOTHING
LOWER = "↓"


def ladder_report(console: Console, steps: Sequence[Step], *, why: bool = False) -> None:
    """Print one problem: the table, the limit of each rung, and the rungs without a time.

    ``why`` adds the inner loops and a sentence per rung.
    """
    timed = [step for step in steps if step.measurement.time_s is not None]
    if timed:
        first = timed[0].measurement
        title = describe.problem_line(first.problem, first.dtype)
        layout = f" · {first.layout}" if first.layout else ""
        cold = " · cold caches" if first.cache == "cold" else ""
        heading = f"ladder · {title}{layout}{cold}"
        shown = print_table(console, heading, _columns(timed), timed, _row_style(timed))
        say(console, _legend(timed, shown), style="dim")
        doubt = doubts.line(step.measurement for step in timed)
        if doubt is not None:
            say(console, doubt)
        console.print()
        print_table(console, "what limits each rung", _limit_columns(), timed)
    if why:
        _why(console, timed)
    _exclusions(console, [step.measurement for step in steps])


def _row_style(timed: Sequence[Step]) -> Callable[[Step], str]:
    """Return the style of a row: the fastest rung is bold, rungs in doubt are dim."""
    sure = [step for step in timed if step.measurement.doubt is None]
    best = min(sure, key=_seconds, default=None)
    if best is not None and may_be_faster(best.measurement, [s.measurement for s in timed]):
        best = None

    def style(step: Step) -> str:
        if step is best:
            return BEST
        return "dim" if step.measurement.doubt else ""

    return style


def _seconds(step: Step) -> float:
    time = step.measurement.time_s
    return math.inf if time is None else time.median


def _verdict_style(comparison: Comparison[Measurement] | None) -> str:
    return "" if comparison is None else VERDICT_STYLES[comparison.verdict]


def _why(console: Console, timed: Sequence[Step]) -> None:
    """Print the contents of the inner loops, and a sentence per rung."""
    loops = [(step, step.evidence) for step in timed if step.evidence is not None]
    if loops:
        console.print()
        print_table(console, "one iteration of the inner loop", _loop_columns(), loops)
    if timed:
        console.print()
    for number, step in enumerate(timed):
        say(console, sentence(step, timed[number - 1] if number else None, limit_phrase(step)))


def halide_report(console: Console, pairs: Sequence[Pair]) -> None:
    """Print Halide's schedules next to the rungs with the same idea."""
    rows = [pair for pair in pairs if pair.theirs.time_s is not None]
    if rows:
        console.print()
        shown = print_table(console, "Halide's schedules and our rungs", _pair_columns(), rows)
        notes = {
            "speed-up": "speed-up: of our rung over Halide's schedule",
            "compile [s]": "compile: Halide's time to compile, not part of a call",
        }
        lines = [text for heading, text in notes.items() if heading in shown]
        if lines:
            say(console, " · ".join(lines), style="dim")
        doubt = doubts.line(pair.theirs for pair in rows)
        if doubt is not None:
            say(console, doubt)
    _exclusions(console, [pair.theirs for pair in pairs])


def sizes_report(console: Console, ladders: Sequence[tuple[str, Sequence[Step]]]) -> None:
    """Print GFLOP/s of every rung over the sizes, each with the name of its size."""
    names = list(dict.fromkeys(step.rung.name for _, steps in ladders for step in steps))
    columns: list[Column[str]] = [Column("rung", lambda name: name, 1, "left")]
    for rank, (size, steps) in enumerate(ladders):
        by_name = {step.rung.name: step for step in steps}
        columns.append(Column(size, _size_cell(by_name), 2 + rank))
    console.print()
    print_table(console, "GFLOP/s over the sizes", columns, names)
    marked = any(_lower(step) for _, steps in ladders for step in steps)
    if marked:
        say(console, f"{LOWER} slower than the rung before it", style="dim")


def _size_cell(steps: dict[str, Step]) -> Callable[[str], str]:
    def cell(name: str) -> str:
        step = steps.get(name)
        if step is None:
            return NOTHING
        rate = f"{LOWER} " * _lower(step) + tables.gflops_cell(step.measurement)
        return doubts.before(rate, step.measurement.doubt)

    return cell


def _lower(step: Step) -> bool:
    return step.before is not None and step.before.verdict == "slower"


def _columns(steps: Sequence[Step]) -> list[Column[Step]]:
    unit = units.time_unit([s.measurement.time_s.median for s in steps if s.measurement.time_s])
    return [
        Column("rung", lambda s: doubts.marked(s.rung.name, s.measurement.doubt), 1, "left"),
        Column(f"time [{unit.name}]", lambda s: tables.time_cell(s.measurement, unit), 5),
        Column("n", _samples_cell, 10),
        Column("GFLOP/s", lambda s: tables.gflops_cell(s.measurement), 1),
        Column("cycles/FLOP", _cycles_cell, 8),
        Column("% peak", lambda s: tables.peak_cell(s.measurement), 2),
        Column("% all cores", _all_cores_cell, 7),
        Column("speed-up", lambda s: ratio_cell(s.before), 3),
        Column(
            "and is",
            lambda s: s.before.verdict if s.before else NOTHING,
            4,
            "left",
            style=lambda s: _verdict_style(s.before),
        ),
        Column("error", lambda s: tables.error_cell(s.measurement), 9),
    ]


def _limit_columns() -> list[Column[Step]]:
    return [
        Column("rung", lambda s: s.rung.name, 1, "left"),
        Column("limited by", limit_phrase, 2, "left", key=True),
        Column("idea", idea, 3, "left"),
    ]


def _loop_columns() -> list[Column[Row]]:
    return [
        Column("rung", lambda row: row[0].rung.name, 1, "left"),
        Column("instructions", lambda row: loop_counts(row[1]), 3, "left"),
        Column("chains", lambda row: chains(row[1]), 4),
        Column("L1 B/FLOP", lambda row: units.digits(row[1].loop.bytes_per_flop, 2), 5),
        Column("moved B/FLOP", lambda row: _moved_cell(row[0].measurement), 6),
        Column("at most", _bound_cell, 2),
    ]


def _pair_columns() -> list[Column[Pair]]:
    return [
        Column("rung", lambda p: p.rung or NOTHING, 3, "left"),
        Column("GFLOP/s", lambda p: tables.gflops_cell(p.ours) if p.ours else NOTHING, 6),
        Column("Halide", _halide_cell, 1, "left"),
        Column("threads", lambda p: str(p.theirs.threads), 8, key=True),
        Column("GFLOP/s", lambda p: tables.gflops_cell(p.theirs), 1),
        Column("% peak", lambda p: tables.peak_cell(p.theirs), 2),
        Column("speed-up", lambda p: ratio_cell(p.comparison), 4),
        Column(
            "and is",
            lambda p: p.comparison.verdict if p.comparison else NOTHING,
            5,
            "left",
            style=lambda p: _verdict_style(p.comparison),
        ),
        Column("compile [s]", lambda p: _compile_cell(p.theirs), 7),
        Column("error", lambda p: tables.error_cell(p.theirs), 9),
    ]


def _halide_cell(pair: Pair) -> str:
    return doubts.marked(pair.theirs.strategy.removeprefix("halide-"), pair.theirs.doubt)


def ratio_cell(comparison: Comparison[Measurement] | None) -> str:
    """Return ``1.93 [1.92, 1.95]``: the speed-up and its 95 % interval."""
    if comparison is None:
        return NOTHING
    ratio = comparison.ratio.inverse
    if ratio.low is None:
        return f"{units.digits(ratio.value)} [?]"
    return tables.ratio_text(ratio, len(units.digits(ratio.value).partition(".")[2]))


def _samples_cell(step: Step) -> str:
    time = step.measurement.time_s
    return NOTHING if time is None else str(time.samples)


def _cycles_cell(step: Step) -> str:
    cycles = step.measurement.cycles
    return NOTHING if cycles is None or cycles.per_flop is None else units.digits(cycles.per_flop)


def _all_cores_cell(step: Step) -> str:
    return NOTHING if step.all_cores_fraction is None else f"{100 * step.all_cores_fraction:.1f}"


def _compile_cell(measurement: Measurement) -> str:
    return NOTHING if measurement.compile_s is None else units.digits(measurement.compile_s)


def _moved_cell(measurement: Measurement) -> str:
    flops, moved = measurement.flops, measurement.bytes_moved
    if flops is None or not flops.direct or moved is None:
        return NOTHING
    return units.digits(moved / flops.direct, 2)


def _bound_cell(row: Row) -> str:
    limit = row[1].binding
    return NOTHING if limit is None else share(limit.share)


def _legend(steps: Sequence[Step], shown: Sequence[str]) -> str:
    """Return the meaning of the columns, and the rungs with too few samples for an interval."""
    threads = dict.fromkeys(step.measurement.threads for step in steps)
    counts = " or ".join(map(str, threads))
    few = [
        f"{step.rung.name} {step.measurement.time_s.samples}"
        for step in steps
        if step.measurement.time_s and step.measurement.time_s.samples < FEWEST_ROUNDS
    ]
    meanings = {
        "% peak": f"% peak: of the peak on the rung's own number of threads ({counts})",
        "% all cores": "% all cores: of the peak on all threads of the ladder",
        "speed-up": "speed-up: over the rung before, by rounds",
    }
    lines = [text for heading, text in meanings.items() if heading in shown]
    if any(tables.effective(step.measurement) for step in steps):
        lines.append("* an effective rate: fewer FLOPs are executed than counted")
    if any(tables.over_ceiling(step.measurement) for step in steps):
        lines.append("! over the peak: the clock rose since, or a bug")
    if few:
        lines.append(f"samples, too few for an interval: {', '.join(few)} (--patience gives more)")
    return " · ".join(lines)


def _exclusions(console: Console, measurements: Sequence[Measurement]) -> None:
    for measurement in tables.excluded(measurements):
        style = "dim" if measurement.status == "refused" else "bold red"
        say(console, describe.exclusion_line(measurement), style=style)
