"""Tiles equal the strategies' tiles, and counts equal the sums over the tiles."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from convprof.codegen import isa as isas
from convprof.dtypes import F32
from convprof.errors import InputError, TooLargeError
from convprof.problems import Conv2d, Gemm, LayoutConversion
from convprof.strategies import memory
from convprof.strategies.base import Setting
from convprof.strategies.conv import dense_tiles, register_tiles
from convprof.strategies.conv.microkernel import Microkernel
from convprof.strategies.gemm import packed
from convprof.strategies.gemm.packed import choose
from convprof.studies.explain.here import Here, here
from convprof.studies.explain.tile import tile, ways
from convprof.studies.explain.tiling import CACHE, REGISTER, REST

HERE = Here("avx512", 16, 32, 64, line_assumed=False, caches=(("L1", 49152), ("L2", 2097152)))
CONVOLUTIONS = [
    Conv2d(c=3, h=17, w=19, k=40, r=3, s=3, pad=(1, 1)),
    Conv2d(c=8, h=9, w=9, k=33, r=5, s=3, stride=(2, 1), pad=(2, 1), dilation=(1, 2)),
    Conv2d(c=20, h=12, w=12, k=20, r=3, s=3, pad=(1, 1), groups=20),
    Conv2d(c=4, h=3, w=3, k=4, r=1, s=1, pad=(2, 2)),
]


@pytest.fixture
def _avx512(monkeypatch):
    monkeypatch.setattr(isas, "find", lambda _: isas.ISAS["avx512"])
    for module in (dense_tiles, register_tiles, packed):
        monkeypatch.setattr(module, "l2_bytes", lambda: 2 << 20)


@pytest.mark.parametrize("g", [Gemm(m=100, n=70, k=50), Gemm(m=5, n=300, k=1100, batch=3)])
def test_a_product_has_the_tiles_that_packed_chooses_here(g):
    isa = isas.find("native")
    chosen = choose(g, isa, F32, 1)
    t = tile(g, here()).tiling
    assert (chosen.vectors * isa.lanes(4), chosen.vectors) == (t.nr, t.vectors)
    assert (min(chosen.mc, g.m), min(chosen.kc, g.k)) == (t.mc, t.kc)
    assert t.mr == min(chosen.rows, g.m)


@pytest.mark.parametrize("p", CONVOLUTIONS)
def test_a_convolution_executes_what_microkernel_executes(p):
    prepared = Microkernel().prepare(p, Setting(layout="nhwc"))
    assert prepared.executed_flops() == tile(p, here()).flops


@pytest.mark.usefixtures("_avx512")
def test_loads_of_a_product_are_the_sum_over_its_tiles():
    g = Gemm(m=100, n=70, k=50)
    t = tile(g, HERE).tiling
    counted = sum(
        g.k * (min(t.mr, g.m - i) + min(t.nr, g.n - j))
        for i in range(0, g.m, t.mr)
        for j in range(0, g.n, t.nr)
    )
    assert counted == t.register_loads


@pytest.mark.usefixtures("_avx512")
def test_a_large_product_saves_what_the_tile_promises():
    page = tile(Gemm(m=1008, n=1024, k=1000), HERE)
    untiled, cached, registers = page.ways
    t = page.tiling
    assert (t.mr, t.nr, t.mc, t.nc, t.kc) == (14, 32, 28, 256, 1000)
    assert untiled.flops_per_load == 1
    assert cached.loads == untiled.loads  # the sums of a block are whole: C is written once
    assert registers.flops_per_load == pytest.approx(2 * 14 * 32 / 46, rel=0.02)
    assert cached.fetched * 100 < untiled.fetched
    assert registers.fetched == cached.fetched


@pytest.mark.usefixtures("_avx512")
def test_where_everything_fits_the_cache_there_is_nothing_to_save():
    untiled, cached, _ = tile(Gemm(m=64, n=64, k=64), HERE).ways
    assert untiled.fetched == cached.fetched == 2 * 64 * 64


@pytest.mark.usefixtures("_avx512")
def test_weights_that_do_not_fit_are_read_once_per_block():
    p = Conv2d(c=512, h=14, w=14, k=512, r=3, s=3, pad=(1, 1))
    page = tile(p, HERE)
    blocks = -(-p.p * p.q // page.tiling.mc)
    assert page.ways[1].fetched == 512 * 14 * 14 + blocks * 9 * 512 * 512


@pytest.mark.parametrize("p", CONVOLUTIONS)
@pytest.mark.usefixtures("_avx512")
def test_the_pixels_of_a_tile_read_what_their_windows_read(p):
    t = tile(p, HERE).tiling
    expected = set()
    for i, j in t.images.pixels.tolist():
        for r in range(p.r):
            for s in range(p.s):
                y = i * p.stride[0] + r * p.dilation[0] - p.pads[0]
                x = j * p.stride[1] + s * p.dilation[1] - p.pads[1]
                if 0 <= y < p.h and 0 <= x < p.w:
                    expected.add((y, x))
    assert expected == set(map(tuple, t.images.read.tolist()))
    assert t.mr <= 32
    assert np.array_equal(t.tile_rows, t.images.pixels[:, 0] * p.q + t.images.pixels[:, 1])


@pytest.mark.usefixtures("_avx512")
def test_the_picture_marks_the_tile_the_block_and_the_rest():
    picture = tile(Gemm(m=336, n=1024, k=1000), HERE).tiling.picture(24, 32, 8)
    assert (picture.m.each, picture.n.each, picture.k.each) == (7, 16, 125)
    row = [*[CACHE] * 2, *[REGISTER] * 2, *[CACHE] * 12, *[REST] * 16]
    assert picture.c[2].tolist() == picture.c[3].tolist() == row
    assert picture.c[4:].tolist() == [[REST] * 32] * (len(picture.c) - 4)
    assert picture.a[2].tolist() == [REGISTER] * 8
    assert picture.b[:, 2].tolist() == [REGISTER] * 8
    assert picture.b[0, 0] == CACHE


@pytest.mark.parametrize("cells", [(1, 1, 1), (5, 7, 3), (100, 100, 100)])
@pytest.mark.parametrize("p", CONVOLUTIONS[:2])
@pytest.mark.usefixtures("_avx512")
def test_any_picture_keeps_its_limits_and_shows_the_tile(p, cells):
    picture = tile(p, HERE).tiling.picture(*cells)
    assert (picture.m.cells, picture.n.cells, picture.k.cells) <= cells or max(cells) > 7
    for marks in (picture.a, picture.b, picture.c):
        assert (marks == REGISTER).any()


def test_homes_follow_the_caches():
    known = tile(Gemm(m=64, n=64, k=64), HERE)
    assert {"registers", "L1"} >= {found.home for found in known.sets}
    unknown = tile(Gemm(m=64, n=64, k=64), dataclasses.replace(HERE, caches=()))
    assert {"registers", "unknown"} == {found.home for found in unknown.sets}
    assert unknown.cache_assumed
    tiny = tile(Gemm(m=640, n=640, k=640), dataclasses.replace(HERE, caches=(("L1", 64),)))
    assert tiny.sets[-1].home == "memory"


def test_a_smaller_cache_never_fetches_less():
    t = tile(Gemm(m=640, n=640, k=640), HERE).tiling
    fetched = [[way.fetched for way in ways(t, 1 << bits)] for bits in (10, 16, 20, 23)]
    assert fetched == sorted(fetched, reverse=True)


def test_what_is_too_large_to_list_is_refused_first(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 20)
    with pytest.raises(TooLargeError, match="listing the tiles of mb1ic1ih3000"):
        tile(Conv2d(c=1, h=3000, w=3000, k=1, r=3, s=3), HERE)


def test_what_multiplies_nothing_is_refused():
    with pytest.raises(InputError, match="multiplies nothing"):
        tile(LayoutConversion(n=1, c=2, h=3, w=4), HERE)
