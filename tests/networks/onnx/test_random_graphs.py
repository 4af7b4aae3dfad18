"""Random chains of operators compute what ONNX Runtime computes of them, or are refused by name."""

from __future__ import annotations

import random

import numpy as np
import pytest

from convprof.errors import InputError

LARGEST = float(np.finfo(np.float32).max)
LIMITS = [(None, 0.5), (-0.3, None), (-0.3, 0.4), (0.0, None), (0.0, 6.0), (0.0, LARGEST)]
ORDERS = [[0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2], [1, 0, 2, 3]]


class Drawn:
    """The nodes and weights of a graph, drawn one after the other."""

    def __init__(self, node, seed):
        self.node, self.random = node, random.Random(seed)
        self.opset = self.random.choice([9, 11, 13, 17])
        self.nodes, self.weights = [], {}
        for place in range(self.random.randint(2, 7)):
            before, after = f"v{place - 1}" if place else "x", f"v{place}"
            make = self.random.choice(
                [self.pad, self.pool, self.pool, self.clip, self.several, self.axes, self.simple]
            )
            make(before, after)
        self.nodes.append(node("Tanh", self.nodes[-1].output[0]))

    def constant(self, value, kind=np.float32):
        name = f"c{len(self.weights)}"
        self.weights[name] = np.array(value, kind)
        return name

    def pad(self, x, y):
        counts = [0, 1, 1, 2, -1]
        outer = [0, 0, 0, 0, 0, *counts]  # of the minibatch and the channels
        pads = [self.random.choice(outer if axis % 4 < 2 else counts) for axis in range(8)]
        value = self.random.choice([0.0, 0.0, 0.5])
        if self.opset < 11:
            self.nodes.append(self.node("Pad", x, y, pads=pads, value=value))
        else:
            inputs = x, self.constant(pads, np.int64), self.constant(value)
            self.nodes.append(self.node("Pad", " ".join(inputs), y))

    def pool(self, x, y):
        r, s = self.random.randint(1, 3), self.random.randint(1, 3)
        strides = [self.random.randint(1, 3), self.random.randint(1, 3)]
        given = {"kernel_shape": [r, s], "strides": strides}
        given["pads"] = [self.random.randint(0, size - 1) for size in (r, s, r, s)]
        given |= {"ceil_mode": self.random.randint(0, 1)} if self.opset > 9 else {}
        kind = self.random.choice(["MaxPool", "AveragePool"])
        given |= {"count_include_pad": self.random.randint(0, 1)} if kind == "AveragePool" else {}
        self.nodes.append(self.node(kind, x, y, **given))

    def clip(self, x, y):
        low, high = self.random.choice(LIMITS)
        if self.opset < 11:
            ends = {key: end for key, end in (("min", low), ("max", high)) if end is not None}
            self.nodes.append(self.node("Clip", x, y, **ends))
        elif low is not None:
            more = [self.constant(end) for end in (low, high) if end is not None]
            self.nodes.append(self.node("Clip", " ".join([x, *more]), y))
        else:
            self.nodes.append(self.node("Min", f"{x} {self.constant(high)}", y))

    def several(self, x, y):
        other = self.random.choice(["Relu", "Tanh", "Sigmoid"])
        self.nodes.append(self.node(other, x, f"{y}o"))
        inputs = [x, f"{y}o", self.constant(0.2)][: self.random.randint(2, 3)]
        self.random.shuffle(inputs)
        kind = self.random.choice(["Sum", "Mean", "Max", "Min"])
        self.nodes.append(self.node(kind, " ".join(inputs), y))

    def axes(self, x, y):
        if self.random.random() < 0.5:
            self.nodes.append(self.node("Transpose", x, y, perm=self.random.choice(ORDERS)))
        else:
            self.nodes.append(self.node("Softmax", x, y, axis=self.random.randint(0, 3)))

    def simple(self, x, y):
        kind = self.random.choice(["Relu", "Sigmoid", "HardSigmoid", "LRN", "Mul"])
        attributes = {"HardSigmoid": {"alpha": self.random.choice([0.2, 1 / 6, -0.4])}}
        attributes["LRN"] = {"size": self.random.choice([1, 3, 5]), "alpha": 0.5, "bias": 1.5}
        factor = f" {self.constant(self.random.choice([-1, 2, -0.5]))}" if kind == "Mul" else ""
        self.nodes.append(self.node(kind, x + factor, y, **attributes.get(kind, {})))


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_values(same_as_runtime, node, first):
    pytest.importorskip("onnxruntime", "1.23", reason="older ones round pools up by an older rule")
    agreed = 0
    for seed in range(first, first + 20):
        drawn = Drawn(node, seed)
        shape = tuple(random.Random(seed).choices(range(3, 9), k=4))
        try:
            same_as_runtime(drawn.nodes, shape, drawn.weights, opset=drawn.opset)
            agreed += 1
        except InputError as error:
            assert "node number" in str(error)  # noqa: PT017
    assert agreed >= 10
