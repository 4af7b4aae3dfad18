"""Turn the file's nodes, one after the other, into nodes of a network."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from convprof.errors import InputError, ProblemError
from convprof.networks.onnx.byte_values import check_reader, moved
from convprof.networks.onnx.folding import evaluate, numbers, shape_of
from convprof.networks.onnx.names import Names
from convprof.networks.onnx.node import MOST_AXES, Constant, Value
from convprof.networks.onnx.sharing import Sharing
from convprof.networks.onnx.value_types import ValueTypes
from convprof.problems import checks
from convprof.problems.checks import shown
from convprof.problems.graph import INPUT, Node
from convprof.problems.ops import Affine, Known

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convprof.networks.onnx.byte_values import Bytes
    from convprof.networks.onnx.named_tensors import NamedTensors
    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.source import Source
    from convprof.problems.ops import Op
    from convprof.problems.quantisation import Scale
    from convprof.problems.shapes import Shape
    from convprof.problems.ties import Tie

_ASK_FOR_SHAPES = ("Shape", "Size")


Results: TypeAlias = "Value | Sequence[Value | Constant | None]"
"""The result of a node of the file, or its results in order (None: one that nothing reads)."""
Converter: TypeAlias = "Callable[[Importer, FileNode], Results]"
"""Appends what a node of the file computes, and returns its results."""


class Importer:
    """The network so far. ``values`` has, by the file's names, what every value became.

    The caller puts the file's inputs there (``converters/ends.py``).
    """

    def __init__(self, source: Source, inputs: NamedTensors) -> None:
        self.source = source
        self.opset = source.opset
        self.values: dict[str, Value | Constant] = dict(source.constants)
        self.nodes: dict[str, Node] = {}
        self.weights: dict[str, dict[str, Constant]] = {}
        """By name of the network's node and the op's name for it."""
        self.bytes_of: dict[str, Bytes] = {}
        """By the file's names, the meaning of an activation of bytes."""
        self.scales: dict[str, Scale | None] = {}
        """The scales by the names of the network's nodes; None where a file has several."""
        self.types = ValueTypes(source, self.values)
        self.in_own_bits: set[str] = set()
        """The file's names of weights that do not become f32."""
        self._shapes = {INPUT: inputs.joined}
        self._names = Names(source.nodes)
        self._sharing = Sharing(dict(source.constants))
        self._uses: Counter[str] = Counter()
        self._reader: dict[str, FileNode] = {}
        self._left_out: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()

    def fold(self) -> None:
        """Evaluate the nodes that depend on nothing but constants, and take them out."""
        left = []
        for node in self.source.nodes:
            if node.inputs and not self._fold(node):
                left.append(node)
            elif not node.inputs:
                raise node.refused("it has no input; only Constant may do without")
        self.source.nodes = left
        self.source.constants.update(
            (name, value) for name, value in self.values.items() if isinstance(value, Constant)
        )

    def run(self, converter: Callable[[FileNode], Converter]) -> None:
        """Convert every node by the function that ``converter`` returns for it."""
        self._uses = self.source.uses()
        self._reader = {name: node for node in self.source.nodes for name in node.inputs}
        for node in self.source.nodes:
            self._check_inputs(node)
            self.types.follow(node)
            if self._fold(node):
                continue
            check_reader(node, self.bytes_of)
            results = self._converted(node, converter)
            self._store(node, [results] if isinstance(results, Value) else results)

    def _converted(self, node: FileNode, converter: Callable[[FileNode], Converter]) -> Results:
        """Return the results of a node; InputError naming the node for shapes that misfit."""
        try:
            return converter(node)(self, node)
        except ProblemError as error:
            raise node.refused(str(error)) from None

    def needed(self, last: Value) -> tuple[Node, ...]:
        """Return the nodes that a value depends on, which is the last one's result."""
        name = self.settled(last)
        if name == INPUT:
            raise InputError("nothing is computed: the output is the input")
        needed = {name}
        kept = []
        for node in reversed(self.nodes.values()):
            if node.name in needed:
                needed.update(node.inputs)
                kept.append(node)
        return tuple(reversed(kept))

    def ties(self, kept: Sequence[Node]) -> tuple[Tie, ...]:
        """Return which weights of these nodes are one tensor of the file."""
        return self._sharing.ties(kept)

    def notes(self) -> list[str]:
        """Return notes on the differences from the file."""
        left = [f"{count} {kind}" for kind, count in sorted(self._left_out.items())]
        remarks = [f"{count} x {text}" for text, count in self._notes.items()]
        return ([f"left out: {', '.join(left)}"] if left else []) + remarks

    def note(self, text: str) -> None:
        """Keep a remark for the user, and count its nodes."""
        self._notes[text] += 1

    def leave_out(self, node: FileNode) -> None:
        """Count a node that computes nothing here."""
        self._left_out[node.kind] += 1

    def activation(self, node: FileNode, index: int = 0) -> Value:
        """Return an input that depends on the network's input."""
        value = self.values[node.input(index)]
        if isinstance(value, Constant):
            raise node.unsupported(f"input {index + 1} is a constant, and must be computed")
        return value

    def computed(self, node: FileNode, index: int) -> Value:
        """Return any input as an activation; a constant is a ``Known`` one."""
        value = self.values[node.input(index)]
        if isinstance(value, Value):
            return value
        if not value.has_numbers:
            raise node.refused(f"input {index + 1} is a constant of {value.stored}")
        whole = Value(INPUT, self._shapes[INPUT])
        shape = value.shape or (1,)
        part = f"known{index}"
        return self.emit(node, Known(shape), whole, part=part, weights=[value.lowered()])

    def constant(self, node: FileNode, index: int) -> Constant:
        """Return an input that is a constant."""
        value = self.values[node.input(index)]
        if isinstance(value, Value):
            raise node.unsupported(f"input {index + 1} must be a constant, and is computed")
        return value

    def constants(self, node: FileNode) -> tuple[Constant | None, ...]:
        """Return all inputs that are constants, None in the place of the others."""
        values = (self.values.get(name) for name in node.inputs)
        return tuple(each if isinstance(each, Constant) else None for each in values)

    def integers(self, node: FileNode, index: int, what: str) -> tuple[int, ...]:
        """Return the whole numbers that an input holds."""
        return numbers(node, self.constant(node, index), what)

    def used_once(self, name: str) -> bool:
        """Whether one node alone reads a value of the file."""
        return self._uses[name] == 1

    def only_reader(self, name: str) -> FileNode | None:
        """Return the node that alone reads a value of the file; None if there are more, or none."""
        return self._reader.get(name) if self.used_once(name) else None

    def used(self, name: str) -> bool:
        """Whether anything reads a value of the file."""
        return self._uses[name] > 0

    def emit(
        self,
        node: FileNode,
        op: Op,
        *inputs: Value,
        part: str = "",
        weights: Sequence[Constant] = (),
    ) -> Value:
        """Append an operation for a node of the file, or for a part of it; return its result.

        ``weights``: the constants in the order of the op's weights and buffers. A factor not yet
        applied moves on past operations that only rearrange.
        """
        first = inputs[0]
        moves_on = op.only_rearranges
        names = tuple(each.name if moves_on else self.settled(each) for each in inputs)
        try:
            shape = _checked(op, *(each.shape for each in inputs))
        except ProblemError as error:
            raise node.refused(str(error)) from None
        if len(shape) > MOST_AXES:
            raise node.refused(f"its result has {len(shape)} axes; at most {MOST_AXES} are read")
        name = self._names.of(node, part)
        result = self.nodes[name] = Node(name, op, names)
        self.weights[name] = self._named(node, op, [each.shape for each in inputs], weights)
        self._sharing.read(result, self.weights[name])
        self._shapes[name] = shape
        return replace(first, name=name, shape=shape) if moves_on else Value(name, shape)

    def _named(
        self, node: FileNode, op: Op, shapes: Sequence[Shape], weights: Sequence[Constant]
    ) -> dict[str, Constant]:
        """Return the constants by the op's names for them."""
        tensors = {**op.weights(*shapes), **op.buffers(*shapes)}
        for shape, constant in zip(tensors.values(), weights, strict=True):
            if constant.elements != math.prod(shape):
                raise node.refused(f"a weight of {shown(constant.shape)} cannot be {shown(shape)}")
        return dict(zip(tensors, weights, strict=True))

    def op(self, value: Value) -> Op | None:
        """Return the operation whose result a value is; None for the input."""
        node = self.nodes.get(value.name)
        return node.op if node else None

    def source_of(self, value: Value) -> Value:
        """Return what the operation before a value read first, with the value's own factor."""
        name = self.nodes[value.name].inputs[0]
        return replace(value, name=name, shape=self._shapes[name])

    def value(self, name: str) -> Value:
        """Return the result of a node of the network."""
        return Value(name, self._shapes[name])

    def scale_weight(self, value: Value, factor: float) -> bool:
        """Multiply the weight of the layer before a value if it is whole numbers of bytes.

        Return whether it is: the factor is then their scale. Other factors of a layer, such as the
        factor of queries, belong to a product after it.
        """
        weight = self.weights[value.name]["weight"]
        if weight.stored not in ("INT8", "UINT8") or weight.scale is not None:
            return False
        scaled = replace(weight.mapped(lambda array: factor * array), scale=Constant.of(factor))
        self.weights[value.name]["weight"] = scaled
        return True

    def keep_scale(self, value: Value, scale: Scale) -> None:
        """Note the scale by which the file rounds a value to bytes."""
        known = self.scales.setdefault(value.name, scale)
        if known != scale:
            self.scales[value.name] = None

    def move_scale(self, value: Value, source: Value) -> None:
        """Note that a value is bytes already before 0 is put around it: 0 is always a byte."""
        scale = self.scales.get(value.name)
        if scale is not None:
            self.keep_scale(source, scale)

    def swap(self, value: Value, op: Op) -> None:
        """Put another operation of the same shapes in the place of the one before a value.

        The result has other numbers, so that a scale of the result is no longer valid.
        """
        if value.name in self.scales:
            self.scales[value.name] = None
        self.nodes[value.name] = replace(self.nodes[value.name], op=op)

    def settled(self, value: Value) -> str:
        """Return the name of a value's node once its factor is applied."""
        if value.factor == 1.0 or value.origin is None:
            return value.name
        plain = replace(value, factor=1.0, origin=None)
        return self.emit(value.origin, Affine(factor=value.factor), plain).name

    def _check_inputs(self, node: FileNode) -> None:
        for name in filter(None, node.inputs):
            if name not in self.values:
                raise node.refused(f"reads {shown(name)}, which no earlier node computes")

    def _fold(self, node: FileNode) -> bool:
        """Evaluate a node if its inputs allow it; return whether they do."""
        if node.kind in _ASK_FOR_SHAPES and node.input(0) in self.values:
            self._store(node, [shape_of(node, self.values[node.input(0)].shape)])
            return True
        values = [self.values.get(name) if name else None for name in node.inputs]
        if node.kind == "CastLike" and isinstance(values[0], Constant):
            values = values[:1]  # to the type of an activation, which is f32 here
            node = replace(node, kind="Identity", inputs=node.inputs[:1])
        known = [each if isinstance(each, Constant) else None for each in values]
        present = [bool(name) for name in node.inputs]
        if not any(present) or [each is not None for each in known] != present:
            return False
        self._store(node, evaluate(node, tuple(known), self.opset))
        if known[0] is not None:
            self._sharing.follow(node, known[0])
        return True

    def _store(self, node: FileNode, results: Sequence[Value | Constant | None]) -> None:
        known = moved(node, self.bytes_of)
        for place, name in enumerate(node.outputs):
            if not name:
                continue
            result = results[place] if place < len(results) else None
            if result is not None:
                self.values[name] = (
                    replace(result, name=name) if isinstance(result, Constant) else result
                )
                if known is not None:
                    self.bytes_of[name] = known
            elif self.used(name):
                raise node.refused(f"its output {place + 1} is used; only the first is supported")


def _checked(op: Op, *inputs: Shape) -> Shape:
    """Return the result's shape; ProblemError if it is not a possible shape."""
    shape = op.output(*inputs)
    for tensor in (shape, *op.weights(*inputs).values(), *op.buffers(*inputs).values()):
        checks.elements("output" if tensor is shape else "weights", tensor)
    for size in shape:
        checks.size("output", size)
    op.flops(*inputs)
    return shape
