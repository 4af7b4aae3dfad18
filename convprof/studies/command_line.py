"""A command line as a value: its name, its arguments, and its options by parameter."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PROBLEM = (
    "problem", "batch", "mb", "match", "input_", "filters", "kernel", "stride", "pad", "dilation",
    "groups", "gemm", "attention",
)  # fmt: skip
"""Parameters that describe problems."""
FILES = ("json_path", "csv_path", "markdown_path", "report_path", "plot")
"""Parameters that name the files of results."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """``convprof NAME ARGUMENT... OPTION...``."""

    name: str
    """Such as ``compare peers``."""
    arguments: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The words of each parameter: ``{"threads": ("-t", "1,2")}``."""

    def words(self) -> list[str]:
        """Return the words, arguments before options."""
        options = [word for option in self.options.values() for word in option]
        return ["convprof", *self.name.split(), *self.arguments, *options]

    def text(self, *more: str) -> str:
        """Return the line for a POSIX shell, with more words at its end."""
        return shlex.join([*self.words(), *more])

    def only(self, parameters: Collection[str]) -> CommandLine:
        """Return the line with some of its options."""
        return self.without(self.options.keys() - set(parameters))

    def without(self, parameters: Collection[str]) -> CommandLine:
        """Return the line without some options."""
        left = {key: words for key, words in self.options.items() if key not in parameters}
        return replace(self, options=left)

    def value(self, parameter: str) -> str:
        """Return the last word of an option; empty if the option is not on the line."""
        return self.options.get(parameter, ("",))[-1]
