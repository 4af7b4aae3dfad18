"""Functions of one vector, as generated code."""

from __future__ import annotations

import ctypes

import numpy as np

from convprof.codegen import isa
from convprof.codegen.jit import Module
from convprof.codegen.writer import Writer
from convprof.dtypes import find


def computed(write, x, dtype, name):
    """Return what the code of ``write(w, value)`` computes of ``x``, vector by vector."""
    found = isa.find(name)
    lanes = found.lanes(x.itemsize)
    w = Writer(find(dtype), lanes, fused=found.fused)
    w.store(write(w, w.load("%x")), "%y")
    ir = f"{w.declarations()}\ndefine void @f(ptr %x, ptr %y) {{\n{w.taken()}\n  ret void\n}}"
    call = Module(ir, found.without).function("f", None, ctypes.c_void_p, ctypes.c_void_p)
    padded = np.zeros(-(-x.size // lanes) * lanes, x.dtype)
    padded[: x.size] = x
    y = np.empty_like(padded)
    for at in range(0, padded.nbytes, lanes * x.itemsize):
        call(padded.ctypes.data + at, y.ctypes.data + at)
    return y[: x.size]
