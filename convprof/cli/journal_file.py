"""The file that a command appends to while it measures."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

from convprof.cli.outputs import STDOUT

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def journal_path(path: str | None) -> Iterator[str]:
    """Yield the file that was named; a temporary one without a name, and for stdout."""
    if path not in (None, STDOUT):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="convprof-") as folder:
        yield os.path.join(folder, "journal.jsonl")  # noqa: PTH118
