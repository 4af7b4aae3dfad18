"""``winograd`` of bytes: results are exact, up to the most channels that it takes."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest

from convprof.codegen.isa import available
from convprof.codegen.kernels.winograd_tables import WHOLE_ALGORITHMS, axes
from convprof.dtypes import DTYPES, PRODUCTS, types
from convprof.machine import facts
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Conv2d
from convprof.problems.epilogue import NO_EPILOGUE, Epilogue
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.conv import winograd
from convprof.strategies.conv.winograd_model import WinogradBlocking
from convprof.strategies.conv.winograd_types import most_channels

WINOGRAD = registry.find("conv2d", "winograd")
BYTES = [name for name in PRODUCTS if types(name).accumulator.is_exact]
S32 = DTYPES["s32"]
THREADS = min(2, facts().topology.usable_cpus)


def error(p, setting, blocking=None):
    operands = Operands(p, setting.types, 5)
    blocking = blocking or WINOGRAD.blockings(p, setting)[0]
    prepared = WINOGRAD.prepare_blocked(p, setting, blocking)
    prepared.bind(*operands.all(setting.layout))
    prepared.run()
    return max_rel_error(operands, prepared.output(), setting.layout)


@pytest.mark.parametrize(
    ("name", "layout"), [*((name, "nhwc") for name in BYTES), ("u8:s8:u8", "nchw")]
)
def test_every_type_with_its_epilogue_and_zero_points(name, layout):
    of = types(name)
    ends = Epilogue.parse("bias,add,relu") if of.requantises else NO_EPILOGUE
    p = Conv2d(n=2, c=19, h=2, w=6, k=21, r=3, s=3, pad=(2, 0, 1, 1), epilogue=ends)
    assert error(p, Setting(layout, name), WinogradBlocking(4, 4)) <= 4 * of.result.epsilon


@pytest.mark.parametrize("m", WHOLE_ALGORITHMS)
@pytest.mark.parametrize("isa", available())
def test_every_instruction_set(isa, m):
    p = Conv2d(c=71, h=7, w=4, k=37, r=3, s=3, pad=(1, 1))
    setting = Setting("nhwc", "u8:s8:u8", THREADS, isa)
    assert error(p, setting, WinogradBlocking(m, 5)) == 0


def test_filters_too_large_for_the_cache_share_out_frequencies(monkeypatch):
    monkeypatch.setattr(winograd, "l2_bytes", lambda: 1 << 12)
    for stride in ((1, 1), (2, 2)):
        p = Conv2d(c=23, h=6, w=4, k=40, r=3, s=3, pad=(1, 1), stride=stride)
        assert error(p, Setting("nhwc", "s8:s8:s32", THREADS)) == 0


def extremes(name, m):
    """Yield images and filters of the numbers that make tiles, filters and sums the largest."""
    whole = WHOLE_ALGORITHMS[m]
    low, high = (0, 255) if name.startswith("u8") else (-128, 127)
    yield np.full((m + 2, m + 2), high), np.full((3, 3), -128)
    yield np.full((m + 2, m + 2), low), np.full((3, 3), -128)
    for i, j in ((0, 0), (1, 1), (0, 1), (m, m + 1)):
        signs = (np.outer(np.sign(of[i]), np.sign(of[j])) for of in (whole.bt, whole.g))
        tile, taps = (each > 0 for each in signs)
        yield np.where(tile, high, low), np.where(taps, 127, -128)


@pytest.mark.parametrize("m", WHOLE_ALGORITHMS)
@pytest.mark.parametrize(("name", "channels"), [("u8:s8:s32", 1827), ("s8:s8:s32", 3640)])
def test_the_largest_sums_of_the_most_channels_are_exact(name, channels, m):
    of = types(name)
    p = Conv2d(c=channels, h=m + 2, w=m + 2, k=2, r=3, s=3)
    prepared = WINOGRAD.prepare_blocked(p, Setting("nhwc", name), WinogradBlocking(m, 1))
    for tile, taps in extremes(name, m):
        x = np.repeat(tile[..., None], channels, axis=2)[None].astype(of.source.array_type)
        weights = np.broadcast_to(taps, p.weight_shape).astype("i1")
        prepared.bind(x, weights)
        prepared.run()
        sums = [[(tile[i : i + 3, j : j + 3] * taps).sum() for j in range(m)] for i in range(m)]
        expected = channels * np.array(sums)
        assert np.array_equal(prepared.output()[0], np.stack([expected] * 2, axis=-1))


@pytest.mark.parametrize("name", BYTES)
def test_every_type_with_a_stride_and_zero_points(name):
    ends = Epilogue.parse("bias,add,relu") if types(name).requantises else NO_EPILOGUE
    p = Conv2d(n=2, c=19, h=9, w=12, k=21, r=3, s=3, pad=(2, 0, 1, 1), stride=(2, 2), epilogue=ends)
    most = 4 * types(name).result.epsilon
    assert error(p, Setting("nhwc", name), WinogradBlocking(4, 4)) <= most


STRIDED = [
    (name, r, stride, m)
    for name, r, stride in (
        ("u8:s8:s32", (3, 3), (2, 2)),
        ("s8:s8:s32", (3, 3), (2, 2)),
        ("u8:s8:s32", (5, 5), (2, 2)),
        ("s8:s8:s32", (7, 7), (2, 2)),
        ("u8:s8:s32", (3, 3), (1, 2)),
    )
    for m in axes(S32, r, stride)
]


@pytest.mark.parametrize(("name", "filters", "stride", "m"), STRIDED)
def test_the_largest_sums_of_strided_filters_are_exact(name, filters, stride, m):
    """Every phase has the signs of a row of its matrices, and every sum the most channels."""
    of = types(name)
    channels = most_channels(of, math.prod(filters))
    both = axes(S32, filters, stride)[m]
    h, w = (each.inputs for each in both)
    p = Conv2d(c=channels, h=h, w=w, k=1, r=filters[0], s=filters[1], stride=stride)
    assert WINOGRAD.why_not(p, Setting("nhwc", name)) is None
    assert WINOGRAD.why_not(replace(p, c=channels + 1), Setting("nhwc", name)) is not None
    prepared = WINOGRAD.prepare_blocked(p, Setting("nhwc", name), WinogradBlocking(m, 1))
    for tile, taps in strided_extremes(name, both):
        x = np.repeat(tile[..., None], channels, axis=2)[None].astype(of.source.array_type)
        prepared.bind(x, np.broadcast_to(taps, p.weight_shape).astype("i1"))
        prepared.run()
        for i in range(m):
            for j in range(m):
                part = tile[stride[0] * i :, stride[1] * j :][: p.r, : p.s]
                assert prepared.output()[0, i, j, 0] == channels * (part * taps).sum()


def strided_extremes(name, both):
    """Yield the numbers that make sums, and the transformed numbers of all phases, the largest."""
    low, high = (0, 255) if name.startswith("u8") else (-128, 127)
    size, taps = tuple(each.inputs for each in both), tuple(each.r for each in both)
    for number in low, high:
        yield np.full(size, number), np.full(taps, -128)
    for place in (0, 1, -2, -1):
        tile = np.outer(*(signs(each, place, "steps", each.inputs) for each in both)) > 0
        weights = np.outer(*(signs(each, place, "g", each.r) for each in both)) > 0
        yield np.where(tile, high, low), np.where(weights, 127, -128)


def signs(algorithm, place, which, size):
    """Return the signs of a row of the matrices of all phases, at the inputs of the phases."""
    found = np.zeros(size)
    for phase in algorithm.phases:
        matrices = getattr(phase, which)
        whole = product(matrices) if which == "steps" else np.array(matrices)
        row = np.sign(whole[place % len(whole)])
        at = slice(phase.first, phase.first + algorithm.stride * len(row), algorithm.stride)
        found[at] = row
    return found


def product(steps):
    return functools.reduce(lambda before, step: np.array(step) @ before, map(np.array, steps))


@pytest.mark.parametrize(
    ("dtype", "note"),
    [("u8:s8:u8", "multiplies u8:s8:u8 in s16"), ("bf16", "multiplies bf16 in f32"), ("f32", None)],
)
def test_the_type_of_the_products_is_noted(dtype, note):
    p = Conv2d(c=8, h=4, w=4, k=8, r=3, s=3)
    assert WINOGRAD.plan(p, Setting("nhwc", dtype)).note == note


def test_more_channels_are_refused():
    p = Conv2d(c=1828, h=8, w=8, k=8, r=3, s=3)
    reason = "winograd is exact in int8 up to 1,827 input channels; got 1,828"
    assert WINOGRAD.why_not(p, Setting("nhwc", "u8:s8:s32")) == reason
    assert WINOGRAD.why_not(p, Setting("nhwc", "s8:s8:s32")) is None
    assert WINOGRAD.why_not(p, Setting("nhwc", "f32")) is None
