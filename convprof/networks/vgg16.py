"""VGG-16 (configuration D): 3x3 convolutions, halved five times by pooling, three linear layers.

Simonyan & Zisserman 2014, "Very Deep Convolutional Networks"; layer names are torchvision's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.errors import ProblemError
from convprof.networks.layer import Layer
from convprof.problems import Conv2d, Gemm

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels
_SMALLEST = 2 ** len(_STAGES)
_POOLED = 7  # the adaptive pooling makes every image 7x7 before the classifier


def layers(mb: int = 1, image: int = 224) -> Iterator[Layer]:
    """Yield the 13 convolutions and 3 linear layers; raises ProblemError for impossible sizes."""
    if image < _SMALLEST:
        raise ProblemError(
            f"image={image}: must be at least {_SMALLEST}, vgg16 halves it {len(_STAGES)} times"
        )
    channels, size, index = 3, image, 0
    for convolutions, width in _STAGES:
        for _ in range(convolutions):
            conv = Conv2d(n=mb, c=channels, h=size, w=size, k=width, r=3, s=3, pad=(1, 1))
            yield Layer(f"features.{index}", conv)
            channels = width
            index += 2  # a ReLU follows each
        size //= 2
        index += 1  # the pooling
    features = channels * _POOLED**2
    for index, (inputs, outputs) in ((0, (features, 4096)), (3, (4096, 4096)), (6, (4096, 1000))):
        yield Layer(f"classifier.{index}", Gemm(m=mb, n=outputs, k=inputs))
