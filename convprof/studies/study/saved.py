"""The page of a study out of its document."""

from __future__ import annotations

from typing import Any

from convprof.errors import InputError
from convprof.json_checks import array, finite, mapping, text, words
from convprof.json_records import record, records
from convprof.studies.saved_answer import read_answer
from convprof.studies.study.page import Advice, Finding, Page, Plot, Row, Section, Unit


def read(fields: dict[str, Any]) -> Page:
    """Return the page; InputError says what the document lacks."""
    return Page(
        study=text(fields.get("study")),
        title=words(fields.get("title")),
        settings=mapping(fields.get("settings", {})),
        sections=tuple(_section(mapping(item)) for item in array(fields.get("sections"))),
        findings=records(Finding, fields.get("findings")),
        facts=tuple(words(line) for line in array(fields.get("facts"))),
        answer=_advice(fields.get("answer")),
    )


def _advice(value: Any) -> Advice | None:
    answer = read_answer(value)
    if answer is None:
        return None
    headline = mapping(value).get("headline")
    shown = "" if headline is None else words(headline)
    return Advice(answer.sentences, answer.command, headline=shown)


def _section(fields: dict[str, Any]) -> Section:
    if "unit_si" not in fields:
        raise InputError("an older convprof wrote it, without the units and charts of its sections")
    across, plot, per = (fields.get(key) for key in ("across", "plot", "cycles_per"))
    rows = records(Row, fields.get("rows"))
    if not rows:
        raise InputError("a section has no rows")
    for row in rows:
        _check(row)
    section = Section(
        title=words(fields.get("title")),
        unit=Unit(words(fields.get("unit")), finite(fields["unit_si"])),
        rows=rows,
        across=None if across is None else words(across),
        plot=None if plot is None else record(Plot, plot),
        cycles_per=None if per is None else words(per),
        notes=tuple(words(note) for note in array(fields.get("notes", []))),
    )
    _check_fields(section)
    return section


def _check(row: Row) -> None:
    """Raise InputError unless tables can compare the values of a row."""
    for value in (*row.variant.values(), *row.counted.values()):
        if isinstance(value, (list, dict)):
            raise InputError("a value of a row is not a number or a text")
    if (row.measured is not None and row.measured.value <= 0) or (row.expected or 0.0) < 0:
        raise InputError("a figure of a row is not above 0")


def _check_fields(section: Section) -> None:
    """Raise InputError unless tables and charts have the fields that they use."""
    across, plot, rows = section.across, section.plot, section.rows
    if across is not None and any(across not in row.variant for row in rows):
        raise InputError("a row lacks the field of its columns")
    if section.unit.value <= 0:
        raise InputError("a unit is not above 0")
    if plot is None:
        return
    columns, lines = ([_field(row, name) for row in rows] for name in (plot.x, plot.group))
    if plot.kind == "lines" and any(isinstance(x, str) for x in columns):
        raise InputError("a place on an axis is not a number")
    if any(x not in columns or y not in lines for _, cells in plot.cells for x, y in cells):
        raise InputError("a mark of a map is at no cell of it")


def _field(row: Row, name: str) -> Any:
    return row.variant.get(name, row.counted.get(name))
