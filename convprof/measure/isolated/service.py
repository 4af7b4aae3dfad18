"""A process that is started when it is needed, and started again after it has ended."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convprof.errors import ConvprofError
from convprof.measure.bench import BenchError
from convprof.measure.isolated.process import Process

if TYPE_CHECKING:
    from convprof.measure.isolated.environment import Environment

HELLO = {"do": "hello"}
USUAL_START_S = 0.4
"""Seconds to start a process, before one was started; its library is imported later."""
MOST_UNASKED_ENDS = 1
"""How often a process may end between two requests before this counts as a contestant's failure."""


@dataclass
class Spent:
    """The seconds that processes have cost once."""

    starts_s: list[float] = field(default_factory=list)
    """Of each process until it could take a request."""
    loading_s: float = 0.0
    """Of loop nests and libraries that the processes have loaded."""

    @property
    def total_s(self) -> float:
        """All seconds."""
        return sum(self.starts_s) + self.loading_s

    @property
    def usual_start_s(self) -> float:
        """The mean seconds of a start."""
        return sum(self.starts_s) / len(self.starts_s) if self.starts_s else USUAL_START_S


class Service:
    """Computes for one contestant, or for all contestants of a library, one after another.

    A contestant whose request ends the process has failed. Another contestant finds a new process,
    and prepares itself there.
    """

    def __init__(
        self,
        limit_s: float,
        environment: Environment | None,
        spent: Spent,
        *,
        is_shared: bool,
    ) -> None:
        """``limit_s``: seconds without an answer after which the process is ended.

        ``environment``: whose Python runs. ``spent``: the seconds of the starts are added to it.
        ``is_shared``: the process goes on after its contestants.
        """
        self._limit_s, self._environment, self._is_shared = limit_s, environment, is_shared
        self.spent = spent
        self._process: Process | None = None
        self._numbers = itertools.count()
        self._unasked_ends = 0

    @property
    def runs(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.runs

    def number(self) -> int:
        """Return the number of another contestant in the process."""
        return next(self._numbers)

    def process(self) -> Process:
        """Return the process that runs, or a new one.

        BenchError if the process has ended several times between requests: one of its contestants
        ends it, and it is unknown which one.
        """
        last = self._process
        if last is not None and last.runs:
            return last
        if last is not None and last.has_ended_unasked:
            self._unasked_ends += 1
            error = last.ended()
            if self._unasked_ends > MOST_UNASKED_ENDS:
                raise error
        return self._start()

    def _start(self) -> Process:
        began_s = time.perf_counter()
        other = self._environment
        if other is None:
            self._process = Process(self._limit_s)
        else:
            self._process = Process(self._limit_s, other.command, other.variables)
            self._process.exchange(other.hello())
        self._process.exchange(HELLO)
        self.spent.starts_s.append(time.perf_counter() - began_s)
        return self._process

    def drop(self, number: int) -> None:
        """Forget a contestant; end the process if the contestant is the only one there."""
        if not self._is_shared:
            self.close()
        elif self._process is not None and self._process.runs:
            with contextlib.suppress(BenchError, ConvprofError):
                self._process.exchange({"do": "drop", "bench": number})

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
