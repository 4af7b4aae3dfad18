"""A contestant in another process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import choice_store
from convprof.errors import ConvprofError, InputError
from convprof.json_checks import number
from convprof.measure.bench import Bench, BenchError
from convprof.measure.isolated.messages import (
    contestant_fields,
    facts_from,
    phases_from,
    sample_from,
    versions_from,
)
from convprof.measure.isolated.process import EndedError, NoAnswerError
from convprof.strategies.peers import package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeVar

    from convprof.measure.bench import Facts
    from convprof.measure.contestant import Contestant
    from convprof.measure.isolated.process import Process
    from convprof.measure.isolated.service import Service
    from convprof.measure.operands import Drawn
    from convprof.measure.stopwatch import Sample
    from convprof.strategies.base import Prepared

    T = TypeVar("T")

PATIENCE = 20
"""A sample may take this many times what it is expected to take, and the time limit."""


class IsolatedBench(Bench):
    """A contestant whose process draws the same operands from the seed, and has its own clock.

    If another contestant has ended the process, this one is prepared again in the next process.
    """

    def __init__(self, contestant: Contestant, seed: int, service: Service) -> None:
        """Nothing is started yet. ``service``: has the process."""
        self._contestant = contestant
        self._fields = {**contestant_fields(contestant), "seed": seed}
        self._service, self._number = service, service.number()
        self._process: Process | None = None
        """Where the contestant is prepared."""
        self._facts: Facts
        self._call_s = 0.0

    def start(self, drawn: Drawn) -> float:  # noqa: ARG002  # the process draws its own
        """Prepare, bind the operands and compute once; return the seconds of the first call."""
        with self._ways_out():
            return self._prepare(self._service.process())

    def output(self) -> np.ndarray[Any, Any]:
        """Return the result of the last call, in the setting's layout."""
        setting = self._contestant.setting
        spec = self._contestant.problem.result(setting.layout, setting.types)
        dtype = np.dtype(spec.dtype.array_type)
        reply, data = self._reply({"do": "output"}, size=spec.nbytes)
        if (reply.get("shape"), reply.get("dtype")) != (list(spec.shape), str(dtype)):
            raise BenchError("its process returned a result of another shape or type")
        return np.frombuffer(data, dtype).reshape(spec.shape)

    def call_s(self) -> float:
        """Time one call; return its seconds."""
        expected_s = 2 * PATIENCE * self._call_s
        self._call_s = self._answer({"do": "call"}, lambda r: number(r["seconds"]), expected_s)
        return self._call_s

    def sample(self, calls: int) -> Sample:
        """Take a sample of ``calls`` calls, per result."""
        expected_s = PATIENCE * (calls + 1) * self._call_s
        return self._answer({"do": "sample", "calls": calls}, sample_from, expected_s)

    def phases(self) -> Mapping[str, float]:
        """Compute once with a clock between the phases: seconds by name."""
        return self._answer({"do": "phases"}, phases_from, PATIENCE * self._call_s)

    @property
    def facts(self) -> Facts:
        """What the strategy says of itself, after ``start``."""
        return self._facts

    @property
    def prepared(self) -> Prepared:
        """Not in this process."""
        raise ConvprofError(f"{self._contestant.label} computes in another process")

    def close(self) -> None:
        """Give the contestant's memory back."""
        self._service.drop(self._number)

    def _prepare(self, process: Process) -> float:
        """Prepare and compute once in a process; return the seconds of the first call."""
        self._process = process
        request = {**self._fields, "bench": self._number, "renewed": choice_store.renewed()}
        self._call_s, self._facts, loading_s, versions = self._read(
            process.exchange({"do": "start", **request}),
            lambda reply: (
                number(reply["first_s"]),
                facts_from(reply),
                number(reply["loading_s"]),
                versions_from(reply),
            ),
        )
        self._service.spent.loading_s += loading_s
        if self._contestant.environment is None:  # else the versions are the environment's
            package.note_versions(versions)
        return self._call_s

    def _answer(
        self, request: dict[str, Any], read: Callable[[dict[str, Any]], T], expected_s: float
    ) -> T:
        """Return what ``read`` takes from the reply to a request."""
        return self._read(self._reply(request, expected_s)[0], read)

    def _read(self, reply: dict[str, Any], read: Callable[[dict[str, Any]], T]) -> T:
        try:
            return read(reply)
        except (InputError, KeyError) as error:
            self._service.close()
            raise BenchError(f"its process answered without sense: {error}") from None

    def _reply(
        self, request: dict[str, Any], expected_s: float = 0.0, size: int = 0
    ) -> tuple[dict[str, Any], bytes]:
        """Return the reply to a request and the ``size`` bytes after it."""
        with self._ways_out():
            process = self._service.process()
            if process is not self._process:
                self._prepare(process)
            return process.exchange_with_data({**request, "bench": self._number}, expected_s, size)

    @contextlib.contextmanager
    def _ways_out(self) -> Iterator[None]:
        """Add what helps to the message about an ended process."""
        try:
            yield
        except NoAnswerError as error:
            raise BenchError(f"{error}; a longer limit of isolation waits longer") from None
        except EndedError as error:
            if self._contestant.environment is not None:  # always in another process
                raise
            raise BenchError(f"{error}; without isolation the crash is shown") from None
