"""Several PyTorch calls that compute the same: choose one when bound, then call it."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.strategies.peers.package import LibraryPrepared, fastest
from convprof.strategies.peers.torch.state import from_array, to_array, torch

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convprof.problems import Attention, Backward, Conv2d, Gemm, Trainable
    from convprof.strategies.base import Setting

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Call = Callable[[], Tensor]

UNSUPPORTED = (AttributeError, RuntimeError, TypeError)
"""The errors of operators that this build of PyTorch lacks, or has with other arguments."""


class TorchPrepared(LibraryPrepared):
    """The fastest of several calls of PyTorch on tensors that share our memory."""

    weight_copies: ClassVar[int] = 2  # for the plain call and the packed call

    def __init__(
        self, name: str, problem: Attention | Backward[Trainable] | Conv2d | Gemm, setting: Setting
    ) -> None:
        super().__init__(name, problem, setting)
        self._library = torch()
        self.torch = self._library.module
        self._chosen: int | None = None
        self._call: Call = lambda: None
        self._y: Tensor = None

    def build(self, x: Array, weights: Array) -> None:
        """Convert and pack the weights, then choose a call, the first time only."""
        self._library.hold(self.setting.threads)
        start = time.perf_counter()
        calls = self.calls(from_array(x), from_array(weights))
        self.prepare_s = time.perf_counter() - start
        start = time.perf_counter()  # the first calls compile oneDNN's kernels
        calls = [self.in_layout(call) for call in (calls[0], *filter(_runs, calls[1:]))]
        if self._chosen is None or self._chosen >= len(calls):
            self._chosen = fastest(calls)
        self._call = calls[self._chosen]
        self._y = self._call()
        self.compile_s = time.perf_counter() - start

    @abstractmethod
    def calls(self, x: Tensor, weights: Tensor) -> list[Call]:
        """Return the calls that compute the problem; the first one always works."""

    def in_layout(self, call: Call) -> Call:
        """Return ``call``, with a conversion if its result has another layout."""
        return call

    def run(self) -> None:
        """Call PyTorch on exactly the setting's threads."""
        self._library.hold(self.setting.threads)
        self._y = self._call()

    def result(self) -> Array:
        """Return the result's memory."""
        return to_array(self._y)

    def close(self) -> None:
        """Restore PyTorch's thread count and precision."""
        self._library.release()

    def packed(self, pack: Callable[[], Call]) -> list[Call]:
        """Return the call that ``pack`` makes, if this build of PyTorch has the operators.

        The operators belong to torch.compile, and may change: without them the plain call remains.
        """
        if self.setting.dtype == "f64" or not self.torch.backends.mkldnn.is_available():
            return []
        try:
            return [pack()]
        except UNSUPPORTED:
            return []


def _runs(call: Call) -> bool:
    try:
        call()
    except UNSUPPORTED:
        return False
    return True
