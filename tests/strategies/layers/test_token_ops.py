"""Operations of text models on generated kernels, against the float64 reference."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from convprof.codegen import isa
from convprof.dtypes import F32, tolerance
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import ops
from convprof.problems.layouts import to_layout
from convprof.problems.operation import Operation
from convprof.problems.ops.elementary import ElementaryFunction
from convprof.problems.tensors import relative_error
from convprof.strategies import registry
from convprof.strategies.base import Setting

ELEMENTARY = get_args(ElementaryFunction)
HEADS = ops.Transpose((0, 2, 1, 3))
CASES = [
    (ops.Embedding(50, 33), ((2, 7),)),
    (ops.Embedding(3, 128), ((130,),)),
    (ops.Embedding(9, 1), ((2, 3, 4),)),
    (ops.Known((2, 1, 19)), ((3, 5),)),
    (ops.Expand((2, 5, 7, 4)), ((2, 1, 7, 4),)),
    (ops.Expand((3, 2, 40)), ((1, 2, 1),)),
    (ops.Rearranged((ops.Slice(2, 8, 24), ops.Reshape((2, 5, 4, 4)), HEADS)), ((2, 5, 24),)),
    (ops.Rearranged((ops.Slice(1, 1, 4), ops.Transpose((2, 1, 0)))), ((3, 5, 19),)),
    *((ops.Power(exponent), ((2, 5, 19),)) for exponent in (0.5, -0.5, -1.0)),
    *((ops.Elementary(function), ((2, 5, 19),)) for function in ELEMENTARY),
    (ops.RunningSum(1), ((2, 5, 19),)),
    (ops.RunningSum(2, reverse=True, exclusive=True), ((2, 3, 7),)),
    (ops.Place(2), ((2, 3, 7),)),
    (ops.Place(1, of="smallest", last=True), ((2, 5, 19),)),
    (ops.ChosenRow(), ((3, 2, 19), (3,))),
    (ops.Divide(), ((2, 5, 19), (2, 5, 1))),
    (ops.RmsNorm(), ((2, 5, 48),)),
    (ops.RmsNorm(0.5), ((7, 3),)),
    (ops.Terms((1, 1, 5, 5), learned=False), ((2, 3, 5, 5),)),
    (ops.Factors((1, 1, 7, 4), learned=False), ((2, 3, 7, 4),)),
    *((ops.Compare(r), ((2, 5, 17), (1, 5, 17))) for r in ("equal", "less", "at most")),
    *((ops.Compare(r, 1.0), ((2, 5, 17),)) for r in ("not equal", "more", "at least")),
    (ops.Select(), ((2, 1, 9), (2, 4, 9), (1, 4, 9))),
    (ops.Select(then=2.0), ((2, 1, 9), (2, 4, 9))),
    (ops.Select(otherwise=-3e38), ((2, 1, 9), (2, 4, 9))),
    (ops.Select(0.0, -3e38), ((2, 1, 9),)),
]


def computed(problem, operands, threads=1):
    prepared = registry.find("operation", "vectors").prepare(
        problem, Setting("nchw", threads=threads)
    )
    prepared.bind(*operands)
    prepared.output()[...] = np.nan
    prepared.run()
    return np.array(prepared.output())


def drawn(problem):
    """Return operands within their limits; of relations and choices, whole numbers from 0 to 2."""
    random = np.random.default_rng(0)
    arrays = []
    for spec in problem.operands("nchw", F32):
        least, most = spec.limits or (-1.0, 1.0)
        array = random.uniform(least, most, spec.shape)
        if problem.op.kind in ("compare", "select", "chosen row"):
            array = random.integers(0, 3, spec.shape)
        arrays.append(array.astype(np.float32))
    return arrays


@pytest.mark.parametrize(("op", "inputs"), CASES, ids=str)
def test_close_to_the_reference(op, inputs):
    problem = Operation(op=op, inputs=inputs)
    operands = drawn(problem)
    expected = problem.reference(operands)
    assert expected.shape == op.output(*inputs)
    for threads in (1, 2):
        assert relative_error(computed(problem, operands, threads), expected) < 2e-6


@pytest.mark.parametrize(("op", "inputs"), CASES[::2], ids=str)
def test_short_floats(op, inputs):
    problem, setting = Operation(op=op, inputs=inputs), Setting("nchw", "bf16")
    operands = Operands(problem, setting.types, 1)
    prepared = registry.find("operation", "vectors").prepare(problem, setting)
    prepared.bind(*operands.all("nchw"))
    prepared.run()
    limit = tolerance(setting.types, problem.terms)
    assert max_rel_error(operands, prepared.output(), "nchw") <= limit


@pytest.mark.parametrize("op", [ops.Place(1), ops.Place(3), ops.RunningSum(1), ops.RunningSum(2)])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_along_an_axis_of_an_image(op, layout):
    problem = Operation(op=op, inputs=((2, 5, 3, 19),), laid_out=True)
    drawn_operands = drawn(problem)
    prepared = registry.find("operation", "vectors").prepare(problem, Setting(layout))
    prepared.bind(np.ascontiguousarray(to_layout(drawn_operands[0], layout)))
    prepared.run()
    assert relative_error(prepared.output(), problem.reference(drawn_operands)) < 1e-6


@pytest.mark.parametrize("wrong", [-1e9, -1.0, 3.0, 1e9, np.inf, -np.inf, np.nan])
def test_an_id_outside_the_table_reads_no_other_memory(wrong):
    problem = Operation(op=ops.Embedding(3, 20), inputs=((2,),))
    table = np.arange(60, dtype=np.float32).reshape(3, 20)
    y = computed(problem, (np.array([1.0, wrong], np.float32), table))
    nearest = 2 if wrong >= 3 else 0
    np.testing.assert_array_equal(y, table[[1, nearest]])


LARGE = np.array(
    [0.0, 0.5, -0.5, 1.5, -1.5, 2.5, 1e-3, -3.0, 30.0, -30.0, 87.0, 88.6, -100.0, 150.0, 1e-40, 6e3]
)
"""Halves, where functions overflow or end, a denormal number, many turns."""


@pytest.mark.parametrize(
    ("function", "dtype", "name"),
    [
        *((function, "f32", isa.available()[-1]) for function in ELEMENTARY),
        *((function, "f64", isa.available()[-1]) for function in ("exp", "log", "sin", "round")),
        *((function, "f32", isa.available()[0]) for function in ("exp", "log", "cos", "floor")),
    ],
)
def test_elementary_functions_far_from_zero(function, dtype, name):
    setting = Setting("nchw", dtype, isa=name)
    x = LARGE.astype(setting.types.source.array_type)
    x = np.abs(x) if function == "log" else x
    problem = Operation(op=ops.Elementary(function), inputs=((1, len(x)),))
    prepared = registry.find("operation", "vectors").prepare(problem, setting)
    prepared.bind(x[None])
    prepared.run()
    expected = problem.reference([x[None]])
    with np.errstate(over="ignore"):
        expected = expected.astype(x.dtype)
    error = {"f32": 2e-6, "f64": 1e-14}[dtype]
    np.testing.assert_allclose(prepared.output(), expected, rtol=error, atol=error)


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        ("exp", [np.inf, -np.inf, np.nan], [np.inf, 0.0, np.nan]),
        ("log", [np.inf, 0.0, -1.0, np.nan], [np.inf, -np.inf, np.nan, np.nan]),
        ("softplus", [np.inf, -np.inf, np.nan], [np.inf, 0.0, np.nan]),
        ("mish", [np.inf, -np.inf, np.nan], [np.inf, 0.0, np.nan]),
        ("sin", [np.inf, np.nan], [np.nan, np.nan]),
        ("floor", [np.inf, -np.inf, np.nan, 1e30, -0.5], [np.inf, -np.inf, np.nan, 1e30, -1.0]),
        ("ceil", [np.inf, -np.inf, np.nan, 1e30, 0.5], [np.inf, -np.inf, np.nan, 1e30, 1.0]),
        ("sign", [np.inf, -np.inf, np.nan, 0.0], [1.0, -1.0, np.nan, 0.0]),
    ],
)
def test_elementary_functions_of_infinity(function, x, expected):
    problem = Operation(op=ops.Elementary(function), inputs=((1, len(x)),))
    y = computed(problem, [np.array([x], np.float32)])
    np.testing.assert_allclose(y, np.array([expected], np.float32), atol=1e-30)
