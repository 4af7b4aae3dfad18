"""A process of contestants: reads requests, computes, and writes replies.

Start it with ``python -P -m convprof.measure.isolated.worker``. It ends with its standard input.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
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
from convprof.strategies import loading, registry
from convprof.strategies.peers import package

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import Types
    from convprof.measure.bench import Bench
    from convprof.measure.contestant import Contestant
    from convprof.measure.operands import Drawn
    from convprof.problems import Problem
    from convprof.strategies.base import Strategy

LONGEST_REQUEST = 1 << 16


class Worker:
    """Answers requests, one after the other."""

    def __init__(self, find: Callable[[str, str], Strategy[Any]]) -> None:
        """``find``: returns a strategy by kind and name."""
        self._find = find
        self._benches: dict[int, LocalBench] = {}
        """By the number that the session gave it."""
        self._drawn: dict[tuple[Problem, Types, int], Drawn] = {}
        """The last operands, by problem, types and seed."""

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the reply to a request, and the bytes that follow it."""
        if request["do"] == "hello":
            blas = software.blas()
            return {"blas": None if blas is None else str(blas)}, b""
        number = count(request.get("bench"), 0)
        if request["do"] == "start":
            return self._start(number, request), b""
        if request["do"] == "drop":
            return self._drop(number), b""
        return _computed(self._benches[number], request)

    def _drop(self, number: int) -> dict[str, Any]:
        """Give the memory of a contestant back; it may have failed before it was prepared."""
        bench = self._benches.pop(number, None)
        if bench is not None:
            bench.close()
        if not self._benches:
            self._drawn.clear()
            del bench
            gc.collect()
        return {}

    def _start(self, number: int, request: dict[str, Any]) -> dict[str, Any]:
        for kind in request["renewed"]:
            choice_store.renew(kind)
        contestant = contestant_from(request, self._find)
        reason = contestant.strategy.why_not(contestant.problem, contestant.setting)
        if reason is not None:  # the session's own environment may lack the library
            raise RefusedError(reason)
        drawn = self._operands(contestant, count(request.get("seed"), 0))
        loaded_s = loading.seconds()
        with affinity.restored(contestant.setting.threads):
            bench = self._benches[number] = LocalBench(contestant, self._stopwatch)
            first_s = bench.start(drawn)
        facts = dataclasses.asdict(bench.facts)
        loading_s = loading.seconds() - loaded_s
        versions = package.versions()
        return {**facts, "first_s": first_s, "loading_s": loading_s, "versions": versions}

    def _operands(self, contestant: Contestant, seed: int) -> Drawn:
        """Return the operands, which all contestants of a problem share."""
        key = (contestant.problem, contestant.setting.types, seed)
        if key not in self._drawn:
            self._drawn = {key: draw(*key)}
        return self._drawn[key]

    @functools.cached_property
    def _stopwatch(self) -> Stopwatch:
        return Stopwatch()


def _computed(bench: Bench, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return what a prepared contestant replies, and the bytes that follow the reply."""
    match request["do"]:
        case "output":
            array = bench.output()
            fields = {"shape": array.shape, "dtype": str(array.dtype)}
            return fields, np.ascontiguousarray(array).tobytes()
        case "call":
            return {"seconds": bench.call_s()}, b""
        case "sample":
            return dataclasses.asdict(bench.sample(count(request.get("calls")))), b""
        case _:
            return {"phases": dict(bench.phases())}, b""


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
        written = os.fstat(2).st_size  # later errors are not about this request
        reply |= {"bytes": len(data), "cpu_s": time.process_time(), "errors": written}
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
