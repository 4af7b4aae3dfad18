"""A network in float64, node by node."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.problems import ops
from convprof.problems.graph import Builder, Network


def small():
    """Return a network in which two nodes read one result, and its weights."""
    b = Builder()
    first = b.add("first", ops.Convolution.square(4, 3, bias=True))
    b.add("relu", ops.Activation("relu"))
    b.add("second", ops.Convolution.square(4, 1))
    b.add("add", ops.Add(), b.last, first)
    b.add("pool", ops.AdaptiveAverage(1, 1))
    b.add("flatten", ops.Flatten())
    b.add("head", ops.Linear(3))
    net = Network("small", (2, 3, 5, 6), tuple(b.nodes))
    random = np.random.default_rng(0)
    weights = {
        node.name: {
            name: random.uniform(-1, 1, shape).astype(np.float32)
            for name, shape in node.op.weights(*net.reads(node)).items()
        }
        for node in net.nodes
    }
    return net, weights, random.uniform(-1, 1, net.input).astype(np.float32)


def test_every_node_by_formulas_of_its_own():
    net, weights, x = small()
    found = {node.name: y for node, y in net.results(x, weights)}
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    filters = weights["first"]["weight"].astype(float)
    first = np.zeros((2, 4, 5, 6)) + weights["first"]["bias"][:, None, None].astype(float)
    for r, s in np.ndindex(3, 3):
        first += np.einsum("kc,nchw->nkhw", filters[..., r, s], padded[..., r : r + 5, s : s + 6])
    relu = np.maximum(first, 0)
    second = np.einsum("kc,nchw->nkhw", weights["second"]["weight"][..., 0, 0].astype(float), relu)
    added = second + first
    pooled = added.mean((2, 3))
    head = pooled @ weights["head"]["weight"].astype(float) + weights["head"]["bias"]
    expected = {"first": first, "relu": relu, "second": second, "add": added, "head": head}
    for name, y in expected.items():
        np.testing.assert_allclose(found[name], y, rtol=1e-12, atol=1e-12)


def test_the_last_result_is_the_networks():
    net, weights, x = small()
    *_, (node, last) = net.results(x, weights)
    y = net.reference(x, weights)
    assert (net.nodes[-1].name, net.output) == (node.name, y.shape)
    np.testing.assert_array_equal(last, y)


def test_a_missing_tensor_is_named():
    net, weights, x = small()
    del weights["second"]["weight"]
    with pytest.raises(KeyError, match="weight"):
        net.reference(x, weights)


def test_results_are_freed_after_their_last_reader():
    import weakref

    net, weights, x = small()
    kept = {}
    for node, y in net.results(x, weights):
        kept[node.name] = weakref.ref(y)
        alive = {name for name, ref in kept.items() if ref() is not None}
        if node.name == "second":
            assert {"first", "relu", "second"} == alive  # add still reads first
        if node.name == "pool":
            assert {"add", "pool"} == alive
