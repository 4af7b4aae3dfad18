"""Files of bytes: read as ONNX Runtime reads them, and computed in the bytes of the file."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from byte_files import SETTING, f32, of_chain, of_runtime, write  # noqa: E402

from convprof.dtypes import F32, tolerance  # noqa: E402
from convprof.errors import InputError  # noqa: E402
from convprof.networks.onnx import load  # noqa: E402
from convprof.problems import NetworkProblem, ops  # noqa: E402
from convprof.problems.graph import INPUT, Builder, Network  # noqa: E402
from convprof.problems.quantisation import Scale  # noqa: E402
from convprof.strategies.peers.onnxruntime import OnnxNetwork  # noqa: E402
from convprof.studies.network.file_operands import operands_of  # noqa: E402

# A tool of onnxruntime 1.18 calls what onnx of today deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:onnx")


def convolution_file(path, p, kind="QLinearConv"):
    """Write x to bytes, a convolution in bytes, and back, in the form of ``kind``."""
    draw = np.random.default_rng(5)
    wide = (p["k"], p["cg"], p["r"], p["s"])
    weight = draw.integers(-127, 128, wide, dtype=np.int8)
    scales = draw.uniform(0.002, 0.02, p["k"] if p["channels"] else ()).astype(f32)
    zero_type = np.int8 if p["signed"] else np.uint8
    step = 0.02
    terms = p["cg"] * p["r"] * p["s"]
    weights = {
        "xs": f32(step), "xz": zero_type(p["x_zero"] - 128 * p["signed"]),
        "w": weight, "ws": scales, "wz": np.zeros(scales.shape, np.int8),
        "ys": f32(0.006 * np.sqrt(terms)), "yz": zero_type(p["y_zero"] - 128 * p["signed"]),
        "b": draw.integers(-4000, 4000, p["k"], dtype=np.int32),
        "bs": (f32(step) * scales).astype(f32),
    }  # fmt: skip
    settings = {"pads": p["pads"], "strides": p["strides"], "group": p["groups"]}
    if kind == "QLinearConv":
        nodes = [
            ("QuantizeLinear", "x xs xz", "q", {}),
            ("QLinearConv", "q xs xz w ws wz ys yz b", "r", settings),
            ("DequantizeLinear", "r ys yz", "y", {}),
        ]
        del weights["bs"]
    else:
        nodes = [
            ("QuantizeLinear", "x xs xz", "q", {}),
            ("DequantizeLinear", "q xs xz", "d", {}),
            ("DequantizeLinear", "w ws wz", "v", {"axis": 0}),
            ("DequantizeLinear", "b bs", "a", {"axis": 0}),
            ("Conv", "d v a", "c", settings),
            ("QuantizeLinear", "c ys yz", "r", {}),
            ("DequantizeLinear", "r ys yz", "y", {}),
        ]
    shape = (1, p["cg"] * p["groups"], p["h"], p["width"])
    return write(path, nodes, shape, weights)


@st.composite
def convolutions(draw):
    groups = draw(st.sampled_from([1, 1, 3]))
    r, s = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return {
        "groups": groups, "cg": draw(st.integers(1, 5)), "k": groups * draw(st.integers(1, 9)),
        "r": r, "s": s, "h": draw(st.integers(3, 9)), "width": draw(st.integers(3, 9)),
        "pads": [draw(st.integers(0, side - 1)) for side in (r, s, r, s)],
        "strides": [draw(st.integers(1, 2)) for _ in "hw"],
        "x_zero": draw(st.integers(1, 255)), "y_zero": draw(st.integers(1, 255)),
        "signed": draw(st.booleans()), "channels": draw(st.booleans()),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["QLinearConv", "Conv"])
def test_convolutions_in_the_bytes_of_the_file(tmp_path, kind):
    @settings(max_examples=7, deadline=None, derandomize=True)
    @given(convolutions())
    def check(p):
        path = convolution_file(tmp_path / "conv.onnx", p, kind)
        recipe, dtypes, y, expected, _ = of_chain(path)
        assert list(dtypes.values()) == ["u8:s8:u8"]
        assert not recipe.reasons
        step = 0.006 * np.sqrt(p["cg"] * p["r"] * p["s"])
        wrong = np.abs(y - expected) / step
        # Only a number between two bytes may become the one or the other.
        assert wrong.max() < 1.01
        assert (wrong > 0.5).mean() < 0.02

    check()


def test_a_range_from_zero_is_a_relu(tmp_path):
    p = {
        "groups": 1, "cg": 3, "k": 8, "r": 3, "s": 3, "h": 7, "width": 7, "pads": [1, 1, 1, 1],
        "strides": [1, 1], "x_zero": 120, "y_zero": 0, "signed": True, "channels": True,
    }  # fmt: skip
    path = convolution_file(tmp_path / "relu.onnx", p)
    _, dtypes, y, expected, real = of_chain(path)
    read = [node.op for node in load(path, {}).network.nodes]
    assert [getattr(op, "function", op.kind) for op in read] == ["conv", "relu"]
    assert list(dtypes.values()) == ["u8:s8:u8"]
    np.testing.assert_allclose(y, expected, atol=0.006 * np.sqrt(27) * 1.01)
    assert y.min() == 0 == real.reference.min()


def test_many_sums_before_a_rounding(tmp_path):
    names = ["r", *(f"s{place}" for place in range(70)), "s"]
    nodes = [("Relu", "x", "r", {})]
    nodes += [("Add", f"{a} {a}", b, {}) for a, b in pairwise(names)]
    nodes += [("QuantizeLinear", "s xs xz", "q", {}), ("DequantizeLinear", "q xs xz", "y", {})]
    path = write(tmp_path / "sums.onnx", nodes, (1, 4), {"xs": f32(0.1), "xz": np.uint8(0)})
    assert load(path, {}).network.nodes[-1].op.kind == "add"


def test_six_is_the_limit_of_relu6(tmp_path):
    nodes = [
        ("QuantizeLinear", "x xs xz", "q", {}), ("DequantizeLinear", "q xs xz", "d", {}),
        ("Flatten", "d", "y", {}),
    ]  # fmt: skip
    weights = {"xs": f32(6 / 255), "xz": np.uint8(0)}
    path = write(tmp_path / "six.onnx", nodes, (1, 4), weights)
    (node,) = load(path, {}).network.nodes
    assert node.op.function == "relu6"


def chained_file(path, *, weight_zero=0):
    """Write a small residual network in operators of bytes: sums, pools, a product, a matrix."""
    draw = np.random.default_rng(5)
    w1 = draw.integers(-99, 99, (8, 3, 3, 3), dtype=np.int8)
    w2 = draw.integers(-99, 99, (8, 8, 1, 1), dtype=np.int8)
    weights = {
        "xs": f32(0.03), "xz": np.uint8(128), "w1": w1, "s1": f32(0.01), "z": np.int8(0),
        "as": f32(0.08), "az": np.uint8(0), "w2": w2.astype(np.uint8) if weight_zero else w2,
        "z2": np.uint8(weight_zero) if weight_zero else np.int8(0), "s2": f32(0.005),
        "bs": f32(0.1), "bz": np.uint8(140), "cs": f32(0.11), "cz": np.uint8(70),
        "gs": f32(0.03), "gz": np.uint8(90), "m": draw.integers(-99, 99, (8, 5), dtype=np.int8),
        "ms": f32(0.01), "os": f32(0.1), "oz": np.uint8(150),
        "fb": draw.integers(-999, 999, 5, dtype=np.int32), "shape": np.array([1, 8]),
    }  # fmt: skip
    nodes = [
        ("QuantizeLinear", "x xs xz", "q", {}),
        ("QLinearConv", "q xs xz w1 s1 z as az", "a", {"pads": [1, 1, 1, 1]}),
        ("MaxPool", "a", "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("QLinearConv", "p as az w2 s2 z2 bs bz", "b", {}),
        ("QLinearAdd", "b bs bz p as az cs cz", "c", {}),
        ("QLinearGlobalAveragePool", "c cs cz gs gz", "g", {"channels_last": 0}),
        ("Reshape", "g shape", "f", {}),
        ("QGemm", "f gs gz m ms z fb os oz", "o", {}),
        ("DequantizeLinear", "o os oz", "y", {}),
    ]
    return write(path, nodes, (1, 3, 8, 8), weights)


def test_operators_of_bytes(tmp_path):
    path = chained_file(tmp_path / "chained.onnx")
    recipe, dtypes, y, expected, real = of_chain(path)
    assert not recipe.reasons
    in_bytes = [name for name, dtype in dtypes.items() if dtype == "u8:s8:u8"]
    assert len(in_bytes) == 3
    np.testing.assert_allclose(y, expected, atol=0.21)  # two steps of the result
    np.testing.assert_allclose(real.rounded, expected, atol=0.11)
    assert np.abs(real.reference - expected).max() < 0.1 * np.abs(expected).max()
    assert load(path, {}).scales[INPUT] == Scale(float(f32(0.03)), 128)


def test_weights_with_a_zero_point_stay_f32(tmp_path):
    path = chained_file(tmp_path / "zero.onnx", weight_zero=7)
    recipe, dtypes, y, expected, _ = of_chain(path)
    (name,) = recipe.reasons
    assert "zero point" in recipe.reasons[name]
    assert dtypes[name] == "f32"
    np.testing.assert_allclose(y, expected, atol=0.21)


@pytest.mark.parametrize("product", ["MatMulInteger", "ConvInteger"])
@pytest.mark.parametrize("dynamic", [True, False])
def test_sums_of_bytes(tmp_path, product, dynamic):
    matrix = product == "MatMulInteger"
    shape = (2, 5, 6) if matrix else (1, 6, 5, 4)
    wide = (6, 4) if matrix else (4, 6, 1, 1)
    w = np.random.default_rng(5).integers(0, 255, wide, dtype=np.uint8)
    first = [("DynamicQuantizeLinear", "x", "q xs xz", {})]
    weights = {"w": w, "wz": np.uint8(100), "ws": f32(0.01)}
    if not dynamic:
        first = [("QuantizeLinear", "x xs xz", "q", {})]
        weights |= {"xs": f32(0.03), "xz": np.uint8(120)}
    nodes = [
        *first,
        (product, "q w xz wz", "s", {}),
        ("Cast", "s", "c", {"to": 1}),
        ("Mul", "xs ws", "f", {}),
        ("Mul", "c f", "y", {}),
    ]
    path = write(tmp_path / "sums.onnx", nodes, shape, weights)
    imported = load(path, {})
    real = operands_of(imported, 3)
    expected = of_runtime(path, real.x)
    error = np.abs(real.reference - expected).max() / np.abs(expected).max()
    assert error < 0.02
    assert ("DynamicQuantizeLinear" in " ".join(imported.notes)) == dynamic


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ys": f32(0.5)}, "not the one that its bytes were made with"),
        ({"b": np.zeros(7, np.int32)}, r"a bias of \(7,\) does not fit 8 outputs"),
        ({"ws": np.full(7, 0.1, f32)}, "its scales do not fit the bias"),
    ],
)
def test_what_does_not_fit(tmp_path, change, message):
    nodes = [
        ("QuantizeLinear", "x xs xz", "q", {}),
        ("QLinearConv", "q xs xz w ws wz xs xz b", "r", {}),
        ("DequantizeLinear", "r ys xz", "y", {}),
    ]
    weights = {
        "xs": f32(0.1), "xz": np.uint8(3), "w": np.ones((8, 3, 1, 1), np.int8), "ws": f32(0.1),
        "wz": np.int8(0), "ys": f32(0.1), "b": np.zeros(8, np.int32), **change,
    }  # fmt: skip
    path = write(tmp_path / "misfit.onnx", nodes, (1, 3, 4, 4), weights)
    with pytest.raises(InputError, match=message):
        load(path, {})


class Images:
    """Inputs for the calibration of ONNX Runtime's tool."""

    def __init__(self, shape):
        draw = np.random.default_rng(7)
        self._left = [draw.standard_normal(shape, f32) for _ in range(3)]

    def get_next(self):
        return {"input": self._left.pop()} if self._left else None


def network():
    net = Builder()
    net.add("stem", ops.Convolution.square(8, 3, stride=2, pad=1, bias=True))
    begin = net.add("relu", ops.Activation("relu"))
    net.add("deep", ops.Convolution(k=8, r=3, s=3, pad=(1, 1, 1, 1), groups=8, bias=True))
    net.add("relu6", ops.Activation("relu6"))
    net.add("point", ops.Convolution(k=8, r=1, s=1, bias=True))
    net.add("add", ops.Add(), net.last, begin)
    net.add("out", ops.Activation("relu"))
    net.add("pool", ops.Pool2d.square("max", 2, stride=2))
    net.add("flat", ops.Flatten())
    net.add("fc", ops.Linear(6, bias=True))
    return Network("made", (1, 3, 12, 12), tuple(net.nodes))


def attention():
    net = Builder()
    net.add("class", ops.ClassToken())
    packed = net.add("in", ops.Linear(24, bias=True))
    net.add("qk", ops.AttentionScores(2))
    net.add("softmax", ops.Softmax())
    net.add("pv", ops.AttentionMix(2), net.last, packed)
    net.add("out", ops.Linear(8, bias=True))
    net.add("sum", ops.Add(), net.last, "class")
    net.add("head", ops.Linear(6, bias=True))
    return Network("attention", (2, 5, 8), tuple(net.nodes))


def quantised(folder, net, form, activations):
    """Return a file that the tool of ONNX Runtime made of a network."""
    tool = pytest.importorskip("onnxruntime.quantization", reason="needs its packages")
    from convprof.networks.onnx.export import model
    from convprof.networks.parameters import draw

    plain, path = folder / "plain.onnx", folder / "bytes.onnx"
    plain.write_bytes(model(net, draw(net, 1)))
    tool.quantize_static(
        plain,
        path,
        Images(net.input),
        quant_format=getattr(tool.QuantFormat, form),
        activation_type=getattr(tool.QuantType, activations),
        weight_type=tool.QuantType.QInt8,
        per_channel=form == "QDQ",
    )
    return path


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_attention_in_bytes(tmp_path, form):
    path = quantised(tmp_path, attention(), form, "QUInt8")
    _, dtypes, y, expected, real = of_chain(path)
    in_bytes = [name for name, dtype in dtypes.items() if dtype == "u8:s8:u8"]
    assert len(in_bytes) >= 2
    assert {"transpose", "softmax"} <= {node.op.kind for node in load(path, {}).network.nodes}
    largest = np.abs(expected).max()
    assert np.abs(real.rounded - expected).max() < 0.05 * largest
    whole = NetworkProblem(load(path, {}).network, real)
    limit = tolerance(SETTING.types, whole.terms, whole.roundings)
    known = whole.known_error(SETTING.types)
    assert 0 < known < 0.1
    assert whole.known_error(F32) == 0
    assert np.abs(y - real.rounded).max() < (limit + known) * largest


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("activations", ["QUInt8", "QInt8"])
def test_files_of_the_tool_of_onnx_runtime(tmp_path, form, activations):
    path = quantised(tmp_path, network(), form, activations)
    recipe, dtypes, y, expected, real = of_chain(path)
    assert not recipe.reasons
    in_bytes = [name for name, dtype in dtypes.items() if dtype == "u8:s8:u8"]
    assert len(in_bytes) == 4
    largest = np.abs(expected).max()
    assert np.abs(y - expected).max() < 0.03 * largest
    assert np.abs(real.reference - expected).max() < 0.05 * largest
    assert np.abs(real.rounded - expected).max() < 0.015 * largest


@pytest.mark.parametrize("large", [1, 30])
def test_products_of_dynamic_bytes_are_one_layer(tmp_path, large):
    nodes = [
        ("DynamicQuantizeLinear", "x", "q xs xz", {}),
        ("ConvInteger", "q w xz wz", "s", {"pads": [1, 1, 1, 1]}),
        ("Cast", "s", "c", {"to": 1}),
        ("Mul", "xs ws", "f", {}),
        ("Mul", "c f", "m", {}),
        ("Add", "m b", "a", {}),
        ("Relu", "a", "y", {}),
    ]
    draw = np.random.default_rng(5)
    w = draw.integers(0, 255, (8 * large, 24, 3, 3), dtype=np.uint8)  # large: read when needed
    b = draw.standard_normal((1, len(w), 1, 1)).astype(f32)
    weights = {"w": w, "wz": np.uint8(120), "ws": f32(0.01), "b": b}
    path = write(tmp_path / "dynamic.onnx", nodes, (1, 24, 5, 4), weights)
    _, dtypes, y, expected, _ = of_chain(path)
    assert list(dtypes.values()) == ["u8:s8:u8"]
    assert np.abs(y - expected).max() < 0.02 * np.abs(expected).max()


def test_weights_that_are_read_when_needed(tmp_path):
    p = {
        "groups": 1, "cg": 64, "k": 65, "r": 1, "s": 1, "h": 4, "width": 4, "pads": [0, 0, 0, 0],
        "strides": [1, 1], "x_zero": 120, "y_zero": 3, "signed": False, "channels": True,
    }  # fmt: skip
    imported = load(convolution_file(tmp_path / "large.onnx", p), {})
    (node,) = imported.network.nodes
    assert imported.constants[node.name]["weight"].values is None
    assert len(imported.quantisation().weights[node.name]) == 65


def rounded_before_layers(path):
    """Write what tools for OpenVINO write: weights are rounded in the file, results before use."""
    draw = np.random.default_rng(0)
    w1, w2 = (
        0.2 * draw.standard_normal(shape).astype(f32) for shape in ((8, 3, 3, 3), (8, 8, 1, 1))
    )
    weights = {
        "w1": w1, "s1": (np.abs(w1).max(axis=(1, 2, 3)) / 127).astype(f32), "w2": w2,
        "s2": (np.abs(w2).max(axis=(1, 2, 3)) / 127).astype(f32), "z": np.zeros(8, np.int8),
        "xs": f32(0.04), "xz": np.int8(0), "ps": f32(0.02), "pz": np.int8(-128),
        "ys": f32(0.03), "yz": np.int8(-128), "b": 0.1 * draw.standard_normal(8).astype(f32),
    }  # fmt: skip

    def rounded(name, scale, zero, **settings):
        return [
            ("QuantizeLinear", f"{name} {scale} {zero}", f"{name}q", settings),
            ("DequantizeLinear", f"{name}q {scale} {zero}", f"{name}d", settings),
        ]

    nodes = [
        *rounded("x", "xs", "xz"), *rounded("w1", "s1", "z", axis=0),
        ("Conv", "xd w1d b", "c", {"pads": [1, 1, 1, 1]}), ("Relu", "c", "r", {}),
        ("MaxPool", "r", "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        *rounded("p", "ps", "pz"), *rounded("w2", "s2", "z", axis=0),
        ("Conv", "pd w2d b", "e", {}), ("Add", "e pd", "a", {}), ("Relu", "a", "f", {}),
        *rounded("f", "ys", "yz"), ("Identity", "fd", "y", {}),
    ]  # fmt: skip
    return write(path, nodes, (1, 3, 8, 8), weights)


def test_roundings_after_a_pool_and_before_layers_only(tmp_path):
    path = rounded_before_layers(tmp_path / "before.onnx")
    recipe, dtypes, y, expected, real = of_chain(path)
    assert not recipe.reasons
    assert list(dtypes.values()) == ["u8:s8:u8", "u8", "u8:s8:u8"]
    np.testing.assert_allclose(y, expected, atol=0.031)
    whole = NetworkProblem(load(path, {}).network, real)
    library = OnnxNetwork().prepare(whole, SETTING)
    library.bind(np.ascontiguousarray(real.x.transpose(0, 2, 3, 1)), real.weights)
    library.run()
    made = library.output().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(made, expected, atol=0.031)
