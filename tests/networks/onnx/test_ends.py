"""Files with several inputs and several outputs."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.onnx.converters import ends  # noqa: E402


@pytest.fixture
def write(tmp_path, node):
    """Write a model of nodes with typed and shaped inputs and outputs; return its path."""

    def written(nodes, inputs, outputs, weights=None):
        info = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [node(*words) if isinstance(words, tuple) else words for words in nodes],
            "graph",
            [info(name, 1, shape) for name, shape in inputs.items()],
            [info(name, number, None) for name, number in outputs.items()],
            [onnx.numpy_helper.from_array(array, key) for key, array in (weights or {}).items()],
        )
        opset = onnx.helper.make_opsetid("", 17)
        path = tmp_path / "model.onnx"
        model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
        path.write_bytes(model.SerializeToString())
        return path

    return written


def same_as_evaluator(path, **kwargs):
    """Compare the results with the onnx package's; return what was read."""
    read = load(path, {}, **kwargs)
    random = np.random.default_rng(0)
    feeds = {
        name: random.standard_normal(shape).astype(np.float32)
        for name, shape in read.inputs.shapes.items()
    }
    names = list(read.outputs.shapes)
    expected = onnx.reference.ReferenceEvaluator(str(path)).run(names, feeds)
    y = read.network.reference(read.inputs.join(feeds), read.weights())
    for name, theirs in zip(names, expected, strict=True):
        ours = read.outputs.split(y)[name]
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    return read


CONV = {"w": np.random.default_rng(1).standard_normal((4, 3, 3, 3)).astype(np.float32)}
TWO = [
    ("Conv", "image w", "features"),
    ("GlobalAveragePool", "features", "mean"),
    ("Flatten", "mean", "flat"),
    ("Add", "flat side", "sum"),
]


def test_images_and_vectors(write):
    inputs = {"image": (2, 3, 6, 6), "side": (2, 4)}
    path = write(TWO, inputs, {"sum": 1, "features": 1}, CONV)
    read = same_as_evaluator(path)
    assert read.network.input == (2, 3 * 36 + 4)
    assert read.network.output == (2, 4 + 4 * 16)
    assert read.network.macs == 2 * 16 * 4 * 27
    assert read.notes[:2] == (
        "2 inputs, one after the other in one row: image 2x3x6x6, side 2x4",
        "2 outputs, one after the other in one row: sum 2x4, features 2x4x4x4",
    )


def test_the_order_and_number_of_results_are_the_users(write):
    path = write(TWO, {"image": (1, 3, 6, 6), "side": (1, 4)}, {"sum": 1, "features": 1}, CONV)
    read = load(path, {}, ["features", "sum", "features"])
    assert list(read.outputs.shapes) == ["features", "sum"]
    alone = load(path, {}, ["features"])
    assert (alone.network.input, list(alone.inputs.shapes)) == ((1, 3, 6, 6), ["image"])


def test_other_first_sizes(write):
    nodes = [("MatMul", "a b", "y"), ("Relu", "b", "z")]
    read = same_as_evaluator(write(nodes, {"a": (5, 3), "b": (3, 4)}, {"y": 1, "z": 1}))
    assert read.network.input == (1, 27)


def test_outputs_that_are_no_numbers_of_the_input_are_left_out(write, node):
    nodes = [
        ("Relu", "x", "y"),
        node("ArgMax", "x", "index"),
        ("Identity", "c", "constant"),
        ("Exp", "x", "z"),
    ]
    path = write(nodes, {"x": (2, 3)}, {"y": 1, "index": 7, "constant": 1}, {"c": np.ones(2)})
    read = load(path, {})
    assert list(read.outputs.shapes) == ["y"]
    assert read.network.output == (2, 3)
    assert "left out: outputs that are not real numbers" in read.notes[0]
    assert "'index', 'constant'" in read.notes[0]
    both = load(path, {}, ["y", "index"])
    assert both.outputs.shapes == {"y": (2, 3), "index": (1, 3)}


def test_outputs_that_no_node_computes_are_left_out(write):
    path = write([("Relu", "x", "y")], {"x": (2, 3)}, {"x": 1, "y": 1, "c": 1}, {"c": np.ones(2)})
    read = load(path, {})
    assert list(read.outputs.shapes) == ["y"]
    assert "'x', 'c'" in read.notes[0]
    with pytest.raises(InputError, match="no node computes the output 'c'"):
        load(path, {}, ["y", "c"])
    alone = write([("ArgMax", "x", "i")], {"x": (2, 3)}, {"x": 1, "i": 7})
    with pytest.raises(InputError, match="no node computes the output 'x'"):
        load(alone, {})


def test_an_input_may_be_an_output(write):
    same_as_evaluator(write([("Relu", "x", "y")], {"x": (2, 3)}, {"y": 1}))
    nodes = [("Relu", "x", "y"), ("Identity", "x", "z")]
    same_as_evaluator(write(nodes, {"x": (2, 3, 4)}, {"z": 1, "y": 1}))


def test_open_dimensions_of_several_inputs(write):
    path = write([("Add", "a b", "y")], {"a": (None, "n"), "b": (None, None)}, {"y": 1})
    said = (
        r"'a' is batchxn, input 'b' is batchxb.dim1: set batch and n and b.dim1, e.g. "
        r"dims=\{'batch': 1"
    )
    with pytest.raises(InputError, match=said):
        load(path, {})
    read = load(path, {"batch": 2, "n": 3, "b.dim1": 3})
    assert read.inputs.shapes == {"a": (2, 3), "b": (2, 3)}


def test_many_outputs(write):
    nodes = [("Relu", "x", f"y{i}") for i in range(1001)]
    path = write(nodes, {"x": (2, 3)}, {f"y{i}": 1 for i in range(1001)})
    with pytest.raises(InputError, match=r"1001 outputs; at most 1000 .*, e\.g\. output=y0"):
        load(path, {})
    names = [f"y{i}" for i in range(900, 1001)]
    read = load(path, {}, names)
    assert read.network.output == (2, 101 * 3)
    assert read.outputs.start("y950") == 150


def test_more_ids_than_can_be_looked_at_are_refused_before_they_are(save, node):
    rows = [node("Gather", "table x", axis=0)]
    path = save(rows, (1, ends.MOST_NUMBERS + 1), {"table": (16, 8)}, dtype=7)
    with pytest.raises(InputError, match="16777217 numbers; of inputs with ids or masks at most"):
        load(path, {})
