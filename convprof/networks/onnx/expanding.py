"""Operators that are several others: these take their place before anything else is looked at.

ONNX Runtime's own operators join steps of transformers; some standard ones are written as sums or
products of others. What the steps are is in the documentation of each operator.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.networks.onnx.node import (
    MOST_NUMBERS,
    PATTERN_KIND,
    Constant,
    FileNode,
    UnsupportedNodeError,
)
from convprof.networks.onnx.package import onnx_package
from convprof.problems.checks import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx

MICROSOFT = "com.microsoft"
JOINED_ATTENTION = f"{PATTERN_KIND}JoinedAttention"
"""ONNX Runtime's Attention, which is not the standard one of that name."""
_AXES_ARE_INPUTS = 18  # the operator set since which reductions have their axes as an input
_AXES_OF_SUMS_ARE_INPUTS = 13
_GROUPS_OF_CHANNELS = 21  # since when a GroupNormalization has a weight for each channel
_QUICK = 1.702
_LEAST = 1e-30
"""Of a factor whose reciprocal is computed in f32."""


@dataclass
class _Steps:
    """The nodes so far that take the place of one."""

    node: FileNode
    opset: int
    constants: dict[str, Constant]
    names: set[str]
    """Of all values; new ones are added."""
    first_number: int
    nodes: list[FileNode] = field(default_factory=list)

    def add(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Append a node and return its result, which has a new name unless one is given."""
        known = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in attributes.items()
        }
        protos = [
            onnx_package().helper.make_attribute(key, value) for key, value in attributes.items()
        ]
        return self._append(kind, inputs, result, known, protos)

    def add_with_own(self, kind: str, *inputs: str, less: str) -> str:
        """Append a node with the attributes of the one that is replaced, as the file has them.

        Attributes whose names begin with ``less`` are left out.
        """
        own = self.node.attributes.items()
        known = {key: value for key, value in own if not key.startswith(less)}
        proto = self.node.proto
        protos = [] if proto is None else [item for item in proto.attribute if item.name in known]
        return self._append(kind, inputs, "", known, protos)

    def _append(
        self,
        kind: str,
        inputs: tuple[str, ...],
        result: str,
        known: dict[str, Any],
        protos: Sequence[onnx.AttributeProto],
    ) -> str:
        output = result or self._new(str(len(self.nodes)))
        proto = onnx_package().helper.make_node(kind, inputs, [output])
        proto.attribute.extend(protos)
        name = self.node.name and (self.node.name if result else f"{self.node.name}.{kind}")
        number = self.first_number + len(self.nodes)
        self.nodes.append(FileNode(kind, name, inputs, (output,), known, number, proto))
        return output

    def _new(self, last: str) -> str:
        """Return a name that no value of the file has."""
        name = f"{next(filter(None, self.node.outputs), '')} {self.node.kind} {last}"
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name

    def last(self, kind: str, *inputs: str, **attributes: Any) -> None:
        """Append the node whose result is the one that is replaced, if that has a name."""
        if self.node.outputs[0]:
            self.add(kind, *inputs, result=self.node.outputs[0], **attributes)

    def constant(self, array: Any) -> str:
        """Return the name of a constant: a number of f32, or whole numbers."""
        name = self._new("constant")
        self.constants[name] = replace(Constant.of(array), name=name)
        return name

    def number(self, value: float) -> str:
        """Return the name of a number."""
        return self.constant(np.float32(value))

    def sum_of(self, place: int, other: int) -> str:
        """Return an input's name, or the name of its sum with another one if that is given."""
        first = self.node.input(place)
        return self.add("Add", first, self.node.inputs[other]) if self.node.has(other) else first

    def only_first_result(self, *allowed: int) -> None:
        """Raise UnsupportedNodeError if there are other results than the first one."""
        for place, name in enumerate(self.node.outputs):
            if name and place and place not in allowed:
                raise self.node.unsupported(f"its output {place + 1} is not supported")


def expanded(
    nodes: Sequence[FileNode], constants: dict[str, Constant], opset: int
) -> list[FileNode]:
    """Return the nodes with the steps of each operator that has some; constants are added."""
    result: list[FileNode] = []
    most = max((node.number for node in nodes), default=0)
    names = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    for node in nodes:
        expand = EXPANSIONS.get((_domain(node), node.kind))
        if expand is None:
            result.append(node)
            continue
        steps = _Steps(node, opset, constants, names, most + 1)
        try:
            expand(steps)
        except UnsupportedNodeError:
            if _domain(node) == MICROSOFT:
                raise
            steps.nodes = [node]  # it may become an opaque layer
        most += len(steps.nodes)
        result += steps.nodes
    return result


def _domain(node: FileNode) -> str:
    of_microsoft = node.proto is not None and node.proto.domain == MICROSOFT
    return MICROSOFT if of_microsoft else ""


# Operators of ONNX Runtime.

_INPUT, _SKIP, _WEIGHT, _SHIFT, _BIAS = range(5)
_SUM = 3
"""The place of a result: the sum before the norm."""


def _skip_norm(s: _Steps) -> None:
    """Norm of x + bias + skip."""
    s.only_first_result(_SUM)
    total = _skip_sum(s, _BIAS)
    shift = [s.node.inputs[_SHIFT]] if s.node.has(_SHIFT) else []
    weight = s.node.input(_WEIGHT)
    epsilon = s.node.real("epsilon", 1e-12)
    s.last("LayerNormalization", total, weight, *shift, axis=-1, epsilon=epsilon)


def _skip_rms_norm(s: _Steps) -> None:
    s.only_first_result(_SUM)
    total = _skip_sum(s, _SHIFT)
    epsilon = s.node.real("epsilon", 1e-12)
    s.last("RMSNormalization", total, s.node.input(_WEIGHT), axis=-1, epsilon=epsilon)


def _skip_sum(s: _Steps, bias: int) -> str:
    """Append the sums; the last one has the name of the result that the node may have for it."""
    own = s.node.outputs[_SUM] if len(s.node.outputs) > _SUM else ""
    with_bias = s.sum_of(_INPUT, bias)
    return s.add("Add", with_bias, s.node.input(_SKIP), result=own)


def _rms_norm(s: _Steps) -> None:
    s.only_first_result()
    axis, epsilon = s.node.integer("axis", -1), s.node.real("epsilon", 1e-5)
    s.last("RMSNormalization", s.node.input(0), s.node.input(1), axis=axis, epsilon=epsilon)


def _gelu(s: _Steps) -> None:
    """Gelu of an input, and a bias if there is one."""
    form = "tanh" if s.node.kind == "FastGelu" else "none"
    s.last("Gelu", s.sum_of(0, 1), approximate=form)


def _quick_gelu(s: _Steps) -> None:
    """X sigmoid(alpha x), as the SiLU of alpha x, divided by alpha."""
    alpha = s.node.real("alpha", _QUICK if s.node.kind == "QuickGelu" else 1.0)
    if not abs(alpha) > _LEAST:
        raise s.node.unsupported(f"alpha={shown(alpha)} must not be 0 or near it")
    inner = s.add("Mul", s.node.input(0), s.number(alpha))
    gated = s.add("Mul", inner, s.add("Sigmoid", inner))
    s.last("Mul", gated, s.number(1 / alpha))


_PLAIN = ("HardSwish", "Relu", "Sigmoid", "Tanh")
_PARAMETERS = {
    "Clip": ("min", "max"),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
}


def _with_activation(s: _Steps) -> None:
    """Conv or Gemm, and for a Conv the sum with a fourth input; then the named activation."""
    kind = s.node.kind.removeprefix("Fused")
    function = s.node.text("activation", "")
    if function not in (*_PLAIN, *_PARAMETERS):
        raise s.node.unsupported(f"its activation {shown(function)} is not supported")
    operands = s.node.inputs[:3]
    total = s.add_with_own(kind, *operands, less="activation")
    if s.node.has(len(operands)):
        total = s.add("Add", total, s.node.inputs[len(operands)])
    settings = _activation_settings(s.node, _PARAMETERS.get(function, ()))
    if function == "Clip":
        s.last("Clip", total, *map(s.number, settings.values()))
    else:
        s.last(function, total, **settings)


def _activation_settings(node: FileNode, names: Sequence[str]) -> dict[str, float]:
    """Return the attributes of an activation: a list in a FusedConv, else one by one."""
    if node.kind == "FusedConv":
        numbers = node.reals("activation_params", ())
        return dict(zip(names, numbers, strict=False))
    keys = {name: f"activation_{name}" for name in names}
    return {name: node.real(key, 0.0) for name, key in keys.items() if key in node.attributes}


_HEADS_INPUTS, _HEADS_BIAS = 3, 3


def _heads(s: _Steps) -> None:
    """Attention of queries, keys and values (n, t, width), each with its part of one bias."""
    others = range(_HEADS_BIAS + 1, len(s.node.inputs))
    s.only_first_result()
    if any(map(s.node.has, others)) or not all(map(s.node.has, range(_HEADS_INPUTS))):
        raise s.node.unsupported("attention with a mask, a cache or joined queries and keys")
    operands = [s.node.inputs[place] for place in range(_HEADS_INPUTS)]
    if s.node.has(_HEADS_BIAS):
        bias = s.constants.get(s.node.inputs[_HEADS_BIAS])
        if bias is None or bias.elements % _HEADS_INPUTS:
            raise s.node.unsupported("the bias of attention must be known, with equal parts")
        width, axis = bias.elements // _HEADS_INPUTS, s.constant(np.array([0]))
        for place, operand in enumerate(operands):
            ends = (s.constant(np.array([width * (place + i)])) for i in (0, 1))
            part = s.add("Slice", s.node.inputs[_HEADS_BIAS], *ends, axis)
            operands[place] = s.add("Add", operand, part)
    heads = s.node.integer("num_heads", 0)
    settings: dict[str, Any] = {"q_num_heads": heads, "kv_num_heads": heads}
    if s.node.real("scale", 0.0):
        settings["scale"] = s.node.real("scale", 0.0)
    causal = s.node.integer("unidirectional", 0)
    s.last("Attention", *operands, is_causal=causal, **settings)


def _joined_attention(s: _Steps) -> None:
    s.only_first_result()
    s.nodes.append(replace(s.node, kind=JOINED_ATTENTION))


_IDS, _SEGMENTS, _WORDS, _POSITIONS, _KINDS, _GAMMA, _BETA, _KEYS, _PLACES = range(9)
_LENGTHS, _EMBEDDED = 1, 2
"""Places of results: the numbers of keys, and the sum before the norm."""


def _embeddings(s: _Steps) -> None:
    """Norm of the sum of rows for words, positions and segments."""
    n, outputs = s.node, (*s.node.outputs, "", "")
    if n.has(_PLACES):
        places = n.inputs[_PLACES]
    else:
        tokens = s.add("Gather", s.add("Shape", n.input(_IDS)), s.constant(np.array(1)), axis=0)
        places = s.add("Range", *(s.constant(np.array(0)), tokens, s.constant(np.array(1))))
    total = s.add("Gather", n.input(_WORDS), n.input(_IDS))
    own = outputs[_EMBEDDED]
    has_segments = n.has(_SEGMENTS) and n.has(_KINDS)
    position = s.add("Gather", n.input(_POSITIONS), places)
    total = s.add("Add", total, position, result="" if has_segments else own)
    if has_segments:
        kinds = s.add("Gather", n.inputs[_KINDS], n.inputs[_SEGMENTS])
        total = s.add("Add", total, kinds, result=own)
    if outputs[_LENGTHS] and n.has(_KEYS):
        real = s.add("Cast", n.inputs[_KEYS], to=1)
        axis = s.constant(np.array([1])) if s.opset >= _AXES_OF_SUMS_ARE_INPUTS else ""
        more: dict[str, Any] = {} if axis else {"axes": [1]}
        inputs = (real, *filter(None, [axis]))
        s.add("ReduceSum", *inputs, result=outputs[_LENGTHS], keepdims=0, **more)
    vectors = n.input(_GAMMA), n.input(_BETA)
    epsilon = n.real("epsilon", 1e-12)
    s.last("LayerNormalization", total, *vectors, axis=-1, epsilon=epsilon)


# Standard operators.


def _norm_of_vectors(s: _Steps) -> None:
    """X over its norm along one axis."""
    order, axis = s.node.integer("p", 2), s.node.integer("axis", -1)
    if order not in (1, 2):
        raise s.node.refused(f"p={order} must be 1 or 2")
    x = s.node.input(0)
    kind, sizes = ("ReduceL2", x) if order > 1 else ("ReduceSum", s.add("Abs", x))
    if s.opset >= (_AXES_ARE_INPUTS if order > 1 else _AXES_OF_SUMS_ARE_INPUTS):
        norm = s.add(kind, sizes, s.constant(np.array([axis])), keepdims=1)
    else:
        norm = s.add(kind, sizes, axes=[axis], keepdims=1)
    s.last("Div", x, norm)


def _absolute_sum(s: _Steps) -> None:
    _reduced(s, "ReduceSum", s.add("Abs", s.node.input(0)), is_last=True)


def _log_of_sum(s: _Steps) -> None:
    s.last("Log", _reduced(s, "ReduceSum", s.node.input(0)))


def _log_of_exponentials(s: _Steps) -> None:
    """Log of the sum of exponentials of x less its maximum, plus the maximum."""
    x = s.node.input(0)
    less = s.add("Sub", x, _reduced(s, "ReduceMax", x, keeps=1))
    log = s.add("Log", _reduced(s, "ReduceSum", s.add("Exp", less)))
    s.last("Add", log, _reduced(s, "ReduceMax", x))


def _reduced(
    s: _Steps, kind: str, x: str, *, keeps: int | None = None, is_last: bool = False
) -> str:
    """Append a reduction over the axes of the node, which are an attribute or an input."""
    if s.node.integer("noop_with_empty_axes", 0):
        raise s.node.unsupported("noop_with_empty_axes is not supported")
    axes = s.node.integers("axes", ())
    settings: dict[str, Any] = {
        "keepdims": s.node.integer("keepdims", 1) if keeps is None else keeps
    }
    inputs = [s.node.inputs[1]] if s.node.has(1) else []
    since = _AXES_OF_SUMS_ARE_INPUTS if kind == "ReduceSum" else _AXES_ARE_INPUTS
    if axes and s.opset >= since:
        inputs = [s.constant(np.array(axes))]
    elif axes:
        settings["axes"] = list(axes)
    result = s.node.outputs[0] if is_last else ""
    return s.add(kind, x, *inputs, result=result, **settings)


def _softsign(s: _Steps) -> None:
    x = s.node.input(0)
    s.last("Div", x, s.add("Add", s.add("Abs", x), s.number(1.0)))


def _thresholded(s: _Steps) -> None:
    x, alpha = s.node.input(0), s.number(s.node.real("alpha", 1.0))
    s.last("Where", s.add("Greater", x, alpha), x, s.number(0.0))


def _group_norm(s: _Steps) -> None:
    """Norm of groups of channels, then a factor and a term for each channel, or for each group."""
    x, weight, bias = (s.node.input(place) for place in range(3))
    groups = s.node.integer("num_groups", 0)
    channels = s.constants.get(weight)
    if channels is None:
        raise s.node.unsupported("its weight must be known")
    each = channels.elements // max(groups, 1) if s.opset >= _GROUPS_OF_CHANNELS else 1
    if not 1 <= groups <= MOST_NUMBERS or channels.elements != each * groups or not each:
        raise s.node.refused(f"num_groups={groups} does not fit a weight of {channels.shape}")
    ones, zeros = (s.constant(np.full(groups, value, np.float32)) for value in (1, 0))
    apart = s.add("Reshape", x, s.constant(np.array([0, groups, -1])))
    epsilon = s.node.real("epsilon", 1e-5)
    normal = s.add("InstanceNormalization", apart, ones, zeros, epsilon=epsilon)
    if s.opset >= _GROUPS_OF_CHANNELS:
        normal = s.add("Reshape", normal, s.constant(np.array([0, channels.elements, -1])))
    column = s.constant(np.array([-1, 1]))
    scaled = s.add("Mul", normal, s.add("Reshape", weight, column))
    shifted = s.add("Add", scaled, s.add("Reshape", bias, column))
    s.last("Reshape", shifted, s.add("Shape", x))


EXPANSIONS: dict[tuple[str, str], Callable[[_Steps], None]] = {
    (MICROSOFT, "Attention"): _joined_attention,
    (MICROSOFT, "BiasGelu"): _gelu,
    (MICROSOFT, "EmbedLayerNormalization"): _embeddings,
    (MICROSOFT, "FastGelu"): _gelu,
    (MICROSOFT, "FusedConv"): _with_activation,
    (MICROSOFT, "FusedGemm"): _with_activation,
    (MICROSOFT, "Gelu"): _gelu,
    (MICROSOFT, "MultiHeadAttention"): _heads,
    (MICROSOFT, "QuickGelu"): _quick_gelu,
    (MICROSOFT, "SkipLayerNormalization"): _skip_norm,
    (MICROSOFT, "SkipSimplifiedLayerNormalization"): _skip_rms_norm,
    ("", "GroupNormalization"): _group_norm,
    ("", "LpNormalization"): _norm_of_vectors,
    ("", "ReduceL1"): _absolute_sum,
    ("", "ReduceLogSum"): _log_of_sum,
    ("", "ReduceLogSumExp"): _log_of_exponentials,
    ("", "SimplifiedLayerNormalization"): _rms_norm,
    ("", "Softsign"): _softsign,
    ("", "Swish"): _quick_gelu,
    ("", "ThresholdedRelu"): _thresholded,
}
"""By domain and operator, what writes the steps."""
