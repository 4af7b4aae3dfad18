"""Result documents of convprof: a call for each measurement, with its median time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.logs.operation import Call, Operation, is_time, number, word
from convprof.problems.from_json import problem_from

if TYPE_CHECKING:
    from convprof.logs.operation import Reading
    from convprof.problems.base import Problem

LIBRARY = "convprof"
_NETWORK = "network"


def is_measurement(event: dict[str, Any]) -> bool:
    """Whether an object is a measurement of a result document."""
    return isinstance(event.get("problem"), dict) and "strategy" in event and "time_s" in event


def call_of(event: dict[str, Any], reading: Reading) -> Call | None:
    """Return the call; None for a measurement without a time, and for a whole network."""
    problem, time = event["problem"], event["time_s"]
    if problem.get("kind") == _NETWORK:
        reading.nested += 1  # its layers are measurements too
        return None
    seconds = number(time.get("median")) if isinstance(time, dict) else None
    if seconds is None or not is_time(seconds):
        reading.messages += 1  # refused, wrong or failed
        return None
    threads = event.get("threads")
    if isinstance(threads, int) and not isinstance(threads, bool):
        reading.on_threads(LIBRARY, threads)
    return Call(_operation(event, problem), seconds, "execution")


def _operation(event: dict[str, Any], problem: dict[str, Any]) -> Operation:
    kind, text = str(problem.get("kind")), str(problem.get("descriptor"))
    return Operation(
        LIBRARY,
        word(kind),
        word(text),
        word(str(event.get("dtype") or "")),
        word(str(event.get("layout") or "")),
        word(str(event.get("strategy"))),
        _problem(problem),
    )


def _problem(fields: dict[str, Any]) -> Problem | None:
    try:
        return problem_from(fields)
    except InputError:
        return None
