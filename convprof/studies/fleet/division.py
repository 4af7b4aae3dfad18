"""Which host measures which task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.studies.fleet import control

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from convprof.studies.fleet.cluster import Key

WINDOW = 16
"""Tasks of a host that Dask has at a time: its next one waits there when one ends."""


@dataclass
class Host:
    """A host, and what is left to do there."""

    name: str
    machine: str
    left: deque[int] = field(default_factory=deque)
    """The tasks that only this host measures."""
    running: set[int] = field(default_factory=set)
    """The tasks that Dask has."""
    attempts: dict[int, int] = field(default_factory=dict)
    """How often a task was begun that Dask lost."""
    abandoned: list[int] = field(default_factory=list)
    """The tasks that only this host measures, and that were left when it was given up."""

    @property
    def ends(self) -> bool:
        """Whether nothing is left that only this host measures."""
        return not self.left and not self.running


class Division(ABC):
    """The tasks of a job, divided among hosts that come and go."""

    total = 0
    """The number of results in the end."""
    before = 0
    """The number of results of an earlier command."""

    @abstractmethod
    def add(self, host: Host) -> int:
        """Give a new host its tasks; return how many of its results an earlier command has."""

    @abstractmethod
    def take(self, host: Host) -> int | None:
        """Return the next task of a host; None if it has enough, or if there is nothing left."""

    @abstractmethod
    def back(self, host: Host, indices: Iterable[int]) -> None:
        """Take tasks back that were begun on a host and have to be begun again, in this order."""

    @abstractmethod
    def abandon(self, host: Host) -> list[int]:
        """Take everything from a host that is given up; return the tasks that fail with it."""

    @abstractmethod
    def resume(self, host: Host) -> int:
        """Give back what a host had when it was given up; return how many failures that were."""

    def ends(self, hosts: Iterable[Host]) -> bool:
        """Whether everything is measured."""
        return all(host.ends for host in hosts)


class Everywhere(Division):
    """Every host measures every task."""

    def __init__(self, size: int, finished: Collection[Key]) -> None:
        """``finished``: the results of an earlier command."""
        self._size, self._finished = size, finished

    def add(self, host: Host) -> int:
        """Give a new host every task that is not finished there."""
        host.left.extend(i for i in range(self._size) if (host.name, i) not in self._finished)
        before = self._size - len(host.left)
        self.total += self._size
        self.before += before
        return before

    def take(self, host: Host) -> int | None:
        """Return the next task of a host."""
        return host.left.popleft() if host.left and len(host.running) < WINDOW else None

    def back(self, host: Host, indices: Iterable[int]) -> None:
        """Take tasks back: the same host begins them again."""
        host.left.extendleft(sorted(indices, reverse=True))

    def abandon(self, host: Host) -> list[int]:
        """Return what is left: no other host measures it."""
        host.abandoned = [*sorted(host.running), *host.left]
        host.running.clear()
        host.left.clear()
        return host.abandoned

    def resume(self, host: Host) -> int:
        """Give back what has failed with the host."""
        host.left.extend(host.abandoned)
        failures, host.abandoned = len(host.abandoned), []
        return failures


class Spread(Division):
    """Each task is measured on one host. One task, the control, is measured on every host first.

    The hosts are identical; the control says how far they still differ.
    """

    def __init__(self, size: int, finished: Collection[Key]) -> None:
        """``finished``: the results of an earlier command."""
        self._finished, self._control = finished, control.index_of(size)
        done = {index for _, index in finished}
        others = [index for index in range(size) if index != self._control]
        self._shared = deque(index for index in others if index not in done)
        self._number = 0
        """The number of hosts that take part."""
        self.total = len(others)
        self.before = len(others) - len(self._shared)

    def add(self, host: Host) -> int:
        """Give a new host the control, unless it is finished there."""
        before = int((host.name, self._control) in self._finished)
        host.left.extend([] if before else [self._control])
        self._number += 1
        self.total += 1
        self.before += before
        return before

    def take(self, host: Host) -> int | None:
        """Return the control, or the next task that no host has.

        A host has its next task while it measures one, except near the end: then another host may
        be free earlier.
        """
        window = 2 if len(self._shared) > 2 * self._number else 1
        if len(host.running) >= window:
            return None
        if host.left:
            return host.left.popleft()
        return self._shared.popleft() if self._shared else None

    def back(self, host: Host, indices: Iterable[int]) -> None:
        """Take tasks back: any host begins them again, but each host its control."""
        indices = sorted(indices, reverse=True)
        host.left.extendleft(index for index in indices if index == self._control)
        self._shared.extendleft(index for index in indices if index != self._control)

    def abandon(self, host: Host) -> list[int]:
        """Let the other hosts measure what is left."""
        self.back(host, host.running)
        host.running.clear()
        host.abandoned = [*host.left]
        host.left.clear()
        self._number -= 1
        self.total -= len(host.abandoned)
        return []

    def resume(self, host: Host) -> int:
        """Give back the control, unless it was finished; nothing has failed."""
        host.left.extend(host.abandoned)
        self._number += 1
        self.total += len(host.abandoned)
        host.abandoned = []
        return 0

    def ends(self, hosts: Iterable[Host]) -> bool:
        """Whether everything is measured."""
        return not self._shared and super().ends(hosts)
