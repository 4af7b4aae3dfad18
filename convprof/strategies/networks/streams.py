"""Several chains of one network at the same time, each on threads of its own.

Threads that share an inference wait for each other after every layer. Streams do not wait for each
other: each computes its own inference from beginning to end, on one thread or on the threads of a
NUMA node. An inference takes longer, and more of them may be finished per second.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import affinity, nodes
from convprof.codegen.threads import worker_cpus
from convprof.errors import ConvprofError, ThreadsError
from convprof.problems import NetworkProblem
from convprof.strategies.base import Prepared, Setting, Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.strategies.networks.strategy import Chained

    Array = np.ndarray[Any, Any]

SHORTEST_RUN_S = 2e-3
"""Of one ``run()``: starting and joining the streams, some 50 µs, is then a small part of it."""
_WAIT_S = 5.0
"""For a stream to end; it is a daemon thread, so that a stuck one does not stop the process."""


def named(threads: int) -> str:
    """Return the strategy's name: ``streams``, or ``streams of 16 threads``."""
    return "streams" if threads == 1 else f"streams of {threads} threads"


class Streams(Strategy[NetworkProblem]):
    """As many streams as share out the setting's threads."""

    kind = "network"
    parallel = True
    generated = True
    summary = "several inferences at the same time"

    def __init__(self, chain: Chained, threads: int = 1) -> None:
        """``chain`` is what each stream computes, on some threads."""
        self._chain = chain
        self.threads = threads
        self.name = named(threads)
        self.dtypes = chain.dtypes

    def searches(self, problem: NetworkProblem, setting: Setting) -> frozenset[str]:
        """Return the timed searches of a chain: all streams share their choices."""
        return self._chain.searches(problem, replace(setting, threads=self.threads))

    def streams(self, threads: int) -> int:
        """Return the number of streams that share some threads."""
        return threads // self.threads

    def prepare(self, problem: NetworkProblem, setting: Setting) -> Prepared:
        """Prepare a chain per stream; each has memory and weights of its own."""
        one = replace(setting, threads=self.threads)
        alone = self._chain.apart()
        chains = [alone.prepare(problem, one) for _ in range(self.streams(setting.threads))]
        return PreparedStreams(problem, setting, chains)


class PreparedStreams(Prepared):
    """The chains, and a Python thread for each but the first, which the caller runs.

    Compiled programs release the interpreter's lock: the threads really run at the same time.
    """

    def __init__(
        self, problem: NetworkProblem, setting: Setting, chains: Sequence[Prepared]
    ) -> None:
        """Nothing is started before ``bind``."""
        self.problem = problem
        self.setting = setting
        self._chains = list(chains)
        self._threads_each = setting.threads // len(chains)
        self.compile_s = sum(chain.compile_s for chain in chains)
        self.workspace_bytes = sum(chain.workspace_bytes or 0 for chain in chains)
        self._barrier = threading.Barrier(len(chains))
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self._repeats = 1
        self.results_per_run = len(chains)

    def bind(self, *operands: Array) -> None:
        """Bind every chain, on its node; choose how many inferences make a run long enough.

        Packed weights are on the node of the thread that writes them.
        """
        places = nodes.places(self.setting.threads)[:: self._threads_each]
        for index, chain in enumerate(self._chains):
            with affinity.inside(places[index].cpus if places else frozenset()):
                chain.bind(*operands)
        self.prepare_s = sum(chain.prepare_s for chain in self._chains)
        first = self._chains[0]
        first.run()
        start = time.perf_counter()
        first.run()
        elapsed = time.perf_counter() - start
        self._repeats = max(1, math.ceil(SHORTEST_RUN_S / max(elapsed, 1e-9)))
        self.results_per_run = self._repeats * len(self._chains)
        self._start()

    def run(self) -> None:
        """Let every stream compute its inferences, all at the same time."""
        self._spread()
        self._barrier.wait()
        try:
            self._compute(self._chains[0])
        finally:
            self._barrier.wait()
        if self._errors:
            raise self._errors[0]

    def output(self) -> Array:
        """Return the result of one stream; ConvprofError if another stream's result differs."""
        first, *others = (chain.output() for chain in self._chains)
        if any(not np.array_equal(first, other, equal_nan=True) for other in others):
            raise ConvprofError("the streams have different results")
        return first

    def executed_flops(self) -> int:
        """Return the FLOPs of one inference."""
        return self._chains[0].executed_flops()

    def bytes_moved(self) -> int:
        """Return the bytes that one inference moves."""
        return self._chains[0].bytes_moved()

    def memory(self) -> list[Array]:
        """Return the memory of all streams."""
        return [array for chain in self._chains for array in chain.memory()]

    def close(self) -> None:
        """End the threads, then the chains."""
        self._barrier.abort()
        for thread in self._threads:
            thread.join(_WAIT_S)
        self._threads = []
        for chain in self._chains:
            chain.close()

    def _start(self) -> None:
        """Start a thread per chain but the first; a second ``bind`` keeps them."""
        if self._threads:
            return
        # The calling thread may have been bound to a single CPU, by a library.
        with affinity.restored(self.setting.threads):
            for chain in self._chains[1:]:
                thread = threading.Thread(target=self._serve, args=(chain,), daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    self.close()
                    raise ThreadsError.of(len(self._chains)) from error
                self._threads.append(thread)

    def _serve(self, chain: Prepared) -> None:
        """Run one chain whenever the caller runs; end when the barrier is broken."""
        while True:
            try:
                self._barrier.wait()
                try:
                    self._compute(chain)
                except BaseException as error:  # noqa: BLE001  # the caller raises it
                    self._errors.append(error)
                self._barrier.wait()
            except threading.BrokenBarrierError:
                return

    def _compute(self, chain: Prepared) -> None:
        for _ in range(self._repeats):
            chain.run()

    def _spread(self) -> None:
        """Let the streams run on their nodes, on other CPUs than the caller's.

        Woken on the caller's CPU, a stream would wait.
        """
        each = self._threads_each
        every = worker_cpus(self.setting.threads)[each - 1 :: each]
        for thread, cpus in zip(self._threads, every, strict=True):
            if cpus and thread.native_id is not None:
                affinity.change(thread.native_id, cpus)
