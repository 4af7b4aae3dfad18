"""The layers of an ONNX file as problems: ``model.onnx:/layer1/*``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import UnknownNameError
from convprof.networks import named
from convprof.networks.onnx.load import load_usual
from convprof.networks.onnx.names import plain
from convprof.problems.checks import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convprof.problems import Problem


def find(path: str, pattern: str, mb: int) -> tuple[Sequence[Problem], list[str]]:
    """Return the convolutions and products of a file whose names match, and notes on the file.

    Names are as ``network FILE`` shows them. The slash with which exporters begin a name may be
    there or not. Raises what ``load`` raises; UnknownNameError if no layer matches.
    """
    imported = load_usual(path, mb)
    network, file = imported.network, plain(Path(path).name)
    layers = [(node.name, network.problem(node)) for node in network.nodes]
    computed = [(name, problem) for name, problem in layers if problem is not None]
    glob = pattern.removeprefix("/") or "*"
    problems = [
        named(problem, f"{file}:{name}") for name, problem in computed if fnmatchcase(name, glob)
    ]
    if not problems:
        names = [name for name, _ in computed]
        raise UnknownNameError.of(f"convolution or product of {shown(path)}:", pattern, names)
    notes = [f"{file}: {note}" for note in imported.notes]
    return problems, notes
