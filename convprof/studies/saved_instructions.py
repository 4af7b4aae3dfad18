"""The costs of instructions out of the document of ``convprof instructions``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import array, mapping, words
from convprof.json_records import records
from convprof.studies import selection
from convprof.studies.instructions import Missing, Resemblance, Row

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class SavedInstructions:
    """The rows, and the published cores that they are compared with."""

    rows: Sequence[Row]
    missing: Sequence[Missing]
    cores: Sequence[tuple[str, str]]
    """Name and source."""
    alike: Sequence[Resemblance]
    cycle_source: str | None
    every: bool
    """Whether the command chose some rows by name: then all of them are shown."""


def read(fields: dict[str, Any], match: str | None = None) -> SavedInstructions:
    """Return the content of a document; InputError says what is wrong with it.

    ``match``: a regular expression that names of instructions match.
    """
    source = fields.get("cycle_source")
    published = map(mapping, array(fields.get("published")))
    rows = records(Row, fields.get("rows"))
    for row in rows:
        _check(row)
    if match is not None:
        pattern = selection.compiled(match)
        rows = tuple(row for row in rows if pattern.search(row.name))
        if not rows:
            raise InputError("matches no instruction in the document", field="match", value=match)
    alike = records(Resemblance, fields.get("resemblances"))
    if any(one.rows < 1 for one in alike):
        raise InputError("a core is compared by no row")
    return SavedInstructions(
        rows=rows,
        missing=records(Missing, fields.get("missing")),
        cores=[(words(core.get("name")), words(core.get("source"))) for core in published],
        alike=alike,
        cycle_source=None if source is None else words(source),
        every=match is not None or mapping(fields.get("settings", {})).get("match") is not None,
    )


def _check(row: Row) -> None:
    """Raise InputError unless tables and charts can show the figures of a row."""
    for figures in row.published.values():
        if {"latency", "reciprocal_throughput"} - {*figures}:
            raise InputError("published figures of a row are not complete")
    published = (figure for figures in row.published.values() for figure in figures.values())
    if any(value is not None and value < 0 for value in (*_measured(row), *published)):
        raise InputError("a figure is below 0")


def _measured(row: Row) -> tuple[float | None, ...]:
    return (row.latency, row.reciprocal_throughput, row.elements_per_cycle, row.ops_per_cycle)
