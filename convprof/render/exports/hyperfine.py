"""JSON of hyperfine, as ``--export-json`` writes it: its plotting scripts read it. Seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.exports.rows import Row
    from convprof.results import Document


def content(document: Document, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the results: a command is a row, a run is a round."""
    del document
    return {"results": [_result(row) for row in rows]}


def _result(row: Row) -> dict[str, Any]:
    m, rounds = row.measurement, row.rounds
    return {
        "command": row.name,
        "mean": row.mean,
        "stddev": row.deviation,
        "median": row.median,
        "user": row.mean * m.threads,
        "system": 0.0,
        "min": min(rounds),
        "max": max(rounds),
        "times": list(rounds),
        "exit_codes": [0] * len(rounds),
        "parameters": {"strategy": m.strategy, "dtype": m.dtype, "threads": str(m.threads)},
    }
