"""AlexNet as in torchvision: one column, without the local response normalisation of 2012.

Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks"; layer names are
torchvision's, which counts the dropouts that inference leaves out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Definition, Images
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Convolution,
    Flatten,
    Linear,
    Pool2d,
)

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_FEATURES = (  # channels, filter, stride, padding, whether pooling follows
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)


def build(net: Builder) -> None:
    """Add the 5 convolutions and 3 linear layers, and the layers between them."""
    index = 0
    for channels, side, stride, pad, pooled in _FEATURES:
        conv = Convolution.square(channels, side, stride=stride, pad=pad, bias=True)
        net.add(f"features.{index}", conv)
        net.add(f"features.{index + 1}", Activation("relu"))
        index += 2
        if pooled:
            net.add(f"features.{index}", Pool2d.square("max", 3, stride=2))
            index += 1
    net.add("avgpool", AdaptiveAverage(6, 6))
    net.add("flatten", Flatten())
    for index in (1, 4):
        net.add(f"classifier.{index}", Linear(4096))
        net.add(f"classifier.{index + 1}", Activation("relu"))
    net.add("classifier.6", Linear(1000))


NETWORKS = {"alexnet": Definition(build, Images(least=63))}
