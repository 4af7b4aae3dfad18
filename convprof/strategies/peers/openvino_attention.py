"""OpenVINO's attention: a compiled model of one operation with three inputs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from convprof.dtypes import SHORT_FLOATS
from convprof.problems import Attention
from convprof.problems.attention import CAUSAL
from convprof.strategies.peers.openvino import OpenvinoPrepared, compiled, inference
from convprof.strategies.peers.package import Library

if TYPE_CHECKING:
    import numpy as np

    from convprof.strategies.base import Prepared, Setting

    Array = np.ndarray[Any, Any]

COMPUTING = frozenset(("Subgraph", "ScaledDotProductAttention", "MHA", "MatMul"))
"""The layers of a compiled model that compute attention; which ones depends on version and CPU."""


class OpenvinoAttentionPrepared(OpenvinoPrepared):
    """A model of one operation with three inputs."""

    problem: Attention
    weight_copies: ClassVar[int] = 0

    def build(self, x: Array, weights: Array) -> None:
        """Compile the model; K and V are views of the second operand."""
        start = time.perf_counter()
        inputs = [x, *weights, *self.more]
        parameters = [self._forms.parameter(each.shape) for each in inputs]
        causal = self.problem.mask == CAUSAL
        attended = self._operations.scaled_dot_product_attention(*parameters, causal=causal)
        model = self._openvino.Model([attended], parameters, "convprof")
        executable = compiled(model, self.setting.threads)
        self._call = inference(self._openvino, executable, inputs, self._y)
        self._call()
        self.compile_s = time.perf_counter() - start
        self.note = self._forms.note(executable, COMPUTING)


class OpenvinoAttention(Library[Attention]):
    """OpenVINO's scaled dot product attention."""

    name = "openvino"
    kind = "attention"
    summary = "OpenVINO: a compiled model of scaled_dot_product_attention"
    packages: ClassVar[tuple[str, ...]] = ("openvino",)
    dtypes = ("f32", *SHORT_FLOATS)

    def cannot(self, problem: Attention, setting: Setting) -> str | None:
        """Refuse what is more than one operation of OpenVINO."""
        if problem.sharing > 1:
            return f"openvino needs keys for each head; here {problem.sharing} heads share keys"
        if problem.mask == CAUSAL and problem.earlier:
            sizes = f"{problem.keys} keys and {problem.tokens} queries"
            return f"openvino needs as many keys as queries for a causal mask; here {sizes}"
        return super().cannot(problem, setting)

    def prepare(self, problem: Attention, setting: Setting) -> Prepared:
        """Import OpenVINO and allocate the result."""
        return OpenvinoAttentionPrepared(self.name, problem, setting)
