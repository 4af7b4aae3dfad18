"""ResNet-50 as in torchvision: the stride of a stage sits on its first 3x3 (v1.5).

He et al. 2015, "Deep Residual Learning for Image Recognition"; layer names are torchvision's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.layer import Layer
from convprof.problems import Conv2d, Gemm

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # blocks, channels of their 3x3 filters
_EXPANSION = 4  # a block's output has four times the channels of its 3x3 filter


def layers(mb: int = 1, image: int = 224) -> Iterator[Layer]:
    """Yield the 53 convolutions and the classifier; raises ProblemError for impossible sizes."""
    stem = Conv2d(n=mb, c=3, h=image, w=image, k=64, r=7, s=7, stride=(2, 2), pad=(3, 3))
    yield Layer("conv1", stem)
    channels, size = stem.k, (stem.p - 1) // 2 + 1  # max pooling 3x3, stride 2, padding 1
    for stage, (blocks, width) in enumerate(_STAGES, 1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            yield from _bottleneck(
                f"layer{stage}.{block}",
                mb,
                channels=channels,
                size=size,
                width=width,
                stride=stride,
            )
            channels, size = width * _EXPANSION, (size - 1) // stride + 1
    yield Layer("fc", Gemm(m=mb, n=1000, k=channels))


def _bottleneck(
    name: str, mb: int, *, channels: int, size: int, width: int, stride: int
) -> Iterator[Layer]:
    """1x1 down, 3x3, 1x1 up; a 1x1 beside them where the shape of the shortcut must change."""
    out = width * _EXPANSION
    reduce = Conv2d(n=mb, c=channels, h=size, w=size, k=width, r=1, s=1)
    middle = Conv2d(
        n=mb, c=width, h=size, w=size, k=width, r=3, s=3, stride=(stride, stride), pad=(1, 1)
    )
    yield Layer(f"{name}.conv1", reduce)
    yield Layer(f"{name}.conv2", middle)
    yield Layer(f"{name}.conv3", Conv2d(n=mb, c=width, h=middle.p, w=middle.q, k=out, r=1, s=1))
    if channels != out:
        shortcut = Conv2d(
            n=mb, c=channels, h=size, w=size, k=out, r=1, s=1, stride=(stride, stride)
        )
        yield Layer(f"{name}.downsample.0", shortcut)
