"""The kind of a file that is not an ONNX model, from its first bytes: for the error message."""

from __future__ import annotations

_GIT_LFS = "this is a Git LFS pointer, not the model itself; fetch the model with: git lfs pull"
_WEB_PAGE = "this is a web page, not a model; download the file itself (its raw form)"
_ZIP = (
    "this is a zip archive (PyTorch's .pt and .pth, Keras' .keras and NumPy's .npz are), "
    "not an ONNX model; export the model with torch.onnx.export or tf2onnx, or unpack the archive"
)
_PICKLE = "this is a Python pickle (an old .pt or .pth); export the model with torch.onnx.export"
_COMPRESSED = "this is a compressed file; unpack it first"
_HDF5 = "this is an HDF5 file (Keras' .h5), not an ONNX model; convert it with tf2onnx"
_XML = "this is XML (OpenVINO's .xml is), not an ONNX model; use the file that it was made from"
_ORT = "this is ONNX Runtime's own format (.ort); use the ONNX file that it was made from"
_TFLITE = "this is a TensorFlow Lite model; convert it with tf2onnx --tflite"
_GGUF = "this is a GGUF file: weights without a graph; export the model as ONNX"

_BY_START = (
    (b"version https://git-lfs", _GIT_LFS),
    (b"PK\x03\x04", _ZIP),
    (b"\x1f\x8b", _COMPRESSED),
    (b"\xfd7zXZ", _COMPRESSED),
    (b"BZh", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED),
    (b"7z\xbc\xaf", _COMPRESSED),
    (b"\x89HDF", _HDF5),
    (b"GGUF", _GGUF),
    *((bytes((0x80, protocol)), _PICKLE) for protocol in range(2, 6)),
)
_AT_FOUR = ((b"ORTM", _ORT), (b"TFL3", _TFLITE))
"""Flatbuffers have their name after an offset of four bytes."""
_TEXTS = ((b"<!doctype html", _WEB_PAGE), (b"<html", _WEB_PAGE), (b"<?xml", _XML))
_LOOKED_AT = 4096


def other_kind(data: bytes) -> str | None:
    """Return what the data are and the way out; None where they could be anything."""
    for start, text in _BY_START:
        if data.startswith(start):
            return text
    for name, text in _AT_FOUR:
        if data[4:8] == name:
            return text
    begin = data[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((text for start, text in _TEXTS if begin.startswith(start)), None)
