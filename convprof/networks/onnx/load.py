"""From an ONNX file to a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import InputError
from convprof.networks.graph import INPUT, Network
from convprof.networks.onnx.checking import check_shapes
from convprof.networks.onnx.dims import input_shape
from convprof.networks.onnx.element_types import element_notes
from convprof.networks.onnx.file import read_model
from convprof.networks.onnx.importer import Importer
from convprof.networks.onnx.names import plain
from convprof.networks.onnx.patterns import replace_patterns
from convprof.networks.onnx.source import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping

WEIGHTS_NOTE = "weights are not read: they are drawn from the seed"


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that was read, and one line for everything in which it is not the file's."""

    network: Network
    notes: tuple[str, ...]


def load(path: str | Path, dims: Mapping[str, int]) -> Imported:
    """Return the network in an ONNX file; ``dims`` gives the dimensions that it leaves open.

    Weights are not read, so that data kept outside the file need not be there. Raises InputError
    naming the file, and the node where there is one, for what cannot be read or has no counterpart
    among convprof's operations.
    """
    try:
        return _load(Path(path), dims)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _load(path: Path, dims: Mapping[str, int]) -> Imported:
    source = source_of(read_model(path))
    shape = input_shape(source, dims)
    given = list(source.nodes)
    importer = Importer(source, shape)
    importer.fold()
    replace_patterns(source)
    importer.run()
    check_shapes(source, given, importer.values, shape)
    name = plain(path.stem) or INPUT
    nodes = importer.result()
    network = Network(name, shape, nodes, importer.ties(nodes))
    return Imported(
        network, (*importer.notes(), *element_notes(source, importer.values), WEIGHTS_NOTE)
    )
