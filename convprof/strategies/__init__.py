"""Strategies: named ways of computing a problem. The registry lists them.

The package is also the public function ``convprof.strategies(kind)``: once a package is imported,
Python binds its name in the parent, so a function of that name must be the package itself.
"""

from __future__ import annotations

import sys
from types import ModuleType


class _CallablePackage(ModuleType):
    def __call__(self, kind: str) -> list[str]:
        """Return the names of the strategies for ``conv2d`` or ``gemm``, in ladder order."""
        from convprof.strategies import registry

        return [strategy.name for strategy in registry.strategies(kind)]


sys.modules[__name__].__class__ = _CallablePackage
