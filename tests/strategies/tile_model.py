"""An exact model of the tile instructions of AMX, for CPUs without them (Intel SDM, volume 2).

``Emulated`` compiles the IR of a kernel with the names of the tile intrinsics replaced by the
addresses of functions of the model; nothing else of the IR changes. Each thread has registers of
its own. What the CPU would answer with a fault is noted in ``faults``.
"""

from __future__ import annotations

import ctypes
import re
import threading
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

from convprof.codegen.jit import Module

TILES, ROWS, ROW_BYTES = 8, 16, 64
SMALLEST = np.float32(2.0**-126)
"""The smallest normal f32: what is smaller is flushed to zero."""


def flushed(x):
    """Return f32 numbers with zeros for denormal ones."""
    return np.where(np.abs(x) < SMALLEST, np.copysign(np.float32(0), x), x).astype("f4")


def rounded_sum(total, product):
    """Return the f32 nearest to ``total + product``; the product is exact, in f64.

    The sum in f64 may be rounded once itself. Of a product that f32 holds, the sum in f32 is exact.
    """
    single = product.astype("f4")
    exact = single == product
    total64 = np.where(exact, 0, total).astype("f8")
    both = np.where(exact, total + single, (total64 + product).astype("f4"))
    return flushed(both)


@dataclass
class Registers:
    """The tile registers of one thread."""

    shapes: list = field(default_factory=lambda: [(0, 0)] * TILES)
    """Rows, and bytes of a row."""
    data: np.ndarray = field(default_factory=lambda: np.zeros((TILES, ROWS, ROW_BYTES), "u1"))


class TileModel:
    """Executes tile instructions, counts them, and notes faults."""

    def __init__(self):
        self.threads = {}
        self.counts = {}
        self.faults = []
        self.memory = []
        """The arrays that loads and stores may touch."""
        self.any_memory = False

    @property
    def mine(self):
        return self.threads.setdefault(threading.get_ident(), Registers())

    @property
    def is_released(self):
        """Whether no thread has configured registers."""
        return all(each.shapes == [(0, 0)] * TILES for each in self.threads.values())

    def call(self, name, *operands):
        self.counts[name] = self.counts.get(name, 0) + 1
        try:
            if name in PRODUCTS:
                self.product(name, *operands)
            else:
                getattr(self, name)(*operands)
        except Exception as error:  # noqa: BLE001 -- a callback from machine code must return
            self.faults.append(f"{name}{operands}: {error}")

    def ldtilecfg(self, address):
        raw = ctypes.string_at(address, 64)
        palette, start, sizes, rows = raw[0], raw[1], np.frombuffer(raw, "<u2", 16, 16), raw[48:]
        unused = any(raw[2:16]) or any(sizes[TILES:]) or any(rows[TILES:])
        if palette != 1 or start or unused or max(sizes) > ROW_BYTES or max(rows) > ROWS:
            raise ValueError("general protection")
        if any(bool(n) != bool(size) for n, size in zip(rows, sizes[:TILES], strict=False)):
            raise ValueError("a tile has rows without bytes, or bytes without rows")
        self.threads[threading.get_ident()] = Registers(
            [(rows[i], int(sizes[i])) for i in range(TILES)]
        )

    def tilerelease(self):
        self.threads[threading.get_ident()] = Registers()

    def shape(self, tile):
        rows, size = self.mine.shapes[tile]
        if not rows:
            raise ValueError(f"tile {tile} is not configured")
        return rows, size

    def lines(self, tile, address, stride):
        """Return the address and the bytes of each row of a tile in memory."""
        rows, size = self.shape(tile)
        lines = [(address + row * stride, size) for row in range(rows)]
        spans = [(each.ctypes.data, each.ctypes.data + each.nbytes) for each in self.memory]
        for start, length in lines:
            if not self.any_memory and not any(
                low <= start and start + length <= high for low, high in spans
            ):
                raise ValueError("outside of every array")
        return lines

    def tilezero(self, tile):
        self.shape(tile)
        self.mine.data[tile] = 0

    def tileloadd64(self, tile, address, stride):
        lines = self.lines(tile, address, stride)
        self.mine.data[tile] = 0
        for row, (start, size) in enumerate(lines):
            self.mine.data[tile, row, :size] = np.frombuffer(ctypes.string_at(start, size), "u1")

    def tilestored64(self, tile, address, stride):
        for row, (start, size) in enumerate(self.lines(tile, address, stride)):
            ctypes.memmove(start, self.mine.data[tile, row].tobytes(), size)

    def product(self, name, into, a, b):
        (m, n_bytes), (rows, k_bytes), (k, columns) = map(self.shape, (into, a, b))
        if m != rows or n_bytes != columns or k_bytes != 4 * k or len({into, a, b}) < 3:
            raise ValueError("shapes of tiles differ")
        data = self.mine.data
        left, right = data[a, :m, : 4 * k], data[b, :k, :n_bytes]
        total = data[into, :m, :n_bytes]
        first, second, sums = PRODUCTS[name]
        x = left.copy().view(first).reshape(m, k, -1)
        y = right.copy().view(second).reshape(k, n_bytes // 4, -1)
        before = total.copy().view(sums)
        after = whole_products(x, y, before) if sums == "i4" else float_products(x, y, before)
        total[:] = after.astype(sums).view("u1").reshape(m, n_bytes)


def whole_products(x, y, before):
    """Return ``before (m, n)`` plus the products of ``x (m, k, 4)`` and ``y (k, n, 4)``."""
    return before + np.einsum("mkg,kng->mn", x.astype("i8"), y.astype("i8"))


def float_products(x, y, before):
    """Return ``before (m, n)`` plus the products of ``x (m, k, 2)`` and ``y (k, n, 2)``.

    The even and the odd elements have sums of their own, which are rounded after each product.
    """
    x, y = (flushed(each.astype("f4")).astype("f8") for each in (x, y))
    pairs = np.zeros((*before.shape, 2), "f4")
    for group in range(x.shape[1]):
        pairs = rounded_sum(pairs, x[:, group, None] * y[None, group])
    return flushed(flushed(before) + flushed(pairs[..., 0] + pairs[..., 1]))


PRODUCTS = {
    "tdpbusd": ("u1", "i1", "i4"),
    "tdpbssd": ("i1", "i1", "i4"),
    "tdpbsud": ("i1", "u1", "i4"),
    "tdpbf16ps": (ml_dtypes.bfloat16, ml_dtypes.bfloat16, "f4"),
    "tdpfp16ps": (np.float16, np.float16, "f4"),
}
"""The types of both factors, and of the sums."""
SIGNATURES = {
    "ldtilecfg": "p",
    "tilerelease": "",
    "tilezero": "t",
    "tileloadd64": "tpn",
    "tilestored64": "tpn",
    **dict.fromkeys(PRODUCTS, "ttt"),
}
TYPES = {"p": ctypes.c_void_p, "t": ctypes.c_ubyte, "n": ctypes.c_int64}
CALL = re.compile(r"call void @llvm\.x86\.(\w+)\(")
DECLARATION = re.compile(r"^declare void @llvm\.x86\.(\w+)\(.*\n", re.MULTILINE)


class Emulated(Module):
    """The machine code of a kernel whose tile instructions are calls into a model."""

    model: TileModel
    callbacks: dict

    def __init__(self, ir, without=(), cpu=None):
        tiles = {name for name in CALL.findall(ir) if name in SIGNATURES}
        kept = DECLARATION.sub(lambda found: "" if found[1] in SIGNATURES else found[0], ir)
        super().__init__(CALL.sub(self._called, kept) if tiles else ir, without, cpu)

    @classmethod
    def _called(cls, found):
        if found[1] not in SIGNATURES:
            return found[0]
        address = ctypes.cast(cls.callbacks[found[1]], ctypes.c_void_p).value
        return f"call void inttoptr (i64 {address} to ptr)("


def emulated(model):
    """Return the class of modules that use a model."""

    def callback(name):
        types = [TYPES[letter] for letter in SIGNATURES[name]]
        return ctypes.CFUNCTYPE(None, *types)(lambda *operands: model.call(name, *operands))

    callbacks = {name: callback(name) for name in SIGNATURES}
    return type("Emulated", (Emulated,), {"model": model, "callbacks": callbacks})
