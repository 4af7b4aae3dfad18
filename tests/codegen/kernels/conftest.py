"""A CPU that is not this one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from convprof.codegen import isa as isas
from convprof.codegen.kernels import elements, tile_code, ways


@pytest.fixture
def cpu(monkeypatch):
    """Return a function that makes this CPU another one."""

    def pretend(arch, *features):
        other = SimpleNamespace(arch=arch, has=lambda *names: set(names) <= set(features))
        for module in (isas, ways, elements, tile_code):
            monkeypatch.setattr(module, "target", lambda: other)

    return pretend
