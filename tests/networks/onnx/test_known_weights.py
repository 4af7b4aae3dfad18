"""Weights that the file computes: their shape is what counts, and no number is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.problems.ops import Convolution

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.networks.onnx import load  # noqa: E402

SHAPE = (64, 64, 3, 3)
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


@pytest.mark.parametrize(
    "steps",
    [
        ["ConstantOfShape s w"],
        ["ConstantOfShape s a", "Identity a w"],
        ["ConstantOfShape s a", "Cast a w to=1"],
        ["ConstantOfShape s a", "CastLike a one w"],
        ["Expand one s w"],
        ["Tile tap s w"],
        ["ConstantOfShape half a", "Concat a a w axis=0"],
        ["ConstantOfShape s a", "Mul a per w"],
        ["ConstantOfShape s a", "Sqrt a b", "Add b one c", "Div c a w"],
    ],
    ids="; ".join,
)
def test_a_weight_of_any_size(imported, node, steps):
    nodes = []
    for line in steps:
        kind, *words = line.split()
        given = {key: int(text) for key, _, text in (w.partition("=") for w in words) if text}
        *inputs, output = [word for word in words if "=" not in word]
        nodes.append(node(kind, " ".join(inputs), output, **given))
    weights = {
        "s": np.array(SHAPE), "half": np.array((32, *SHAPE[1:])), "one": np.float32(1),
        "tap": np.ones((1, 1, 1, 1), np.float32), "per": np.ones((64, 1, 1, 1), np.float32),
    }  # fmt: skip
    read = {name for each in nodes for name in each.input}
    used = {name: value for name, value in weights.items() if name in read}
    network = imported(
        [*nodes, node("Conv", "x w", pads=[1] * 4)], (1, 64, 56, 56), used
    ).network  # fmt: skip
    (conv,) = network.nodes
    assert isinstance(conv.op, Convolution)
    assert conv.op.parameters(*network.reads(conv)) == 36_864


def test_small_ones_keep_their_numbers(ops, node):
    value = onnx.numpy_helper.from_array(np.array([3], np.int64))
    nodes = [node("ConstantOfShape", "s", "t", value=value), node("Reshape", "x t")]
    assert [op.shape for op in ops(nodes, (3, 9), {"s": np.array([3])})] == [(3, 3, 3)]


def test_numbers_that_decide_must_be_few(imported, node):
    nodes = [node("ConstantOfShape", "s", "t"), node("Reshape", "x t")]
    with pytest.raises(InputError, match="the new shape must be known"):
        imported(nodes, weights={"s": np.array([5000])})


@pytest.mark.parametrize("sizes", [[2**31, 2**31], [2**40], [-1], [2] * 9, [2**62, 4, -1]])
def test_impossible_sizes(imported, node, sizes):
    nodes = [node("ConstantOfShape", "s", "w"), node("Add", "x w")]
    with pytest.raises(InputError, match=r"(ConstantOfShape|Add) node number \d: "):
        imported(nodes, weights={"s": np.array(sizes)})


@pytest.mark.parametrize("times", [[2**20, 2**20], [-1, -1], [1], [0, 3]])
def test_impossible_repeats(imported, node, times):
    nodes = [node("Tile", "t r", "w"), node("Add", "x w")]
    weights = {"t": np.ones((64, 64), np.float32), "r": np.array(times)}
    with pytest.raises(InputError, match=r"(Tile|Add) node number \d: "):
        imported(nodes, weights=weights)


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("vgg19", 143_667_240, 19_632_062_464),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("squeezenet", 1_235_496, 349_151_936),
        ("bvlc_alexnet", 60_965_224, 654_560_384),
    ],
)
def test_zoo_networks_without_their_weights(name, parameters, macs):
    path = LIGHT / f"light_{name}.onnx"
    if not path.exists():
        pytest.skip("this onnx package brings no such file")
    network = load(path, {}).network
    found = sum(node.op.parameters(*network.reads(node)) for node in network.nodes)
    assert (found, network.macs) == (parameters, macs)
