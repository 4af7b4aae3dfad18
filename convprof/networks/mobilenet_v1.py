"""MobileNet v1 (width 1.0): depthwise 3x3 and pointwise 1x1 in turn.

Howard et al. 2017, "MobileNets"; layer names are the Caffe model's, with a dot for its slash, and
``bn`` and ``relu`` after each convolution's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Definition
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    BatchNorm,
    Convolution,
    Flatten,
    Linear,
)

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_STEM = 32
_BLOCKS = (  # name, output channels, stride of the depthwise filter
    ("conv2_1", 64, 1),
    ("conv2_2", 128, 2),
    ("conv3_1", 128, 1),
    ("conv3_2", 256, 2),
    ("conv4_1", 256, 1),
    ("conv4_2", 512, 2),
    *((f"conv5_{i}", 512, 1) for i in range(1, 6)),
    ("conv5_6", 1024, 2),
    ("conv6", 1024, 1),
)


def build(net: Builder) -> None:
    """Add the 27 convolutions and the classifier, and the layers between them."""
    _unit(net, "conv1", Convolution.square(_STEM, 3, stride=2))
    channels = _STEM
    for name, out, stride in _BLOCKS:
        depthwise = Convolution.square(channels, 3, stride=stride, groups=channels)
        _unit(net, f"{name}.dw", depthwise)
        _unit(net, f"{name}.sep", Convolution.square(out, 1))
        channels = out
    net.add("pool6", AdaptiveAverage(1, 1))
    net.add("flatten", Flatten())
    net.add("fc7", Linear(1000))


def _unit(net: Builder, name: str, conv: Convolution) -> None:
    net.add(name, conv)
    net.add(f"{name}.bn", BatchNorm())
    net.add(f"{name}.relu", Activation("relu"))


NETWORKS = {"mobilenet-v1": Definition(build)}
