"""ResNet-50 as in torchvision: the stride of a stage sits on its first 3x3 (v1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Images
from convprof.networks.resnet import build_resnet

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

IMAGES = Images()


def build(net: Builder) -> None:
    """Add the 53 convolutions and the classifier with what lies between them."""
    build_resnet(net, (3, 4, 6, 3), bottleneck=True)
