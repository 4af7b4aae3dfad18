"""JSON of pyperf, version 1.0: ``pyperf compare_to``, ``stats`` and ``hist`` read it.

Each benchmark is one run with a value for each round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.render.exports.rows import Row
    from convprof.results import Document


def content(document: Document, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the suite."""
    metadata = {"cpu_model_name": document.machine.get("brand") or "unknown CPU"}
    metadata["description"] = f"convprof {document.tool_version}"
    return {
        "version": "1.0",
        "metadata": {"unit": "second", **metadata},
        "benchmarks": [
            {
                "metadata": {"name": row.name, "inner_loops": row.time.calls_per_sample},
                "runs": [{"values": list(row.rounds)}],
            }
            for row in rows
        ],
    }
