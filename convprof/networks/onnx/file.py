"""From a path to a parsed model, or one clear line. Data outside the file are never opened."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from convprof import units
from convprof.errors import InputError
from convprof.networks.onnx.other_files import other_kind
from convprof.networks.onnx.package import decode_error, onnx_package

if TYPE_CHECKING:
    import onnx

LARGEST_FILE = 2**31 - 1
"""Bytes; what a protobuf message can hold."""


def read_model(path: Path) -> onnx.ModelProto:
    """Return the model in a file; InputError when it is none, too large or cannot be read."""
    package = onnx_package()
    data = _bytes(path)
    if not data:
        raise InputError("the file is empty")
    other = other_kind(data)
    if other is not None:
        raise InputError(other)
    try:
        model: onnx.ModelProto = package.load_model_from_string(data)
    except (decode_error(), ValueError, RuntimeError, RecursionError):
        raise InputError("this is no ONNX model, or it is damaged or truncated") from None
    if not model.HasField("graph") or not model.graph.node:
        raise InputError("this is no ONNX model: it holds no graph with nodes")
    return model


def _bytes(path: Path) -> bytes:
    """Return what a regular file holds, if it is no longer than a message can be."""
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise InputError("this is a directory; name an ONNX file")
        if not stat.S_ISREG(facts.st_mode):
            raise InputError("this is no regular file; name an ONNX file")
        if facts.st_size > LARGEST_FILE:
            raise InputError(
                f"the file has {units.size(facts.st_size)}; an ONNX model has less than 2 GiB, "
                "with larger weights in files of their own"
            )
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror or error}") from None
    except ValueError:  # a null byte in the path
        raise InputError("this cannot be a file's name") from None
