"""Where a command's data goes: tables on stdout, and the files that flags name."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from convprof.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convprof.render.console import Color
    from convprof.results import Document

STDOUT = "-"


@dataclass(frozen=True)
class Outputs:
    """The output flags of a measuring command."""

    paths: dict[str, str]
    """By flag: a file, or ``-`` for stdout."""
    color: Color
    quiet: bool
    forms: Mapping[str, Callable[[Document], str]] = field(default_factory=dict)
    """By flag: what writes the document, where that is not as for every command."""

    @classmethod
    def of(cls, flags: dict[str, Any]) -> Outputs:
        """Read the flags and make sure that every file can be written, before measuring."""
        from convprof.render.files import check_writable

        given = {flag: flags[f"{flag}_path"] for flag in ("json", "csv", "markdown")}
        paths = {flag: path for flag, path in given.items() if path is not None}
        to_stdout = [f"--{flag}" for flag, path in paths.items() if path == STDOUT]
        if len(to_stdout) > 1:
            raise InputError(f"{' and '.join(to_stdout)} cannot both write to stdout: name a file")
        taken: dict[str, str] = {}
        for flag, path in paths.items():
            if path != STDOUT:
                other = taken.setdefault(os.path.realpath(path), flag)
                if other != flag:
                    raise InputError(f"--{flag} {path}: --{other} writes there; name another file")
                check_writable(path, f"--{flag}")
        return cls(paths, flags["color"], flags["quiet"])

    @property
    def tables(self) -> bool:
        """Whether stdout shows tables: not when a flag claims it for its own document."""
        return STDOUT not in self.paths.values()

    def write(self, document: Document) -> None:
        """Write the document in every form asked for."""
        from convprof.render import export
        from convprof.render.files import write_atomically

        forms: dict[str, Callable[[Document], str]] = {
            "json": export.to_json,
            "csv": export.to_csv,
            "markdown": export.to_markdown,
            **self.forms,
        }
        for flag, path in self.paths.items():
            text = forms[flag](document)
            if path == STDOUT:
                click.echo(text, nl=False)
            else:
                write_atomically(path, text)
