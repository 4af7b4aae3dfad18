"""The numbers of the file's weights: read when asked for, in the form that the operations need."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.errors import InputError

onnx = pytest.importorskip("onnx", reason="needs the onnx package")

from convprof.networks.onnx import load  # noqa: E402
from convprof.networks.onnx.weights import WeightReader  # noqa: E402

IMAGE = (2, 6, 5, 4)
DRAW = np.random.default_rng(7)


def drawn(*shape):
    return DRAW.standard_normal(shape, np.float32)


FILTER = drawn(6, 6, 3, 3)
CASES = {
    "a difference": (["Sub x v y"], {"v": drawn(6, 1, 1)}),
    "a difference per element": (["Sub x v y"], {"v": drawn(6, 5, 4)}),
    "a quotient": (["Div x v y"], {"v": 2 + abs(drawn(6, 1, 1))}),
    "several terms": (["Sum a x b y"], {"a": drawn(6, 1, 1), "b": drawn(1, 6, 1, 1)}),
    "a transposed filter": (["Transpose v w perm=1,0,2,3", "Conv x w y"], {"v": FILTER}),
    "a filter as it is and transposed": (
        ["Transpose v w perm=1,0,2,3", "Conv x v a pads=1,1,1,1", "Conv a w y"], {"v": FILTER}),
    "a scaled filter": (["Mul v f w", "Conv x w y"], {"v": FILTER, "f": drawn(6, 1, 1, 1)}),
    "a filter in half precision": (
        ["Cast v w to=1", "Conv x w y"], {"v": FILTER.astype(np.float16)}),
    "a quantised filter": (
        ["DequantizeLinear v s w", "Conv x w y"],
        {"v": (40 * FILTER).astype(np.int8), "s": np.float32(0.025)}),
    "a filter that is quantised by channels": (
        ["DequantizeLinear v s z w axis=0", "Conv x w y"],
        {"v": (9 * FILTER).astype(np.int8), "s": abs(drawn(6)), "z": np.arange(6, dtype=np.int8)}),
    "a transposed matrix": (
        ["Flatten x a", "Gemm a v b y transB=1"], {"v": drawn(7, 120), "b": drawn(7)}),
    "a bias of two axes": (["Flatten x a", "Gemm a v b y"], {"v": drawn(120, 7), "b": drawn(1, 7)}),
    "a matrix and a vector": (["MatMul x v a", "Add b a y"], {"v": drawn(4, 9), "b": drawn(9)}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_same_results(same_as_runtime, parsed, name):
    lines, weights = CASES[name]
    nodes = [parsed(line) for line in lines]
    same_as_runtime(nodes, IMAGE, weights)


def test_a_class_token_and_positions(same_as_runtime, parsed):
    lines = ["Concat t x a axis=1", "Add a p y"]
    weights = {"t": np.repeat(drawn(1, 1, 8), 2, 0), "p": drawn(1, 6, 8)}
    same_as_runtime([parsed(line) for line in lines], (2, 5, 8), weights)


def test_class_tokens_that_differ(save, parsed):
    path = save([parsed("Concat t x y axis=1")], (2, 5, 8), {"t": drawn(2, 1, 8)})
    imported = load(path, {})
    with pytest.raises(InputError, match="the class tokens of the images differ"):
        imported.weights()


def test_a_shared_weight_is_one_array(save, parsed):
    lines = ["MatMul x v a", "MatMul a v b", "Transpose v w perm=1,0", "MatMul b w y"]
    nodes = [parsed(line) for line in lines]
    imported = load(save(nodes, (1, 3, 8), {"v": drawn(8, 8)}), {})
    first, second, third = (own["weight"] for own in imported.weights().values())
    assert first is second
    assert np.shares_memory(first, third)
    np.testing.assert_array_equal(first.T, third)


def test_numbers_that_are_no_numbers(save, parsed):
    damaged = FILTER.copy()
    damaged[1, 2] = np.nan
    path = save([parsed("Conv x v y")], IMAGE, {"v": damaged})
    with pytest.raises(InputError, match=r"model\.onnx: Conv_1: weight has infinite numbers"):
        load(path, {}).weights()


def test_a_long_chain_that_reads_each_step_twice(save, parsed):
    steps = 1200
    lines = [f"Add w{i} w{i} w{i + 1}" for i in range(steps)]
    lines += [f"Mul w{steps} zero w", "Conv x w y"]
    weights = {"w0": FILTER, "zero": np.float32(0)}
    imported = load(save([parsed(line) for line in lines], IMAGE, weights), {})
    assert imported.weight_elements == (steps + 2) * FILTER.size + 1
    constant = imported.constants["Conv_1"]["weight"]
    assert WeightReader().array(constant).shape == FILTER.shape


# Data outside the file.


@pytest.fixture
def outside(save, parsed, tmp_path):
    """Write a model whose filter is in another file; return its path. ``change`` the entries."""

    def write(change=None, size=None):
        def move(model):
            (tensor,) = model.graph.initializer
            entries = {"location": "model.data", "offset": "16", "length": str(FILTER.nbytes)}
            entries |= change or {}
            onnx.external_data_helper.set_external_data(tensor, "x")
            del tensor.external_data[:]
            for key, value in entries.items():
                tensor.external_data.add(key=key, value=value)
            tensor.ClearField("raw_data")

        data = b"\0" * 16 + FILTER.tobytes()
        (tmp_path / "model.data").write_bytes(data[:size])
        return save([parsed("Conv x v y")], IMAGE, {"v": FILTER}, change=move)

    return write


def test_data_outside_the_file(outside):
    weights = load(outside(), {}).weights()
    np.testing.assert_array_equal(FILTER, weights["Conv_1"]["weight"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"location": "../model.data"}, "outside the model's folder"),
        ({"location": "/etc/passwd"}, "outside the model's folder"),
        ({"location": "link"}, "outside the model's folder"),
        ({"location": "none"}, "missing"),
        ({"location": "."}, "not a regular file"),
        ({"location": ""}, "does not say where"),
        ({"location": "a\0b"}, "not a name of a file"),
        ({"offset": "17"}, "its data end at byte"),
        ({"offset": "-1"}, "not a whole number"),
        ({"offset": "9" * 40}, "not a whole number"),
        ({"length": "8"}, "it has 8 bytes outside the file, and its shape needs 1296"),
    ],
)
def test_data_outside_that_are_refused(outside, tmp_path, change, reason):
    (tmp_path / "link").symlink_to("/etc/passwd")
    imported = load(outside(change), {})
    with pytest.raises(InputError, match=reason):
        imported.weights()


def test_a_file_that_was_cut(outside):
    with pytest.raises(InputError, match=r"tensor 'v': its data end at byte 1312 of model\.data"):
        load(outside(size=500), {}).weights()
