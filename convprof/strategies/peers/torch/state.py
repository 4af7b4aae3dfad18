"""PyTorch's settings of the whole process, threads and precision: set, and restored."""

from __future__ import annotations

import functools
import threading
import warnings
from typing import TYPE_CHECKING, Any

from convprof.codegen import affinity
from convprof.dtypes import DTYPES
from convprof.errors import RefusedError
from convprof.strategies import forks, openmp
from convprof.strategies.peers.first_use import need_threads
from convprof.strategies.peers.package import load

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


BITS = "int16"
"""The type of the bits of bf16."""


class _Torch:
    """PyTorch in this process."""

    def __init__(self) -> None:
        self.module = load("torch")
        self._current: tuple[int, int] | None = None
        """Threads, and the identity of the Python thread for which they were set."""
        self._restore: list[Callable[[], Any]] = []

    def hold(self, threads: int) -> None:
        """Set PyTorch to ``threads`` and to true f32; costs a comparison when nothing changes."""
        # OpenMP runtimes have separate settings for each Python thread.
        setting = threads, threading.get_ident()
        if setting != self._current:
            if self._current is None:
                self._hold_precision()
                original = self.module.get_num_threads()
                self._restore.append(lambda: self.module.set_num_threads(original))
            self._current = None
            self._set_threads(threads)
            self._current = setting

    def release(self) -> None:
        """Restore the number of threads and the precision of the start."""
        while self._restore:
            self._restore.pop()()
        self._current = None

    def _set_threads(self, threads: int) -> None:
        """Set the number of threads; ``RefusedError`` unless PyTorch then has this number."""
        forks.check("torch", threads)
        need_threads("torch", threads)
        with affinity.restored(threads):
            self.module.set_num_threads(threads)
            actual = self.module.get_num_threads()
            if actual != threads:
                several = "s" if actual > 1 else ""
                raise RefusedError(f"torch runs on {actual} thread{several} here, not {threads}")
            self._restore += openmp.demand("torch", threads, self._openmp)
        forks.note("torch", threads)

    @functools.cached_property
    def _openmp(self) -> list[Any]:
        return openmp.runtimes()

    def _hold_precision(self) -> None:
        """Forbid bf16 and tf32 inside f32 in oneDNN, whatever the process allowed before."""
        backends = self.module.backends.mkldnn
        parts: list[Any] = [getattr(backends, part, None) for part in ("conv", "matmul")]
        modern = [part for part in parts if hasattr(part, "fp32_precision")]  # PyTorch >= 2.9
        for part in modern:
            self._restore.append(
                functools.partial(setattr, part, "fp32_precision", part.fp32_precision)
            )
            part.fp32_precision = "ieee"
        if not modern:
            original = self.module.get_float32_matmul_precision()
            self._restore.append(lambda: self.module.set_float32_matmul_precision(original))
            self.module.set_float32_matmul_precision("highest")


@functools.cache
def torch() -> _Torch:
    """Return PyTorch in this process; ``RefusedError`` if its import fails."""
    return _Torch()


def from_array(array: np.ndarray[Any, Any]) -> Any:
    """Return a tensor that shares an array's memory, and is only read."""
    module = torch().module
    bf16 = array.dtype == DTYPES["bf16"].array_type
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        # NumPy has no bf16 of its own: both sides exchange its bits.
        tensor = module.from_numpy(array.view(BITS) if bf16 else array)
    return tensor.view(module.bfloat16) if bf16 else tensor


def to_array(tensor: Any) -> np.ndarray[Any, Any]:
    """Return the array that shares a tensor's memory."""
    module = torch().module
    array: np.ndarray[Any, Any]
    if tensor.dtype == module.bfloat16:
        array = tensor.view(module.int16).numpy().view(DTYPES["bf16"].array_type)
    else:
        array = tensor.numpy()
    return array
