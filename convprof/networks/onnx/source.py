"""The file's graph in plain Python: nodes, constants, inputs and outputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import InputError
from convprof.networks.onnx.expanding import EXPANSIONS, MICROSOFT, expanded
from convprof.networks.onnx.node import MOST_NUMBERS, Constant, FileNode, text_of
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.tensors import constant_from
from convprof.problems.checks import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import onnx

MOST_NODES = 100_000
MOST_TENSORS = 1000
"""Inputs or outputs."""
DOMAINS = ("", "ai.onnx")
_OF_MICROSOFT = frozenset(
    ("DequantizeLinear", "FusedMatMul", "MatMulNBits", "QGemm", "QLinearAdd", "QLinearAveragePool",
     "QLinearConcat", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul",
     "QLinearSigmoid", "QLinearSoftmax", "QuantizeLinear")
)  # fmt: skip
"""The operators of ONNX Runtime's own domain that are read as they are; others have steps."""
FLOATS = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")
"""The types of real numbers."""
_OLDEST = 6
"""Of 2017; it broadcasts by attributes."""
_MOST_LISTED = 6
"""Names or versions that a message lists."""
_CONSTANT_KEYS = ("value", "value_int", "value_ints", "value_float", "value_floats")


@dataclass
class Source:
    """The contents of a file; values have the file's names."""

    opset: int
    inputs: list[onnx.ValueInfoProto]
    """The inputs that are used."""
    outputs: list[str]
    """The results; none occurs twice."""
    left_out: list[str]
    """Outputs of the file that are not among the results, though none was chosen."""
    nodes: list[FileNode]
    constants: dict[str, Constant]

    def uses(self) -> Counter[str]:
        """Return how many times every value is read, the network's results once more."""
        count = Counter(name for node in self.nodes for name in node.inputs)
        count.update(self.outputs)
        return count

    def prune(self) -> None:
        """Drop the nodes that no output depends on."""
        self.nodes = needed(self.nodes, self.outputs)


def source_of(
    model: onnx.ModelProto, folder: Path | None = None, outputs: Sequence[str] = ()
) -> Source:
    """Return the model's graph; InputError for what no network here can have.

    ``folder`` is the model's, which has the data that are kept outside the file. ``outputs`` names
    the results, which any nodes may compute; none: all outputs of the file that are real numbers.
    """
    graph = model.graph
    if len(graph.node) > MOST_NODES:
        raise InputError(f"the graph has {len(graph.node)} nodes; at most {MOST_NODES} are read")
    tensors = {text_of(tensor.name): tensor for tensor in graph.initializer}
    bare = [_bare(proto, number) for number, proto in enumerate(graph.node, 1)]
    _check_names(bare, {*tensors, *(text_of(value.name) for value in graph.input)})
    chosen, left_out = (list(dict.fromkeys(outputs)), []) if outputs else _real_outputs(graph, bare)
    _check_computed(graph, bare, chosen)
    # What the output does not depend on may be foreign: it is dropped before it is looked at.
    nodes = [_complete(node, folder) for node in needed(bare, chosen)]
    read = {name for node in nodes for name in node.inputs if name}
    _check_sparse(graph, read)
    constants = {name: constant_from(tensors[name], folder) for name in tensors if name in read}
    for node in nodes:
        if node.kind == "Constant" and not node.inputs:
            constants[node.outputs[0]] = replace(_constant(node), name=node.outputs[0])
    nodes = [node for node in nodes if node.outputs[0] not in constants]
    opset = _opset(model)
    nodes = expanded(nodes, constants, opset)
    inputs = _inputs(graph, nodes, constants)
    return Source(opset, inputs, chosen, left_out, nodes, constants)


def needed(nodes: Sequence[FileNode], outputs: Sequence[str]) -> list[FileNode]:
    """Return the nodes on which some values depend, in their order."""
    producers = {name: node for node in nodes for name in node.outputs if name}
    pending, seen = [*outputs], {*outputs}
    keep: set[int] = set()
    while pending:
        node = producers.get(pending.pop())
        if node is not None and id(node) not in keep:
            keep.add(id(node))
            pending += [name for name in node.inputs if name not in seen]
            seen.update(node.inputs)
    return [node for node in nodes if id(node) in keep]


def _opset(model: onnx.ModelProto) -> int:
    """Return the version of the default domain, which has two names and may be listed twice."""
    versions = {int(entry.version) for entry in model.opset_import if entry.domain in DOMAINS}
    known = onnx_package().defs.onnx_opset_version()
    if not versions:
        raise InputError("the file does not say which version of the operators it uses")
    if len(versions) > 1:
        listed = " and ".join(shown(version) for version in sorted(versions)[:_MOST_LISTED])
        raise InputError(
            f"the file names more than one version of the standard operators: {listed}; "
            "export the model with one opset_import entry"
        )
    (version,) = versions
    if not _OLDEST <= version <= known:
        raise InputError(
            f"operator set {shown(version)}: this onnx package reads {_OLDEST} to {known}; "
            "export the model with one of them"
        )
    return version


def _bare(proto: onnx.NodeProto, number: int) -> FileNode:
    """Return a node without its attributes: only its names are checked so far."""
    return FileNode(
        text_of(proto.op_type),
        text_of(proto.name),
        tuple(text_of(name) for name in proto.input),
        tuple(text_of(name) for name in proto.output),
        number=number,
        proto=proto,
    )


def _complete(bare: FileNode, folder: Path | None) -> FileNode:
    """Return a node with its attributes; InputError for an operator that is no standard one."""
    proto = bare.proto
    if proto is None:
        return bare
    domain = text_of(proto.domain)
    known = bare.kind in _OF_MICROSOFT or (MICROSOFT, bare.kind) in EXPANSIONS
    if domain not in DOMAINS and not (domain == MICROSOFT and known):
        raise bare.refused(
            f"operators of the domain {shown(proto.domain)} are not supported; "
            "export with the standard operators alone, functions inlined"
        )
    attributes = {text_of(item.name): _attribute(bare, item, folder) for item in proto.attribute}
    return replace(bare, attributes=attributes)


def _check_sparse(graph: onnx.GraphProto, read: set[str]) -> None:
    for tensor in graph.sparse_initializer:
        if tensor.values.name in read:
            raise InputError(
                f"tensor {shown(text_of(tensor.values.name))}: sparse weights are not supported; "
                "export the model with dense ones"
            )


def _attribute(node: FileNode, item: onnx.AttributeProto, folder: Path | None) -> Any:
    kinds = type(item)
    if item.ref_attr_name:
        raise node.refused(f"{shown(item.name)} belongs to a function that is missing")
    if item.type in (kinds.GRAPH, kinds.GRAPHS):
        raise node.refused("nested graphs (If, Loop, Scan) are not supported")
    if item.type in (kinds.INTS, kinds.FLOATS, kinds.STRINGS):
        values = {kinds.INTS: item.ints, kinds.FLOATS: item.floats}.get(item.type, item.strings)
        if len(values) > MOST_NUMBERS:
            raise node.refused(f"{shown(item.name)} has more than {MOST_NUMBERS} values")
        is_text = item.type == kinds.STRINGS
        return tuple(each.decode("utf-8", "replace") if is_text else each for each in values)
    if item.type == kinds.TENSOR:
        return constant_from(item.t, folder)
    if item.type == kinds.STRING:
        return item.s.decode("utf-8", "replace")
    if item.type == kinds.INT:
        return item.i
    if item.type == kinds.FLOAT:
        return item.f
    raise node.refused(f"attribute {shown(item.name)} has a type that is not supported")


def _constant(node: FileNode) -> Constant:
    if not node.outputs[0]:
        raise node.refused("it has no output")
    keys = [key for key in _CONSTANT_KEYS if key in node.attributes]
    if len(keys) != 1:
        raise node.refused(f"it needs one of {', '.join(_CONSTANT_KEYS)}")
    value = node.attributes[keys[0]]
    if keys[0] == "value":
        if not isinstance(value, Constant):
            raise node.refused("value must be a tensor")
        return value
    return Constant.of(np.array(value, np.float32 if "float" in keys[0] else np.int64))


def _check_names(nodes: list[FileNode], names: set[str]) -> None:
    for node in nodes:
        for name in filter(None, node.outputs):
            if name in names:
                raise node.refused(f"the value {shown(name)} is computed twice")
            names.add(name)


def _real_outputs(graph: onnx.GraphProto, nodes: list[FileNode]) -> tuple[list[str], list[str]]:
    """Return the outputs that nodes compute in real numbers, as far as the file says, and others.

    All outputs and no others where no output is so, for a message that names one of them.
    """
    types = onnx_package().TensorProto.DataType
    unknown = types.Value("UNDEFINED")
    real = [unknown, *(types.Value(name) for name in FLOATS)]
    by_name = {text_of(value.name): value.type.tensor_type.elem_type for value in graph.output}
    computed = {name for node in nodes for name in node.outputs if name}
    chosen = [name for name, number in by_name.items() if number in real and name in computed]
    others = [name for name in by_name if name not in chosen]
    return (chosen, others) if chosen else (others, [])


def _check_computed(graph: onnx.GraphProto, nodes: list[FileNode], outputs: list[str]) -> None:
    names = [text_of(value.name) for value in graph.output]
    if not outputs:
        raise InputError("the file has no output")
    if len(outputs) > MOST_TENSORS:
        raise InputError(
            f"the file has {len(outputs)} outputs; at most {MOST_TENSORS} are computed",
            field="output",
            examples=[name for name in names[:1] if name.isprintable()],
        )
    computed = {name for node in nodes for name in node.outputs}
    for name in outputs:
        if not name or name not in computed:
            raise InputError(
                f"no node computes the output {shown(name)}; outputs are{_listed(names)}"
            )


def _inputs(
    graph: onnx.GraphProto, nodes: list[FileNode], constants: dict[str, Constant]
) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are used; older files list the weights as inputs too."""
    read = {name for node in nodes for name in node.inputs}
    inputs = [value for value in graph.input if value.name in read and value.name not in constants]
    if not inputs:
        raise InputError("the outputs depend on no input of the file")
    if len(inputs) > MOST_TENSORS:
        raise InputError(f"the file has {len(inputs)} inputs; at most {MOST_TENSORS} are read")
    return inputs


def _listed(names: list[str]) -> str:
    text = ", ".join(shown(name) for name in names[:_MOST_LISTED])
    return f" ({text}{', ...' if len(names) > _MOST_LISTED else ''})" if names else ""
