"""An epilogue in passes of its own over the finished result: what fusing it is measured against.

Any strategy computes the bare problem; then the bias, the residual and the function each read the
whole result from memory and write it back, one after the other, as eager frameworks do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.codegen import isa as isas
from convprof.codegen.kernels.epilogue import Pass
from convprof.codegen.tile_list import TileList, kernel, runner_address
from convprof.problems import Conv2d, Gemm
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.strategies import epilogue
from convprof.strategies.plan import Native, Stage, Y
from convprof.strategies.planned import Planned

if TYPE_CHECKING:
    from convprof.problems import Problem
    from convprof.strategies.base import Setting, Strategy
    from convprof.strategies.plan import Plan


class UnfusedEpilogue(Planned["Conv2d | Gemm"]):
    """A strategy, and the epilogue in passes of its own."""

    def __init__(self, strategy: Strategy[Any]) -> None:
        """Take the name of ``strategy`` with ``+passes`` after it, and whatever it promises."""
        self.inner = strategy
        self.name = strategy.name + epilogue.SUFFIX
        self.kind = strategy.kind
        self.summary = f"{strategy.name}, then each step of the epilogue over the whole result"
        self.parallel = strategy.parallel
        self.least_threads = strategy.least_threads
        self.role = strategy.role
        self.generated = strategy.generated

    def why_not(self, problem: Problem, setting: Setting) -> str | None:
        """Refuse what the strategy refuses, what has no epilogue, and results of libraries."""
        if not isinstance(problem, Conv2d | Gemm) or problem.kind != self.kind:
            return f"{self.name} computes {self.kind}, not {problem.kind}"
        if not problem.epilogue:
            return f"{self.name} computes an epilogue; add one, or use {self.inner.name}"
        if not isinstance(self.inner, Planned):
            return f"{self.name}: the library keeps its result; use {self.inner.name}"
        reason = self.inner.why_not(_bare(problem), setting)
        return None if reason is None else f"{self.name}: {reason}"

    def plan(self, p: Conv2d | Gemm, setting: Setting) -> Plan:
        """Add a stage per step of the epilogue to the plan of the bare problem."""
        if not isinstance(self.inner, Planned):
            raise TypeError(f"{self.inner.name} has no plan to extend")
        plan = self.inner.plan(_bare(p), setting)
        stages = [stage(p, step, setting) for step in steps(p.epilogue)]
        flops = plan.executed_flops
        return replace(
            plan,
            steps=[*plan.steps, *stages],
            passes=plan.passes + len(stages),
            executed_flops=None if flops is None else flops + epilogue.flops(p),
        )


def ways(strategy: Strategy[Any], problem: Problem) -> list[Strategy[Any]]:
    """Return how a strategy computes a problem: fused where it can, and in separate passes.

    A problem without an epilogue has one way only; a library fuses or refuses.
    """
    if not getattr(problem, "epilogue", NO_EPILOGUE) or not isinstance(strategy, Planned):
        return [strategy]
    unfused = UnfusedEpilogue(strategy)
    return [strategy, unfused] if strategy.fuses else [unfused]


def steps(wanted: Epilogue) -> list[Epilogue]:
    """Return the parts of an epilogue, each an epilogue of one step."""
    parts = [
        Epilogue(bias=wanted.bias),
        Epilogue(add=wanted.add),
        Epilogue(function=wanted.function),
    ]
    return [part for part in parts if part]


def _bare(p: Any) -> Any:
    return replace(p, epilogue=NO_EPILOGUE)


# A pass over a finished result: one step of an epilogue, or several, read and written in place.

TASK_ELEMENTS = 8192
"""Of the result: long enough to outweigh the call, short enough to share out among the threads."""
ROWS = 8
"""Rows that share a loaded vector of the bias."""


def stage(p: Conv2d | Gemm, step: Epilogue, setting: Setting) -> Stage:
    """Return the stage that computes a step, or several, over the whole result, in place."""
    isa = isas.find(setting.isa)
    size = p.result(setting.layout, setting.types).elements
    made = _cut(p, step, setting, size)
    block = made.rows * made.columns
    whole, together = size // block, max(1, TASK_ELEMENTS // block)
    tiles = TileList()
    for first in range(0, whole, together):
        tiles.task()
        begin = np.arange(first, min(first + together, whole)) * block
        channel = begin // block % _channels(p) if made.lone else 0
        tiles.add(kernel(made, isa), 0, 0, begin, 0, channel, begin)
    rest = size - whole * block
    if rest:
        rows = rest // made.columns
        last = replace(made, rows=rows) if step.bias else replace(made, columns=rest)
        tiles.task()
        tiles.add(kernel(last, isa), 0, 0, size - rest, 0, 0, size - rest)
    dims = tiles.dims()
    buffers = epilogue.buffers(step, (Y, Y, Y))
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


def _cut(p: Conv2d | Gemm, step: Epilogue, setting: Setting, size: int) -> Pass:
    """Return the kernel for a block of the result, which is ``size`` elements long.

    A bias wants whole planes of a channel in NCHW, and whole rows of channels or columns elsewhere.
    """
    isa = isas.find(setting.isa)
    lanes = isa.lanes(setting.types.result.bytes)
    if not step.bias:
        return Pass(setting.types, lanes, step, min(TASK_ELEMENTS, size), fused=isa.fused)
    if isinstance(p, Conv2d) and setting.layout == "nchw":
        return Pass(setting.types, lanes, step, p.p * p.q, lone=True, fused=isa.fused)
    columns = _channels(p)
    rows = min(ROWS, size // columns)
    return Pass(setting.types, lanes, step, columns, rows, fused=isa.fused)


def _channels(p: Conv2d | Gemm) -> int:
    return p.k if isinstance(p, Conv2d) else p.n
