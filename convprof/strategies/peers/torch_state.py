"""What PyTorch shares process-wide: threads and precision, held and given back."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

from convprof.strategies.peers.package import load

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class _Torch:
    """The process's PyTorch."""

    def __init__(self) -> None:
        self.module = load("torch")
        self._current: int | None = None
        self._restore: list[Callable[[], Any]] = []

    def hold(self, threads: int) -> None:
        """Set PyTorch to ``threads`` and to true f32; costs a comparison when it already is."""
        if threads != self._current:
            if self._current is None:
                self._hold_precision()
                original = self.module.get_num_threads()
                self._restore.append(lambda: self.module.set_num_threads(original))
            self.module.set_num_threads(threads)
            self._current = threads

    def release(self) -> None:
        """Give back the number of threads and the precision found at the start."""
        while self._restore:
            self._restore.pop()()
        self._current = None

    def _hold_precision(self) -> None:
        """Allow oneDNN no bf16 or tf32 inside f32, whatever the process allowed before."""
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
    """Return the process's PyTorch; ``RefusedError`` if it is broken."""
    return _Torch()


def from_array(array: np.ndarray[Any, Any]) -> Any:
    """Return a tensor that shares an array's memory, which nobody will write to through it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch().module.from_numpy(array)
