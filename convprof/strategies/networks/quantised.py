"""Networks in int8: which layers compute in bytes, and the numbers that they need for it.

Scales and zero points come from a calibration: the least and the largest number of every activation
for one input, so the same input gives the same scales; or from a file (``file_scales``).
Activations are u8 with a zero point, weights s8 with a scale per output channel. Products with
constant weights multiply bytes. With their bias, sum and ReLU they give bytes; where another
function or a residual stream follows, they give f32. Attention reads s8 without a zero point, as a
projection before it writes them: queries, keys and values have a scale each. All other layers
compute in f32, between conversions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from convprof.dtypes import F32, types
from convprof.problems import Operation
from convprof.problems.attention_bytes import LEAST_UNIT
from convprof.problems.graph import INPUT
from convprof.problems.quantisation import ByteWeights, ChannelScales, Quantisation, Scale
from convprof.problems.requantisation import OUTPUT_AXES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convprof.networks.steps import Step
    from convprof.problems import Conv2d, Gemm
    from convprof.problems.graph import Network
    from convprof.problems.ops.byte_attention import ByteAttention
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]
    Weights = Mapping[str, Mapping[str, Array]]
    AnyProblem = Conv2d | Gemm | Operation

BYTES, FROM_BYTES, WHOLE, ACTIVATION = "u8:s8:u8", "u8:s8:f32", "f32", "u8"
"""Types of a layer in bytes, of one that only reads bytes, and of one in f32; the type of an
activation in bytes."""
SIGNED, ATTENTION = "u8:s8:s8", "s8:s8:u8"
"""Types of a projection that attention in bytes reads, and of that attention."""
CLIPPED = frozenset({"relu", "relu6"})
"""Functions that are ReLU in bytes: the largest number of the calibration limits the result."""


def is_quantised(setting: Setting) -> bool:
    """Whether a network of that setting computes in bytes where it can."""
    return setting.types.accumulator.is_exact


def layer_dtypes(steps: Sequence[Step], known: Scales) -> list[str]:
    """Return the types of each layer of a network in int8.

    A layer that only selects or moves elements has bytes where it reads bytes.
    """
    in_memory: dict[str, str] = {}
    dtypes = []
    for step in steps:
        dtype = known.dtype(step)
        if keeps_bytes(step) and in_memory.get(step.reads[0]):
            dtype = ACTIVATION
        in_memory[step.writes] = written(dtype)
        dtypes.append(dtype)
    return dtypes


def written(dtype: str) -> str:
    """Return the type of the result of a layer of some types; empty for f32."""
    return _in_bytes(dtype.rpartition(":")[2])


def source_of(dtype: str) -> str:
    """Return f32 if layers of these types read f32 in a chain of any type; else empty."""
    return WHOLE if dtype.partition(":")[0] == WHOLE else ""


def changes_type(dtype: str) -> bool:
    """Whether layers of some types read f32 and give shorter floats."""
    return dtype.startswith(f"{WHOLE}:")


def read(step: Step, dtype: str) -> list[str]:
    """Return the types of the activations that a layer of some types reads; empty for f32."""
    first, count = _in_bytes(dtype.partition(":")[0]), len(step.reads)
    if dtype == ATTENTION:  # a mask is f32
        own = 1 + max(number for number, _ in channels_of(step))
        return [*[first] * own, *[""] * (count - own)]
    return [first, *[written(dtype)] * (count - 1)]


def _in_bytes(name: str) -> str:
    """Return the name of a type of bytes; empty for other types."""
    return name if name in {"u8", "s8"} else ""


def attended(steps: Sequence[Step]) -> dict[str, tuple[Step, list[Array]]]:
    """Return the attention that can read bytes, by the results that it reads.

    These are results of products that nothing else reads. With each result come its channels of
    queries, of keys and of values, as far as it has them.
    """
    readers = Counter(name for step in steps for name in set(step.reads))
    products = {step.writes for step in steps if _is_projection(step)}
    found: dict[str, tuple[Step, list[Array]]] = {}
    for step in steps:
        channels = channels_of(step)
        sources = {step.reads[number] for number, _ in channels}
        alone = all(name in products and readers[name] == 1 for name in sources)
        if sources and alone and step.problem.why_not_in(types(ATTENTION)) is None:
            for name in sources:
                own = [each for number, each in channels if step.reads[number] == name]
                found[name] = step, own
    return found


def channels_of(step: Step) -> list[tuple[int, Array]]:
    """Return the inputs and channels of queries, keys and values, if bytes of them can be read."""
    found = _byte_attention(step)
    return found[1] if found else []


def _byte_attention(step: Step) -> tuple[ByteAttention, list[tuple[int, Array]]] | None:
    """Return the attention that a step is, with its inputs and channels, if it can read bytes."""
    problem = step.problem
    if not isinstance(problem, Operation):
        return None
    attention = problem.op.byte_attention(*problem.inputs)
    channels = attention.channels(problem.inputs) if attention else None
    return (attention, channels) if attention and channels else None


def _is_projection(step: Step) -> bool:
    """Whether a step is a product with constant weights, and no function or sum after it."""
    ends = step.problem.epilogue
    grouped = step.problem.grouped_weights is not None
    return step.problem.kind == "gemm" and not (grouped or ends.add or ends.function)


def keeps_bytes(step: Step) -> bool:
    """Whether a step only selects or moves the elements of one activation."""
    op = step.problem.op
    return op is not None and op.keeps_bytes and len(step.reads) == 1


def is_limited(problem: AnyProblem) -> bool:
    """Whether the range of a layer's bytes does all that follows its sums."""
    return problem.epilogue.function is None or problem.epilogue.function in CLIPPED


def in_bytes(problem: AnyProblem, dtype: str) -> AnyProblem:
    """Return the problem that a layer in bytes computes instead."""
    if dtype != BYTES or problem.epilogue.function is None:
        return problem
    return problem.with_epilogue(replace(problem.epilogue, function="relu"))


class Activations:
    """The scales of a network's activations, computed once for all chains with equal operands."""

    def __init__(
        self,
        network: Network,
        joined: frozenset[str] = frozenset(),
        attended: Mapping[str, tuple[Step, list[Array]]] = MappingProxyType({}),
    ) -> None:
        """``network`` is what is computed: with folded batch norms.

        ``joined``: its layers that are several layers side by side. ``attended``: see there.
        """
        self._network, self._joined, self._attended = network, joined, attended
        self._attention = {step.name: step for step, _ in attended.values()}
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
                node.name: self._scale(node.name, result) for node, result in results
            }
            self._scales = reduce(_with_least_unit, self._attention.values(), self._scales)
            self._x, self._weights = x.copy(), arrays
        return self._scales

    def _scale(self, name: str, result: Array) -> Scale:
        """Return the scale of a result: of each part that attention reads, one of its own."""
        if name not in self._attended:
            return Scale.of(result)
        return ChannelScales.of_parts(result, self._attended[name][1])

    def dtype(self, step: Step) -> str:
        """Return the types in which a step computes.

        Layer norms would enlarge the errors of a residual stream in bytes: it stays in f32.
        A depthwise convolution has few products for each element: where it cannot write bytes, it
        is no faster than in f32. Layers side by side may have results of different ranges, for
        which one scale would be too coarse.
        """
        problem = step.problem
        if step.writes in self._attended or step.name in self._attention:
            return SIGNED if step.writes in self._attended else ATTENTION
        if problem.kind not in OUTPUT_AXES or (problem.kind == "gemm" and problem.grouped_weights):
            return WHOLE
        stream = problem.kind == "gemm" and problem.epilogue.add
        if is_limited(problem) and not stream and step.name not in self._joined:
            return BYTES
        return WHOLE if problem.layer_kind == "depthwise conv" else FROM_BYTES

    def layer(self, step: Step, own: Mapping[str, Array], source: Scale) -> ByteWeights:
        """Return the weights of a layer in bytes; ``source``: the scale of what it reads."""
        weights = own["weight"].astype(np.float64)
        weights = weights.reshape(step.problem.operands("nchw", F32)[1].shape)
        bias = own["bias"].astype(np.float64) if step.problem.epilogue.bias else None
        return ByteWeights.of(weights, OUTPUT_AXES[step.problem.kind], bias, source)

    def _has(self, arrays: Mapping[tuple[str, str], Array]) -> bool:
        same = all(self._weights.get(place) is array for place, array in arrays.items())
        return same and len(arrays) == len(self._weights)


class Scales(Protocol):
    """A source of scales: a calibration, or a file."""

    def dtype(self, step: Step) -> str:
        """Return the types in which a step computes."""

    def scales(self, x: Array, weights: Weights, own: Weights) -> Mapping[str, Scale]:
        """Return the scales by name of the result; see ``Activations``."""

    def layer(self, step: Step, own: Mapping[str, Array], source: Scale) -> ByteWeights:
        """Return the weights of a layer in bytes; ``source``: the scale of what it reads."""


@dataclass(frozen=True)
class Calibration:
    """The way from an input to the scale of every result of a chain."""

    known: Scales
    keeping: tuple[Step, ...] = ()
    """Steps that select or move bytes: their results have the scale of what they read."""

    def scales(self, x: Array, weights: Weights, own: Weights) -> dict[str, Scale]:
        """Return the scales by name of the result; the arguments are as for ``Activations``."""
        scales = dict(self.known.scales(x, weights, own))
        for step in self.keeping:
            scales[step.writes] = scales[step.reads[0]]
        return scales

    def layer(
        self, step: Step, own: Mapping[str, Array], scales: Mapping[str, Scale]
    ) -> ByteWeights:
        """Return the weights of a layer in bytes."""
        return self.known.layer(step, own, scales[step.reads[0]])


def constants(
    step: Step, dtype: str, layer: ByteWeights, scales: Mapping[str, Scale]
) -> list[Array]:
    """Return the constant operands of a layer in bytes, in the order of its problem."""
    source, result = scales[step.reads[0]], scales[step.writes]
    steps = result.of_channels if isinstance(result, ChannelScales) else result.scale
    result_zero = 0 if isinstance(result, ChannelScales) else result.zero
    operands = [layer.weights] if layer.bias is None else [layer.weights, layer.bias]
    if dtype == FROM_BYTES:
        whole = np.array([source.zero, 0, 0], np.int32)
        return [*operands, layer.bias_scales.astype(np.float32), whole]
    operands.append((layer.bias_scales / steps).astype(np.float32))
    add = step.problem.epilogue.add
    residual = scales[step.reads[1]] if add else Scale(1.0, 0)
    operands.append(np.array([source.zero, residual.zero, result_zero], np.int32))
    if add:
        operands.append(np.array([residual.scale / result.scale], np.float32))
    return operands


def attention_constants(step: Step, scales: Mapping[str, Scale]) -> list[Array]:
    """Return the scales of attention in bytes, and the meaning of the bytes of its result."""
    own = [scale for _, _, scale in _read_scales(step, scales)]
    result = scales[step.writes]
    f32, zero = np.float32, np.array([result.zero], np.int32)
    return [np.array(own, f32), np.array([result.scale], f32), zero]


def _read_scales(step: Step, scales: Mapping[str, Scale]) -> list[tuple[str, Array, float]]:
    """Return the result that attention reads, the channels and their scale: of q, k and v."""
    read = [(step.reads[number], channels) for number, channels in channels_of(step)]
    return [(name, own, scales[name].of_channel(own[0])) for name, own in read]


def _with_least_unit(scales: Mapping[str, Scale], step: Step) -> Mapping[str, Scale]:
    """Return the scales, with one of the queries that makes a unit of scores large enough.

    A mask is limited in units: with tiny queries or keys it would have another meaning.
    """
    found = _byte_attention(step)
    assert found is not None  # noqa: S101  # the step is one of ``attended``
    (name, channels, _), (_, _, of_keys), _ = _read_scales(step, scales)
    queries = scales[name]
    assert isinstance(queries, ChannelScales)  # noqa: S101
    return {**scales, name: queries.raised(channels, LEAST_UNIT / (of_keys * found[0].scale))}


def quantisation(
    steps: Sequence[Step],
    dtypes: Sequence[str],
    layer: Callable[[Step], ByteWeights],
    scales: Mapping[str, Scale],
) -> Quantisation:
    """Return what is in bytes, for a library that computes the same; ``dtypes`` of the steps."""
    typed = list(zip(steps, dtypes, strict=True))
    in_bytes = [step for step, dtype in typed if dtype in {BYTES, SIGNED}]
    from_bytes = [step for step, dtype in typed if dtype == FROM_BYTES]
    nodes = [name for step in in_bytes for name in step.nodes]
    return Quantisation(
        scales=scales,
        written=frozenset(step.writes for step, dtype in typed if written(dtype)),
        readers=frozenset([*nodes, *(step.name for step in from_bytes)]),
        summed=frozenset(s.name for s in in_bytes if s.problem.epilogue.add and s.name in scales),
        layers={step.name: layer(step) for step in (*in_bytes, *from_bytes)},
    )
