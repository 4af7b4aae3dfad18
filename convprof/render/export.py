"""Result documents as JSON, CSV and Markdown texts."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from convprof.render import describe, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.columns import Column, Row
    from convprof.results import Document, Measurement


def to_json(document: Document) -> str:
    """Return the document as indented JSON; a value that JSON cannot hold is an error here."""
    return json.dumps(document.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_csv(document: Document, beside: Sequence[dict[str, Any]] = ()) -> str:
    """Return one row per measurement; nested objects become ``time_s.median`` columns.

    ``beside``: columns to go before those of each measurement, in the measurements' order.
    """
    rows = [_flat(measurement) for measurement in document.to_json()["measurements"]]
    if beside:
        rows = [{**first, **row} for first, row in zip(beside, rows, strict=True)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_markdown(document: Document) -> str:
    """Return one table per problem, and the machine below."""
    parts = []
    for group in by_problem(document.measurements):
        rows = tables.timed(group)
        parts.append(f"### {describe.problem_line(group[0].problem, group[0].dtype)}\n")
        if rows:
            parts.append(markdown_table(tables.run_columns(rows), rows))
        parts += [f"- {describe.exclusion_line(m)}\n" for m in tables.excluded(group)]
    parts.append(describe.machine_line(document) + "  ")
    parts.append(describe.cycles_line(document.measurements) + "\n")
    return "\n".join(parts)


def by_problem(measurements: Sequence[Measurement]) -> list[list[Measurement]]:
    """Return the measurements grouped by problem, in order of first appearance."""
    groups: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        key = f"{measurement.problem['kind']} {measurement.problem['descriptor']}"
        groups.setdefault(key, []).append(measurement)
    return list(groups.values())


def markdown_table(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> str:
    """Return every column of a table in Markdown."""
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|" + "|".join("---:" if c.justify == "right" else "---" for c in columns) + "|",
    ]
    lines += [
        "| " + " | ".join(c.cell(row).replace("|", "\\|") for c in columns) + " |" for row in rows
    ]
    return "\n".join(lines) + "\n"


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            row |= _flat(item, f"{prefix}{key}.")
        elif isinstance(item, list):
            row[prefix + key] = "x".join(map(str, item))
        else:
            row[prefix + key] = item
    return row
