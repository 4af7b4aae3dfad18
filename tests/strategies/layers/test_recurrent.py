"""Recurrent layers on generated kernels, against the float64 reference."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen import isa
from convprof.dtypes import F32, types
from convprof.machine import facts
from convprof.problems.operation import Operation
from convprof.problems.ops import Recurrent
from convprof.problems.tensors import relative_error
from convprof.strategies import plan_runner, registry
from convprof.strategies.base import Setting

LENGTHS = {"has_lengths": True, "has_states": True}
CASES = [
    (Recurrent(cell="lstm", units=37, has_states=True, keeps_cells=True), 7),
    (Recurrent(cell="lstm", units=5, direction="bidirectional", bias=False), 1),
    (Recurrent(cell="gru", units=18, direction="bidirectional", has_states=True), 3),
    (Recurrent(cell="gru", units=16, direction="reverse"), 1),
    (Recurrent(cell="rnn", units=19, direction="reverse", has_states=True), 2),
    (Recurrent(cell="gru", units=18, direction="bidirectional", reset_first=True), 5),
    (Recurrent(cell="gru", units=37, reset_first=True, bias=False, has_states=True), 1),
    (Recurrent(cell="lstm", units=17, direction="bidirectional", keeps_last=True, **LENGTHS), 5),
    (Recurrent(cell="lstm", units=16, keeps_cells=True, **LENGTHS), 3),
    (Recurrent(cell="rnn", units=5, direction="reverse", keeps_last=True, has_lengths=True), 4),
    (Recurrent(cell="gru", units=5, direction="bidirectional", keeps_last=True, **LENGTHS), 3),
    (Recurrent(cell="gru", units=5, direction="reverse", reset_first=True, **LENGTHS), 3),
    (Recurrent(cell="gru", units=5, keeps_last=True), 2),
    (Recurrent(cell="rnn", units=18, function="relu"), 2),
    (Recurrent(cell="lstm", units=20, keeps_last=True, keeps_cells=True), 2),
]
THREADS = [1, 2] if facts().topology.usable_cpus > 1 else [1]
ERRORS = {"f32": 1e-6, "f64": 1e-14, "bf16": 2e-2, "f16": 2e-3}


def problem_of(op, n, steps=4):
    states = [(op.directions, n, op.units)] * op.states
    lengths = [(n,)] * op.has_lengths
    return Operation(op=op, inputs=((steps, n, 9), *states, *lengths))


def error(op, n, setting, steps=4):
    problem = problem_of(op, n, steps)
    random = np.random.default_rng(0)
    operands = [
        random.uniform(-0.4, 0.4, spec.shape).astype(spec.dtype.array_type)
        for spec in problem.operands("nchw", types(setting.dtype))
    ]
    if op.has_lengths:  # the first item has all steps, others fewer
        operands[1 + op.states][...] = np.maximum(steps - np.arange(n), 1)
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
    setting = Setting("nchw", dtype)
    for case in (0, 5, 7):
        reason = registry.find("operation", "vectors").why_not(problem_of(*CASES[case]), setting)
        if reason is not None:
            pytest.skip(reason)
        assert error(*CASES[case], setting) < ERRORS[dtype]


@pytest.mark.parametrize("name", isa.available()[:-1])
def test_smaller_instruction_sets(name):
    for case in (0, 2, 6, 7):
        assert error(*CASES[case], Setting("nchw", isa=name)) < ERRORS["f32"]


def test_one_step():
    assert error(*CASES[0], Setting("nchw"), steps=1) < ERRORS["f32"]


@pytest.mark.parametrize("case", [1, 6])
def test_tables_of_tiles_do_not_grow_with_the_steps(case):
    op, n = CASES[case]
    vectors, setting = registry.find("operation", "vectors"), Setting("nchw")
    few, many = (vectors.prepare(problem_of(op, n, steps), setting) for steps in (4, 204))
    stages = len([each for each in few.plan.stages() if each.phase == "steps"]) // 2
    pointers = 4 + 4 * op.directions
    assert len(many.plan.stages()) == len(few.plan.stages())
    product = many.table_bytes - few.table_bytes - 200 * stages * pointers * 8
    assert product <= 200 * 64  # the tiles of one product for all inputs


def test_long_sequences_can_be_interrupted(monkeypatch):
    op, n = CASES[5]
    macs = problem_of(op, n).macs
    monkeypatch.setattr(plan_runner, "UNINTERRUPTED_MACS", macs // 4)
    prepared = registry.find("operation", "vectors").prepare(problem_of(op, n), Setting("nchw"))
    prepared.bind(*(np.zeros(spec.shape) for spec in problem_of(op, n).operands("nchw", F32)))
    assert len(prepared._actions) > 3
    assert error(op, n, Setting("nchw")) < ERRORS["f32"]


def test_the_type_of_lengths_has_all_of_them():
    op = Recurrent(cell="gru", units=4, has_lengths=True)
    assert problem_of(op, 2, 300).op.places(*problem_of(op, 2, 300).inputs) == 300
