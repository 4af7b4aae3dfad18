"""A weight that several nodes of a file read is one tensor: parameters once, MACs for each use."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.onnx.export import model  # noqa: E402
from convprof.networks.parameters import draw, elements  # noqa: E402
from convprof.networks.summary import summarise  # noqa: E402
from convprof.problems.ties import Tie, shared_text  # noqa: E402

PADS = "pads=1,1,1,1"
IMAGE = (1, 16, 32, 32)
FEATURES = (4, 32)


def repeated(count):
    """Return the lines of successive convolutions with one weight."""
    names = ["x", *(f"c{number}" for number in range(count - 1)), "y"]
    return [f"Conv {a} w {b} {PADS}" for a, b in itertools.pairwise(names)]


CASES = {
    # lines, input, weights, parameters, MACs, text
    "one filter, two convolutions": (
        [f"Conv x w a {PADS}", "Relu a b", f"Conv b w y {PADS}"],
        IMAGE, {"w": (16, 16, 3, 3)}, 2304, 4_718_592, "1 weight is used by 2 layers",
    ),
    "one matrix, two products": (
        ["MatMul x w a", "Relu a b", "MatMul b w y"],
        (4, 64), {"w": (64, 64)}, 4096, 2 * 4 * 64 * 64, "1 weight is used by 2 layers",
    ),
    "four hundred convolutions": (
        repeated(400),
        (1, 8, 4, 4), {"w": (8, 8, 3, 3)}, 576, 400 * 576 * 16, "1 weight is used by 400 layers",
    ),
    "a head with biases over two branches": (
        [
            f"Conv x v p {PADS}", "MaxPool x q kernel_shape=2,2 strides=2,2", f"Conv p w a {PADS}",
            f"Conv q w b {PADS}", "GlobalAveragePool a c", "GlobalAveragePool b d", "Add c d y",
        ],
        (1, 8, 8, 8), {"v": (8, 8, 3, 3), "w": (8, 8, 3, 3)}, 2 * 576, 576 * (64 + 64 + 16),
        "1 weight is used by 2 layers",
    ),
    "transposed by the product": (
        ["Gemm x w a", "Relu a b", "Gemm b w y transB=1"],
        FEATURES, {"w": (32, 64)}, 2048, 2 * 4 * 2048, "1 weight is used by 2 layers",
    ),
    "transposed by a node, as tied embeddings": (
        ["MatMul x w a", "Relu a b", "Transpose w t perm=1,0", "MatMul b t y"],
        FEATURES, {"w": (32, 64)}, 2048, 2 * 4 * 2048, "1 weight is used by 2 layers",
    ),
    "under another name": (
        ["Identity w u", "MatMul x w a", "Relu a b", "MatMul b u y"],
        (4, 32), {"w": (32, 32)}, 1024, 2 * 4 * 1024, "1 weight is used by 2 layers",
    ),
    "weights and biases": (
        [f"Conv x w,v a {PADS}", "Relu a b", f"Conv b w,v y {PADS}"],
        (1, 8, 4, 4), {"w": (8, 8, 3, 3), "v": (8,)}, 584, 2 * 576 * 16,
        "2 weights are used by 2 layers",
    ),
    "equal sizes, two tensors": (
        [f"Conv x w a {PADS}", "Relu a b", f"Conv b v y {PADS}"],
        (1, 8, 4, 4), {"w": (8, 8, 3, 3), "v": (8, 8, 3, 3)}, 1152, 2 * 576 * 16, "",
    ),
    "another reader that nobody reads": (
        ["MatMul x w a", "Relu x b", "MatMul b w y"],
        (4, 32), {"w": (32, 32)}, 1024, 4 * 1024, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_parameters_count_once_and_macs_for_each_use(save, parsed, name):
    lines, shape, weights, parameters, macs, text = CASES[name]
    network = load(save([parsed(line) for line in lines], shape, weights), {}).network
    found = summarise(network)
    assert (found.total.parameters, found.total.macs) == (parameters, macs)
    assert sum(row.cost.parameters for row in found.rows) == parameters
    assert elements(network) == parameters
    assert shared_text(network.ties) == text


@pytest.mark.parametrize("name", CASES)
def test_one_tensor_is_drawn_and_written_for_all(save, parsed, name):
    lines, shape, weights, parameters, *_ = CASES[name]
    network = load(save([parsed(line) for line in lines], shape, weights), {}).network
    drawn = draw(network, 0)
    for tie in network.ties:
        own, owner = drawn[tie.node][tie.weight], drawn[tie.owner][tie.owned]
        assert np.shares_memory(own, owner)
        np.testing.assert_array_equal(owner.T if tie.transposed else owner, own)
    written = onnx.load_from_string(model(network, drawn)).graph.initializer
    sizes = [int(np.prod(each.dims)) for each in written if each.data_type == 1]
    turned = sum(drawn[tie.node][tie.weight].size for tie in network.ties if tie.transposed)
    assert sum(sizes) == parameters + turned  # an ONNX product reads its matrix one way only


def test_a_filter_and_a_matrix_may_be_one_tensor(save, parsed):
    weights = {"w": (8, 8, 1, 1), "s": np.array([8, 8]), "n": np.array([1, 8])}
    lines = ["Conv x w a", "Reshape a n b", "Reshape w s m", "MatMul b m y"]
    network = load(save([parsed(line) for line in lines], (1, 8, 1, 1), weights), {}).network
    assert summarise(network).total.parameters == 64
    drawn = draw(network, 0)
    assert drawn["MatMul_1"]["weight"].shape == (8, 8)
    assert np.shares_memory(drawn["MatMul_1"]["weight"], drawn["Conv_1"]["weight"])


NORMS = ["BatchNormalization x one,zero,zero,one a", "BatchNormalization a one,zero,zero,one y"]


def test_untrained_norms_that_an_exporter_has_merged_count_apart(save, parsed):
    weights = {"one": (32,), "zero": np.zeros(32, np.float32)}
    network = load(save([parsed(x) for x in NORMS], (1, 32, 4, 4), weights), {}).network
    assert (summarise(network).total.parameters, network.ties) == (4 * 32, ())


def test_trained_norms_are_shared_and_their_variances_stay_positive(save, parsed):
    random = np.random.default_rng(0)
    weights = {"one": random.random(32, np.float32), "zero": random.random(32, np.float32)}
    network = load(save([parsed(x) for x in NORMS], (1, 32, 4, 4), weights), {}).network
    assert summarise(network).total.parameters == 2 * 32
    for tensors in draw(network, 0).values():
        assert tensors["running_var"].min() > 0
    assert shared_text(network.ties) == "3 weights are used by 2 layers"


def test_the_untrained_bias_of_a_shared_layer_is_shared(save, parsed):
    weights = {"w": (32, 32), "v": np.zeros(32, np.float32)}
    lines = ["Gemm x w,v a", "Relu a b", "Gemm b w,v y"]
    network = load(save([parsed(x) for x in lines], FEATURES, weights), {}).network
    assert summarise(network).total.parameters == 32 * 33


def test_the_words_for_one_layer_and_for_none():
    assert shared_text(()) == ""
    tie = Tie("norm", "bias", "norm", "weight")
    assert shared_text([tie]) == "1 weight is used by 1 layer"


def test_a_tensor_and_its_repetition_have_different_sizes(imported, parsed):
    nodes = [parsed(line) for line in ("Add x v a", "Expand v s e", "Add a e y")]
    read = imported(nodes, (2, 6, 4), {"v": np.arange(4, dtype=np.float32), "s": [6, 4]})
    assert read.network.ties == ()
    shapes = [array.shape for own in read.weights().values() for array in own.values()]
    assert shapes == [(4,), (6, 4)]


def test_terms_that_vary_along_several_axes_are_shared(imported, parsed):
    nodes = [parsed(line) for line in ("Add x v a", "Add a v y")]
    weights = {"v": np.arange(18, dtype=np.float32).reshape(3, 6, 1)}
    network = imported(nodes, (2, 3, 6, 4), weights).network
    assert [(tie.weight, tie.owned) for tie in network.ties] == [("weight", "weight")]
    assert sum(map(network.parameters, network.nodes)) == 18
