"""ONNX files as networks: structure and shapes are read, weights when they are asked for.

The package ``onnx`` (extra ``onnx``) is imported when a file is loaded, and only then.
"""

from __future__ import annotations

from convprof.networks.onnx.load import Imported, load

__all__ = ["Imported", "load"]
