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
    computed = steps(Network("other", (N, T, WIDTH), tuple(net.nodes)), fuse=True)
    assert ("softmax",) in [step.nodes for step in computed]


def test_elements_of_a_head_that_are_apart_are_copied_first():
    net = Attending()
    q, k = (net.heads(name, INPUT) for name in "qk")
    net.add("v.proj", Linear(WIDTH), INPUT)
    net.add("v.apart", Reshape((N, T, DIM, HEADS)))
    v = net.add("v.heads", Transpose((0, 3, 1, 2)))
    net.add("scores", MatMul(transpose_b=True), q, k)
    net.mixed("scores", v)
    computed = steps(Network("apart", (N, T, WIDTH), tuple(net.nodes)), fuse=True)
    step = next(step for step in computed if "mix" in step.nodes)
    assert step.reads == ("q.proj", "k.proj", "v.heads")


def checked_steps(net, shape=(N, T, WIDTH)):
    """Return the fused steps; each reads what steps before it have written, of shapes that fit."""
    computed = steps(Network("other", shape, tuple(net.nodes)), fuse=True)
    written = {INPUT}
    for step in computed:
        assert written.issuperset(step.reads)
        assert step.problem.flops >= 0  # from the shapes
        written.add(step.writes)
    return computed


def test_values_of_another_size_than_keys_stay_a_product():
    net = Attending()
    q, k = (net.heads(name, INPUT) for name in "qk")
    net.add("v.proj", Linear(2 * WIDTH), INPUT)
    net.add("v.apart", Reshape((N, T, HEADS, 2 * DIM)))
    v = net.add("v.heads", HEADS_FIRST)
    net.add("scores", MatMul(transpose_b=True), q, k)
    net.add("softmax", Softmax())
    net.add("mix", MatMul(), "softmax", v)
    assert ("softmax",) in [step.nodes for step in checked_steps(net)]


def test_attention_that_reads_the_results_of_attention():
    net = Attending()
    q, k, v = (net.heads(name, INPUT) for name in "qkv")
    net.mixed(net.add("scores", MatMul(transpose_b=True), q, k), v)
    net.add("again.apart", Reshape((N, T, HEADS, DIM)))
    again = net.add("again.heads", HEADS_FIRST)
    k, v = (net.heads(name, INPUT) for name in ("keys", "values"))
    net.add("again.scores", MatMul(transpose_b=True), again, k)
    net.add("again.softmax", Softmax())
    net.add("again.mix", MatMul(), "again.softmax", v)
    writes = [step.writes for step in checked_steps(net)]
    assert "mix" not in writes
    assert "order" in writes


def test_what_attention_reads_is_written_by_a_copy_of_its_own():
    net = Attending()
    q, k = (net.heads(name, INPUT) for name in "qk")
    net.add("v.proj", Linear(WIDTH), INPUT)
    net.add("v.apart", Reshape((N, T, DIM, HEADS)))
    net.add("v.turned", Transpose((0, 1, 3, 2)))
    v = net.add("v.heads", HEADS_FIRST)
    net.mixed(net.add("scores", MatMul(transpose_b=True), q, k), v)
    step = next(step for step in checked_steps(net) if "mix" in step.nodes)
    assert step.reads == ("q.proj", "k.proj", "v.turned")
    joined = side_by_side(Network("joined", (N, T, WIDTH), tuple(net.nodes))).network
    copies = ("v.proj", "v.apart", "v.turned")
    assert copies in [step.nodes for step in steps(joined, fuse=True)]


def test_shared_heads_that_become_another_axis_are_repeated_first():
    net = Attending()
    q = net.add("q", Reshape((N, HEADS, HEADS, DIM)), INPUT)
    for name in "kv":
        net.add(f"{name}.half", Slice(2, 0, 2 * DIM), INPUT)
        net.add(f"{name}.one", Reshape((N, 2, 1, HEADS, DIM)))
        net.add(f"{name}.every", Expand((N, 2, 2, HEADS, DIM)))
        net.add(f"{name}.flat", Reshape((N, HEADS, HEADS, DIM)))
        net.add(f"{name}.heads", HEADS_FIRST)
    net.add("scores", MatMul(transpose_b=True), q, "k.heads")
    net.add("softmax", Softmax())
    net.add("mix", MatMul(), "softmax", "v.heads")
    step = next(step for step in checked_steps(net, (N, HEADS, WIDTH)) if "mix" in step.nodes)
    assert step.problem.op.sharing == 1


def test_a_size_that_is_kept_from_the_shape_before_is_not_taken_from_another_one():
    net = Attending()
    net.add("q.rows", Reshape((N * T, WIDTH)), INPUT)
    net.add("q.proj", Linear(WIDTH))
    net.add("q.tokens", Reshape((N, T, WIDTH)))
    net.add("q.apart", Reshape((0, 0, HEADS, DIM)))
    q = net.add("q.heads", HEADS_FIRST)
    k, v = (net.heads(name, INPUT) for name in "kv")
    net.mixed(net.add("scores", MatMul(transpose_b=True), q, k), v)
    step = next(step for step in checked_steps(net) if "mix" in step.nodes)
    assert step.reads[0] == "q.proj"
