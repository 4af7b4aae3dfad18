"""What goes over the pipes, as JSON: a contestant, a sample, facts of a strategy, an error."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from convprof.errors import InputError, RefusedError, ThreadsError, ToolchainError
from convprof.json_checks import array, count, mapping, number, positive, text, words
from convprof.measure import report
from convprof.measure.bench import BenchError, Facts
from convprof.measure.contestant import Cache, Contestant
from convprof.measure.stopwatch import Sample, Source
from convprof.problems.from_json import problem_from
from convprof.strategies.base import Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.strategies.base import Strategy


def contestant_fields(contestant: Contestant) -> dict[str, Any]:
    """Return a contestant; InputError if its problem has no text."""
    described = report.describe(contestant.problem)
    if problem_from(described) != contestant.problem:
        raise InputError(f"{contestant.problem.descriptor} cannot be sent to another process")
    return {
        "strategy": contestant.strategy.name,
        "problem": described,
        "setting": asdict(contestant.setting),
        "cache": contestant.cache,
    }


def contestant_from(
    message: dict[str, Any], find: Callable[[str, str], Strategy[Any]]
) -> Contestant:
    """Return the contestant; ``find`` returns a strategy by kind and name."""
    problem = problem_from(mapping(message.get("problem")))
    setting = Setting(**mapping(message.get("setting")))
    strategy = find(problem.kind, text(message.get("strategy")))
    return Contestant(strategy, problem, setting, _one_of(message.get("cache"), Cache))


def sample_from(message: dict[str, Any]) -> Sample:
    """Return a sample."""
    return Sample(
        positive(message.get("seconds")),
        _or_none(positive, message.get("core_hz")),
        _or_none(number, message.get("cycles")),
        _or_none(lambda value: _one_of(value, Source), message.get("source")),
    )


def facts_from(message: dict[str, Any]) -> Facts:
    """Return what a strategy says of itself."""
    return Facts(
        executed_flops=count(message.get("executed_flops"), 0),
        bytes_moved=count(message.get("bytes_moved"), 0),
        prepare_s=number(message.get("prepare_s")),
        compile_s=number(message.get("compile_s")),
        workspace_bytes=_or_none(lambda value: count(value, 0), message.get("workspace_bytes")),
        times_phases=message.get("times_phases") is True,
        explanation=tuple(map(words, array(message.get("explanation")))),
        note=_or_none(words, message.get("note")),
    )


def phases_from(message: dict[str, Any]) -> dict[str, float]:
    """Return the seconds of each phase by name."""
    phases = mapping(message.get("phases"))
    return {text(name): number(seconds) for name, seconds in phases.items()}


def versions_from(message: dict[str, Any]) -> dict[str, str]:
    """Return the versions of the libraries that the process has loaded, by package."""
    return {text(name): text(value) for name, value in mapping(message.get("versions")).items()}


_KINDS: dict[str, type[Exception]] = {
    "toolchain": ToolchainError,
    "threads": ThreadsError,
    "refused": RefusedError,
}
"""By name, the errors that mean something to a session."""


def error_fields(error: Exception) -> dict[str, Any]:
    """Return what a contestant raised."""
    if isinstance(error, ToolchainError):
        return {"error": "toolchain", "text": str(error)}
    if isinstance(error, ThreadsError):
        return {"error": "threads", "text": str(error)}
    if isinstance(error, InputError):
        return {"error": "refused", "text": str(error)}
    return {"error": "failed", "text": report.reason(error)}


def error_from(message: dict[str, Any]) -> Exception | None:
    """Return the error that a reply is; None for another reply."""
    if "error" not in message:
        return None
    return _KINDS.get(text(message["error"]), BenchError)(words(message.get("text")))


def _one_of(value: Any, literal: Any) -> Any:
    if value not in get_args(literal):
        raise InputError("a word is missing or unknown")
    return value


def _or_none(check: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else check(value)
