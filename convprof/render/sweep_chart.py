"""A sweep as a chart: the data of its plots, for every renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.doubts import MOST_DISTURBED
from convprof.dtypes import short_name
from convprof.render import describe
from convprof.render.charts.chart import Chart, Level, Mark, Point, Series
from convprof.render.findings import (
    GIGA,
    IN_DOUBT,
    INTERVAL,
    joined,
    left_out,
    threads_words,
)
from convprof.studies.run_answer import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.sweep.points import Capacity, Cell, Row

    Header = dict[str, Any]

LOG_FROM = 8
"""The ratio of the largest to the smallest value from which the axis is logarithmic."""
THREADS = "threads"
MOST_SERIES = 8
"""The most lines that a reader can distinguish in a picture."""


def title(header: Header) -> str:
    """Return `gemm over size (m = n = k) · f32`."""
    sweep, dtype = header["sweep"], short_name(header["settings"]["dtype"])
    if sweep["over"] == "size":
        return f"{sweep['problem']['kind']} over {sweep['meaning']} · {dtype}"
    return f"{describe.problem_line(sweep['problem'], dtype)} · over {sweep['meaning']}"


def sweep_chart(
    header: Header, rows: Sequence[Row], capacities: Sequence[Capacity], most: int | None = None
) -> Chart:
    """Return GFLOP/s over the variable, under the ceiling of each number of threads.

    Rates in doubt are left out. `most`: the number of lines, the fastest first.
    """
    sweep = header["sweep"]
    series, hidden = _series(rows, most)
    doubtful = sum(1 for row in rows for cell in row.cells.values() if cell.rate and cell.doubt)
    levels, peaks = _ceilings(header)
    values = [row.x for row in rows]
    headline, _, reach = finding(rows, sweep["over"]).partition("; ")  # a title has one line
    return Chart(
        title=headline,
        x_label=sweep["meaning"],
        y_label="GFLOP/s",
        series=tuple(one for one in (*series, *peaks) if one.points),
        levels=levels,
        marks=tuple(Mark(f"{c.name} {units.size(c.size_bytes)}", c.x) for c in capacities),
        x_log=bool(values) and max(values) >= LOG_FROM * min(values),
        y_top=max([level.y for level in levels] + [p.y for s in peaks for p in s.points]),
        subtitle=joined(reach, title(header), hidden, left_out(doubtful), machine_words(header)),
        caption=caption(header),
    )


def finding(rows: Sequence[Row], over: str) -> str:
    """Return the contestant that is the fastest at most points, and the best rate."""
    reached = [(row, *each) for row in rows if (each := _highest(row)) is not None]
    if not reached:
        doubtful = any(cell.rate for row in rows for cell in row.cells.values())
        return IN_DOUBT if doubtful else "nothing was timed"
    names = short_names(rows)
    row, label, rate = max(reached, key=lambda each: each[2])
    most = fastest_at_most(rows)
    share = row.cells[label].peak_fraction or 0.0
    of_peak = f", {percent(share)} of the peak" if 0 < share <= 1 else ""
    who = "" if label == most else f" ({names[label]})"
    reach = f"up to {units.si(rate, 'FLOP/s')}{of_peak}, at {over} {row.x:,}{who}"
    if most is None:
        return f"at every point a time in doubt may be the shortest; {reach}"
    if len(names) == 1:
        return f"{names[most]}: {reach}"
    return f"{_fastest(rows, over, most)}; {reach}"


def _fastest(rows: Sequence[Row], over: str, most: str) -> str:
    """Return at how many points which contestant is the fastest.

    ``most``: the label of the contestant that is the fastest at most points.
    """
    names = short_names(rows)
    decided = [(row, label) for row in rows if (label := _best(row)) is not None]
    undecided = sum(_highest(row) is not None for row in rows) - len(decided)
    count, every = [label for _, label in decided].count(most), len(decided) + undecided
    if 2 * count <= len(decided):
        (first, begin), (last, end) = decided[0], decided[-1]
        return (
            f"the fastest changes: {names[begin]} at {over} {first.x:,}, {names[end]} at {last.x:,}"
        )
    where = f"all {every}" if count == every else f"{count} of {every}"
    where = "the only point" if every == 1 else f"{where} points"
    open_points = f", undecided at {undecided}" if undecided else ""
    return f"{names[most]} is the fastest at {where}{open_points}"


def fastest_at_most(rows: Sequence[Row]) -> str | None:
    """Return the label of the contestant that is the fastest at most points; None if at no point.

    At a point where a time in doubt may be the shortest, no contestant is the fastest.
    """
    labels = [label for row in rows if (label := _best(row)) is not None]
    return max(dict.fromkeys(labels), key=labels.count, default=None)


def _best(row: Row) -> str | None:
    highest = _highest(row)
    if highest is None:
        return None
    label, rate = highest
    doubtful = (cell.rate or 0.0 for cell in row.cells.values() if cell.doubt)
    return None if any(MOST_DISTURBED * each > rate for each in doubtful) else label


def _highest(row: Row) -> tuple[str, float] | None:
    """Return the highest rate that is not in doubt, and whose it is."""
    rates = [(label, rate) for label, cell in row.cells.items() if (rate := sure_rate(cell))]
    return max(rates, key=lambda each: each[1], default=None)


def sure_rate(cell: Cell | None) -> float | None:
    """Return the rate of a point; None without one, or if the rate is in doubt."""
    return cell.rate if cell is not None and not cell.doubt else None


def _series(rows: Sequence[Row], most: int | None) -> tuple[list[Series], str]:
    """Return the lines, at most `most`, and a note on the others."""
    names = short_names(rows)
    top = {
        label: max((sure_rate(row.cells.get(label)) or 0.0 for row in rows), default=0.0)
        for label in names
    }
    kept = set(sorted(names, key=lambda label: -top[label])[:most])
    variants: dict[str, int] = {}
    series = []
    for label in names:
        strategy = label.split()[0]
        variant = variants.setdefault(strategy, -1) + 1
        variants[strategy] = variant
        if label in kept:
            points = _points(rows, label)
            series.append(Series(names[label], points, subject=strategy, variant=variant))
    if len(kept) == len(names):
        return series, ""
    return series, f"the {len(kept)} fastest of {len(names)}"


def caption(header: Header) -> str:
    """Return the settings and the meaning of the points, in a line."""
    settings = header["settings"]
    return joined(f"{settings['cache']} caches", INTERVAL, f"convprof {header['tool_version']}")


def machine_words(header: Header) -> str:
    """Return the machine, the threads and the date, in a line."""
    machine, settings = header["machine"], header["settings"]
    simd, cores = machine.get("simd") or {}, machine.get("physical_cores")
    isa = f"{simd.get('isa') or 'unknown SIMD'} {simd.get('bits') or '?'} bits"
    threads = settings["threads"]
    parts = [
        machine.get("brand") or "unknown CPU",
        isa,
        f"{cores} core{'s' if cores != 1 else ''}" if cores else "unknown cores",
        "" if len(threads) > 1 else threads_words(threads[0]),
        str(header["started"])[:10],
    ]
    return joined(*parts)


def short_names(rows: Sequence[Row]) -> dict[str, str]:
    """Return each contestant's label, and the label without the words that all labels share."""
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
    points = []
    for row in rows:
        cell = row.cells.get(label)
        rate = sure_rate(cell)
        if cell is not None and rate is not None:
            low, high = (None if end is None else end / GIGA for end in (cell.low, cell.high))
            points.append(Point(row.x, rate / GIGA, low, high))
    return tuple(points)


def _ceilings(header: Header) -> tuple[tuple[Level, ...], tuple[Series, ...]]:
    """Return the peaks as levels; as a series if the number of threads is the variable."""
    ceilings = header["ceilings"]
    kinds = [("FMA peak", ceilings["peaks"])]
    own = ceilings.get("isa_peaks") or []
    kinds += [
        (f"{isa} peak", [peak for peak in own if peak["isa"] == isa])
        for isa in dict.fromkeys(peak["isa"] for peak in own)
    ]
    if header["sweep"]["over"] == THREADS:
        return (), tuple(
            Series(
                name,
                tuple(Point(p["threads"], p["flop_per_s"] / GIGA) for p in peaks),
                ceiling=True,
            )
            for name, peaks in kinds
        )
    return tuple(
        Level(
            f"{name}, {threads_words(p['threads'])}: {units.si(p['flop_per_s'], 'FLOP/s')}",
            p["flop_per_s"] / GIGA,
        )
        for name, peaks in kinds
        for p in peaks
    ), ()
