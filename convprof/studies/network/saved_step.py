"""A step of a network out of a document: its name, and what tables and answers say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.errors import InputError
from convprof.json_checks import array, count, text, words
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.problems.tensors import TensorSpec
from convprof.studies.next_command import text_of

if TYPE_CHECKING:
    from convprof.dtypes import Types
    from convprof.problems.shapes import Shape
    from convprof.results import Measurement

MOST_LAYERS = 20_000
_MOST_AXES = 16


@dataclass(frozen=True, slots=True)
class SavedProblem:
    """The problem of a layer, as a document has it."""

    kind: str
    layer_kind: str
    layer_text: str
    epilogue: Epilogue
    output: Shape
    flops: int
    macs: int
    is_opaque: bool
    has_layout: bool

    def result(self, layout: str, types: Types) -> TensorSpec:
        """Return what is written."""
        return TensorSpec("y", self.output, layout if self.has_layout else None, types.result)


@dataclass(frozen=True, slots=True)
class SavedStep:
    """A step of a network, as a document has it."""

    nodes: tuple[str, ...]
    problem: SavedProblem

    @property
    def name(self) -> str:
        """The published name of the layer."""
        return self.nodes[0]

    @property
    def writes(self) -> str:
        """The name of the result, which is the name of the last node."""
        return self.nodes[-1]


def layers_of(fields: dict[str, Any]) -> list[Any]:
    """Return the layers of an entry of ``networks``; InputError for far too many."""
    layers = array(fields.get("layers"))
    if len(layers) > MOST_LAYERS:
        raise InputError("it has far too many layers")
    return layers


def read_shape(value: Any) -> Shape:
    """Return the sizes of a tensor."""
    sizes = array(value)
    if len(sizes) > _MOST_AXES:
        raise InputError("a shape has far too many axes")
    return tuple(count(size) for size in sizes)


def read_step(fields: dict[str, Any], hot: Measurement | None, *, has_layout: bool) -> SavedStep:
    """Return the step; an older version wrote less: then the descriptor says what is computed."""
    nodes = tuple(words(node) for node in array(fields.get("nodes")))
    if not nodes:
        raise InputError("a layer has no name")
    descriptor = text_of(None, hot.problem["descriptor"]) if hot else ""
    kind = str(hot.problem["kind"]) if hot else ""
    epilogue = fields.get("epilogue")
    return SavedStep(
        nodes,
        SavedProblem(
            kind=words(fields.get("problem_kind", kind)),
            layer_kind=words(fields.get("kind", kind)),
            layer_text=words(fields.get("text", descriptor)),
            epilogue=NO_EPILOGUE if epilogue is None else Epilogue.parse(text(epilogue)),
            output=read_shape(fields.get("output", [])),
            flops=count(fields.get("flops", 0), 0),
            macs=count(fields.get("macs", fields.get("flops", 0)), 0),
            is_opaque=fields.get("is_opaque") is True,
            has_layout=has_layout,
        ),
    )
