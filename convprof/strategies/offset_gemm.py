"""The blocked matrix product behind ``tiled``, for matrices whose rows may be anywhere.

    c[c_row(i) + j]  =  sum over t of  a[a_row(i) + a_col(t)] * b[b_row(t) + j]

Rows of ``a``, ``b`` and ``c`` are found through tables of offsets. With ``a_row(i) = i * k`` it is
an ordinary product; with the offsets of filter taps it is a convolution read in place from the
padded image, without a patch matrix (Dukhan 2019, The Indirect Convolution Algorithm). Only ``j``
has to be contiguous: output channels in NHWC, pixels in NCHW.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convprof.integers import ceil_div, even_block, round_up
from convprof.strategies.memory import l1_data_bytes
from convprof.strategies.plan import LateTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from convprof.dtypes import DType
    from convprof.strategies.kernels import Buffers, Words

    Table = np.ndarray[Any, np.dtype[np.int64]]

HEAD_WORDS = 7
"""Integers before the tables of offsets: three sizes, the blocking, the batch."""


def offset_gemm(lo: int, hi: int, buffers: Buffers, dims: Words) -> None:  # noqa: C901, PLR0912, PLR0915
    """Compute tasks ``lo`` to ``hi - 1``; a task is one tile of ``c``, ``mc`` rows by ``nc`` columns.

    Four rows of the tile take four steps of the reduction at once: 16 multiply-adds per element of
    ``j`` for 4 loads of ``b`` and 4 updates of ``c``, so few memory operations that the vector
    units are the limit. ``tc`` steps are taken per pass, so that their rows of ``b`` stay in the
    first-level cache for all rows of the tile.
    """  # noqa: E501
    a, b, c = buffers[0], buffers[1], buffers[2]
    m, n, t_end, mc, nc, tc = dims[0], dims[1], dims[2], dims[3], dims[4], dims[5]
    tiles_m = (m + mc - 1) // mc
    tiles_n = (n + nc - 1) // nc
    batch = dims[6]
    a_base = 7
    b_base = a_base + batch
    c_base = b_base + batch
    a_row = c_base + batch
    c_row = a_row + m
    a_col = c_row + m
    b_row = a_col + t_end
    for task in range(lo, hi):
        z = task // (tiles_m * tiles_n)
        i_first = (task // tiles_n) % tiles_m * mc
        j_first = task % tiles_n * nc
        i_end = min(i_first + mc, m)
        width = min(nc, n - j_first)
        a_z = dims[a_base + z]
        b_z = dims[b_base + z] + j_first
        c_z = dims[c_base + z] + j_first
        for i in range(i_first, i_end):
            c0 = c_z + dims[c_row + i]
            for j in range(width):
                c[c0 + j] = 0
        for t_first in range(0, t_end, tc):
            t_last = min(t_first + tc, t_end)
            i = i_first
            while i + 4 <= i_end:
                c0 = c_z + dims[c_row + i]
                c1 = c_z + dims[c_row + i + 1]
                c2 = c_z + dims[c_row + i + 2]
                c3 = c_z + dims[c_row + i + 3]
                r0 = a_z + dims[a_row + i]
                r1 = a_z + dims[a_row + i + 1]
                r2 = a_z + dims[a_row + i + 2]
                r3 = a_z + dims[a_row + i + 3]
                t = t_first
                while t + 4 <= t_last:
                    k0 = dims[a_col + t]
                    k1 = dims[a_col + t + 1]
                    k2 = dims[a_col + t + 2]
                    k3 = dims[a_col + t + 3]
                    b0 = b_z + dims[b_row + t]
                    b1 = b_z + dims[b_row + t + 1]
                    b2 = b_z + dims[b_row + t + 2]
                    b3 = b_z + dims[b_row + t + 3]
                    a00, a01, a02, a03 = a[r0 + k0], a[r0 + k1], a[r0 + k2], a[r0 + k3]
                    a10, a11, a12, a13 = a[r1 + k0], a[r1 + k1], a[r1 + k2], a[r1 + k3]
                    a20, a21, a22, a23 = a[r2 + k0], a[r2 + k1], a[r2 + k2], a[r2 + k3]
                    a30, a31, a32, a33 = a[r3 + k0], a[r3 + k1], a[r3 + k2], a[r3 + k3]
                    for j in range(width):
                        x0, x1, x2, x3 = b[b0 + j], b[b1 + j], b[b2 + j], b[b3 + j]
                        c[c0 + j] = c[c0 + j] + a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
                        c[c1 + j] = c[c1 + j] + a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
                        c[c2 + j] = c[c2 + j] + a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
                        c[c3 + j] = c[c3 + j] + a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3
                    t += 4
                while t < t_last:
                    k0 = dims[a_col + t]
                    b0 = b_z + dims[b_row + t]
                    a00, a10, a20, a30 = a[r0 + k0], a[r1 + k0], a[r2 + k0], a[r3 + k0]
                    for j in range(width):
                        x0 = b[b0 + j]
                        c[c0 + j] = c[c0 + j] + a00 * x0
                        c[c1 + j] = c[c1 + j] + a10 * x0
                        c[c2 + j] = c[c2 + j] + a20 * x0
                        c[c3 + j] = c[c3 + j] + a30 * x0
                    t += 1
                i += 4
            while i < i_end:
                c0 = c_z + dims[c_row + i]
                r0 = a_z + dims[a_row + i]
                t = t_first
                while t + 4 <= t_last:
                    b0 = b_z + dims[b_row + t]
                    b1 = b_z + dims[b_row + t + 1]
                    b2 = b_z + dims[b_row + t + 2]
                    b3 = b_z + dims[b_row + t + 3]
                    a00, a01 = a[r0 + dims[a_col + t]], a[r0 + dims[a_col + t + 1]]
                    a02, a03 = a[r0 + dims[a_col + t + 2]], a[r0 + dims[a_col + t + 3]]
                    for j in range(width):
                        c[c0 + j] = (
                            c[c0 + j]
                            + a00 * b[b0 + j]
                            + a01 * b[b1 + j]
                            + a02 * b[b2 + j]
                            + a03 * b[b3 + j]
                        )
                    t += 4
                while t < t_last:
                    b0 = b_z + dims[b_row + t]
                    a00 = a[r0 + dims[a_col + t]]
                    for j in range(width):
                        c[c0 + j] = c[c0 + j] + a00 * b[b0 + j]
                    t += 1
                i += 1


@dataclass(frozen=True)
class OffsetBlocking:
    """Rows, columns and reduction steps of one tile pass."""

    mc: int
    nc: int
    tc: int

    @classmethod
    def choose(cls, m: int, n: int, batch: int, *, threads: int, b: DType) -> OffsetBlocking:
        """Choose a blocking from the shape, the type of ``b`` and the first-level cache.

        ``nc``: long rows amortise the loads of the 16 scalars; four of them and as many rows of
        ``b`` must stay in L1. ``tc``: half of L1 for the rows of ``b``. ``mc``: enough tiles for
        equal shares of the threads, each as tall as possible.
        """
        nc = even_block(n, 256 * 4 // b.bytes)
        tc = max(8, l1_data_bytes() // 2 // (nc * b.bytes) // 4 * 4)
        columns = batch * ceil_div(n, nc)
        tasks = 1 if threads == 1 else ceil_div(8 * threads, columns)
        mc = even_block(m, max(4, min(128, ceil_div(m, tasks))))
        return cls(mc=round_up(mc, 4), nc=nc, tc=tc)

    def tiles(self, m: int, n: int, batch: int) -> int:
        """Return the number of tasks."""
        return batch * ceil_div(m, self.mc) * ceil_div(n, self.nc)


@dataclass(frozen=True)
class Offsets:
    """The offsets of the matrices' rows and of each batch item, in elements."""

    a_base: Table
    b_base: Table
    c_base: Table
    a_row: Table
    c_row: Table
    a_col: Table
    b_row: Table

    @classmethod
    def dense(cls, m: int, n: int, t: int, batch: int) -> Offsets:
        """Return the offsets of contiguous row-major matrices, one after the other."""
        item, i = np.arange(batch), np.arange(m)
        return cls(
            a_base=item * m * t,
            b_base=item * t * n,
            c_base=item * m * n,
            a_row=i * t,
            c_row=i * n,
            a_col=np.arange(t),
            b_row=np.arange(t) * n,
        )

    def dims(self, m: int, n: int, t: int, blocking: OffsetBlocking) -> Table:
        """Return the kernel's integers: sizes, blocking, batch, then the tables."""
        head = np.array([m, n, t, blocking.mc, blocking.nc, blocking.tc, len(self.a_base)])
        tables = (self.a_base, self.b_base, self.c_base, self.a_row, self.c_row)
        return np.concatenate([head, *tables, self.a_col, self.b_row]).astype(np.int64)


def late_table(
    sizes: tuple[int, int, int, int], blocking: OffsetBlocking, offsets: Callable[[], Offsets]
) -> LateTable:
    """Return the kernel's integers for ``sizes (m, n, t, batch)``, built when they are needed."""
    m, n, t, batch = sizes
    return LateTable(
        HEAD_WORDS + 3 * batch + 2 * (m + t), lambda: offsets().dims(m, n, t, blocking)
    )
