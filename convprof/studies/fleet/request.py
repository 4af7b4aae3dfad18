"""What a task of a fleet computes, as JSON: one problem, and the options of its measurement.

A task is ``convprof run`` on a host, or ``convprof sweep`` with one point. A request has the values
of options, never words of a command line: a request cannot name files.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import array, count, decoded, mapping, positive, text, words
from convprof.measure.report import describe
from convprof.problems.from_json import problem_from
from convprof.studies.next_command import problem_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.problems import Problem

OPTIONS = (
    "strategy", "layout", "threads", "dtype", "isa", "tune", "retune", "max_error", "cache",
    "budget", "rounds", "seed", "isolate", "wait_idle",
)  # fmt: skip
"""Parameters of ``convprof run`` and ``convprof sweep`` that a request may set."""
LONGEST = 1 << 16
"""Bytes of a request."""


@dataclass(frozen=True)
class Point:
    """A point of a sweep."""

    over: str
    """The variable."""
    x: int


@dataclass(frozen=True)
class Request:
    """A problem for a host, or a point of a sweep."""

    problem: dict[str, Any]
    """The problem as a result document describes it; of a sweep, what stays the same."""
    host: str
    by: str
    """How workers are grouped into hosts: see ``hosts``."""
    limit_s: float
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By parameter, its values; no value: a flag that takes none."""
    point: Point | None = None
    sends_choices: bool = False
    """Whether the host also returns what ``auto`` chose."""

    def to_json(self) -> str:
        """Return the request as a task receives it."""
        return json.dumps(asdict(self))

    def words(self) -> list[str]:
        """Return the words of the command line, without the output."""
        options = [
            f"--{name.replace('_', '-')}{value}"
            for name, values in self.options.items()
            for value in (map("={}".format, values) if values else [""])
        ]
        problem = problem_from(self.problem)
        command = ["run", *problem_options(self.problem)]
        if self.point is not None:
            varied = [f"--over={self.point.over}", f"--range={self.point.x}"]
            command = ["sweep", problem.kind.removesuffix("2d"), *varied]
        return [*command, *options, "--", problem.descriptor]


def described(problem: Problem) -> dict[str, Any]:
    """Return the fields of a problem; InputError if a host could not compute the same problem."""
    fields = describe(problem)
    if problem_from(fields) != problem:
        raise InputError(f"{problem.descriptor} cannot be sent to another host")
    return fields


def read(data: str) -> Request:
    """Return the request in a task's argument; InputError says what is wrong with it."""
    fields = mapping(decoded(data.encode(), LONGEST))
    options = mapping(fields.get("options"))
    for name in options:
        if name not in OPTIONS:
            raise InputError(f"a task has no option {text(name)!r}")
    problem = mapping(fields.get("problem"))
    return Request(
        describe(problem_from(problem)),
        text(fields.get("host")),
        text(fields.get("by")),
        positive(fields.get("limit_s")),
        {name: tuple(map(words, array(values))) for name, values in options.items()},
        None if fields.get("point") is None else _point(mapping(fields["point"])),
        fields.get("sends_choices") is True,
    )


def _point(fields: dict[str, Any]) -> Point:
    return Point(text(fields.get("over")), count(fields.get("x")))
