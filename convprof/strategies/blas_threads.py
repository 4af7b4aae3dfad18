"""Set the number of threads of NumPy's BLAS, and restore it afterwards."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from convprof.codegen import affinity
from convprof.errors import RefusedError
from convprof.strategies import forks, openmp

if TYPE_CHECKING:
    from collections.abc import Callable

_OPENMP = {"openmp", "gnu", "intel"}
"""Threading layers of OpenBLAS and MKL that are OpenMP; others recover from a fork themselves."""


class _Blas:
    """The BLAS libraries loaded in this process and the threads they use now."""

    def __init__(self) -> None:
        from threadpoolctl import ThreadpoolController

        self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self._original: list[Any] = [library.num_threads for library in self._libraries]
        self._current: int | None = None
        self._undo: list[Callable[[], Any]] = []

    def hold(self, threads: int) -> None:
        """Set every BLAS to ``threads``; costs nothing when nothing changes."""
        if threads != self._current:
            self._current = None
            with affinity.restored(threads):
                self._set(threads)
            self._current = threads

    def _set(self, threads: int) -> None:
        """Set every BLAS to ``threads``; ``RefusedError`` where one takes fewer."""
        forks.check("blas", threads)
        for library in self._libraries:
            library.set_num_threads(threads)
            actual = library.num_threads
            if actual < threads:
                name = library.internal_api
                raise RefusedError(f"blas: {name} runs on {actual} threads here, not {threads}")
        if any(getattr(library, "threading_layer", "") in _OPENMP for library in self._libraries):
            self._undo += openmp.demand("blas", threads, openmp.runtimes())
            forks.note("blas", threads)

    def release(self) -> None:
        """Restore the thread counts of the start."""
        for library, threads in zip(self._libraries, self._original, strict=True):
            library.set_num_threads(threads)
        while self._undo:
            self._undo.pop()()
        self._current = None


@functools.cache
def blas() -> _Blas:
    """Return the process's BLAS libraries."""
    return _Blas()
