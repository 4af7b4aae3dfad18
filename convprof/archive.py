"""A list that may grow for days: all but its last items are compressed JSON.

A result takes 2 kB as Python objects and some 200 bytes here. Items are added at the end and read
in order, a few at a time: neither keeping nor writing them needs them all at once.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

PER_CHUNK = 64
"""Items that are compressed together: with fewer, repeated texts take more room."""


class Archive(Collection[T]):
    """Items of JSON types; a derived class says how dataclasses are read from JSON.

    What is read is equal to what was added, but for tuples, which become lists.
    """

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._chunks: list[bytes | list[T]] = []
        self._open: list[T] = []
        self._count = 0
        self.extend(items)

    @staticmethod
    def read(value: Any) -> Any:
        """Return the item that was written as this JSON value."""
        return value

    def append(self, item: T) -> None:
        """Add an item."""
        self._open.append(item)
        self._count += 1
        if len(self._open) >= PER_CHUNK:
            self.compress()

    def extend(self, items: Iterable[T]) -> None:
        """Add items in their order."""
        for item in items:
            self.append(item)

    def __iadd__(self, items: Iterable[T]) -> Self:
        """Add items in their order."""
        self.extend(items)
        return self

    def compress(self) -> None:
        """Compress what is not yet compressed.

        What JSON cannot hold stays as it is: writing it fails, and adding it must not.
        """
        if not self._open:
            return
        try:
            text = json.dumps(self._open, default=_fields, separators=(",", ":"))
            self._chunks.append(zlib.compress(text.encode()))
        except (TypeError, ValueError):
            self._chunks.append(self._open)
        self._open = []

    def __len__(self) -> int:
        """Return the number of items."""
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Yield the items; nothing may be added meanwhile."""
        for chunk in self._chunks:
            if isinstance(chunk, bytes):
                yield from map(self.read, json.loads(zlib.decompress(chunk)))
            else:
                yield from chunk
        yield from self._open

    def __contains__(self, wanted: object) -> bool:
        """Whether an item is equal to another value."""
        return any(item == wanted for item in self)


def _fields(value: Any) -> dict[str, Any]:
    """Return a dataclass's fields; TypeError for another value that JSON does not have."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is not a JSON type")
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
