"""PyTorch as a strategy for whole networks: batch norms folded, then the fastest way."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.errors import ConvprofError, ProblemError
from convprof.networks.fold import fold_weights, folded
from convprof.networks.parameters import elements
from convprof.problems import NetworkProblem
from convprof.problems.graph import INPUT, Network
from convprof.problems.shapes import IMAGE_AXES
from convprof.strategies import memory
from convprof.strategies.base import Prepared, Role, Setting
from convprof.strategies.peers.first_use import first_use
from convprof.strategies.peers.mixed_types import without_mixed
from convprof.strategies.peers.torch.network import COMPILE, QUICK, Built, build
from convprof.strategies.peers.torch.ops import MAKERS
from convprof.strategies.peers.torch.products import TorchLibrary
from convprof.strategies.peers.torch.recurrent import lacks
from convprof.strategies.peers.torch.state import from_array, to_array, torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, Any]
    Tensor = Any
    Weights = Mapping[str, Mapping[str, Array]]

WEIGHT_COPIES = 4
"""The folded weights, in PyTorch's order, packed, and in the optimised graph."""


class TorchNetworkPrepared(Prepared):
    """A network in PyTorch, on the memory of the input that is bound."""

    # PyTorch does not report what it allocates: unknown, not none.
    workspace_bytes = None
    problem: NetworkProblem

    def __init__(
        self, name: str, whole: NetworkProblem, setting: Setting, ways: tuple[str, ...] = QUICK
    ) -> None:
        """Count the bytes of weights and copies; ``TooLargeError`` if they do not fit."""
        self.problem = whole
        self.setting = setting
        network: Network = whole.network
        self._network = network
        self._inner = folded(network)
        needed = (1 + WEIGHT_COPIES) * elements(network) * setting.types.weights.bytes
        memory.require(needed, f"{name} of {whole.descriptor}")
        self._ways = ways
        self._built: Built | None = None
        self._x: Array = np.zeros(0, np.float32)
        self._input: Tensor = None
        self._y: Tensor = None

    def bind(self, x: Array, weights: Weights) -> None:  # type: ignore[override]
        """Take the input in the setting's layout, and the weights by layer and name.

        The first call chooses the way of running it.
        """
        shape = self.problem.operands(self.setting.layout, self.setting.types)[0].shape
        if np.shape(x) != shape:
            raise ProblemError(f"x has shape {np.shape(x)}; this network needs {shape}")
        self._x = np.ascontiguousarray(x, dtype=self.setting.types.source.array_type)
        tensor = from_array(self._x)
        nhwc = self.setting.layout == "nhwc" and INPUT in self._network.images
        self._input = tensor.permute(0, 3, 1, 2) if nhwc else tensor
        folded_weights = fold_weights(self._network, weights)
        with first_use(self, "torch"):
            built = build(
                self._inner, folded_weights, self.setting.threads, self._input, self._ways
            )
        self._ways, self._built = (built.way,), built
        self.prepare_s, self.compile_s = built.prepare_s, built.compile_s
        self.explanation = self.explanation or (built.explanation,)
        self.run()

    def run(self) -> None:
        """Run the network once, on exactly the setting's threads."""
        if self._built is None:
            raise ConvprofError("nothing is bound yet: call bind(x, weights) first")
        torch().hold(self.setting.threads)
        self._y = self._laid_out(self._built.run(self._input))

    def output(self) -> Array:
        """Return the result of the last ``run()``, in the setting's layout."""
        if self._built is None:
            raise ConvprofError("nothing is bound yet: call bind(x, weights) and run() first")
        array = to_array(self._y)
        image = self.problem.gives_image and self.setting.layout == "nhwc"
        return array.transpose(0, 2, 3, 1) if image else array

    def memory(self) -> list[Array]:
        """Return input and result; PyTorch's weights and workspaces are not accessible."""
        return [] if self._built is None else [self._x, self.output()]

    def close(self) -> None:
        """Restore PyTorch's thread count and precision."""
        torch().release()

    def _laid_out(self, y: Tensor) -> Tensor:
        """Return the result in the setting's layout; a copy if its order differs."""
        last = self.problem.gives_image and self.setting.layout == "nhwc"
        if last and y.dim() == IMAGE_AXES:
            return y.contiguous(memory_format=torch().module.channels_last)
        return y.contiguous()


class TorchNetwork(TorchLibrary[NetworkProblem]):
    """A whole network in PyTorch."""

    kind = "network"
    summary = "PyTorch: batch norms folded, channels_last, the fastest of three ways"
    dtypes = ("f32", "bf16")

    def cannot(self, problem: NetworkProblem, setting: Setting) -> str | None:
        """Refuse operations for which PyTorch has no call, and ids of tokens in short floats."""
        return _without_call(self.name, problem, setting)

    def prepare(self, problem: NetworkProblem, setting: Setting) -> Prepared:
        """Import PyTorch and count the bytes of the weights."""
        torch()
        return TorchNetworkPrepared(self.name, problem, setting)


def _without_call(name: str, whole: NetworkProblem, setting: Setting) -> str | None:
    for node in whole.network.nodes:
        if type(node.op) not in MAKERS or lacks(node.op):
            return f"{name} has no call for {node.op.text} ({node.name})"
    return without_mixed(name, whole, setting)


class TorchCompiledNetwork(TorchLibrary[NetworkProblem]):
    """A whole network compiled by ``torch.compile``."""

    name = "torch-compile"
    kind = "network"
    summary = "torch.compile, batch norms folded, weights frozen: slow to prepare"
    dtypes = ("f32",)
    role = Role.COMPILER

    def cannot(self, problem: NetworkProblem, setting: Setting) -> str | None:
        """Refuse what eager calls refuse, and machines without a C++ compiler."""
        reason = _without_call(self.name, problem, setting)
        if reason is not None:
            return reason
        if any(map(shutil.which, (os.environ.get("CXX") or "c++", "g++", "clang++"))):
            return None
        return f"{self.name} needs a C++ compiler: install g++ or set CXX"

    def prepare(self, problem: NetworkProblem, setting: Setting) -> Prepared:
        """Import PyTorch and count the bytes of the weights."""
        torch()
        return TorchNetworkPrepared(self.name, problem, setting, (COMPILE,))
