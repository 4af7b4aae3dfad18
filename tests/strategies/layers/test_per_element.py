"""Factors and terms per element, in both layouts."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import ProblemError
from convprof.problems import Operation, ops
from convprof.problems.layouts import LAYOUTS
from convprof.strategies import registry
from convprof.strategies.base import Setting

IMAGE = (2, 5, 4, 19)


@pytest.mark.parametrize("kind", [ops.Terms, ops.Factors])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("x", "weight", "laid_out"),
    [
        (IMAGE, IMAGE, True),
        (IMAGE, (1, 5, 4, 1), True),
        (IMAGE, (2, 1, 1, 19), True),
        (IMAGE, (1, 5, 4, 19), False),
        ((3, 4, 2, 5, 6), (3, 1, 2, 1, 6), False),
        ((7, 9), (7, 1), False),
    ],
)
def test_same_results(kind, layout, x, weight, laid_out):
    problem = Operation(op=kind(weight), inputs=(x,), laid_out=laid_out)
    random = np.random.default_rng(0)
    operands = [random.random(shape, np.float32) for shape in (x, weight)]
    turned = laid_out and layout == "nhwc"
    stored = operands[0].transpose(0, 2, 3, 1) if turned else operands[0]
    prepared = registry.find("operation", "vectors").prepare(problem, Setting(layout))
    prepared.bind(np.ascontiguousarray(stored), operands[1])
    prepared.run()
    y = prepared.output()
    y = y.transpose(0, 3, 1, 2) if turned else y
    np.testing.assert_allclose(y, problem.reference(operands), rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 4, 19), (1, 5, 2, 1)])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(ProblemError, match="it needs the axes of"):
        ops.Terms(shape).weights(IMAGE)


def test_the_text_and_the_cost():
    op = ops.Factors((1, 5, 4, 1))
    assert (op.text, op.flops(IMAGE), op.parameters(IMAGE)) == ("factors 1x5x4x1", 760, 20)
