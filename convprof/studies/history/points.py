"""What the history keeps of a measurement, besides the whole document."""

from __future__ import annotations

import functools
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from convprof.json_checks import count, positive, text, words
from convprof.problems.grouped_weights import DEFAULT_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convprof.results import Measurement

COLUMNS = (
    "run", "kind", "problem", "problem_name", "strategy", "layout", "dtype", "threads", "cache",
    "isa", "seconds", "peak_fraction",
)  # fmt: skip
"""Of the table: the run, and the fields of `Point`."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement that has a time without a doubt."""

    kind: str
    """With what the descriptor does not say: ``gemm + relu``."""
    problem: str
    """The descriptor."""
    problem_name: str | None
    strategy: str
    layout: str | None
    dtype: str
    threads: int
    cache: str
    isa: str | None
    seconds: float
    peak_fraction: float | None

    def row(self) -> tuple[Any, ...]:
        """Return the values of the table's row, without the run."""
        return astuple(self)


def points(measurements: Iterable[Measurement]) -> list[tuple[Point, bool]]:
    """Return the points, each with whether it is the fastest of its problem.

    The fastest for each type, number of threads and state of the caches. Times in environments are
    no points: a letter means another environment in each run.
    """
    own = [m for m in measurements if m.doubt is None and m.environment is None]
    timed = [_point(m, m.time_s.median) for m in own if m.time_s]
    fastest: dict[tuple[Any, ...], Point] = {}
    for point in timed:
        key = (point.kind, point.problem, point.dtype, point.threads, point.cache)
        if key not in fastest or point.seconds < fastest[key].seconds:
            fastest[key] = point
    best = {id(point) for point in fastest.values()}
    return [(point, id(point) in best) for point in timed]


def _kind(problem: dict[str, Any]) -> str:
    group = problem.get("group")
    groups = f"groups of {group}" if group not in (None, DEFAULT_GROUP) else None
    parts = (problem.get("epilogue"), problem.get("weight_dtype"), groups)
    return " + ".join([problem["kind"], *(str(part) for part in parts if part)])


def _point(m: Measurement, seconds: float) -> Point:
    return Point(
        kind=_kind(m.problem),
        problem=m.problem["descriptor"],
        problem_name=m.problem["name"],
        strategy=m.strategy,
        layout=m.layout,
        dtype=m.dtype,
        threads=m.threads,
        cache=m.cache,
        isa=m.isa,
        seconds=seconds,
        peak_fraction=m.peak_fraction,
    )


def read_point(labels: Sequence[Any], seconds: Any, share: Any) -> Point:
    """Return the point of a row of the table; InputError if a value cannot be one."""
    checked = _labels(*labels)
    return Point(*checked, positive(seconds), None if share is None else positive(share))


@functools.lru_cache(maxsize=1 << 12, typed=True)
def _labels(
    *labels: Any,
) -> tuple[str, str, str | None, str, str | None, str, int, str, str | None]:
    """Return the checked labels: thousands of rows share a few of them."""
    kind, problem, name, strategy, layout, dtype, threads, cache, isa = labels
    return (
        text(kind),
        words(problem),
        None if name is None else words(name),
        text(strategy),
        None if layout is None else text(layout),
        text(dtype),
        count(threads),
        text(cache),
        None if isa is None else text(isa),
    )
