"""Attention in the nodes of exporters: what becomes one step, and that the numbers stay."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import F32
from convprof.networks.parameters import draw
from convprof.networks.side_by_side import side_by_side
from convprof.networks.steps import steps
from convprof.problems.graph import INPUT, Builder, Network
from convprof.problems.ops import (
    Add,
    Expand,
    Linear,
    MatMul,
    Multiply,
    Reshape,
    Slice,
    Softmax,
    Terms,
    Transpose,
)

N, T, HEADS, DIM = 2, 5, 4, 3
WIDTH = HEADS * DIM
HEADS_FIRST = Transpose((0, 2, 1, 3))


class Attending(Builder):
    """Adds attention as exporters write it."""

    def heads(self, name, x, heads=HEADS):
        self.add(f"{name}.proj", Linear(heads * DIM), x)
        self.add(f"{name}.apart", Reshape((N, T, heads, DIM)))
        return self.add(f"{name}.heads", HEADS_FIRST)

    def turned(self, x):
        """Transpose keys with images and heads in one axis, as for a product of three axes."""
        self.add("joined", Reshape((N * HEADS, T, DIM)), x)
        self.add("turned", Transpose((0, 2, 1)))
        return self.add("divided", Reshape((N, HEADS, DIM, T)))

    def repeated(self, x, name, heads):
        self.add(f"{name}.one", Reshape((N, heads, 1, T, DIM)), x)
        self.add(f"{name}.every", Expand((N, heads, HEADS // heads, T, DIM)))
        return self.add(f"{name}.flat", Reshape((N, HEADS, T, DIM)))

    def mixed(self, scores, v):
        self.add("softmax", Softmax(), scores)
        self.add("mix", MatMul(), "softmax", v)
        self.add("order", HEADS_FIRST)
        return self.add("rows", Reshape((N, T, WIDTH)))


def encoder():
    net = Attending()
    mask = net.add("mask.row", Slice(2, 0, 1), INPUT)
    mask = net.add("mask", Reshape((N, 1, 1, T)))
    q, k, v = (net.heads(name, INPUT) for name in "qkv")
    net.add("scores", MatMul(scale=0.3), q, net.turned(k))
    return net, net.mixed(net.add("masked", Add(), mask, "scores"), v)


def decoder():
    net = Attending()
    q, k, v = (net.heads(name, INPUT) for name in "qkv")
    net.add("scores", MatMul(transpose_b=True, scale=DIM**-0.5), q, k)
    terms = Terms((1, 1, T, T), learned=False, causal=True)
    return net, net.mixed(net.add("masked", terms, "scores"), v)


def shared():
    net = Attending()
    q = net.heads("q", INPUT)
    k, v = (net.repeated(net.heads(name, INPUT, 2), name, 2) for name in "kv")
    net.add("scores", MatMul(transpose_b=True), q, k)
    return net, net.mixed(net.add("biased", Terms((1, HEADS, T, T)), "scores"), v)


def whole(build):
    net, _ = build()
    return side_by_side(Network(build.__name__, (N, T, WIDTH), tuple(net.nodes))).network


def attention_of(network):
    (step,) = [step for step in steps(network, fuse=True) if "mix" in step.nodes]
    return step


def results_of(network, x, weights):
    known = {INPUT: x}
    for node in network.nodes:
        own = weights.get(node.name, {}).values()
        operands = (np.asarray(each, "f8") for each in own)
        known[node.name] = node.op.reference(*(known[name] for name in node.inputs), *operands)
    return known


@pytest.mark.parametrize(
    ("build", "text", "first", "names"),
    [
        (encoder, "attention 4 heads, masked", "scores", {"masked", "divided", "joined", "order"}),
        (decoder, "attention 4 heads, causal", "scores", {"masked", "q.proj", "v.heads"}),
        (shared, "attention 4 heads share 2 of keys, masked", "biased", {"k.every", "v.flat"}),
    ],
)
def test_attention_is_one_step_with_the_same_numbers(build, text, first, names):
    network = whole(build)
    step = attention_of(network)
    assert step.problem.op.text == text
    assert step.name == first  # the node whose tensor the chain gives
    assert names <= set(step.nodes)
    assert step.writes == "order"
    weights = draw(network, 1)
    x = np.random.default_rng(0).standard_normal(network.input)
    results = results_of(network, x, weights)
    operands = [results[name] for name in step.reads]
    tensors = [weights[step.name][name] for name in step.problem.parameters]
    y = step.problem.reference([*operands, *tensors])
    np.testing.assert_allclose(y, results["order"], rtol=1e-12)
    inner = [network.by_name[name] for name in step.nodes]
    assert step.problem.macs == sum(node.op.macs(*network.reads(node)) for node in inner)


def test_bytes_are_of_the_parts_that_are_read():
    step = attention_of(whole(shared))
    tensors = N * T * (2 * WIDTH + 2 * 2 * DIM) + HEADS * T * T
    assert step.problem.inputs == ((N, T, WIDTH + 2 * 2 * DIM),)  # side by side
    assert step.problem.bytes_min(F32) == 4 * tensors


def scores_are_read_twice(net, scores):
    net.add("all", Multiply(), scores, scores)
    return scores


def factor_is_negative(net, scores):
    del scores
    return net.add("negative", MatMul(transpose_b=True, scale=-1.0), "q.heads", "k.heads")


@pytest.mark.parametrize("change", [scores_are_read_twice, factor_is_negative])
def test_other_products_stay_alone(change):
    net = Attending()
    q, k, v = (net.heads(name, INPUT) for name in "qkv")
    scores = net.add("scores", MatMul(transpose_b=True), q, k)
    net.mixed(change(net, scores), v)
    found = steps(Network("other", (N, T, WIDTH), tuple(net.nodes)), fuse=True)
    assert ("softmax",) in [step.nodes for step in found]


def test_elements_of_a_head_that_are_apart_are_copied_first():
    net = Attending()
    q, k = (net.heads(name, INPUT) for name in "qk")
    net.add("v.proj", Linear(WIDTH), INPUT)
    net.add("v.apart", Reshape((N, T, DIM, HEADS)))
    v = net.add("v.heads", Transpose((0, 3, 1, 2)))
    net.add("scores", MatMul(transpose_b=True), q, k)
    net.mixed("scores", v)
    found = steps(Network("apart", (N, T, WIDTH), tuple(net.nodes)), fuse=True)
    step = next(step for step in found if "mix" in step.nodes)
    assert step.reads == ("q.proj", "k.proj", "v.heads")
