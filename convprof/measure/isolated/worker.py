"""The process of one contestant: reads requests, computes, and writes replies.

Start it with ``python -P -m convprof.measure.isolated.worker``. It ends with its standard input.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from convprof import choice_store
from convprof.codegen import affinity
from convprof.errors import RefusedError
from convprof.json_checks import count, decoded, mapping
from convprof.machine import software
from convprof.measure.bench import LocalBench
from convprof.measure.idle import settle
from convprof.measure.isolated.attached import attach
from convprof.measure.isolated.messages import contestant_from, error_fields
from convprof.measure.operands import draw
from convprof.measure.stopwatch import Stopwatch
from convprof.strategies import registry
from convprof.strategies.peers import package

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.strategies.base import Strategy

LONGEST_REQUEST = 1 << 16


class Worker:
    """Answers requests, one after the other."""

    def __init__(self, find: Callable[[str, str], Strategy[Any]]) -> None:
        """``find``: returns a strategy by kind and name."""
        self._find = find
        self._bench: LocalBench

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the reply to a request, and the bytes that follow it."""
        match request["do"]:
            case "hello":
                blas = software.blas()
                return {"blas": None if blas is None else str(blas)}, b""
            case "start":
                return self._start(request), b""
            case "output":
                array = self._bench.output()
                fields = {"shape": array.shape, "dtype": str(array.dtype)}
                return fields, np.ascontiguousarray(array).tobytes()
            case "call":
                return {"seconds": self._bench.call_s()}, b""
            case "sample":
                return dataclasses.asdict(self._bench.sample(count(request.get("calls")))), b""
            case _:
                return {"phases": dict(self._bench.phases())}, b""

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        for kind in request["renewed"]:
            choice_store.renew(kind)
        contestant = contestant_from(request, self._find)
        reason = contestant.strategy.why_not(contestant.problem, contestant.setting)
        if reason is not None:  # the session's own environment may lack the library
            raise RefusedError(reason)
        drawn = draw(contestant.problem, contestant.setting.types, count(request.get("seed"), 0))
        with affinity.restored(contestant.setting.threads):
            self._bench = LocalBench(contestant, Stopwatch())
            first_s = self._bench.start(drawn)
        facts = dataclasses.asdict(self._bench.facts)
        return {**facts, "first_s": first_s, "versions": package.versions()}


def serve(find: Callable[[str, str], Strategy[Any]]) -> None:
    """Answer every request on standard input; libraries cannot write among the replies."""
    attach()
    requests, replies = _pipes()
    worker = Worker(find)
    for line in requests:
        data = b""
        try:
            reply, data = worker.answer(mapping(decoded(line, LONGEST_REQUEST)))
        except Exception as error:  # noqa: BLE001  # the session decides what an error means
            reply = error_fields(error)
        settle()  # threads that still spin would disturb the next contestant
        reply["cpu_s"] = time.process_time()
        replies.write(json.dumps(reply).encode() + b"\n" + data)
        replies.flush()


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return requests and replies; a library that prints writes to standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, replies


if __name__ == "__main__":
    serve(registry.find)
