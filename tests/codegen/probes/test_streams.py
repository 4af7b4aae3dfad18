from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen.isa import ISAS, available
from convprof.codegen.probes.streams import ARRAYS, ITERATION_BYTES, stream_kernel
from convprof.codegen.target import target
from convprof.codegen.threads import Program, Team

WIDTHS = sorted({ISAS[name].bits for name in available()} | {128})
ONE = ITERATION_BYTES // 4
"""Elements of one iteration."""


class Arrays:
    """Aligned arrays of three iterations each, for two members, their slices 4 KiB * 4 apart."""

    SIZE, STRIDE = 3 * ITERATION_BYTES, 16384

    def __init__(self):
        raw = np.zeros(2 * self.STRIDE + 64, dtype=np.uint8)
        skip = -raw.ctypes.data % 64
        self.all = raw[skip : skip + 2 * self.STRIDE].view(np.float32)
        self.all[:] = np.arange(self.all.size)

    def array(self, i, member):
        first = member * self.STRIDE // 4 + i * 3 * ONE
        return self.all[first : first + 3 * ONE]

    def run(self, kernel, *, start, iterations, threads):
        starts = [self.all.ctypes.data + i * self.SIZE for i in range(ARRAYS[kernel.operation])]
        buffers = np.array(starts, dtype=np.int64)
        dims = np.array([self.STRIDE, self.SIZE, start, iterations], dtype=np.int64)
        row = (kernel.address, 0, threads, buffers.ctypes.data, dims.ctypes.data, True)
        team = Team(threads)
        team.run(Program([row], threads))
        team.close()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bits", WIDTHS)
def test_a_copy_goes_around_from_where_it_starts(bits, threads):
    arrays = Arrays()
    before = arrays.all.copy()
    arrays.run(
        stream_kernel("copy", bits), start=2 * ITERATION_BYTES, iterations=2, threads=threads
    )
    for member in range(2):
        a, b = arrays.array(0, member), arrays.array(1, member)
        gone_through = np.r_[0:ONE, 2 * ONE : 3 * ONE] if member < threads else slice(0)
        expected = before[member * arrays.STRIDE // 4 :][3 * ONE : 6 * ONE].copy()
        expected[gone_through] = a[gone_through]
        np.testing.assert_array_equal(b, expected)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("bits", WIDTHS)
def test_a_triad_adds_half_of_the_second(bits, fused):
    arrays = Arrays()
    fused = fused and available() != ("sse",)
    arrays.run(stream_kernel("triad", bits, fused=fused), start=0, iterations=3, threads=1)
    a, b, c = (arrays.array(i, 0) for i in range(3))
    np.testing.assert_array_equal(c, a + np.float32(0.5) * b)


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_store_writes_its_array_and_nothing_else(bits):
    arrays = Arrays()
    before = arrays.all.copy()
    arrays.run(stream_kernel("store", bits), start=ITERATION_BYTES, iterations=1, threads=1)
    before[ONE : 2 * ONE] = 1
    np.testing.assert_array_equal(arrays.all, before)


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_load_writes_nothing(bits):
    arrays = Arrays()
    before = arrays.all.copy()
    arrays.run(stream_kernel("load", bits), start=0, iterations=7, threads=2)
    np.testing.assert_array_equal(arrays.all, before)


@pytest.mark.skipif(target().arch != "x86_64", reason="reads x86 assembly")
@pytest.mark.parametrize("bits", WIDTHS)
def test_the_compiler_removes_no_load_and_the_loop_has_one_branch(bits):
    text = stream_kernel("load", bits).module.assembly()
    register = {128: "%xmm", 256: "%ymm", 512: "%zmm"}[bits]
    loads = [line for line in text.splitlines() if "mova" in line and register in line]
    assert len(loads) == ITERATION_BYTES * 8 // bits
    first, last = text.index(loads[0]), text.rindex(loads[-1])
    assert "\tj" not in text[first:last]


@pytest.mark.parametrize(("operation", "arrays"), ARRAYS.items())
def test_bytes_are_counted_once_per_load_and_store(operation, arrays):
    assert stream_kernel(operation, 128).bytes_per_iteration == arrays * ITERATION_BYTES
