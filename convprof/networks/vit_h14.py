"""ViT-H/14: patches of 14x14, 32 blocks of width 1280 and 16 heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Images
from convprof.networks.vit import Transformer

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_TRANSFORMER = Transformer(patch=14, width=1280, blocks=32, heads=16, mlp=5120)

IMAGES = Images(least=_TRANSFORMER.patch, step=_TRANSFORMER.patch)


def build(net: Builder) -> None:
    """Add the layers."""
    _TRANSFORMER.build(net)
