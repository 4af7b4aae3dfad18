"""The passes of a network's layers: a table, sums per kind and pass, a training step's total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.networks.ops import shape_text
from convprof.render import describe
from convprof.render.columns import print_table
from convprof.render.console import say
from convprof.render.export import markdown_table
from convprof.render.network_passes_tables import kind_columns, kind_rows, layer_columns
from convprof.render.network_passes_words import notes, total_lines
from convprof.studies.network_totals import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.machine.ceilings import Peak
    from convprof.results import Document, Measurement
    from convprof.studies.network_passes import Plan
    from convprof.studies.network_totals import Result
    from convprof.studies.run import Choice


@dataclass(frozen=True)
class Report:
    """All that is shown of one network."""

    plan: Plan
    sides: Sequence[Sequence[Result]]
    """All layers as we compute them, all layers as libraries do; only sides with results."""
    excluded: Sequence[Measurement]
    """Refused, failed or wrong."""
    choice: Choice
    peak: Peak
    top: int | None = None
    """Show so many of the slowest layers; None: all, in the order of execution."""

    @property
    def rows(self) -> list[Result]:
        """The layers to show, side beside side; those without any result are left out."""
        layers = [those for those in zip(*self.sides, strict=True) if any(r.found for r in those)]
        if self.top is not None:
            layers = sorted(layers, key=lambda those: -max(r.step_s for r in those))[: self.top]
        return [result for those in layers for result in those if result.found]

    @property
    def title(self) -> str:
        """Which network, which passes, how."""
        plan, choice = self.plan, self.choice
        threads = choice.threads[0]
        parts = (
            plan.network.name,
            f"input {shape_text(plan.network.input)}",
            plan.which,
            choice.layouts[0],
            f"{threads} thread{'s' if threads > 1 else ''}",
            choice.dtype,
        )
        return " · ".join(parts)

    @property
    def shown(self) -> str | None:
        """How many of the layers are in the table; None if all are."""
        shown, there = len({row.layer.names for row in self.rows}), len(self.plan.layers)
        if self.top is None or shown == there:
            return None
        count = f"{shown} " if shown > 1 else ""
        return f"the {count}slowest of {there} different layers; sums are over all"


def passes_report(console: Console, report: Report) -> None:
    """Print the layers, the sums, what was left out and why."""
    rows, sides = report.rows, report.sides
    if rows:
        print_table(console, report.title, layer_columns(report.plan, rows, sides), rows)
        say(console, *([report.shown] if report.shown else []), style="dim")
        for side in sides:
            kinds = kind_rows(side)
            console.print()
            columns = kind_columns(report.plan, kinds, report.peak)
            print_table(console, _side_title(report, side), columns, kinds)
        console.print()
    say(console, *total_lines(report.plan, sides, report.peak), style="bold")
    say(console, *exclusion_lines(report.excluded))
    say(console, *notes(report.plan, rows), style="dim")


def passes_markdown(document: Document, report: Report) -> str:
    """Return the same as a page of Markdown, and the machine below."""
    rows, sides = report.rows, report.sides
    parts = [f"### {report.title}\n"]
    if rows:
        parts.append(markdown_table(layer_columns(report.plan, rows, sides), rows))
        parts += [f"{report.shown}\n"] if report.shown else []
        for side in sides:
            kinds = kind_rows(side)
            parts.append(f"#### {_side_title(report, side)}\n")
            parts.append(markdown_table(kind_columns(report.plan, kinds, report.peak), kinds))
    lines = [
        *total_lines(report.plan, sides, report.peak),
        *exclusion_lines(report.excluded),
        *notes(report.plan, rows),
    ]
    parts.append("".join(f"- {line}\n" for line in lines))
    parts.append(describe.machine_line(document) + "  ")
    parts.append(describe.cycles_line(document.measurements) + "\n")
    return "\n".join(parts)


def exclusion_lines(excluded: Sequence[Measurement]) -> list[str]:
    """Return why passes have no result, each reason once, with how many it concerns."""
    found: dict[str, list[str]] = {}
    for m in excluded:
        name = m.problem["name"] or m.problem["descriptor"]
        where = " ".join(filter(None, (name, m.problem.get("pass"))))
        found.setdefault(f"{m.status}: {m.strategy}: {m.reason}", []).append(where)
    return [
        f"{reason} ({places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''})"
        for reason, places in found.items()
    ]


def _side_title(report: Report, side: Sequence[Result]) -> str:
    parts = ["by kind"]
    if len(report.sides) > 1 or side[0].library:
        parts.append("libraries" if side[0].library else "convprof")
    if total(side, report.plan.asked).missing:
        parts.append("partial: not every pass has a result")
    return ", ".join(parts)
