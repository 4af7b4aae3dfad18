"""A sweep as a chart: the data behind its plots, whatever draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render import describe
from convprof.render.charts.chart import Chart, Level, Mark, Point, Series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.sweep_points import Capacity, Row

    Header = dict[str, Any]

GIGA = 1e9
LOG_FROM = 8
"""Largest over smallest value from which the axis is logarithmic."""
THREADS = "threads"


def title(header: Header) -> str:
    """Return `gemm over size (m = n = k) · f32`."""
    sweep, dtype = header["sweep"], header["settings"]["dtype"]
    if sweep["over"] == "size":
        return f"{sweep['problem']['kind']} over {sweep['meaning']} · {dtype}"
    return f"{describe.problem_line(sweep['problem'], dtype)} · over {sweep['meaning']}"


def sweep_chart(header: Header, rows: Sequence[Row], capacities: Sequence[Capacity]) -> Chart:
    """Return GFLOP/s over the variable, under the ceiling of each number of threads."""
    sweep = header["sweep"]
    names = short_names(rows)
    series = [Series(short, _points(rows, label)) for label, short in names.items()]
    levels, peaks = _ceilings(header)
    values = [row.x for row in rows]
    return Chart(
        title=title(header),
        x_label=sweep["meaning"],
        y_label="GFLOP/s",
        series=tuple(one for one in (*series, *peaks) if one.points),
        levels=levels,
        marks=tuple(Mark(f"{c.name} {units.size(c.size_bytes)}", c.x) for c in capacities),
        x_log=bool(values) and max(values) >= LOG_FROM * min(values),
        y_top=max([level.y for level in levels] + [p.y for s in peaks for p in s.points]),
        caption=caption(header),
    )


def caption(header: Header) -> str:
    """Return the machine, the settings and the date, in a line."""
    machine, settings = header["machine"], header["settings"]
    simd, cores = machine.get("simd") or {}, machine.get("physical_cores")
    isa = f"{simd.get('isa') or 'unknown SIMD'} {simd.get('bits') or '?'} bits"
    threads = settings["threads"]
    parts = [
        machine.get("brand") or "unknown CPU",
        isa,
        f"{cores} core{'s' if cores != 1 else ''}" if cores else "unknown cores",
        "" if len(threads) > 1 else f"{threads[0]} thread{'s' if threads[0] > 1 else ''}",
        f"{settings['cache']} caches",
        "median and 95 % interval",
        f"convprof {header['tool_version']}",
        str(header["started"])[:10],
    ]
    return " · ".join(part for part in parts if part)


def short_names(rows: Sequence[Row]) -> dict[str, str]:
    """Return each contestant's label and the same without the words that all of them share."""
    labels = list(dict.fromkeys(label for row in rows for label in row.cells))
    words = [label.split() for label in labels]
    common = set(words[0][1:]).intersection(*words) if words else set()
    if "thread" in common or "threads" in common:
        common |= {word for word in (words[0] if words else []) if word.isdecimal()}
    else:
        common = {word for word in common if not word.isdecimal()}
    return {
        label: " ".join(word for k, word in enumerate(each) if not k or word not in common)
        for label, each in zip(labels, words, strict=True)
    }


def _points(rows: Sequence[Row], label: str) -> tuple[Point, ...]:
    found = []
    for row in rows:
        cell = row.cells.get(label)
        if cell is not None and cell.rate is not None:
            low, high = (None if end is None else end / GIGA for end in (cell.low, cell.high))
            found.append(Point(row.x, cell.rate / GIGA, low, high))
    return tuple(found)


def _ceilings(header: Header) -> tuple[tuple[Level, ...], tuple[Series, ...]]:
    """Return the peaks as levels; as a series where the number of threads is what varies."""
    ceilings = header["ceilings"]
    kinds = [("FMA peak", ceilings["peaks"])]
    if ceilings.get("isa_peaks"):
        kinds.append((f"{header['settings']['isa']} peak", ceilings["isa_peaks"]))
    if header["sweep"]["over"] == THREADS:
        return (), tuple(
            Series(name, tuple(Point(p["threads"], p["flop_per_s"] / GIGA) for p in peaks))
            for name, peaks in kinds
        )
    return tuple(
        Level(
            f"{name}, {_threads(p['threads'])}: {units.si(p['flop_per_s'], 'FLOP/s')}",
            p["flop_per_s"] / GIGA,
        )
        for name, peaks in kinds
        for p in peaks
    ), ()


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"
