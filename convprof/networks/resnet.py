"""ResNet-18 and ResNet-50: the stem, four stages of residual blocks, the classifier.

He et al. 2015, "Deep Residual Learning for Image Recognition". Layer names are torchvision's.
Additions and repeated activations, which have no names there, have the names that its feature
extraction gives.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from convprof.networks import Definition
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Add,
    BatchNorm,
    Convolution,
    Flatten,
    Linear,
    Pool2d,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems.graph import Builder

_STEM = 64
_WIDTHS = (64, 128, 256, 512)  # channels of the 3x3 filters in each stage


def build_resnet(net: Builder, blocks: Sequence[int], *, bottleneck: bool) -> None:
    """Add a ResNet with that many blocks per stage, of two 3x3 filters or of a bottleneck."""
    net.add("conv1", Convolution.square(_STEM, 7, stride=2))
    net.add("bn1", BatchNorm())
    net.add("relu", Activation("relu"))
    net.add("maxpool", Pool2d.square("max", 3, stride=2, pad=1))
    channels = _STEM
    for stage, (count, width) in enumerate(zip(blocks, _WIDTHS, strict=True), 1):
        for block in range(count):
            stride = 2 if stage > 1 and block == 0 else 1
            convs = _bottleneck(width, stride) if bottleneck else _basic(width, stride)
            _residual(net, f"layer{stage}.{block}", convs, channels, stride)
            channels = convs[-1].k
    net.add("avgpool", AdaptiveAverage(1, 1))
    net.add("flatten", Flatten())
    net.add("fc", Linear(1000))


def _basic(width: int, stride: int) -> tuple[Convolution, ...]:
    return Convolution.square(width, 3, stride=stride), Convolution.square(width, 3)


def _bottleneck(width: int, stride: int) -> tuple[Convolution, ...]:
    """1x1 down, 3x3 with the stride (v1.5), 1x1 up to four times the channels."""
    return (
        Convolution.square(width, 1),
        Convolution.square(width, 3, stride=stride),
        Convolution.square(4 * width, 1),
    )


def _residual(
    net: Builder, name: str, convs: Sequence[Convolution], channels: int, stride: int
) -> None:
    """Add the convolutions, and their input to the result: through a 1x1 where shapes differ."""
    begin = net.last
    for index, conv in enumerate(convs, 1):
        net.add(f"{name}.conv{index}", conv)
        net.add(f"{name}.bn{index}", BatchNorm())
        if index < len(convs):
            net.add(f"{name}.relu" + (f"_{index - 1}" if index > 1 else ""), Activation("relu"))
    deep, shortcut = net.last, begin
    if (channels, 1) != (convs[-1].k, stride):
        net.add(f"{name}.downsample.0", Convolution.square(convs[-1].k, 1, stride=stride), begin)
        shortcut = net.add(f"{name}.downsample.1", BatchNorm())
    net.add(f"{name}.add", Add(), deep, shortcut)
    net.add(f"{name}.relu_{len(convs) - 1}", Activation("relu"))


NETWORKS = {
    "resnet18": Definition(partial(build_resnet, blocks=(2, 2, 2, 2), bottleneck=False)),
    "resnet50": Definition(partial(build_resnet, blocks=(3, 4, 6, 3), bottleneck=True)),
}
