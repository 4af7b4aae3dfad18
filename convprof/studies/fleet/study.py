"""Measure a suite on every host of a cluster; each result goes to the file when it arrives.

Dask decides when a task runs. What happens here: which tasks are left, which hosts are gone, and
which replies are believed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convprof import units
from convprof.errors import InputError
from convprof.problems.from_json import problem_from
from convprof.strategies import registry
from convprof.strategies.epilogue import SUFFIX
from convprof.studies.fleet import hosts, records, reply
from convprof.studies.fleet.records import Part
from convprof.studies.fleet.request import Request

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator, Mapping, Sequence

    from convprof.studies.fleet.cluster import Answer, Cluster
    from convprof.studies.fleet.reply import Reply
    from convprof.studies.journal import Journal

WINDOW = 16
"""Tasks of a host that Dask has at a time: its next one waits there when one ends."""
POLL_S = 1.0
"""Seconds between two looks at the hosts."""
SLACK_S = 60.0
"""Seconds that a task may take beyond the time limit of its process."""
ATTEMPTS = 3
"""How often a task is begun that Dask loses, because its worker ends."""
TURNS = 2
"""Time limits without an answer after which a machine hangs: before ours, a task of a client that
has ended may still measure there."""


@dataclass(frozen=True)
class Terms:
    """How a suite is measured."""

    by: hosts.By
    options: Mapping[str, tuple[str, ...]]
    limit_s: float = 600.0
    """The longest time of one problem on one host."""
    away_s: float = 30.0
    """The longest time without a worker, until a host is given up."""
    hosts: int = 1
    """How many hosts to wait for before the first problem."""
    any_version: bool = False

    def options_of(self, problem: dict[str, Any]) -> Mapping[str, tuple[str, ...]]:
        """Return the options for a problem: of the strategies, those that its kind has.

        A suite may have problems of several kinds. Where the kind has none of the strategies, the
        host refuses the problem and lists what there is.
        """
        asked = [name for value in self.options.get("strategy", ()) for name in value.split(",")]
        known = {strategy.name for strategy in registry.strategies(problem_from(problem).kind)}
        own = [name for name in asked if name.removesuffix(SUFFIX) in known]
        return {**self.options, "strategy": (",".join(own),)} if own else self.options


@dataclass
class _Host:
    """A host, and what is left to do there."""

    name: str
    machine: str
    left: deque[Part]
    running: dict[int, Part] = field(default_factory=dict)
    workers: set[str] = field(default_factory=set)
    """The addresses of its workers, when there were any."""
    missing_since: float | None = None
    attempts: dict[int, int] = field(default_factory=dict)
    """How often a task was begun that Dask lost."""

    @property
    def ends(self) -> bool:
        """Whether everything is done."""
        return not self.left and not self.running


class Fleet:
    """A suite on all hosts. Iterate over ``events()``; then the file has every result."""

    def __init__(
        self, cluster: Cluster, journal: Journal, suite: Sequence[Part], terms: Terms
    ) -> None:
        """``suite``: the problems, without a host."""
        self._cluster, self._journal, self._suite, self._terms = cluster, journal, suite, terms
        self._hosts: dict[str, _Host] = {}
        self._heard: dict[str, float] = {}
        """By machine, when it answered last."""
        self._keys: dict[str, str] = {}
        """By host, the key of its machine in earlier results."""
        self.notes: list[str] = []
        """Remarks on hosts."""
        self.done = self.total = self.before = 0
        """Numbers of results: by now, in the end, and of an earlier command."""

    def events(self) -> Iterator[str]:
        """Measure; yield a text after each result, and at least every second."""
        yield "waiting for hosts"
        yield from self._find_hosts()
        self._cluster.claim()
        self._divide()
        start = time.monotonic()
        self._heard = dict.fromkeys((h.machine for h in self._hosts.values()), start)
        looked = start
        self._look()
        while not all(host.ends for host in self._hosts.values()):
            for host in self._hosts.values():
                self._submit(host)
            self._take(self._cluster.answers(POLL_S))
            if time.monotonic() - looked >= POLL_S:
                looked = time.monotonic()
                self._look()
            yield self._progress(start)

    def names(self) -> list[str]:
        """Return the hosts."""
        return list(self._hosts)

    # The hosts.

    def _find_hosts(self) -> Iterator[str]:
        """Wait until there are as many hosts as the terms say; InputError if they do not come."""
        until = time.monotonic() + self._terms.away_s
        while True:
            known = self._cluster.identities()
            machines = {identity.host: identity.machine for identity in known}
            if len(machines) >= self._terms.hosts:
                break
            if time.monotonic() > until:
                raise InputError(
                    f"{len(machines)} of {self._terms.hosts} came within {self._terms.away_s:g} s",
                    field="hosts",
                    value=self._terms.hosts,
                )
            yield f"waiting for hosts: {len(machines)} of {self._terms.hosts}"
            time.sleep(min(POLL_S, 0.2))
        for identity in known:
            self._check_version(identity)
        from collections import deque

        self._hosts = {
            name: _Host(name, machine, deque()) for name, machine in sorted(machines.items())
        }

    def _check_version(self, identity: hosts.Identity) -> None:
        """Raise InputError for a worker with other versions, or remark it."""
        differ = hosts.differences(identity.versions)
        if not differ:
            return
        text = f"{identity.host} has {', '.join(differ)}"
        if not self._terms.any_version:
            raise InputError(
                f"{text}. Install the same versions; this flag accepts others", field="any_version"
            )
        self.notes.append(text)

    def _divide(self) -> None:
        """Give each host what is not finished there."""
        finished = self._finished()
        for host in self._hosts.values():
            parts = (Part(p.index, p.problem, p.count, host.name) for p in self._suite)
            host.left.extend(part for part in parts if (part.index, host.name) not in finished)
        self.total = len(self._suite) * len(self._hosts)
        left = sum(len(host.left) for host in self._hosts.values())
        self.done = self.before = self.total - left

    def _finished(self) -> set[tuple[int, str]]:
        """Return what the file has from an earlier command, without failures."""
        finished: set[tuple[int, str]] = set()
        for part, stored in records.lines(self._journal):
            if stored.document is not None:
                self._keys[part.host] = stored.document.machine["key"]
            if stored.status == "failed":
                finished.discard((part.index, part.host))
            else:
                finished.add((part.index, part.host))
        return finished

    # The tasks.

    def _submit(self, host: _Host) -> None:
        while host.left and len(host.running) < WINDOW:
            part = host.left.popleft()
            host.running[part.index] = part
            terms = self._terms
            options = terms.options_of(part.problem)
            request = Request(part.problem, host.name, terms.by, terms.limit_s, options)
            self._cluster.submit((host.name, part.index), request.to_json())

    def _take(self, answers: Sequence[Answer]) -> None:
        """Write what tasks returned; if Dask lost one, look whether the scheduler is there.

        First what is finished: without a scheduler the command ends.
        """
        finished = [answer for answer in answers if answer.error is None]
        self._write_ended(finished)
        if len(finished) < len(answers):
            self._cluster.workers()
            self._write_ended([answer for answer in answers if answer.error is not None])

    def _write_ended(self, answers: Sequence[Answer]) -> None:
        ended = [(self._ended(answer), answer) for answer in answers]
        self._write([(part, self._reply(part, answer)) for part, answer in ended if part])

    def _ended(self, answer: Answer) -> Part | None:
        """Return the part of a task that has ended; None if the task is begun again."""
        host = self._hosts[answer.key[0]]
        part = host.running.pop(answer.key[1])
        self._heard[host.machine] = time.monotonic()
        attempts = host.attempts.get(part.index, 1)
        if not answer.lost or attempts >= ATTEMPTS:
            return part
        host.attempts[part.index] = attempts + 1
        host.left.appendleft(part)
        return None

    def _reply(self, part: Part, answer: Answer) -> Reply:
        """Return the checked reply of a task."""
        if answer.error is not None:
            return reply.failed(answer.error)
        read = reply.read(answer.data, part.problem, any_version=self._terms.any_version)
        return self._of_same_machine(part.host, read)

    def _of_same_machine(self, host: str, read: Reply) -> Reply:
        """Return the reply; a failure if an earlier result of the host is of another machine."""
        if read.document is None:
            return read
        key = read.document.machine["key"]
        if self._keys.setdefault(host, key) == key:
            return read
        return reply.failed(f"{host} was another machine before: write to another file")

    def _write(self, results: Sequence[tuple[Part, Reply]]) -> None:
        """Write results, which are on the disk together."""
        self._journal.append_all([records.record(part, result) for part, result in results])
        self.done += len(results)

    def _look(self) -> None:
        """Give up hosts that have no worker, or do not answer."""
        known, now = self._cluster.workers(), time.monotonic()
        silence = TURNS * self._terms.limit_s + SLACK_S
        for host in self._hosts.values():
            if host.ends:
                continue
            workers = known.get(host.name, set())
            if workers:
                self._renew(host, workers)
            elif host.missing_since is None:
                host.missing_since = now
            if host.missing_since is not None and now - host.missing_since >= self._terms.away_s:
                self._give_up(host, "its worker is gone")
            elif now - self._heard[host.machine] > silence:
                self._give_up(host, f"its worker did not answer for {silence:g} s")

    def _renew(self, host: _Host, workers: set[str]) -> None:
        """Submit the tasks of a host again if all its workers are new.

        Dask does not look at waiting tasks when a worker gets a resource after its start.
        """
        host.missing_since = None
        if host.workers and not host.workers & workers:
            self._cluster.drop([(host.name, index) for index in host.running])
            host.left.extendleft(reversed(host.running.values()))
            host.running.clear()
        host.workers = workers

    def _give_up(self, host: _Host, reason: str) -> None:
        """Write what is left of a host as failures."""
        self._cluster.drop([(host.name, index) for index in host.running])
        parts = [*host.running.values(), *host.left]
        host.running.clear()
        host.left.clear()
        self.notes.append(f"{host.name} is given up, {len(parts)} problems are left: {reason}")
        self._write([(part, reply.failed(reason)) for part in parts])

    def _progress(self, start: float) -> str:
        own, left = self.done - self.before, self.total - self.done
        number = len(self._hosts)
        hosts_shown = f"{number} host{'' if number == 1 else 's'}"
        text = f"{self.done} of {self.total} measured, on {hosts_shown}"
        if not own or not left:
            return text
        remaining_s = (time.monotonic() - start) / own * left
        return f"{text}, {units.duration(remaining_s)} left"


def suite_of(problems: Sequence[tuple[dict[str, Any], int]]) -> list[Part]:
    """Return the parts of a suite, of problems with the number of their occurrences."""
    return [Part(index, problem, count, "") for index, (problem, count) in enumerate(problems)]
