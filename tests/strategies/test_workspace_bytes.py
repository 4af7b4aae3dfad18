"""``workspace_bytes`` is the memory that a prepared strategy holds besides operands and result."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from convprof.codegen.tile_list import TileKernel
from convprof.problems import (
    Attention,
    BackwardData,
    BackwardWeights,
    Conv2d,
    Gemm,
    LayoutConversion,
    Operation,
    ops,
)
from convprof.problems.epilogue import Epilogue
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.plan import Y
from convprof.strategies.plan_runner import PlanRunner
from convprof.strategies.planned import Planned
from convprof.strategies.unfused_epilogue import UnfusedEpilogue

CONV = Conv2d(n=2, c=6, h=9, w=8, k=10, r=3, s=3, pad=(1, 1))
GROUPED = Conv2d(n=2, c=8, h=9, w=8, k=8, r=3, s=3, pad=(1, 1), stride=(2, 2), groups=8)
GEMM = Gemm(m=50, n=40, k=30, batch=2)
PROBLEMS = [
    CONV,
    GROUPED,
    Conv2d(n=2, c=6, h=9, w=8, k=10, r=3, s=3, epilogue=Epilogue(bias=True, add=True)),
    GEMM,
    Gemm(m=50, n=40, k=30, epilogue=Epilogue(bias=True, function="relu")),
    Attention(batch=2, heads=2, tokens=70, dim=16),
    LayoutConversion(n=2, c=6, h=9, w=8),
    *(backward(p) for backward in (BackwardData, BackwardWeights) for p in (CONV, GROUPED, GEMM)),
    Operation(op=ops.Softmax(), inputs=((2, 9, 33),)),
    Operation(op=ops.AttentionScores(2), inputs=((2, 20, 48),)),
    Operation(op=ops.AttentionMix(2), inputs=((2, 2, 20, 20), (2, 20, 48))),
    Operation(op=ops.Attention(2), inputs=((1, 400, 48),)),
]


def cases():
    for problem in PROBLEMS:
        for strategy in registry.strategies(problem.kind):
            if not isinstance(strategy, Planned):
                continue
            unfused = [UnfusedEpilogue(strategy)] if getattr(problem, "epilogue", None) else []
            for each in (strategy, *unfused):
                for layout in LAYOUTS:
                    setting = Setting(layout, tune="off")
                    if each.why_not(problem, setting) is None:
                        name = f"{problem.kind} {problem.descriptor} {each.name} {layout}"
                        yield pytest.param(each, problem, setting, id=name)


def parts(thing):
    """Return what an object refers to: its fields, elements, closure or instance."""
    if isinstance(thing, dict):
        return thing.values()
    if isinstance(thing, list | tuple | set | frozenset):
        return thing
    if isinstance(thing, types.MethodType):
        return [thing.__self__]
    if isinstance(thing, types.FunctionType):
        return [cell.cell_contents for cell in thing.__closure__ or ()]
    if is_dataclass(thing):
        return [getattr(thing, field.name) for field in fields(thing)]
    return vars(thing).values() if type(thing).__module__.startswith("convprof.") else ()


def arrays(thing, seen):
    """Yield every array that can be reached from an object; machine code holds none."""
    if id(thing) in seen or isinstance(thing, types.ModuleType | type | TileKernel):
        return
    seen[id(thing)] = thing
    if isinstance(thing, np.ndarray):
        yield thing
        return
    for part in parts(thing):
        yield from arrays(part, seen)


@pytest.mark.parametrize(("strategy", "problem", "setting"), list(cases()))
def test_workspace_bytes_are_what_is_held(strategy, problem, setting):
    prepared = strategy.prepare(problem, setting)
    held = {array.ctypes.data: array.nbytes for array in arrays(prepared, {}) if array.size}
    del held[prepared._arrays[Y].ctypes.data]
    assert prepared.workspace_bytes == sum(held.values())


def test_an_epilogue_in_passes_allocates_once(monkeypatch):
    made = []
    init = PlanRunner.__init__

    def counted(self, *args):
        made.append(self)
        init(self, *args)

    monkeypatch.setattr(PlanRunner, "__init__", counted)
    p = Gemm(m=5, n=4, k=3, epilogue=Epilogue(bias=True))
    registry.find("gemm", "packed+passes").prepare(p, Setting())
    assert len(made) == 1
