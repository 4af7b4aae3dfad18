"""Weights for a network from a seed, chosen so that activations stay of order one."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.problems.graph import INPUT
from convprof.problems.operation import VARIANCE

if TYPE_CHECKING:
    from convprof.problems.graph import Network, Node
    from convprof.problems.ops import Op
    from convprof.problems.shapes import Shape

    Array = np.ndarray[Any, Any]

SECOND_MOMENT = {
    "relu": 0.5,
    "relu6": 0.5,
    "hardswish": 0.38,
    "gelu": 0.43,
    "gelu_tanh": 0.43,
    "silu": 0.36,
}
"""Mean of f(z)^2 for a standard normal z; the variance of a layer before f is divided by it (He et
al. 2015)."""
GATE = 0.33
"""The same for a sigmoid, which dampens what it is multiplied with: 0.25 for inputs near 0, 0.29
for normal ones, more for larger ones."""
BRANCH, HALF = 0.1, 0.5
"""Variance of a branch that is added to a shortcut, and of each of two layers that are added."""
SPREAD = 1.11
"""The factor by which a batch norm multiplies a variance: the mean of weight^2 / running_var as
they are drawn, 1.01 ln 3."""


def elements(network: Network) -> int:
    """Return how many numbers ``draw`` makes."""
    return sum(
        math.prod(shape)
        for node in network.nodes
        for name, shape in _shapes(network, node).items()
        if (node.name, name) not in network.tied
    )


def draw(network: Network, seed: int) -> dict[str, dict[str, Array]]:
    """Return the weights and buffers of every node that has some, by node and name, in f32.

    A tensor's numbers come from the seed and the names of its node and itself. Filters and matrices
    are normal, with a variance by fan-in and by what reads the result; biases are small, not zero.
    A shared weight is one array, drawn for its owner.
    """
    tensors: dict[str, dict[str, Array]] = {}
    for node in network.nodes:
        gain = _gain(network, node)
        for name, shape in _shapes(network, node).items():
            tie = network.tied.get((node.name, name))
            random = _random(seed, node.name, name)
            tensors.setdefault(node.name, {})[name] = (
                _tensor(node.op, name, shape, random, gain)
                if tie is None
                else tie.seen(tensors[tie.owner][tie.owned], shape)
            )
    return tensors


def _shapes(network: Network, node: Node) -> dict[str, Shape]:
    inputs = network.reads(node)
    return {**node.op.weights(*inputs), **node.op.buffers(*inputs)}


def _random(seed: int, node: str, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(f"{node} {name}".encode())])


def _tensor(op: Op, name: str, shape: Shape, random: np.random.Generator, gain: float) -> Array:
    if name == VARIANCE:
        return random.random(shape, dtype=np.float32) + np.float32(0.5)
    fixed = op.fixed(shape)
    if fixed is not None:
        return fixed
    drawn = random.standard_normal(shape, dtype=np.float32)
    mean, deviation = op.distribution(name, shape, gain)
    drawn *= np.float32(deviation)  # in place: a matrix may have tens of millions of elements
    drawn += np.float32(mean)
    return drawn


def _gain(network: Network, node: Node) -> float:
    """Return the variance of a layer's result, for an input whose second moment is one."""
    gain = 1.0
    before = network.by_name.get(node.inputs[0])
    if before is not None and before.op.is_gate:
        gain /= GATE
    reader, norms = _after(network, node)
    gain /= SPREAD**norms
    if reader is None:
        return gain
    epilogue = reader.op.epilogue
    if epilogue.function is not None:
        return gain / SECOND_MOMENT.get(epilogue.function, 1.0)
    if epilogue.add:
        both = all(_is_layer(network, name) for name in reader.inputs)
        return gain * (HALF if both else BRANCH)
    return gain


def _after(network: Network, node: Node) -> tuple[Node | None, int]:
    """Return the only node that reads a layer's result, and the number of batch norms before it.

    Factors and terms per channel between the two are skipped.
    """
    norms = 0
    while True:
        reader = network.only_reader(node.name)
        if reader is None or not reader.op.is_per_channel:
            return reader, norms
        norms += VARIANCE in reader.op.buffers(*network.reads(reader))
        node = reader


def _is_layer(network: Network, name: str) -> bool:
    """Return whether a layer computed a result, apart from factors and terms per channel."""
    while name != INPUT and network.by_name[name].op.is_per_channel:
        name = network.by_name[name].inputs[0]
    return name != INPUT and network.by_name[name].op.is_layer
