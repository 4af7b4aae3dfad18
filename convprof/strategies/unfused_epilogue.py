"""An epilogue in separate passes over the finished result: the reference for fusing it.

Any strategy computes the bare problem; then the bias, the residual and the function each read the
whole result from memory and write it back, one after the other, as eager frameworks do.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.epilogue import Pass
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.problems import Trainable
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.results import without_name
from convprof.strategies import epilogue, sums
from convprof.strategies.plan import Call, Native, Stage, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.strategies.base import Setting, Strategy
    from convprof.strategies.plan import Plan, Repeated


class UnfusedEpilogue(Planned[Trainable]):
    """A strategy, followed by the epilogue in separate passes."""

    def __init__(self, strategy: Strategy[Any]) -> None:
        """Take the name of ``strategy`` with ``+passes`` after it, and its other attributes."""
        self.inner = strategy
        self.name = strategy.name + epilogue.SUFFIX
        self.kind = strategy.kind
        self.summary = f"{strategy.name}, then each step of the epilogue over the whole result"
        self.parallel = strategy.parallel
        self.least_threads = strategy.least_threads
        if strategy.on_one_thread:
            self.on_one_thread = strategy.on_one_thread + epilogue.SUFFIX
        self.role = strategy.role
        self.generated = strategy.generated
        self.dtypes = strategy.dtypes

    def why_not(self, problem: Problem, setting: Setting) -> str | None:
        """Refuse problems that the strategy refuses, problems without epilogue, and libraries."""
        if problem.kind != self.kind:
            return f"{self.name} computes {self.kind}, not {problem.kind}"
        if not problem.epilogue:
            return self._instead(problem, setting, "computes an epilogue; add one, or")
        if not isinstance(self.inner, Planned):
            return self._instead(problem, setting, "has no passes: the library keeps its result;")
        if setting.types.requantises and self.inner.fuses:
            return self._instead(problem, setting, "has no passes: requantisation is fused;")
        reason = self._cannot_end(problem, setting.types)
        if reason is not None:
            return reason
        reason = self.inner.why_not(problem.with_epilogue(NO_EPILOGUE), setting)
        return None if reason is None else self._own(reason)

    def _instead(self, problem: Problem, setting: Setting, why: str) -> str:
        """Return a refusal that recommends the strategy itself, or why that refuses too."""
        reason = self.inner.why_not(problem, setting)
        return f"{self.name} {why} use {self.inner.name}" if reason is None else self._own(reason)

    def _own(self, reason: str) -> str:
        """Return a reason of the strategy under the name with ``+passes``."""
        return f"{self.name} {without_name(reason, self.inner.name)}"

    def plan(self, p: Trainable, setting: Setting) -> Plan:
        """Add a stage per step of the epilogue to the plan of the bare problem."""
        types, inner = setting.types, self._planned()
        if types.requantises:
            return inner.plan(p, setting)  # its last stage does all that follows the sums
        plan = _summed(inner, p.with_epilogue(NO_EPILOGUE), setting)
        stages = [stage(p, step, setting, sums.buffer(types)) for step in steps(p.epilogue)]
        flops = plan.executed_flops
        whole = replace(
            plan,
            steps=[*plan.steps, *stages],
            passes=plan.passes + len(stages),
            executed_flops=None if flops is None else flops + epilogue.flops(p),
        )
        return sums.with_rounding(whole, p, setting)

    def _planned(self) -> Planned[Trainable]:
        if not isinstance(self.inner, Planned):
            raise TypeError(f"{self.inner.name} has no plan to extend")
        return self.inner


def _summed(inner: Planned[Trainable], bare: Trainable, setting: Setting) -> Plan:
    """Return the plan whose result is the sums, not rounded yet.

    Otherwise every pass would round a short result again.
    """
    types = setting.types
    plan = inner.plan(bare, replace(setting, dtype=sums.summed(types).name))
    if sums.buffer(types) == Y:
        return plan
    return replace(plan, steps=[_renamed(step, sums.buffer(types)) for step in plan.steps])


def _renamed(step: Stage | Repeated | Call, result: str) -> Stage | Repeated:
    """Return a stage that writes its result to another buffer."""
    if isinstance(step, Call):
        raise TypeError(f"{step.phase}: a library writes its own result")
    return step.renamed(Y, result)


def variants(strategy: Strategy[Any], problem: Problem) -> list[Strategy[Any]]:
    """Return the strategies for a problem: fused where possible, and in separate passes.

    A problem without an epilogue has only the first; a library fuses or refuses.
    """
    if not problem.epilogue or not isinstance(strategy, Planned):
        return [strategy]
    unfused = UnfusedEpilogue(strategy)
    return [strategy, unfused] if strategy.fuses else [unfused]


def steps(epilogue: Epilogue) -> list[Epilogue]:
    """Return the parts of an epilogue, each an epilogue of one step."""
    parts = [
        Epilogue(bias=epilogue.bias),
        Epilogue(add=epilogue.add),
        Epilogue(function=epilogue.function),
    ]
    return [part for part in parts if part]


# A pass over a finished result: one step of an epilogue, or several, read and written in place.

TASK_ELEMENTS = 8192
"""Elements per tile: enough to outweigh the call, few enough to share out among the threads."""
ROWS = 8
"""Rows that share a loaded vector of the bias."""


def stage(p: Trainable, step: Epilogue, setting: Setting, buffer: str = Y) -> Stage:
    """Return the stage that computes a step, or several, over all of a buffer, in place.

    The buffer has sums in the layout of the result.
    """
    isa = isas.find(setting.isa)
    size = p.result(setting.layout, setting.types).elements
    tile = _cut(p, step, setting, size)
    block = tile.rows * tile.columns
    whole, together = size // block, max(1, TASK_ELEMENTS // block)
    tiles = TileList()
    for first in range(0, whole, together):
        tiles.task()
        begin = np.arange(first, min(first + together, whole)) * block
        channel = begin // block % p.channels if tile.lone else 0
        tiles.add(kernel(tile, isa), 0, 0, begin, 0, channel, begin)
    rest = size - whole * block
    if rest:
        rows = rest // tile.columns
        last = replace(tile, rows=rows) if step.bias else replace(tile, columns=rest)
        tiles.task()
        tiles.add(kernel(last, isa), 0, 0, size - rest, 0, 0, size - rest)
    dims = tiles.dims()
    buffers = epilogue.buffers(step, (buffer, buffer, buffer), setting.types)
    native = Native(runner_address(len(buffers)), tiles)
    return Stage(
        f"{step.text.replace(',', ', ')} pass",
        native,
        int(dims[0]),
        buffers,
        dims,
        static_schedule=True,
        work_fraction=0.0,
    )


def _cut(p: Trainable, step: Epilogue, setting: Setting, size: int) -> Pass:
    """Return the kernel for a block of ``size`` elements of the result.

    With a bias, blocks are whole planes of a channel in NCHW, and whole rows otherwise.
    """
    isa = isas.find(setting.isa)
    lanes = isa.lanes(setting.types.accumulator.bytes)
    if not step.bias:
        return Pass(setting.types, lanes, step, min(TASK_ELEMENTS, size), fused=isa.fused)
    result = p.result(setting.layout, setting.types)
    if result.layout == "nchw":
        plane = math.prod(result.shape[2:])
        return Pass(setting.types, lanes, step, plane, lone=True, fused=isa.fused)
    columns = p.channels
    rows = min(ROWS, size // columns)
    return Pass(setting.types, lanes, step, columns, rows, fused=isa.fused)
