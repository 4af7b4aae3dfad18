"""The kernels are Python: run uncompiled, each must give the result of its compiled form."""

from __future__ import annotations

import builtins
import importlib
import inspect
import math
import pkgutil

import numpy as np
import pytest

import convprof.strategies
from convprof.codegen.threads import Program, team
from convprof.problems import Conv2d, Gemm
from convprof.strategies import kernels
from convprof.strategies.conv.direct import direct_nchw, loop_dims
from convprof.strategies.conv.geometry import pad_planes, padded_nchw
from convprof.strategies.conv.im2col import swap_outer
from convprof.strategies.offset_gemm import OffsetBlocking, Offsets, offset_gemm


def all_kernels():
    """Return every function of the package with the arguments of a kernel."""
    found = {}
    packages = pkgutil.walk_packages(convprof.strategies.__path__, "convprof.strategies.")
    for info in packages:
        for name, item in vars(importlib.import_module(info.name)).items():
            if inspect.isfunction(item):
                arguments = list(inspect.signature(item).parameters)
                if arguments == ["lo", "hi", "buffers", "dims"]:
                    found[f"{item.__module__}.{name}"] = item
    return {name: item for name, item in found.items() if name.startswith(item.__module__)}


KERNELS = all_kernels()


def whole_numbers(shape, seed=0):
    """Return small whole numbers: their sums of products are exact in any order and with FMA."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def run_plain(kernel, tasks, buffers, dims):
    kernel(0, tasks, [array.ravel() for array in buffers], np.asarray(dims, dtype=np.int64))


def run_compiled(kernel, tasks, buffers, dims):
    pointers = np.array([array.ctypes.data for array in buffers], dtype=np.int64)
    words = np.ascontiguousarray(dims, dtype=np.int64)
    address = kernels.address(kernel, "f32")
    row = (address, 0, tasks, pointers.ctypes.data, words.ctypes.data)
    team(1).run(Program([row], 1))


def both(kernel, tasks, inputs, output, dims):
    """Return what the plain function and what the compiled one make of copies of ``output``."""
    results = []
    for run in (run_plain, run_compiled):
        results.append(output.copy())
        run(kernel, tasks, [*inputs, results[-1]], dims)
    return results


def filled(shape, value=-77):
    return np.full(shape, value, dtype=np.float32)


def test_the_kernels_are_found():
    assert len(KERNELS) >= 14
    names = {name.rpartition(".")[2] for name in KERNELS}
    assert {"direct_nchw", "offset_gemm", "pad_planes", "naive", "swap_outer"} <= names


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_uses_nothing_from_outside_its_body(name):
    code = KERNELS[name].__code__
    # Python's own functions and math never change: numba's disk cache need not notice them
    assert all(
        hasattr(builtins, name) or hasattr(math, name) for name in {*code.co_names} - {"math"}
    )
    assert code.co_freevars == ()
    assert KERNELS[name].__defaults__ is None


@pytest.mark.parametrize("groups", [1, 2])
def test_direct_nchw(groups):
    p = Conv2d(n=2, c=4, h=5, w=6, k=2, r=2, s=3, stride=(2, 1), dilation=(1, 2), groups=groups)
    x, weights = whole_numbers(p.x_shape("nchw")), whole_numbers(p.weight_shape, 1)
    plain, compiled = both(
        direct_nchw, p.n * p.k, [x, weights], filled(p.y_shape("nchw")), loop_dims(p, p.h, p.w)
    )
    np.testing.assert_array_equal(plain, p.reference((x, weights)))
    np.testing.assert_array_equal(compiled, plain)


@pytest.mark.parametrize("g", [Gemm(m=1, n=1, k=1), Gemm(m=9, n=5, k=11, batch=2)])
@pytest.mark.parametrize(
    "blocking", [OffsetBlocking(4, 3, 8), OffsetBlocking(8, 5, 4), OffsetBlocking(12, 9, 100)]
)
def test_offset_gemm(g, blocking):
    a, b = whole_numbers(g.a_shape), whole_numbers(g.b_shape, 1)
    dims = Offsets.dense(g.m, g.n, g.k, g.batch).dims(g.m, g.n, g.k, blocking)
    tasks = blocking.tiles(g.m, g.n, g.batch)
    plain, compiled = both(offset_gemm, tasks, [a, b], filled(g.c_shape), dims)
    np.testing.assert_array_equal(plain, g.reference((a, b)))
    np.testing.assert_array_equal(compiled, plain)


def test_offset_gemm_with_rows_anywhere():
    m, n, t = 6, 4, 7
    a, b = whole_numbers((m, t)), whole_numbers((t, n), 1)
    draw = np.random.default_rng(2)
    a_row, a_col, b_row, c_row = (
        draw.permutation(count) * scale for count, scale in ((m, 7), (t, 1), (t, 10), (m, 9))
    )
    a_far, b_far = np.zeros((m, 7), np.float32), np.zeros((t, 10), np.float32)
    a_far.ravel()[a_row[:, None] + a_col] = a
    b_far[b_row // 10, :n] = b
    zero = np.zeros(1, dtype=np.int64)
    offsets = Offsets(zero, zero, zero, a_row, c_row, a_col, b_row)
    blocking = OffsetBlocking(4, 2, 5)
    plain, compiled = both(
        offset_gemm,
        blocking.tiles(m, n, 1),
        [a_far, b_far],
        filled((m, 9)),
        offsets.dims(m, n, t, blocking),
    )
    np.testing.assert_array_equal(plain[c_row // 9, :n], a @ b)
    np.testing.assert_array_equal(plain[:, n:], -77)  # nothing else is written
    np.testing.assert_array_equal(compiled, plain)


@pytest.mark.parametrize(
    ("stride", "filter_size"),
    [((1, 1), (3, 3)), ((2, 2), (3, 3)), ((3, 2), (3, 2)), ((2, 3), (1, 3)), ((2, 2), (1, 1))],
)
def test_pad_planes_with_stride_phases(stride, filter_size):
    r, s = filter_size
    p = Conv2d(n=2, c=3, h=7, w=5, k=1, r=r, s=s, stride=stride, pad=(2, 1, 1, 3))
    padded = padded_nchw(p, phases=True)
    (stage,) = padded.stages
    x = whole_numbers(p.x_shape("nchw")) + 10
    plain, compiled = both(pad_planes, stage.tasks, [x], filled(padded.shape, 0), stage.dims)

    top, left, bottom, right = p.pads
    whole = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    for phase_h in range(padded.shape[2]):
        for phase_w in range(padded.shape[3]):
            phase = whole[:, :, phase_h :: stride[0], phase_w :: stride[1]]
            rows, columns = phase.shape[2:]
            np.testing.assert_array_equal(plain[:, :, phase_h, phase_w, :rows, :columns], phase)
            assert not plain[:, :, phase_h, phase_w, rows:].any()
            assert not plain[:, :, phase_h, phase_w, :, columns:].any()
    np.testing.assert_array_equal(compiled, plain)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 5), (4, 3, 17)])
def test_swap_outer(shape):
    outer, inner, run = shape
    x = whole_numbers(shape)
    plain, compiled = both(swap_outer, inner, [x], filled((inner, outer, run)), shape)
    np.testing.assert_array_equal(plain, x.transpose(1, 0, 2))
    np.testing.assert_array_equal(compiled, plain)


def test_the_same_kernel_is_compiled_once_per_element_type():
    assert kernels.address(swap_outer, "f32") == kernels.address(swap_outer, "f32")
    assert kernels.address(swap_outer, "f32") != kernels.address(swap_outer, "f64")


def test_the_seconds_of_compiling_are_counted():
    def fill(lo, hi, buffers, dims):
        for task in range(lo, hi):
            buffers[0][task] = dims[0]

    before = kernels.compile_seconds()
    kernels.address(fill, "f32")
    assert kernels.compile_seconds() > before
    out = np.zeros(3, dtype=np.float32)
    run_compiled(fill, 3, [out], [5])
    np.testing.assert_array_equal(out, 5)


@pytest.mark.parametrize(
    ("settings", "changed", "way_out"),
    [
        ({"NUMBA_OPT": "1"}, "NUMBA_OPT=1", "unset it"),
        ({"NUMBA_OPT": "1", "NUMBA_CPU_NAME": "x"}, "NUMBA_OPT=1, NUMBA_CPU_NAME=x", "unset them"),
    ],
)
def test_settings_of_numba_that_change_the_code_are_said(monkeypatch, settings, changed, way_out):
    said = []
    monkeypatch.setattr(kernels.noise, "remark", said.append)
    monkeypatch.setattr(kernels.numba_setup, "deviations", lambda: settings)
    monkeypatch.setattr(kernels, "_compile", lambda *_, **__: None)
    kernels._compiled.__wrapped__(None, "f32")
    (remark,) = said
    assert remark.message == f"loop nests are compiled with {changed}"
    assert remark.hint == f"{way_out} for numba's usual code"
