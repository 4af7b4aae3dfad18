"""Layers of ONNX files by name: `model.onnx:/layer1/*`, wherever a problem is named."""

from __future__ import annotations

import pytest

from convprof import cli
from convprof.errors import InputError, UnknownNameError
from convprof.studies.selection import select

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
node = onnx.helper.make_node


@pytest.fixture
def model(save):
    """Two convolutions and a product, named as PyTorch names them; batch and height are open."""
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="/layer1/conv1/Conv", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"], name="/layer1/relu/Relu"),
        node("Conv", ["b", "w2"], ["c"], name="/layer1/conv2/Conv"),
        node("GlobalAveragePool", ["c"], ["d"], name="/pool"),
        node("Flatten", ["d"], ["e"], name="/flatten"),
        node("Gemm", ["e", "w3"], ["y"], name="/fc/Gemm"),
    ]
    weights = {"w1": (8, 3, 3, 3), "w2": (8, 8, 3, 3), "w3": (8, 5)}
    return save(nodes, ("batch", 3, "height", 16), weights)


def named(model, pattern="", **options):
    return select([f"{model}{pattern}"], **options)


@pytest.mark.parametrize("pattern", ["", ":", ":*"])
def test_all_layers_under_the_names_of_the_file(model, pattern):
    problems = named(model, pattern).problems
    assert [p.name for p in problems] == [
        "model.onnx:layer1/conv1/Conv", "model.onnx:layer1/conv2/Conv", "model.onnx:fc/Gemm",
    ]  # fmt: skip
    assert (problems[0].n, problems[0].c, problems[0].h, problems[0].w) == (1, 3, 224, 16)
    assert problems[2].descriptor.startswith("1x8:8x5")


@pytest.mark.parametrize("pattern", [":/layer1/*", ":layer1/*", ":*Conv"])
def test_globs_with_or_without_the_first_slash(model, pattern):
    assert [p.name for p in named(model, pattern).problems] == [
        "model.onnx:layer1/conv1/Conv", "model.onnx:layer1/conv2/Conv",
    ]  # fmt: skip


def test_a_minibatch_sets_the_open_batch_and_a_note_names_all_sizes(model):
    found = named(model, mb=3)
    assert [p.n for p in found.problems[:2]] == [3, 3]
    assert found.problems[2].descriptor.startswith("3x8:8x5")
    assert found.notes[0] == "model.onnx: open dimensions are set: batch=3, height=224"


def test_a_fixed_batch_is_changed_in_the_layers(save):
    path = save([node("Conv", ["x", "w"], ["y"], name="conv")], (2, 3, 8, 8), {"w": (4, 3, 1, 1)})
    assert [p.n for p in named(path).problems] == [2]
    assert [p.n for p in named(path, mb=5).problems] == [5]
    assert named(path).notes == []


def test_the_name_is_searched_by_match(model):
    assert [p.name for p in named(model, match="conv2").problems] == [
        "model.onnx:layer1/conv2/Conv"
    ]


def test_an_unknown_layer_has_a_suggestion(model):
    with pytest.raises(UnknownNameError, match=r"did you mean layer1/conv2/Conv"):
        named(model, ":/layer1/conv3/Conv")
    with pytest.raises(UnknownNameError, match="known: fc/Gemm, layer1/conv1/Conv"):
        named(model, ":/layer1/relu/Relu")  # nothing to measure by itself


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad\.onnx: this is not an ONNX model"):
        named(path, ":*")


def test_a_dry_run_lists_the_descriptors(model, capsys):
    assert cli._status(["run", f"{model}:/layer1/*", "--dry-run", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("convprof run 'mb1ic3ih224iw16oc8")
    assert lines[0].endswith('n"model.onnx:layer1/conv1/Conv"\'')
    texts = [line.removeprefix("convprof run ").strip("'") for line in lines]
    assert select(texts).problems == select([f"{model}:/layer1/*"]).problems
