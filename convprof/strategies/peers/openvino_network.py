"""A whole network in OpenVINO: one compiled model, one inference at a time, on our memory.

As a competent user would run it: batch norms folded and activations fused by the compiler itself,
for the lowest latency, in true f32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from convprof.strategies.peers.exported import ExportedNetwork, ExportedPrepared
from convprof.strategies.peers.openvino import compiled, inference
from convprof.strategies.peers.package import load

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convprof.problems import Problem, Whole
    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]


class OpenvinoNetworkPrepared(ExportedPrepared):
    """A network in a model that OpenVINO compiled."""

    def build(self, exported: bytes, x: Array, y: Array) -> Callable[[], object]:
        """Return the model's inference; compiling it fuses operations and packs the weights."""
        library = load("openvino")
        read = library.Core().read_model(exported)
        made = compiled(library, read, self.setting.threads)
        version, *_ = library.__version__.split("-")  # the rest says from what it was built
        self.explanation = (f"OpenVINO {version}, compiled for latency, in f32",)
        return inference(library, made, x, y)


class OpenvinoNetwork(ExportedNetwork):
    """A whole network in OpenVINO."""

    name: ClassVar[str] = "openvino"
    packages: ClassVar[tuple[str, ...]] = ("openvino", "onnx")
    summary: ClassVar[str] = "OpenVINO: a model compiled for latency, in f32"

    def prepare(self, problem: Problem, setting: Setting) -> Prepared:
        """Import OpenVINO and weigh the weights."""
        whole: Whole = problem  # type: ignore[assignment]  # why_not refused other kinds
        load("openvino")
        return OpenvinoNetworkPrepared(self.name, whole, setting)
