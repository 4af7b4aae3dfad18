"""The machine, the settings and the measurements of a document, as tables for a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render import describe, tables
from convprof.render.columns import Column
from convprof.render.recording import RecordedTable
from convprof.results import KIND, Measurements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.results import Measurement

MOST_MEASUREMENTS = 1_000
"""The most rows of the table of all measurements: about 0.6 MB."""
_UNITS = {"flop_per_s": "FLOP/s", "bytes_per_s": "B/s", "byte_per_s": "B/s", "hz": "Hz"}
_STATISTICS = ("median", "mad", "min", "max", "low", "high", "ci95_low", "ci95_high")
"""Keys whose unit is in the key of the object that they are in."""
_SECTIONS = {
    "machine": "machine",
    "state": "state while measuring",
    "ceilings": "ceilings",
    "settings": "settings",
}


def facts(document: dict[str, Any]) -> list[RecordedTable]:
    """Return the machine, its state, the ceilings and the settings."""
    return [
        table
        for key, title in _SECTIONS.items()
        if isinstance(document.get(key), dict)
        for table in _section(title, document[key])
    ]


def _section(title: str, section: dict[str, Any]) -> Iterator[RecordedTable]:
    """Yield a table of names and values, and a table for each list of objects."""
    lists = {key: value for key, value in section.items() if _is_list_of_objects(value)}
    names = tuple(_flat({key: value for key, value in section.items() if key not in lists}))
    if names:
        yield RecordedTable(title, ("fact", "value"), (False, False), names, ("",) * len(names))
    for key, value in lists.items():
        yield _records(f"{title}: {_words(key)}", value)


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def measurements(document: dict[str, Any]) -> list[RecordedTable]:
    """Return a table of the first `MOST_MEASUREMENTS` measurements; empty without any."""
    if document.get("kind") != KIND or not document.get("measurements"):
        return []
    first = document["measurements"][:MOST_MEASUREMENTS]
    rows = [Measurements.read(value) for value in first]
    columns: Sequence[Column[Measurement]] = [
        Column("problem", lambda m: describe.problem_line(m.problem, ""), 1, "left"),
        *tables.run_columns(rows),
        Column("status", lambda m: m.status, 1, "left"),
        Column("remark", _remark, 1, "left"),
    ]
    return [
        RecordedTable(
            "every measurement",
            tuple(column.heading for column in columns),
            tuple(column.justify == "right" for column in columns),
            tuple(tuple((c.whole or c.cell)(row) for c in columns) for row in rows),
            ("",) * len(rows),
        )
    ]


def _remark(measurement: Measurement) -> str:
    return "; ".join(filter(None, (measurement.reason, measurement.doubt, measurement.note)))


def _records(title: str, records: list[dict[str, Any]]) -> RecordedTable:
    keys = list(dict.fromkeys(key for record in records for key in record))
    rows = tuple(tuple(_text(key, record.get(key)) for key in keys) for record in records)
    numbers = tuple(all(isinstance(r.get(k), (int, float)) for r in records) for k in keys)
    return RecordedTable(title, tuple(map(_words, keys)), numbers, rows, ("",) * len(rows))


def _flat(value: dict[str, Any], before: str = "", quantity: str = "") -> Iterator[tuple[str, str]]:
    """Yield names and values; ``quantity`` is the key of an object with statistics."""
    for key, item in value.items():
        name = f"{before}{_words(key)}"
        if isinstance(item, dict) and item:
            yield from _flat(item, f"{name}: ", key)
        else:
            yield name, _text(quantity if key in _STATISTICS else key, item)


def _text(key: str, value: Any) -> str:
    """Return a value of a document in words, scaled if the key names the unit."""
    if value is None or value in ([], {}):
        return "unknown" if value is None else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(_text(key, item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{_words(k)} {_text(k, v)}" for k, v in value.items())
    if isinstance(value, (int, float)):
        return _number(key, value)
    return str(value)


def _number(key: str, value: float) -> str:
    for end, unit in _UNITS.items():
        if key == end or key.endswith(f"_{end}"):
            return units.si(value, unit)
    if key == "bytes" or key.endswith("_bytes"):
        return units.size(value)
    if key.endswith("_s"):
        return units.time(value)
    return str(value) if isinstance(value, int) else units.digits(value, 4)


def _words(key: str) -> str:
    return key.replace("_", " ")
