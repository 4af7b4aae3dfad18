"""Element types other than f32 are said: they decide how many bytes move."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.networks.onnx.tensors import constant_from

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

SHAPE, FILTER = (1, 8, 6, 6), (4, 8, 3, 3)
HALF = np.ones(FILTER, np.float16)
FLOAT, FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def notes(made):
    return [note for note in made.notes if "in the file" in note]


def stored(kind, elements=None):
    """Return what makes the initializer ``w`` a tensor of another type, without data."""

    def change(model):
        (tensor,) = [each for each in model.graph.initializer if each.name == "w"]
        tensor.Clear()
        tensor.name, tensor.data_type = "w", kind
        tensor.dims.extend(elements or FILTER)
        tensor.data_location = onnx.TensorProto.EXTERNAL

    return change


def test_f32_is_nothing_to_say(imported, node):
    assert notes(imported([node("Conv", "x w")], SHAPE, {"w": FILTER})) == []


@pytest.mark.parametrize("where", ["activation", "weight", "both"])
def test_half_precision_behind_casts(imported, node, where):
    if where == "weight":
        nodes = [node("Cast", "w", "v", to=FLOAT), node("Conv", "x v")]
    else:
        nodes = [node("Cast", "x", "a", to=FLOAT16), node("Conv", "a w", "b")]
        nodes.append(node("Cast", "b", to=FLOAT))
    if where == "both":
        nodes.insert(0, node("Cast", "big", "w", to=FLOAT16))
    weights = {"big": HALF.astype(np.float32)} if where == "both" else {"w": HALF}
    said = [] if where == "both" else ["its weights are FLOAT16 in the file, and f32 here"]
    made = imported(nodes, SHAPE, weights)
    assert notes(made) == said
    cast = "1 x Cast to FLOAT16: here the numbers stay f32"
    assert (cast in made.notes) == (where != "weight")


@pytest.mark.parametrize("name", ["INT8", "UINT8", "FLOAT16", "BFLOAT16", "DOUBLE", "FLOAT8E4M3FN"])
def test_every_type(imported, node, name):
    kind = onnx.TensorProto.DataType.Value(name)
    nodes = [node("DequantizeLinear", "w scale zero", "v"), node("Conv", "x v")]
    weights = {"w": FILTER, "scale": np.float32(1), "zero": np.int8(0)}
    made = imported(nodes, SHAPE, weights, change=stored(kind), opset=19)
    assert notes(made) == [f"its weights are {name} in the file, and f32 here"]


def test_four_bits(imported, node):
    if not hasattr(onnx.TensorProto, "INT4"):
        pytest.skip("this onnx package has no INT4")
    nodes = [node("DequantizeLinear", "w scale", "v"), node("MatMul", "x v")]
    change = stored(onnx.TensorProto.INT4, (6, 5))
    made = imported(
        nodes, (2, 6), {"w": (6, 5), "scale": np.float32(1)}, change=change, opset=21
    )  # fmt: skip
    assert notes(made) == ["its weights are INT4 in the file, and f32 here"]


def test_several_types(imported, node):
    nodes = [
        node("DequantizeLinear", "q scale", "v"),
        node("Conv", "x v", "a"),
        node("Flatten", "a", "b"),
        node("MatMul", "b m"),
    ]
    weights = {"q": np.ones(FILTER, np.int8), "scale": np.float32(1), "m": (64, 2)}
    said = "its weights are INT8 and FLOAT in the file, and f32 here"
    assert notes(imported(nodes, SHAPE, weights)) == [said]


def test_the_same_type_is_said_once(imported, node):
    made = imported([node("Conv", "x w")], SHAPE, {"w": HALF}, dtype=FLOAT16)
    assert notes(made) == ["its numbers are FLOAT16 in the file, and f32 here"]


def test_one_number_of_a_type_without_arithmetic():
    tensor = onnx.numpy_helper.from_array(np.complex64(2), "s")
    constant = constant_from(tensor, None)
    assert (constant.shape, constant.stored, constant.uniform) == ((), "COMPLEX64", True)
