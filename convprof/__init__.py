"""Profile convolutions and matrix products on this CPU.

p = convprof.Conv2d(n=1, c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1))
prepared = convprof.prepare(p, strategy="tiled", layout="nhwc", threads=1, dtype="f32")
prepared.bind(x, weights)
prepared.run()
y = prepared.output()

for result in convprof.measure("512x512:512x512", ["packed", "blas"]):
    print(result.strategy, result.time_s.median, result.peak_fraction)

model = convprof.compile("model.onnx", threads=2)
y = model.run({"x": x})["y"]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from convprof.codegen import affinity as _affinity  # noqa: F401 -- before any library: see there
from convprof.version import VERSION as _VERSION

if TYPE_CHECKING:
    from convprof import measure, strategies
    from convprof.api import compile, from_torch, load, prepare  # noqa: A004  # a public name
    from convprof.problems import Attention, Conv2d, Gemm

__version__ = _VERSION

__all__ = [
    "Attention",
    "Conv2d",
    "Gemm",
    "__version__",
    "compile",
    "from_torch",
    "load",
    "measure",
    "prepare",
    "strategies",
]

_HOMES = {
    "Attention": "convprof.problems",
    "Conv2d": "convprof.problems",
    "Gemm": "convprof.problems",
    "compile": "convprof.api",
    "from_torch": "convprof.api",
    "load": "convprof.api",
    "prepare": "convprof.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``convprof --help`` needs none of them."""
    if name in {"strategies", "measure"}:  # the package is the function, see there
        return importlib.import_module(f"convprof.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'convprof' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return list(__all__)
