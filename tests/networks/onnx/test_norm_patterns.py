"""RMS norms that a file writes out in steps."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")

SQUARE, ROOT = "Mul x x s", ["ReduceMean s m axes=-1", "Add m eps a", "Sqrt a r"]
FORMS = {
    "a quotient": [SQUARE, *ROOT, "Div x r n", "Mul n w y"],
    "a reciprocal": ["Pow x two s", *ROOT, "Reciprocal r i", "Mul x i n", "Mul w n y"],
    "one over the root": [SQUARE, *ROOT, "Div one r i", "Mul i x n", "Mul n w y"],
}


@pytest.mark.parametrize("channels", [6, 1])
@pytest.mark.parametrize("form", FORMS)
def test_a_norm_in_steps_is_one_if_each_channel_has_a_weight(
    same_as_runtime, parsed, form, channels
):
    weights = {"eps": np.float32(1e-5), "one": np.float32(1), "two": np.float32(2)}
    weights = {name: each for name, each in weights.items() if f" {name} " in str(FORMS[form])}
    weights["w"] = np.linspace(0.5, 2, channels, dtype=np.float32)
    network = same_as_runtime(list(map(parsed, FORMS[form])), (2, 5, 6), weights)
    kinds = [each.op.kind for each in network.nodes]
    assert (kinds == ["rms norm"]) == (channels == 6)
