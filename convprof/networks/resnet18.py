"""ResNet-18 as in torchvision: blocks of two 3x3 convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Images
from convprof.networks.resnet import build_resnet

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

IMAGES = Images()


def build(net: Builder) -> None:
    """Add the 20 convolutions and the classifier with what lies between them."""
    build_resnet(net, (2, 2, 2, 2), bottleneck=False)
