"""The processes in which contestants of a command compute."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Literal

from convprof.measure.isolated.bench import IsolatedBench
from convprof.measure.isolated.service import Service, Spent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.measure.contestant import Contestant
    from convprof.measure.isolated.environment import Environment

    Key = tuple[Environment | None, str, int | None]
    """Environment, library, and the threads of a library that cannot change them."""

Scope = Literal["all", "libraries", "none"]
"""Which contestants compute in other processes."""


class Processes:
    """One process for each library of each environment, and one for each other contestant.

    A library that cannot change its number of threads has a process for each number. The process of
    a library is started when it is first needed, and serves all sessions of a command.
    """

    def __init__(self, limit_s: float, scope: Scope = "all") -> None:
        """``limit_s``: seconds without an answer after which a process is ended."""
        self.limit_s = limit_s
        self.scope: Scope = scope
        self._of_libraries: dict[Key, Service] = {}
        self._of_contestants: weakref.WeakSet[Service] = weakref.WeakSet()
        """As long as their bench exists."""
        self.spent = Spent()

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the settings of a document."""
        if self.scope == "none":
            return {"isolate_s": None, "isolated": None}
        return {"isolate_s": self.limit_s, "isolated": self.scope}

    def take(self, contestant: Contestant) -> bool:
        """Whether a contestant computes in another process."""
        of_library = self.scope == "libraries" and contestant.strategy.library is not None
        return of_library or self.scope == "all"

    def bench(self, contestant: Contestant, seed: int) -> IsolatedBench:
        """Return the bench of a contestant in its process, with operands from a seed."""
        return IsolatedBench(contestant, seed, self._service(contestant))

    def starts(self, contestants: Sequence[Contestant]) -> list[int]:
        """Return for each contestant how many processes are to be started for it."""
        running = {key for key, service in self._of_libraries.items() if service.runs}
        numbers = []
        for contestant in contestants:
            key = _key(contestant)
            needed = key not in running and self.take(contestant) and _takes_part(contestant)
            numbers.append(int(needed))
            if needed and key is not None:
                running.add(key)
        return numbers

    def others(self) -> Processes:
        """Return processes for the same contestants that share none with these."""
        return Processes(self.limit_s, self.scope)

    def close(self) -> None:
        """End all processes."""
        for service in (*self._of_libraries.values(), *self._of_contestants):
            service.close()

    def _service(self, contestant: Contestant) -> Service:
        key, environment = _key(contestant), contestant.environment
        if key is None:
            service = self._new(environment, is_shared=False)
            self._of_contestants.add(service)
            return service
        if key not in self._of_libraries:
            self._of_libraries[key] = self._new(environment, is_shared=True)
        return self._of_libraries[key]

    def _new(self, environment: Environment | None, *, is_shared: bool) -> Service:
        return Service(self.limit_s, environment, self.spent, is_shared=is_shared)


def _key(contestant: Contestant) -> Key | None:
    """Return what contestants of one process have in common; None for a process of its own."""
    strategy, environment = contestant.strategy, contestant.environment
    if strategy.library is None:
        return None
    threads = contestant.setting.threads if strategy.fixes_threads else None
    return environment, strategy.library, threads


def _takes_part(contestant: Contestant) -> bool:
    """Whether a contestant does not refuse; in another environment its process decides."""
    if contestant.environment is not None:
        return True
    try:
        return contestant.strategy.why_not(contestant.problem, contestant.setting) is None
    except Exception:  # noqa: BLE001  # the session reports it in the contestant's turn
        return False


HERE = Processes(0.0, "none")
"""No other process: all contestants compute in this one."""
