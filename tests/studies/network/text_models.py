"""Small models of text as exporters write them, with weights from a seed."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx_models import OPSET, Graph

N, T, WIDTH, HEADS, ROWS = 2, 6, 16, 4, 50
DEPTH = WIDTH // HEADS
LOWEST = np.finfo(np.float32).min


class TextGraph(Graph):
    """A graph whose inputs are ids and masks of (n, t) whole numbers."""

    def __init__(self, *inputs, seed=0):
        super().__init__((N, T), seed)
        self.inputs = inputs

    def number(self, value, dtype=np.float32):
        name = f"w{len(self.weights)}"
        self.weights[name] = np.array(value, dtype)
        return name

    def cast(self, x, to=TensorProto.FLOAT):
        return self.add("Cast", x, to=to)

    def matrix(self, k, n):
        name = self.weight(n, k)
        self.weights[name] = self.weights[name].T.copy()
        return name

    def rows_of(self, ids, rows=ROWS):
        return self.add("Gather", self.weight(rows, WIDTH, deviation=1.0), ids)

    def layer_norm(self, x):
        """Append the steps of a layer norm."""
        centred = self.add("Sub", x, self.add("ReduceMean", x, axes=[-1]))
        square = self.add("Pow", centred, self.number(2))
        variance = self.add("ReduceMean", square, axes=[-1])
        root = self.add("Sqrt", self.add("Add", variance, self.number(1e-12)))
        scaled = self.add("Mul", self.add("Div", centred, root), self._factors())
        return self.add("Add", scaled, self.weight(WIDTH, deviation=0.1))

    def _factors(self):
        return self.weight(WIDTH, mean=1.0, deviation=0.1)

    def rms_norm(self, x):
        """Append the steps of an RMS norm."""
        mean = self.add("ReduceMean", self.add("Pow", x, self.number(2)), axes=[-1])
        root = self.add("Sqrt", self.add("Add", mean, self.number(1e-6)))
        normal = self.add("Mul", x, self.add("Reciprocal", root))
        return self.add("Mul", self._factors(), normal)

    def by_heads(self, x, heads=HEADS, perm=(0, 2, 1, 3)):
        apart = self.add("Reshape", x, self.integers(N, T, heads, DEPTH))
        return self.add("Transpose", apart, perm=perm)

    def scores(self, q, keys):
        return self.add("Div", self.add("MatMul", q, keys), self.number(DEPTH**0.5))

    def mixed(self, scores, values):
        joined = self.add("MatMul", self.add("Softmax", scores, axis=-1), values)
        return self.add("Reshape", self.add("Transpose", joined, perm=[0, 2, 1, 3]),
                        self.integers(N, T, WIDTH))  # fmt: skip

    def saved(self, **outputs):
        """Return the file; ``outputs``: the values under their new names."""
        for name, value in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
        ends = [
            [helper.make_tensor_value_info(name, kind, shape) for name in names]
            for names, kind, shape in (
                (self.inputs, TensorProto.INT64, self.shape), (outputs, TensorProto.FLOAT, None)
            )
        ]  # fmt: skip
        tensors = [numpy_helper.from_array(array, key) for key, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, "graph", *ends, tensors)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def encoder():
    """Return a BERT of one layer: a padding mask, exact GELU, a pooler, a mean over the mask."""
    g = TextGraph("input_ids", "attention_mask", "token_type_ids")
    words, types = g.rows_of("input_ids"), g.rows_of("token_type_ids", 2)
    x = g.layer_norm(g.add("Add", g.add("Add", words, types), g.weight(1, T, WIDTH)))
    wide = g.add("Unsqueeze", "attention_mask", g.integers(1, 2))
    absent = g.add("Sub", g.number(1), g.cast(wide))
    mask = g.add("Mul", absent, g.number(LOWEST))
    q, k, v = (g.linear(x, WIDTH, WIDTH) for _ in range(3))
    scores = g.add("Add", g.scores(g.by_heads(q), g.by_heads(k, perm=(0, 2, 3, 1))), mask)
    mixed = g.linear(g.mixed(scores, g.by_heads(v)), WIDTH, WIDTH)
    x = g.layer_norm(g.add("Add", mixed, x))
    inner = g.linear(x, WIDTH, 32)
    erf = g.add("Erf", g.add("Div", inner, g.number(2**0.5)))
    gelu = g.add("Mul", g.add("Mul", inner, g.add("Add", erf, g.number(1))), g.number(0.5))
    x = g.layer_norm(g.add("Add", g.linear(gelu, 32, WIDTH), x))
    first = g.add("Gather", x, g.number(0, np.int64), axis=1)
    pooled = g.add("Tanh", g.add("Gemm", first, g.matrix(WIDTH, WIDTH), g.weight(WIDTH)))
    present = g.cast(g.add("Unsqueeze", "attention_mask", g.integers(-1)))
    every = g.add("Expand", present, g.integers(N, T, WIDTH))
    total = g.add("ReduceSum", g.add("Mul", x, every), g.integers(1), keepdims=0)
    count = g.add("ReduceSum", every, g.integers(1), keepdims=0)
    least = g.add("Clip", count, g.number(1e-9))
    mean = g.add("Div", total, least)
    length = g.add("ReduceL2", mean, axes=[-1])
    return g.saved(tokens=x, pooled=pooled, sentence=g.add("Div", mean, length))


def decoder():
    """Return a GPT-2 of one layer: a causal choice of scores, GELU by tanh, a shared table."""
    g = TextGraph("input_ids", seed=1)
    table = g.weight(ROWS, WIDTH, deviation=1.0)
    positions = g.add("Gather", g.weight(2 * T, WIDTH, deviation=1.0), g.integers(*range(T)))
    x = g.add("Add", g.add("Gather", table, "input_ids"), positions)
    q, k, v = (g.linear(g.layer_norm(x), WIDTH, WIDTH) for _ in range(3))
    causal = g.number(np.tri(T).reshape(1, 1, T, T), bool)
    scores = g.scores(g.by_heads(q), g.by_heads(k, perm=(0, 2, 3, 1)))
    scores = g.add("Where", causal, scores, g.number(LOWEST))
    x = g.add("Add", g.linear(g.mixed(scores, g.by_heads(v)), WIDTH, WIDTH), x)
    inner = g.linear(x, WIDTH, 32)
    cube = g.add("Mul", g.add("Pow", inner, g.number(3)), g.number(0.044715))
    sum_ = g.add("Mul", g.add("Add", inner, cube), g.number((2 / np.pi) ** 0.5))
    curve = g.add("Add", g.add("Tanh", sum_), g.number(1))
    gelu = g.add("Mul", g.add("Mul", inner, g.number(0.5)), curve)
    x = g.layer_norm(g.add("Add", g.linear(gelu, 32, WIDTH), x))
    return g.saved(logits=g.add("MatMul", x, g.add("Transpose", table, perm=[1, 0])))


def llama(keys=2):
    """Return a Llama of one layer: RMS norms, rotated positions, shared keys, a gated MLP."""
    g = TextGraph("input_ids", seed=2)
    x = g.rows_of("input_ids")
    normed = g.rms_norm(x)
    positions = g.number(np.arange(T).reshape(1, 1, T), np.float32)
    speeds = g.number(100.0 ** -(np.arange(DEPTH // 2) / (DEPTH // 2)).reshape(1, -1, 1))
    half = g.add("Transpose", g.add("MatMul", speeds, positions), perm=[0, 2, 1])
    angles = g.add("Unsqueeze", g.add("Concat", half, half, axis=-1), g.integers(1))
    cosines, sines = g.add("Cos", angles), g.add("Sin", angles)

    def rotated(x):
        first, second = (
            g.add("Slice", x, g.integers(a), g.integers(b), g.integers(3))
            for a, b in ((0, DEPTH // 2), (DEPTH // 2, 2**31))
        )
        turned = g.add("Concat", g.add("Neg", second), first, axis=-1)
        return g.add("Add", g.add("Mul", x, cosines), g.add("Mul", turned, sines))

    def repeated(x):
        apart = g.add("Unsqueeze", x, g.integers(2))
        every = g.add("Expand", apart, g.integers(N, keys, HEADS // keys, T, DEPTH))
        return g.add("Reshape", every, g.integers(N, HEADS, T, DEPTH))

    q = rotated(g.by_heads(g.add("MatMul", normed, g.matrix(WIDTH, WIDTH))))
    k, v = (
        g.by_heads(g.add("MatMul", normed, g.matrix(WIDTH, keys * DEPTH)), keys) for _ in range(2)
    )
    columns = g.add("Transpose", repeated(rotated(k)), perm=[0, 1, 3, 2])
    mask = g.number(np.triu(np.full((1, 1, T, T), -np.inf), 1))
    scores = g.add("Add", g.scores(q, columns), mask)
    mixed = g.add("MatMul", g.mixed(scores, repeated(v)), g.matrix(WIDTH, WIDTH))
    x = g.add("Add", x, mixed)
    normed = g.rms_norm(x)
    gate = g.add("MatMul", normed, g.matrix(WIDTH, 32))
    silu = g.add("Mul", gate, g.add("Sigmoid", gate))
    inner = g.add("Mul", silu, g.add("MatMul", normed, g.matrix(WIDTH, 32)))
    x = g.rms_norm(g.add("Add", x, g.add("MatMul", inner, g.matrix(32, WIDTH))))
    return g.saved(logits=g.add("MatMul", x, g.matrix(WIDTH, ROWS)))


TEXT_MODELS = {"encoder": encoder, "decoder": decoder, "llama": llama}


def ids(names, seed=0):
    """Return an input of each name: rows of a table, types of tokens, a mask with an end."""
    random = np.random.default_rng(seed)
    mask = np.ones((N, T), np.int64)
    mask[1, T - 2 :] = 0
    values = {
        "input_ids": random.integers(0, ROWS, (N, T)),
        "attention_mask": mask,
        "token_type_ids": random.integers(0, 2, (N, T)),
    }
    return {name: values[name] for name in names}
