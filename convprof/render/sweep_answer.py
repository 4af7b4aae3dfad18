"""The answer of a sweep: the fastest, where its rate rises, and where it falls."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from convprof.render.sweep_chart import fastest_at_most, finding, short_names, sure_rate
from convprof.studies.answer import Answer
from convprof.studies.next_command import AFTER_LIMIT, after_sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.studies.sweep.points import Capacity, Row

    Header = dict[str, Any]

CLIFF = 0.85
"""A rate below this share of the rate at the point before is a cliff."""
NEAR = 0.9
"""The share of the best rate at which the plateau begins."""


def answer(
    header: Header, rows: Sequence[Row], capacities: Sequence[Capacity] = ()
) -> Answer | None:
    """Return the fastest contestant, its cliff or its plateau, and the next command."""
    label, over = fastest_at_most(rows), header["sweep"]["over"]
    if label is None:
        if not any(cell.rate for row in rows for cell in row.cells.values()):
            return None
        said = finding(rows, over)
        return Answer((f"{said[0].upper()}{said[1:]}.",), repeats=True)
    points = [(row.x, rate) for row in rows if (rate := sure_rate(row.cells.get(label)))]
    cliff = _cliff(points)
    sentences = [f"{finding(rows, over)}."]
    name = short_names(rows)[label]
    if over == "batch" and len(points) > 1:
        sentences.append(_per_image(name, points))
    if cliff is not None:
        sentences.append(_fall(name, over, cliff, capacities))
    elif len(points) > 1:
        sentences.append(_plateau(name, over, points))
    elif any(cell.doubt for row in rows if (cell := row.cells.get(label)) is not None):
        sentences.append(f"The other times of {name} are in doubt.")
    best = max(points, key=lambda point: point[1])[0]
    problem = header["sweep"]["problem"]
    if cliff is not None and problem["kind"] == "gemm" and over == "size":
        return Answer(tuple(sentences), AFTER_LIMIT["cache"])
    return Answer(tuple(sentences), after_sweep(problem, over, label.split()[0], best))


def _per_image(name: str, points: Sequence[tuple[int, float]]) -> str:
    """Return whether a larger batch pays: the time of an image against the smallest batch."""
    (first, one), (last, many) = points[0], points[-1]
    pays = "a larger batch pays" if one < NEAR * many else "a larger batch does not pay"
    return (
        f"With {name} an image takes {one / many:.2f} times as long at batch {last:,} as at batch "
        f"{first:,}: {pays}."
    )


Fall = tuple[int, int, float]
"""A step from one value to the next, and the remaining share of the rate."""


def _cliff(points: Sequence[tuple[int, float]]) -> Fall | None:
    """Return the step at which the rate falls most; None if no step is a cliff."""
    falls = [(a, b, after / before) for (a, before), (b, after) in itertools.pairwise(points)]
    worst = min(falls, key=lambda fall: fall[2], default=None)
    return worst if worst is not None and worst[2] < CLIFF else None


def _fall(name: str, over: str, cliff: Fall, capacities: Sequence[Capacity]) -> str:
    first, last, left = cliff
    passed = [c.name for c in capacities if first < c.x <= last]
    cause = f", where the data becomes larger than {' and '.join(passed)}" if passed else ""
    return (
        f"The rate of {name} falls by {100 * (1 - left):.0f} % from {over} {first:,} to "
        f"{last:,}{cause}."
    )


def _plateau(name: str, over: str, points: Sequence[tuple[int, float]]) -> str:
    best = max(rate for _, rate in points)
    enough = next(x for x, rate in points if rate >= NEAR * best)
    if enough == points[0][0]:
        return f"{name} depends little on {over}: no step of the range costs more than 15 %."
    return f"{name} is within 10 % of its best rate from {over} {enough:,} on."
