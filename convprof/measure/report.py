"""From samples to a ``Measurement``."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from typing import TYPE_CHECKING, Any

from convprof import doubts, stats
from convprof.doubts import QUIET
from convprof.measure.bench import BenchError
from convprof.results import Cycles, Flops, Measurement, Status, Time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.doubts import Surroundings
    from convprof.measure.contestant import Contestant
    from convprof.measure.participant import Participant
    from convprof.measure.stopwatch import Sample, Source
    from convprof.problems import Problem


def describe(problem: Problem) -> dict[str, Any]:
    """Return the problem as the result document has it: one object for all results of a problem.

    A description is as large as all the numbers of a result, and a batch keeps every result.
    """
    return _described(problem, problem.name)


@functools.lru_cache(maxsize=16)  # the problems of one session
def _described(problem: Problem, name: str) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "descriptor": problem.descriptor,
        "name": name or None,
        **problem.dims(),
    }


def excluded(
    contestant: Contestant, status: Status, reason: str, error: float | None = None
) -> Measurement:
    """Return the record of a contestant that was not timed."""
    return Measurement(
        problem=describe(contestant.problem),
        strategy=contestant.strategy.name,
        layout=contestant.layout,
        dtype=contestant.setting.dtype,
        threads=contestant.setting.threads,
        cache=contestant.cache,
        status=status,
        reason=reason,
        isa=contestant.isa,
        environment=contestant.environment.name if contestant.environment else None,
        max_rel_error=error,
    )


def failed(contestant: Contestant, error: Exception) -> Measurement:
    """Return the record of a contestant that raised, with the first line of the message."""
    return excluded(contestant, "failed", reason(error))


def reason(error: Exception) -> str:
    """Return the type of an error and the first line of its message."""
    text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0]


def finished(
    participant: Participant,
    samples: Sequence[Sample],
    source: Source | None,
    around: Surroundings = QUIET,
) -> Measurement:
    """Return the record of a contestant from its samples, without its share of the peak.

    ``around``: what other programs did meanwhile.
    """
    contestant, facts = participant.contestant, participant.bench.facts
    problem, setting = contestant.problem, contestant.setting
    time = _time([sample.seconds for sample in samples], participant.calls)
    bytes_min = problem.bytes_min(setting.types)
    measurement = Measurement(
        problem=describe(problem),
        strategy=contestant.strategy.name,
        layout=contestant.layout,
        dtype=setting.dtype,
        threads=setting.threads,
        cache=contestant.cache,
        status="ok",
        isa=contestant.isa,
        environment=contestant.environment.name if contestant.environment else None,
        time_s=time,
        cycles=_cycles(samples, problem.flops, source),
        flops=Flops(problem.flops, facts.executed_flops),
        flop_per_s=problem.flops / time.median if problem.flops else None,
        bytes_min=bytes_min,
        intensity=problem.flops / bytes_min if bytes_min else None,
        bytes_moved=facts.bytes_moved,
        phases=dict(participant.phases) or None,
        workspace_bytes=facts.workspace_bytes,
        prepare_s=facts.prepare_s,
        compile_s=facts.compile_s,
        max_rel_error=participant.error,
        note=facts.note,
    )
    doubt = participant.doubt or doubts.of_samples(measurement, around)
    return dataclasses.replace(measurement, doubt=doubt)


def _time(seconds: list[float], calls: int) -> Time:
    interval = stats.median_interval(seconds)
    return Time(
        median=stats.median(seconds),
        mad=stats.mad(seconds),
        ci95_low=interval[0] if interval else None,
        ci95_high=interval[1] if interval else None,
        min=min(seconds),
        samples=len(seconds),
        calls_per_sample=calls,
        rounds_s=stats.compact(seconds),
    )


def _cycles(samples: Sequence[Sample], flops: int, source: Source | None) -> Cycles | None:
    """Return the cycles, of the samples whose cycles were found in the most frequent way."""
    counted = [
        (sample.source or source, sample.cycles, sample.core_hz)
        for sample in samples
        if sample.cycles is not None and sample.core_hz is not None
    ]
    ways = Counter(way for way, _, _ in counted if way is not None)
    if source is None or not ways:
        return None
    # Of two equally frequent ways the calibrated one, which missed nothing.
    chosen = max(ways, key=lambda way: (ways[way], way == "calibrated"))
    per_call = stats.median([cycles for way, cycles, _ in counted if way == chosen])
    core_hz = stats.median([hz for way, _, hz in counted if way == chosen])
    return Cycles(per_call, per_call / flops if flops else None, chosen, core_hz)
