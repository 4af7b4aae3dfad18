"""Networks in int8: which layers compute in bytes, and the numbers that they need for it.

Scales and zero points come from a calibration: the least and the largest number of every activation
for one input, so the same input gives the same scales. Activations are u8 with a zero point,
weights s8 with a scale per output channel. Products with constant weights compute in bytes, with
their bias, sum and ReLU; all other layers compute in f32, between conversions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.dtypes import F32
from convprof.problems.graph import INPUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.networks.steps import Step
    from convprof.problems import Conv2d, Gemm, Operation
    from convprof.problems.graph import Network
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]
    Weights = Mapping[str, Mapping[str, Array]]
    AnyProblem = Conv2d | Gemm | Operation

BYTES, WHOLE, ACTIVATION = "u8:s8:u8", "f32", "u8"
"""Types of a layer in bytes, and of one in f32; the type of an activation in bytes."""
MOST_BYTE, MOST_WEIGHT = 255, 127
LEAST_SCALE = 1e-30
"""Instead of the scale of an activation, or of weights, that are all 0."""
CLIPPED = frozenset({"relu", "relu6"})
"""Functions that are ReLU in bytes: the largest number of the calibration limits the result."""
MOST_BIAS = 2**30
"""The largest bias among sums in s32; the other half of the range is for the products."""


def is_quantised(setting: Setting) -> bool:
    """Whether a network of that setting computes in bytes where it can."""
    return setting.types.accumulator.is_exact


def layer_dtypes(steps: Sequence[Step], setting: Setting) -> list[str]:
    """Return the types of each layer; empty for the chain's own.

    A layer that only selects or moves elements has bytes where it reads bytes.
    """
    if not is_quantised(setting):
        return [""] * len(steps)
    in_memory: dict[str, str] = {}
    found = []
    for step in steps:
        op = step.problem.op
        keeps = op is not None and op.keeps_bytes and len(step.reads) == 1
        dtype = _computed(step.problem)
        if keeps and in_memory.get(step.reads[0]) in {BYTES, ACTIVATION}:
            dtype = ACTIVATION
        in_memory[step.writes] = dtype
        found.append(dtype)
    return found


def _computed(problem: AnyProblem) -> str:
    """Return the types of a layer that computes."""
    ends = problem.epilogue
    limited = ends.function is None or ends.function in CLIPPED
    # Layer norms would enlarge the errors of a residual stream in bytes: it stays in f32.
    product = problem.kind == "gemm" and not ends.add
    return BYTES if limited and (product or problem.kind == "conv2d") else WHOLE


def in_bytes(problem: AnyProblem, dtype: str) -> AnyProblem:
    """Return the problem that a layer in bytes computes instead."""
    if dtype != BYTES or problem.epilogue.function is None:
        return problem
    return problem.with_epilogue(replace(problem.epilogue, function="relu"))


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

    @property
    def factors(self) -> Array:
        """The operand of a conversion."""
        return np.array([self.scale, self.zero], np.float32)


class Activations:
    """The scales of a network's activations, computed once for all chains with equal operands."""

    def __init__(self, network: Network) -> None:
        """``network`` is what is computed: with folded batch norms."""
        self._network = network
        self._x: Array = np.empty(0)
        self._weights: dict[tuple[str, str], Array] = {}
        """The arrays themselves: while they exist, no other array has their ``id``."""
        self._scales: Mapping[str, Scale] = {}

    def scales(self, x: Array, weights: Weights, own: Weights) -> Mapping[str, Scale]:
        """Return the scales by name of the result, from the float64 results for ``x``.

        ``own`` has the weights of the network itself, which are made from ``weights``. The scales
        of the last input and the last arrays of ``weights`` are remembered.
        """
        arrays = {
            (node, name): array
            for node, tensors in weights.items()
            for name, array in tensors.items()
        }
        if not self._scales or not self._has(arrays) or not np.array_equal(x, self._x):
            results = self._network.results(x, own)
            self._scales = {INPUT: Scale.of(x)} | {
                node.name: Scale.of(result) for node, result in results
            }
            self._x, self._weights = x.copy(), arrays
        return self._scales

    def _has(self, arrays: Mapping[tuple[str, str], Array]) -> bool:
        same = all(self._weights.get(place) is array for place, array in arrays.items())
        return same and len(arrays) == len(self._weights)


@dataclass(frozen=True)
class Calibration:
    """The way from an input to the scale of every result of a chain."""

    activations: Activations
    keeping: tuple[Step, ...] = ()
    """Steps that select or move bytes: their results have the scale of what they read."""

    def scales(self, x: Array, weights: Weights, own: Weights) -> dict[str, Scale]:
        """Return the scales by name of the result; the arguments are as for ``Activations``."""
        scales = dict(self.activations.scales(x, weights, own))
        for step in self.keeping:
            scales[step.writes] = scales[step.reads[0]]
        return scales


def constants(step: Step, own: Mapping[str, Array], scales: Mapping[str, Scale]) -> list[Array]:
    """Return the constant operands of a layer in bytes, in the order of its problem."""
    source, result = scales[step.reads[0]], scales[step.writes]
    axis = {"conv2d": 0, "gemm": 1}[step.problem.kind]
    weights = own["weight"].astype(np.float64)
    weights = weights.reshape(step.problem.operands("nchw", F32)[1].shape)
    others = tuple(i for i in range(weights.ndim) if i != axis)
    of_channels = np.maximum(np.abs(weights).max(axis=others) / MOST_WEIGHT, LEAST_SCALE)
    ends = step.problem.epilogue
    if ends.bias:
        bias = own["bias"].astype(np.float64)
        # Tiny weights have larger steps: their bias is a whole number of these steps, in 32 bits.
        of_channels = np.maximum(of_channels, np.abs(bias) / (source.scale * MOST_BIAS))
    operands = [np.rint(weights / np.expand_dims(of_channels, others)).astype(np.int8)]
    if ends.bias:
        operands.append(np.rint(bias / (source.scale * of_channels)).astype(np.int32))
    operands.append((source.scale * of_channels / result.scale).astype(np.float32))
    residual = scales[step.reads[1]] if ends.add else Scale(1.0, 0)
    operands.append(np.array([source.zero, residual.zero, result.zero], np.int32))
    if ends.add:
        operands.append(np.array([residual.scale / result.scale], np.float32))
    return operands
