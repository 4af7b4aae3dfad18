"""Another environment: a Python with packages of its own, in which contestants compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof.measure.isolated import PROTOCOL, start

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Environment:
    """A Python, and what it has."""

    name: str
    """A letter, which tables have."""
    python: str
    """The path of the interpreter, as it was given."""
    versions: tuple[tuple[str, str], ...] = ()
    """By program, in the order in which they are printed."""
    modules: tuple[str, ...] = ()
    """The modules of libraries that it can import."""
    folder: str = ""
    """The folder of the convprof that computes in it."""
    lent: bool = False
    """Whether it has no convprof, and uses the one that runs."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command of a process. Isolated: neither the current folder nor ``PYTHONPATH`` counts.

        Both would give all environments the same packages.
        """
        return (self.python, "-I", start.__file__)

    @staticmethod
    def hello(modules: Sequence[str] = (), packages: Sequence[str] = ()) -> dict[str, Any]:
        """Return the first request to a process: which of these it has."""
        names = {"modules": list(modules), "packages": list(packages)}
        return {"do": "hello", "protocol": PROTOCOL, **names}

    def to_json(self) -> dict[str, Any]:
        """Return the fields for a document."""
        return {
            "name": self.name,
            "python": self.python,
            "versions": dict(self.versions),
            "lent": self.lent,
        }
