"""A whole network in ONNX Runtime: one session with all optimisations, bound to our memory.

As a competent user would run it: batch norms folded and activations fused by the session itself,
images in its blocked layouts inside, the operators one after the other, each on all threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from convprof.networks.graph import INPUT
from convprof.strategies.peers.exported import ExportedNetwork, ExportedPrepared
from convprof.strategies.peers.onnxruntime import bound, session
from convprof.strategies.peers.package import load

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convprof.problems import Problem, Whole
    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]


class OnnxNetworkPrepared(ExportedPrepared):
    """A network in a session of ONNX Runtime."""

    def build(self, exported: bytes, x: Array, y: Array) -> Callable[[], object]:
        """Return the session's run; loading it optimises the graph and packs the weights."""
        library = load("onnxruntime")
        made = session(library, exported, self.setting.threads)
        result = made.get_outputs()[0].name
        self.explanation = (f"ONNX Runtime {library.__version__}, all graph optimisations",)
        return bound(made, {INPUT: x}, {result: y})


class OnnxNetwork(ExportedNetwork):
    """A whole network in ONNX Runtime."""

    name: ClassVar[str] = "onnxruntime"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx")
    summary: ClassVar[str] = "ONNX Runtime: one session, all graph optimisations"

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Import ONNX Runtime and weigh the weights."""
        whole: Whole = problem  # type: ignore[assignment]  # why_not refused other kinds
        load("onnxruntime")
        return OnnxNetworkPrepared(self.name, whole, setting)
