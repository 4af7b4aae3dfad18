"""Bytes keep their meaning on their way through a file; what would be wrong is refused."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from byte_files import f32, of_chain, of_runtime, write  # noqa: E402

from convprof.errors import InputError  # noqa: E402
from convprof.networks.onnx import load  # noqa: E402

MOVES = [
    ("Flatten", "q", {}),
    ("Transpose", "q", {"perm": [0, 2, 3, 1]}),
    ("MaxPool", "q", {"kernel_shape": [2, 2]}),
    ("Slice", "q from to", {}),
    ("Identity", "q", {}),
    ("Reshape", "q shape", {}),
]


def moved_bytes(path, move, more, weights, shape=(1, 4, 4, 4)):
    """Write x to bytes q, a node that moves the bytes to m, and ``more`` nodes."""
    kind, inputs, attributes = move
    nodes = [("QuantizeLinear", "x xs xz", "q", {}), (kind, inputs, "m", attributes), *more]
    constants = {
        "xs": f32(0.02), "xz": np.uint8(128), "from": np.array([0, 0, 0, 0]),
        "to": np.array([1, 4, 2, 4]), "shape": np.array([1, 4, 16]),
    }  # fmt: skip
    read = {name for _, inputs, _, _ in nodes for name in inputs.split()}
    constants |= weights
    return write(path, nodes, shape, {name: constants[name] for name in constants if name in read})


def check_reading(path, same=None):
    """Compare the network with ONNX Runtime: the bytes have eight bits, and the network more.

    ONNX Runtime reads the file ``same``.
    """
    x = np.random.default_rng(3).uniform(-2, 2, (1, 4, 4, 4)).astype(f32)
    imported = load(path, {})
    y, expected = imported.network.reference(x, imported.weights()), of_runtime(same or path, x)
    limit = 0.02 * np.abs(expected).max()
    np.testing.assert_allclose(y.reshape(-1), expected.reshape(-1), atol=limit)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move[0])
def test_sums_of_moved_bytes(tmp_path, move):
    inner = {"Flatten": 64, "MaxPool": 3, "Reshape": 16}.get(move[0], 4)
    w = np.random.default_rng(1).integers(-100, 100, (inner, 5)).astype(np.int8)
    more = [
        ("MatMulInteger", "m w xz", "i", {}),
        ("Cast", "i", "c", {"to": onnx.TensorProto.FLOAT}),
        ("Mul", "c k", "y", {}),
    ]
    path = moved_bytes(tmp_path / "moved.onnx", move, more, {"w": w, "k": f32(0.02 / 1000)})
    check_reading(path)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move[0])
def test_moved_bytes_of_another_scale(tmp_path, move):
    more = [("DequantizeLinear", "m ys xz", "y", {})]
    path = moved_bytes(tmp_path / "moved.onnx", move, more, {"ys": f32(0.2)})
    with pytest.raises(InputError, match="its scale or zero point is not the one"):
        load(path, {})


def test_sums_of_bytes_of_several_scales(tmp_path):
    nodes = [
        ("QuantizeLinear", "x xs xz", "q", {"axis": 1}), ("MatMulInteger", "q w", "i", {}),
        ("Cast", "i", "y", {"to": onnx.TensorProto.FLOAT}),
    ]  # fmt: skip
    weights = {
        "xs": np.array([0.1, 0.2], f32),
        "xz": np.zeros(2, np.uint8),
        "w": np.ones((2, 3), np.int8),
    }
    path = write(tmp_path / "several.onnx", nodes, (1, 2), weights)
    with pytest.raises(InputError, match="the scale and the zero point of its bytes are unknown"):
        load(path, {})


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("byte", [None, 30])
def test_padding_of_bytes(tmp_path, signed, byte):
    dtype = np.int8 if signed else np.uint8
    move = ("Pad", "q pads" if byte is None else "q pads byte", {})
    more = [("DequantizeLinear", "m xs xz", "y", {})]
    weights = {"xz": dtype(20 if signed else 148), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
    weights |= {} if byte is None else {"byte": dtype(byte)}
    check_reading(moved_bytes(tmp_path / "padded.onnx", move, more, weights))


def test_bytes_after_one_another(tmp_path):
    path = moved_bytes(
        tmp_path / "joined.onnx",
        ("Identity", "q", {}),
        [("Concat", "q m", "j", {"axis": 1}), ("DequantizeLinear", "j xs xz", "y", {})],
        {},
    )
    check_reading(path)
    path = moved_bytes(
        tmp_path / "other.onnx",
        ("Identity", "q", {}),
        [
            ("QuantizeLinear", "x ys xz", "r", {}),
            ("Concat", "m r", "j", {"axis": 1}),
            ("DequantizeLinear", "j xs xz", "y", {}),
        ],
        {"ys": f32(0.3)},
    )
    with pytest.raises(InputError, match="bytes with different scales"):
        load(path, {})


@pytest.mark.parametrize(
    "node",
    [
        ("Cast", "q", {"to": onnx.TensorProto.FLOAT}), ("Relu", "q", {}), ("Add", "q q", {}),
        ("ReduceMax", "q", {"axes": [1]}), ("QuantizeLinear", "q xs xz", {}),
    ],
    ids=lambda node: node[0],
)  # fmt: skip
def test_arithmetic_on_bytes(tmp_path, node):
    path = moved_bytes(tmp_path / "sum.onnx", node, [("Identity", "m", "y", {})], {})
    with pytest.raises(InputError, match="it computes with bytes"):
        load(path, {})


OF_ANOTHER_SCALE = [
    ("QLinearConv", "q ys xz k ws wz xs xz", {}),
    ("QLinearMatMul", "q ys xz m ws wz xs xz", {}),
    ("QLinearMatMul", "q xs xz q ys xz xs xz", {}),
    ("QGemm", "q ys xz g ws wz - xs xz", {}),
    ("QLinearAdd", "q xs xz q ys xz xs xz", {}),
    ("QLinearMul", "q xs yz q xs xz xs xz", {}),
    ("QLinearSigmoid", "q ys xz xs xz", {}),
    ("QLinearGlobalAveragePool", "q ys xz xs xz", {}),
    ("QLinearConcat", "xs xz q xs xz q ys xz", {"axis": 1}),
]


@pytest.mark.parametrize("node", OF_ANOTHER_SCALE, ids=lambda node: node[0])
def test_operators_that_read_bytes_of_another_scale(tmp_path, node):
    kind, inputs, attributes = node
    known = {
        "xs": f32(0.02), "ys": f32(0.5), "xz": np.uint8(128), "yz": np.uint8(100),
        "ws": f32(0.01), "wz": np.int8(0), "k": np.ones((4, 4, 1, 1), np.int8),
        "m": np.ones((4, 4), np.int8), "g": np.ones((4, 4), np.int8),
    }  # fmt: skip
    weights = {name: known[name] for name in {*inputs.split(), "xs", "xz"} & {*known}}
    nodes = [
        ("QuantizeLinear", "x xs xz", "q", {}), (kind, inputs, "r", attributes),
        ("DequantizeLinear", "r xs xz", "y", {}),
    ]  # fmt: skip
    shape = (4, 4) if kind == "QGemm" else (1, 4, 4, 4)
    path = write(tmp_path / "other.onnx", nodes, shape, weights)
    with pytest.raises(InputError, match=f"{kind} .*not the one that its bytes were made with"):
        load(path, {})


def biased_file(path, *, rounds_sum):
    """Write a convolution whose result is rounded before a bias of 50 is added, and maybe after."""
    draw = np.random.default_rng(5)
    weights = {
        "xs": f32(0.02), "z": np.uint8(128), "w": draw.integers(-99, 99, (4, 4, 1, 1), np.int8),
        "ws": f32(0.01), "wz": np.int8(0), "ys": f32(0.05), "b": np.full((1, 4, 1, 1), 50, f32),
        "ss": f32(0.5),
    }  # fmt: skip
    nodes = [
        ("QuantizeLinear", "x xs z", "q", {}), ("DequantizeLinear", "q xs z", "d", {}),
        ("DequantizeLinear", "w ws wz", "wd", {}), ("Conv", "d wd", "c", {}),
        ("QuantizeLinear", "c ys z", "cq", {}), ("DequantizeLinear", "cq ys z", "cd", {}),
        ("Add", "cd b", "a" if rounds_sum else "y", {}),
    ]  # fmt: skip
    if rounds_sum:
        nodes += [
            ("QuantizeLinear", "a ss z", "aq", {}), ("DequantizeLinear", "aq ss z", "y", {}),
        ]  # fmt: skip
    else:
        del weights["ss"]
    return write(path, nodes, (1, 4, 4, 4), weights)


@pytest.mark.parametrize("rounds_sum", [False, True])
def test_a_bias_after_a_rounding(tmp_path, rounds_sum):
    recipe, dtypes, y, expected, _ = of_chain(
        biased_file(tmp_path / "b.onnx", rounds_sum=rounds_sum)
    )
    np.testing.assert_allclose(y, expected, atol=0.51 if rounds_sum else 0.1)
    if rounds_sum:
        assert list(dtypes.values()) == ["u8:s8:u8"]
    else:
        assert list(recipe.reasons.values()) == ["the file has no scale of its result"]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("QLinearSigmoid", "q xs xz hs"), ("QLinearAdd", "q xs xz q xs xz ys"),
        ("QLinearAdd", "k xs - q xs xz ys"), ("QLinearMul", "q xs xz q xs xz ys"),
        ("QLinearLeakyRelu", "q xs xz ys"), ("QLinearGlobalAveragePool", "q xs xz xs"),
        ("QLinearAveragePool", "q xs xz xs"),
    ],
)  # fmt: skip
def test_zero_points_that_are_left_out_are_0(tmp_path, kind, inputs, signed):
    """ONNX Runtime ends the process without some zero points: it computes a file that has all."""
    dtype = np.int8 if signed else np.uint8
    known = {
        "xs": f32(0.02), "xz": dtype(0 if signed else 128), "hs": f32(1 / 127), "ys": f32(0.05),
        "k": np.full((1, 4, 4, 4), 20, dtype), "zero": dtype(0),
    }  # fmt: skip
    attributes = {"kernel_shape": [2, 2]} if kind == "QLinearAveragePool" else {}

    def file(name, operands):
        nodes = [
            ("QuantizeLinear", "x xs xz", "q", {}), (kind, operands, "r", attributes),
            ("DequantizeLinear", f"r {inputs.split()[-1]} zero", "y", {}),
        ]  # fmt: skip
        names = {each for _, operands, _, _ in nodes for each in operands.split()} & {*known}
        return write(tmp_path / name, nodes, (1, 4, 4, 4), {each: known[each] for each in names})

    whole = file("whole.onnx", f"{inputs.replace('-', 'zero')} zero")
    check_reading(file("short.onnx", inputs), whole)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("MatMulInteger", "q w", "i", {})], "its zero point is not the one"),
        ([("MatMulInteger", "q w zero", "i", {})], "its zero point is not the one"),
        (
            [("Pad", "q pads", "p", {}), ("MatMulInteger", "p w xz", "i", {})],
            "bytes of DynamicQuantizeLinear are padded with 0 alone",
        ),
        (
            [
                ("DynamicQuantizeLinear", "h", "r rs rz", {}),
                ("Concat", "q r", "p", {"axis": 0}), ("MatMulInteger", "p w xz", "i", {}),
            ],
            "bytes with different scales",
        ),
    ],
)  # fmt: skip
def test_zero_points_that_are_not_those_of_dynamic_bytes(tmp_path, nodes, message):
    known = {"w": np.ones((4, 3), np.int8), "zero": np.uint8(0), "pads": np.array([0, 0, 1, 0])}
    nodes = [
        ("DynamicQuantizeLinear", "x", "q xs xz", {}), ("Tanh", "x", "h", {}), *nodes,
        ("Cast", "i", "c", {"to": onnx.TensorProto.FLOAT}), ("Mul", "c xs", "y", {}),
    ]  # fmt: skip
    names = {each for _, operands, _, _ in nodes for each in operands.split()} & {*known}
    path = write(tmp_path / "dynamic.onnx", nodes, (2, 4), {each: known[each] for each in names})
    with pytest.raises(InputError, match=message):
        load(path, {})


def test_padding_of_dynamic_bytes_with_their_zero_point(tmp_path):
    nodes = [
        ("DynamicQuantizeLinear", "x", "q xs xz", {}), ("Pad", "q pads xz", "p", {}),
        ("DequantizeLinear", "p xs xz", "y", {}),
    ]  # fmt: skip
    weights = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
    check_reading(write(tmp_path / "padded.onnx", nodes, (1, 4, 4, 4), weights))


@pytest.mark.parametrize(("number", "dtype"), [(2, np.uint8), (3, np.int8), (4, np.uint16)])
def test_types_of_bytes_without_a_zero_point(tmp_path, number, dtype):
    nodes = [
        ("QuantizeLinear", "x xs", "q", {"output_dtype": number}),
        ("DequantizeLinear", "q xs zero", "d", {}),
        ("Sigmoid", "d", "y", {}),
    ]
    weights = {"xs": f32(0.02), "zero": dtype(0)}
    path = write(tmp_path / "typed.onnx", nodes, (1, 4), weights, opset=21)
    x = np.array([[-1.0, -0.5, 0.5, 1.0]], f32)
    kept = x if dtype == np.int8 else np.maximum(x, 0)
    result = load(path, {}).network.reference(x, {})
    np.testing.assert_allclose(result, 1 / (1 + np.exp(-kept)), rtol=1e-6)
