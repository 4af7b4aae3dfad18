"""Files of bytes: read as ONNX Runtime reads them, and computed in the bytes of the file."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from convprof.dtypes import F32, tolerance  # noqa: E402
from convprof.errors import InputError  # noqa: E402
from convprof.networks.onnx import load  # noqa: E402
from convprof.problems import NetworkProblem, ops  # noqa: E402
from convprof.problems.graph import INPUT, Builder, Network  # noqa: E402
from convprof.problems.quantisation import Scale  # noqa: E402
from convprof.strategies.base import Setting  # noqa: E402
from convprof.strategies.networks.choice import layer_choices  # noqa: E402
from convprof.strategies.networks.recipe import recipe_for  # noqa: E402
from convprof.strategies.networks.strategy import Chained  # noqa: E402
from convprof.strategies.peers.onnxruntime import OnnxNetwork  # noqa: E402
from convprof.studies.network.file_operands import operands_of  # noqa: E402

# A tool of onnxruntime 1.18 calls what onnx of today deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:onnx")
SETTING = Setting("nhwc", "u8:s8:s32", tune="off")
MICROSOFT = "com.microsoft"
f32 = np.float32


def write(path, nodes, shape, weights, *, opset=17):
    """Write a model of nodes (operator, inputs, output, attributes), the input x, the output y."""
    helper = onnx.helper
    protos = []
    for kind, inputs, outputs, attributes in nodes:
        domain = MICROSOFT if kind.startswith(("QGemm", "QLinear")) else ""
        domain = "" if kind in ("QLinearConv", "QLinearMatMul") else domain
        names = ["" if name == "-" else name for name in inputs.split()]
        proto = helper.make_node(kind, names, outputs.split(), domain=domain, **attributes)
        protos.append(proto)
    real = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        protos,
        "graph",
        [helper.make_tensor_value_info("x", real, shape)],
        [helper.make_tensor_value_info("y", real, None)],
        [onnx.numpy_helper.from_array(np.asarray(each), name) for name, each in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def of_runtime(path, x):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(path.read_bytes(), options)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def of_chain(path, x=None):
    """Return the recipe, the types by layer, the input, and the results of both programs."""
    imported = load(path, {})
    real = operands_of(imported, 3, x)
    whole = NetworkProblem(imported.network, real)
    recipe = recipe_for(whole, fuse=True)
    choices = layer_choices(recipe, ("auto",), SETTING, "nhwc")
    prepared = Chained("chain", recipe, choices).prepare(whole, SETTING)
    laid_out = real.x.transpose(0, 2, 3, 1) if real.x.ndim == 4 else real.x
    prepared.bind(np.ascontiguousarray(laid_out), real.weights)
    prepared.run()
    y = prepared.output()
    y = y.transpose(0, 3, 1, 2) if whole.gives_image else y
    dtypes = {s.name: each for s, each in zip(recipe.steps, recipe.dtypes(SETTING), strict=True)}
    return recipe, dtypes, y.copy(), of_runtime(path, real.x), real


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
