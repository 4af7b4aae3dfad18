"""LeNet-5 in its modern form: every map of ``conv2`` reads every map below, no trained pooling.

LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", for images of 32x32.
The paper connects some of the maps only, gives its pooling weights and ends in radial basis
functions; the form everyone builds has full connections, ReLU, max pooling and linear layers:
61,706 parameters. Layer names are from PyTorch's tutorial. Another image size changes ``fc1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Definition, Images
from convprof.problems.ops import Activation, Convolution, Flatten, Linear, Pool2d

if TYPE_CHECKING:
    from convprof.problems.graph import Builder


def build(net: Builder) -> None:
    """Add the layers."""
    for index, channels in ((1, 6), (2, 16)):
        net.add(f"conv{index}", Convolution.square(channels, 5, pad=0, bias=True))
        net.add(f"relu{index}", Activation("relu"))
        net.add(f"pool{index}", Pool2d.square("max", 2, stride=2))
    net.add("flatten", Flatten())
    for index, features in ((1, 120), (2, 84)):
        net.add(f"fc{index}", Linear(features))
        net.add(f"relu{index + 2}", Activation("relu"))
    net.add("fc3", Linear(10))


NETWORKS = {"lenet5": Definition(build, Images(published=32, channels=1, least=16))}
