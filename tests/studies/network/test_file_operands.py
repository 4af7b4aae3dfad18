"""An input from a file: its type and shape are checked before its numbers are read."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from convprof.errors import InputError
from convprof.networks.onnx.named_tensors import NamedTensors
from convprof.studies.network.file_operands import input_from, inputs_from

SHAPE = (1, 3, 4, 5)
X = np.random.default_rng(0).random(SHAPE)


@pytest.mark.parametrize(
    "array",
    [X, X[0], X.astype(np.float16), (9 * X).astype(np.uint8), np.asfortranarray(X)],
    ids=["whole", "without minibatch", "half", "bytes", "by columns"],
)
def test_an_array(tmp_path, array):
    path = tmp_path / "x.npy"
    np.save(path, array)
    x, note = input_from(str(path), "x", SHAPE)
    assert (x.shape, x.dtype, note) == (SHAPE, np.float32, None)
    np.testing.assert_array_equal(x, array.astype(np.float32).reshape(SHAPE))


def test_an_archive(tmp_path):
    path = str(tmp_path / "x.npz")
    np.savez(path, x=X, other=np.zeros(3))
    np.testing.assert_array_equal(input_from(path, "x", SHAPE)[0], X.astype(np.float32))
    with pytest.raises(InputError, match=r"it has the arrays 'x', 'other'; the input is 'image'"):
        input_from(path, "image", SHAPE)
    np.savez_compressed(path, only=X)
    np.testing.assert_array_equal(input_from(path, "image", SHAPE)[0], X.astype(np.float32))


def test_several_inputs(tmp_path):
    inputs = NamedTensors({"x": SHAPE, "side": (1, 7)})
    path, side = str(tmp_path / "x.npz"), np.arange(7.0)
    np.savez(path, x=X, side=side)
    row, note = inputs_from(path, inputs)
    assert (row.shape, row.dtype, note) == ((1, 67), np.float32, None)
    np.testing.assert_array_equal(inputs.split(row)["side"], [side])
    np.testing.assert_array_equal(inputs.split(row)["x"], X.astype(np.float32))
    np.savez(path, x=X)
    with pytest.raises(InputError, match=r"x\.npz: it has the arrays 'x'; the input is 'side'"):
        inputs_from(path, inputs)
    with pytest.raises(InputError, match=r"x\.npy: .*\.npz file with .*: x 1x3x4x5, side 1x7"):
        inputs_from("x.npy", inputs)
    np.testing.assert_array_equal(
        inputs_from(path, NamedTensors({"y": SHAPE}))[0], inputs.split(row)["x"]
    )


def test_a_picture(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    path = str(tmp_path / "white.png")
    image.fromarray(np.full((9, 30, 3), 255, np.uint8)).save(path)
    x, note = input_from(path, "x", SHAPE)
    assert "ImageNet" in note
    np.testing.assert_allclose(x[0, :, 2, 2], [2.2489, 2.4286, 2.64], rtol=1e-3)
    with pytest.raises(InputError, match=r"a picture is an input of 1x3xHxW, and this network"):
        input_from(path, "x", (2, 3, 4, 5))


def written(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (written(np.array([{}], object)), r"it has the shape 1; the input is 1x3x4x5"),
        (written(np.full(SHAPE, {}, object)), "it has the type object"),
        (written(X.astype(complex)), "it has the type complex128"),
        (written(X[:, :2]), r"it has the shape 1x2x4x5; the input is 1x3x4x5"),
        (written(np.full(SHAPE, np.nan)), "it has infinite numbers"),
        (written(X)[:-9], "damaged"),
        (b"\x93NUMPY\x01\x00", "damaged"),
        (b"\x93NUMPY\x09\x00", "a form that is not read"),
        (b"", "damaged"),
    ],
)
def test_arrays_that_are_refused(tmp_path, data, reason):
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"x\.npy: .*{reason}"):
        input_from(str(path), "x", SHAPE)
    packed = tmp_path / "x.npz"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.npy", data)
    with pytest.raises(InputError, match=rf"x\.npz: .*{reason}"):
        input_from(str(packed), "x", SHAPE)


def test_an_archive_that_is_none(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"x\.npz: cannot be read: it is damaged"):
        input_from(str(path), "x", SHAPE)
    with pytest.raises(InputError, match=r"none\.npy: cannot be read: No such file"):
        input_from(str(tmp_path / "none.npy"), "x", SHAPE)


def changed(path, changes):
    """Change bytes of a file at places from its beginning, or from its end."""
    data = bytearray(path.read_bytes())
    for place, value in changes.items():
        data[place] = value
    path.write_bytes(data)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_archives_that_are_damaged(tmp_path, compression):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", written(X))
    middle = len(path.read_bytes()) // 2
    for first in (middle, 45):
        changed(path, {first + place: 0xA5 for place in range(9)})
        with pytest.raises(InputError, match=r"x\.npz: cannot be read: it is damaged"):
            input_from(str(path), "x", SHAPE)


def test_archives_that_are_encrypted_or_unusual(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=X)
    data = path.read_bytes()
    entry = data.rindex(b"PK\x01\x02")
    for offset, value in ((8, 1), (10, 99)):  # flags: encrypted; an unknown compression
        path.write_bytes(data)
        changed(path, {entry + offset: value, offset - 2: value})
        with pytest.raises(InputError, match=r"x\.npz: cannot be read: it is damaged"):
            input_from(str(path), "x", SHAPE)
