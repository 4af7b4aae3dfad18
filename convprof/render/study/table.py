"""The tables of a study's page: a row per variant, or one field of them across."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.render import doubts
from convprof.render.columns import Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.studies.study.page import Figure, Row, Section

NOTHING = "-"
UNKNOWN = "unknown"

Group = list["Row"]
"""The rows of one line of a table."""


def groups(section: Section) -> list[Group]:
    """Return the rows of each line: one row, or rows that differ only in the field across."""
    lines: dict[tuple[Any, ...], Group] = {}
    for row in section.rows:
        key = tuple(value for name, value in row.variant.items() if name != section.across)
        lines.setdefault(key, []).append(row)
    return list(lines.values())


def columns(section: Section) -> list[Column[Group]]:
    """Return the columns of a section's table."""
    first = section.rows[0]
    shown: list[Column[Group]] = [
        Column(name, _value(name, counted=False), 1, "left" if isinstance(value, str) else "right")
        for name, value in first.variant.items()
        if name != section.across
    ]
    shown += [
        Column(
            name, _value(name, counted=True), 4 + k, "left" if isinstance(value, str) else "right"
        )
        for k, (name, value) in enumerate(first.counted.items())
    ]
    return shown + (_across(section) if section.across else _alone(section))


def _alone(section: Section) -> list[Column[Group]]:
    unit = section.unit
    shown: list[Column[Group]] = []
    if any(row.expected is not None for row in section.rows):
        shown.append(Column("expected", lambda g: scaled(g[0].expected, unit.value), 2))
    shown.append(Column("measured", lambda g: figure(g[0], unit.value), 1))
    if any(row.ratio is not None for row in section.rows):
        shown.append(Column("off %", lambda g: off(g[0]), 2))
    if section.cycles_per:
        shown.append(Column(f"cycles/{section.cycles_per}", lambda g: digits(g[0].cycles), 3))
    return shown


def _across(section: Section) -> list[Column[Group]]:
    """Return a column per value across, and columns of expectations: one, or one each if they differ."""  # noqa: E501
    unit, name = section.unit, section.across or ""
    values = list(dict.fromkeys(row.variant[name] for row in section.rows))
    once = all(len({row.expected for row in group}) == 1 for group in groups(section))
    shown: list[Column[Group]] = []
    if once and any(row.expected is not None for row in section.rows):
        shown.append(Column("expected", lambda g: scaled(g[0].expected, unit.value), 2))
    for value in values:
        shown.append(Column(str(value), _cell(name, value, unit.value), 1))
        if not once:
            shown.append(Column("expected", _expected(name, value, unit.value), 2))
    return shown


def _cell(name: str, value: Any, scale: float) -> Callable[[Group], str]:
    def cell(group: Group) -> str:
        row = next((row for row in group if row.variant[name] == value), None)
        if row is None or row.measured is None:
            return NOTHING if row is None else row.status
        return doubts.before(scaled(row.measured.value, scale), row.doubt)

    return cell


def _expected(name: str, value: Any, scale: float) -> Callable[[Group], str]:
    def cell(group: Group) -> str:
        row = next((row for row in group if row.variant[name] == value), None)
        return scaled(row.expected if row else None, scale)

    return cell


def _value(name: str, *, counted: bool) -> Callable[[Group], str]:
    def cell(group: Group) -> str:
        value = (group[0].counted if counted else group[0].variant).get(name)
        return value if isinstance(value, str) else digits(value)

    return cell


def digits(value: float | None) -> str:
    """Return a number in three digits, a whole number in all digits."""
    if value is None:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else units.digits(value)


def scaled(value: float | None, scale: float) -> str:
    """Return an SI value in a unit."""
    return UNKNOWN if value is None else units.digits(value / scale)


def figure(row: Row, scale: float) -> str:
    """Return `171 ±2`; the status if nothing was measured. A prediction may be in doubt too."""
    measured: Figure | None = row.measured
    if measured is None:
        return doubts.before(row.status, row.doubt)
    text = units.digits(measured.value / scale)
    half = "?"
    if measured.half is not None:
        half = f"{measured.half / scale:.{len(text.partition('.')[2])}f}"
    return doubts.before(f"{text} ±{half}", row.doubt)


def off(row: Row) -> str:
    """Return the difference between measured and expected in per cent."""
    return NOTHING if row.ratio is None else f"{100 * (row.ratio - 1):+.0f}"
