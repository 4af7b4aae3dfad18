"""MobileNet v1 (width 1.0): depthwise 3x3 and pointwise 1x1 in turn.

Howard et al. 2017, "MobileNets"; layer names are the Caffe model's, with a dot for its slash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.layer import Layer
from convprof.problems import Conv2d, Gemm

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCKS = (  # name, output channels, stride of the depthwise filter
    ("conv2_1", 64, 1),
    ("conv2_2", 128, 2),
    ("conv3_1", 128, 1),
    ("conv3_2", 256, 2),
    ("conv4_1", 256, 1),
    ("conv4_2", 512, 2),
    *((f"conv5_{i}", 512, 1) for i in range(1, 6)),
    ("conv5_6", 1024, 2),
    ("conv6", 1024, 1),
)


def layers(mb: int = 1, image: int = 224) -> Iterator[Layer]:
    """Yield the 27 convolutions and the classifier; raises ProblemError for impossible sizes."""
    stem = Conv2d(n=mb, c=3, h=image, w=image, k=32, r=3, s=3, stride=(2, 2), pad=(1, 1))
    yield Layer("conv1", stem)
    channels, size = stem.k, stem.p
    for name, out, stride in _BLOCKS:
        depthwise = Conv2d(
            n=mb,
            c=channels,
            h=size,
            w=size,
            k=channels,
            r=3,
            s=3,
            stride=(stride, stride),
            pad=(1, 1),
            groups=channels,
        )
        size = depthwise.p
        yield Layer(f"{name}.dw", depthwise)
        yield Layer(f"{name}.sep", Conv2d(n=mb, c=channels, h=size, w=size, k=out, r=1, s=1))
        channels = out
    yield Layer("fc7", Gemm(m=mb, n=1000, k=channels))
