"""Times in doubt in tables: a mark in the row, and one line with the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convprof.results import Measurement
    from convprof.studies.comparison import Comparison

MARK = "?"
MOST_REASONS = 2


def marked(text: str, doubt: str | None) -> str:
    """Return the text of a row's first cell, with the mark if the row is in doubt."""
    return f"{text} {MARK}" if doubt else text


def before(text: str, doubt: str | None) -> str:
    """Return the text of a cell aligned to the right, with the mark if the row is in doubt."""
    return f"{MARK} {text}" if doubt else text


def label(measurement: Measurement) -> str:
    """Return the text that distinguishes contestants of one problem."""
    return measurement.label


def layer_name(measurement: Measurement) -> str:
    """Return ``conv1``, and ``conv1 cold``; the problem's text if the layer has no name."""
    name = str(measurement.problem["name"] or measurement.problem["descriptor"])
    cold = " cold" if measurement.cache == "cold" else ""
    return name.rpartition(":")[2].strip() + cold


def line(
    measurements: Iterable[Measurement], name: Callable[[Measurement], str] = label
) -> str | None:
    """Return the meaning of the mark in a table of these rows; None if no row has the mark."""
    return line_of((name(m), m.doubt) for m in measurements)


def line_of_comparisons(
    comparisons: Iterable[Comparison[Measurement]], name: Callable[[Measurement], str] = label
) -> str | None:
    """Return the same for comparisons: the doubts of their sides, or else their own."""
    return line_of(row for each in comparisons for row in _of_comparison(each, name))


def _of_comparison(
    each: Comparison[Measurement], name: Callable[[Measurement], str]
) -> list[tuple[str, str | None]]:
    if each.a.doubt or each.b.doubt:
        return [(name(side), side.doubt) for side in (each.a, each.b)]
    return [(name(each.a), each.doubt)]


def line_of(rows: Iterable[tuple[str, str | None]]) -> str | None:
    """Return the same for names and doubts of rows that are not measurements."""
    reasons: dict[str, list[str]] = {}
    for name, doubt in rows:
        if doubt is not None:
            reasons.setdefault(doubt, []).append(name)
    if not reasons:
        return None
    return f"{MARK} in doubt, left out of conclusions: {'; '.join(_shown(reasons))}"


def _shown(reasons: dict[str, list[str]]) -> list[str]:
    """Return the most frequent reasons, each with its row or the number of its rows."""
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    shown = [
        f"{labels[0] if len(labels) == 1 else f'{len(labels)} rows'}: {reason}"
        for reason, labels in ordered[:MOST_REASONS]
    ]
    rest = sum(len(labels) for _, labels in ordered[MOST_REASONS:])
    return [*shown, f"{rest} more for similar reasons"] if rest else shown
