"""Operators that are several others: against ONNX Runtime, and what they become."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.errors import InputError  # noqa: E402
from convprof.networks.onnx.expanding import MICROSOFT  # noqa: E402

try:
    RUNTIME = tuple(map(int, metadata.version("onnxruntime").split(".")[:2]))
except metadata.PackageNotFoundError:
    RUNTIME = (0, 0)

ROWS = (2, 5, 12)
IMAGE = (2, 6, 5, 4)
FAULTY = "ONNX Runtime 1.18 leaves out this bias, refuses this sum, and crashes without a bias"
newer = pytest.mark.skipif((0, 0) < RUNTIME < (1, 19), reason=FAULTY)


def foreign(kind, inputs, outputs="y", **attributes):
    """Return a node of ONNX Runtime's own; ``_`` for an input that is left out."""
    read, made = ([each.strip("_") for each in names.split()] for names in (inputs, outputs))
    return onnx.helper.make_node(kind, read, made, domain=MICROSOFT, **attributes)


def vectors(*names, size=12):
    return dict.fromkeys(names, (size,))


def with_domain(model):
    model.ir_version = 8
    model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))


@pytest.fixture
def same(save):
    """Compare a file with operators of ONNX Runtime; return the kinds of the network's ops."""
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    from convprof.networks.onnx import load

    def compare(nodes, shape, weights, opset=17):
        draw = np.random.default_rng(1)
        known = {
            name: draw.standard_normal(each, np.float32) if isinstance(each, tuple) else each
            for name, each in weights.items()
        }
        path = save(nodes, shape, known, opset=opset, change=with_domain)
        imported = load(path, {})
        x = draw.standard_normal(shape, np.float32)
        (expected,) = runtime.InferenceSession(path.read_bytes()).run(None, {"x": x})
        y = imported.network.reference(x.astype("f8"), imported.weights())
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=2e-5)
        return [each.op.kind for each in imported.network.nodes if not each.op.is_view]

    return compare


@pytest.mark.parametrize(
    ("node", "shape", "weights", "expected"),
    [
        (foreign("SkipLayerNormalization", "x x g", epsilon=1e-5), ROWS, vectors("g"),
         ["add", "layer norm"]),
        (foreign("SkipLayerNormalization", "x x g s b"), ROWS, vectors(*"gsb"),
         ["bias", "add", "layer norm"]),
        (foreign("SkipLayerNormalization", "x x g s _", "n _ _ y"), ROWS, vectors(*"gs"), ["add"]),
        pytest.param(foreign("SkipSimplifiedLayerNormalization", "x x g b"), ROWS, vectors(*"gb"),
         ["bias", "add", "rms norm"], marks=newer),
        (onnx.helper.make_node("SimplifiedLayerNormalization", ["x", "g"], ["y"], axis=-1), ROWS,
         vectors("g"), ["rms norm"]),
        (foreign("Gelu", "x"), ROWS, {}, ["activation"]),
        (foreign("BiasGelu", "x b"), ROWS, vectors("b"), ["bias", "activation"]),
        (foreign("FastGelu", "x b"), ROWS, vectors("b"), ["bias", "activation"]),
        (foreign("FastGelu", "x"), ROWS, {}, ["activation"]),
        (foreign("QuickGelu", "x", alpha=1.5), ROWS, {}, ["affine", "activation", "affine"]),
        (foreign("FusedMatMul", "x w", alpha=0.5), ROWS, {"w": (12, 7)}, ["linear"]),
        (foreign("FusedMatMul", "x w", transB=1), ROWS, {"w": (7, 12)}, ["linear"]),
        (foreign("FusedMatMul", "x x", transB=1, alpha=0.5), ROWS, {}, ["matmul"]),
        (foreign("FusedMatMul", "x x", transBatchA=1, transBatchB=1, transB=1), ROWS, {},
         ["transpose"] * 2 + ["matmul"]),
        (foreign("FusedMatMul", "x x", transBatchA=1, transA=1, transBatchB=1), (3, 4, 5, 6), {},
         ["transpose"] * 2 + ["matmul"]),
        (foreign("FusedMatMul", "x x", transA=1), ROWS, {}, ["transpose", "matmul"]),
        (foreign("FusedConv", "x w b", activation="Relu"), IMAGE,
         {"w": (4, 6, 3, 3), "b": (4,)}, ["conv", "activation"]),
        (foreign("FusedConv", "x w", activation="LeakyRelu", activation_params=[0.2]), IMAGE,
         {"w": (4, 6, 1, 1)}, ["conv", "affine", "maximum"]),
        (foreign("FusedConv", "x w", activation="Clip", activation_params=[-0.5, 0.7]), IMAGE,
         {"w": (4, 6, 1, 1)}, ["conv", "clip"]),
        pytest.param(foreign("FusedConv", "x w b x", activation="Relu", pads=[1] * 4), IMAGE,
         {"w": (6, 6, 3, 3), "b": (6,)}, ["conv", "add", "activation"], marks=newer),
        (foreign("FusedGemm", "x w b", activation="Relu", transB=1), (5, 12),
         {"w": (7, 12), "b": (7,)}, ["linear", "activation"]),
        (foreign("FusedGemm", "x w", activation="LeakyRelu", activation_alpha=0.4), (5, 12),
         {"w": (12, 7)}, ["linear", "affine", "maximum"]),
        (foreign("FusedGemm", "x w", activation="HardSigmoid", activation_alpha=0.3,
                 activation_beta=0.1), (5, 12),
         {"w": (12, 7)}, ["linear", "hard sigmoid"]),
        pytest.param(foreign("Attention", "x w", num_heads=3), ROWS, {"w": (12, 36)},
         ["linear", "attention qk", "softmax", "attention pv"], marks=newer),
        (foreign("Attention", "x w b", num_heads=3), ROWS, {"w": (12, 36), "b": (36,)},
         ["linear", "attention qk", "softmax", "attention pv"]),
        (foreign("Attention", "x w b", num_heads=3, unidirectional=1), ROWS,
         {"w": (12, 36), "b": (36,)},
         ["linear", "attention qk", "terms", "softmax", "attention pv"]),
        (foreign("Attention", "x w b m", num_heads=3), ROWS,
         {"w": (12, 36), "b": (36,), "m": np.array([[1, 1, 1, 0, 0], [1] * 5], np.int32)}, None),
        (foreign("Attention", "x w b m", num_heads=3), ROWS,
         {"w": (12, 36), "b": (36,), "m": np.array([3, 5], np.int32)}, None),
        (foreign("MultiHeadAttention", "x x x b", num_heads=3), ROWS, vectors("b", size=36),
         ["bias"] * 3 + ["transpose"] * 3 + ["matmul", "softmax", "matmul", "transpose"]),
        (foreign("MultiHeadAttention", "x x x", num_heads=3, scale=0.3, unidirectional=1), ROWS,
         {}, ["transpose"] * 3 + ["matmul", "terms", "softmax", "matmul", "transpose"]),
    ],
    ids=lambda each: each.op_type if isinstance(each, onnx.NodeProto) else None,
)  # fmt: skip
def test_operators_of_onnx_runtime(same, node, shape, weights, expected):
    kinds = same([node], shape, weights)
    assert sorted(kinds) == sorted(expected or kinds)


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("has_segments", [True, False])
def test_embeddings_and_their_norm(save, opset, has_segments):
    runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    from convprof.networks.onnx import load

    segments, kinds = ("ids", "k") if has_segments else ("_", "_")
    nodes = [
        foreign("EmbedLayerNormalization", f"ids {segments} w p {kinds} g b ids", "e m s"),
        foreign("Attention", "e aw ab m", "a", num_heads=3),
        foreign("SkipLayerNormalization", "a s g b"),
    ]
    sizes = {"w": (9, 12), "p": (7, 12), "k": (9, 12), "aw": (12, 36), "ab": (36,)}
    draw = np.random.default_rng(0)
    weights = {
        name: draw.standard_normal(shape, np.float32)
        for name, shape in (sizes | vectors("g", "b")).items()
        if name != "k" or has_segments
    }
    path = save(nodes, (2, 5), weights, opset=opset, dtype=6, inputs=("ids",), change=as_real)
    imported = load(path, {})
    ids = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
    (expected,) = runtime.InferenceSession(path.read_bytes()).run(None, {"ids": ids})
    y = imported.network.reference(ids.astype("f8"), imported.weights())
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=2e-5)
    assert not any(each.op.is_opaque for each in imported.network.nodes)


def as_real(model):
    with_domain(model)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def test_a_layer_norm_in_an_older_set_of_operators(same, node):
    norm = node("LayerNormalization", "x g b", axis=-1)
    assert same([norm], ROWS, vectors(*"gb"), opset=12) == ["layer norm"]


@pytest.mark.parametrize(
    ("kind", "shape", "attributes", "weights", "opset", "expected"),
    [
        ("LpNormalization", ROWS, {"p": 2, "axis": -1}, {}, 17, None),
        ("LpNormalization", ROWS, {"p": 2, "axis": 1}, {}, 22, None),
        *(("LpNormalization", ROWS, {"p": 1, "axis": 1}, {}, opset, None) for opset in (12, 17)),
        ("ReduceL1", IMAGE, {"axes": [1]}, {}, 17, None),
        ("ReduceL1", ROWS, {"axes": [0, 2], "keepdims": 0}, {}, 11, None),
        ("ReduceLogSumExp", ROWS, {"axes": [-1]}, {}, 17, None),
        ("ReduceLogSumExp", ROWS, {"axes": [1], "keepdims": 0}, {}, 17, None),
        ("ReduceMax", IMAGE, {"axes": [1]}, {}, 17, ["transpose", "pool"]),
        ("ReduceMax", IMAGE, {"axes": [2, 3], "keepdims": 0}, {}, 17, ["pool"]),
        ("ReduceMax", ROWS, {"axes": [-1], "keepdims": 0}, {}, 17, ["pool"]),
        ("ReduceMin", ROWS, {"axes": [0, 2]}, {}, 17, None),
        ("ReduceMean", ROWS, {"axes": [0]}, {}, 17, None),
        ("Softsign", IMAGE, {}, {}, 17, None),
        ("ThresholdedRelu", IMAGE, {"alpha": 0.4}, {}, 17, None),
        ("GroupNormalization", IMAGE, {"num_groups": 3}, vectors(*"wb", size=6), 21,
         ["instance norm", "layer scale", "bias"]),
        ("GroupNormalization", ROWS, {"num_groups": 1}, vectors(*"wb", size=5), 21, None),
    ],
)  # fmt: skip
def test_standard_operators(
    same_as_runtime, node, *, kind, shape, attributes, weights, opset, expected
):
    made = node(kind, " ".join(("x", *weights)), **attributes)
    network = same_as_runtime([made], shape, weights, opset=opset)
    kinds = [each.op.kind for each in network.nodes if not each.op.is_view]
    assert "opaque" not in kinds
    assert kinds == (expected or kinds)


@pytest.mark.parametrize("times", [[1, 2, 3, 1], [2, 1, 1, 1], [1, 1, 1, 1], [1, 1, 2, 3]])
def test_repeated_tensors(same_as_runtime, node, times):
    nodes = [node("Tile", "x r", "a"), node("Tanh", "a")]
    network = same_as_runtime(nodes, IMAGE, {"r": np.array(times)})
    assert not any(each.op.is_opaque for each in network.nodes)


def test_the_logarithm_of_a_sum(same_as_runtime, node):
    nodes = [node("Abs", "x", "a"), node("ReduceLogSum", "a", axes=[-1], keepdims=0)]
    kinds = [each.op.kind for each in same_as_runtime(nodes, ROWS).nodes]
    assert "elementary" in kinds
    assert "opaque" not in kinds


def test_a_reduction_that_has_no_steps_stays_opaque(imported, node):
    made = imported([node("ReduceL1", "x", noop_with_empty_axes=1)], ROWS, opset=18)
    assert [each.op.text for each in made.network.nodes] == ["ReduceL1 (opaque)"]


def test_names_of_steps(imported):
    made = onnx.helper.make_node("LpNormalization", ["x"], ["y"], name="length")
    names = [each.name for each in imported([made], ROWS).network.nodes]
    assert names[-1] == "length"
    assert all(name.startswith("length.ReduceL2") for name in names[:-1])


def test_new_names_are_no_names_of_the_file(same):
    taken = onnx.helper.make_node("Relu", ["x"], ["a BiasGelu 0"])
    both = onnx.helper.make_node("Add", ["a", "a BiasGelu 0"], ["y"])
    gelu = foreign("BiasGelu", "x b", "a")
    kinds = same([taken, gelu, both], ROWS, vectors("b"))
    assert sorted(kinds) == ["activation", "activation", "add", "bias"]


def changed(node, name, kind, field, value):
    """Return a node with one attribute of another type: numbered as in ONNX's files."""
    attribute = node.attribute.add()
    attribute.name, attribute.type = name, kind
    if isinstance(value, float):
        setattr(attribute, field, value)
    elif isinstance(value, list):
        getattr(attribute, field).extend(value)
    else:
        getattr(attribute, field).CopyFrom(onnx.numpy_helper.from_array(value))
    return node


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        (("pads", 7, "ints", []), r"Conv node number 2: pads=\(\) must have 4 numbers"),
        (("dilations", 4, "t", np.ones(2, np.int64)), "must be a list of whole numbers"),
        (("activation_params", 1, "f", 0.5), "activation_params=0.5 must be a list of numbers"),
        (("activation_params", 8, "strings", [b"a"]), "must be a list of numbers"),
    ],
)
def test_attributes_of_other_types(imported, attribute, said):
    node = changed(foreign("FusedConv", "x w", activation="LeakyRelu"), *attribute)
    with pytest.raises(InputError, match=said):
        imported([node], IMAGE, {"w": (4, 6, 1, 1)}, change=with_domain)


@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("groups", [0, -1, 5, 12, 10**10, 2**62])
def test_groups_that_do_not_fit(imported, node, groups, opset):
    made = node("GroupNormalization", "x w b", num_groups=groups)
    with pytest.raises(InputError, match="does not fit a weight"):
        imported([made], IMAGE, vectors(*"wb", size=6), opset=opset)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (foreign("Attention", "x w", num_heads=3, do_rotary=1), "a scale, rotary positions"),
        (foreign("Attention", "x one", num_heads=3), r"3 heads of weights of \(\) do not fit"),
        (foreign("QuickGelu", "x", alpha=1e-45), "must not be 0 or near it"),
        (foreign("FusedMatMul", "x x", transB=1, alpha=float("nan")), "scale=nan: must be finite"),
        (foreign("SkipLayerNormalization", "x x g", epsilon=float("nan")), "eps=nan: must be"),
        (foreign("SkipLayerNormalization", "x x g", epsilon=-1.0), "eps=-1.0: must be finite and"),
        (foreign("SkipLayerNormalization", "x x g", "y mean"), "output 2 is not supported"),
        (foreign("FusedConv", "x g", activation="Magic"), "its activation 'Magic'"),
        (foreign("MultiHeadAttention", "x", num_heads=3), "a mask, a cache or joined queries"),
        (foreign("GroupQueryAttention", "x x x"), "the domain 'com.microsoft' are not supported"),
        (foreign("QuickGelu", "x", alpha=0.0), "alpha=0.0 must not be 0"),
    ],
)  # fmt: skip
def test_what_is_refused(imported, node, said):
    known = vectors("g") | {"w": (12, 36), "one": np.float32(1)}
    weights = {name: each for name, each in known.items() if name in node.input}
    outputs = tuple(name for name in node.output if name)
    with pytest.raises(InputError, match=said):
        imported([node], ROWS, weights, outputs=outputs, change=with_domain)
