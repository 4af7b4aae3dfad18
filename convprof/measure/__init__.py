"""Measuring: operands, verification, the interleaved sampler, the events it yields.

The package is also the public function ``convprof.measure(problem, ...)``: once a package is
imported, Python binds its name in the parent, so a function of that name must be the package.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convprof.results import Measurement


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> list[Measurement]:
        """Time strategies on one problem: see ``convprof.api.measure``."""
        # By name: the function is of a higher floor, which nothing else here depends on.
        result: list[Measurement] = importlib.import_module("convprof.api").measure(*args, **kwargs)
        return result


sys.modules[__name__].__class__ = _CallablePackage
