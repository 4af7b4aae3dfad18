"""The sides of ``compare results``: each argument is a file, a folder or a pattern of names."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convprof.errors import InputError, NotAResultError
from convprof.studies import show

if TYPE_CHECKING:
    from convprof.studies.show import Saved

MOST_FILES = 1000
"""Files of one side; each may have thousands of measurements."""
SUFFIXES = (".json", ".jsonl", ".journal")
"""Of the files that are read in a folder."""


@dataclass(frozen=True)
class Side:
    """What is in the files of one argument."""

    name: str
    """The argument, printable."""
    files: tuple[Saved, ...]
    notes: tuple[str, ...] = ()
    """A line for each file that was left out, or that is incomplete."""


def read(argument: str) -> Side:
    """Return what an argument names; InputError if no file in it is a result."""
    name = argument if argument.isprintable() else repr(argument)
    if not Path(argument).is_dir() and (Path(argument).exists() or not glob.has_magic(argument)):
        saved = show.read(argument)
        return Side(name, (saved,), _notes([saved]))
    paths = _paths(argument)
    if not paths:
        raise InputError(f"{name}: no file there ends with {' or '.join(SUFFIXES)}")
    if len(paths) > MOST_FILES:
        raise InputError(f"{name}: {len(paths):,} files; at most {MOST_FILES:,} are compared")
    return _several(name, paths)


def _paths(argument: str) -> list[str]:
    """Return the files of a folder, or the files whose names match a pattern, in order."""
    folder = Path(argument)
    names = map(str, folder.iterdir()) if folder.is_dir() else glob.iglob(argument)  # noqa: PTH207  # a pattern may be absolute
    return sorted(name for name in names if name.endswith(SUFFIXES) and Path(name).is_file())


def _several(name: str, paths: list[str]) -> Side:
    files, others = [], []
    for path in paths:
        try:
            files.append(show.read(path))
        except NotAResultError as error:
            others.append(str(error))
    if not files:
        more = f" ({len(others)} files are none)" if len(others) > 1 else ""
        raise NotAResultError(f"{others[0]}{more}")
    return Side(name, tuple(files), (*_notes(files), *(f"left out: {text}" for text in others)))


def _notes(files: list[Saved]) -> tuple[str, ...]:
    return tuple(file.note for file in files if file.note is not None)
