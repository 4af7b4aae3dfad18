"""Kernels whose assembly is read and which never run."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from weakref import WeakValueDictionary

import pytest

from convprof.codegen import scheduling, tile_list
from convprof.codegen.jit import Module
from convprof.strategies import plan


class Uncompiled(Module):
    """IR and its assembly, without the machine code: half of the time that a module takes."""

    def __init__(self, ir, without=(), cpu=None):
        self._packed_ir = zlib.compress(ir.encode(), 1)
        self.without = tuple(without)
        self._cpu = cpu or scheduling.model().name

    def address(self, name):  # noqa: ARG002
        return 0


@pytest.fixture(scope="module")
def read_only_kernels():
    """Generate register tiles without machine code; none of them stays for other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_list, "Module", Uncompiled)
        patch.setattr(tile_list, "_KERNELS", OrderedDict())
        patch.setattr(plan, "_alive", WeakValueDictionary())
        yield
