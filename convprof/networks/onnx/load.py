"""From an ONNX file to a network."""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convprof import units
from convprof.errors import InputError
from convprof.networks.onnx.checking import check_shapes
from convprof.networks.onnx.converters import converter
from convprof.networks.onnx.converters.ends import (
    outputs_of,
    read_inputs,
    result_nodes,
    whole_inputs,
)
from convprof.networks.onnx.dims import input_shapes, usual_sizes
from convprof.networks.onnx.element_types import element_notes
from convprof.networks.onnx.importer import Importer
from convprof.networks.onnx.named_tensors import NamedTensors
from convprof.networks.onnx.names import plain
from convprof.networks.onnx.other_files import other_kind
from convprof.networks.onnx.package import decode_error, onnx_package
from convprof.networks.onnx.patterns import replace_patterns
from convprof.networks.onnx.source import source_of
from convprof.networks.onnx.weights import WeightReader, elements, read
from convprof.problems.checks import shown
from convprof.problems.graph import INPUT, Network
from convprof.problems.quantisation import FileScales

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import onnx

    from convprof.networks.onnx.node import Constant
    from convprof.networks.onnx.source import Source
    from convprof.problems.quantisation import Scale

    Array = np.ndarray[Any, Any]


WEIGHTS_NOTE = "weights are not read: they are drawn from the seed"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Imported:
    """A network that was read, and a line for each difference from the file."""

    path: Path
    network: Network
    notes: tuple[str, ...]
    inputs: NamedTensors
    """The file's inputs, which the network's input has."""
    outputs: NamedTensors
    """The file's outputs, which the network's result has."""
    constants: Mapping[str, Mapping[str, Constant]]
    """The weights, none of them read, by node and name in its op."""
    scales: Mapping[str, Scale]
    """Of the activations that the file rounds to bytes, by name of the node."""

    @property
    def weight_elements(self) -> int:
        """How many numbers ``weights`` reads and computes."""
        own = self.constants.values()
        return elements(each for by_name in own for each in by_name.values())

    def quantisation(self) -> FileScales | None:
        """Read the scales of the weights; None where the file rounds no activation to bytes."""
        if not self.scales:
            return None
        reader = WeightReader()
        of_weights = {
            node: np.asarray(reader.array(scale), np.float64).reshape(-1)
            for node, own in self.constants.items()
            if "weight" in own and (scale := own["weight"].scale) is not None
        }
        return FileScales(self.scales, of_weights)

    def weights(self) -> dict[str, dict[str, Array]]:
        """Read the weights and buffers in f32, by node and name; InputError for damaged ones."""
        try:
            return read(self.network, self.constants)
        except InputError as error:
            raise error.at(str(self.path)) from None


def load(path: str | Path, dims: Mapping[str, int], outputs: Sequence[str] = ()) -> Imported:
    """Return the network in an ONNX file; ``dims`` gives the dimensions that it leaves open.

    ``outputs`` names the results, which may be any values in the file; none: all its outputs.

    Weights are not read, so that data kept outside the file need not be there; small constants and
    the order in which a Gather permutes an axis are read, in the file alone. Raises InputError
    naming the file, and the node where there is one, for what cannot be read or has no counterpart
    among convprof's operations.
    """
    try:
        return _load(Path(path), lambda _: dims, outputs)
    except InputError as error:
        raise error.at(str(path)) from None


def load_usual(path: str | Path, mb: int) -> Imported:
    """Return the network in an ONNX file, open dimensions set to usual sizes, which a note names.

    Raises what ``load`` raises.
    """
    chosen: dict[str, int] = {}

    def sizes(source: Source) -> Mapping[str, int]:
        chosen.update(usual_sizes(source, mb))
        return chosen

    try:
        imported = _load(Path(path), sizes)
    except InputError as error:
        raise error.at(str(path)) from None
    named = ", ".join(f"{plain(name)}={number}" for name, number in chosen.items())
    notes = [f"open dimensions are set: {named}"] if chosen else []
    return replace(imported, notes=(*notes, *imported.notes))


def _load(
    path: Path, sizes: Callable[[Source], Mapping[str, int]], outputs: Sequence[str] = ()
) -> Imported:
    source = source_of(read_model(path), path.parent, outputs)
    inputs = NamedTensors(input_shapes(source, sizes(source)))
    file_nodes = list(source.nodes)
    importer = Importer(source, inputs)
    read_inputs(importer, inputs)
    importer.fold()
    replace_patterns(source)
    importer.run(converter)
    check_shapes(source, file_nodes, importer.values, inputs.shapes)
    name = plain(path.stem) or INPUT
    results = outputs_of(importer)
    nodes = result_nodes(importer, results)
    whole = whole_inputs(importer, inputs, nodes)
    network = Network(name, inputs.joined, nodes, importer.ties(nodes), whole)
    notes = (
        *_end_notes(source, inputs, results),
        *importer.notes(),
        *element_notes(source, importer.values, importer.in_own_bits),
    )
    kept = {node.name: importer.weights[node.name] for node in nodes}
    scales = {
        name: scale
        for name, scale in importer.scales.items()
        if scale is not None and name in network.shapes
    }
    return Imported(path, network, notes, inputs, results, kept, scales)


def _end_notes(source: Source, inputs: NamedTensors, outputs: NamedTensors) -> list[str]:
    """Return a line for several inputs, for several outputs, and for outputs that are left out."""
    notes = [
        f"{len(tensors.shapes)} {word}, one after the other in one row: {tensors.text}"
        for word, tensors in (("inputs", inputs), ("outputs", outputs))
        if len(tensors.shapes) > 1
    ]
    if source.left_out:
        names = ", ".join(shown(name) for name in source.left_out)
        notes.append(f"left out: outputs that are not real numbers computed of the input: {names}")
    return notes


# From a path to a parsed model, or one clear line. Data outside the file are not opened here.

LARGEST_FILE = 2**31 - 1
"""Bytes; what a protobuf message can hold."""


def read_model(path: Path) -> onnx.ModelProto:
    """Return the model in a file; InputError when it is none, too large or cannot be read."""
    package = onnx_package()
    data = _bytes(path)
    if not data:
        raise InputError("the file is empty")
    other = other_kind(data)
    if other is not None:
        raise InputError(other)
    try:
        model: onnx.ModelProto = package.load_model_from_string(data)
    except (decode_error(), ValueError, RuntimeError, RecursionError):
        raise InputError("this is not an ONNX model, or it is damaged or truncated") from None
    if not model.HasField("graph") or not model.graph.node:
        raise InputError("this is not an ONNX model: it holds no graph with nodes")
    return model


def _bytes(path: Path) -> bytes:
    """Return what a regular file holds, if it is no longer than a message can be."""
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise InputError("this is a directory; name an ONNX file")
        if not stat.S_ISREG(facts.st_mode):
            raise InputError("this is not a regular file; name an ONNX file")
        if facts.st_size > LARGEST_FILE:
            raise InputError(
                f"the file has {units.size(facts.st_size)}; an ONNX model has less than 2 GiB, "
                "with larger weights in files of their own"
            )
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror or error}") from None
    except ValueError:  # a null byte in the path
        raise InputError("this cannot be a file's name") from None
