"""The tables of ``network NAME``: a row per layer, and a row per kind of layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof import units
from convprof.dtypes import F32
from convprof.problems.shapes import shape_text
from convprof.render import doubts, tables
from convprof.render.columns import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.network.repeats import Extent
    from convprof.results import Measurement
    from convprof.studies.network.layers import Kind, Layer, LayerStep
    from convprof.units import Unit

NOTHING = tables.NOTHING
TIMES = "×"  # noqa: RUF001  # times, not x
LIMIT, LIMITED_BY = "% of limit", "limited by"
LIMIT_LINE = (
    "% of limit: of the FMA peak, or of the bandwidth of the cache level that holds the data"
)


@dataclass(frozen=True, slots=True)
class Share:
    """Equal layers, or a single layer, and the total that their share refers to."""

    layers: tuple[Layer, ...]
    """Layers with the same problem and strategy, in the network's order."""
    total_s: float
    label: str = ""
    """The name of repeated layers: ``layer3.1-5.conv1``; empty: as the first one's."""

    @property
    def layer(self) -> Layer:
        """The first of the layers; its times are shown for all."""
        return self.layers[0]

    @property
    def name(self) -> str:
        """The label, or the published name of the first one."""
        return self.label or self.layer.step.name

    @property
    def hot_s(self) -> float:
        """Seconds of all layers together."""
        return sum(layer.hot_s for layer in self.layers)

    @property
    def chain_s(self) -> float | None:
        """Mean seconds of a layer in the chain; None if one has no time there."""
        known = [layer.chain_s for layer in self.layers if layer.chain_s is not None]
        return sum(known) / len(known) if len(known) == len(self.layers) else None


def shares(layers: Sequence[Layer], extent: Extent) -> list[Share]:
    """Return the rows: in the network's order, or the slowest first. Views have none.

    The layers of repeated blocks share rows in a long table. Of the slowest, all equal layers
    share a row, and the slowest are those that take longest together.
    """
    total = sum(layer.hot_s for layer in layers)
    measured = [layer for layer in layers if layer.hot is not None]
    if extent.top is None:
        groups = extent.groups(measured, lambda layer: layer.step.name, _kind_of)
        return [Share(group.rows, total, group.name) for group in groups]
    return sorted(_equal(measured, total), key=lambda row: -row.hot_s)[: extent.top]


def different(layers: Sequence[Layer]) -> int:
    """Return the number of different measured layers."""
    return len(_equal([layer for layer in layers if layer.hot is not None], 0.0))


def _kind_of(layer: Layer) -> tuple[object, ...]:
    """Return what equal layers have in common: the problem, and how it is computed."""
    strategy, layout = (layer.hot.strategy, layer.hot.layout) if layer.hot else (None, None)
    return layer.step.problem, layer.chosen, strategy, layout


def _equal(measured: Sequence[Layer], total: float) -> list[Share]:
    by_problem: dict[tuple[object, ...], list[Layer]] = {}
    for layer in measured:
        by_problem.setdefault(_kind_of(layer), []).append(layer)
    return [Share(tuple(those), total) for those in by_problem.values()]


def layer_columns(rows: Sequence[Share], layout: str) -> list[Column[Share]]:
    """Return the columns of the layers, in one unit of time; ``layout`` is the layout of most."""
    unit = units.table_unit([row.layer.hot_s for row in rows])
    count: list[Column[Share]] = [Column(TIMES, lambda row: str(len(row.layers)), 2)]
    return [
        Column("layer", lambda row: row.name, 1, "left"),
        *(count if any(len(row.layers) > 1 for row in rows) else []),
        Column("computes", lambda row: computes(row.layer.step), 10, "left"),
        Column("output", lambda row: _output(row.layer.step), 12),
        Column("strategy", lambda row: computed_by(row.layer, layout), 6, "left"),
        Column(f"hot [{unit.name}]", lambda row: _hot(row.layer, unit), 3),
        Column("share", lambda row: share_cell(row.hot_s / row.total_s), 4),
        Column("cycles/FLOP", lambda row: _cycles(row.layer.hot), 8),
        Column(LIMIT, lambda row: percent(row.layer.ceiling), 7),
        Column(LIMITED_BY, lambda row: row.layer.bound or NOTHING, 9, "left"),
        Column(f"cold [{unit.name}]", lambda row: _cold(row.layer, unit), 11),
        Column(f"chain [{unit.name}]", lambda row: time_cell(row.chain_s, unit), 5),
    ]


def legend_lines(headings: Sequence[str]) -> list[str]:
    """Return the explanations of the columns with these headings."""
    lines = []
    if TIMES in headings:
        lines.append(
            f"{TIMES}: equal layers; times are of one (chain: the mean), share is of all of them"
        )
    if LIMIT in headings:
        which = "; limited by: which of them" if LIMITED_BY in headings else ", whichever is lower"
        lines.append(f"{LIMIT_LINE}{which}")
    return lines


def kind_columns(kinds: Sequence[Kind]) -> list[Column[Kind]]:
    """Return the columns of the kinds of layers."""
    total = sum(kind.hot_s for kind in kinds)
    unit = units.table_unit([kind.hot_s for kind in kinds])
    return [
        Column("kind", lambda kind: kind.name, 1, "left"),
        Column("layers", lambda kind: str(kind.layers), 5),
        Column(f"hot [{unit.name}]", lambda kind: _kind_hot(kind, unit), 1),
        Column("share", lambda kind: share_cell(kind.hot_s / total), 2),
        Column("GFLOP/s", lambda kind: rate_cell(kind.flop_per_s), 8),
        Column("cycles/FLOP", _kind_cycles, 6),
        Column(LIMIT, lambda kind: percent(kind.ceiling), 4),
        Column(LIMITED_BY, lambda kind: kind.bound or NOTHING, 7, "left"),
        Column(f"cold [{unit.name}]", lambda kind: time_cell(kind.cold_s, unit), 9),
        Column(f"chain [{unit.name}]", lambda kind: time_cell(kind.chain_s, unit), 3),
    ]


def computes(step: LayerStep) -> str:
    """Return the operation of a step: ``3x3 s2 64->128 +bias,relu``, ``max 3x3 s2``."""
    problem = step.problem
    end = f" +{problem.epilogue.text}" if problem.epilogue else ""
    return problem.layer_text + end


def computed_by(layer: Layer, layout: str) -> str:
    """Return the strategy, and its layout if this differs from ``layout``."""
    if layer.hot is None:
        return NOTHING
    name = layer.chosen or layer.hot.strategy
    elsewhere = layer.hot.layout not in (None, layout)
    return f"{name} {layer.hot.layout}" if elsewhere else name


def time_cell(seconds: float | None, unit: Unit) -> str:
    """Return seconds in a unit; a dash for None."""
    return NOTHING if seconds is None else units.digits(unit.scale(seconds))


def percent(share: float | None) -> str:
    """Return a share of 1 in per cent; a dash for None."""
    return NOTHING if share is None else f"{100 * share:.1f}"


def share_cell(share: float) -> str:
    """Return a share of 1 as ``12.3 %``: for a column without a sign in its heading."""
    return f"{percent(share)} %"


def rate_cell(flop_per_s: float | None) -> str:
    """Return GFLOP/s; a dash for None."""
    return NOTHING if flop_per_s is None else units.digits(flop_per_s / 1e9)


def _hot(layer: Layer, unit: Unit) -> str:
    doubt = layer.hot.doubt if layer.hot else None
    return doubts.before(time_cell(layer.hot_s, unit), doubt)


def _kind_hot(kind: Kind, unit: Unit) -> str:
    return doubts.before(time_cell(kind.hot_s, unit), kind.doubt)


def _cold(layer: Layer, unit: Unit) -> str:
    if layer.cold is None:
        return NOTHING
    return doubts.before(time_cell(layer.cold_s, unit), layer.cold.doubt)


def _output(step: LayerStep) -> str:
    problem = step.problem
    return shape_text(problem.result("nchw", F32).shape)


def _kind_cycles(kind: Kind) -> str:
    value = kind.cycles_per_flop
    return NOTHING if value is None else units.digits(value)


def _cycles(measurement: Measurement | None) -> str:
    cycles = measurement.cycles if measurement else None
    return NOTHING if cycles is None or not cycles.per_flop else units.digits(cycles.per_flop)
