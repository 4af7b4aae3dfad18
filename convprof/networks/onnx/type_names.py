"""ONNX's names of the element types that a network's activations have in a file."""

from __future__ import annotations

REAL, TRUTH, WHOLE = "FLOAT", "BOOL", "INT64"
WHOLE_TYPES = ("INT64", "INT32")
"""The whole numbers that a network can read: numbers of tokens, positions, masks."""
EXACT = (*WHOLE_TYPES, TRUTH)
