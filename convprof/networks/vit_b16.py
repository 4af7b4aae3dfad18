"""ViT-B/16: patches of 16x16 as tokens, then 12 transformer blocks of width 768 and 12 heads.

Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words"; layer names follow torchvision's, with
``qk`` and ``pv`` for attention's two batched products, which have no weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import ProblemError
from convprof.networks.layer import Layer
from convprof.problems import Conv2d, Gemm

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATCH = 16
_WIDTH = 768
_HEADS = 12
_MLP = 3072
_BLOCKS = 12


def layers(mb: int = 1, image: int = 224) -> Iterator[Layer]:
    """Yield the patch projection, 6 products per block and the head.

    Raises ProblemError when the image is no whole number of patches.
    """
    if image < _PATCH or image % _PATCH:
        raise ProblemError(f"image={image}: must be a multiple of {_PATCH}, the patch of vit-b16")
    patches = Conv2d(
        n=mb, c=3, h=image, w=image, k=_WIDTH, r=_PATCH, s=_PATCH, stride=(_PATCH, _PATCH)
    )
    yield Layer("conv_proj", patches)
    tokens = patches.p * patches.q + 1  # one class token
    for block in range(_BLOCKS):
        yield from _block(f"encoder.layers.{block}", mb, tokens)
    yield Layer("heads.head", Gemm(m=mb, n=1000, k=_WIDTH))  # reads the class token alone


def _block(name: str, mb: int, tokens: int) -> Iterator[Layer]:
    rows, pairs, depth = mb * tokens, mb * _HEADS, _WIDTH // _HEADS
    attention = f"{name}.self_attention"
    yield Layer(f"{attention}.in_proj", Gemm(m=rows, n=3 * _WIDTH, k=_WIDTH))
    yield Layer(f"{attention}.qk", Gemm(m=tokens, n=tokens, k=depth, batch=pairs))
    yield Layer(f"{attention}.pv", Gemm(m=tokens, n=depth, k=tokens, batch=pairs))
    yield Layer(f"{attention}.out_proj", Gemm(m=rows, n=_WIDTH, k=_WIDTH))
    yield Layer(f"{name}.mlp.0", Gemm(m=rows, n=_MLP, k=_WIDTH))
    yield Layer(f"{name}.mlp.3", Gemm(m=rows, n=_WIDTH, k=_MLP))
