"""ConvNeXt-T: depthwise 7x7, then two pointwise layers with GELU, layer norm instead of batch norm.

Liu et al. 2022, "A ConvNet for the 2020s"; layer names are torchvision's. Its linear layers over
channels are 1x1 convolutions here, which compute the same from the same weights in either layout;
so its permutations, numbers 1 and 6 of a block, are left out: a network does not choose layouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Definition, Images
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Add,
    Convolution,
    Flatten,
    LayerNorm,
    LayerScale,
    Linear,
)

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_STAGES = ((3, 96), (3, 192), (9, 384), (3, 768))  # blocks, channels
_PATCH = 4  # the stem's filter and stride
_EXPANSION = 4  # channels between the two pointwise layers
_EPS = 1e-6


def build(net: Builder) -> None:
    """Add the stem, four stages with a halving before each but the first, and the classifier."""
    for stage, (blocks, channels) in enumerate(_STAGES):
        name = f"features.{2 * stage}"
        if stage == 0:
            net.add(f"{name}.0", _patches(channels, _PATCH))
            net.add(f"{name}.1", LayerNorm(_EPS))
        else:
            net.add(f"{name}.0", LayerNorm(_EPS))
            net.add(f"{name}.1", _patches(channels, 2))
        for block in range(blocks):
            _block(net, f"features.{2 * stage + 1}.{block}", channels)
    net.add("avgpool", AdaptiveAverage(1, 1))
    net.add("classifier.0", LayerNorm(_EPS))
    net.add("classifier.1", Flatten())
    net.add("classifier.2", Linear(1000))


def _patches(channels: int, side: int) -> Convolution:
    return Convolution.square(channels, side, stride=side, pad=0, bias=True)


def _block(net: Builder, name: str, channels: int) -> None:
    begin = net.last
    net.add(f"{name}.block.0", Convolution.square(channels, 7, groups=channels, bias=True))
    net.add(f"{name}.block.2", LayerNorm(_EPS))
    net.add(f"{name}.block.3", Convolution.square(_EXPANSION * channels, 1, bias=True))
    net.add(f"{name}.block.4", Activation("gelu"))
    net.add(f"{name}.block.5", Convolution.square(channels, 1, bias=True))
    net.add(f"{name}.layer_scale", LayerScale())
    net.add(f"{name}.add", Add(), net.last, begin)


NETWORKS = {"convnext-t": Definition(build, Images(least=_PATCH * 2 ** (len(_STAGES) - 1)))}
