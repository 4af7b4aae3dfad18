"""Nodes without an operation of their own are opaque: another program computes them."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError, RefusedError
from convprof.networks.summary import summarise

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.onnx.export import model as exported  # noqa: E402
from convprof.problems import Operation  # noqa: E402
from convprof.strategies import registry  # noqa: E402
from convprof.strategies.base import Setting  # noqa: E402
from convprof.strategies.networks.choice import layer_choices  # noqa: E402
from convprof.strategies.peers.onnx_operation import OnnxOperation  # noqa: E402

IMAGE = (1, 3, 8, 8)
FLAT = (6, 6)
CASES = {
    "GRU": ("GRU x w r", {"hidden_size": 4, "clip": 9.0}, (5, 1, 3),
            {"w": (1, 12, 3), "r": (1, 12, 4)}),
    "reflect": ("Pad x p", {"mode": "reflect"}, IMAGE, {"p": [0, 0, 1, 1, 0, 0, 1, 1]}),
    "symmetric": ("Resize x e s", {"mode": "linear",
                  "coordinate_transformation_mode": "half_pixel_symmetric"}, IMAGE,
              {"e": np.zeros(0, np.float32), "s": np.array([1, 1, 1.7, 1.7], np.float32)}),
    "3-D": ("ConvTranspose x w", {}, (1, 3, 4, 4, 4), {"w": (3, 4, 2, 2, 2)}),
    "dilated pool": (
        "MaxPool x", {"kernel_shape": [2, 2], "dilations": [2, 2]}, IMAGE, {}),
    "table": ("Gather x i", {"axis": 1}, IMAGE, {"i": [[0, 2], [1, 1]]}),
    "arctangent": ("Atan x", {}, IMAGE, {}),
    "tangent": ("Tan x", {}, FLAT, {}),
}  # fmt: skip


def parts(case, node):
    line, attributes, shape, weights = CASES[case]
    kind, inputs = line.split(" ", 1)
    made = node(kind, inputs, **attributes)
    if case == "symmetric":
        made.input[1] = ""
        weights = {"s": weights["s"]}
    return [made], shape, weights


@pytest.mark.parametrize("case", CASES)
def test_same_results(same_as_runtime, node, case):
    nodes, shape, weights = parts(case, node)
    network = same_as_runtime(nodes, shape, weights)
    (made,) = network.nodes
    assert (made.op.is_opaque, made.op.operator) == (True, nodes[0].op_type)


def test_two_results_of_one_node(same_as_runtime, node):
    nodes = [
        node("GRU", "x w r", "a b", hidden_size=4, clip=9.0),
        node("Squeeze", "a one", "c"),
        node("Add", "c b"),
    ]
    weights = {"w": (1, 12, 3), "r": (1, 12, 4), "one": [1]}
    network = same_as_runtime(nodes, (5, 1, 3), weights)
    assert [each.name for each in network.nodes if each.op.is_opaque] == ["GRU_1.0", "GRU_1.1"]
    assert len(network.ties) == 2


@pytest.mark.parametrize(
    ("line", "shape", "weights", "said"),
    [
        ("NonZero x", FLAT, {}, "NonZero node number 1: not supported"),
        ("RandomNormalLike x", FLAT, {}, "RandomNormalLike node number 1: not supported"),
        ("Gather table x", FLAT, {"table": (9, 4)}, "rows must be whole numbers"),
        ("Concat x c", FLAT, {"c": np.ones((2, 2), np.float32)}, "Concat node"),
        ("Magic x", FLAT, {}, "Magic node number 1: not supported"),
    ],
)
def test_no_model_of_its_own(imported, node, *, line, shape, weights, said):
    kind, inputs = line.split(" ", 1)
    attributes = {"axis": 1} if kind == "Concat" else {}
    with pytest.raises(InputError, match=said):
        imported([node(kind, inputs, **attributes)], shape, weights)


def test_the_note(imported, node):
    nodes, shape, weights = parts("GRU", node)
    (note,) = imported(nodes, shape, weights).notes
    assert note.startswith("1 x GRU has no strategy here: opaque, computed by ONNX Runtime")


# Strategies and exports.


@pytest.fixture
def operation(imported, node):
    """Return the problem of an opaque node."""

    def make(case):
        network = imported(*parts(case, node)).network
        return network.computes(network.nodes[0])

    return make


@pytest.mark.parametrize("case", ["GRU", "reflect", "arctangent"])
def test_auto_lets_the_library_compute(operation, case):
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    problem, setting = operation(case), Setting("nchw")
    assert isinstance(problem, Operation)
    operands = [
        np.random.default_rng(2).random(spec.shape, np.float32)
        for spec in problem.operands("nchw", setting.types)
    ]
    prepared = registry.find("operation", "auto").prepare(problem, setting)
    prepared.bind(*operands)
    prepared.run()
    np.testing.assert_allclose(prepared.output(), problem.reference(operands), rtol=1e-5, atol=1e-6)
    assert (prepared.executed_flops(), prepared.bytes_moved()) == (0, 0)


def test_refusals(operation, imported, node, monkeypatch):
    library = OnnxOperation()
    opaque = operation("reflect")
    other = imported([node("Relu", "x")], IMAGE).network
    relu = other.computes(other.nodes[0])
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    assert library.why_not(opaque, Setting("nchw")) is None
    assert "computes nchw on CPUs, not nhwc" in library.why_not(opaque, Setting("nhwc"))
    assert "computes opaque operations here, not relu" in library.why_not(relu, Setting("nchw"))
    assert "computes f32 here, not f64" in library.why_not(opaque, Setting("nchw", "f64"))
    assert "has no kernel for Pad" in registry.find("operation", "vectors").why_not(
        opaque, Setting("nchw")
    )
    monkeypatch.setattr(OnnxOperation, "missing_package", lambda _: "onnxruntime")
    assert "pip install 'convprof[peers]'" in registry.find("operation", "auto").why_not(
        opaque, Setting("nchw")
    )


def test_a_network_that_only_the_library_could_compute(imported, node, monkeypatch):
    from convprof.strategies.networks.recipe import Recipe

    network = imported(*parts("GRU", node)).network
    monkeypatch.setattr(OnnxOperation, "missing_package", lambda _: "onnxruntime")
    refusal = r"^layer GRU_1 \(GRU \(opaque\) of 5x1x3\): auto: onnxruntime is not installed"
    with pytest.raises(RefusedError, match=refusal):
        layer_choices(Recipe(network, fuse=False), ("auto",), Setting("nchw"), "nchw")


@pytest.mark.parametrize("case", ["GRU", "reflect"])
def test_exports_have_the_node(save, node, case):
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    nodes, shape, weights = parts(case, node)
    path = save(nodes, shape, weights, change=lambda made: setattr(made, "ir_version", 8))
    imported = load(path, {})
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    made = runtime.InferenceSession(exported(imported.network, imported.weights()))
    expected = runtime.InferenceSession(path.read_bytes()).run(None, {"x": x})[0]
    np.testing.assert_allclose(made.run(None, {"input": x})[0], expected, rtol=1e-5)


def test_a_node_that_newer_files_cannot_have(imported, node, monkeypatch):
    def unknown(*_):
        raise RuntimeError

    monkeypatch.setattr(onnx.version_converter, "convert_version", unknown)
    network = imported([node("Tan", "x")], FLAT, {}, opset=12).network
    with pytest.raises(InputError, match=r"Tan_1: Tan \(opaque\) has no form in ONNX"):
        exported(network, {})


@pytest.mark.parametrize(
    ("line", "shape", "weights", "parameters", "macs"),
    [
        ("Conv x w b", (1, 2, 4, 4, 4), {"w": (3, 2, 3, 3, 3), "b": (3,)}, 165, 3 * 8 * 54),
        ("Gemm x x", (4, 4), {}, 0, 64),
        ("PRelu x s", (2, 3, 4), {"s": (3, 1)}, 3, 0),
        ("PRelu x s", (2, 3, 4), {"s": (1,)}, 1, 0),
    ],
)
def test_small_weights_and_macs_count(imported, node, *, line, shape, weights, parameters, macs):
    kind, inputs = line.split(" ", 1)
    more = {"alpha": 0.5} if kind == "Gemm" else {}
    arrays = {name: np.full(each, 0.3, np.float32) for name, each in weights.items()}
    total = summarise(imported([node(kind, inputs, **more)], shape, arrays).network).total
    assert (total.parameters, total.macs) == (parameters, macs)
