"""VGG-16 (configuration D): 3x3 convolutions, halved five times by pooling, three linear layers.

Simonyan & Zisserman 2014, "Very Deep Convolutional Networks"; layer names are torchvision's.
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

_STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels


def build(net: Builder) -> None:
    """Add the 13 convolutions and 3 linear layers, and the layers between them."""
    index = 0
    for convolutions, channels in _STAGES:
        for _ in range(convolutions):
            net.add(f"features.{index}", Convolution.square(channels, 3, bias=True))
            net.add(f"features.{index + 1}", Activation("relu"))
            index += 2
        net.add(f"features.{index}", Pool2d.square("max", 2, stride=2))
        index += 1
    net.add("avgpool", AdaptiveAverage(7, 7))  # for any image size: the classifier needs it
    net.add("flatten", Flatten())
    for index in (0, 3):  # torchvision counts the dropouts that inference leaves out
        net.add(f"classifier.{index}", Linear(4096))
        net.add(f"classifier.{index + 1}", Activation("relu"))
    net.add("classifier.6", Linear(1000))


NETWORKS = {"vgg16": Definition(build, Images(least=2 ** len(_STAGES)))}
