"""Masks, comparisons and choices: whole numbers and truth values, as ONNX Runtime computes them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from convprof.networks.onnx import load  # noqa: E402
from convprof.problems.ops import Compare  # noqa: E402

SHAPE = (2, 3)
INT64, FLOAT = 7, 1
TRI = np.tri(3, dtype=bool).reshape(1, 3, 3)
IDS = np.array([[0, 1, 2], [3, 1, 0]])
PLACES = np.broadcast_arrays(np.arange(2)[:, None, None], np.arange(3), np.zeros((1, 4, 1)))[:2]
CONSTANTS = {
    "one": np.int64(1),
    "three": np.int64(3),
    "per_image": np.array([[2], [1]]),
    "zero": np.float32(0),
    "half": np.float32(0.5),
    "lowest": np.finfo(np.float32).min,
    "minus_infinity": np.float32(-np.inf),
    "low": np.float32(-1e9),
    "second": np.array([1]),
    "wide": np.array([2, 3, 4]),
    "last": np.array([-1]),
    "numbers": np.float32(IDS / 2),
    "two_rows": TRI[0, :2],
    "every_pair": np.ones((3, 1, 1), bool),
    "no_pair": np.zeros(3, bool),
    "causal": TRI,
    "not_causal": ~TRI,
    "mask": np.where(TRI, 0, -np.inf).astype(np.float32),
    "mask_in_f64": np.where(TRI, 0, np.finfo(np.float64).min),
    "at": np.stack(PLACES, -1).astype(np.int64),
    "same": np.ones((2, 9), np.int64),
    "table": np.arange(8, dtype=np.float32).reshape(2, 4),
}
REAL, TRUE = "Cast x r to=1", "Cast x t to=9"
SCORES = [REAL, "Unsqueeze r last c", "Unsqueeze r second w", "Mul c w f"]
MASKED = ["multiply", "terms", "softmax"]
CASES = {
    "padding": (["Equal x one a", "Cast a y to=1"], ["compare"]),
    "number first": (["Less one x a", "Cast a y to=1"], ["compare"]),
    "per image": (["GreaterOrEqual x per_image a", "Cast a y to=1"], ["known", "compare"]),
    "logic": (
        [TRUE, "Equal x one b", "Not b c", "And t c d", "Or d b e", "Xor e c f", "Cast f y to=1"],
        ["compare", "compare", "compare", "multiply", "maximum", "compare"],
    ),
    "all true": ([TRUE, "And every_pair t a", "Cast a y to=1"], ["compare", "expand"]),
    "all false": ([TRUE, "Or t no_pair a", "Cast a y to=1"], ["compare"]),
    "choice of numbers": ([TRUE, "Where t zero lowest y"], ["compare", "select"]),
    "choice": (["Equal x one a", REAL, "Where a r half y"], ["compare", "select"]),
    "constants": ([REAL, "Where two_rows r numbers y"], ["known", "known", "select"]),
    "causal": ([*SCORES, "Where causal f minus_infinity g", "Softmax g y"], MASKED),
    "turned": ([*SCORES, "Where not_causal low f g", "Softmax g y"], MASKED),
    "causal, not for a softmax": (
        [*SCORES, "Where causal f low g", "Mul g half y"],
        ["multiply", "known", "select", "affine"],
    ),
    "added": ([*SCORES, "Add f mask g", "Softmax g y"], MASKED),
    "added in f64": (
        [*SCORES, "Cast f d to=11", "Add d mask_in_f64 g", "Cast g h to=1", "Softmax h y"], MASKED,
    ),
    "no NaN": ([REAL, "Softmax r s", "IsNaN s n", "Where n zero s y"], ["softmax"]),
    "sums": ([REAL, "ReduceSum r last y"], ["adaptive pool", "affine"]),
    "whole sums": (["ReduceSum x last a", "Cast a y to=1"], ["opaque"]),
    "whole differences": (["Sub x wide a", "Cast a y to=1"], ["terms"]),
    "quotients": ([REAL, "Exp r e", "Div r e y"], ["elementary", "divide"]),
    "running sums": (["CumSum x one a", "Cast a y to=1"], ["running sum"]),
    "whole division": (["Div x three a", "Cast a y to=1"], ["opaque"]),
    "repeated": (["GatherND x at a", "Cast a y to=1"], ["expand"]),
    "elements of one number": (
        ["GatherElements same x a axis=1", "Gather table a b axis=0", "Unsqueeze r last c",
         "Expand c wide d", "Mul b d y"],
        ["expand", "factors"],
    ),
}  # fmt: skip


def with_real_result(made):
    made.ir_version = 8
    made.graph.output[0].type.tensor_type.elem_type = FLOAT


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_runtime(save, parsed, name):
    lines, kinds = CASES[name]
    nodes = [parsed(line) for line in ([REAL] if name.startswith("elements") else []) + lines]
    read = {word for each in nodes for word in each.input}
    constants = {key: value for key, value in CONSTANTS.items() if key in read}
    path = save(nodes, SHAPE, constants, dtype=INT64, change=with_real_result)
    (expected,) = runtime.InferenceSession(path.read_bytes()).run(None, {"x": IDS})
    imported = load(path, {})
    found = [node.op.kind for node in imported.network.nodes if not node.op.is_view]
    assert found == kinds
    y = imported.network.reference(IDS.astype(np.float64), imported.weights())
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def test_a_number_beyond_f32_is_its_largest_one(save, parsed):
    lines = ["Cast x d to=11", "Less d largest a", "Cast a y to=1"]
    constants = {"largest": np.finfo(np.float64).max}
    path = save(list(map(parsed, lines)), SHAPE, constants, dtype=INT64, change=with_real_result)
    (node,) = load(path, {}).network.nodes
    assert node.op == Compare("less", float(np.finfo(np.float32).max))


@pytest.mark.parametrize(("operator", "kind"), [("Mul", "factors"), ("Add", "terms")])
def test_a_vector_and_numbers_that_were_not_learned(same_as_runtime, parsed, operator, kind):
    nodes = [parsed("Sin c s"), parsed(f"{operator} x s y")]
    network = same_as_runtime(nodes, (3,), {"c": np.arange(3, dtype=np.float32)})
    assert [node.op.kind for node in network.nodes if not node.op.is_view] == [kind]
    assert sum(map(network.parameters, network.nodes)) == 0


def test_masks_and_whole_numbers_are_no_parameters(save, parsed):
    lines = [*SCORES, "Add f mask g", "Add g ranks h", "Softmax h y"]
    constants = {key: CONSTANTS[key] for key in ("last", "second", "mask")}
    constants["ranks"] = np.arange(3, dtype=np.float32)
    path = save(list(map(parsed, lines)), SHAPE, constants, dtype=INT64, change=with_real_result)
    network = load(path, {}).network
    assert sum(network.parameters(node) for node in network.nodes) == 3
