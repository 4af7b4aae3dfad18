"""Vision Transformers: patches as tokens, transformer blocks, one linear head.

Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", as in torchvision: layer norm before each
half of a block, exact GELU, the head reads the class token alone. Layer names follow torchvision's,
with ``qk``, ``softmax`` and ``pv`` for attention's two batched products and what is between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convprof.networks import Definition, Images
from convprof.problems.ops import (
    Activation,
    Add,
    AttentionMix,
    AttentionScores,
    ClassToken,
    Convolution,
    LayerNorm,
    Linear,
    PositionEmbedding,
    SelectToken,
    Softmax,
    Tokens,
)

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_EPS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """The sizes in which the variants differ (table 1 of the paper)."""

    patch: int
    width: int
    blocks: int
    heads: int
    mlp: int

    def build(self, net: Builder) -> None:
        """Add the patch projection, the blocks and the head."""
        patches = Convolution.square(self.width, self.patch, stride=self.patch, pad=0, bias=True)
        net.add("conv_proj", patches)
        net.add("tokens", Tokens())
        net.add("class_token", ClassToken())
        net.add("encoder.pos_embedding", PositionEmbedding())
        for block in range(self.blocks):
            self._block(net, f"encoder.layers.{block}")
        net.add("encoder.ln", LayerNorm(_EPS))
        net.add("select_token", SelectToken(0))
        net.add("heads.head", Linear(1000))

    def _block(self, net: Builder, name: str) -> None:
        begin = net.last
        net.add(f"{name}.ln_1", LayerNorm(_EPS))
        self._attention(net, f"{name}.self_attention")
        middle = net.add(f"{name}.add", Add(), net.last, begin)
        net.add(f"{name}.ln_2", LayerNorm(_EPS))
        net.add(f"{name}.mlp.0", Linear(self.mlp))
        net.add(f"{name}.mlp.1", Activation("gelu"))
        net.add(f"{name}.mlp.3", Linear(self.width))  # 2 and 4 are dropouts
        net.add(f"{name}.add_1", Add(), middle, net.last)

    def _attention(self, net: Builder, name: str) -> None:
        packed = net.add(f"{name}.in_proj", Linear(3 * self.width))
        net.add(f"{name}.qk", AttentionScores(self.heads))
        net.add(f"{name}.softmax", Softmax())
        net.add(f"{name}.pv", AttentionMix(self.heads), net.last, packed)
        net.add(f"{name}.out_proj", Linear(self.width))


def _definition(transformer: Transformer) -> Definition:
    return Definition(transformer.build, Images(least=transformer.patch, step=transformer.patch))


NETWORKS = {
    "vit-b16": _definition(Transformer(patch=16, width=768, blocks=12, heads=12, mlp=3072)),
    "vit-l16": _definition(Transformer(patch=16, width=1024, blocks=24, heads=16, mlp=4096)),
    "vit-h14": _definition(Transformer(patch=14, width=1280, blocks=32, heads=16, mlp=5120)),
}
