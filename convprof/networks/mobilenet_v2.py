"""MobileNet v2 (width 1.0): inverted residuals, narrow between blocks and wide within.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; layer names are
torchvision's; functions have the names that its feature extraction gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Definition
from convprof.networks.conv_block import conv_block
from convprof.problems.ops import (
    AdaptiveAverage,
    Add,
    BatchNorm,
    Convolution,
    Flatten,
    Linear,
)

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_STEM, _HEAD = 32, 1280
_STAGES = (  # expansion, output channels, blocks, stride of the first: table 2 of the paper
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def build(net: Builder) -> None:
    """Add the 52 convolutions and the classifier, and the layers between them."""
    conv_block(net, "features.0", Convolution.square(_STEM, 3, stride=2), "relu6")
    channels, index = _STEM, 1
    for expansion, out, blocks, first in _STAGES:
        for block in range(blocks):
            wide = channels * expansion
            stride = first if block == 0 else 1
            depthwise = Convolution.square(wide, 3, stride=stride, groups=wide)
            _inverted(net, f"features.{index}", channels, depthwise, out)
            channels, index = out, index + 1
    conv_block(net, f"features.{index}", Convolution.square(_HEAD, 1), "relu6")
    net.add("adaptive_avg_pool2d", AdaptiveAverage(1, 1))
    net.add("flatten", Flatten())
    net.add("classifier.1", Linear(1000))


def _inverted(net: Builder, name: str, channels: int, depthwise: Convolution, out: int) -> None:
    """Add 1x1 up (unless as wide already), depthwise, 1x1 down without activation."""
    begin, index = net.last, 0
    if depthwise.k != channels:
        conv_block(net, f"{name}.conv.0", Convolution.square(depthwise.k, 1), "relu6")
        index = 1
    conv_block(net, f"{name}.conv.{index}", depthwise, "relu6")
    net.add(f"{name}.conv.{index + 1}", Convolution.square(out, 1))
    net.add(f"{name}.conv.{index + 2}", BatchNorm())
    if depthwise.stride == (1, 1) and channels == out:
        net.add(f"{name}.add", Add(), begin, net.last)


NETWORKS = {"mobilenet-v2": Definition(build)}
