"""ViT-L/16: patches of 16x16, 24 blocks of width 1024 and 16 heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Images
from convprof.networks.vit import Transformer

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_TRANSFORMER = Transformer(patch=16, width=1024, blocks=24, heads=16, mlp=4096)

IMAGES = Images(least=_TRANSFORMER.patch, step=_TRANSFORMER.patch)


def build(net: Builder) -> None:
    """Add the layers."""
    _TRANSFORMER.build(net)
