"""Element types of the file's values: which activations are whole numbers or truth values there.

Here all activations are f32. The file's types decide what Cast, Div and opaque nodes compute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof.networks.onnx.node import Constant, Value
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.type_names import EXACT, REAL, TRUTH, WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convprof.networks.onnx.node import FileNode
    from convprof.networks.onnx.source import Source

    Values = Mapping[str, Value | Constant]

_RESULTS = {
    **dict.fromkeys(("And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN"), TRUTH),
    **dict.fromkeys(("Less", "LessOrEqual", "Not", "Or", "Xor"), TRUTH),
    **dict.fromkeys(("ArgMax", "ArgMin", "NonZero", "Shape", "Size"), WHOLE),
    **dict.fromkeys(("DequantizeLinear", "QuantizeLinear"), REAL),
}
"""By operator, the type of its results, whatever it reads."""
_READS = {"CastLike": 1, "OneHot": 2, "Where": 1}
"""By operator, the input whose type its results have; the first of all other operators."""


class ValueTypes:
    """The ONNX names of the types, by the file's names; all reals are FLOAT."""

    def __init__(self, source: Source, values: Values) -> None:
        """``values``: what every name of the file is, so far."""
        self._values = values
        names = onnx_package().TensorProto.DataType
        self._types = {
            value.name: _known(names.Name(value.type.tensor_type.elem_type))
            for value in source.inputs
        }

    def of(self, name: str) -> str:
        """Return the type of a value; of a constant, from its own numbers."""
        return self._types.get(name) or _of_constant(self._values.get(name))

    def follow(self, node: FileNode) -> None:
        """Note the type of a node's results."""
        reads = _READS.get(node.kind, 0)
        if node.kind in _RESULTS:
            result = _RESULTS[node.kind]
        elif node.kind == "Cast":
            names = onnx_package().TensorProto.DataType
            to = node.integer("to", names.Value(REAL))
            result = _known(names.Name(to)) if to in names.values() else REAL
        else:
            result = self.of(node.input(reads)) if node.has(reads) else REAL
        for place, name in enumerate(node.outputs):
            self._types[name] = WHOLE if node.kind == "TopK" and place else result


def _known(name: str) -> str:
    return name if name in EXACT else REAL


def _of_constant(value: Value | Constant | None) -> str:
    if not isinstance(value, Constant):
        return REAL
    return _known(value.stored if value.values is None else value.values.dtype.name.upper())
