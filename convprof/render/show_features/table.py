"""The table of a picture's features: a row per convolution or product that was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from convprof import units
from convprof.render.columns import Column, fit, print_table
from convprof.render.console import say
from convprof.results import plain
from convprof.studies.show_features.sheet import file_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.studies.show_features.picture import Picture
    from convprof.studies.show_features.step import Computed

NOTHING = "-"
PROBLEM = "PROBLEM"
WHERE = "to measure one step alone, with its interval: convprof run PROBLEM -s STRATEGY"


def show(console: Console, picture: Picture, steps: Sequence[Computed], path: str) -> None:
    """Print the table, the refusals, and the path of the sheet."""
    shown = columns(steps)
    print_table(console, title(picture), shown, steps)
    say(console, *refusals(steps))
    if any(column.heading == PROBLEM for column in fit(shown, steps, console.width)):
        say(console, WHERE, style="dim")
    else:
        for text in dict.fromkeys(map(_command, steps)):
            console.print(Text(text, style="dim"), soft_wrap=True)
    console.print(Text(f"sheet: {path}"), soft_wrap=True)


def title(picture: Picture) -> str:
    """Return ``features of cat.png, 512x600 shown 218x256``."""
    _, h, w = picture.rgb.shape
    before = "x".join(map(str, picture.size))
    return f"features of {file_name(picture.name)}, {before}, shown {w}x{h}"


def columns(steps: Sequence[Computed]) -> list[Column[Computed]]:
    """Return the columns; the units follow from the values."""
    time = units.time_unit([step.time_s for step in steps])
    flops = units.count_unit([step.step.problem.flops for step in steps])
    return [
        Column("filter", lambda c: c.step.name, 1, "left"),
        Column(PROBLEM, lambda c: c.step.problem.descriptor, 2, "left"),
        Column("strategy", lambda c: c.strategy + ("*" if c.refused else ""), 1, "left", key=True),
        Column("layout", lambda c: c.layout or NOTHING, 7, "left", key=True),
        Column("threads", lambda c: str(c.threads), 6, key=True),
        Column(f"time [{time.name}]", lambda c: units.digits(time.scale(c.time_s)), 1),
        Column(f"{flops.name}FLOPs", lambda c: _count(c, flops), 3),
        Column("GFLOP/s", _rate, 4),
        Column("error", _error, 5),
    ]


def refusals(steps: Sequence[Computed]) -> list[str]:
    """Return ``* box blur: computed by direct: ...`` for each step that a strategy refused."""
    lines = [f"* {c.step.name}: {c.fallback}" for c in steps if c.refused]
    return lines + [f"{c.step.name}: WRONG, max_rel_error {c.max_rel_error:.2g}" for c in steps if c.wrong]  # noqa: E501  # fmt: skip


def to_json(steps: Sequence[Computed]) -> list[dict[str, Any]]:
    """Return the rows in JSON types, SI units."""
    return [
        plain(
            {
                "name": c.step.name,
                "problem": {
                    "kind": c.step.problem.kind,
                    "descriptor": c.step.problem.descriptor,
                    **c.step.problem.dims(),
                },
                "strategy": c.strategy,
                "layout": c.layout,
                "threads": c.threads,
                "status": "wrong" if c.wrong else "ok",
                "refused": c.refused,
                "time_s": {"median": c.time_s, "min": min(c.times_s), "samples": len(c.times_s)},
                "flops": c.step.problem.flops,
                "max_rel_error": c.max_rel_error,
            }
        )
        for c in steps
    ]


def _command(computed: Computed) -> str:
    return f"convprof run {computed.step.problem.descriptor} -s {computed.strategy}"


def _count(computed: Computed, unit: units.Unit) -> str:
    return units.digits(unit.scale(computed.step.problem.flops))


def _rate(computed: Computed) -> str:
    # A call too short for the clock has no rate.
    flops, seconds = computed.step.problem.flops, computed.time_s
    return units.digits(flops / seconds / 1e9) if seconds > 0 else NOTHING


def _error(computed: Computed) -> str:
    text = f"{computed.max_rel_error:.0e}" if computed.max_rel_error else "0"
    return f"{text} WRONG" if computed.wrong else text
