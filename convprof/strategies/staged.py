"""Run a plan: allocate its buffers, compile its kernels, hand its stages to the thread team."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import ConvprofError, ProblemError
from convprof.simd.team import Program, Work, team
from convprof.simd.tiles import TileList, inner_loop
from convprof.strategies import kernels, memory
from convprof.strategies.base import DTYPES, Prepared, Setting
from convprof.strategies.plan import WEIGHTS, Call, Native, Plan, Stage, X, Y

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from convprof.problems import Problem

    Array = np.ndarray[Any, Any]

UNINTERRUPTED_MACS = 500_000_000
"""Work between two chances for Ctrl-C: about half a second of the slowest strategy."""


class StagedPrepared(Prepared):
    """A plan with memory and machine code behind it."""

    def __init__(self, name: str, problem: Problem, setting: Setting, plan: Plan) -> None:
        """Allocate and compile ``plan``; ``TooLargeError`` before anything is allocated."""
        self.problem = problem
        self.setting = setting
        self._plan = plan
        item = setting.itemsize
        self.workspace_bytes = plan.workspace_elements * item + plan.table_words * 8
        memory.require(
            plan.operand_elements * item + self.workspace_bytes, f"{name} of {problem.descriptor}"
        )
        kind = DTYPES[setting.dtype][0]
        shapes = {
            Y: plan.y_shape,
            **plan.workspaces,
            **{key: packed.shape for key, packed in plan.packed.items()},
        }
        self._arrays: dict[str, Array] = {
            key: memory.zeros(shape, kind) for key, shape in shapes.items()
        }
        self._tables: list[Array] = []
        self._patches: list[tuple[Array, int, str]] = []
        start = kernels.compile_seconds()
        self._phases = [
            (step.phase, self._call(step) if isinstance(step, Call) else self._stage(step))
            for step in plan.steps
        ]
        self.compile_s = kernels.compile_seconds() - start
        self._actions: list[Callable[[], None]] = []

    def bind(self, x: Array, weights: Array) -> None:
        """Take the operands and pack the weights; see ``Prepared.bind``."""
        kind = DTYPES[self.setting.dtype][0]
        for key, given, shape in (
            (X, np.asarray(x), self._plan.x_shape),
            (WEIGHTS, np.asarray(weights), self._plan.weights_shape),
        ):
            if given.shape != shape:
                raise ProblemError(f"{key} has shape {given.shape}; this problem needs {shape}")
            self._arrays[key] = np.ascontiguousarray(given, dtype=kind)
        start = time.perf_counter()
        for key, packed in self._plan.packed.items():
            self._arrays[key][...] = packed.rearrange(self._arrays[WEIGHTS])
        self.prepare_s = time.perf_counter() - start if self._plan.packed else 0.0
        for table, index, key in self._patches:
            table[index] = self._arrays[key].ctypes.data
        self._actions = self._joined()

    def run(self) -> None:
        """Run every step once."""
        for action in self._actions:
            action()

    def output(self) -> Array:
        """Return the result array itself; the next ``run()`` overwrites it."""
        if not self._actions:
            raise ConvprofError("nothing is bound yet: call bind(x, weights) and run() first")
        return self._arrays[Y]

    def executed_flops(self) -> int:
        """Return what the plan says; the definition's FLOPs if it says nothing."""
        planned = self._plan.executed_flops
        return self.problem.flops if planned is None else planned

    def bytes_moved(self) -> int:
        """Return the operands' and the result's bytes, and each workspace written and read once.

        Packed weights are read instead of the weights. A workspace that is used for one block after
        another counts once: it is that small so that a cache keeps it.
        """
        scratch = sum(math.prod(shape) for shape in self._plan.workspaces.values())
        packed = sum(math.prod(item.shape) for item in self._plan.packed.values())
        instead = packed - math.prod(self._plan.weights_shape) if packed else 0
        return super().bytes_moved() + (2 * scratch + instead) * self.setting.itemsize

    def run_phases(self) -> Mapping[str, float]:
        """Run once with a clock between the steps."""
        seconds: dict[str, float] = {}
        for phase, actions in self._by_phase():
            start = time.perf_counter()
            for action in actions:
                action()
            seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start
        return seconds if len(seconds) > 1 else {}

    def memory(self) -> list[Array]:
        """Return operands, result, workspaces and tables."""
        return [*self._arrays.values(), *self._tables]

    def inner_loops(self) -> list[tuple[str, str]]:
        """Return the inner loop of the register tile that does most of the work."""
        kept = [
            step.kernel.keep
            for step in self._plan.steps
            if isinstance(step, Stage) and isinstance(step.kernel, Native)
        ]
        found = inner_loop(keep for keep in kept if isinstance(keep, TileList))
        return [found] if found else []

    def loop_nests(self) -> list[str]:
        """Return the assembly of the stages that numba compiles, in order."""
        return [
            kernels.assembly(step.kernel, self.setting.dtype)
            for step in self._plan.steps
            if isinstance(step, Stage) and not isinstance(step.kernel, Native)
        ]

    def _call(self, step: Call) -> Callable[[], None]:
        return lambda: step.function(self._arrays)

    def _stage(self, step: Stage) -> list[Work]:
        """Return the stage's rows of the team's program, in slices that Ctrl-C can part."""
        if isinstance(step.kernel, Native):
            address = step.kernel.address
        else:
            address = kernels.address(step.kernel, self.setting.dtype)
        given = step.dims() if callable(step.dims) else step.dims
        dims = np.ascontiguousarray(given, dtype=np.int64)
        pointers = np.zeros(len(step.buffers), dtype=np.int64)
        self._tables += [dims, pointers]
        self._patches += [(pointers, index, key) for index, key in enumerate(step.buffers)]
        most = max(1, step.tasks // self.setting.threads)  # a slice has a task for every thread
        wanted = math.ceil(step.share * self.problem.macs / UNINTERRUPTED_MACS)
        slices = min(step.tasks, most, max(1, wanted))
        edges = [step.tasks * i // slices for i in range(slices + 1)] if slices else [0]
        return [
            Work(address, lo, hi, pointers.ctypes.data, dims.ctypes.data, step.fixed)
            for lo, hi in itertools.pairwise(edges)
        ]

    def _launch(self, rows: list[Work]) -> Callable[[], None]:
        """Return the action that hands ``rows`` to the team in one go."""
        members = team(self.setting.threads)
        program = Program(rows, self.setting.threads)
        return lambda: members.run(program)

    def _actions_of(self, rows: list[Work]) -> list[Callable[[], None]]:
        """Return the actions that run ``rows``: one, or one each where that would take long."""
        if self.problem.macs <= UNINTERRUPTED_MACS:
            return [self._launch(rows)] if rows else []
        return [self._launch([row]) for row in rows]

    def _by_phase(self) -> Iterator[tuple[str, list[Callable[[], None]]]]:
        """Yield the actions of each step apart."""
        for phase, step in self._phases:
            yield phase, [step] if callable(step) else self._actions_of(step)

    def _joined(self) -> list[Callable[[], None]]:
        """Return as few actions as possible: stages that follow each other in one launch."""
        actions: list[Callable[[], None]] = []
        rows: list[Work] = []
        for _, step in self._phases:
            if callable(step):
                actions += [*self._actions_of(rows), step]
                rows = []
            else:
                rows += step
        return actions + self._actions_of(rows)
