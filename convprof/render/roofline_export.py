"""The roofline as CSV and Markdown: the bound of each measurement, and the distance to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.render import describe, tables
from convprof.render.columns import Column
from convprof.render.compared import key_of
from convprof.render.export import flat
from convprof.render.roofline import columns
from convprof.render.roofline_chart import title
from convprof.render.text_tables import csv_text, markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from convprof.results import Measurement
    from convprof.studies.roofline import Roofline
    from convprof.studies.roofline_model import RooflinePoint


def to_csv(measurements: Iterable[Measurement], rooflines: Sequence[Roofline]) -> Iterator[str]:
    """Yield a row per measurement, with the roofline's figures in SI units if it has a point."""
    points = {
        (key_of(point.measurement), point.measurement.dtype, point.measurement.cache): point
        for roofline in rooflines
        for point in roofline.placed
    }

    def rows() -> Iterator[dict[str, Any]]:
        for m in measurements:
            point = points.get((key_of(m), m.dtype, m.cache))
            yield {**flat(m), **(_figures(point) if point is not None else {})}

    return csv_text(rows)


def _figures(point: RooflinePoint) -> dict[str, Any]:
    return {
        "roofline.flop_per_byte": point.intensity,
        "roofline.flop_per_s": point.flop_per_s,
        "roofline.roof_flop_per_s": point.roof,
        "roofline.roof_fraction": 1 / point.left,
        "roofline.bound_by": point.limit,
        "roofline.works_in": point.level,
        "roofline.bytes_per_s": point.bandwidth,
    }


def to_markdown(measurements: Iterable[Measurement], rooflines: Sequence[Roofline]) -> str:
    """Return a table per roofline, and the measurements without a point, with reasons."""
    parts = []
    for roofline in rooflines:
        parts.append(f"### {title(roofline)}\n")
        share: Column[RooflinePoint] = Column("% of roof", lambda p: f"{100 / p.left:.1f}", 1)
        parts.append(markdown_table([*columns(roofline.placed), share], roofline.placed))
    excluded = tables.excluded(list(measurements))
    parts += [f"- {describe.exclusion_line(measurement)}\n" for measurement in excluded]
    return "\n".join(parts)
