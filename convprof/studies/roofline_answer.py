"""The answer of ``roofline``: what bounds the fastest strategy, and how much is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import doubts, units
from convprof.studies.answer import Answer
from convprof.studies.next_command import after_roofline, again, is_depthwise
from convprof.studies.roofline_model import COMPUTE
from convprof.studies.run_answer import label, may_be_faster, name
from convprof.studies.shortlist import MOST_ROWS, best_layouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.roofline import Roofline
    from convprof.studies.roofline_model import RooflinePoint

_REACHED = 1.05
"""A roof less than 5 % away is reached."""


def answer(rooflines: Sequence[Roofline]) -> Answer | None:
    """Return the answer about the fastest strategy of each problem; None without a point."""
    best = fastest(rooflines)
    if not best:
        return _doubtful(rooflines)
    faster = [_faster(point, rooflines) for point in best]
    if any(faster):
        return _undecided(best, faster)
    farthest = max(best, key=lambda point: point.left)
    sentences = _of_one(farthest) if len(best) == 1 else _of_many(best, farthest)
    return Answer(sentences, after_roofline(farthest))


def _faster(point: RooflinePoint, rooflines: Sequence[Roofline]) -> list[Measurement]:
    """Return the measurements in doubt that may be faster than the point, of the same problem."""
    best, every = point.measurement, (p.measurement for r in rooflines for p in r.placed)
    return doubts.may_be_faster(best, (m for m in every if m.problem_key == best.problem_key))


def _undecided(best: Sequence[RooflinePoint], faster: Sequence[list[Measurement]]) -> Answer:
    """Return what bounds the decided problems; ``faster``: what may be faster than each of best."""
    doubtful = next(filter(None, faster))
    repeated = again("roofline", doubtful[0])
    if len(best) == 1:
        sentences = _executes(best[0], name(best[0].measurement)), may_be_faster(doubtful)
        return Answer(sentences, repeated, repeats=True)
    decided = [point for point, others in zip(best, faster, strict=True) if not others]
    sentence = (
        f"In {len(best) - len(decided)} of {len(best)} problems a time in doubt may be the "
        f"shortest ({doubtful[0].doubt}): measure again on an idle machine."
    )
    known = (_bounds(decided),) if decided else ()
    return Answer((*known, sentence), repeated, repeats=True)


def _doubtful(rooflines: Sequence[Roofline]) -> Answer | None:
    """Return that nothing is concluded from times in doubt; None without a time."""
    points = [point for roofline in rooflines for point in roofline.placed]
    if not points:
        return None
    fastest_point = min(points, key=lambda point: point.seconds).measurement
    sentence = f"Every time is in doubt ({fastest_point.doubt}): measure again on an idle machine."
    return Answer((sentence,), again("roofline", fastest_point), repeats=True)


def fastest(rooflines: Sequence[Roofline]) -> list[RooflinePoint]:
    """Return the fastest point of each problem, in order of appearance; none in doubt."""
    best: dict[tuple[str, ...], RooflinePoint] = {}
    points = [p for r in rooflines for p in r.placed if p.measurement.doubt is None]
    for point in points:
        key = point.measurement.problem_key
        if key not in best or point.seconds < best[key].seconds:
            best[key] = point
    return list(best.values())


def shortlist_of(points: Sequence[RooflinePoint]) -> Sequence[RooflinePoint]:
    """Return all points if they are few; else the fastest of each problem, or of the only one."""
    if len(points) <= MOST_ROWS:
        return points
    by_problem: dict[tuple[str, ...], list[RooflinePoint]] = {}
    for point in points:
        by_problem.setdefault(point.measurement.problem_key, []).append(point)
    each = max(1, MOST_ROWS // len(by_problem))
    return [p for members in by_problem.values() for p in _best_layouts(members)[:each]]


def _best_layouts(points: Sequence[RooflinePoint]) -> list[RooflinePoint]:
    kept = {id(m) for m in best_layouts(p.measurement for p in points)}
    return [p for p in points if id(p.measurement) in kept]


def _of_one(point: RooflinePoint) -> tuple[str, ...]:
    first = _executes(point, f"The fastest, {name(point.measurement)},")
    if point.limit is None:
        return (first, f"{_unknown(point.level)} unknown.")
    return (first, *_reuse(point), _left(point))


def _unknown(level: str | None) -> str:
    """Return what is unknown, so that no bandwidth can be called the limit."""
    return "The sizes of the caches are" if level is None else f"The bandwidth of {level} is"


def _executes(point: RooflinePoint, who: str) -> str:
    """Return the rate and the roof."""
    rate, roof = units.si(point.flop_per_s, "FLOP/s"), units.si(point.roof, "FLOP/s")
    what = "the peak" if point.limit is None else _what(point)
    return f"{who} executes {rate}; its roof is {roof}, {what}."


def _what(point: RooflinePoint) -> str:
    return "the peak" if point.limit == COMPUTE else f"the bandwidth of {point.limit}"


def _reuse(point: RooflinePoint) -> tuple[str, ...]:
    """Return why a bandwidth is the limit: how few FLOPs there are for each byte."""
    if point.limit == COMPUTE or point.bandwidth is None:
        return ()
    needed = units.digits(point.peak / point.bandwidth, 2)
    why = ""
    if is_depthwise(point.measurement.problem):
        why = ": a depthwise convolution uses each input for one output channel only"
    computed = f"It computes {units.digits(point.intensity, 2)} FLOPs for each byte"
    return (f"{computed}, and the peak needs {needed}{why}.",)


def _left(point: RooflinePoint) -> str:
    if point.left < _REACHED:
        return "The roof is reached."
    if point.limit == COMPUTE:
        return f"The roof allows {units.digits(point.left, 2)} times the speed."
    return (
        f"The roof allows {units.digits(point.left, 2)} times the speed; more needs fewer bytes "
        f"from {point.limit}."
    )


def _bounds(best: Sequence[RooflinePoint]) -> str:
    """Return how many of the fastest strategies each limit bounds."""
    counts: dict[str, int] = {}
    for point in best:
        what = "unknown bandwidth" if point.limit is None else _what(point)
        counts[what] = counts.get(what, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    bounds = ", ".join(f"{what} {count}" for what, count in ordered)
    problems = f"{len(best)} problem{'s' * (len(best) != 1)}"
    return f"What bounds the fastest strategy of {problems}: {bounds}."


def _of_many(best: Sequence[RooflinePoint], farthest: RooflinePoint) -> tuple[str, ...]:
    return (
        _bounds(best),
        (
            f"Most is left at {label(farthest.measurement)}: its roof allows "
            f"{units.digits(farthest.left, 2)} times the speed of {name(farthest.measurement)}."
        ),
    )
