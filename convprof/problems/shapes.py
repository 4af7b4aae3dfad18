"""Shapes of the tensors of a network, and where their channels are."""

from __future__ import annotations

from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]
"""Logical sizes, whatever the layout: images (n, c, h, w), tokens (n, t, c), features (n, c)."""

IMAGE_AXES = 4


def shape_text(shape: Shape) -> str:
    """Return ``1x64x56x56``."""
    return "x".join(map(str, shape)) or "a single number"


def channel_axis(shape: Shape) -> int:
    """Return where a shape has its channels: axis 1 of an image, else the last."""
    return 1 if len(shape) == IMAGE_AXES else len(shape) - 1


def channels(shape: Shape) -> int:
    """Return how many channels a shape has."""
    return shape[channel_axis(shape)]
