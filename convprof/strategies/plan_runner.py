"""Run a plan: allocate its buffers, compile its kernels, hand its stages to the thread team."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convprof.codegen import first_touch, nodes
from convprof.codegen.threads import Program, Work, team
from convprof.codegen.tile_list import TileList, inner_loop
from convprof.errors import ConvprofError, ProblemError
from convprof.strategies import kernels, memory
from convprof.strategies.base import Prepared, Setting
from convprof.strategies.blas_threads import blas
from convprof.strategies.plan import (
    Buffer,
    Call,
    LateTable,
    Native,
    Place,
    Plan,
    Repeated,
    Stage,
    Y,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from convprof.problems import Problem
    from convprof.problems.tensors import TensorSpec

    Array = np.ndarray[Any, Any]

WORD_BYTES = 8
"""Bytes of an integer in a table."""
UNINTERRUPTED_MACS = 500_000_000
"""Work between two checks for Ctrl-C: about half a second of the slowest strategy."""


class Group(NamedTuple):
    """Rows of the team's program that are one launch, alone or with other groups."""

    rows: list[Work]
    macs: float
    """The multiply-adds of the rows, at most."""


def launches(groups: Iterable[Group]) -> Iterator[list[Work]]:
    """Yield the rows of as few launches as Ctrl-C allows, in their order."""
    rows: list[Work] = []
    macs = 0.0
    for group in groups:
        if rows and macs + group.macs > UNINTERRUPTED_MACS:
            yield rows
            rows, macs = [], 0.0
        rows.extend(group.rows)
        macs += group.macs
    if rows:
        yield rows


class PlanRunner(Prepared):
    """A plan with memory and machine code behind it."""

    def __init__(self, name: str, problem: Problem, setting: Setting, plan: Plan) -> None:
        """Compile and allocate ``plan``; ``TooLargeError`` before any allocation."""
        self.problem = problem
        self.setting = setting
        self.threads = plan.threads or setting.threads
        """The threads that take part in a run."""
        self._plan = plan
        layout, types = setting.layout, setting.types
        self._operands = plan.named(problem.operands(layout, types))
        self._result = problem.result(layout, types)
        buffers: dict[str, Buffer | TensorSpec] = {Y: self._result, **plan.buffers()}
        self._dtypes = {key: each.dtype for key, each in (self._operands | buffers).items()}
        needed = sum(each.nbytes for each in (*self._operands.values(), *buffers.values()))
        memory.require(needed + _table_bytes(plan), f"{name} of {problem.descriptor}")
        self._arrays: dict[str, Array] = {
            key: memory.zeros(each.shape, each.dtype.array_type) for key, each in buffers.items()
        }
        self._shared: set[str] = set()
        """Packed buffers that several runners read."""
        self._tables: list[Array] = []
        self._patches: list[tuple[Array, tuple[Place, ...], tuple[str, ...]]] = []
        """Tables of addresses (rounds, buffers), the places, and the names of the buffers."""
        start = kernels.compile_seconds()
        self._phases = [
            (step.phase, self._call(step) if isinstance(step, Call) else self._groups(step))
            for step in plan.steps
        ]
        self.compile_s = kernels.compile_seconds() - start + plan.chosen_s
        self.workspace_bytes = _buffer_bytes(plan) + self.table_bytes
        self.explanation = plan.explanation
        self.note = plan.note
        self._actions: list[Callable[[], None]] = []

    @property
    def plan(self) -> Plan:
        """The plan that was allocated and compiled."""
        return self._plan

    def bind(self, *operands: Array, packed: Mapping[str, Array] | None = None) -> None:
        """Take the operands and pack the weights; see ``Prepared.bind``.

        ``packed``: what a runner of this plan has packed of equal operands; it is read there.
        """
        self._take(operands)
        start = time.perf_counter()
        for key, each in self._plan.packed.items():
            if packed is not None:
                self._arrays[key] = packed[key]
                continue
            if key in self._shared:
                buffer = each.buffer
                self._arrays[key] = memory.zeros(buffer.shape, buffer.dtype.array_type)
            sources = [self._arrays[source] for source in each.sources]
            self._place(self._arrays[key])
            each.fill(self._arrays[key], *sources)
        self._shared = set(packed or ())
        self.prepare_s = time.perf_counter() - start if self._plan.packed else 0.0
        self._connect()

    def _place(self, array: Array) -> None:
        """Put packed weights, before the first use, near the threads that read them."""
        if nodes.spread(self.threads) > 1:
            first_touch.touch(array.ctypes.data, array.nbytes, self.threads)

    def lend(self, arrays: Mapping[str, Array]) -> None:
        """Use these bytes for the result (``Y``) or for names of ``scratch()``; more are allowed.

        Others may write to them between two runs: no stage reads data of an earlier run there.
        """
        for key, array in arrays.items():
            own = self._arrays[key]
            self._arrays[key] = array[: own.nbytes].view(own.dtype).reshape(own.shape)
        if self._actions:
            self._connect()

    def packed(self) -> dict[str, Array]:
        """Return what ``bind`` has packed; others may read it, so ``bind`` packs elsewhere."""
        self._shared |= self._plan.packed.keys()
        return {key: self._arrays[key] for key in self._plan.packed}

    @property
    def packed_bytes(self) -> int:
        """The bytes that ``bind`` packs."""
        return sum(each.buffer.nbytes for each in self._plan.packed.values())

    def share_packed(self, packed: Mapping[str, Array]) -> None:
        """Read what another runner has packed, where it has the same numbers."""
        for key, there in packed.items():
            if np.array_equal(there, self._arrays[key]):
                self._arrays[key] = there
        self._shared |= packed.keys()
        self._connect()

    def sources(self, operands: Sequence[Array]) -> list[Array]:
        """Return the operands that are packed."""
        names = {name for each in self._plan.packed.values() for name in each.sources}
        return [each for each, name in zip(operands, self._operands, strict=True) if name in names]

    def forget_sources(self) -> None:
        """Give up the operands of which only the packed form is read; ``bind`` takes them again."""
        if any(isinstance(step, Call) for step in self._plan.steps):
            return
        read = {name for _, _, names in self._patches for name in names}
        for each in self._plan.packed.values():
            for name in each.sources:
                if name not in read:
                    self._arrays.pop(name, None)

    def scratch(self) -> dict[str, int]:
        """Return the bytes of each workspace that others may use between two runs."""
        return {key: self._arrays[key].nbytes for key in self._plan.lendable_workspaces}

    def groups(self) -> list[Group] | None:
        """Return the rows of the team's program in groups; None if a step is a library's call.

        They are valid until the next ``bind`` or ``lend``.
        """
        groups: list[Group] = []
        for _, step in self._phases:
            if callable(step):
                return None
            groups += step
        return groups

    def works(self) -> list[Work] | None:
        """Return the rows of ``groups()`` one after the other."""
        groups = self.groups()
        return None if groups is None else [row for group in groups for row in group.rows]

    def _take(self, operands: tuple[Array, ...]) -> None:
        specs = self._operands
        if len(operands) != len(specs):
            raise ProblemError(f"{len(operands)} operands; this problem needs {', '.join(specs)}")
        for operand, (key, spec) in zip(operands, specs.items(), strict=True):
            array = np.asarray(operand)
            if array.shape != spec.shape:
                raise ProblemError(
                    f"{key} has shape {array.shape}; this problem needs {spec.shape}"
                )
            self._arrays[key] = np.ascontiguousarray(array, dtype=spec.dtype.array_type)

    def _connect(self) -> None:
        """Write the addresses of the buffers into the stages' tables."""
        for table, places, keys in self._patches:
            rounds = np.arange(len(table))
            for index, (key, place) in enumerate(zip(keys, places, strict=True)):
                table[:, index] = self._arrays[key].ctypes.data + place.first + place.step * rounds
        self._actions = self._joined()

    def run(self) -> None:
        """Run every step once, BLAS on exactly the plan's threads."""
        for action in self._actions:
            action()

    def output(self) -> Array:
        """Return the result array itself; the next ``run()`` overwrites it."""
        if not self._actions:
            raise ConvprofError("nothing is bound yet: call bind(x, weights) and run() first")
        return self._arrays[Y]

    def executed_flops(self) -> int:
        """Return the plan's number, or else the FLOPs of the definition."""
        planned = self._plan.executed_flops
        return self.problem.flops if planned is None else planned

    def bytes_moved(self) -> int:
        """Return the operands' and the result's bytes, and each workspace written and read once.

        Every pass over the result reads and writes it once more.

        Packed weights are read instead of the weights. A workspace that is reused for each block
        counts once: it is small so that it stays in a cache.
        """
        plan = self._plan
        scratch = sum(buffer.nbytes for buffer in plan.workspaces.values())
        scratch += plan.passes * self._result.nbytes
        packed = sum(item.buffer.nbytes for item in plan.packed.values()) - plan.unread_bytes
        sources = {name for item in plan.packed.values() for name in item.sources}
        instead = packed - sum(self._operands[name].nbytes for name in sources)
        return super().bytes_moved() + 2 * scratch + instead

    def run_phases(self) -> Mapping[str, float]:
        """Run, to wake the threads; then run with a clock between the steps."""
        seconds: dict[str, float] = {}
        steps = list(self._by_phase())  # preparing a launch takes longer than many steps
        self.run()  # sets the threads of BLAS, too
        for phase, actions in steps:
            start = time.perf_counter()
            for action in actions:
                action()
            seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start
        return seconds if len(seconds) > 1 else {}

    def memory(self) -> list[Array]:
        """Return operands, result, workspaces and tables."""
        return [*self._arrays.values(), *self._tables]

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables of integers that the stages and the packing read, each once."""
        tables = (*self._tables, *_packing_tables(self._plan))
        return sum({id(table): table.nbytes for table in tables}.values())

    def inner_loops(self) -> list[tuple[str, str]]:
        """Return the inner loop of the register tile that does most of the work."""
        kept = [step.kernel.keep for step in self._plan.stages() if isinstance(step.kernel, Native)]
        loop = inner_loop(keep for keep in kept if isinstance(keep, TileList))
        return [loop] if loop else []

    def loop_nests(self) -> list[str]:
        """Return the assembly of the stages that numba compiles, in order."""
        return [
            kernels.assembly(step.kernel, *self._elements(step))
            for step in self._plan.stages()
            if not isinstance(step.kernel, Native)
        ]

    def _call(self, step: Call) -> Callable[[], None]:
        return lambda: step.function(self._arrays)

    def _elements(self, step: Stage) -> tuple[str, ...]:
        """Return the names of the types of a loop nest's buffers; one name if all are the same.

        So a loop nest is compiled once for all counts of its buffers.
        """
        names = tuple(self._dtypes[key].name for key in step.buffers)
        return names if len(set(names)) > 1 else names[:1]

    def _groups(self, step: Stage | Repeated) -> list[Group]:
        """Return a step's rows of the team's program, in groups between which Ctrl-C works."""
        if isinstance(step, Stage):
            macs = self.problem.macs * step.work_fraction / max(1, step.tasks)
            rows = self._stage(step, 1, (Place(),) * len(step.buffers))
            return [Group([row], macs * (row.hi - row.lo)) for row in rows]
        each = [
            self._stage(stage, step.rounds, places)
            for stage, places in zip(step.stages, step.places, strict=True)
        ]
        macs = self.problem.macs * sum(stage.work_fraction for stage in step.stages)
        return [
            Group([row for rows in each for row in rows[turn :: step.rounds]], macs)
            for turn in range(step.rounds)
        ]

    def _stage(self, step: Stage, rounds: int, places: tuple[Place, ...]) -> list[Work]:
        """Return the stage's rows: all rounds of a slice, then all of the next slice."""
        if isinstance(step.kernel, Native):
            address = step.kernel.address
        else:
            address = kernels.address(step.kernel, *self._elements(step))
        words = step.dims.build() if isinstance(step.dims, LateTable) else step.dims
        dims = np.ascontiguousarray(words, dtype=np.int64)
        pointers = np.zeros((rounds, len(step.buffers)), dtype=np.int64)
        self._tables += [dims, pointers]
        self._patches.append((pointers, places, step.buffers))
        table, first, apart = dims.ctypes.data, pointers.ctypes.data, WORD_BYTES * len(step.buffers)
        return [
            Work(address, lo, hi, first + turn * apart, table, step.static_schedule)
            for lo, hi in itertools.pairwise(self._edges(step))
            for turn in range(rounds)
        ]

    def _edges(self, step: Stage) -> list[int]:
        """Return the first task of each slice of a stage, and the end.

        A slice has a task for every thread. With a fixed number of tasks for each thread, the tasks
        of a slice are whole rounds: otherwise some threads would have a task more than others.
        """
        tasks, threads = step.tasks, self.threads
        macs = step.work_fraction * self.problem.macs
        parts = max(1, math.ceil(macs / UNINTERRUPTED_MACS))
        rounds = step.static_schedule and tasks % threads == 0
        unit = threads if rounds else 1
        slices = min(tasks, max(1, tasks // threads), parts)
        return [unit * (tasks // unit * i // slices) for i in range(slices + 1)] if slices else [0]

    def _launch(self, rows: list[Work]) -> Callable[[], None]:
        """Return the action that hands ``rows`` to the team in one launch."""
        members, program = team(self.threads), Program(rows, self.threads)
        return lambda: members.run(program)

    def _actions_of(self, groups: list[Group]) -> list[Callable[[], None]]:
        """Return the actions that run the rows, in as few launches as Ctrl-C allows."""
        return [self._launch(rows) for rows in launches(groups)]

    def _by_phase(self) -> Iterator[tuple[str, list[Callable[[], None]]]]:
        """Yield the actions of each step separately."""
        for phase, step in self._phases:
            yield phase, [step] if callable(step) else self._actions_of(step)

    def _joined(self) -> list[Callable[[], None]]:
        """Return as few actions as possible: successive stages are one launch."""
        actions: list[Callable[[], None]] = []
        groups: list[Group] = []
        for _, step in self._phases:
            if callable(step):
                actions += [*self._actions_of(groups), step]
                groups = []
            else:
                groups += step
        return [*self._holding(), *actions, *self._actions_of(groups)]

    def _holding(self) -> list[Callable[[], None]]:
        """Return the action that sets BLAS to the plan's threads, if the plan calls BLAS."""
        threads = self._plan.blas_threads
        return [] if threads is None else [lambda: blas().hold(threads)]

    def close(self) -> None:
        """Restore the thread count of BLAS."""
        if self._plan.blas_threads is not None:
            blas().release()


def _buffer_bytes(plan: Plan) -> int:
    return sum(buffer.nbytes for buffer in plan.buffers().values())


def _table_bytes(plan: Plan) -> int:
    """Return the bytes of all tables, including tables that are not built yet."""
    stages = plan.stages()
    late = [each.dims.words for each in stages if isinstance(each.dims, LateTable)]
    built = {
        id(each.dims): np.size(each.dims) for each in stages if isinstance(each.dims, np.ndarray)
    }
    short = [len(each.dims) for each in stages if not isinstance(each.dims, LateTable | np.ndarray)]
    words = sum(late) + sum(built.values()) + sum(short) + _pointers(plan)
    return WORD_BYTES * words + sum(table.nbytes for table in _packing_tables(plan))


def _pointers(plan: Plan) -> int:
    """Return the addresses of buffers in the tables of all stages."""
    total = 0
    for step in plan.steps:
        rounds, stages = (step.rounds, step.stages) if isinstance(step, Repeated) else (1, (step,))
        total += rounds * sum(len(each.buffers) for each in stages if isinstance(each, Stage))
    return total


def _packing_tables(plan: Plan) -> list[Array]:
    return [table for packed in plan.packed.values() for table in packed.tables]
