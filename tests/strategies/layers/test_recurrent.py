"""Recurrent layers on generated kernels, against the float64 reference."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen import isa
from convprof.dtypes import types
from convprof.machine import facts
from convprof.problems.operation import Operation
from convprof.problems.ops import Recurrent
from convprof.problems.tensors import relative_error
from convprof.strategies import registry
from convprof.strategies.base import Setting

CASES = [
    (Recurrent(cell="lstm", units=37, has_states=True, keeps_cells=True), 7),
    (Recurrent(cell="lstm", units=5, direction="bidirectional", bias=False), 1),
    (Recurrent(cell="gru", units=18, direction="bidirectional", has_states=True), 3),
    (Recurrent(cell="gru", units=16, direction="reverse"), 1),
    (Recurrent(cell="rnn", units=19, direction="reverse", has_states=True), 2),
]
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
ERRORS = {"f32": 1e-6, "f64": 1e-14, "bf16": 2e-2, "f16": 2e-3}


def error(op, n, setting, steps=4):
    states = [(op.directions, n, op.units)] * op.states
    problem = Operation(op=op, inputs=((steps, n, 9), *states))
    random = np.random.default_rng(0)
    operands = [
        random.uniform(-0.4, 0.4, spec.shape).astype(spec.dtype.array_type)
        for spec in problem.operands("nchw", types(setting.dtype))
    ]
    prepared = registry.find("operation", "vectors").prepare(problem, setting)
    prepared.bind(*operands)
    for _ in range(2):  # the second run begins with the cells of the first
        prepared.output()[...] = np.nan
        prepared.run()
    return relative_error(prepared.output().astype("f8"), problem.reference(operands))


@pytest.mark.parametrize(("op", "n"), CASES, ids=lambda each: getattr(each, "text", None))
@pytest.mark.parametrize("threads", THREADS)
def test_every_cell(op, n, threads):
    assert error(op, n, Setting("nchw", threads=threads)) < ERRORS["f32"]


@pytest.mark.parametrize("dtype", ["f64", "bf16", "f16"])
def test_other_types(dtype):
    op, n = CASES[0]
    setting = Setting("nchw", dtype)
    problem = Operation(op=op, inputs=((4, n, 9), *[(1, n, op.units)] * op.states))
    reason = registry.find("operation", "vectors").why_not(problem, setting)
    if reason is not None:
        pytest.skip(reason)
    assert error(op, n, setting) < ERRORS[dtype]


@pytest.mark.parametrize("name", isa.available()[:-1])
def test_smaller_instruction_sets(name):
    for case in (0, 2):
        assert error(*CASES[case], Setting("nchw", isa=name)) < ERRORS["f32"]


def test_one_step():
    assert error(*CASES[0], Setting("nchw"), steps=1) < ERRORS["f32"]
