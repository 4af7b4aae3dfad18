"""The list of networks, and a network's layers with shapes and costs, without measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.networks.summary import CONVENTION
from convprof.problems.shapes import shape_text
from convprof.problems.ties import shared_text
from convprof.render import columns
from convprof.render.columns import Column, fit, print_table
from convprof.render.console import say
from convprof.render.text_tables import csv_text, markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from convprof.networks.summary import Listed, Row, Summary
    from convprof.render.columns import Line

NOTHING = "-"
_SMALLEST = 1e-3


def summary_report(console: Console, summary: Summary) -> None:
    """Print the layers, the exact totals, and the rules of counting.

    If not every column fits, the name of a block is above its layers instead of in each row.
    """
    of_layers, lines = summary_columns(summary), plain_lines(summary)
    if len(fit(of_layers, lines, console.width)) < len(of_layers):
        lines = block_lines(summary)
    print_table(console, _title(summary), of_layers, lines)
    console.print()
    say(console, *total_lines(summary))
    _print_convention(console)


def list_report(console: Console, networks: Sequence[Listed]) -> None:
    """Print one row per network, at the size that its totals were published for."""
    print_table(console, _LIST_TITLE, list_columns(), networks)
    console.print()
    _print_convention(console)


def plain_lines(summary: Summary) -> list[Line[Row]]:
    """Return a line per layer, under its whole name."""
    return columns.plain_lines(summary.rows, _name)


def block_lines(summary: Summary) -> list[Line[Row]]:
    """Return a line per layer, and a line above for each block if there are several blocks."""
    return columns.block_lines(summary.rows, _name)


def summary_columns(summary: Summary) -> list[Column[Line[Row]]]:
    """Return the columns of a network's layers; the unit of the MACs follows from the values."""
    unit = units.count_unit([row.cost.macs for row in summary.rows])
    return [
        Column("layer", lambda line: line.label, 1, "left"),
        Column("op", _op_cell, 7, "left"),
        Column("output", lambda line: shape_text(line.row.output) if line.row else "", 2),
        Column("params", lambda line: _count(line.row.cost.parameters) if line.row else "", 3),
        Column(f"{unit.name}MACs", lambda line: _macs(line.row, unit) if line.row else "", 4),
        Column("share", lambda line: _share(line.row) if line.row else "", 5),
        Column("FLOP/B", lambda line: _intensity(line.row) if line.row else "", 6),
    ]


def list_columns() -> list[Column[Listed]]:
    """Return the columns of the list of networks."""
    return [
        Column("network", lambda s: s.name, 1, "left"),
        Column("image", lambda s: shape_text(s.input[1:]), 2),
        Column("layers", lambda s: str(s.layers), 5),
        Column("with MACs", _with_macs, 4),
        Column("params", lambda s: _count(s.total.parameters), 1),
        Column("GMACs", lambda s: units.digits(s.total.macs / 1e9), 1),
        Column("FLOP/B", lambda s: units.digits(s.total.intensity or 0), 3),
    ]


def _with_macs(network: Listed) -> str:
    return NOTHING if network.layers_with_macs is None else str(network.layers_with_macs)


def total_lines(summary: Summary) -> list[str]:
    """Return the totals, exact and rounded."""
    total = summary.total
    intensity = units.digits(total.intensity or 0)
    shared = shared_text(summary.ties)
    return [
        f"parameters: {total.parameters:,}, {units.size(total.parameters * 4)} in f32"
        + (f"; {shared}" if shared else ""),
        f"MACs: {total.macs:,} = {units.si(total.macs, 'MAC')}",
        f"FLOPs: {total.flops:,}",
        f"bytes: {units.size(total.bytes_min)}, layer by layer; {intensity} FLOP/byte",
    ]


def summary_csv(summary: Summary) -> Iterator[str]:
    """Return one row per layer, exact; shapes as ``1x64x56x56``, several apart by blanks."""
    rows = [
        {
            **layer,
            "op": layer["op"]["text"],
            "reads": " ".join(layer["reads"]),
            "inputs": " ".join(shape_text(tuple(shape)) for shape in layer["inputs"]),
            "output": shape_text(tuple(layer["output"])),
        }
        for layer in summary.to_json()["layers"]
    ]
    return csv_text(lambda: rows)


def list_csv(networks: Sequence[Listed]) -> Iterator[str]:
    """Return one row per network, exact."""
    rows = [
        {
            "name": network.name,
            "input": shape_text(network.input),
            "layers": network.layers,
            **network.total.to_json(),
        }
        for network in networks
    ]
    return csv_text(lambda: rows)


def summary_markdown(summary: Summary) -> str:
    """Return the table in Markdown, and the lines below it."""
    table = markdown_table(summary_columns(summary), plain_lines(summary))
    return _page(_title(summary), table, [*total_lines(summary), *CONVENTION])


def list_markdown(networks: Sequence[Listed]) -> str:
    """Return the list in Markdown, and the lines below it."""
    return _page(_LIST_TITLE, markdown_table(list_columns(), networks), CONVENTION)


_LIST_TITLE = "networks, minibatch 1"


def _title(summary: Summary) -> str:
    return f"{summary.name} · input {shape_text(summary.input)} · {len(summary.rows)} layers"


def _print_convention(console: Console) -> None:
    say(console, *CONVENTION, style="dim")


def _name(row: Row) -> str:
    return row.name


def _op_cell(line: Line[Row]) -> str:
    return line.row.op.text if line.row else ""


def _count(number: int) -> str:
    return f"{number:,}" if number else NOTHING


def _macs(row: Row, unit: units.Unit) -> str:
    scaled = unit.scale(row.cost.macs)
    if 0 < scaled < _SMALLEST:
        return f"<{_SMALLEST:g}"
    return units.digits(scaled) if scaled else NOTHING


def _share(row: Row) -> str:
    return f"{100 * row.share:.1f} %" if row.cost.macs else NOTHING


def _intensity(row: Row) -> str:
    return NOTHING if row.cost.intensity is None else units.digits(row.cost.intensity)


def _page(title: str, table: str, lines: Sequence[str]) -> str:
    return f"### {title}\n\n{table}\n" + "".join(f"- {line}\n" for line in lines)
