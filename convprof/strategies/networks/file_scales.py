"""Networks whose file has scales: which layers compute in the file's bytes, and why others do not.

A layer computes in bytes where the file rounds all that the layer reads and what the layer gives
to u8 or s8, and stores the weights in s8. The file may round a result once more between a layer
and the sum or the ReLU that is fused with it: that rounding is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.dtypes import F32
from convprof.errors import ProblemError
from convprof.problems.quantisation import ByteWeights
from convprof.problems.requantisation import OUTPUT_AXES
from convprof.strategies.networks.quantised import BYTES, WHOLE, is_limited, keeps_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convprof.networks.steps import Step
    from convprof.problems.graph import Network, Weights
    from convprof.problems.quantisation import FileScales, Scale

    Array = np.ndarray[Any, Any]


class FileLayers:
    """The scales of a file for the steps of a network."""

    def __init__(
        self,
        network: Network,
        steps: Sequence[Step],
        known: FileScales,
        own: Weights,
        renamed: Mapping[str, str],
    ) -> None:
        """``own``: the weights of the steps. ``renamed``: the layers that other nodes fold into."""
        self._scales = _of_folded(known.activations, renamed)
        self._of_weights = known.weights
        _spread(self._scales, network, steps)
        self.reasons: dict[str, str] = {}
        """By name of a layer that computes in f32, what the file lacks."""
        self._in_bytes: set[str] = set()
        for step in steps:
            if step.problem.kind in OUTPUT_AXES:
                reason = self._why_not(step, own)
                if reason is None:
                    self._in_bytes.add(step.name)
                else:
                    self.reasons[step.name] = reason

    def dtype(self, step: Step) -> str:
        """Return the types in which a step computes."""
        return BYTES if step.name in self._in_bytes else WHOLE

    def scales(self, x: Array, weights: Weights, own: Weights) -> Mapping[str, Scale]:
        """Return the scales by name of the result, whatever the input is."""
        del x, weights, own
        return self._scales

    def layer(self, step: Step, own: Mapping[str, Array], source: Scale) -> ByteWeights:
        """Return the weights of a layer in the bytes of the file; ProblemError if they are none."""
        scales = self._of_weights.get(step.name)
        if scales is None:
            raise ProblemError("the file has its weights as real numbers")
        weights = own["weight"].astype(np.float64)
        weights = weights.reshape(step.problem.operands("nchw", F32)[1].shape)
        bias = own["bias"].astype(np.float64) if step.problem.epilogue.bias else None
        return ByteWeights.stored(weights, OUTPUT_AXES[step.problem.kind], bias, source, scales)

    def _why_not(self, step: Step, own: Weights) -> str | None:
        if not is_limited(step.problem):
            return "its activation is no ReLU"
        if any(name not in self._scales for name in step.reads):
            return "the file has no scale of what it reads"
        if step.writes not in self._scales:
            return "the file has no scale of its result"
        try:
            self.layer(step, own[step.name], self._scales[step.reads[0]])
        except ProblemError as error:
            return str(error)
        return None


def _of_folded(scales: Mapping[str, Scale], renamed: Mapping[str, str]) -> dict[str, Scale]:
    """Return the scales of the network in which nodes are folded into layers.

    A layer then gives the result of the last node folded into it, and has the scale of that node.
    """
    last = {layer: name for name, layer in renamed.items()}  # in the order of the network
    kept = {name: s for name, s in scales.items() if name not in renamed and name not in last}
    return kept | {layer: scales[name] for layer, name in last.items() if name in scales}


def _spread(scales: dict[str, Scale], network: Network, steps: Sequence[Step]) -> None:
    """Give scales to what copies and maxima read and give: an element's byte is the same byte.

    Backwards only where nothing else reads the source: others may need more than bytes.
    """
    copies = [step for step in steps if keeps_bytes(step)]
    for step in reversed(copies):
        source = step.reads[0]
        if step.writes in scales and len(network.readers[source]) == 1:
            scales.setdefault(source, scales[step.writes])
    for step in copies:
        if step.reads[0] in scales:
            scales.setdefault(step.writes, scales[step.reads[0]])
