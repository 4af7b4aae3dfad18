"""Small models as exporters write them, with weights from a seed."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Graph:
    """Nodes and weights of a model; every method returns the name of its result."""

    def __init__(self, shape, seed=0):
        self.shape = shape
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], {}

    def weight(self, *shape, mean=0.0, deviation=None):
        name = f"w{len(self.weights)}"
        fan_in = int(np.prod(shape[1:])) or 1
        deviation = fan_in**-0.5 if deviation is None else deviation
        values = mean + deviation * self.random.standard_normal(shape)
        self.weights[name] = values.astype(np.float32)
        return name

    def integers(self, *numbers):
        name = f"w{len(self.weights)}"
        self.weights[name] = np.array(numbers, np.int64)
        return name

    def add(self, kind, *inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x, c, k, side=1, *, bias=False, **attributes):
        groups = attributes.get("group", 1)
        reads = [x, self.weight(k, c // groups, side, side)]
        reads += [self.weight(k, deviation=0.1)] if bias else []
        return self.add("Conv", *reads, pads=[side // 2] * 4, **attributes)

    def norm(self, x, c):
        vectors = [self.weight(c, mean=mean, deviation=0.1) for mean in (1.0, 0.0, 0.1, 1.0)]
        return self.add("BatchNormalization", x, *vectors)

    def linear(self, x, k, n):
        self.random_matrix = self.weight(n, k)
        self.weights[self.random_matrix] = self.weights[self.random_matrix].T.copy()
        product = self.add("MatMul", x, self.random_matrix)
        return self.add("Add", product, self.weight(n, deviation=0.1))

    def model(self, y, name="y"):
        self.nodes[-1].output[0] = name
        assert y == self.nodes[-1].name
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, key) for key, array in self.weights.items()],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return made.SerializeToString()


def resnet_like():
    g = Graph((1, 3, 16, 16))
    stem = g.add("Relu", g.norm(g.conv("x", 3, 16, 3, strides=[2, 2]), 16))
    inner = g.add("Relu", g.norm(g.conv(stem, 16, 16, 3), 16))
    both = g.add("Add", g.norm(g.conv(inner, 16, 16, 3), 16), stem)
    pooled = g.add("GlobalAveragePool", g.add("Relu", both))
    flat = g.add("Flatten", pooled)
    return g.model(g.add("Gemm", flat, g.weight(10, 16), g.weight(10, deviation=0.1), transB=1))


def mobilenet_like():
    g = Graph((1, 3, 16, 16), 1)
    g.weights |= {"zero": np.float32(0), "six": np.float32(6)}
    stem = g.add("Clip", g.conv("x", 3, 16, 3, bias=True, strides=[2, 2]), "zero", "six")
    wide = g.add("Clip", g.conv(stem, 16, 32, bias=True), "zero", "six")
    deep = g.add("Clip", g.conv(wide, 32, 32, 3, bias=True, group=32), "zero", "six")
    gate = g.add("HardSigmoid", g.conv(g.add("GlobalAveragePool", deep), 32, 32, bias=True))
    gated = g.add("Mul", deep, gate)
    narrow = g.conv(gated, 32, 16, bias=True)
    return g.model(g.add("ReduceMean", g.add("Add", narrow, stem), axes=[2, 3], keepdims=0))


def vit_like(heads=2, width=16):
    g = Graph((1, 3, 8, 8), 2)
    depth = width // heads
    patches = g.conv("x", 3, width, 4, bias=True, strides=[4, 4])
    g.nodes[-1].attribute[0].ints[:] = [0] * 4
    rows = g.add("Reshape", patches, g.integers(1, width, 4))
    tokens = g.add("Transpose", rows, perm=[0, 2, 1])
    tokens = g.add("Concat", g.weight(1, 1, width), tokens, axis=1)
    tokens = g.add("Add", tokens, g.weight(1, 5, width))
    vectors = g.weight(width, mean=1.0, deviation=0.1), g.weight(width, deviation=0.1)
    normed = g.add("LayerNormalization", tokens, *vectors, axis=-1)
    parts = []
    for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        apart = g.add("Reshape", g.linear(normed, width, width), g.integers(1, 5, heads, depth))
        parts.append(g.add("Transpose", apart, perm=perm))
    g.weights["scale"] = np.float32(depth**-0.5)
    scores = g.add("Mul", g.add("MatMul", parts[0], parts[1]), "scale")
    mixed = g.add("MatMul", g.add("Softmax", scores, axis=-1), parts[2])
    joined = g.add("Transpose", mixed, perm=[0, 2, 1, 3])
    out = g.linear(g.add("Reshape", joined, g.integers(1, 5, width)), width, width)
    return g.model(g.linear(g.add("Add", out, tokens), width, 7))


def two_inputs():
    """Return a model of an image and a vector, with two results."""
    g = Graph((1, 4, 6, 6), 3)
    features = g.add("Relu", g.conv("image", 4, 8, 3, bias=True))
    flat = g.add("Flatten", g.add("GlobalAveragePool", features))
    g.add("Add", flat, "side")
    g.nodes[-1].output[0] = "sum"
    for node in g.nodes:
        node.input[:] = ["features" if name == features else name for name in node.input]
        node.output[:] = ["features" if name == features else name for name in node.output]
    real = TensorProto.FLOAT
    inputs = {"image": g.shape, "side": (1, 8)}
    graph = helper.make_graph(
        g.nodes,
        "graph",
        [helper.make_tensor_value_info(name, real, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, real, None) for name in ("sum", "features")],
        [numpy_helper.from_array(array, key) for key, array in g.weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


MODELS = {"resnet": resnet_like, "mobilenet": mobilenet_like, "vit": vit_like}
