"""A suite of problems as a job: every problem is a task, and a line of the file for each host."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convprof.problems.from_json import problem_from
from convprof.strategies import registry
from convprof.strategies.epilogue import SUFFIX
from convprof.studies.fleet import records, reply
from convprof.studies.fleet.job import Job
from convprof.studies.fleet.records import Part
from convprof.studies.fleet.request import Request, described

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.problems.typed import TypedProblem
    from convprof.studies.fleet.cluster import Answer, Key
    from convprof.studies.fleet.job import Terms
    from convprof.studies.fleet.reply import Reply
    from convprof.studies.journal import Journal, Record


class Suite(Job):
    """Problems with the number of their occurrences, and the file that gets their results."""

    def __init__(self, journal: Journal, parts: Sequence[Part], terms: Terms) -> None:
        """``parts``: the problems, without a host."""
        super().__init__(journal, terms)
        self._parts = parts
        self._machines: dict[str, str] = {}
        """By host, the key of its machine in earlier results."""
        self._measured: set[int] = set()
        """The problems that have a result."""

    @property
    def size(self) -> int:
        """The number of problems."""
        return len(self._parts)

    @property
    def machine(self) -> str | None:
        """The key of the machine of an earlier result."""
        return next(iter(self._machines.values()), None)

    def finished(self) -> set[Key]:
        """Return what the file has from an earlier command, without failures."""
        finished: set[Key] = set()
        for part, stored in records.lines(self.journal):
            if stored.document is not None:
                self._machines[part.host] = stored.document.machine["key"]
            if stored.status == "failed":
                finished.discard((part.host, part.index))
            else:
                finished.add((part.host, part.index))
        self._measured = {index for _, index in finished}
        return finished

    def request(self, key: Key) -> str:
        """Return the argument of a task: one problem."""
        host, index = key
        part, terms = self._parts[index], self.terms
        options = options_of(terms.options, part)
        return Request(
            part.problem, host, terms.by, terms.limit_s, options, sends_choices=terms.spread
        ).to_json()

    def choices(self) -> list[dict[str, Any]]:
        """Return what ``auto`` chose on any of the identical hosts."""
        lines = records.lines(self.journal) if self.terms.spread else ()
        return [choice for _, read in lines for choice in read.choices]

    def write(self, answers: Sequence[Answer]) -> None:
        """Write a line for each task."""
        self.journal.append_all([self._line(answer) for answer in answers])

    def _line(self, answer: Answer) -> Record:
        host, index = answer.key
        read = self._reply(answer)
        is_control = self.terms.spread and index in self._measured
        if read.status != "failed":
            self._measured.add(index)
        part = replace(self._parts[index], host=host, is_control=is_control)
        return records.record(part, read)

    def _reply(self, answer: Answer) -> Reply:
        """Return the checked reply of a task."""
        if answer.error is not None:
            return reply.failed(answer.error)
        host, index = answer.key
        part = self._parts[index]
        read = reply.read(answer.data, part.problem, part.dtype, any_version=self.terms.any_version)
        return self._of_same_machine(host, read)

    def _of_same_machine(self, host: str, read: Reply) -> Reply:
        """Return the reply; a failure if an earlier result of the host is of another machine.

        Identical hosts are one machine.
        """
        if read.document is None:
            return read
        key = read.document.machine["key"]
        earlier = (self.machine or key) if self.terms.spread else key
        if self._machines.setdefault(host, earlier) == key:
            return read
        return reply.failed(f"{host} was another machine before: write to another file")


def suite_of(counts: Mapping[TypedProblem, int]) -> list[Part]:
    """Return the parts of a suite, of problems with the number of their occurrences.

    InputError if a host could not compute one of the problems.
    """
    return [
        Part(index, described(task.problem), count, "", dtype=task.dtype)
        for index, (task, count) in enumerate(counts.items())
    ]


def options_of(options: Mapping[str, tuple[str, ...]], part: Part) -> dict[str, tuple[str, ...]]:
    """Return the options for a problem: its own types, and the strategies that its kind has.

    A suite may have problems of several kinds. Where the kind has none of the strategies, the
    host refuses the problem and lists what there is.
    """
    asked = [name for value in options.get("strategy", ()) for name in value.split(",")]
    known = {strategy.name for strategy in registry.strategies(problem_from(part.problem).kind)}
    own = [name for name in asked if name.removesuffix(SUFFIX) in known]
    chosen = {"strategy": (",".join(own),)} if own else {}
    return {**options, "dtype": (part.dtype,), **chosen}
