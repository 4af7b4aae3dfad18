"""Convolution, batch norm, activation: the three that nearly every convolutional network repeats.

Named as in torchvision, whose ``Conv2dNormActivation`` numbers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.problems.ops import Activation, BatchNorm

if TYPE_CHECKING:
    from convprof.problems.epilogue import Function
    from convprof.problems.graph import Builder
    from convprof.problems.ops import Convolution


def conv_block(net: Builder, name: str, conv: Convolution, function: Function | None) -> None:
    """Add ``NAME.0`` the convolution, ``NAME.1`` its batch norm, ``NAME.2`` the activation."""
    net.add(f"{name}.0", conv)
    net.add(f"{name}.1", BatchNorm())
    if function is not None:
        net.add(f"{name}.2", Activation(function))
