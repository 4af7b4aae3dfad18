"""ViT-B/16: patches of 16x16, 12 blocks of width 768 and 12 heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Images
from convprof.networks.vit import Transformer

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_TRANSFORMER = Transformer(patch=16, width=768, blocks=12, heads=12, mlp=3072)

IMAGES = Images(least=_TRANSFORMER.patch, step=_TRANSFORMER.patch)


def build(net: Builder) -> None:
    """Add the layers."""
    _TRANSFORMER.build(net)
