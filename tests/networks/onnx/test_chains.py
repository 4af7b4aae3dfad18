"""A file as a chain, and the same file in ONNX Runtime: the same numbers, whatever the layouts."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")
runtime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.steps import steps  # noqa: E402
from convprof.problems import NetworkProblem  # noqa: E402
from convprof.problems.layouts import LAYOUTS  # noqa: E402
from convprof.strategies.base import Setting  # noqa: E402
from convprof.strategies.networks.choice import LayerChoice  # noqa: E402
from convprof.strategies.networks.recipe import Recipe  # noqa: E402
from convprof.strategies.networks.strategy import Chained  # noqa: E402

IMAGE, LAST, TOKENS = (1, 4, 6, 6), (1, 6, 6, 4), (1, 6, 8)

WHOLE = {
    "five": [1, 2, 2, 6, 6], "image": [1, 4, 6, 6], "six": [1, 4, 3, 2, 3, 2],
    "small": [1, 16, 3, 3], "row": [1, 144], "i1": 1, "two": [2], "begin": [1], "end": [3],
    "axis0": [0], "axis1": [1], "axis2": [2], "halves": [2, 2],
}  # fmt: skip
CASES = {
    "channels last": (LAST, [
        "Transpose x t perm=0,3,1,2", "MaxPool t y kernel_shape=3,3",
    ]),
    "channels last at both ends": (LAST, [
        "Transpose x t perm=0,3,1,2", "MaxPool t p kernel_shape=3,3", "Relu p r",
        "Transpose r y perm=0,2,3,1",
    ]),
    "channel shuffle": (IMAGE, [
        "Reshape x five a", "Transpose a b perm=0,2,1,3,4", "Reshape b image c",
        "MaxPool c y kernel_shape=2,2",
    ]),
    "pixel unshuffle": (IMAGE, [
        "Reshape x six a", "Transpose a b perm=0,1,3,5,2,4", "Reshape b small c",
        "AveragePool c y kernel_shape=2,2",
    ]),
    "mean over channels, height and width": (IMAGE, [
        "MaxPool x p kernel_shape=2,2", "ReduceMean p m axes=1,2,3 keepdims=1", "Sub p m y",
    ]),
    "pooling of one axis": (TOKENS, [
        "Unsqueeze x axis2 t", "AveragePool t p kernel_shape=1,2 strides=1,2", "Squeeze p axis2 y",
    ]),
    "channels of the result": (IMAGE, ["Relu x r", "Slice r begin end axis1 y"]),
    "tokens of the result": (TOKENS, ["Relu x r", "Slice r begin end axis1 y"]),
    "an image of the result": ((4, 3, 5, 5), ["Relu x r", "Gather r i1 y axis=0"]),
    "half of the minibatch": ((4, 6, 8), ["Relu x r", "Split r halves y,z axis=0"]),
    "a slice of a flat image": (IMAGE, ["Relu x r", "Flatten r f", "Slice f begin end axis1 y"]),
    "a slice of a slice": (TOKENS, [
        "Relu x r", "Slice r begin end axis1 s", "Slice s axis1 two axis1 y",
    ]),
    "a slice of the input": (IMAGE, ["Slice x begin end axis1 y"]),
    "the input in another shape": (IMAGE, ["Reshape x row y"]),
}  # fmt: skip


def chain_of(network, layout, mix):
    """Return the bound chain whose steps have the layouts of ``mix`` in turn, and its input."""
    recipe = Recipe(network, fuse=False)
    choices = [LayerChoice("auto", mix[index % len(mix)]) for index in range(len(steps(network)))]
    whole = NetworkProblem(network)
    prepared = Chained("chain", recipe, choices).prepare(whole, Setting(layout, tune="off"))
    x = np.random.default_rng(0).standard_normal(network.input, np.float32)
    turned = layout == "nhwc" and x.ndim == 4
    prepared.bind(x.transpose(0, 2, 3, 1) if turned else x, {})
    prepared.run()
    found = prepared.output()
    turned = layout == "nhwc" and whole.gives_image
    return x, found.transpose(0, 3, 1, 2) if turned else found


@pytest.mark.parametrize("name", CASES)
def test_a_chain_computes_what_the_file_says(save, parsed, name):
    shape, lines = CASES[name]
    nodes = [parsed(line) for line in lines]
    read = {word for each in nodes for word in each.input}
    weights = {key: np.array(value, np.int64) for key, value in WHOLE.items() if key in read}
    path = save(nodes, shape, weights, change=lambda made: setattr(made, "ir_version", 8))
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    network = load(path, {}).network
    for layout in LAYOUTS:
        for mix in (["nchw"], ["nhwc"], ["nchw", "nhwc"], ["nhwc", "nchw"]):
            x, found = chain_of(network, layout, mix)
            (expected,) = session.run(["y"], {"x": x})
            np.testing.assert_allclose(expected, found, rtol=1e-5, atol=1e-6)
