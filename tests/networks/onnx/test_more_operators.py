"""Operators that become several operations, or operations of another shape."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.networks.parameters import draw
from convprof.networks.steps import steps
from convprof.networks.summary import summarise
from convprof.problems.ops import Upsample

IMAGE = (2, 3, 5, 4)
ROWS = (2, 4, 11)
FLAT = (6, 4)


def f32(value):
    return np.array(value, np.float32)


PHASES = [*["conv"] * 4, "concat", "reshape", "transpose", "reshape"]
CASES = {
    "constant less x": ("Sub c x", {}, IMAGE, {"c": f32(2)}, ["affine"]),
    "vector less x": ("Sub c x", {}, IMAGE, {"c": (3, 1, 1)}, ["affine", "bias"]),
    "negative": ("Neg x", {}, IMAGE, {}, ["affine"]),
    "absolute": ("Abs x", {}, IMAGE, {}, ["affine", "maximum"]),
    "square": ("Pow x c", {}, IMAGE, {"c": f32(2)}, ["multiply"]),
    "cube": ("Pow x c", {}, IMAGE, {"c": f32(3)}, ["multiply", "multiply"]),
    "root": ("Pow x c", {}, IMAGE, {"c": f32(0.5)}, ["power"]),
    "leaky": ("LeakyRelu x", {"alpha": 0.1}, IMAGE, {}, ["affine", "maximum"]),
    "steep": ("LeakyRelu x", {"alpha": 1.5}, IMAGE, {}, ["affine", "minimum"]),
    "leaky of 0": ("LeakyRelu x", {"alpha": 0.0}, IMAGE, {}, ["activation"]),
    "slopes": ("PRelu x c", {}, IMAGE, {"c": (3, 1, 1)},
               ["activation", "clip", "layer scale", "add"]),
    "one slope": ("PRelu x c", {}, IMAGE, {"c": f32(0.2)},
                  ["activation", "clip", "factors", "add"]),
    "slopes of pixels": ("PRelu x c", {}, IMAGE, {"c": (3, 5, 4)},
                         ["activation", "clip", "factors", "add"]),
    "terms of rows": ("Add x c", {}, IMAGE, {"c": (3, 5, 1)}, ["terms"]),
    "terms less": ("Sub x c", {}, IMAGE, {"c": (2, 1, 5, 4)}, ["terms"]),
    "factors of pixels": ("Mul x c", {}, IMAGE, {"c": (2, 1, 5, 4)}, ["factors"]),
    "divided by pixels": ("Div x c", {}, (2, 3, 4, 2, 2), {"c": np.full((3, 1, 2, 1), 3.0, "f4")},
                          ["factors"]),
    "a larger constant": ("Mul x c", {}, (1, 3, 1, 4), {"c": (2, 3, 5, 4)}, ["opaque"]),
    "transposed product": ("Gemm x w b", {"transA": 1}, FLAT, {"w": (6, 5), "b": (5,)},
                           ["transpose", "linear"]),
    "factors of a product": ("Gemm x w b", {"alpha": 0.5, "beta": 2.0, "transB": 1}, FLAT,
                             {"w": (5, 4), "b": (5,)}, ["linear"]),
    "rows": ("Conv x w b", {"strides": [2], "pads": [1, 2], "group": 2}, ROWS,
             {"w": (6, 2, 3), "b": (6,)}, ["reshape", "conv", "reshape"]),
    "rows of the same size": ("Conv x w", {"auto_pad": "SAME_LOWER", "strides": [2]}, ROWS,
                              {"w": (6, 4, 2)}, ["reshape", "conv", "reshape"]),
    "largest of rows": ("MaxPool x", {"kernel_shape": [3], "strides": [2], "ceil_mode": 1}, ROWS,
                        {}, ["reshape", "pool", "reshape"]),
    "average of rows": ("AveragePool x", {"kernel_shape": [3], "pads": [1, 1]}, ROWS, {},
                        ["reshape", "pool", "reshape"]),
    "all of the rows": ("GlobalAveragePool x", {}, ROWS, {},
                        ["reshape", "adaptive pool", "reshape"]),
    "identity": ("Gather x i", {"axis": 1}, FLAT, {"i": [[0, 1], [2, 3]]}, ["reshape"]),
    "another order": ("Gather x i", {"axis": 0}, FLAT, {"i": [[0, 3], [1, 4], [2, 5]]},
                      ["reshape", "transpose"]),
    "every second": ("Slice x s e at t", {}, IMAGE,
                     {"s": [1], "e": [9], "at": [3], "t": [2]}, ["reshape", "slice", "reshape"]),
    "every third": ("Slice x s e at t", {}, IMAGE, {"s": [0], "e": [9], "at": [3], "t": [3]},
                    ["pad", "reshape", "slice", "reshape"]),
    "from the end": ("Slice x s e at t", {}, IMAGE, {"s": [9], "e": [-9], "at": [2], "t": [-1]},
                     [*["slice"] * 5, "concat"]),
    "two of five": ("Slice x s e at t", {}, IMAGE, {"s": [1], "e": [4], "at": [2], "t": [2]},
                    ["slice", "reshape", "slice", "reshape"]),
    "other channels": ("Gather x i", {"axis": 1}, IMAGE, {"i": [2, 0, 1, 1, -1]},
                       [*["slice"] * 3, "concat"]),
    "twice as large": ("Resize x e f", {"mode": "nearest", "nearest_mode": "floor",
                       "coordinate_transformation_mode": "asymmetric"}, IMAGE,
                       {"f": f32([1, 1, 2, 3])}, ["upsample"]),
    "by centres": ("Resize x e e s", {"mode": "nearest"}, IMAGE, {"s": [2, 3, 15, 8]},
                   ["upsample"]),
    "of the same size": ("Resize x e e s", {"mode": "nearest"}, IMAGE, {"s": list(IMAGE)}, []),
    "linear": ("Resize x e f", {"mode": "linear"}, IMAGE, {"f": f32([1, 1, 2, 2])}, ["resize"]),
    "linear by sizes": ("Resize x e e s", {"mode": "linear",
                        "coordinate_transformation_mode": "align_corners"}, IMAGE,
                        {"s": [2, 3, 13, 4]}, ["resize"]),
    "linear, fractional": ("Resize x e f", {"mode": "linear",
                           "coordinate_transformation_mode": "asymmetric"}, IMAGE,
                           {"f": f32([1, 1, 1.7, 0.6])}, ["resize"]),
    "linear to a pixel": ("Resize x e f", {"mode": "linear",
                          "coordinate_transformation_mode": "pytorch_half_pixel"}, IMAGE,
                          {"f": f32([1, 1, 0.3, 2.5])}, ["resize"]),
    "linear of the same size": ("Resize x e e s", {"mode": "linear"}, IMAGE, {"s": list(IMAGE)},
                                []),
    "elu": ("Elu x", {"alpha": 0.7}, IMAGE, {}, ["elu"]),
    "selu": ("Selu x", {}, FLAT, {}, ["elu"]),
    "celu": ("Celu x", {"alpha": 2.0}, FLAT, {}, ["affine", "elu", "affine"]),
    "log softmax": ("LogSoftmax x", {}, FLAT, {}, ["log softmax"]),
    "log softmax of channels": ("LogSoftmax x", {"axis": 1}, IMAGE, {},
                                ["transpose", "log softmax", "transpose"]),
    "instance norm": ("InstanceNormalization x w b", {"epsilon": 0.01}, IMAGE,
                      {"w": (3,), "b": (3,)}, ["instance norm"]),
    "instance norm of rows": ("InstanceNormalization x w b", {}, ROWS, {"w": (4,), "b": (4,)},
                              ["reshape", "instance norm", "reshape"]),
    "one and a half": ("Resize x e f", {"mode": "nearest"}, IMAGE, {"f": f32([1, 1, 1, 1.5])},
                       ["resize"]),
    "pyramids": ("Resize x e e s", {"mode": "nearest", "nearest_mode": "floor",
                 "coordinate_transformation_mode": "asymmetric"}, IMAGE, {"s": [2, 3, 9, 7]},
                 ["resize"]),
    "fewer pixels": ("Resize x e f", {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
                     IMAGE, {"f": f32([1, 1, 0.5, 0.75])}, ["resize"]),
    "the next pixels": ("Resize x e f", {"mode": "nearest", "nearest_mode": "ceil",
                        "coordinate_transformation_mode": "pytorch_half_pixel"}, IMAGE,
                        {"f": f32([1, 1, 1.7, 1.3])}, ["resize"]),
    "corners": ("Resize x e f", {"mode": "nearest", "nearest_mode": "floor",
                "coordinate_transformation_mode": "align_corners"}, IMAGE,
                {"f": f32([1, 1, 2, 2])}, ["resize"]),
    "larger windows": ("ConvTranspose x w b", {"strides": [2, 3]}, IMAGE,
                       {"w": (3, 4, 2, 3), "b": (4,)},
                       ["conv", "reshape", "transpose", "reshape", "bias"]),
    "windows that overlap": ("ConvTranspose x w", {"strides": [1, 1]}, IMAGE, {"w": (3, 4, 2, 2)},
                             ["conv"]),
    "windows of four": ("ConvTranspose x w b", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, IMAGE,
                        {"w": (3, 4, 4, 4), "b": (4,)}, PHASES),
    "windows of three": ("ConvTranspose x w", {"strides": [2, 2], "pads": [1, 0, 1, 1],
                         "output_padding": [1, 0]}, IMAGE, {"w": (3, 2, 3, 3)}, PHASES),
    "windows in groups": ("ConvTranspose x w", {"strides": [2, 1], "group": 3}, IMAGE,
                          {"w": (3, 2, 5, 3)}, [*PHASES[2:], "slice"]),
    "dilated windows": ("ConvTranspose x w", {"dilations": [2, 3], "pads": [1, 2, 3, 4]}, IMAGE,
                        {"w": (3, 4, 3, 3)}, ["conv"]),
    "strided and dilated": ("ConvTranspose x w", {"strides": [2, 2], "dilations": [2, 2]}, IMAGE,
                            {"w": (3, 4, 3, 3)}, ["opaque"]),
    "windows with gaps": ("ConvTranspose x w", {"strides": [3, 3]}, IMAGE, {"w": (3, 4, 2, 2)},
                          ["opaque"]),
    "padded windows": ("ConvTranspose x w", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, IMAGE,
                       {"w": (3, 4, 2, 2)}, [*PHASES, "slice", "slice"]),
    "more padding than windows": ("ConvTranspose x w", {"pads": [3, 0, 3, 2]}, IMAGE,
                                  {"w": (3, 4, 3, 2)}, ["conv", "slice", "slice"]),
    "pixels of channels": ("DepthToSpace x", {"blocksize": 2}, (2, 8, 3, 2), {},
                           ["reshape", "transpose", "reshape"]),
    "pixel shuffle": ("DepthToSpace x", {"blocksize": 2, "mode": "CRD"}, (2, 8, 3, 2), {},
                      ["reshape", "transpose", "reshape"]),
    "channels of pixels": ("SpaceToDepth x", {"blocksize": 2}, (2, 3, 4, 6), {},
                           ["reshape", "transpose", "reshape"]),
    "backwards": ("Gather x i", {"axis": 0}, FLAT, {"i": [[5, 4, 3], [2, 1, 0]]}, ["opaque"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_same_results(same_as_runtime, node, case):
    line, attributes, shape, weights, expected = CASES[case]
    kind, inputs = line.split(" ", 1)
    nodes = [node(kind, inputs, "a", **attributes), node("Tanh", "a")]
    nodes[0].input[:] = [
        "" if name == "e" and kind == "Resize" else name for name in nodes[0].input
    ]
    network = same_as_runtime(nodes, shape, weights)
    assert [each.op.kind for each in network.nodes] == [*expected, "activation"]


def test_rows_count_as_images_of_height_1(imported, node):
    network = imported([node("Conv", "x w")], ROWS, {"w": (6, 4, 3)}).network
    total = summarise(network).total
    assert (total.parameters, total.macs) == (72, 2 * 9 * 72)


@pytest.mark.parametrize(
    ("kind", "weight", "attributes", "said"),
    [
        ("Conv", (6, 3, 3), {}, "do not fit 4 channels"),
        ("Conv", (6, 4, 3), {"kernel_shape": [2]}, "kernel_shape does not agree"),
        ("Conv", (6, 4, 3), {"strides": [1, 1]}, "strides"),
        ("Conv", (6, 4, 30), {}, "does not fit the padded input"),
        ("MaxPool", None, {"kernel_shape": [2], "pads": [2, 2]}, "must be less than the window"),
    ],
)
def test_impossible_rows(imported, node, *, kind, weight, attributes, said):
    weights = {} if weight is None else {"w": weight}
    with pytest.raises(InputError, match=said):
        imported([node(kind, " ".join(["x", *weights]), **attributes)], ROWS, weights)


def test_a_transposed_convolution_has_its_macs(imported, node):
    nodes = [node("ConvTranspose", "x w", strides=[2, 2])]
    network = imported(nodes, IMAGE, {"w": (3, 4, 2, 2)}).network
    total = summarise(network).total
    assert (total.parameters, total.macs) == (48, 2 * 5 * 4 * 48)
    assert network.output == (2, 4, 10, 8)


@pytest.mark.parametrize(
    ("kind", "shape", "attributes"),
    [
        ("DepthToSpace", (1, 6, 2, 2), {"blocksize": 2}),
        ("DepthToSpace", (1, 4, 2, 2), {"blocksize": 0}),
        ("SpaceToDepth", (1, 4, 3, 2), {"blocksize": 2}),
    ],
)
def test_blocks_that_do_not_fit(imported, node, kind, shape, attributes):
    with pytest.raises(InputError, match=r"blocksize=\d does not fit"):
        imported([node(kind, "x", **attributes)], shape)


@pytest.mark.parametrize(
    ("shape", "attributes", "kinds"),
    [
        ((2, 15, 8), {"q_num_heads": 2, "kv_num_heads": 2}, "matmul"),
        ((2, 15, 8), {"q_num_heads": 4, "kv_num_heads": 4, "scale": 0.7}, "matmul"),
        ((2, 2, 15, 4), {}, "matmul"),
        ((2, 2, 15, 4), {"is_causal": 1}, "terms"),
        ((2, 2, 15, 4), {"softcap": 2.0}, "opaque"),
    ],
)
def test_attention_of_operator_set_23(imported, node, shape, attributes, kinds):
    onnx = pytest.importorskip("onnx", "1.18", reason="older ones have no such operator")
    reference = pytest.importorskip("onnx.reference")
    rank = len(shape)
    nodes = [
        node("Split", "x", "q k v", axis=rank - 2, num_outputs=3),
        node("Attention", "q k v", **attributes),
    ]
    made = imported(nodes, shape, opset=23)
    x = np.random.default_rng(0).standard_normal(shape)
    model = onnx.load(made.path)
    (expected,) = reference.ReferenceEvaluator(model).run(None, {"x": x.astype(np.float32)})
    y = made.network.reference(x, draw(made.network, 0))  # a causal mask is no random tensor
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert kinds in [each.op.kind for each in made.network.nodes]


def test_a_causal_mask_of_many_tokens_is_not_computed_before_it_is_needed(imported, node):
    attention = node("Attention", "x x x", is_causal=1)
    network = imported([attention], (1, 1, 2**20, 4), opset=23).network
    (mask,) = [each.op for each in network.nodes if each.op.is_causal]
    assert mask.shape == (1, 1, 2**20, 2**20)


def test_attention_of_shared_keys(imported, node):
    onnx = pytest.importorskip("onnx", "1.18", reason="older ones have no such operator")
    reference = pytest.importorskip("onnx.reference")
    nodes = [
        node("Slice", "x zero eight two", "k"),
        node("Attention", "x k k", q_num_heads=4, kv_num_heads=2),
    ]
    constants = {key: np.array([n]) for key, n in (("zero", 0), ("eight", 8), ("two", 2))}
    made = imported(nodes, (2, 5, 16), constants, opset=23)
    x = np.random.default_rng(0).standard_normal((2, 5, 16))
    model = onnx.load(made.path)
    (expected,) = reference.ReferenceEvaluator(model).run(None, {"x": x.astype(np.float32)})
    np.testing.assert_allclose(made.network.reference(x, {}), expected, rtol=1e-4, atol=1e-5)
    (step,) = [s for s in steps(made.network, fuse=True) if "share" in (s.problem.layer_text)]
    assert step.problem.op.text == "attention 4 heads share 2 of keys"


@pytest.mark.parametrize(
    ("attributes", "said"),
    [({"q_num_heads": 3, "kv_num_heads": 3}, "3 heads do not fit"), ({}, "0 heads do not fit")],
)
def test_heads_that_do_not_fit(imported, node, attributes, said):
    pytest.importorskip("onnx", "1.18", reason="older ones have no such operator")
    with pytest.raises(InputError, match=said):
        imported([node("Attention", "x x x", **attributes)], (2, 5, 8), opset=23)


def test_constants_in_the_type_of_an_activation(same_as_runtime, node):
    nodes = [node("CastLike", "c x", "d"), node("Mul", "x d")]
    network = same_as_runtime(nodes, IMAGE, {"c": np.float64(3)})
    assert [each.op.kind for each in network.nodes] == ["affine"]


def test_quantised_activations_stay_f32(imported, node):
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "v s", "w"),
        node("Conv", "d w"),
    ]
    weights = {"s": f32(0.1), "z": np.uint8(3), "v": np.ones((4, 3, 1, 1), np.int8)}
    made = imported(nodes, IMAGE, weights)
    (conv,) = made.network.nodes
    np.testing.assert_allclose(made.weights()[conv.name]["weight"], 0.1)
    assert any(note.startswith("1 x rounding to bytes: f32 here") for note in made.notes)


@pytest.mark.parametrize(
    "steps",
    [
        ["Gather v i w axis=0"],
        ["Slice v begin ends w"],
        ["ReduceSum v s keepdims=1", "Div v s w"],
        ["Split v w,u axis=0", "Conv x u z", "Relu z q"],
        ["Exp v e", "Sigmoid e w"],
    ],
    ids="; ".join,
)
def test_weights_that_the_file_computes(same_as_runtime, parsed, steps):
    lines = [*steps, "Conv x w y"]
    nodes = [parsed(line) for line in lines]
    weights = {
        "v": (8, 3, 3, 3), "i": [3, 1, 1, 0], "begin": [2], "ends": [6],
    }  # fmt: skip
    read = {name for each in nodes for name in each.input}
    used = {name: value for name, value in weights.items() if name in read}
    network = same_as_runtime(nodes, IMAGE, used)
    assert [each.op.kind for each in network.nodes] == ["conv"]


# Old files and several outputs.


@pytest.mark.parametrize(
    ("kind", "shape", "attributes"),
    [
        ("Add", (3,), {"broadcast": 1, "axis": 1}),
        ("Mul", (3,), {"broadcast": 1, "axis": 1}),
        ("Sub", (5, 4), {"broadcast": 1}),
        ("Div", (1,), {"broadcast": 1}),
        ("Add", IMAGE, {}),
    ],
)
def test_operator_set_6_broadcasts_by_attributes(imported, node, *, kind, shape, attributes):
    c = np.random.default_rng(3).uniform(1, 2, shape).astype(np.float32)
    nodes = [node("Relu", "x", "a"), node(kind, "a c", **attributes)]
    made = imported(nodes, IMAGE, {"c": c}, opset=6)
    x = np.random.default_rng(0).standard_normal(IMAGE)
    a = np.maximum(x, 0)
    rank = min(4, len(shape))
    axis = attributes.get("axis", 4 - rank)
    wide = c.reshape((1,) * axis + shape + (1,) * (4 - axis - rank))
    expected = {"Add": a + wide, "Mul": a * wide, "Sub": a - wide, "Div": a / wide}[kind]
    y = made.network.reference(x, made.weights())
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_an_axis_that_does_not_fit(imported, node):
    with pytest.raises(InputError, match=r"Add node number 1: axis=3: \(5, 4\) does not fit"):
        imported([node("Add", "x c", broadcast=1, axis=3)], IMAGE, {"c": (5, 4)}, opset=6)


@pytest.mark.parametrize("opset", [7, 9, 10])
def test_older_ways_to_repeat_pixels(imported, node, opset):
    factors = [1.0, 1.0, 2.0, 2.0]
    resize = {
        7: node("Upsample", "x", scales=factors),
        9: node("Upsample", "x f"),
        10: node("Resize", "x f"),
    }[opset]
    (made,) = imported([resize], IMAGE, {"f": f32(factors)}, opset=opset).network.nodes
    assert made.op == Upsample(2, 2)


def test_one_of_several_outputs(save, node):
    from convprof.networks.onnx import load

    nodes = [node("Relu", "x", "a"), node("Tanh", "a", "y"), node("ArgMax", "a", "z")]
    path = save(nodes, outputs=("y", "z"))
    read = load(path, {}, ["y"])
    assert [each.op.text for each in read.network.nodes] == ["relu", "tanh"]
    assert list(read.outputs.shapes) == ["y"]
    assert [each.op.text for each in load(path, {}, ["a"]).network.nodes] == ["relu"]
    with pytest.raises(InputError, match=r"no node computes the output 'q'; outputs are \('y'"):
        load(path, {}, "q")


@pytest.mark.parametrize("scale", [np.inf, -np.inf, np.nan, 0, -1])
def test_impossible_scales(imported, node, scale):
    factors = f32([1, 1, scale, 2])
    for mode in ("linear", "nearest"):
        resize = node("Resize", "x e f", mode=mode)
        resize.input[1] = ""
        with pytest.raises(InputError, match=r"Resize node number 1: scales .* more than 0"):
            imported([resize], IMAGE, {"f": factors})


@pytest.mark.parametrize("scale", [1.09, 2.05, 2.09])  # ONNX Runtime copies at 1.09
@pytest.mark.parametrize(
    ("where", "rounding"), [("asymmetric", "floor"), ("half_pixel", "round_prefer_floor")]
)
def test_nearest_pixels_at_scales_that_are_not_exact(imported, node, *, scale, where, rounding):
    reference = pytest.importorskip("onnx.reference", reason="needs the onnx package")
    attributes = {"coordinate_transformation_mode": where, "nearest_mode": rounding}
    resize = node("Resize", "x e f", mode="nearest", **attributes)
    resize.input[1] = ""
    made = imported([resize], (1, 2, 10, 10), {"f": f32([1, 1, scale, scale])})
    x = np.random.default_rng(3).standard_normal((1, 2, 10, 10)).astype(np.float32)
    (expected,) = reference.ReferenceEvaluator(str(made.path)).run(None, {"x": x})
    np.testing.assert_allclose(made.network.reference(x, made.weights()), expected)


@pytest.mark.parametrize(("strides", "kinds"), [((4, 128), 512), ((65, 64), 1)])
def test_transposed_convolutions_of_large_strides(imported, node, strides, kinds):
    taps = tuple(stride + 1 for stride in strides)
    made = imported(
        [node("ConvTranspose", "x w", strides=list(strides))], (1, 1, 2, 2), {"w": (1, 1, *taps)}
    )
    first = made.network.nodes[:kinds]
    assert {each.op.kind for each in first} == {"opaque" if kinds == 1 else "conv"}
