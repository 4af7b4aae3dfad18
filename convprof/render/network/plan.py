"""The output of ``network NAME --plan``: each layer's choice, conversions, compared chains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.problems.shapes import shape_text
from convprof.render import describe, doubts, tables
from convprof.render.columns import Column, fitting_lines, line_columns, print_table
from convprof.render.console import say
from convprof.render.network.accuracy import accuracy_lines
from convprof.render.network.concurrency import concurrency_report, mode_columns
from convprof.render.network.layers import TIMES, time_cell
from convprof.render.network.repeats import ALL_LINE
from convprof.render.network.run import exclusion_lines, how_parts, not_timed, rows_csv, slowest
from convprof.render.network.totals import verdict
from convprof.render.text_tables import markdown_table
from convprof.studies.network.planned import AS_WRITTEN, OPTIMAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from convprof.render.network.repeats import Extent
    from convprof.results import Document
    from convprof.studies.network.planned import Planned, PlanResult, Standing
    from convprof.units import Unit


SHARED_LINE = f"{TIMES}: equal layers of repeated blocks; times are their means"
TIME_LINE = "time: within the chain, as measured in the probes"
WRITTEN_LINE = f"{AS_WRITTEN}: nothing folded or fused, the strategies as auto chooses them"
NO_PLAN = "no plan: not every layer has been timed"
_MOST_NAMED = 6


def plan_report(console: Console, result: PlanResult, extent: Extent) -> None:
    """Print the plan layer by layer, then the chains that were run."""
    if result.layers:
        _print_layers(console, result, extent)
        console.print()
    else:
        say(console, NO_PLAN)
    if result.standings:
        columns = chain_columns(result.standings)
        print_table(console, "the whole network", columns, result.standings)
        say(console, *_doubt_lines(result), style="dim")
        if any(standing.name == AS_WRITTEN for standing in result.standings):
            say(console, WRITTEN_LINE, style="dim")
    if result.layers:
        say(console, *conclusion_lines(result))
    if result.concurrency is not None:
        console.print()
        concurrency_report(console, result.concurrency)
    say(console, *exclusion_lines(result.excluded), style="bold red")


def conclusion_lines(result: PlanResult) -> list[str]:
    """Return the conversions of the chosen chain, and how the libraries compare."""
    lines = [_conversions_line(result.chosen, _after(result))] if _laid_out(result) else []
    lines += [
        verdict(standing.measurement, "convprof's optimal chain", standing.ratio)
        for standing in result.standings
        if standing.library and standing.ratio is not None
    ]
    return lines + accuracy_lines(result.accuracy)


def plan_csv(result: PlanResult | None) -> str:
    """Return one row per layer: its choice, and exact seconds."""
    rows = []
    for layer in result.layers if result else []:
        fastest = {f"{layout}_s": seconds for layout, (_, seconds) in layer.fastest.items()}
        row = layer.to_json()
        del row["fastest"]
        blocking = " ".join(f"{key}={value}" for key, value in (layer.blocking or {}).items())
        rows.append({**row, "blocking": blocking, "nchw_s": None, "nhwc_s": None, **fastest})
    return rows_csv(rows)


def plan_markdown(document: Document, result: PlanResult | None, extent: Extent) -> str:
    """Return the tables and the lines below them in Markdown."""
    if result is None:
        return ""
    rows = _shown(result, extent)
    lines = [*(conclusion_lines(result) if rows else [NO_PLAN]), *exclusion_lines(result.excluded)]
    modes = result.concurrency.modes if result.concurrency else ()
    parts = [
        f"### {_title(result, rows, extent)}\n",
        markdown_table(layer_columns(rows), rows) if rows else "",
        markdown_table(chain_columns(result.standings), result.standings)
        if result.standings
        else "",
        markdown_table(mode_columns(modes), modes) if modes else "",
        *(f"- {line}" for line in lines),
        "",
        describe.machine_line(document) + "  ",
        describe.cycles_line(document.measurements),
    ]
    return "\n".join(parts) + "\n"


def _print_layers(console: Console, result: PlanResult, extent: Extent) -> None:
    rows = _shown(result, extent)
    columns = line_columns(layer_columns(rows))
    lines = fitting_lines(
        rows, lambda row: row.name, columns, console.width, in_order=extent.top is None
    )
    shown = print_table(console, _title(result, rows, extent), columns, lines)
    layouts = [layout for layout in LAYOUTS if any(h.startswith(layout) for h in shown)]
    each = "each" if len(layouts) > 1 else "that"
    line = f"; {', '.join(layouts)}: the fastest strategy of {each} layout there"
    shared = [SHARED_LINE, ALL_LINE] if any(len(row.layers) > 1 for row in rows) else []
    say(console, TIME_LINE + (line if layouts else ""), *shared, style="dim")


def _doubt_lines(result: PlanResult) -> list[str]:
    line = doubts.line(standing.measurement for standing in result.standings)
    return [] if line is None else [line]


def _laid_out(result: PlanResult) -> bool:
    """Whether any layer has a layout."""
    return any(layer.fastest for layer in result.layers)


def _shown(result: PlanResult, extent: Extent) -> list[PlanRow]:
    """Return the layers that take time: in order, or the slowest first."""
    timed = [layer for layer in result.layers if layer.seconds > 0]
    if extent.top is None:
        groups = extent.groups(timed, lambda layer: layer.step.name, _way_of)
        return [PlanRow(group.name, group.rows) for group in groups]
    slowest_first = sorted(timed, key=lambda layer: -layer.seconds)[: extent.top]
    return [PlanRow(layer.step.name, (layer,)) for layer in slowest_first]


def _way_of(layer: Planned) -> tuple[object, ...]:
    return layer.step.problem, layer.strategy, layer.layout


def _after(result: PlanResult) -> list[str]:
    """Return the conversions, each with the layer whose result it converts.

    ``after layer4.1.conv2: to nchw``; ``input to nhwc`` for the input.
    """
    writers = {layer.step.writes: layer.step.name for layer in result.layers}
    named = []
    for conversion in result.conversions:
        tensor, _, layout = conversion.rpartition(" to ")
        writer = writers.get(tensor)
        named.append(f"after {writer}: to {layout}" if writer else conversion)
    return named


def _conversions_line(chain: str, names: Sequence[str]) -> str:
    if not names:
        return f"conversions of the chain '{chain}': none, one layout from the input to the result"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"conversions of the chain '{chain}': {', '.join(names[:_MOST_NAMED])}{more}"


def _title(result: PlanResult, rows: Sequence[PlanRow], extent: Extent) -> str:
    layers = sum(1 for layer in result.layers if layer.seconds > 0)
    many = f"{layers} layer{'s' if layers != 1 else ''}"
    if extent.top is not None and len(rows) < layers:
        many = f"{slowest(len(rows))} of {many}"
    many += not_timed(len(result.layers) - layers)
    network = f"{result.network} of {shape_text(result.input)}"
    chain = [] if result.chosen == OPTIMAL else [f"the chain '{result.chosen}'"]
    return " · ".join((network, *how_parts(result.options), *chain, many))


# The tables of ``network NAME --plan``: a row per layer, and a row per chain or library.

NOTHING = tables.NOTHING
LAYOUTS = ("nchw", "nhwc")


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A layer, or the layers at the same place of blocks that repeat."""

    name: str
    layers: tuple[Planned, ...]

    @property
    def seconds(self) -> float:
        """The mean."""
        return sum(layer.seconds for layer in self.layers) / len(self.layers)

    @property
    def fastest(self) -> dict[str, tuple[str, float]]:
        """By layout, the fastest strategy, and the mean of the fastest times.

        A layout that one of the layers lacks is left out; strategies that differ are all named.
        """
        by_layout = {}
        for layout in LAYOUTS:
            each = [layer.fastest[layout] for layer in self.layers if layout in layer.fastest]
            if len(each) == len(self.layers):
                names = ", ".join(dict.fromkeys(name for name, _ in each))
                by_layout[layout] = names, sum(seconds for _, seconds in each) / len(each)
        return by_layout


def layer_columns(rows: Sequence[PlanRow]) -> list[Column[PlanRow]]:
    """Return the columns of the plan's layers."""
    unit = units.table_unit([row.seconds for row in rows])
    layouts = [each for each in LAYOUTS if any(each in row.fastest for row in rows)]
    count: list[Column[PlanRow]] = [Column(TIMES, lambda row: str(len(row.layers)), 2)]
    return [
        Column("layer", lambda row: row.name, 1, "left"),
        *(count if any(len(row.layers) > 1 for row in rows) else []),
        Column("with", _taken_along, 5, "left"),
        Column("plan", _way, 2, "left"),
        Column(f"time [{unit.name}]", lambda row: time_cell(row.seconds, unit), 1),
        *(column for layout in layouts for column in _fastest_columns(layout, unit)),
    ]


def chain_columns(standings: Sequence[Standing]) -> list[Column[Standing]]:
    """Return the columns of the chains and libraries."""
    unit = units.time_unit([standing.seconds for standing in standings])
    return [
        Column("chain", _name, 1, "left"),
        Column("engine", lambda s: "library" if s.library else "convprof", 6, "left"),
        Column("conversions", _count_cell, 5),
        Column(f"predicted [{unit.name}]", lambda s: time_cell(s.predicted_s, unit), 3),
        Column(f"measured [{unit.name}]", lambda s: tables.time_cell(s.measurement, unit), 1),
        Column("over optimal", _ratio_cell, 2),
        Column("GFLOP/s", lambda s: tables.gflops_cell(s.measurement), 7),
        Column("error", lambda s: tables.error_cell(s.measurement), 4),
    ]


def _fastest_columns(layout: str, unit: Unit) -> list[Column[PlanRow]]:
    def seconds(row: PlanRow) -> str:
        return time_cell(row.fastest[layout][1] if layout in row.fastest else None, unit)

    def strategy(row: PlanRow) -> str:
        return row.fastest[layout][0] if layout in row.fastest else NOTHING

    return [
        Column(f"{layout} [{unit.name}]", seconds, 3),
        Column(f"{layout} strategy", strategy, 6, "left"),
    ]


def _way(row: PlanRow) -> str:
    layer = row.layers[0]
    return f"{layer.strategy} {layer.layout or ''}".rstrip()


def _taken_along(row: PlanRow) -> str:
    """Return the operations fused with a layer: ``bias, add, relu``."""
    step = row.layers[0].step
    epilogue = getattr(step.problem, "epilogue", None)
    if epilogue:
        return str(epilogue.text).replace(",", ", ")
    if not step.problem.layer_text:  # of a document of an older version
        return ", ".join(step.nodes[1:])
    return "softmax, pv" if len(step.nodes) > 1 else ""


def _name(standing: Standing) -> str:
    return doubts.marked(" = ".join((standing.name, *standing.also)), standing.measurement.doubt)


def _count_cell(standing: Standing) -> str:
    return NOTHING if standing.conversions is None else str(standing.conversions)


def _ratio_cell(standing: Standing) -> str:
    ratio = standing.ratio
    if ratio is None:
        return "1" if OPTIMAL in (standing.name, *standing.also) else NOTHING
    return tables.ratio_text(ratio)
