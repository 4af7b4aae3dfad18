"""f32 is computed in f32: variables that let a library round operands to fewer bits are unset.

oneDNN, inside PyTorch, OpenVINO and TensorFlow, reads the variable once, when the library is loaded
or first used. No call of PyTorch undoes its effect: ``fp32_precision = "ieee"`` does not change it.
"""

from __future__ import annotations

import os
import sys

from convprof.errors import RefusedError
from convprof.machine import noise

VARIABLES = (
    *("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    "TF_SET_ONEDNN_FPMATH_MODE",
)
"""The variables that oneDNN reads, in this order, and the one of TensorFlow for its oneDNN."""
STRICT = {"", "STRICT"}
ONEDNN_INSIDE = ("torch", "openvino", "tensorflow")

_imported_with: dict[str, str] = {}
"""Libraries that were imported, not by convprof, while a variable was set, and ``NAME=value``."""


def set_aside(package: str) -> None:
    """Remove the variables from the environment before ``package`` is imported, with a remark.

    RefusedError if the calling program has already imported the package.
    """
    for name in VARIABLES:
        value = os.environ.get(name, "")
        if value.strip().upper() in STRICT:
            continue
        del os.environ[name]
        early = {library: f"{name}={value}" for library in ONEDNN_INSIDE if library in sys.modules}
        _imported_with.update(early)
        noise.remark(
            noise.Noise(
                "precision",
                f"{name}={value} was set aside: rows of f32 are computed in f32",
                "to time a library in that mode, use its own benchmark, such as "
                f"benchdnn --attr-fpmath={value.strip().lower()}",
            )
        )
    cause = _imported_with.get(package)
    if cause is not None:
        raise RefusedError(
            f"{package} was imported with {cause}, and computes f32 with fewer bits: "
            f"unset {cause.partition('=')[0]} before Python starts"
        )
