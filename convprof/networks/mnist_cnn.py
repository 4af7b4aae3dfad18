"""The convolutional network for MNIST that textbooks and tutorials begin with.

Two 5x5 convolutions that keep the image's size, each with ReLU and 2x2 pooling, then 1,024
features and 10 digits; 3,274,634 parameters, as in TensorFlow's "Deep MNIST" tutorial. Layer names
follow what each layer is, since the sources differ. An image of another size changes ``fc1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks import Definition, Images
from convprof.problems.ops import Activation, Convolution, Flatten, Linear, Pool2d

if TYPE_CHECKING:
    from convprof.problems.graph import Builder


def build(net: Builder) -> None:
    """Add the layers."""
    for index, channels in ((1, 32), (2, 64)):
        net.add(f"conv{index}", Convolution.square(channels, 5, bias=True))
        net.add(f"relu{index}", Activation("relu"))
        net.add(f"pool{index}", Pool2d.square("max", 2, stride=2))
    net.add("flatten", Flatten())
    net.add("fc1", Linear(1024))
    net.add("relu3", Activation("relu"))
    net.add("fc2", Linear(10))


NETWORKS = {"mnist-cnn": Definition(build, Images(published=28, channels=1, least=4))}
