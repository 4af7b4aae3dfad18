"""The times of several problems added up, by element type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.studies.compare.dtypes import REFERENCE, may_be_faster, names
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.studies.compare.dtypes import TypeComparison


@dataclass(frozen=True)
class TypeTotal:
    """Several problems on some threads, each as often as it counts."""

    threads: int
    problems: int
    count: int
    """How often all problems together count."""
    by_type: tuple[tuple[str, float], ...]
    """Each type in which all problems were computed, and its seconds; f32 first."""
    fastest_s: float
    """Of the fastest type of each problem."""


def totals(
    problems: Sequence[Sequence[TypeComparison]], counts: Mapping[tuple[str, ...], int]
) -> list[TypeTotal]:
    """Return a total per number of threads with several problems.

    Types in doubt are left out, and problems where such a type may be the fastest.
    ``counts``: how often a problem counts in f32, by its key; once if it is not there.
    """
    every = [c for compared in problems for c in _certain(compared)]
    every_total = [
        _total([c for c in every if c.threads == threads], counts)
        for threads in dict.fromkeys(c.threads for c in every)
    ]
    return [total for total in every_total if total.problems > 1]


def _certain(compared: Sequence[TypeComparison]) -> list[TypeComparison]:
    """Return the comparisons of a problem without a doubt, on threads where they decide."""
    certain = []
    for threads in dict.fromkeys(c.threads for c in compared):
        own = [c for c in compared if c.threads == threads]
        clear = [c for c in own if c.doubt is None]
        sides = [m for c in clear for m in (c.a, c.b)]
        if sides and not may_be_faster(min(sides, key=seconds), own):
            certain += clear
    return certain


def _total(
    comparisons: Sequence[TypeComparison], counts: Mapping[tuple[str, ...], int]
) -> TypeTotal:
    by_problem: dict[tuple[str, ...], dict[str, float]] = {}
    for each in comparisons:
        times = by_problem.setdefault(each.b.problem_key, {REFERENCE: seconds(each.b)})
        times[each.name] = seconds(each.a)
    weight = {key: counts.get(key, 1) for key in by_problem}
    return TypeTotal(
        comparisons[0].threads,
        len(by_problem),
        sum(weight.values()),
        tuple(
            (name, sum(weight[key] * times[name] for key, times in by_problem.items()))
            for name in (REFERENCE, *names(comparisons))
            if all(name in times for times in by_problem.values())
        ),
        sum(weight[key] * min(times.values()) for key, times in by_problem.items()),
    )
