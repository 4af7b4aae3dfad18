"""What layers of a chain write to lent memory between two runs must not change a result."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.measure.operands import Operands
from convprof.problems import Attention, Conv2d, Gemm
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.plan_runner import PlanRunner

CONV = Conv2d(c=5, h=5, w=5, k=7, r=3, s=3, stride=(2, 2), pad=(1, 1))
GEMM, ATTENTION = Gemm(m=7, n=9, k=13), Attention(heads=2, tokens=5, keys=7, dim=9)
"""Numbers of elements that fill no vector and no group of an instruction."""
NOT_A_NUMBER = 0xFF
"""The byte that makes every type of floats NaN."""


def own(p, setting):
    return [
        strategy
        for strategy in registry.strategies(p.kind)
        if not strategy.role.is_peer
        and strategy.name != "auto"
        and strategy.why_not(p, setting) is None
    ]


@pytest.mark.parametrize(
    ("p", "dtype"),
    [
        *((p, dtype) for p in (CONV, GEMM) for dtype in ("bf16", "u8:s8:u8")),
        *((ATTENTION, dtype) for dtype in ("bf16", "s8:s8:f32")),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_every_strategy_overwrites_what_it_reads_of_lent_memory(p, dtype):
    setting = Setting("nhwc", dtype, tune="off")
    lenders = 0
    for strategy in own(p, setting):
        prepared = strategy.prepare(p, setting)
        if not isinstance(prepared, PlanRunner) or not prepared.scratch():
            continue
        prepared.bind(*Operands(p, setting.types, 0).all("nhwc"))
        prepared.run()
        expected = prepared.output().tobytes()
        lent = prepared.scratch().items()
        prepared.lend({key: np.full(size, NOT_A_NUMBER, np.uint8) for key, size in lent})
        prepared.run()
        assert prepared.output().tobytes() == expected, strategy.name
        lenders += 1
    assert lenders > 0
