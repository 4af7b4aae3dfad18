from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from convprof.errors import InputError

onnx = pytest.importorskip("onnx")

from convprof.networks.onnx.model_nodes import model_nodes  # noqa: E402

RESNET18 = Path(__file__).parents[2] / "data" / "resnet18.onnx"


def write(path, nodes, inputs, initializers=(), *, outputs=("y",)):
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, real, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, real, None) for name in outputs],
        [helper.make_tensor(name, real, shape, [0.0] * n) for name, shape, n in initializers],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    path.write_bytes(model.SerializeToString())
    return path


def node(kind, inputs, output, name="", **attributes):
    return onnx.helper.make_node(kind, inputs, [output], name=name, **attributes)


def texts(nodes, *names):
    return [(p := nodes.problem(name)) and p.descriptor for name in names]


def test_names_of_what_is_fused_name_the_convolution(tmp_path):
    path = write(
        tmp_path / "m.onnx",
        [
            node("Conv", ["x", "w"], "c", "conv", strides=[2, 2], pads=[1, 1, 1, 1]),
            node("BatchNormalization", ["c", "b", "b", "b", "b"], "n", "norm"),
            node("Relu", ["n"], "r", "relu"),
            node("Softmax", ["r"], "y", "softmax"),
        ],
        {"x": [1, 3, 8, 8]},
        [("w", [4, 3, 3, 3], 108), ("b", [4], 4)],
    )
    nodes = model_nodes(path)
    text = "mb1ic3ih8oc4oh4kh3sh2ph1"
    assert texts(nodes, "conv", "c", "norm", "n", "relu", "r_nchwc") == [text] * 6
    assert texts(nodes, "y", "softmax", "x") == [None] * 3


def test_a_result_with_two_readers_is_fused_into_nothing(tmp_path):
    path = write(
        tmp_path / "m.onnx",
        [
            node("MatMul", ["x", "w"], "m", "product"),
            node("Relu", ["m"], "r", "relu"),
            node("Add", ["m", "r"], "y", "add"),
        ],
        {"x": [4, 8]},
        [("w", [8, 2], 16)],
    )
    assert texts(model_nodes(path), "product", "m", "relu", "add") == ["4x8:8x2"] * 2 + [None] * 2


def test_foreign_operators_and_open_sizes_do_not_refuse_a_file(tmp_path):
    foreign = onnx.helper.make_node("Odd", ["x"], ["o"], domain="com.example")
    conv = node("Conv", ["x", "w"], "y", "conv", auto_pad="SAME_UPPER", group=3)
    path = write(tmp_path / "m.onnx", [foreign, conv], {"x": ["N", 3, 8, 8], "w": [3, 1, 3, 3]},
                 outputs=("y", "o"))  # fmt: skip
    nodes = model_nodes(path)
    assert texts(nodes, "conv") == [None]
    made = nodes.find("conv").convolution([2, 3, 8, 8], [3, 1, 3, 3])
    assert made.descriptor == "g3mb2ic3ih8oc3oh8kh3ph1"


def test_weights_outside_of_the_file_are_never_opened(monkeypatch):
    opened = []

    def opener(path, *arguments, **named):
        opened.append(str(path))
        return original(path, *arguments, **named)

    original = open
    monkeypatch.setattr("builtins.open", opener)
    assert len(model_nodes(RESNET18)) > 20
    assert not any("weights.bin" in path for path in opened)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x08\x07", b"PK\x03\x04"])
def test_what_is_no_model_is_one_line(tmp_path, data):
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"m\.onnx"):
        model_nodes(path)


def sliced(x, output, first):
    """Return a Slice of the last two axes, with its numbers in nodes before it."""
    numbers = {"start": [1, 1], "end": [-1, 9], "axes": [2, 3]}
    names = {name: f"{name}{first}" for name in numbers}
    helper, whole = onnx.helper, onnx.TensorProto.INT64
    constants = [
        node("Constant", [], names[name], value=helper.make_tensor(name, whole, [2], values))
        for name, values in numbers.items()
    ]
    return [*constants, node("Slice", [x, *names.values()], output)]


def test_slices_of_impossible_sizes_do_not_end_the_process(tmp_path):
    """Some releases of the package abort in the inference of Slice (onnx issue 8481)."""
    weights = [("w", [4, 3, 9, 9], 972)]
    nodes = [
        *sliced("x", "a", 1),
        node("Conv", ["a", "w"], "b", "first"),
        *sliced("b", "c", 2),
        node("Relu", ["c"], "y"),
    ]
    for height in (6, -5, 0):
        found = model_nodes(write(tmp_path / "m.onnx", nodes, {"x": [1, 3, height, 20]}, weights))
        assert texts(found, "first") == [None]


def test_convolutions_after_slices_have_their_shapes(tmp_path):
    weights = [("w", [4, 3, 3, 3], 108), ("v", [2, 4, 3, 3], 72)]
    nodes = [
        *sliced("x", "a", 1),
        node("Conv", ["a", "w"], "b", "first"),
        *sliced("b", "c", 2),
        *sliced("c", "d", 3),
        node("Conv", ["d", "v"], "y", "second"),
    ]
    found = model_nodes(write(tmp_path / "m.onnx", nodes, {"x": [1, 3, 20, 20]}, weights))
    assert texts(found, "first", "second") == [
        "mb1ic3ih18iw8oc4oh16ow6kh3kw3ph0pw0",
        "mb1ic4ih12iw4oc2oh10ow2kh3kw3ph0pw0",
    ]


@pytest.fixture
def inferences(monkeypatch):
    """Return the lists of known sizes that Slice nodes read, one list per inference."""
    infer = onnx.shape_inference.infer_shapes
    calls = []

    def counted(model):
        inferred = infer(model)
        graph = inferred.graph
        known = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info)
        }
        slices = [each for each in graph.node if (each.op_type, each.domain) == ("Slice", "")]
        calls.append([known.get(each.input[0], []) for each in slices])
        return inferred

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", counted)
    return calls


@pytest.mark.parametrize("kind", ["Relu", "Gather"])
def test_no_inference_of_slices_of_nothing(tmp_path, inferences, kind):
    nothing = onnx.helper.make_tensor("e", onnx.TensorProto.INT64, [0], [])
    between = node("Relu", ["a"], "b") if kind == "Relu" else node(kind, ["a", "e"], "b", axis=3)
    nodes = [
        node("Constant", [], "e", value=nothing),
        *sliced("x", "a", 1),
        between,
        *sliced("b", "y", 2),
    ]
    height = 2 if kind == "Relu" else 20  # of 2 rows, the first Slice leaves none
    model_nodes(write(tmp_path / "m.onnx", nodes, {"x": [1, 3, height, 20]}))
    assert len(inferences) > 1
    assert not [sizes for call in inferences for sizes in call if 0 in sizes]


def test_a_long_chain_of_slices_has_few_inferences(tmp_path, inferences):
    names = ["x", *(f"a{place}" for place in range(50)), "y"]
    nodes = []
    for place, (x, output) in enumerate(pairwise(names)):
        nodes += [*sliced(x, f"s{place}", place), node("Softplus", [f"s{place}"], output)]
    model_nodes(write(tmp_path / "m.onnx", nodes, {"x": [1, 3, 99, 99]}))
    assert len(inferences) == 33
