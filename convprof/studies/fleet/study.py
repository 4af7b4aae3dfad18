"""Measure a job on the hosts of a cluster; each result goes to the file when it arrives.

Dask decides when a task runs. What happens here: which tasks are left, which hosts are gone, and
which replies are believed.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from convprof import units
from convprof.errors import ConvprofError
from convprof.studies.fleet.choices import read_stored
from convprof.studies.fleet.cluster import Answer
from convprof.studies.fleet.division import Everywhere, Spread
from convprof.studies.fleet.members import Members

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convprof.studies.fleet.cluster import Cluster
    from convprof.studies.fleet.division import Division, Host
    from convprof.studies.fleet.job import Job
    from convprof.studies.fleet.members import Change

POLL_S = 1.0
"""Seconds between two looks at the hosts."""
ATTEMPTS = 3
"""How often a task is begun that Dask loses, because its worker ends."""


class Fleet:
    """A job on the hosts. Iterate over ``events()``; then the file has every result."""

    def __init__(self, cluster: Cluster, job: Job) -> None:
        """Nothing is measured before ``events``."""
        self._cluster, self._job = cluster, job
        self._members = Members(cluster, job.terms)
        self._division: Division = Everywhere(0, ())
        self.done = 0
        """The number of results, also of an earlier command."""

    @property
    def notes(self) -> list[str]:
        """Remarks on hosts."""
        return self._members.notes

    @property
    def total(self) -> int:
        """The number of results in the end."""
        return self._division.total

    @property
    def before(self) -> int:
        """The number of results of an earlier command."""
        return self._division.before

    def events(self) -> Iterator[str]:
        """Measure; yield a text after each result, and at least every second."""
        yield "waiting for hosts"
        finished = self._job.finished()
        yield from self._members.find(self._job.machine)
        self._cluster.claim()
        division = Spread if self._job.terms.spread else Everywhere
        self._division = division(self._job.size, finished)
        for host in self._hosts:
            self._division.add(host)
        self.done = self.before
        start = looked = time.monotonic()
        self._look()
        while not self._division.ends(self._hosts):
            for host in self._hosts:
                self._submit(host)
            self._take(self._cluster.answers(POLL_S))
            if time.monotonic() - looked >= POLL_S:
                looked = time.monotonic()
                self._look()
            yield self._progress(start)
        self._share_choices()

    def _share_choices(self) -> None:
        """Let all hosts store what ``auto`` chose on each of them."""
        choices = self._job.choices()
        if not choices:
            return
        replies = self._cluster.store([host.name for host in self._hosts], json.dumps(choices))
        stored = [host for host, reply in replies.items() if read_stored(reply)]
        number = len({json.dumps(choice["key"], sort_keys=True) for choice in choices})
        self.notes.append(
            f"{number} choice{'' if number == 1 else 's'} of auto: stored on {len(stored)} of "
            f"{len(self._members.hosts)} hosts"
        )

    @property
    def _hosts(self) -> list[Host]:
        return self._members.present()

    # The tasks.

    def _submit(self, host: Host) -> None:
        while (index := self._division.take(host)) is not None:
            if not host.running:
                self._members.hear(host)  # its silence begins with this task
            host.running.add(index)
            key = (host.name, index)
            self._cluster.submit(key, self._job.request(key))

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
        self._write([answer for answer in answers if not self._begins_again(answer)])

    def _begins_again(self, answer: Answer) -> bool:
        """Take a task from its host; return whether it is begun again because Dask lost it."""
        name, index = answer.key
        host = self._members.hosts[name]
        host.running.discard(index)
        self._members.hear(host)
        attempts = host.attempts.get(index, 1)
        if not answer.lost or attempts >= ATTEMPTS:
            return False
        host.attempts[index] = attempts + 1
        self._division.back(host, [index])
        return True

    def _write(self, answers: Sequence[Answer]) -> None:
        self._job.write(answers)
        self.done += len(answers)

    # The hosts.

    def _look(self) -> None:
        """Follow the hosts that come, go and return."""
        for change in self._members.look():
            self._follow(change)

    def _follow(self, change: Change) -> None:
        host = change.host
        if change.what == "came":
            self.done += self._division.add(host)
            self.notes.append(f"{host.name} came later, and takes part")
        elif change.what == "restarted":
            self._submit_again(host)
        elif change.what == "gone":
            self._give_up(host, change.reason)
        else:
            self._resume(host)

    def _submit_again(self, host: Host) -> None:
        """Submit the tasks of a host again whose workers are all new.

        Dask does not look at waiting tasks when a worker gets a resource after its start.
        """
        self._cluster.drop([(host.name, index) for index in host.running])
        self._division.back(host, host.running)
        host.running.clear()

    def _give_up(self, host: Host, reason: str) -> None:
        """Write as failures what no other host measures."""
        self._cluster.drop([(host.name, index) for index in host.running])
        failed = self._division.abandon(host)
        left = f" with {_problems(len(failed))} left" if failed else ""
        self.notes.append(f"{host.name} is given up{left}: {reason}")
        self._write([Answer((host.name, index), error=reason) for index in failed])
        if not self._hosts and not self._division.ends(()):
            raise ConvprofError(f"no host is left: {reason}")

    def _resume(self, host: Host) -> None:
        """Let a host that was given up take part again."""
        self.notes.append(f"{host.name} is back, and takes part again")
        self.done -= self._division.resume(host)

    def _progress(self, start: float) -> str:
        own, left = self.done - self.before, self.total - self.done
        number = len(self._hosts)
        hosts_shown = f"{number} host{'' if number == 1 else 's'}"
        text = f"{self.done} of {self.total} measured, on {hosts_shown}"
        if own <= 0 or not left:
            return text
        remaining_s = (time.monotonic() - start) / own * left
        return f"{text}, {units.duration(remaining_s)} left"


def _problems(number: int) -> str:
    return f"{number} problem{'' if number == 1 else 's'}"
