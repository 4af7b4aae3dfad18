"""PyTorch's epilogues, each way of calling it, against the float64 reference."""

from __future__ import annotations

import pytest

from convprof.dtypes import F32
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d, Gemm
from convprof.problems.epilogue import STEPS, Epilogue
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.peers.torch import calls, epilogue
from convprof.strategies.peers.torch.state import from_array

pytest.importorskip("torch")

EPILOGUES = [
    "bias",
    "add",
    "bias,add",
    *STEPS,
    *(f"bias,{name}" for name in STEPS),
    *(f"bias,add,{name}" for name in STEPS),
]
CONV = {"n": 2, "c": 8, "h": 9, "w": 8, "k": 12, "r": 3, "s": 3}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("text", EPILOGUES)
def test_every_way_computes_the_epilogue(text, layout):
    made = Epilogue.parse(text)
    for problem in (
        Conv2d(**CONV, pad=(1, 1), epilogue=made),
        Conv2d(**CONV, pad=(0, 1, 2, 1), groups=4, epilogue=made),
        Gemm(m=5, n=6, k=7, epilogue=made),
        Gemm(m=5, n=6, k=7, batch=3, epilogue=made),
    ):
        operands = Operands(problem, F32, 0)
        prepared = registry.find(problem.kind, "torch").prepare(problem, Setting(layout))
        given = operands.all(layout)
        prepared.bind(*given)
        candidates = prepared.calls(*map(from_array, given[:2]))
        assert len(candidates) >= 1
        for call in (candidates[0], *filter(calls._runs, candidates[1:])):
            prepared._call = prepared.in_layout(call)
            prepared.run()
            prepared.run()
            assert max_rel_error(operands, prepared.output(), layout) < 1e-5
        prepared.close()


def test_every_function_has_a_name_in_onednn():
    assert set(epilogue.ONEDNN) == {None, *STEPS}
