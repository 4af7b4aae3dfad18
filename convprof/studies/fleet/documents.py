"""The file of a fleet as result documents: one for each host."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convprof.archive import Archive
from convprof.results import Measurements
from convprof.studies.fleet import table

if TYPE_CHECKING:
    from typing import BinaryIO

    from convprof.results import Document


def by_host(file: BinaryIO) -> list[tuple[str, Document, int]]:
    """Return the hosts, each with its results in the order of the suite and their number."""
    replies: dict[str, dict[int, Document]] = {}
    for part, reply in table.parts(table.head(file), file):
        if reply.document is not None:
            reply.document.measurements.compress()
            replies.setdefault(part.host, {})[part.index] = reply.document
    return [(host, _joined(every), len(every)) for host, every in replies.items()]


def _joined(documents: dict[int, Document]) -> Document:
    """Return the results of one host as one document, with the machine of the last result."""
    ordered = [each for _, each in sorted(documents.items())]
    return replace(
        list(documents.values())[-1],
        measurements=Measurements(m for each in ordered for m in each.measurements),
        comparisons=Archive(c for each in ordered for c in each.comparisons),
    )
