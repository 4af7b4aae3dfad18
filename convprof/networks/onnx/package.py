"""The package ``onnx``, imported late: it is an extra."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError

if TYPE_CHECKING:
    from types import ModuleType


def onnx_package() -> ModuleType:
    """Return the package; InputError with the way to install it where it is absent."""
    try:
        package = importlib.import_module("onnx")
        for part in ("helper", "numpy_helper", "reference", "shape_inference", "version_converter"):
            importlib.import_module(f"onnx.{part}")
    except ImportError:
        raise InputError("ONNX files need the package onnx: pip install 'convprof[onnx]'") from None
    return package


def decode_error() -> type[Exception]:
    """Return what the parser of the file format raises for a message that it cannot read."""
    error: Any = importlib.import_module("google.protobuf.message").DecodeError
    kind: type[Exception] = error
    return kind
