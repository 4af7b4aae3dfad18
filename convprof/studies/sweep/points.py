"""What a table and a plot need of a sweep's points, read back one record at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.dtypes import types
from convprof.errors import one_line
from convprof.results import way
from convprof.strategies.tuning.tunable import stored
from convprof.studies.sweep import blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convprof.studies.journal import Record
    from convprof.studies.sweep.plan import Plan


@dataclass(frozen=True, slots=True)
class Cell:
    """One contestant at one point; FLOP/s, None where it was not timed or has no interval."""

    status: str
    reason: str | None
    rate: float | None
    low: float | None
    high: float | None
    peak_fraction: float | None
    executed: float | None
    """Executed FLOPs over the FLOPs of the definition."""
    doubt: str | None = None
    """Why the time cannot be true; None if it can."""


@dataclass(frozen=True, slots=True)
class Row:
    """One point."""

    x: int
    bytes_min: float | None
    """The operands and the result; None where nothing was timed."""
    cells: dict[str, Cell]
    """By contestant, as `label_of` names it."""
    host: str | None = None
    """The host of a fleet that measured it."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """From which value of the variable on the working set exceeds a cache."""

    name: str
    size_bytes: int
    x: int


def label_of(measurement: Record, *, threads: bool = True) -> str:
    """Return `tiled nhwc 1 thread` for a measurement in JSON types, or `tiled nhwc`."""
    name = way(measurement["strategy"], measurement["layout"], measurement.get("isa"))
    count = measurement["threads"]
    return one_line(f"{name} {count} thread{'s' if count > 1 else ''}" if threads else name)


def flop_rates(record: Record) -> dict[str, float]:
    """Return the FLOP/s of each contestant that was timed at a point.

    KeyError, TypeError or the like for a damaged record.
    """
    row = row_of(record)
    return {label: cell.rate for label, cell in row.cells.items() if cell.rate}


def row_of(record: Record, *, threads: bool = True) -> Row:
    """Return what is shown of a record; KeyError, TypeError and the like if it is damaged."""
    cells, moved = {}, None
    for measurement in record["measurements"]:
        time, rate = measurement["time_s"], measurement["flop_per_s"]
        low = high = None
        if time is not None and rate is not None and time["ci95_low"] is not None:
            work = rate * time["median"]
            low, high = work / time["ci95_high"], work / time["ci95_low"]
        moved = moved or _number(measurement["bytes_min"])
        cells[label_of(measurement, threads=threads)] = Cell(
            one_line(str(measurement["status"])),
            _text(measurement["reason"]),
            _number(rate),
            _number(low),
            _number(high),
            _number(measurement["peak_fraction"]),
            _executed(measurement["flops"]),
            _text(measurement.get("doubt")),
        )
    return Row(record["x"], moved, cells, _text(record.get("host")))


def _text(value: Any) -> str | None:
    return None if value is None else one_line(str(value))


def _number(value: Any) -> float | None:
    """Return a number or null of a document; ValueError or TypeError for anything else."""
    if value is None:
        return None
    if not (math.isfinite(value) and value >= 0):  # TypeError for a text
        raise ValueError("not finite, or negative")
    return float(value)


def _executed(flops: Record | None) -> float | None:
    return flops["executed"] / flops["direct"] if flops and flops["direct"] else None


def rows_of(records: Iterable[Record], *, threads: bool = True) -> list[Row]:
    """Return the rows of all points, in ascending order of the variable."""
    rows = (row_of(record, threads=threads) for record in records)
    return sorted(rows, key=lambda row: row.x)


def capacities(plan: Plan, caches: Iterable[dict[str, Any]]) -> list[Capacity]:
    """Return where the working set exceeds each cache; only for caches that it exceeds.

    The working set of a problem is its operands and result, each once; of a tile of a product,
    the three blocks at its sides. A variable that changes neither passes none.
    """
    sizes: dict[int, int] = {}
    for cache in caches:
        level, size = cache.get("level"), cache.get("size_bytes")
        if isinstance(level, int) and isinstance(size, int) and cache.get("kind") != "instruction":
            sizes[level] = min(size, sizes.get(level, size))
    needed = _working_set(plan)
    first, last = plan.values[0], plan.values[-1]
    return [
        Capacity(f"L{level}", size, _first_over(size, needed, first, last))
        for level, size in sorted(sizes.items())
        if needed(first) <= size < needed(last)
    ]


def _working_set(plan: Plan) -> Callable[[int], int]:
    """Return the bytes that one point works on, as a function of the variable."""
    of = types(plan.choice.dtype)
    if not blocking.is_blocking(plan.over):
        return lambda x: plan.problem(x).bytes_min(of)
    names = blocking.TILES["gemm"]
    blocked = [
        stored(c.strategy.blocking(plan.base, c.setting))
        for c in plan.contestants(plan.values[0])
        if isinstance(c.strategy, blocking.Blocked)
    ]
    sides = next((variant for variant in blocked if set(names) <= variant.keys()), None)
    if sides is None:
        return lambda _: 0
    varied = blocking.names(plan.base.kind, plan.over)

    def block_bytes(x: int) -> int:
        m, k, n = (x if name in varied else sides[name] for name in names)
        return m * k * of.source.bytes + k * n * of.weights.bytes + m * n * of.result.bytes

    return block_bytes


def _first_over(size: int, needed: Callable[[int], int], low: int, high: int) -> int:
    """Return the smallest value that needs more than `size` bytes, between `low` and `high`."""
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if needed(middle) > size else (middle, high)
    return high
