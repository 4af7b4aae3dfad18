"""The passes of a network's layers: a table, sums per kind and pass, a training step's total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.problems.base import FORWARD
from convprof.problems.gradients import TRAINING
from convprof.problems.shapes import shape_text
from convprof.render import describe, doubts, tables
from convprof.render.columns import print_table
from convprof.render.console import say
from convprof.render.export import to_csv
from convprof.render.network.training_tables import (
    kind_columns,
    kind_rows,
    layer_columns,
    peak_text,
)
from convprof.render.text_tables import markdown_table
from convprof.studies.network.training import which_pass
from convprof.studies.network.training_totals import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.machine.peaks import Peak
    from convprof.render.files import Text
    from convprof.results import Document, Measurement
    from convprof.studies.network.training import Plan
    from convprof.studies.network.training_totals import Result, Total
    from convprof.studies.run import Choice


@dataclass(frozen=True)
class Report:
    """The data of the output for one network."""

    plan: Plan
    sides: Sequence[Sequence[Result]]
    """All layers by our strategies, and all layers by libraries; only sides with results."""
    excluded: Sequence[Measurement]
    """Refused, failed or wrong measurements."""
    choice: Choice
    peak: Peak
    top: int | None = None
    """Show this number of the slowest layers; None: all, in the order of execution."""

    @property
    def rows(self) -> list[Result]:
        """The layers to show, both sides; layers without any result are left out."""
        layers = [those for those in zip(*self.sides, strict=True) if any(r.found for r in those)]
        if self.top is not None:
            layers = sorted(layers, key=lambda those: -max(r.step_s for r in those))[: self.top]
        return [result for those in layers for result in those if result.found]

    @property
    def title(self) -> str:
        """The network, the passes, and the settings."""
        plan, choice = self.plan, self.choice
        threads = choice.threads[0]
        parts = (
            plan.network,
            f"input {shape_text(plan.input)}",
            plan.which,
            choice.layouts[0],
            f"{threads} thread{'s' if threads > 1 else ''}",
            choice.dtype,
        )
        return " · ".join(parts)

    @property
    def shown(self) -> str | None:
        """The number of layers in the table; None if all are."""
        shown, there = len({row.layer.names for row in self.rows}), len(self.plan.layers)
        if self.top is None or shown == there:
            return None
        count = f"{shown} " if shown > 1 else ""
        return f"the {count}slowest of {there} different layers; sums are over all"


def passes_report(console: Console, report: Report) -> None:
    """Print the layers, the sums, and the exclusions with reasons."""
    rows, sides = report.rows, report.sides
    if rows:
        print_table(console, report.title, layer_columns(report.plan, rows, sides), rows)
        say(console, *([report.shown] if report.shown else []), style="dim")
        for side in sides:
            kinds = kind_rows(side)
            console.print()
            columns = kind_columns(report.plan, kinds, report.peak)
            print_table(console, _side_title(report, side), columns, kinds)
        say(console, *doubt_lines(sides))
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
        *doubt_lines(sides),
        *total_lines(report.plan, sides, report.peak),
        *exclusion_lines(report.excluded),
        *notes(report.plan, rows),
    ]
    parts.append("".join(f"- {line}\n" for line in lines))
    parts.append(describe.machine_line(document) + "  ")
    parts.append(describe.cycles_line(document.measurements) + "\n")
    return "\n".join(parts)


def passes_csv(document: Document, plan: Plan) -> Text:
    """Return one row per layer, pass and strategy, with the number of equal layers."""
    layers = {problem.descriptor: problem for problem in plan.problems}

    def count(m: Measurement) -> dict[str, Any]:
        return {"count": plan.count(layers[m.problem["descriptor"]], which_pass(m))}

    return to_csv(document, count)


def doubt_lines(sides: Sequence[Sequence[Result]]) -> list[str]:
    """Return which passes of layers have a time that cannot be true, and why; often no line."""
    every = (m for side in sides for result in side for m in result.found.values())
    line = doubts.line(every, _pass_name)
    return [] if line is None else [line]


def _pass_name(measurement: Measurement) -> str:
    """Return ``conv1 backward-data``, and the strategy, which tells the sides apart."""
    layer = doubts.layer_name(measurement)
    return f"{layer} {which_pass(measurement)} ({measurement.strategy})"


def exclusion_lines(excluded: Sequence[Measurement]) -> list[str]:
    """Return why passes have no result, each reason once, with its number of passes."""
    by_reason: dict[str, list[str]] = {}
    for m in excluded:
        name = m.problem["name"] or m.problem["descriptor"]
        where = " ".join(filter(None, (name, m.problem.get("pass"))))
        by_reason.setdefault(f"{m.status}: {m.strategy}: {m.bare_reason}", []).append(where)
    return [
        f"{reason} ({places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''})"
        for reason, places in by_reason.items()
    ]


def _side_title(report: Report, side: Sequence[Result]) -> str:
    parts = ["by kind"]
    if len(report.sides) > 1 or side[0].library:
        parts.append("libraries" if side[0].library else "convprof")
    if total(side, report.plan.asked).missing:
        parts.append("partial: not every pass has a result")
    return ", ".join(parts)


# The lines under the tables of a network's passes: the totals, and the parts left out.

GRADIENTS = (
    "data and weights are the gradients of a layer's input and of its weights; "
    "bwd/fwd is both over forward"
)
NOT_TIMED = (
    "not timed: activations, normalisation, pooling and their gradients, gradients of biases, "
    "adding up gradients where a result is read twice, the optimiser"
)
FORWARD_NOT_TIMED = "not timed: biases, activations, normalisation, pooling"
MIXED = (
    "products C = A B of two activations; B is in the place of weights: data is dA, weights "
    "is dB, both gradients of activations"
)
BEFOREHAND = ", not counting what either rearranges beforehand"
NO_TOTAL = "no total: no layer has a result"
_MOST_NAMES = 3
SAME_WORK = 0.01
"""Smaller differences of executed FLOPs from the FLOPs of the definition are not mentioned."""


def total_lines(plan: Plan, sides: Sequence[Sequence[Result]], peak: Peak) -> list[str]:
    """Return the totals per pass and in all for each side, and their ratio."""
    lines = [
        line
        for side in sides
        for line in _side_lines(plan, side, peak, "in libraries" if side[0].library else "")
    ]
    if len(sides) > 1:
        lines += _versus(plan, *sides)
    return lines or [NO_TOTAL]


def notes(plan: Plan, rows: Sequence[Result]) -> list[str]:
    """Return the explanations, and the missing parts."""
    lines = []
    if plan.which == TRAINING:
        lines.append(GRADIENTS)
    if plan.left_out:
        lines.append(
            f"no gradient of the data is needed in {_some(plan.left_out)}: "
            "no layer before has learned weights"
        )
    mixed = list(dict.fromkeys(layer.kind for layer in plan.layers if not layer.learned))
    if mixed and plan.which != FORWARD:
        lines.append(f"{_some(mixed)}: {MIXED}")
    lines.append(FORWARD_NOT_TIMED if plan.which == FORWARD else NOT_TIMED)
    measured = [m for row in rows for m in row.found.values()]
    if any(map(tables.effective, measured)):
        lines.append("* an effective rate: it executes fewer FLOPs than are counted")
    if any(map(tables.over_ceiling, measured)):
        lines.append("! over the peak: the clock rose since, or a bug")
    return lines


def _side_lines(plan: Plan, side: Sequence[Result], peak: Peak, where: str) -> list[str]:
    whole = total(side, plan.asked)
    lines = []
    if plan.which == TRAINING:
        for which in plan.asked:
            part = total(side, (which,))
            share = f"{100 * part.seconds / whole.seconds:.0f} % of the step"
            lines.append(_line(which, where, part, peak, share))
    name = "training step" if plan.which == TRAINING else plan.which
    line = _line(name, where, whole, peak)
    if whole.prepare_s and plan.which != FORWARD:
        anew = units.time(whole.prepare_s)
        line += f" · rearranging the weights, which a step changes: {anew} more, timed once"
    return [*lines, line]


def _line(name: str, where: str, part: Total, peak: Peak, share: str = "") -> str:
    """Return ``forward: 12.3 ms, 31 % of the step · 8.2 GFLOP, 300 GFLOP/s, 68 % of peak``."""
    begin = " ".join(filter(None, (name, where)))
    if part.missing:
        begin += f" (partial, {part.counted} of {part.counted + part.missing} passes of layers)"
    rate = part.flop_per_s
    if rate is None:
        return f"{begin}: no result"
    if part.doubt is not None:
        share = f"in doubt: {part.doubt}"
    time = ", ".join(filter(None, (units.time(part.seconds), share)))
    direct, executed = part.flops.direct, part.flops.executed
    work = units.si(direct, "FLOP")
    if abs(executed - direct) > SAME_WORK * direct:
        work += f" ({units.si(executed, 'FLOP')} executed)"
    rated = f"{units.si(rate, 'FLOP/s')}, {peak_text(part, peak, 0)} % of peak"
    return f"{begin}: {time} · {work}, {rated}"


def _versus(plan: Plan, ours: Sequence[Result], theirs: Sequence[Result]) -> list[str]:
    mine, other = (total(side, plan.asked) for side in (ours, theirs))
    if mine.missing or other.missing:
        return ["convprof and the libraries have not computed the same: no ratio"]
    doubt = mine.doubt or other.doubt
    if doubt is not None:
        return [f"no ratio of the libraries to convprof, in doubt: {doubt}"]
    line = f"the libraries take {other.seconds / mine.seconds:.2f} times as long as convprof"
    return [line + (BEFOREHAND if mine.prepare_s or other.prepare_s else "")]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
