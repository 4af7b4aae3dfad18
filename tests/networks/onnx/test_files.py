"""Files from strangers: damaged, hostile, or no ONNX at all. One clear line each."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zipfile
from importlib import import_module

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convprof.errors import InputError

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from refusals import refusal  # noqa: E402

from convprof.networks.onnx import load  # noqa: E402


@pytest.fixture
def conv(node):
    return [node("Conv", "x w", name="conv1")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\x00" * 64, "not an ONNX"),
        (b"hello", "not an ONNX"),
        (b"\x08\x08", "no graph"),
    ],
)
def test_no_models(tmp_path, data, said):
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    assert said in refusal(path)


ZIP = io.BytesIO()
with zipfile.ZipFile(ZIP, "w") as archive:
    archive.writestr("archive/data.pkl", b"weights")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 12345\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (POINTER, "a Git LFS pointer, not the model itself; fetch the model with: git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html lang='en'>", "this is a web page"),
        (b"\xef\xbb\xbf<HTML><body>", "this is a web page"),
        (ZIP.getvalue(), "this is a zip archive (PyTorch's .pt"),
        (b"\x80\x04\x95\x00\x00", "this is a Python pickle"),
        (gzip.compress(b"model"), "this is a compressed file; unpack it first"),
        (lzma.compress(b"model"), "this is a compressed file; unpack it first"),
        (bz2.compress(b"model"), "this is a compressed file; unpack it first"),
        (b"\x89HDF\r\n\x1a\n", "this is an HDF5 file"),
        (b"<?xml version='1.0'?><net/>", "this is XML (OpenVINO's .xml is)"),
        (b"\x1c\x00\x00\x00TFL3", "this is a TensorFlow Lite model"),
        (b"\x1c\x00\x00\x00ORTM", "this is ONNX Runtime's own format (.ort)"),
        (b"GGUF\x03\x00", "this is a GGUF file"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path, data, said):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert said in refusal(path)


def test_missing_directory_and_pipe(tmp_path):
    assert "cannot read it" in refusal(tmp_path / "none.onnx")
    assert "a directory" in refusal(tmp_path)
    if hasattr(os, "mkfifo"):
        pipe = tmp_path / "pipe.onnx"
        os.mkfifo(pipe)
        assert "not a regular file" in refusal(pipe)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_unreadable(tmp_path):
    path = tmp_path / "secret.onnx"
    path.write_bytes(b"x")
    path.chmod(0)
    assert "cannot read it: Permission denied" in refusal(path)


def test_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "large.onnx"
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr(import_module(load.__module__), "LARGEST_FILE", 99)
    assert "less than 2 GiB" in refusal(path)


def test_every_truncation(save, conv):
    path = save(conv, weights={"w": (4, 3, 3, 3)})
    whole = path.read_bytes()
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            load(path, {})
        except InputError as error:
            assert str(error).isprintable()  # noqa: PT017
            continue
        pytest.fail(f"{length} of {len(whole)} bytes were taken for a model")


def products(node):
    """Return nodes and weights of a graph of layers."""
    nodes = [
        node("Conv", "x w", "a", strides=[2, 2]),
        node("Reshape", "a s", "b"),
        node("MatMul", "b m", "c"),
        node("Clip", "c low high"),
    ]
    weights = {"w": (4, 3, 3, 3), "s": [1, -1], "m": (36, 5)}
    return nodes, weights | {"low": np.float32(0), "high": np.float32(6)}


def others(node):
    """Return nodes and weights of a graph of what is between layers."""
    nodes = [
        node("Pad", "x pads zero", "a"),
        node("ConstantOfShape", "shape", "w"),
        node("Conv", "a w", "b"),
        node("LRN", "b", "c", size=3),
        node("HardSigmoid", "c", "d", alpha=0.3),
        node("Sum", "b c d", "e"),
        node("Max", "e low", "f"),
        node("AveragePool", "f", "g", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        node("Softmax", "g", axis=1),
        node("Magic", "x", "dead", domain="com.acme"),
    ]
    weights = {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "shape": [4, 3, 3, 3]}
    return nodes, weights | {"zero": np.float32(0), "low": np.float32(-0.5)}


@pytest.mark.parametrize("graph", [products, others])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_end_in_a_network_or_a_line(save, node, graph, data):
    nodes, weights = graph(node)
    path = save(nodes, weights=weights)
    damaged = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(damaged))
    try:
        load(path, {"batch": 1, "N": 1})
    except InputError as error:
        assert str(error).isprintable()  # noqa: PT017


def test_external_weights_are_never_opened(save, conv, monkeypatch):
    def outside(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"

    path = save(conv, weights={"w": (4, 3, 3, 3)}, change=outside)
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda name, *rest, **key: (opened.append(name), real(name, *rest, **key))[1])  # noqa: E501  # fmt: skip
    assert load(path, {}).network.output == (1, 4, 6, 6)
    assert not [name for name in opened if "passwd" in str(name)]


def test_an_external_shape_is_refused_with_a_hint(save, node):
    def outside(model):
        model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL

    path = save([node("Reshape", "x s")], weights={"s": [1, -1]}, change=outside)
    assert "the new shape must be known: a small constant within the file" in refusal(path)


def test_control_characters_never_reach_the_terminal(save, node):
    path = save([node("Conv\x1b[2J", "x", name="\x1b]0;hi\x07")])
    text = refusal(path)
    assert "\\x1b" in text
    assert "\x1b" not in text


def test_names_of_nodes(imported, node):
    nodes = [
        node("Relu", "x", "a", name="\x1b[31mred*?:"),
        node("Relu", "a", "b", name="twice"),
        node("Relu", "b", "c", name="twice"),
        node("Relu", "c", "d", name="input"),
        node("Relu", "d", "e"),
        node("Relu", "e", "y", name="n" * 1000),
    ]
    names = [each.name for each in imported(nodes).network.nodes]
    assert names[:5] == ["__31mred___", "Relu_2", "Relu_3", "input_2", "Relu_5"]
    assert names[5] == "n" * 80


def test_without_the_package(save, conv, monkeypatch):
    path = save(conv, weights={"w": (4, 3, 3, 3)})
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install 'convprof[onnx]'" in refusal(path)
