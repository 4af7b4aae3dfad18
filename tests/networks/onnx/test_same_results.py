"""A file without weights and the network that was read from it compute the same."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.onnx.export import model  # noqa: E402

N, T, HEADS, DEPTH = 2, 5, 3, 4
W = HEADS * DEPTH

NUMBERS = {
    "sqrt2": 2**0.5, "one": 1, "half": 0.5, "three": 3, "zero": 0, "six": 6, "root": DEPTH**-0.25,
    "scale": DEPTH**-0.5,
}  # fmt: skip
WHOLE = {
    "split": [N, T, 3, HEADS, DEPTH], "apart": [N, T, HEADS, DEPTH], "back": [N, T, W],
    "i0": 0, "i1": 1, "i2": 2, "first": [0], "third": [3], "rows": [T, N * HEADS, DEPTH],
    "square": [N, HEADS, T, DEPTH], "five": [1, T, N, 3, W], "flat": [T * N, W],
    "turned": [T, N, W], "tail": [0, -1], "ends": [2], "axis": [-1], "begin": [1],
}  # fmt: skip
SOFT = ["MatMul q k s", "Mul s scale f", "Softmax f p axis=-1", "MatMul p v o"]
JOIN = ["Transpose o t perm=0,2,1,3", "Reshape t back y"]
CASES = {
    "attention of five axes": ((N, T, 3 * W), [
        "Reshape x split a", "Transpose a b perm=2,0,3,1,4", "Gather b i0 q axis=0",
        "Gather b i1 kk axis=0", "Gather b i2 v axis=0", "Transpose kk k perm=0,1,3,2",
        *SOFT, *JOIN,
    ]),
    "attention of a split": ((N, T, 3 * W), [
        "Split x q0,k0,v0 axis=2", "Reshape q0 apart q1", "Reshape k0 apart k1",
        "Reshape v0 apart v1", "Transpose q1 q2 perm=0,2,1,3", "Transpose k1 k2 perm=0,2,3,1",
        "Transpose v1 v perm=0,2,1,3", "Mul q2 root q", "Mul k2 root k", "MatMul q k s",
        "Softmax s p axis=-1", "MatMul p v o", *JOIN,
    ]),
    "attention of tokens first": ((T, N, 3 * W), [
        "Reshape x five a", "Transpose a b perm=3,1,2,0,4", "Squeeze b third c",
        *(line for i, z in enumerate("qkv") for line in (
            f"Gather c i{i} {z}0 axis=0", f"Reshape {z}0 rows {z}1",
            f"Transpose {z}1 {z}2 perm=1,0,2", f"Reshape {z}2 square {z}3",
        )),
        "Transpose k3 k perm=0,1,3,2", "MatMul q3 k s", "Mul s scale f", "Softmax f p axis=-1",
        "MatMul p v3 o", "Transpose o t perm=2,0,1,3", "Reshape t flat u", "Reshape u turned w",
        "Transpose w y perm=1,0,2",
    ]),
    "queries and keys the other way round": ((N, T, 3 * W), [
        "Reshape x split a", "Transpose a b perm=2,0,3,1,4", "Gather b i1 q axis=0",
        "Gather b i0 kk axis=0", "Gather b i2 v axis=0", "Transpose kk k perm=0,1,3,2",
        *SOFT, *JOIN,
    ]),
    "activations": ((2, 6, 4), [
        "Div x sqrt2 a", "Erf a b", "Add b one c", "Mul x c d", "Mul d half gelu",
        "Sigmoid gelu s", "Mul s gelu silu", "Add silu three e", "Clip e zero six g",
        "Mul g silu h", "Div h six y",
    ]),
    "images": ((2, 6, 7, 5), [
        "AveragePool x a kernel_shape=3,3 strides=2,2 auto_pad=SAME_LOWER",
        "MaxPool a b kernel_shape=2,2 pads=1,0,0,1", "ReduceMean b m axes=2,3 keepdims=1",
        "Sub b m d", "Transpose d e perm=0,2,3,1", "ReduceMean e f axes=1 keepdims=0",
        "Mul f half g", "Reshape g tail h", "Slice h begin ends axis i", "Concat i,h y axis=1",
    ]),
}  # fmt: skip


def run(data, x, name):
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {name: x})[0]


@pytest.mark.parametrize("name", CASES)
def test_same_results(save, parsed, name):
    shape, lines = CASES[name]
    weights = {key: np.array(value, np.float32) for key, value in NUMBERS.items()}
    weights |= {key: np.array(value, np.int64) for key, value in WHOLE.items()}
    nodes = [parsed(line) for line in lines]
    read = {word for each in nodes for word in each.input}
    path = save(
        nodes, shape, {key: value for key, value in weights.items() if key in read}, opset=17,
        change=lambda made: setattr(made, "ir_version", 8),
    )  # fmt: skip
    network = load(path, {}).network
    assert [key for each in network.nodes for key in each.op.weights(*network.reads(each))] == []
    kinds = [each.op.kind for each in network.nodes]
    assert ("attention qk" in kinds) == name.startswith("attention")
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    expected = run(path.read_bytes(), x, "x")
    np.testing.assert_allclose(expected, run(model(network, {}), x, "input"), rtol=1e-4, atol=1e-5)
