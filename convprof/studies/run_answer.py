"""The answer of ``run``: who is fastest, what limits it, which command explains more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof import doubts, units
from convprof.machine.caches import MEMORY
from convprof.strategies import registry
from convprof.studies import refused_answer
from convprof.studies.answer import MOST_SENTENCES, Answer
from convprof.studies.next_command import again, described, line, next_command
from convprof.studies.shortlist import (
    best_layouts,
    executed_fraction,
    fastest,
    seconds,
    timed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement

_FEWER = 0.95
"""An algorithm that executes a smaller share of the definition's FLOPs is a fast algorithm."""
_LEAST_SHARE = 0.01
_CLOSE = 0.9
"""A share of the peak or of a bandwidth that leaves little to gain."""
_MOST_TIED = 3


def answer(measurements: Sequence[Measurement]) -> Answer | None:
    """Return the answer about one problem; None if nothing has a time, and not all refused."""
    best = fastest(measurements)
    if best is None:
        return refused_answer.answer(measurements)
    if best.doubt is not None:
        sentence = f"Every time is in doubt ({best.doubt}): measure again on an idle machine."
        return Answer((sentence,), again("run", best), repeats=True)
    faster = doubts.may_be_faster(best, measurements)
    if faster:
        undecided = _fastest(best, alone=True), may_be_faster(faster)
        return Answer(undecided, again("run", best), repeats=True)
    rivals = [m for m in best_layouts(measurements) if m.strategy != best.strategy]
    sentences = (
        _fastest(best, alone=len(timed(measurements)) == 1),
        *_threads(best, measurements),
        *_limit(best),
        *_tie(best, rivals),
    )[:MOST_SENTENCES]
    peers = {s.name for s in registry.strategies(best.problem["kind"]) if s.role.is_compared}
    measured = any(m.strategy in peers for m in measurements)
    return Answer(sentences, next_command(best, peers_measured=measured))


def name(measurement: Measurement) -> str:
    """Return ``tiled nhwc on 2 threads``."""
    return f"{measurement.way} on {threads(measurement.threads)}"


def percent(share: float) -> str:
    """Return ``62 %`` or ``under 1 %``."""
    return f"{100 * share:.0f} %" if share >= _LEAST_SHARE else "under 1 %"


def threads(count: int) -> str:
    """Return ``1 thread`` or ``2 threads``."""
    return f"{count} thread{'s' if count > 1 else ''}"


def _fastest(best: Measurement, *, alone: bool) -> str:
    time = units.time(seconds(best))
    start = f"{name(best)} takes {time}" if alone else f"{name(best)} is the fastest: {time}"
    share, flops = executed_fraction(best), best.flops
    if share is None or flops is None or not flops.direct:
        return f"{start}."
    if flops.executed < _FEWER * flops.direct:
        fewer = f"{100 * flops.executed / flops.direct:.0f} % of the definition's FLOPs"
        return f"{start}; it executes {fewer}, at {percent(share)} of the peak."
    # the share that the table shows
    return f"{start}, {percent(best.peak_fraction or share)} of the peak."


def may_be_faster(faster: Sequence[Measurement]) -> str:
    """Return that these measurements in doubt may be faster than the fastest certain one."""
    first, *more = faster
    who = f"{name(first)} and {len(more)} more" if more else name(first)
    doubt = f"in doubt ({first.doubt}): measure again on an idle machine"
    times = "their times are" if more else "its time is"
    return f"{who} may be faster, but {times} {doubt}."


def _threads(best: Measurement, measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """Return whether more threads pay for the fastest strategy; nothing if it ran on one number."""
    kind = (best.strategy, best.isa, best.environment)
    same = [m for m in timed(measurements) if (m.strategy, m.isa, m.environment) == kind]
    alike: dict[int, Measurement] = {}
    for m in same:
        if m.doubt is None:
            alike.setdefault(m.threads, m)
    if len(alike) == 1:
        others = sorted({m.threads for m in same} - set(alike))
        return tuple(f"Its time on {threads(count)} is in doubt." for count in others[-1:])
    few, many = alike[min(alike)], alike[max(alike)]
    speed_up = seconds(few) / seconds(many)
    if _overlap(*sorted((few, many), key=seconds)):
        advice = "the intervals do not separate the two"
    else:
        possible = percent(speed_up * few.threads / many.threads)
        advice = f"{possible} of what is possible; use {threads(best.threads)}"
    start = f"On {threads(many.threads)} it is {speed_up:.2f} times as fast as on {few.threads}"
    return (f"{start}: {advice}.",)


def _limit(best: Measurement) -> tuple[str, ...]:
    """Return what limits the fastest strategy, where that is known."""
    share = executed_fraction(best)
    if share is None:
        return ()
    if best.bound == "memory":
        return (_memory_limit(best),)
    if best.bound == "compute" and best.note is not None:
        return (f"The peak is not its limit, because it {best.note}.",)
    if best.bound == "compute" and share >= _CLOSE:
        return ("Its limit is the peak: only fewer FLOPs can be much faster.",)
    if best.bound == "compute":
        gain = units.digits(1 / share, 2)
        return (f"Its limit is the peak, which allows {gain} times the speed.",)
    in_memory = best.level == MEMORY
    why = "no bandwidth of main memory is stored" if in_memory else "so are the sizes of the caches"
    return (f"What limits it is unknown: {why}.",)


def _memory_limit(best: Measurement) -> str:
    """Return which bandwidth limits a strategy, and the share that it uses, as far as known."""
    share, level = best.bandwidth_fraction, best.level
    if share is None or level is None:
        return "Its limit is the bandwidth of the memory that holds its data, not the peak."
    place = "main memory" if level == MEMORY else level
    limit = f"Its limit is the bandwidth of {place}, which holds its data"
    used = percent(share) if share <= 1 else "all of it"
    advice = "; only fewer bytes can be much faster" if share >= _CLOSE else ""
    return f"{limit}: it uses {used}{advice}."


def _tie(best: Measurement, rivals: Sequence[Measurement]) -> tuple[str, ...]:
    """Return which strategies the intervals cannot tell from the fastest one."""
    tied = list(dict.fromkeys(m.strategy for m in rivals if _overlap(best, m)))
    if not tied:
        return ()
    *others, last = tied[:_MOST_TIED]
    names = " and ".join(filter(None, (", ".join(others), last)))
    return (f"The 95 % intervals do not separate it from {names}.",)


def _overlap(best: Measurement, other: Measurement) -> bool:
    a, b = best.time_s, other.time_s
    if a is None or b is None or a.ci95_high is None or b.ci95_low is None:
        return False
    return b.ci95_low <= a.ci95_high and other.doubt is None


# Several problems: one row each.


def answer_of_many(
    rows: Sequence[Measurement], problems: int, network: str | None
) -> Answer | None:
    """Return the answer about the fastest measurement of each problem; None without a measurement.

    ``problems``: how many there are, with those that have no time; ``network``: of which network
    the problems are all the layers.
    """
    if not rows:
        return None
    total = sum(map(seconds, rows))
    first = _who(rows, problems, total)
    doubt = doubts.of_sum(((seconds(row), row.doubt) for row in rows), total)
    if doubt is not None:
        doubtful = [row for row in rows if row.doubt is not None]
        number = f"{len(doubtful)} of the {len(rows)} times" if len(rows) > 1 else "The time"
        are = "are" if len(doubtful) > 1 else "is"
        return Answer(
            (first, f"{number} {are} in doubt ({doubt}): measure again on an idle machine."),
            again("run", max(doubtful, key=seconds)),
            repeats=True,
        )
    longest = max(rows, key=seconds)
    second = f"{label(longest)} takes longest, {percent(seconds(longest) / total)} of that."
    if network is not None:
        return Answer((first, second), f"convprof network {network}")
    lowest = min(doubts.trusted(rows), key=lambda m: executed_fraction(m) or 1.0)
    third = _farthest(lowest)
    subject = lowest if third else longest
    command = line("run", subject) if described(subject) else ""
    return Answer((first, second, *third), command)


def _who(rows: Sequence[Measurement], problems: int, total_s: float) -> str:
    """Return the sum of the times, and how often each strategy is the fastest."""
    wins: dict[str, int] = {}
    for row in rows:
        wins[row.strategy] = wins.get(row.strategy, 0) + 1
    counted = (
        f"{len(rows)} problems" if len(rows) == problems else f"{len(rows)} of {problems} problems"
    )
    time = units.time(total_s)
    if len(wins) == 1:
        return f"{next(iter(wins))} takes {time} for {counted}, each once."
    ordered = sorted(wins.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{strategy} {count}" for strategy, count in ordered)
    return f"The fastest strategies take {time} for {counted}, each once: {shown}."


def _farthest(lowest: Measurement) -> tuple[str, ...]:
    """Return how far the problem with the lowest rate is from the peak, where that is known."""
    share = executed_fraction(lowest)
    if share is None:
        return ()
    flops = lowest.flops
    fewer = ""
    if flops is not None and flops.executed < _FEWER * flops.direct:
        part = percent(flops.executed / flops.direct)
        fewer = f"; it executes {part} of the definition's FLOPs"
    return (f"{label(lowest)} is farthest from the peak, at {percent(share)} of it{fewer}.",)


def label(measurement: Measurement) -> str:
    """Return what a row calls the problem of a measurement."""
    return label_of(measurement.problem)


def label_of(problem: dict[str, Any]) -> str:
    """Return the problem's name, or its descriptor, the pass if not forward, and the epilogue."""
    which, epilogue = problem.get("pass"), problem.get("epilogue")
    text = " ".join(filter(None, (problem["name"] or problem["descriptor"], which)))
    return f"{text} + {epilogue.replace(',', ', ')}" if epilogue else text
