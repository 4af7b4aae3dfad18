"""Shapes and MACs against PyTorch's own, on tensors without data: nothing is computed."""

from __future__ import annotations

import math

import pytest

from convprof import networks
from convprof.networks.summary import summarise
from convprof.problems.graph import INPUT

torch = pytest.importorskip("torch")
functional = torch.nn.functional
flop_counter = pytest.importorskip("torch.utils.flop_counter")


def empty(shape):
    return torch.empty(shape, device="meta")


def convolve(op, w, x):
    bias = w.get("bias")
    return functional.conv2d(x, w["weight"], bias, op.stride, op.pad, op.dilation, op.groups)


def attention_scores(op, _, packed):
    q, k, _v = split(packed, op.heads)
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])


def attention_mix(op, _, probabilities, packed):
    mixed = probabilities @ split(packed, op.heads)[2]
    return mixed.transpose(1, 2).flatten(2)


def split(packed, heads):
    n, t, _ = packed.shape
    return packed.view(n, t, 3, heads, -1).permute(2, 0, 3, 1, 4)


def linear(_, w, x):
    return torch.addmm(w["bias"], x.flatten(0, -2), w["weight"]).view(*x.shape[:-1], -1)


def layer_norm(_, w, x):
    image = x.dim() == 4
    x = x.permute(0, 2, 3, 1) if image else x
    y = functional.layer_norm(x, x.shape[-1:], w["weight"], w["bias"])
    return y.permute(0, 3, 1, 2) if image else y


def pool(op, _, x):
    assert op.which == "max"
    return functional.max_pool2d(x, (op.r, op.s), op.stride, op.pad, ceil_mode=op.ceil)


def class_token(_, w, x):
    return torch.cat([w["weight"].expand(x.shape[0], 1, -1), x], 1)


RUN = {
    "conv": convolve,
    "linear": linear,
    "attention qk": attention_scores,
    "attention pv": attention_mix,
    "softmax": lambda _, __, x: x.softmax(-1),
    "pool": pool,
    "adaptive pool": lambda op, _, x: functional.adaptive_avg_pool2d(x, (op.p, op.q)),
    "activation": lambda op, _, x: getattr(functional, op.function)(x),
    "add": lambda _, __, a, b: a + b,
    "multiply": lambda _, __, a, b: a * b,
    "batch norm": lambda _, w, x: x * w["weight"].view(-1, 1, 1) + w["bias"].view(-1, 1, 1),
    "layer norm": layer_norm,
    "layer scale": lambda _, w, x: x * w["weight"].view(-1, 1, 1),
    "flatten": lambda _, __, x: x.flatten(1),
    "tokens": lambda _, __, x: x.flatten(2).transpose(1, 2),
    "class token": class_token,
    "position": lambda _, w, x: x + w["weight"],
    "select token": lambda op, _, x: x[:, op.index],
}


def run(network):
    """Return every node's result; operations in PyTorch, operands as the graph says."""
    results = {INPUT: empty(network.input)}
    for node in network.nodes:
        weights = {k: empty(s) for k, s in node.op.weights(*network.reads(node)).items()}
        operands = [results[name] for name in node.inputs]
        results[node.name] = RUN[node.op.kind](node.op, weights, *operands)
    return results


@pytest.mark.parametrize("name", networks.names())
def test_shapes_and_macs_are_pytorchs(name):
    images = networks.definition(name).images
    image = images.published + 4 * images.step  # where the strides leave a rest
    network = networks.network(name, mb=2, image=image)
    with flop_counter.FlopCounterMode(display=False) as counter:
        results = run(network)
    assert dict(network.shapes) == {key: tuple(y.shape) for key, y in results.items()}
    assert 2 * summarise(network).total.macs == counter.get_total_flops()
