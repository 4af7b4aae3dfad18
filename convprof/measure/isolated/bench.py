"""A contestant in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof import choice_store
from convprof.errors import ConvprofError, InputError
from convprof.json_checks import array, number
from convprof.measure.bench import Bench, BenchError
from convprof.measure.isolated.messages import (
    contestant_fields,
    facts_from,
    phases_from,
    sample_from,
    versions_from,
)
from convprof.measure.isolated.process import Process
from convprof.strategies.peers import package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from convprof.measure.bench import Facts
    from convprof.measure.contestant import Contestant
    from convprof.measure.operands import Drawn
    from convprof.measure.stopwatch import Sample
    from convprof.strategies.base import Prepared

    T = TypeVar("T")

PATIENCE = 20
"""A sample may take this many times what it is expected to take, and the time limit."""


class IsolatedBench(Bench):
    """A contestant whose process draws the same operands from the seed, and has its own clock."""

    def __init__(self, contestant: Contestant, seed: int, limit_s: float) -> None:
        """Start the process. ``limit_s``: seconds without an answer after which it is ended."""
        self._contestant, self._seed = contestant, seed
        self._fields = contestant_fields(contestant)
        self._environment = contestant.environment
        other = self._environment
        self._process = (
            Process(limit_s) if other is None else Process(limit_s, other.command, other.variables)
        )
        self._facts: Facts
        self._call_s = 0.0

    def start(self, drawn: Drawn) -> float:  # noqa: ARG002  # the process draws its own
        """Prepare, bind the operands and compute once; return the seconds of the first call."""
        if self._environment is not None:
            self._process.exchange(self._environment.hello())
        request = {**self._fields, "seed": self._seed, "renewed": choice_store.renewed()}
        first_s, self._facts, versions = self._exchange(
            {"do": "start", **request},
            lambda reply: (number(reply["first_s"]), facts_from(reply), versions_from(reply)),
        )
        self._call_s = first_s
        if self._environment is None:  # else the versions are the environment's
            package.note_versions(versions)
        return first_s

    def output(self) -> np.ndarray[Any, Any]:
        """Return the result of the last call, in the setting's layout."""
        setting = self._contestant.setting
        spec = self._contestant.problem.result(setting.layout, setting.types)
        dtype = np.dtype(spec.dtype.array_type)
        form = (list(spec.shape), str(dtype))
        if self._exchange({"do": "output"}, lambda r: (array(r["shape"]), r["dtype"])) != form:
            raise BenchError("its process returned a result of another shape or type")
        return np.frombuffer(self._process.data(spec.nbytes), dtype).reshape(spec.shape)

    def call_s(self) -> float:
        """Time one call; return its seconds."""
        expected_s = 2 * PATIENCE * self._call_s
        self._call_s = self._exchange({"do": "call"}, lambda r: number(r["seconds"]), expected_s)
        return self._call_s

    def sample(self, calls: int) -> Sample:
        """Take a sample of ``calls`` calls, per result."""
        expected_s = PATIENCE * (calls + 1) * self._call_s
        return self._exchange({"do": "sample", "calls": calls}, sample_from, expected_s)

    def phases(self) -> Mapping[str, float]:
        """Compute once with a clock between the phases: seconds by name."""
        return self._exchange({"do": "phases"}, phases_from, PATIENCE * self._call_s)

    @property
    def facts(self) -> Facts:
        """What the strategy says of itself, after ``start``."""
        return self._facts

    @property
    def prepared(self) -> Prepared:
        """Not in this process."""
        raise ConvprofError(f"{self._contestant.label} computes in a process of its own")

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _exchange(
        self,
        request: dict[str, Any],
        read: Callable[[dict[str, Any]], T],
        expected_s: float = 0.0,
    ) -> T:
        reply = self._process.exchange(request, expected_s)
        try:
            return read(reply)
        except (InputError, KeyError) as error:
            self.close()
            raise BenchError(f"its process answered without sense: {error}") from None
