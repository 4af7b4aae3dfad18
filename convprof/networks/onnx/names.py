"""Names for nodes: the file's where they are unique and can be printed."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from convprof.problems.graph import INPUT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convprof.networks.onnx.node import FileNode

LONGEST = 80
_ODD = re.compile(r"[^A-Za-z0-9_./+-]")
"""What is special to a terminal, a shell, a glob or ``network:layer``."""


def plain(name: str) -> str:
    """Return a name of plain characters, no longer than 80."""
    return _ODD.sub("_", name).strip("/")[:LONGEST]


class Names:
    """Gives every node of a network a name of its own."""

    def __init__(self, nodes: Iterable[FileNode]) -> None:
        counts: Counter[str] = Counter()
        self._bases: dict[int, str] = {}
        named = Counter(node.name for node in nodes if node.name)
        for node in nodes:
            kind = plain(node.kind)
            counts[kind] += 1
            own = plain(node.name) if named[node.name] == 1 else ""
            self._bases[node.number] = own or f"{kind}_{counts[kind]}"
        self._taken = {INPUT}
        self._used: Counter[str] = Counter()

    def of(self, node: FileNode, part: str = "") -> str:
        """Return a new name for a node, or for a part of what it becomes here."""
        own = self._bases.get(node.number, node.name)  # inputs and results are no nodes
        base = own + (f".{part}" if part else "")
        name = base
        while name in self._taken:
            self._used[base] += 1
            name = f"{base}_{self._used[base] + 1}"
        self._taken.add(name)
        return name
