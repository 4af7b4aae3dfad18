"""Operations of networks on bf16 and f16: converted in registers, rounded once."""

from __future__ import annotations

import pytest
from layer_ops import ALSO_ON_IMAGES, IMAGES, ON_IMAGES, ON_TOKENS, TOKENS

from convprof.codegen import isa
from convprof.dtypes import SHORT_FLOATS, tolerance
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import ops
from convprof.problems.layouts import LAYOUTS
from convprof.problems.operation import Operation
from convprof.strategies import registry
from convprof.strategies.base import Setting

VECTORS = registry.find("operation", "vectors")


def check(problem, setting):
    operands = Operands(problem, setting.types, 1)
    prepared = VECTORS.prepare(problem, setting)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    assert prepared.output().dtype == setting.types.result.array_type
    limit = tolerance(setting.types, problem.terms)
    assert max_rel_error(operands, prepared.output(), setting.layout) <= limit


@pytest.mark.parametrize("op", [*ON_IMAGES, *ALSO_ON_IMAGES], ids=repr)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_on_images(op, layout):
    problem = Operation(op=op, inputs=(IMAGES[0],), laid_out=True)
    check(problem, Setting(layout, "bf16" if layout == "nhwc" else "f16"))


@pytest.mark.parametrize("op", ON_TOKENS, ids=repr)
def test_on_tokens(op):
    check(Operation(op=op, inputs=(TOKENS[0],)), Setting("nhwc", "bf16"))


@pytest.mark.parametrize("name", isa.available())
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_instruction_set(name, layout):
    for window in ("max", "avg"):
        pool = ops.Pool2d.square(window, 3, stride=2, pad=1)
        for shape in (IMAGES[0], IMAGES[4]):
            problem = Operation(op=pool, inputs=(shape,), laid_out=True)
            check(problem, Setting(layout, "bf16", isa=name))
    check(Operation(op=ops.Add(), inputs=(IMAGES[2],) * 2), Setting(layout, "bf16", isa=name))


@pytest.mark.parametrize("name", isa.available())
@pytest.mark.parametrize("layout", LAYOUTS)
def test_maxima_and_copies_of_bytes(name, layout):
    setting = Setting(layout, "u8", isa=name)
    for op in (ops.Pool2d.square("max", 3, stride=2, pad=1), ops.Flatten()):
        for shape in (IMAGES[0], IMAGES[4]):
            problem = Operation(op=op, inputs=(shape,), laid_out=True)
            operands = Operands(problem, setting.types, 1)
            prepared = VECTORS.prepare(problem, setting)
            prepared.bind(*operands.all(layout))
            prepared.run()
            assert max_rel_error(operands, prepared.output(), layout) == 0


def test_other_operations_on_bytes_are_refused_by_name():
    average = Operation(
        op=ops.Pool2d.square("avg", 3, stride=1), inputs=(IMAGES[0],), laid_out=True
    )
    reason = VECTORS.why_not(average, Setting(dtype="u8"))
    assert reason == f"vectors computes {average.op.text} in floats, not u8"


@pytest.mark.parametrize("dtype", SHORT_FLOATS)
@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        (ops.AttentionScores(2), ((2, 9, 48),)),  # the factor is a power of two
        (ops.AttentionScores(2), ((1, 9, 42),)),  # it is not, and the sums have an odd length
        (ops.AttentionMix(2), ((2, 2, 9, 9), (2, 9, 48))),
        (ops.MatMul(), ((2, 5, 7), (2, 7, 4))),
        (ops.MatMul(transpose_b=True, scale=0.3), ((2, 40, 70), (2, 33, 70))),
        (ops.Attention(2), ((2, 19, 48),)),
        (ops.Attention(1), ((1, 400, 21),)),
        (ops.Terms((2, 9, 21)), ((2, 9, 21),)),
        (ops.Factors((2, 1, 21)), ((2, 9, 21),)),
        (ops.Divide(), ((2, 5, 19), (2, 5, 1))),
        (ops.Power(-0.5), ((2, 5, 19),)),
        (ops.Select(then=2.0), ((2, 1, 9), (2, 4, 9))),
        (ops.RmsNorm(), ((2, 5, 48),)),
        (ops.Expand((2, 5, 7, 4)), ((2, 1, 7, 4),)),
    ],
    ids=repr,
)
def test_products_of_activations_and_operations_of_files(op, inputs, dtype):
    check(Operation(op=op, inputs=inputs), Setting(dtype=dtype))
