"""A convolution as the attributes of ONNX's operator Conv."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convprof.problems.conv2d import Conv2d

_DEFAULTS = {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1}


def all_attributes(p: Conv2d) -> dict[str, Any]:
    """Return every attribute that says where the filter reads."""
    return {
        "kernel_shape": [p.r, p.s],
        "strides": list(p.stride),
        "pads": list(p.pads),  # top, left, bottom, right in ONNX too
        "dilations": list(p.dilation),
        "group": p.groups,
    }


def short_attributes(p: Conv2d) -> dict[str, Any]:
    """Return the attributes, those at their defaults left out."""
    return {key: value for key, value in all_attributes(p).items() if value != _DEFAULTS.get(key)}
