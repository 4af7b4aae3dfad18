"""The numbers that bytes mean: scales and zero points of activations, and weights as bytes.

Activations are u8 with a zero point, weights s8 with a scale per output channel, biases s32 (Jacob
et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Array = np.ndarray[Any, Any]

MOST_BYTE, MOST_WEIGHT = 255, 127
LEAST_SCALE = 1e-30
"""Instead of the scale of an activation, or of weights, that are all 0."""
LARGEST_ROUNDING = 0.01
"""Distance of a stored weight from a whole number of its scale: f32 has 24 bits, a byte has 8."""
MOST_BIAS = 2**30
"""The largest bias among sums in s32; the other half of the range is for the products."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The number that a byte means: ``(byte - zero) * scale``."""

    scale: float
    zero: int

    @classmethod
    def of(cls, array: Array) -> Scale:
        """Return the scale that covers all numbers, and 0."""
        least, most = min(0.0, float(array.min())), max(0.0, float(array.max()))
        scale = float(np.float32(max((most - least) / MOST_BYTE, LEAST_SCALE)))
        return cls(scale, round(-least / scale))

    def rounded(self, array: Array) -> Array:
        """Return the numbers of the bytes of an activation, in float64."""
        whole = np.clip(np.rint(array / self.scale) + self.zero, 0, MOST_BYTE)
        numbers: Array = (whole - self.zero) * self.scale
        return numbers

    def of_channel(self, channel: int) -> float:  # noqa: ARG002
        """Return the scale of a channel of the last axis: one scale for all of them."""
        return self.scale

    @property
    def factors(self) -> Array:
        """The operand of a conversion."""
        return np.array([self.scale, self.zero], np.float32)


@dataclass(frozen=True, slots=True)
class ChannelScales(Scale):
    """A result in s8 without a zero point, ``byte * of_channels[c]`` on the last axis.

    ``scale`` and ``zero`` are of the same result in u8, for programs that know no other.
    """

    of_channels: Array
    """One for each channel, in float64."""

    @classmethod
    def of_parts(cls, array: Array, parts: Sequence[Array]) -> ChannelScales:
        """Return scales that cover all numbers: one for the channels of each part."""
        whole = Scale.of(array)
        scales = np.full(array.shape[-1], whole.scale)
        for channels in parts:
            most = float(np.abs(array[..., channels]).max(initial=0.0))
            scales[channels] = np.float32(max(most / MOST_WEIGHT, LEAST_SCALE))
        return cls(whole.scale, whole.zero, scales)

    def of_channel(self, channel: int) -> float:
        """Return the scale of a channel of the last axis."""
        return float(self.of_channels[channel])

    def raised(self, channels: Array, least: float) -> ChannelScales:
        """Return the scales, of some channels ``least`` or larger."""
        scales = self.of_channels.copy()
        scales[channels] = np.maximum(scales[channels], np.float32(least))
        return replace(self, of_channels=scales)


@dataclass(frozen=True, slots=True)
class ByteWeights:
    """The weights of a layer in whole numbers."""

    weights: Array
    """s8, in the shape of the layer's filter or matrix."""
    scales: Array
    """One per output channel, in float64."""
    axis: int
    """The axis of the output channels."""
    bias: Array | None
    """s32, in units of ``bias_scales``."""
    bias_scales: Array

    @classmethod
    def of(cls, weights: Array, axis: int, bias: Array | None, source: Scale) -> ByteWeights:
        """Round weights and a bias in f64; ``source`` is the scale of what the layer reads.

        Tiny weights have larger steps: their bias is a whole number of these steps, in 32 bits.
        """
        others = tuple(i for i in range(weights.ndim) if i != axis)
        scales = np.maximum(np.abs(weights).max(axis=others) / MOST_WEIGHT, LEAST_SCALE)
        if bias is not None:
            scales = np.maximum(scales, np.abs(bias) / (source.scale * MOST_BIAS))
        return cls._rounded(weights, scales, axis, bias, source)

    @classmethod
    def stored(
        cls, weights: Array, axis: int, bias: Array | None, source: Scale, scales: Array
    ) -> ByteWeights:
        """Return the whole numbers that a file stores; ProblemError where they are no bytes.

        ``scales``: one for all weights, or one per output channel.
        """
        channels = weights.shape[axis]
        if scales.size not in (1, channels) or not (scales > 0).all():
            raise ProblemError("the weights have scales of another axis or of blocks")
        wide = np.broadcast_to(scales, (channels,))
        others = tuple(i for i in range(weights.ndim) if i != axis)
        steps = weights / np.expand_dims(wide, others)
        whole = np.rint(steps)
        if np.abs(steps - whole).max() > LARGEST_ROUNDING:
            raise ProblemError("the weights are not whole numbers times their scale")
        if whole.min() < -MOST_WEIGHT - 1 or whole.max() > MOST_WEIGHT:
            raise ProblemError("the weights have a zero point, and are not signed bytes without it")
        if bias is not None and np.abs(bias / (source.scale * wide)).max() > MOST_BIAS:
            raise ProblemError("the bias does not fit 32 bits")
        return cls._rounded(weights, wide, axis, bias, source)

    @classmethod
    def _rounded(
        cls, weights: Array, scales: Array, axis: int, bias: Array | None, source: Scale
    ) -> ByteWeights:
        others = tuple(i for i in range(weights.ndim) if i != axis)
        whole = np.rint(weights / np.expand_dims(scales, others)).astype(np.int8)
        steps = source.scale * scales
        rounded = None if bias is None else np.rint(bias / steps).astype(np.int32)
        return cls(whole, scales, axis, rounded, steps)


@dataclass(frozen=True, slots=True)
class Quantisation:
    """Which activations and layers of a network are bytes, and the numbers that the bytes mean."""

    scales: Mapping[str, Scale]
    """Of every activation that is read or written as bytes, by name of the result."""
    written: frozenset[str]
    """The results that are written as bytes; other results are f32."""
    readers: frozenset[str]
    """The nodes that read bytes."""
    summed: frozenset[str]
    """The layers whose result is added to another one before it becomes bytes, if their own result
    has a scale."""
    layers: Mapping[str, ByteWeights]
    """By name of the node with the weights."""


@dataclass(frozen=True, slots=True)
class FileScales:
    """The scales that a file has, by the names of the network that was read from the file."""

    activations: Mapping[str, Scale]
    """By name of the result."""
    weights: Mapping[str, Array]
    """By name of the layer: one number, or one per output channel, in float64."""
