"""The part of Dask that a fleet needs, behind one interface. Imports ``distributed`` late."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convprof.errors import ConvprofError, one_line
from convprof.studies.fleet import hosts, task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convprof.studies.fleet.hosts import Identity

EXTRA = "pip install 'convprof[fleet]'"
POLL_S = 0.05
"""Seconds between two looks whether a task has ended. Tasks take seconds, and others wait."""

_ENDING = frozenset({"closing", "closing_gracefully", "closed", "failed"})
"""States of workers, in the words of Dask. A worker that could not start is in the list of the
scheduler for minutes, and never answers."""

Key = tuple[str, int]
"""The host and the place of a problem."""


@dataclass(frozen=True)
class Answer:
    """The end of a task: what it returned, or why there is nothing."""

    key: Key
    data: Any = None
    error: str | None = None
    lost: bool = False
    """Whether Dask lost the task, so that another attempt makes sense."""


@dataclass(frozen=True)
class Workers:
    """The workers that are there."""

    of_hosts: dict[str, set[str]]
    """The addresses of the workers of each host that has any."""
    ended: set[str] = field(default_factory=set)
    """The names of workers that ended without a host: they could not load the plugin that says
    it."""


class Cluster(ABC):
    """Workers on hosts, and tasks on them."""

    @abstractmethod
    def identities(self, addresses: Sequence[str] | None = None) -> list[Identity]:
        """Return what all or some workers say of themselves; ConvprofError if one cannot."""

    @abstractmethod
    def claim(self) -> None:
        """Give each worker the resource of its host."""

    @abstractmethod
    def workers(self) -> Workers:
        """Return the workers that are there; ConvprofError without a scheduler."""

    @abstractmethod
    def submit(self, key: Key, request: str) -> None:
        """Let the host compute a request when its turn comes."""

    @abstractmethod
    def answers(self, timeout_s: float) -> list[Answer]:
        """Wait for the end of a task; return all that have ended, none after this time."""

    @abstractmethod
    def store(self, hosts: Sequence[str], choices: str) -> dict[str, Any]:
        """Let hosts store choices; return by host what it says, or an error of Dask."""

    @abstractmethod
    def drop(self, keys: Sequence[Key]) -> None:
        """Forget tasks; what has begun on a host ends with its own time limit."""

    @abstractmethod
    def close(self) -> None:
        """End the connection, and the workers if they are ours."""


class DaskCluster(Cluster):
    """A connection to a Dask scheduler."""

    def __init__(self, client: Any, by: str, local: Any = None) -> None:
        """``client``: of ``distributed``; ``local``: the local cluster that ends with it."""
        from distributed import as_completed

        self._client, self._by, self._local = client, by, local
        self._session = uuid.uuid4().hex
        """In the names of tasks: another client of the same scheduler has other names."""
        self._submitted = 0
        self._futures: dict[str, tuple[Key, Any]] = {}
        """The futures that are expected to end, by their names."""
        self._completed = as_completed(loop=client.loop, with_results=True, raise_errors=False)

    def identities(self, addresses: Sequence[str] | None = None) -> list[Identity]:
        """Return what all or some workers say of themselves; ConvprofError if one cannot."""
        from convprof.studies.fleet import plugin

        if addresses is None:
            addresses = [a for a, worker in self._registered().items() if not _ends(worker)]
        known = []
        replies = self._run(plugin.identity, self._by, addresses)
        for address, reply in sorted(replies.items()):
            if isinstance(reply, ModuleNotFoundError):
                raise ConvprofError(
                    f"the worker {address} has no {reply.name}: install the same version of "
                    "convprof there"
                )
            if isinstance(reply, BaseException):
                raise ConvprofError(f"the worker {address} does not answer: {first_line(reply)}")
            known.append(hosts.read_identity(reply))
        return known

    def claim(self) -> None:
        """Give each worker the resource of its host."""
        from convprof.studies.fleet.plugin import HostPlugin

        ended = [a for a, worker in self._registered().items() if _ends(worker)]
        if ended:  # the scheduler would wait for each of them
            self._client.retire_workers(ended, close_workers=True)
        self._client.register_plugin(HostPlugin(self._by))

    def workers(self) -> Workers:
        """Return the workers that are there; ConvprofError without a scheduler."""
        workers = Workers({})
        for address, worker in self._registered().items():
            named = [
                name.removeprefix(hosts.RESOURCE)
                for name, amount in worker.get("resources", {}).items()
                if name.startswith(hosts.RESOURCE) and amount
            ]
            for name in named:
                workers.of_hosts.setdefault(name, set()).add(address)
            if not named and _ends(worker):
                workers.ended.add(str(worker.get("name", address)))
        return workers

    def _registered(self) -> dict[str, dict[str, Any]]:
        """Return what the scheduler has of each worker, by address."""
        try:
            known: dict[str, dict[str, Any]] = self._client.scheduler_info(n_workers=-1)["workers"]
        except Exception as error:  # noqa: BLE001  # of many kinds, with one meaning
            raise _no_scheduler(error) from None
        return known

    def submit(self, key: Key, request: str) -> None:
        """Let the host compute a request when its turn comes."""
        self._submitted += 1
        future = self._client.submit(
            task.measure,
            request,
            key=f"convprof-{self._session}-{self._submitted}",
            pure=False,
            resources={hosts.RESOURCE + key[0]: 1},
        )
        self._futures[future.key] = (key, future)
        self._completed.add(future)

    def answers(self, timeout_s: float) -> list[Answer]:
        """Wait for the end of a task; return all that have ended, none after this time."""
        until = time.monotonic() + timeout_s
        while not self._completed.has_ready() and time.monotonic() < until:
            time.sleep(POLL_S)
        ended = [
            (*self._futures.pop(future.key), result)
            for future, result in self._completed.next_batch(block=False)
            if future.key in self._futures  # else it was dropped
        ]
        return [_answer(key, future.status, result) for key, future, result in ended]

    def store(self, hosts: Sequence[str], choices: str) -> dict[str, Any]:
        """Let a worker of each host store choices; return by host what it says."""
        from convprof.studies.fleet.choices import store

        known = self.workers().of_hosts
        by_address = {min(known[name]): name for name in hosts if known.get(name)}
        replies = self._run(store, choices, [*by_address])
        return {by_address[address]: reply for address, reply in replies.items()}

    def _run(
        self, function: Callable[..., str], argument: str, addresses: Sequence[str] | None
    ) -> dict[str, Any]:
        """Return what a function returns on some or all workers, or raises there, by address.

        ConvprofError without a scheduler.
        """
        try:
            replies: dict[str, Any] = self._client.run(
                function, argument, workers=addresses, on_error="return"
            )
        except Exception as error:  # noqa: BLE001  # of many kinds, with one meaning
            raise _no_scheduler(error) from None
        return replies

    def drop(self, keys: Sequence[Key]) -> None:
        """Forget tasks; what has begun on a host ends with its own time limit."""
        names = [name for name, (key, _) in self._futures.items() if key in set(keys)]
        futures = [self._futures.pop(name)[1] for name in names]
        if futures:
            self._client.cancel(futures, force=True)

    def close(self) -> None:
        """End the connection, and the workers if they are ours."""
        self._futures.clear()
        self._client.close(timeout=2)
        if self._local is not None:
            self._local.close(timeout=10)


def _ends(worker: Mapping[str, Any]) -> bool:
    """Whether a worker that the scheduler lists has ended, or could not start."""
    return worker.get("status") in _ENDING


def _answer(key: Key, status: str, result: Any) -> Answer:
    """Return the end of a task. ``result``: an error's type, value and traceback if it failed."""
    if status == "finished":
        return Answer(key, result)
    if status == "error":
        return Answer(key, error=first_line(result[1]))
    return Answer(key, error="the scheduler cancelled the task", lost=True)


def _no_scheduler(error: Exception) -> ConvprofError:
    return ConvprofError(f"the scheduler does not answer any more: {first_line(error)}")


def first_line(error: BaseException | None) -> str:
    """Return an error of Dask in one line."""
    first = (str(error).strip().splitlines() or [""])[0]
    return one_line(f"{type(error).__name__}: {first}" if first else type(error).__name__)[:300]
