"""Models of text: what they become, with the numbers of ONNX Runtime, read and compiled."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")

from test_compiled import store_plan
from text_models import ROWS, TEXT_MODELS, WIDTH, N, T, ids

import convprof
from convprof.errors import InputError, ProblemError
from convprof.measure.operands import normal_input
from convprof.networks.onnx import load
from convprof.problems import NetworkProblem
from convprof.problems.graph import INPUT, Network, Node
from convprof.problems.ops import Embedding, Linear
from convprof.problems.tensors import relative_error
from convprof.studies import preflight
from convprof.studies.network.accuracy import runtime_result
from convprof.studies.network.file_operands import inputs_from, operands_of

LAYERS = {"encoder": 7, "decoder": 7, "llama": 8}
MACS_OF_ATTENTION = 2 * N * T * T * WIDTH


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Return the files by the model's name."""
    folder = tmp_path_factory.mktemp("text")
    for name, build in TEXT_MODELS.items():
        (folder / f"{name}.onnx").write_bytes(build())
    return {name: folder / f"{name}.onnx" for name in TEXT_MODELS}


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_the_same_numbers_as_the_runtime(paths, name):
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    imported = load(paths[name], {})
    x = imported.inputs.join(ids(imported.inputs.shapes)).astype(np.float32)
    real = operands_of(imported, 0, x)
    assert relative_error(runtime_result(imported, x), real.reference) < 1e-5
    kinds = [node.op.kind for node in imported.network.nodes]
    assert "opaque" not in kinds
    assert kinds.count("linear") == LAYERS[name]
    assert kinds.count("softmax") == 1


def test_what_the_parts_become(paths):
    kinds = {
        name: [node.op.text for node in load(path, {}).network.nodes]
        for name, path in paths.items()
    }
    assert kinds["encoder"].count("layer norm") == 3
    assert kinds["encoder"].count("gelu") == 1
    assert kinds["encoder"].count("embedding 50x16") == 1
    assert kinds["decoder"].count("gelu_tanh") == 1
    assert kinds["decoder"].count(f"causal mask 1x1x{T}x{T}") == 1
    assert kinds["llama"].count("rms norm") == 3
    assert kinds["llama"].count("silu") == 1
    assert kinds["llama"].count(f"factors 1x1x{T}x4") == 4
    assert kinds["llama"].count(f"expand {N}x2x2x{T}x4") == 2


def test_parameters_are_what_was_learned(paths):
    """A shared table counts once; masks and rotated positions do not count."""
    total = {}
    for name, path in paths.items():
        network = load(path, {}).network
        total[name] = sum(network.parameters(node) for node in network.nodes)
    square, norm, mlp = WIDTH * WIDTH, 2 * WIDTH, 2 * WIDTH * 32
    biases = 4 * WIDTH + 32 + WIDTH
    block = 4 * square + mlp + biases
    assert total["encoder"] == (ROWS + 2 + T) * WIDTH + block + 3 * norm + square + WIDTH
    assert total["decoder"] == (ROWS + T) * WIDTH + block + 4 * norm
    keys = 2 * square + 2 * square // 2
    assert total["llama"] == 2 * ROWS * WIDTH + keys + 3 * WIDTH * 32 + 3 * WIDTH


def test_multiply_adds_are_those_of_products(paths):
    macs = load(paths["decoder"], {}).network.macs
    rows = N * T
    layers = rows * (4 * WIDTH * WIDTH + 2 * WIDTH * 32 + WIDTH * ROWS)
    assert macs == layers + MACS_OF_ATTENTION


def test_drawn_ids_are_rows_of_the_table(paths):
    imported = load(paths["encoder"], {})
    parts = imported.inputs.split(normal_input(imported.network, 0))
    assert parts["input_ids"].min() >= 0
    assert ROWS / 2 < parts["input_ids"].max() < ROWS
    assert set(np.unique(parts["token_type_ids"])) == {0, 1}
    assert set(np.unique(parts["attention_mask"])) == {1}
    assert [each.are_rows for each in imported.network.whole] == [True, False, True]


@pytest.mark.parametrize("name", ["encoder", "llama"])
def test_compiled(paths, name, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    plan = tmp_path / "plan.json"
    store_plan(paths[name], plan)
    model = convprof.load(paths[name], plan)
    feeds = ids(model.inputs, 3)
    results = model.run(feeds)
    imported = load(paths[name], {})
    expected = imported.outputs.split(
        runtime_result(imported, imported.inputs.join(feeds).astype(np.float32))
    )
    for key, y in results.items():
        assert relative_error(y, expected[key]) < 1e-5
    feeds["input_ids"] = feeds["input_ids"] + ROWS
    with pytest.raises(ProblemError, match=r"'input_ids' has \d+: its numbers are 0 to 49; they"):
        model.run(feeds)
    feeds["input_ids"] = np.full((N, T), 0.5)
    with pytest.raises(ProblemError, match="'input_ids' has numbers that are not whole"):
        model.run(feeds)


def test_short_floats_have_ids_but_not_computed_ones(paths):
    network = load(paths["decoder"], {}).network
    preflight.check_whole_numbers(NetworkProblem(network), "bf16")
    nodes = (Node("halves", Linear(T), (INPUT,)), Node("rows", Embedding(257, 2), ("halves",)))
    computed = Network("computed", (1, 8), nodes, whole=network.whole)
    preflight.check_whole_numbers(NetworkProblem(computed), "u8:s8:s32")
    with pytest.raises(
        InputError, match=r"computed: rows \(embedding .*\) numbers too many .* for bf16"
    ):
        preflight.check_whole_numbers(NetworkProblem(computed), "bf16")
    preflight.check_whole_numbers(NetworkProblem(computed), "f16")


def test_an_archive_of_ids(paths, tmp_path):
    imported, archive = load(paths["encoder"], {}), str(tmp_path / "ids.npz")
    feeds = ids(imported.inputs.shapes)
    np.savez(archive, **feeds)
    ends = imported.inputs, imported.network.whole
    x, note = inputs_from(archive, *ends)
    np.testing.assert_array_equal(imported.inputs.split(x)["input_ids"], feeds["input_ids"])
    assert note is None
    feeds["token_type_ids"][0, 1] = -1
    np.savez(archive, **feeds)
    with pytest.raises(InputError, match=r"ids\.npz: 'token_type_ids' has -1: .* are 0 to 1; they"):
        inputs_from(archive, *ends)
    feeds["token_type_ids"][0, 1] = 2**40
    np.savez(archive, **feeds)
    with pytest.raises(InputError, match=r"ids\.npz: 'token_type_ids' has 1099511627776: "):
        inputs_from(archive, *ends)
