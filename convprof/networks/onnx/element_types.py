"""Notes on files whose numbers have another type than f32."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from convprof.networks.onnx.node import Constant
from convprof.networks.onnx.package import onnx_package
from convprof.networks.onnx.type_names import EXACT, REAL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from convprof.networks.onnx.node import Value
    from convprof.networks.onnx.source import Source

_MATRIX = 2  # axes; whole numbers with fewer are shapes and axes, no weights


def element_notes(
    source: Source, values: Mapping[str, Value | Constant], in_own_bits: AbstractSet[str]
) -> list[str]:
    """Return a line for the inputs and one for the weights, where their type is not f32.

    ``in_own_bits``: weights that keep their type.

    Half the bytes are half the traffic from memory, which decides the time of many layers.
    """
    types = onnx_package().TensorProto.DataType
    names = (types.Name(value.type.tensor_type.elem_type) for value in source.inputs)
    input_types = [name for name in dict.fromkeys(names) if name not in EXACT]
    weights = _weight_types(source, values, in_own_bits)
    notes = []
    if input_types not in ([], [REAL]):
        notes.append(f"its numbers are {' and '.join(input_types)} in the file, and f32 here")
    if weights and weights not in ([REAL], input_types):
        notes.append(f"its weights are {' and '.join(weights)} in the file, and f32 here")
    return notes


def _weight_types(
    source: Source, values: Mapping[str, Value | Constant], in_own_bits: AbstractSet[str]
) -> list[str]:
    """Return the element types of weights, the most frequent first."""
    counts: Counter[str] = Counter()
    for name in {name for node in source.nodes for name in node.inputs} - in_own_bits:
        constant = values.get(name)
        if not isinstance(constant, Constant) or constant.stored in ("", *EXACT):
            continue
        if len(constant.shape) >= _MATRIX:
            counts[constant.stored] += constant.elements
    return [kind for kind, _ in counts.most_common()]
