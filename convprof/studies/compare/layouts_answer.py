"""The answer of ``compare layouts``: which layout to keep the data in, and whether converting pays.

Of each problem the fastest strategy counts, in the better of its layouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import doubts, stats
from convprof.studies.answer import Answer
from convprof.studies.next_command import again, plan_of
from convprof.studies.run_answer import label, threads
from convprof.studies.shortlist import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.compare.layouts import LayoutComparison

EXPLAIN = "convprof explain layout"


def answer(problems: Sequence[Sequence[LayoutComparison]], network: str | None = None) -> Answer:
    """Return the answer about the comparisons of each problem, the fastest strategy first.

    ``network``: whose layers the problems are.
    """
    every = fastest(problems)
    best = [comparison for comparison in every if comparison.doubt is None]
    if not every:
        return Answer(("Nothing was measured in both layouts: no advice.",))
    if not best:
        return Answer(
            (f"No advice, the times are in doubt: {every[0].doubt}.",),
            again("compare layouts", every[0].nchw),
            repeats=True,
        )
    command = EXPLAIN if network is None else plan_of(network)
    if len(best) == 1:
        others = [m for comparisons in problems for c in comparisons for m in (c.nchw, c.nhwc)]
        faster = doubts.may_be_faster(_shorter(best[0]), others)
        return Answer(_of_one(best[0], faster), command)
    return Answer(_of_many(best), command)


def fastest(problems: Sequence[Sequence[LayoutComparison]]) -> list[LayoutComparison]:
    """Return the comparison of the fastest strategy of each problem that has any."""
    return [comparisons[0] for comparisons in problems if comparisons]


def _shorter(comparison: LayoutComparison) -> Measurement:
    return min(comparison.nchw, comparison.nhwc, key=seconds)


def _of_one(best: LayoutComparison, faster: Sequence[Measurement]) -> tuple[str, ...]:
    """Return the advice; ``faster``: which may be faster than ``best``, with times in doubt."""
    name = f"{best.strategy} on {threads(best.threads)}"
    who = f"the fastest strategy, {name},"
    if faster:
        who = f"{name} (others may be faster, but their times are in doubt)"
    if best.better is None:
        word = "equally fast" if best.verdict == "same" else "not separated by the intervals"
        return (f"For {who} the layouts are {word}: keep the data as it is.",)
    first = f"Prefer {best.better.upper()}: {who} is {gain(best):.2f} times as fast in it."
    if best.break_even is None:
        return (first,)
    if best.break_even == 1:
        return (first, "Converting there and back pays for a single convolution.")
    return (
        first,
        f"Converting there and back pays from {best.break_even} such convolutions in a row.",
    )


def _of_many(best: Sequence[LayoutComparison]) -> tuple[str, ...]:
    wins = {layout: [c for c in best if c.better == layout] for layout in ("nhwc", "nchw")}
    first, second = sorted(wins, key=lambda layout: -len(wins[layout]))
    if not wins[first]:
        return (f"The intervals separate the layouts on none of {len(best)} problems.",)
    level = len(best) - len(wins[first]) - len(wins[second])
    mean = stats.geometric_mean([gain(c) for c in wins[first]])
    parts = [
        (
            f"{first.upper()} is {mean:.2f} times as fast (geometric mean) on "
            f"{len(wins[first])} of {len(best)} problems"
        )
    ]
    parts += [f"{second.upper()} is faster on {len(wins[second])}"] if wins[second] else []
    parts += [f"level or undecided on {level}"] if level else []
    most = max((c for side in wins.values() for c in side), key=gain)
    sentences = [
        f"{'; '.join(parts)}.",
        (
            f"The difference is largest at {label(most.a)}: {gain(most):.2f} times as fast in "
            f"{str(most.better).upper()}."
        ),
    ]
    pays = sum(c.break_even == 1 for c in best)
    if pays:
        sentences.append(f"Converting there and back pays for a single convolution on {pays}.")
    return tuple(sentences)


def gain(comparison: LayoutComparison) -> float:
    """Return how many times as fast the faster layout is."""
    ratio = comparison.ratio.value
    return max(ratio, 1 / ratio)


def total_s(best: Sequence[LayoutComparison]) -> tuple[float, float]:
    """Return the seconds of all problems in NCHW and in NHWC."""
    return sum(seconds(c.nchw) for c in best), sum(seconds(c.nhwc) for c in best)
