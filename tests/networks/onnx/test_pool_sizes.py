"""Pools whose sizes are rounded up, and what their averages divide by, as ONNX Runtime computes."""

from __future__ import annotations

import pytest

AVERAGE, MAX = "AveragePool", "MaxPool"
# What onnx's inference before opset 22 says differs in each of these.
CASES = {
    "average of 2x2": (AVERAGE, (1, 3, 2, 2), (3, 3, 1), (1, 3, 1, 1)),
    "window less than stride": (MAX, (1, 4, 12, 12), (1, 2, 0), (1, 4, 6, 6)),
    "size 2 mod 3": (MAX, (1, 2, 20, 20), (3, 3, 1), (1, 2, 7, 7)),
    "odd size": (AVERAGE, (1, 2, 9, 9), (2, 2, 1), (1, 2, 5, 5)),
    "both alike": (MAX, (1, 2, 8, 8), (3, 2, 0), (1, 2, 4, 4)),
}


def pooled(node, kind, window, output="y", **more):
    taps, stride, pad = window
    return node(
        kind, "x", output, kernel_shape=[taps] * 2, strides=[stride] * 2, pads=[pad] * 4,
        ceil_mode=1, **more,
    )  # fmt: skip


@pytest.mark.parametrize("opset", [17, 22])
@pytest.mark.parametrize("case", CASES)
def test_sizes_at_every_opset(imported, node, case, opset):
    kind, shape, window, expected = CASES[case]
    nodes = [pooled(node, kind, window, "a"), node("Relu", "a")]
    assert imported(nodes, shape, opset=opset).network.output == expected


@pytest.mark.parametrize(
    ("opset", "shape"), [(11, (1, 2, 7, 7)), (19, (1, 2, 8, 8)), (22, (1, 2, 9, 6))], ids=str
)
@pytest.mark.parametrize("window", [(3, 2, 0), (3, 2, 1), (2, 2, 1), (3, 3, 1), (2, 3, 0)], ids=str)
def test_values(same_as_runtime, node, opset, shape, window):
    pytest.importorskip("onnxruntime", "1.23", reason="older ones round pools up by an older rule")
    same_as_runtime([pooled(node, MAX, window)], shape, opset=opset)
    for counted in (0, 1):
        made = pooled(node, AVERAGE, window, count_include_pad=counted)
        same_as_runtime([made], shape, opset=opset)
