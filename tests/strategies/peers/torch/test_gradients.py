from __future__ import annotations

import pytest

from convprof.dtypes import F32
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import BackwardData, BackwardWeights, Conv2d, Gemm
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting

pytest.importorskip("torch")

PROBLEMS = [
    Conv2d(n=2, c=8, h=9, w=8, k=12, r=3, s=3, pad=(1, 1), stride=(2, 1)),
    Conv2d(n=2, c=8, h=9, w=8, k=12, r=3, s=3, pad=(0, 1, 2, 1), groups=4),
    Gemm(m=5, n=6, k=7),
    Gemm(m=5, n=6, k=7, batch=3),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("which", [BackwardData, BackwardWeights])
@pytest.mark.parametrize("forward", PROBLEMS, ids=lambda problem: problem.descriptor)
def test_gradients_equal_the_reference(forward, which, layout):
    problem = which(forward)
    operands = Operands(problem, F32, 0)
    prepared = registry.find(problem.kind, "torch").prepare(problem, Setting(layout))
    prepared.bind(*operands.all(layout))
    prepared.run()
    assert prepared.output().shape == problem.result(layout, F32).shape
    assert max_rel_error(operands, prepared.output(), layout) < 1e-5
    prepared.close()
