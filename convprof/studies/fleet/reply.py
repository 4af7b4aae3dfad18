"""The reply of a task, checked: a host may return anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from convprof.errors import InputError
from convprof.json_checks import decoded, mapping, words
from convprof.results import FAILURES, Measurements, plain
from convprof.studies import reading
from convprof.studies.fleet import choices
from convprof.studies.fleet.task import MOST_BYTES
from convprof.version import VERSION

if TYPE_CHECKING:
    from convprof.results import Document, Measurement

Status = Literal["finished", "refused", "failed"]
"""``finished``: a strategy has a time. Only what has failed is measured again."""


@dataclass(frozen=True)
class Reply:
    """What became of a problem on a host."""

    status: Status
    reason: str | None = None
    document: Document | None = None
    choices: tuple[dict[str, Any], ...] = ()
    """What ``auto`` chose, as the store of the host has it."""


def failed(reason: str) -> Reply:
    """Return the reply for a problem without a result."""
    return Reply("failed", reason)


def read(data: Any, problem: dict[str, Any], dtype: str, *, any_version: bool = False) -> Reply:
    """Return what a task returned; a reply without sense is a failure with the reason."""
    try:
        return _read(data, plain(problem), dtype, any_version=any_version)
    except InputError as error:
        return failed(f"the host answered without sense: {error}")


def _read(data: Any, problem: dict[str, Any], dtype: str, *, any_version: bool) -> Reply:
    status, fields = content(data)
    if status != "finished":
        return Reply(status, words(fields.get("reason")))
    document = reading.document(fields.get("document"))
    check_version(document, any_version=any_version)
    measurements = list(document.measurements)
    if not measurements:
        raise InputError("there is no measurement in it")
    for measurement in measurements:
        _check(measurement, problem, dtype)
    named = [replace(m, problem=problem) for m in measurements]
    document = replace(document, measurements=Measurements(named))
    return Reply(*_status(named), document, tuple(choices.read(fields.get("choices", []))))


def content(data: Any) -> tuple[Status, dict[str, Any]]:
    """Return the status of what a task returned, and its fields; InputError for nonsense."""
    if not isinstance(data, str):
        raise InputError("a text is missing")
    fields = mapping(decoded(data.encode(errors="replace"), MOST_BYTES + (1 << 10)))
    return reading.one_of(fields.get("status"), get_args(Status), "status"), fields


def check_version(document: Document, *, any_version: bool) -> None:
    """Raise InputError for a document of another version, unless any version is accepted."""
    if document.tool_version != VERSION and not any_version:
        raise InputError(f"convprof {document.tool_version} wrote the result, here {VERSION}")


def _check(measurement: Measurement, problem: dict[str, Any], dtype: str) -> None:
    """Raise InputError unless the measurement is of the problem; a host does not know its name."""
    if measurement.dtype != dtype:
        raise InputError(f"it is of another type: {measurement.dtype}")
    for key, value in problem.items():
        if key != "name" and measurement.problem.get(key) != value:
            raise InputError(f"it is of another problem: {key} {measurement.problem.get(key)!r}")


def _status(measurements: list[Measurement]) -> tuple[Status, str | None]:
    """Return the status of a document, and the reason if nothing has a time."""
    if any(m.status == "ok" for m in measurements):
        return "finished", None
    failure = next((m for m in measurements if m.status in FAILURES), None)
    if failure is not None:
        return "failed", failure.reason or failure.status
    return "refused", measurements[0].reason
