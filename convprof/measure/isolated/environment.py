"""Another environment: a Python with packages of its own, in which contestants compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convprof import cache_folder
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
    apart: bool = False
    """Whether another environment has the same version of convprof in another folder."""

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of its processes, beyond the inherited ones.

        Two working copies of one version would share the stored choices of ``auto``, and so one
        copy would compute what the other copy has chosen.
        """
        folder = cache_folder.temporary() / f"environment-{self.name}"
        return {cache_folder.VARIABLE: str(folder)} if self.apart else {}

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
