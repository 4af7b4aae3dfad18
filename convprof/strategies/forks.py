"""Libraries in a child made by ``fork``: the child has their memory, but not their threads.

libgomp waits for its lost threads for ever. Other libraries continue with the calling thread alone,
and the result would have the label of more threads.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from convprof.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.strategies.base import Prepared

_used: dict[str, int] = {}
"""The most threads that this process used, by library."""
_lost: dict[str, int] = {}
"""The most threads that the parent process used, by library."""
_bound: weakref.WeakKeyDictionary[Prepared, str] = weakref.WeakKeyDictionary()


def check(library: str, threads: int) -> None:
    """Raise RefusedError if the library's threads stayed behind in the parent."""
    lost = _lost.get(library, 1)
    if threads > 1 and lost > 1:
        raise RefusedError(
            f"{library} ran on {lost} threads before this process was forked, and they are not in "
            f"the child: use 1 thread, or multiprocessing's 'spawn'"
        )


def note(library: str, threads: int, prepared: Prepared | None = None) -> None:
    """Remember that the library has threads in this process, and the contestant that uses them."""
    _used[library] = max(threads, _used.get(library, 1))
    if threads > 1 and prepared is not None:
        _bound[prepared] = library


def _after_fork() -> None:
    """Make contestants prepared in the parent refuse to run, without a check in every run."""
    _lost.update(_used)
    _used.clear()
    for prepared, library in list(_bound.items()):
        prepared.run = _refusal(library, prepared.setting.threads)  # type: ignore[method-assign]
    _bound.clear()


def _refusal(library: str, threads: int) -> Callable[[], None]:
    def run() -> None:
        raise RefusedError(
            f"{library} was bound to {threads} threads before this process was forked, and they "
            f"are not in the child: prepare it in the child, with multiprocessing's 'spawn'"
        )

    return run


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
