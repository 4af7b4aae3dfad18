"""The page about register and cache tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convprof import units
from convprof.problems import Conv2d, Gemm
from convprof.render.columns import Column
from convprof.render.explain.page import Page, counted
from convprof.render.explain.tile_pictures import images, matrices

if TYPE_CHECKING:
    from rich.console import Console

    from convprof.studies.explain.tile import TilePage, Way, WorkingSet


NEARLY = 0.97
"""Below this share of what a whole tile makes, the page says why."""


def show(console: Console, page: TilePage) -> None:
    """Print the page."""
    out, t, here = Page(console), page.tiling, page.here
    out.title("tile", page.named)
    row, column, step = t.words
    out.prose(
        f"{_part(page)}{counted(t.m, row)} x {counted(t.n, column)}, {counted(t.k, step)}. "
        f"For this machine ({here.isa}, {here.lanes} f32 per vector, {here.registers} vector "
        f"registers) {t.strategy} chooses register tiles of {counted(t.mr, row)} x "
        f"{counted(t.nr, column)} ({counted(t.vectors, 'vector')}) in cache tiles of "
        f"{t.mc:,} x {t.nc:,}, {counted(t.kc, step)} deep."
    )
    if isinstance(page.named, Conv2d):
        images(out, page.named, t)
    if not t.depthwise:
        matrices(out, t)
    _step(out, page)
    flops = f"{page.flops:,} FLOPs"
    out.table(f"What each way reads for {flops}, in f32 elements", WAYS, page.ways)
    assumed = ", assumed" if page.cache_assumed else ""
    out.note(
        f"loads: from cache to registers; fetched: from beyond a cache of "
        f"{units.size(page.cache_bytes)}{assumed}, by a model: what does not fit is read again"
    )
    caches = ", ".join(f"{name} {units.size(size)}" for name, size in here.caches)
    out.table(f"Working sets; the caches here: {caches or 'unknown'}", SETS, page.sets)
    out.lesson(_lesson(page))


def _part(page: TilePage) -> str:
    """Return which part of the problem the page is about, where it is not the whole."""
    p = page.named
    if isinstance(p, Gemm):
        return f"One of {p.batch} products: " if p.batch > 1 else ""
    if not isinstance(p, Conv2d):
        return ""
    parts = [f"one of {p.n} images"] if p.n > 1 else []
    if p.groups > 1 and not page.tiling.depthwise:
        parts.append(f"one of {p.groups} groups")
    return f"{', '.join(parts)}: ".capitalize() if parts else ""


def _step(out: Page, page: TilePage) -> None:
    t, here = page.tiling, page.here
    sums = t.mr * t.vectors
    out.section("One step of a register tile")
    made = f"makes {counted(t.mr * t.nr, 'multiply-add')}"
    if t.depthwise:
        text = (
            f"One tap loads {t.mr} x {t.nr} elements of the input and {t.nr} weights, and "
            f"{made}, each channel by itself"
        )
    else:
        text = (
            f"One step loads {counted(t.mr, 'element')} of A and {t.nr} of B "
            f"({counted(t.vectors, 'vector')}), and {made}: every element of A meets every one of B"
        )
    out.prose(f"{text}. The sums take {sums} of {here.registers} vector registers.")


def _lesson(page: TilePage) -> str:
    t = page.tiling
    untiled, cached, registers = page.ways
    alone = 2 * t.mr * t.nr / (t.mr + t.nr)
    first = (
        f"Register tiles of {t.mr} x {t.nr} make {units.digits(registers.flops_per_load)} FLOPs "
        f"per element loaded instead of {units.digits(untiled.flops_per_load)}"
    )
    if t.depthwise:
        first += ", because only the weights are used again"
    elif registers.flops_per_load < NEARLY * alone:
        first += (
            f", less than the {units.digits(alone)} of a whole tile, because those at the edges "
            "are smaller"
        )
    if cached.fetched < untiled.fetched:
        factor = units.digits(untiled.fetched / cached.fetched)
        second = (
            f"The cache tiles cut what comes from beyond the cache {factor} times, "
            f"to {units.digits(cached.flops_per_fetch)} FLOPs per element fetched"
        )
    else:
        second = (
            "Cache tiles save nothing here, because what is used again fits "
            f"{units.size(page.cache_bytes)} anyway"
        )
    return f"{first}. {second}."


WAYS: list[Column[Way]] = [
    Column("", lambda way: way.label, 1, "left"),
    Column("loads", lambda way: f"{way.loads:,}", 3),
    Column("FLOP/load", lambda way: units.digits(way.flops_per_load), 2),
    Column("fetched", lambda way: f"{way.fetched:,}", 5),
    Column("FLOP/fetch", lambda way: units.digits(way.flops_per_fetch), 4),
]
SETS: list[Column[WorkingSet]] = [
    Column("", lambda one: one.label, 1, "left"),
    Column("elements", lambda one: one.shape, 3),
    Column("size", lambda one: units.size(one.size_bytes), 2),
    Column("fits", lambda one: one.home, 2),
]
