"""The output of ``network NAME``: layers, kinds of layers, and the sum up to the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.dtypes import short_name
from convprof.problems.shapes import shape_text
from convprof.render import describe, doubts
from convprof.render.columns import fitting_lines, line_columns, print_table
from convprof.render.console import say
from convprof.render.network.accuracy import accuracy_lines
from convprof.render.network.concurrency import concurrency_report, mode_columns
from convprof.render.network.isas import isa_columns, isas_report
from convprof.render.network.layers import (
    Share,
    different,
    kind_columns,
    layer_columns,
    legend_lines,
    shares,
)
from convprof.render.network.repeats import ALL_LINE
from convprof.render.network.totals import (
    BETWEEN_LINE,
    chain_line,
    conversions_title,
    library_lines,
    noise,
    part_columns,
    parts,
    precision_lines,
    residual_lines,
)
from convprof.render.text_tables import csv_text, markdown_table
from convprof.results import NATIVE
from convprof.studies.network.layers import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from convprof.render.network.repeats import Extent
    from convprof.results import Document, Measurement
    from convprof.studies.network.options import Options
    from convprof.studies.network.study import NetworkResult


def run_report(console: Console, result: NetworkResult, extent: Extent) -> None:
    """Print layers, kinds, totals, verdicts, and exclusions."""
    if result.measured:
        _print_layers(console, result, extent)
        console.print()
        of_kinds = kinds(result.layers)
        print_table(console, "by kind of layer", kind_columns(of_kinds), of_kinds)
        say(console, *doubt_lines(result))
        console.print()
    _print_totals(console, result)
    say(console, *library_lines(result), *accuracy_lines(result.accuracy))
    if result.concurrency is not None:
        console.print()
        concurrency_report(console, result.concurrency)
    if result.isas:
        console.print()
        isas_report(console, result.isa_chains, result.isas)
    say(console, *exclusion_lines(result.excluded), style="bold red")


def doubt_lines(result: NetworkResult) -> list[str]:
    """Return the times in doubt, with reasons; no line without doubts."""
    layers = [m for layer in result.measured for m in (layer.hot, layer.cold) if m is not None]
    different = list({id(m): m for m in layers}.values())
    line = doubts.line([*different, *filter(None, [result.chain])], doubts.layer_name)
    return [] if line is None else [line]


def exclusion_lines(excluded: Iterable[Measurement]) -> list[str]:
    """Return the exclusions with their reasons, each once."""
    lines = (
        f"{m.problem['name'] or m.problem['descriptor']}: {describe.exclusion_line(m)}"
        for m in excluded
    )
    return list(dict.fromkeys(lines))


def title(result: NetworkResult, rows: Sequence[Share], extent: Extent) -> str:
    """Return ``resnet50 of 1x3x224x224 · nhwc · f32 · 2 threads · 174 layers (1 view not timed)``.

    With ``--top`` equal layers share a row: ``… · the 10 slowest of 23 different ones``.
    """
    fused = "fused" if result.options.fuse else ""
    measured, kept = len(result.measured), different(result.layers)
    layers = f"{measured} layer{'s' if measured != 1 else ''}"
    if result.missing:
        layers = f"{measured} measured of {measured + result.missing} layers"
    views = not_timed(sum(1 for layer in result.layers if layer.view))
    counted = [f"{layers}{views}"]
    if extent.top is None:
        pass
    elif len(rows) < measured == kept:
        counted = [f"{slowest(len(rows))} of {layers}{views}"]
    elif len(rows) < kept:
        counted.append(f"{slowest(len(rows))} of {kept} different ones")
    elif len(rows) < measured:
        counted.append(f"{kept} different one{'s' if kept != 1 else ''}")
    network = f"{result.network} of {shape_text(result.input)}"
    laid_out = any(layer.hot.layout for layer in result.measured if layer.hot)
    layout = result.options.layout if laid_out else ""
    return " · ".join(filter(None, (network, layout, *how_parts(result.options), fused, *counted)))


def not_timed(views: int) -> str:
    """Return `` (1 view not timed)``: a view only renames a tensor in memory."""
    return f" ({views} view{'s' if views > 1 else ''} not timed)" if views else ""


def slowest(number: int) -> str:
    """Return ``the 10 slowest``, or ``the slowest`` of one."""
    return f"the {number} slowest" if number > 1 else "the slowest"


def how_parts(options: Options) -> tuple[str, ...]:
    """Return type, threads and a named instruction set: ``f32``, ``2 threads``, ``avx2``."""
    isa = () if options.isa == NATIVE else (options.isa,)
    return (
        short_name(options.dtype),
        f"{options.threads} thread{'s' if options.threads > 1 else ''}",
        *isa,
    )


def run_csv(result: NetworkResult | None) -> str:
    """Return one row per layer: exact seconds."""
    return rows_csv([layer.to_json() for layer in result.layers] if result else [])


def rows_csv(layers: Sequence[dict[str, Any]]) -> str:
    """Return one row per layer; the names of its nodes with blanks in between."""
    rows = [{**layer, "nodes": " ".join(layer["nodes"])} for layer in layers]
    return "".join(csv_text(lambda: rows)) if rows else ""


def run_markdown(document: Document, result: NetworkResult | None, extent: Extent) -> str:
    """Return the tables and the lines below them in Markdown."""
    if result is None:
        return ""
    rows, of_kinds = shares(result.layers, extent), kinds(result.layers)
    columns, totals = layer_columns(rows, result.options.layout), result.reconciliation()
    added = parts(totals, noise(result), converted=conversions_title(result)) if totals else []
    notes = (
        *doubt_lines(result), *precision_lines(result), *residual_lines(result),
        *library_lines(result), *accuracy_lines(result.accuracy), *exclusion_lines(result.excluded),
    )  # fmt: skip
    modes = result.concurrency.modes if result.concurrency else ()
    chains = result.isa_chains
    texts = [
        f"### {title(result, rows, extent)}\n",
        markdown_table(columns, rows) if rows else "",
        *(f"{line}\n" for line in legend_lines([c.heading for c in columns]) if rows),
        markdown_table(kind_columns(of_kinds), of_kinds) if of_kinds else "",
        markdown_table(part_columns(added), added) if added else "",
        markdown_table(mode_columns(modes), modes) if modes else "",
        markdown_table(isa_columns(chains, result.isas), chains) if chains else "",
        *(f"- {line}" for line in ([chain_line(result.chain)] if result.chain else [])),
        *(f"- {line}" for line in notes),
        "",
        describe.machine_line(document) + "  ",
        describe.cycles_line(document.measurements),
    ]
    return "\n".join(texts) + "\n"


def collapsed_lines(rows: Sequence[Share], extent: Extent) -> list[str]:
    """Return how to see every layer, if some share a row because their blocks repeat."""
    shared = extent.top is None and any(len(row.layers) > 1 for row in rows)
    return [ALL_LINE] if shared else []


def _print_layers(console: Console, result: NetworkResult, extent: Extent) -> None:
    rows = shares(result.layers, extent)
    columns = line_columns(layer_columns(rows, result.options.layout))
    lines = fitting_lines(
        rows, lambda row: row.name, columns, console.width, in_order=extent.top is None
    )
    shown = print_table(console, title(result, rows, extent), columns, lines)
    say(console, *legend_lines(shown), *collapsed_lines(rows, extent), style="dim")


def _print_totals(console: Console, result: NetworkResult) -> None:
    totals = result.reconciliation()
    if totals is not None:
        rows = parts(totals, noise(result), converted=conversions_title(result))
        print_table(console, "the network as a whole", part_columns(rows), rows)
        if abs(totals.distance_s) > noise(result):
            say(console, BETWEEN_LINE, style="dim")
        console.print()
    if result.chain is not None:
        say(
            console,
            chain_line(result.chain),
            *precision_lines(result),
            *residual_lines(result),
        )
