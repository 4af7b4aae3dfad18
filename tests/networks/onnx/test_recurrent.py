"""LSTM, GRU and RNN of files: their numbers, and the variants that stay opaque."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.errors import InputError  # noqa: E402
from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.summary import summarise  # noqa: E402

SHAPE = (5, 2, 3)
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(kind, outputs="y", inputs="x w r", **attributes):
    """Return a node of 4 units with named inputs; ``_`` for none."""
    names = [[name.strip("_") for name in text.split()] for text in (inputs, outputs)]
    return onnx.helper.make_node(kind, *names, name="layer", hidden_size=4, **attributes)


def weights(kind, directions=1):
    """Return the shapes of both matrices and of the biases, and random states of 2 items."""
    rows = GATES[kind] * 4
    states = np.random.default_rng(0).standard_normal((2, directions, 2, 4), np.float32)
    shapes = {"w": (directions, rows, 3), "r": (directions, rows, 4), "b": (directions, 2 * rows)}
    return shapes | dict(zip(("h", "c"), states, strict=True))


def read(node, directions=1):
    """Return the weights that a node reads."""
    known = weights(node.op_type, directions)
    return {name: known[name] for name in node.input if name in known}


def kinds(network):
    return [node.op.kind for node in network.nodes if not node.op.is_view]


@pytest.mark.parametrize("outputs", ["y", "_ y", "_ _ y"])
def test_whichever_result_is_used(same_as_runtime, outputs):
    node = layer("LSTM", outputs)
    network = same_as_runtime([node], SHAPE, read(node))
    row, *_ = summarise(network).rows
    assert (row.cost.parameters, row.cost.macs) == (16 * 3 + 16 * 4, 5 * 2 * 16 * 7)
    assert row.to_json()["op"]["text"] == "lstm 4"


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("case", ["all steps", "lengths", "linear before reset"])
def test_states_and_biases(same_as_runtime, kind, direction, case):
    lengths = "n" if case == "lengths" else "_"
    inputs = f"x w r b {lengths} h" + " c" * (kind == "LSTM")
    outputs = "all last cells" if kind == "LSTM" else "all last"
    attributes = (
        {"linear_before_reset": int(case == "linear before reset")} if kind == "GRU" else {}
    )
    node = layer(kind, outputs, inputs, direction=direction, **attributes)
    directions = 2 if direction == "bidirectional" else 1
    states = outputs.split()[1:]
    joining = [
        onnx.helper.make_node("Unsqueeze", [name, "zero"], [f"{name}_row"]) for name in states
    ]
    rows = ["all", *(f"{name}_row" for name in states)]
    joining.append(onnx.helper.make_node("Concat", rows, ["y"], axis=0))
    known = read(node, directions) | {"zero": np.array([0])}
    if case == "lengths":
        known["n"] = np.array([2, 5], np.int32)
    network = same_as_runtime([node, *joining], SHAPE, known)
    assert "opaque" not in kinds(network)
    (op,) = (each.op for each in network.nodes if each.op.kind == "recurrent")
    assert (op.direction, op.bias, op.has_states) == (direction, True, True)
    assert op.reset_first == (kind == "GRU" and case != "linear before reset")
    assert (op.has_lengths, op.keeps_last) == (case == "lengths",) * 2


@pytest.mark.parametrize("function", ["Relu", "Sigmoid", "Tanh"])
def test_functions_of_an_rnn(same_as_runtime, function):
    node = layer("RNN", "y", direction="bidirectional", activations=[function] * 2)
    (made,) = same_as_runtime([node], SHAPE, read(node, 2)).nodes
    assert made.op.function == function.lower()


def test_lengths_that_are_an_input(save):
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    int32 = onnx.TensorProto.INT32
    lengths = onnx.helper.make_tensor_value_info("n", int32, [2])

    def change(model):
        model.graph.input.append(lengths)
        model.ir_version = 8

    node = layer("GRU", "y", "x w r _ n", direction="reverse")
    drawn = np.random.default_rng(0)
    known = {name: drawn.standard_normal(shape, "f4") for name, shape in read(node).items()}
    path = save([node], SHAPE, known, change=change)
    network = load(path, {}).network
    (whole,) = network.whole
    assert (whole.name, whole.least, whole.most, whole.are_rows) == ("n", 1, 5, True)
    # the inputs are one row for each image; the first axis of the file's is steps
    x = drawn.standard_normal(SHAPE, "f4")
    n = np.array([2, 5], np.int32)
    (expected,) = runtime.InferenceSession(path.read_bytes()).run(None, {"x": x, "n": n})
    row = np.concatenate((x.reshape(-1), n)).reshape(network.input)
    y = network.reference(row.astype("f8"), load(path, {}).weights())
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_lengths_that_can_only_be_zero(save):
    lengths = onnx.helper.make_tensor_value_info("n", onnx.TensorProto.INT32, [2])
    nodes = [
        layer("GRU", "y", "x w r _ n"),
        onnx.helper.make_node("Gather", ["table", "n"], ["e"]),
    ]

    def change(model):
        model.graph.input.append(lengths)
        model.graph.output.append(onnx.helper.make_tensor_value_info("e", 1, None))

    known = read(nodes[0]) | {"table": (1, 3)}
    path = save(nodes, SHAPE, known, change=change)
    with pytest.raises(InputError, match="'n': its numbers are rows of a table of 1, and"):
        load(path, {})


@pytest.mark.parametrize("case", ["zero states", "lengths of all steps", "named activations"])
def test_what_says_nothing_new(same_as_runtime, case):
    inputs, more, attributes = "x w r", {}, {}
    if case == "zero states":
        inputs, more = "x w r _ _ z z", {"z": np.zeros((1, 2, 4), np.float32)}
    elif case == "lengths of all steps":
        inputs, more = "x w r _ n", {"n": np.array([5, 5], np.int32)}
    else:
        attributes = {"activations": ["Sigmoid", "Tanh", "Tanh"]}
    node = layer("LSTM", "y", inputs, **attributes)
    assert kinds(same_as_runtime([node], SHAPE, read(node) | more)) == ["recurrent"]


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes"),
    [
        ("LSTM", "x w r", {"activations": ["Sigmoid", "Tanh", "Relu"]}),
        ("LSTM", "x w r", {"clip": 0.5}),
        ("LSTM", "x w r", {"input_forget": 1}),
        ("LSTM", "x w r _ none", {}),
        ("LSTM", "x w r _ _ h", {}),
        ("LSTM", "x w r _ _ _ _ p", {}),
    ],
)
def test_other_variants_stay_opaque(imported, kind, inputs, attributes):
    node = layer(kind, "y", inputs, **attributes)
    more = {"none": np.array([5, 0], np.int32), "p": (1, 12)}
    known = read(node) | {name: more[name] for name in node.input if name in more}
    assert kinds(imported([node], SHAPE, known).network) == ["opaque"]


def test_weights_that_do_not_fit(imported):
    known = read(layer("LSTM")) | {"n": np.array([5, 5, 5], np.int32)}
    with pytest.raises(InputError, match=r"LSTM node 'layer': weights of \(1, 16, 7\) do not fit"):
        imported([layer("LSTM")], SHAPE, {"w": (1, 16, 7), "r": (1, 16, 4)})
    with pytest.raises(InputError, match=r"'layer': weights of .* do not fit"):
        imported([layer("LSTM")], SHAPE, {"w": (16, 3), "r": (1, 16, 4)})
    with pytest.raises(InputError, match=r"lengths of \(3,\) do not fit 2 sequences"):
        imported([layer("LSTM", "y", "x w r _ n")], SHAPE, known)
    with pytest.raises(InputError, match=r"a weight of \(1, 12, 4\) cannot be \(1, 16, 4\)"):
        imported([layer("LSTM")], SHAPE, {"w": (1, 16, 3), "r": (1, 12, 4)})


def test_cells_of_a_layer_without_cells(imported):
    node = layer("GRU", "_ _ y")
    with pytest.raises(InputError, match=r"GRU node 'layer': gru 4 .*: .* only an LSTM has cells"):
        imported([node], SHAPE, read(node))
