from __future__ import annotations

import pytest

from convprof.errors import InputError
from convprof.measure.report import describe
from convprof.problems import BackwardData, BackwardWeights, parse
from convprof.problems.epilogue import Epilogue
from convprof.problems.from_json import problem_from
from convprof.problems.grouped_weights import GroupedWeights
from convprof.problems.layout_conversion import LayoutConversion

CONV, GEMM = parse('mb1ic4ih9iw8oc6oh9ow8kh3kw3ph1pw1n"a"'), parse("8x128:128x16")


@pytest.mark.parametrize(
    "problem",
    [
        CONV,
        GEMM,
        parse("attention:1x2x8x4"),
        CONV.with_epilogue(Epilogue.parse("bias,add,relu")),
        GEMM.with_epilogue(Epilogue.parse("gelu")),
        GEMM.with_grouped_weights(GroupedWeights("int4", 32)),
        BackwardData(CONV),
        BackwardWeights(GEMM),
    ],
    ids=str,
)
def test_a_described_problem_is_the_problem(problem):
    again = problem_from(describe(problem))
    assert (again, again.name, type(again)) == (problem, problem.name, type(problem))


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": None},
        {"kind": "conv2d-sideways"},
        {"descriptor": "nothing"},
        {"descriptor": 3},
        {"epilogue": "relu,bias"},
        {"weight_dtype": "int8", "group": "32"},
        {"weight_dtype": "int8", "group": 32},
    ],
)
def test_wrong_fields_are_an_input_error(changed):
    with pytest.raises(InputError):
        problem_from({**describe(CONV), **changed})


def test_a_kind_without_a_text_is_an_input_error():
    conversion = LayoutConversion(n=1, c=2, h=3, w=4)
    with pytest.raises(InputError):
        problem_from(describe(conversion))
