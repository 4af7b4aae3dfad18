"""Result documents as JSON, CSV and Markdown texts, in parts: no whole text is in memory."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from convprof.archive import Archive
from convprof.render import describe, doubts, notes, tables
from convprof.render.compared import BLOCKS, compared_columns, key_of
from convprof.render.text_tables import csv_text, markdown_table
from convprof.results import Measurements, plain
from convprof.studies import shortlist

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from convprof.results import Document, Measurement


def to_json(document: Document) -> Iterator[str]:
    """Yield the document as indented JSON; a value that JSON cannot represent is an error here."""
    start = "{\n  "
    for key, value in document.parts():
        yield f"{start}{_json(key)}: "
        if isinstance(value, Archive):
            yield from _array(value)
        else:
            yield _json(value, 1)
        start = ",\n  "
    yield "\n}\n"


def _array(items: Archive[Any]) -> Iterator[str]:
    """Yield a list at the first level, in the form of ``json.dumps``."""
    start = "[\n    "
    for item in items:
        yield start + _json(item, 2)
        start = ",\n    "
    yield "\n  ]" if items else "[]"


_ROUNDS = re.compile(r'(?<="rounds_s": )\[([^\]]+)\]')
"""The times of the rounds, which go into one line. In a text the quotation marks are escaped."""


def _json(value: Any, level: int = 0) -> str:
    """Return a value as JSON; every line but the first one is indented by ``level`` levels."""
    text = json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False)
    text = _ROUNDS.sub(lambda match: f"[{' '.join(match[1].split())}]", text)
    return text.replace("\n", "\n" + "  " * level)  # in a text, quotation marks are escaped


def to_csv(
    document: Document, before: Callable[[Measurement], dict[str, Any]] | None = None
) -> Iterator[str]:
    """Yield a row per measurement; nested objects become ``time_s.median`` columns.

    ``before`` returns the columns before the columns of a measurement. In a document with
    comparisons further columns have the reference of a measurement; a measurement with several
    comparisons has a row for each.
    """
    compared = compared_columns(document.comparisons)

    def rows() -> Iterator[dict[str, Any]]:
        for measurement in document.measurements:
            first = before(measurement) if before else {}
            row = {**first, **flat(measurement)}
            for last in compared.get(key_of(measurement), [{}]):
                yield {**row, **last}
        yield from compared.get((BLOCKS,), ())

    return csv_text(rows)


def to_markdown(document: Document) -> Iterator[str]:
    """Yield one table per problem, and the machine below."""
    for group in by_problem(document.measurements):
        rows = shortlist.timed(group)
        dtype = "" if tables.several_dtypes(group) else group[0].dtype
        yield f"### {describe.problem_line(group[0].problem, dtype)}\n\n"
        if rows:
            yield markdown_table(tables.run_columns(rows), rows) + "\n"
            doubt = doubts.line(rows)
            if doubt is not None:
                yield f"{doubt}\n\n"
            yield from (f"{note}\n\n" for note in notes.lines(rows))
        for excluded in tables.excluded(group):
            yield f"- {describe.exclusion_line(excluded)}\n\n"
    yield describe.machine_line(document) + "  \n"
    yield describe.cycles_line(document.measurements) + "\n"


def by_problem(measurements: Collection[Measurement]) -> Iterator[list[Measurement]]:
    """Yield the measurements grouped by problem, in order of first appearance.

    A group is stored compressed until its last member and the groups before it are complete.
    """
    last = {_problem(measurement): at for at, measurement in enumerate(measurements)}
    waiting: dict[str, Measurements] = {}
    before = None
    for at, measurement in enumerate(measurements):
        key = _problem(measurement)
        if key != before and before in waiting:
            waiting[before].compress()
        waiting.setdefault(key, Measurements()).append(measurement)
        before = key
        while waiting and last[first := next(iter(waiting))] <= at:
            yield list(waiting.pop(first))


def _problem(measurement: Measurement) -> str:
    return f"{measurement.problem['kind']} {measurement.problem['descriptor']}"


def flat(measurement: Measurement) -> dict[str, Any]:
    """Return a measurement as columns: nested objects become ``time_s.median``."""
    return _flat(plain(measurement))


_NO_COLUMN = "rounds_s"
"""A field for programs that compare documents, too long for a cell."""


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, item in value.items():
        if key == _NO_COLUMN:
            continue
        if isinstance(item, dict):
            row |= _flat(item, f"{prefix}{key}.")
        elif isinstance(item, list):
            row[prefix + key] = "x".join(map(str, item))
        else:
            row[prefix + key] = item
    return row
