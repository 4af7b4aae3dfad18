"""The tables of ``network NAME --plan``: a row per layer, and a row per chain or library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.render import tables
from convprof.render.columns import Column
from convprof.render.network_layers import time_cell
from convprof.studies.network.planned import OPTIMAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.network.planned import Planned, Standing
    from convprof.units import Unit

NOTHING = tables.NOTHING
LAYOUTS = ("nchw", "nhwc")


def layer_columns(rows: Sequence[Planned]) -> list[Column[Planned]]:
    """Return the columns of the plan's layers."""
    unit = units.table_unit([row.seconds for row in rows])
    layouts = [each for each in LAYOUTS if any(each in row.fastest for row in rows)]
    return [
        Column("layer", lambda row: row.step.name, 1, "left"),
        Column("with", _taken_along, 5, "left"),
        Column("plan", _way, 2, "left"),
        Column(f"takes [{unit.name}]", lambda row: time_cell(row.seconds, unit), 1),
        *(column for layout in layouts for column in _fastest_columns(layout, unit)),
    ]


def chain_columns(standings: Sequence[Standing]) -> list[Column[Standing]]:
    """Return the columns of the chains and libraries."""
    unit = units.time_unit([standing.seconds for standing in standings])
    return [
        Column("chain", _name, 1, "left"),
        Column("by", lambda s: "library" if s.library else "convprof", 6, "left"),
        Column("conversions", _count_cell, 5),
        Column(f"predicted [{unit.name}]", lambda s: time_cell(s.predicted_s, unit), 3),
        Column(f"measured [{unit.name}]", lambda s: tables.time_cell(s.measurement, unit), 1),
        Column("over optimal", _ratio_cell, 2),
        Column("GFLOP/s", lambda s: tables.gflops_cell(s.measurement), 7),
        Column("error", lambda s: tables.error_cell(s.measurement), 4),
    ]


def _fastest_columns(layout: str, unit: Unit) -> list[Column[Planned]]:
    def seconds(row: Planned) -> str:
        return time_cell(row.fastest[layout][1] if layout in row.fastest else None, unit)

    def strategy(row: Planned) -> str:
        return row.fastest[layout][0] if layout in row.fastest else NOTHING

    return [
        Column(f"{layout} [{unit.name}]", seconds, 3),
        Column(f"{layout} by", strategy, 6, "left"),
    ]


def _way(row: Planned) -> str:
    return f"{row.strategy} {row.layout or ''}".rstrip()


def _taken_along(row: Planned) -> str:
    """Return what was fused with a layer: ``bias, add, relu``."""
    epilogue = getattr(row.step.problem, "epilogue", None)
    if epilogue:
        return str(epilogue.text).replace(",", ", ")
    return "softmax, pv" if len(row.step.nodes) > 1 else ""


def _name(standing: Standing) -> str:
    return " = ".join((standing.name, *standing.also))


def _count_cell(standing: Standing) -> str:
    return NOTHING if standing.conversions is None else str(standing.conversions)


def _ratio_cell(standing: Standing) -> str:
    ratio = standing.ratio
    if ratio is None:
        return "1" if OPTIMAL in (standing.name, *standing.also) else NOTHING
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f}"
    return f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
