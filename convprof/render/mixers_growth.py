"""What ``compare mixers`` prints of growing images: a row each, and who overtakes whom where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import tables
from convprof.render.columns import Column, print_table
from convprof.render.console import say
from convprof.render.mixers import heads_words
from convprof.render.mixers_words import growth_line, threads_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from convprof.networks.mixers import Grid
    from convprof.studies.mixer_costs import Total
    from convprof.studies.mixers_growth import Growth, Stage
    from convprof.units import Unit

QUADRATIC = {
    "% quadratic": "% quadratic: of attention's time in softmax(QK^T)V",
    "% of FLOPs": "% of FLOPs: of attention's FLOPs in softmax(QK^T)V",
}
"""What is said of columns, by heading."""


def growth_report(console: Console, title: str, stages: Sequence[Stage]) -> None:
    """Print the time of each mixer at each image, and what of attention is quadratic.

    The stages are those of one strategy on one number of threads.
    """
    rows = [(grid, {total.mixer.name: total for total in totals}) for grid, totals in stages]
    unit = units.time_unit([t.cost.seconds for _, totals in stages for t in totals])
    columns = _growth_columns(rows, unit)
    shown = print_table(console, f"{title} · time [{unit.name}]", columns, rows)
    said = [text for heading, text in QUADRATIC.items() if heading in shown]
    if said:
        say(console, "; ".join(said), style="dim")


def run_title(threads: int, strategy: str, stages: Sequence[Stage], *, named: bool) -> str:
    """Return the title of one strategy's table; its name where there are several."""
    grid, totals = stages[0]
    parts = [size_words(grid), totals[0].measurements[0].dtype, threads_words(threads)]
    return " · ".join([*parts, strategy] if named else parts)


def growth_words(console: Console, found: Sequence[Growth], grid: Grid) -> None:
    """Print where attention overtakes what; the grid is of any of the images."""
    several = len({growth.strategy for growth in found}) > 1
    for growth in found:
        say(console, growth_line(growth, grid, named=several), style="bold")


def size_words(grid: Grid) -> str:
    """Return what the images of a series share: ``mixers, patches of 16, 64 channels, 1 head``."""
    images = f", minibatch {grid.mb}" if grid.mb > 1 else ""
    return f"mixers, patches of {grid.patch}, {grid.dim:,} channels, {heads_words(grid)}{images}"


_Row = tuple["Grid", "dict[str, Total]"]


def _growth_columns(rows: Sequence[_Row], unit: Unit) -> list[Column[_Row]]:
    totals = [total for _, named in rows for total in named.values()]
    columns: list[Column[_Row]] = [
        Column("image", lambda row: str(row[0].image), 1),
        Column("tokens", lambda row: f"{row[0].tokens:,}", 4),
    ]
    for total in {total.mixer.name: total for total in totals}.values():
        name = total.mixer.name
        columns.append(Column(name, _growing(name, unit), 2))
        if total.mixer.quadratic_flops:
            columns += [
                Column("% quadratic", _share(name, "quadratic_time_share"), 3),
                Column("% of FLOPs", _share(name, "quadratic_flop_share"), 5),
            ]
    return columns


def _growing(name: str, unit: Unit) -> Callable[[_Row], str]:
    def cell(row: _Row) -> str:
        if name not in row[1]:
            return tables.NOTHING
        cost = row[1][name].cost
        return tables.seconds_cell(cost.seconds, cost.half_interval, unit)

    return cell


def _share(name: str, what: str) -> Callable[[_Row], str]:
    def cell(row: _Row) -> str:
        if name not in row[1]:
            return tables.NOTHING
        return f"{100 * getattr(row[1][name], what):.1f}"

    return cell
