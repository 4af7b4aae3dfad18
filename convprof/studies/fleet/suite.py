"""A suite of problems as a job: every problem is a task, and a line of the file for each host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convprof.problems.from_json import problem_from
from convprof.strategies import registry
from convprof.strategies.epilogue import SUFFIX
from convprof.studies.fleet import records, reply
from convprof.studies.fleet.job import Job
from convprof.studies.fleet.records import Part
from convprof.studies.fleet.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.studies.fleet.cluster import Answer, Key
    from convprof.studies.fleet.job import Terms
    from convprof.studies.fleet.reply import Reply
    from convprof.studies.journal import Journal


class Suite(Job):
    """Problems with the number of their occurrences, and the file that gets their results."""

    def __init__(self, journal: Journal, parts: Sequence[Part], terms: Terms) -> None:
        """``parts``: the problems, without a host."""
        self._journal, self._parts, self._terms = journal, parts, terms
        self._machines: dict[str, str] = {}
        """By host, the key of its machine in earlier results."""

    @property
    def size(self) -> int:
        """The number of problems."""
        return len(self._parts)

    def finished(self) -> set[Key]:
        """Return what the file has from an earlier command, without failures."""
        finished: set[Key] = set()
        for part, stored in records.lines(self._journal):
            if stored.document is not None:
                self._machines[part.host] = stored.document.machine["key"]
            if stored.status == "failed":
                finished.discard((part.host, part.index))
            else:
                finished.add((part.host, part.index))
        return finished

    def request(self, key: Key) -> str:
        """Return the argument of a task: one problem."""
        host, index = key
        problem, terms = self._parts[index].problem, self._terms
        options = options_of(terms.options, problem)
        return Request(problem, host, terms.by, terms.limit_s, options).to_json()

    def write(self, answers: Sequence[Answer]) -> None:
        """Write a line for each task."""
        replies = [(self._part(answer), self._reply(answer)) for answer in answers]
        self._journal.append_all([records.record(part, reply) for part, reply in replies])

    def _part(self, answer: Answer) -> Part:
        host, index = answer.key
        part = self._parts[index]
        return Part(index, part.problem, part.count, host)

    def _reply(self, answer: Answer) -> Reply:
        """Return the checked reply of a task."""
        if answer.error is not None:
            return reply.failed(answer.error)
        host, index = answer.key
        problem = self._parts[index].problem
        read = reply.read(answer.data, problem, any_version=self._terms.any_version)
        return self._of_same_machine(host, read)

    def _of_same_machine(self, host: str, read: Reply) -> Reply:
        """Return the reply; a failure if an earlier result of the host is of another machine."""
        if read.document is None:
            return read
        key = read.document.machine["key"]
        if self._machines.setdefault(host, key) == key:
            return read
        return reply.failed(f"{host} was another machine before: write to another file")


def suite_of(problems: Sequence[tuple[dict[str, Any], int]]) -> list[Part]:
    """Return the parts of a suite, of problems with the number of their occurrences."""
    return [Part(index, problem, count, "") for index, (problem, count) in enumerate(problems)]


def options_of(
    options: Mapping[str, tuple[str, ...]], problem: dict[str, Any]
) -> Mapping[str, tuple[str, ...]]:
    """Return the options for a problem: of the strategies, those that its kind has.

    A suite may have problems of several kinds. Where the kind has none of the strategies, the
    host refuses the problem and lists what there is.
    """
    asked = [name for value in options.get("strategy", ()) for name in value.split(",")]
    known = {strategy.name for strategy in registry.strategies(problem_from(problem).kind)}
    own = [name for name in asked if name.removesuffix(SUFFIX) in known]
    return {**options, "strategy": (",".join(own),)} if own else options
