"""The limit of a rung of the ladder: a phrase for the table; the answer at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import doubts, units
from convprof.render import tables
from convprof.render.ladder_words import limit_words, share
from convprof.studies.answer import Answer
from convprof.studies.ladder.rung_limits import NEAR_PEAK
from convprof.studies.next_command import after_ladder, again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.results import Measurement
    from convprof.studies.evidence import Evidence
    from convprof.studies.ladder.rung_limits import RungLimit
    from convprof.studies.ladder.study import Step

UNKNOWN = "-"
SPARSE = 0.5
"""A loop with a smaller share of used bytes, of the bytes that its pointer passes, skips many."""


def limit_phrase(step: Step) -> str:
    """Return ``cache misses: 80 % of peak within L2``: at most 66 characters fit next to a name."""
    limit, evidence = step.limit, step.evidence
    if limit is None:
        return UNKNOWN if step.measurement.doubt is None else "unknown, since its time is in doubt"
    if limit.kind in {"arithmetic", "chains", "loads"} and evidence is not None:
        return limit_words(evidence, next(x for x in evidence.limits if x.kind == limit.kind))
    return {
        "peak": _peak(limit),
        "threads": _threads(step.measurement, limit),
        "launch": f"launch: {_seconds(limit)}, {_share(limit)} of the time",
        "cache": f"cache misses{_stride(evidence)}: {_reached(limit)}",
        "bandwidth": f"bandwidth of {''.join(limit.names)}: {_share(limit)} of the time",
        "phases": f"{' and '.join(limit.names)}: {_share(limit)} of the time",
        "noise": f"noise: the fastest sample took 1/{limit.share or 0:.1f} of the median time",
        "spills": f"{_spills(evidence)}{_also(limit)}",
        "code": f"latencies and overhead in its loops{_also(limit)}",
    }[limit.kind]


def _peak(limit: RungLimit) -> str:
    near = limit.share is None or limit.share >= NEAR_PEAK
    return "close to the peak" if near else f"the peak, of which it reaches {_share(limit)}"


def _threads(measurement: Measurement, limit: RungLimit) -> str:
    rate = units.digits(limit.share or 0, 2)
    return f"{measurement.threads} threads are {rate} times as fast as one"


def _seconds(limit: RungLimit) -> str:
    unit = units.time_unit([limit.seconds or 0.0])
    return f"{units.digits(unit.scale(limit.seconds or 0.0), 2)} {unit.name}"


def _share(limit: RungLimit) -> str:
    return share(limit.share or 0)


def _reached(limit: RungLimit) -> str:
    return f"{share(limit.reached or 0)} of peak within L2"


def _also(limit: RungLimit) -> str:
    return f"; {_reached(limit)} too" if limit.reached is not None else ""


def _stride(evidence: Evidence | None) -> str:
    """Return the stride of the loop through memory, if it skips most of the memory."""
    walk = evidence.loop.walk if evidence is not None else None
    if not (walk and all(walk)) or walk[1] > SPARSE * abs(walk[0]):
        return ""
    return f" (reads {walk[1]:,} of {abs(walk[0]):,} B)"


def _spills(evidence: Evidence | None) -> str:
    count = evidence.loop.spills if evidence is not None else 0
    return f"{count} spill{'s' if count != 1 else ''} per iteration (registers full)"


# The answer.


def answer(ladders: Sequence[tuple[str, Sequence[Step]]]) -> Answer | None:
    """Return the answer of the last ladder that has a time; None if no ladder has one.

    Nothing is concluded from times in doubt.
    """
    for name, steps in reversed(ladders):
        timed = [step for step in steps if step.measurement.time_s is not None]
        sure = [step for step in timed if step.measurement.doubt is None]
        if sure:
            return _answer(name if len(ladders) > 1 else "", sure, timed)
        if timed:
            sentence = "Every time is in doubt: measure again on an idle machine."
            return Answer((sentence,), again("ladder", timed[0].measurement), repeats=True)
    return None


def _answer(name: str, sure: Sequence[Step], timed: Sequence[Step]) -> Answer:
    best = min(sure, key=lambda s: s.measurement.time_s.median if s.measurement.time_s else 0.0)
    doubtful = doubts.may_be_faster(best.measurement, [step.measurement for step in timed])
    faster = [step.rung.name for step in timed if step.measurement in doubtful[:1]]
    sentences = [_fastest(name, best, faster)]
    gains = [step for step in sure if step.before is not None and step.before.verdict == "faster"]
    if gains:
        best_gain = max(gains, key=_speed_up)
        sentences.append(_gain(best_gain, certain=best_gain is max(sure, key=_speed_up)))
    if best.limit is not None and best.limit.kind != "peak":
        sentences.append(f"What limits {best.rung.name}: {limit_phrase(best)}.")
    kind = best.limit.kind if best.limit is not None else None
    return Answer(tuple(sentences), after_ladder(best.measurement, kind))


def _fastest(name: str, best: Step, faster: Sequence[str]) -> str:
    """Return the rate of a rung; ``faster``: the rung that may be faster, its time is in doubt."""
    measurement = best.measurement
    rate = units.si(measurement.flop_per_s or 0, "FLOP/s")
    threads = measurement.threads
    cores = f"{threads} core{'s' if threads > 1 else ''}"
    reached = measurement.peak_fraction
    of_peak = f", {share(reached)} of the peak of {cores}" if reached is not None else ""
    if tables.effective(measurement):
        of_peak += " (it executes fewer FLOPs than are counted)"
    at = f"{name}: " if name else ""
    if faster:
        may = f"{faster[0]} may be faster, but its time is in doubt"
        return f"{at}{best.rung.name} reaches {rate}{of_peak}; {may}."
    return f"{at}{best.rung.name} is the fastest rung: {rate}{of_peak}."


def _speed_up(step: Step) -> float:
    return step.before.ratio.inverse.value if step.before is not None else 0.0


def _gain(step: Step, *, certain: bool) -> str:
    """Return the gain of a rung and its idea; not ``certain`` if a larger gain is undecided."""
    below = step.before.b.strategy if step.before is not None else ""
    times = units.digits(_speed_up(step))
    idea = step.summary.split(";")[0] if step.rung.name == step.rung.strategy else ""
    largest = "The largest gain" if certain else "The largest gain that is certain"
    text = f"{largest} is {step.rung.name}: {times} times as fast as {below}"
    return f"{text} ({idea})." if idea else f"{text}."
