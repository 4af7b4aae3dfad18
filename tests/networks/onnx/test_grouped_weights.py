"""MatMulNBits: the weights of a file in their own bits, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from convprof.errors import InputError  # noqa: E402
from convprof.networks.onnx import load  # noqa: E402
from convprof.problems import NetworkProblem  # noqa: E402
from convprof.strategies.base import Setting  # noqa: E402
from convprof.strategies.networks.choice import layer_choices  # noqa: E402
from convprof.strategies.networks.recipe import recipe_for  # noqa: E402
from convprof.strategies.networks.strategy import Chained  # noqa: E402
from convprof.studies.network.file_operands import operands_of  # noqa: E402

K, N = 72, 6
RUNTIME = tuple(int(part) for part in runtime.__version__.split(".")[:2])
few_bits = pytest.mark.skipif(
    RUNTIME < (1, 23), reason="this ONNX Runtime has no weights of 8 and 4 bits in blocks"
)


def file(path, bits=4, group=32, *, zeros=True, bias=False, tokens=(1, 5), **more):
    """Write a file of one product and a ReLU."""
    helper, random, groups = onnx.helper, np.random.default_rng(1), -(-K // group)
    packed = random.integers(0, 256, (N, groups, group * bits // 8)).astype(np.uint8)
    scales = (random.random((N, groups)) + 0.5).astype(np.float32)
    points = random.integers(0, 256, (N, -(-groups * bits // 8))).astype(np.uint8)
    tensors = {"w": packed, "s": scales, "z": points, "b": np.arange(N, dtype=np.float32)}
    tensors |= more
    tensors = {name: tensors[name] for name in ("w", "s", *"z" * zeros, *"b" * bias)}
    inputs = ["x", "w", "s", "z" if zeros else "", "", "b" if bias else ""]
    node = helper.make_node(
        "MatMulNBits", inputs, ["y"], "product", domain="com.microsoft",
        K=K, N=N, bits=bits, block_size=group,
    )  # fmt: skip
    graph = helper.make_graph(
        [node, helper.make_node("Relu", ["y"], ["last"])],
        "few bits",
        [helper.make_tensor_value_info("x", 1, [*tokens, K])],
        [helper.make_tensor_value_info("last", 1, [*tokens, N])],
        [onnx.numpy_helper.from_array(each, name) for name, each in tensors.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


CASES = [
    {},
    {"zeros": False},
    {"bits": 8},
    {"bits": 8, "zeros": False},
    {"group": 128},
    {"group": 16},
    {"bias": True, "group": 64},
]


def blocked_file(path, stored, *, zeros=False, gemm=False):
    """Write a product with a matrix that DequantizeLinear gives, of blocks of 32 rows."""
    helper, random = onnx.helper, np.random.default_rng(2)
    bits, signed = int(stored[-1]), stored.startswith("I")
    low = -(1 << (bits - 1)) if signed else 0
    shape, factors = ((N, 64), (N, 2)) if gemm else ((64, N), (2, N))

    def whole(name, sizes):
        numbers = random.integers(low, low + (1 << bits), sizes).reshape(-1).tolist()
        return helper.make_tensor(name, getattr(onnx.TensorProto, stored), sizes, numbers)

    scales = (random.random(factors) + 0.5).astype(np.float32)
    tensors = [whole("w", shape), onnx.numpy_helper.from_array(scales, "s")]
    tensors += [whole("z", factors)] * zeros
    tensors += [onnx.numpy_helper.from_array(np.arange(N, dtype=np.float32), "b")] * gemm
    names = ["w", "s", *["z"] * zeros]
    product = ("Gemm", ["x", "m", "b"], {"transB": 1}) if gemm else ("MatMul", ["x", "m"], {})
    nodes = [
        helper.make_node("DequantizeLinear", names, ["m"], axis=int(gemm), block_size=32),
        helper.make_node(product[0], product[1], ["last"], **product[2]),
    ]
    inputs = [helper.make_tensor_value_info("x", 1, [5, 64])]
    outputs = [helper.make_tensor_value_info("last", 1, [5, N])]
    graph = helper.make_graph(nodes, "blocks", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


BLOCKED = [
    ("INT4", {}, "int4"),
    ("INT4", {"zeros": True}, "uint4"),
    ("UINT4", {}, "uint4"),
    ("UINT4", {"zeros": True, "gemm": True}, "uint4"),
    ("INT8", {"gemm": True}, "int8"),
    ("UINT8", {"zeros": True}, "uint8"),
]


@few_bits
@pytest.mark.parametrize(("stored", "case", "dtype"), BLOCKED)
def test_blocks_of_dequantised_weights_keep_their_bits(tmp_path, stored, case, dtype):
    path = blocked_file(tmp_path / "a.onnx", stored, **case)
    imported = load(path, {})
    assert imported.network.nodes[0].op.text == f"linear {dtype}"
    assert not [note for note in imported.notes if "f32 here" in note]
    real = operands_of(imported, 3)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected = runtime.InferenceSession(path, options).run(None, {"x": real.x})[0]
    reference = imported.network.reference(real.x, real.weights)
    np.testing.assert_allclose(reference, expected, 1e-5, 1e-4)


def test_a_matrix_of_two_products_counts_for_each(tmp_path):
    model = onnx.load(blocked_file(tmp_path / "a.onnx", "INT4"))
    model.graph.node.append(onnx.helper.make_node("MatMul", ["x", "m"], ["again"]))
    model.graph.node.append(onnx.helper.make_node("Add", ["last", "again"], ["sum"]))
    model.graph.output[0].name = "sum"
    onnx.save(model, tmp_path / "b.onnx")
    network = load(tmp_path / "b.onnx", {}).network
    assert [network.parameters(node) for node in network.nodes] == [64 * N, 64 * N, 0]


@few_bits
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("fuse", [False, True])
def test_a_chain_has_the_results_of_onnx_runtime(tmp_path, case, fuse):
    path = file(tmp_path / "a.onnx", **case)
    imported = load(path, {})
    assert imported.network.nodes[0].op.text.startswith(("linear uint", "linear int"))
    (note,) = imported.notes
    assert note.startswith("1 x weights in their own")
    real = operands_of(imported, 3)
    expected = runtime.InferenceSession(path).run(None, {"x": real.x})[0]
    whole, setting = NetworkProblem(imported.network, real), Setting(layout="nchw", tune="off")
    np.testing.assert_allclose(whole.network.reference(real.x, real.weights), expected, 1e-5, 1e-4)
    recipe = recipe_for(whole, fuse=fuse)
    choices = layer_choices(recipe, ("auto",), setting, "nchw")
    prepared = Chained("chain", recipe, choices).prepare(whole, setting)
    prepared.bind(real.x, real.weights)
    prepared.run()
    np.testing.assert_allclose(prepared.output().reshape(expected.shape), expected, 1e-5, 1e-4)


def test_random_weights_are_bytes_and_keep_the_size_of_activations(tmp_path):
    from convprof.networks.parameters import draw

    for case in CASES[:4]:
        network = load(file(tmp_path / "a.onnx", **case), {}).network
        weights = draw(network, 1)
        x = np.random.default_rng(2).standard_normal(network.input)
        result = network.nodes[0].op.reference(x, *weights[network.nodes[0].name].values())
        assert 0.3 < np.std(result) < 3
        assert network.nodes[0].op.parameters(x.shape) == K * N


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"group": 256, "w": np.zeros((N, 1, 7), np.uint8)}, "do not fit"),
        ({"z": np.zeros((N, 3), np.float32)}, "zero points are not bytes"),
        ({"tokens": (5,), "group": 24}, "use one of 16, 32, 64, 128, 256"),
    ],
)
def test_other_forms_are_refused(tmp_path, case, reason):
    with pytest.raises(InputError, match=reason):
        load(file(tmp_path / "a.onnx", **case), {})
