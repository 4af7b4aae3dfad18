from __future__ import annotations

import io

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.studies.show_features import first_layer


def test_the_bank_has_sixteen_different_filters():
    bank = first_layer.built_in()
    assert bank.weights.shape == (16, 3, 7, 7)
    assert bank.weights.dtype == np.float32
    assert len(set(bank.names)) == 16
    rows = bank.weights.reshape(16, -1)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    likeness = unit @ unit.T - np.eye(16)
    assert likeness.max() < 0.5


def test_colour_filters_see_no_grey_and_edges_no_even_plane():
    bank = first_layer.built_in()
    for name, weights in zip(bank.names, bank.weights, strict=True):
        if "blob" not in name:
            assert weights.sum(axis=(1, 2)) == pytest.approx(0, abs=1e-6)
        if "grey" not in name and ("-" in name or "blob" in name):
            assert weights.sum(axis=0) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "colour"),
    [("red", (1, 0, 0)), ("green", (0, 1, 0)), ("blue", (0, 0, 1)), ("yellow", (1, 1, 0))],
)
def test_a_blob_answers_to_its_own_colour_most(name, colour):
    bank = first_layer.built_in()
    sums = bank.weights.sum(axis=(2, 3)) @ np.array(colour)
    assert bank.names[int(np.argmax(sums))] == f"{name} blob"


def test_the_problem_is_the_stem_of_a_resnet():
    problem = first_layer.built_in().problem(224, 224)
    assert problem.descriptor == "mb1ic3ih224oc16oh112kh7sh2ph3"


def test_normalising_uses_the_statistics_of_imagenet():
    rgb = np.broadcast_to(np.float32([0.485, 0.456, 0.406])[:, None, None], (3, 4, 5))
    assert first_layer.normalised(rgb) == pytest.approx(0)
    assert first_layer.normalised(rgb + np.float32(0.229))[0] == pytest.approx(1)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 8), (9, 4)])
def test_the_maximum_of_every_window(size):
    maps = np.random.default_rng(0).standard_normal((2, *size)).astype(np.float32)
    found = first_layer.max_pool(maps)
    h, w = size
    assert found.shape == (2, (h + 1) // 2, (w + 1) // 2)
    for i, j in np.ndindex(found.shape[1:]):
        rows, columns = slice(max(0, 2 * i - 1), 2 * i + 2), slice(max(0, 2 * j - 1), 2 * j + 2)
        assert found[:, i, j].tolist() == maps[:, rows, columns].max(axis=(1, 2)).tolist()


def npy(array):
    data = io.BytesIO()
    np.save(data, array, allow_pickle=True)
    return data.getvalue()


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8"])
def test_own_weights_are_read_in_f32(tmp_path, dtype):
    path = tmp_path / "w.npy"
    weights = np.random.default_rng(0).random((4, 3, 5, 2)).astype(dtype)
    path.write_bytes(npy(np.asfortranarray(weights)))
    bank = first_layer.read(str(path))
    assert bank.weights.dtype == np.float32
    assert bank.weights.tolist() == weights.astype(np.float32).tolist()
    assert bank.names == ("filter 0", "filter 1", "filter 2", "filter 3")
    problem = bank.problem(1, 1)
    assert (problem.p, problem.q) == (1, 1)


OK = np.zeros((2, 3, 3, 3), np.float32)
HUGE = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 3, 9, 9), }\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"it is not a .npy file"),
        (b"PK\x03\x04 a zip", r"it is not a .npy file"),
        (b"\x93NUMPY\x09\x00", r"version"),
        (b"\x93NUMPY\x01\x00\x10", r"\S"),
        (npy(OK)[:-1], r"\S"),
        (npy(np.array([{}, 1])), r"not floating-point numbers"),
        (npy(np.zeros((2, 3, 3, 3), int)), r"not floating-point numbers"),
        (npy(np.zeros((2, 3, 3, 3), complex)), r"not floating-point numbers"),
        (npy(np.float32(1)), r"its shape is a single number, not k x 3 x r x s"),
        (npy(np.zeros((2, 1, 3, 3))), r"its shape is 2x1x3x3, not k x 3"),
        (npy(np.zeros((0, 3, 3, 3))), r"its shape is 0x3x3x3"),
        (npy(np.zeros((1, 3, 99, 3))), r"at most 1024 filters of 31x31"),
        (npy(np.full((1, 3, 1, 1), np.nan)), r"not every weight is finite"),
        (npy(np.full((1, 3, 1, 1), 1e300)), r"not every weight is finite"),
        (header(HUGE), r"at most 1024 filters"),
        (header(b"__import__('os').abort()"), r"\S"),
        (header(b"(" * 3000), r"\S"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, data, message):
    path = tmp_path / "w.npy"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        first_layer.read(str(path))
    assert str(caught.value).startswith(f"weights={path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"no.npy: cannot be read: No such file"):
        first_layer.read(str(tmp_path / "no.npy"))
    with pytest.raises(InputError, match="it is not an ordinary file"):
        first_layer.read(str(tmp_path))
