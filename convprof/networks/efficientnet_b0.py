"""EfficientNet-B0: inverted residuals with squeeze-and-excitation.

Tan & Le 2019, "EfficientNet: Rethinking Model Scaling"; layer names are torchvision's; functions
have the names that its feature extraction gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Definition
from convprof.networks.conv_block import conv_block
from convprof.problems.ops import (
    Activation,
    AdaptiveAverage,
    Add,
    Convolution,
    Flatten,
    Linear,
    Multiply,
)

if TYPE_CHECKING:
    from convprof.problems.graph import Builder

_STEM, _HEAD = 32, 1280
_SQUEEZE = 4  # the gate's hidden channels are a quarter of the block's input channels
_STAGES = (  # expansion, filter, stride of the first, output channels, blocks: table 1
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def build(net: Builder) -> None:
    """Add the 49 convolutions, the 16 gates and the classifier, and the layers between them."""
    conv_block(net, "features.0", Convolution.square(_STEM, 3, stride=2), "silu")
    channels = _STEM
    for stage, (expansion, side, first, out, blocks) in enumerate(_STAGES, 1):
        for block in range(blocks):
            depthwise = Convolution.square(
                channels * expansion,
                side,
                stride=first if block == 0 else 1,
                groups=channels * expansion,
            )
            _inverted(net, f"features.{stage}.{block}", channels, depthwise, out)
            channels = out
    conv_block(net, f"features.{len(_STAGES) + 1}", Convolution.square(_HEAD, 1), "silu")
    net.add("avgpool", AdaptiveAverage(1, 1))
    net.add("flatten", Flatten())
    net.add("classifier.1", Linear(1000))


def _inverted(net: Builder, name: str, channels: int, depthwise: Convolution, out: int) -> None:
    """Add 1x1 up (unless as wide already), depthwise, gate, 1x1 down without activation."""
    begin, index = net.last, 0
    if depthwise.k != channels:
        conv_block(net, f"{name}.block.0", Convolution.square(depthwise.k, 1), "silu")
        index = 1
    conv_block(net, f"{name}.block.{index}", depthwise, "silu")
    _gate(net, f"{name}.block.{index + 1}", depthwise.k, max(1, channels // _SQUEEZE))
    conv_block(net, f"{name}.block.{index + 2}", Convolution.square(out, 1), None)
    if depthwise.stride == (1, 1) and channels == out:
        net.add(f"{name}.add", Add(), net.last, begin)


def _gate(net: Builder, name: str, channels: int, hidden: int) -> None:
    """Add squeeze-and-excitation (Hu et al. 2017): a factor per channel, from all the means."""
    image = net.last
    net.add(f"{name}.avgpool", AdaptiveAverage(1, 1))
    net.add(f"{name}.fc1", Convolution.square(hidden, 1, bias=True))
    net.add(f"{name}.activation", Activation("silu"))
    net.add(f"{name}.fc2", Convolution.square(channels, 1, bias=True))
    net.add(f"{name}.scale_activation", Activation("sigmoid"))
    net.add(f"{name}.mul", Multiply(), net.last, image)


NETWORKS = {"efficientnet-b0": Definition(build)}
