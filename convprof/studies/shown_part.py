"""Which part of a saved document is shown: problems that match, and the fastest rows of each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convprof.archive import Archive
from convprof.errors import InputError
from convprof.results import Measurements
from convprof.studies import selection
from convprof.studies.show import problem_keys

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable
    from typing import Any

    from convprof.results import Document, Measurement


def part(document: Document, match: str | None, top: int | None) -> Document:
    """Return a document with the problems that match, and at most ``top`` times of each problem.

    ``match``: a regular expression searched in names and descriptors, as when problems are
    measured. Comparisons and whole networks of other problems are left out.
    """
    if match is None and top is None:
        return document
    pattern = None if match is None else selection.compiled(match)
    kept = [m for m in document.measurements if pattern is None or _matches(pattern, m.problem)]
    if not kept:
        raise InputError("matches no problem in the document", field="match", value=match)
    rows = kept if top is None else _fastest(kept, top, problem_keys(document))
    return dataclasses.replace(
        document,
        measurements=Measurements(rows),
        comparisons=Archive(_of_problems(document.comparisons, pattern)),
        networks=document.networks if pattern is None else Archive(),
    )


def _matches(pattern: re.Pattern[str], problem: dict[str, Any]) -> bool:
    return bool(pattern.search(problem["name"] or "") or pattern.search(problem["descriptor"]))


def _fastest(
    measurements: list[Measurement], top: int, key_of: Callable[[Measurement], tuple[str, ...]]
) -> list[Measurement]:
    """Return the fastest of each problem, in the order of the document, and what has no time."""
    groups: dict[tuple[str, ...], list[Measurement]] = {}
    for m in measurements:
        groups.setdefault(key_of(m), []).append(m)
    fastest = {
        id(m) for group in groups.values() for m in sorted(group, key=lambda m: m.rank)[:top]
    }
    return [m for m in measurements if m.time_s is None or id(m) in fastest]


def _of_problems(
    comparisons: Iterable[dict[str, Any]], pattern: re.Pattern[str] | None
) -> list[dict[str, Any]]:
    if pattern is None:
        return list(comparisons)
    kept = []
    for each in comparisons:
        problem = each.get("problem")
        texts = [problem.get(key) for key in ("name", "descriptor")] if problem else []
        if any(isinstance(text, str) and pattern.search(text) for text in texts):
            kept.append(each)
    return kept
