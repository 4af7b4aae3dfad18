"""Tiles cover the result without overlap where they can; each frequency's tiles are neighbours."""

from __future__ import annotations

import pytest

from convprof.codegen.kernels.winograd_tables import ALGORITHMS
from convprof.problems import Conv2d
from convprof.strategies.conv.winograd_tiles import BlockForm, in_order, lengths, tiles_of


@pytest.mark.parametrize(
    ("extent", "m", "expected"),
    [
        (8, 4, [4, 4]),
        (14, 4, [4, 4, 3, 3]),
        (7, 4, [4, 3]),
        (5, 4, [3, 3]),
        (1, 4, [3]),
        (14, 6, [5, 5, 5]),
        (28, 6, [6, 6, 6, 5, 5]),
        (7, 2, [2, 2, 2, 2]),
    ],
)
def test_narrower_tiles_are_used_where_whole_ones_would_overlap(extent, m, expected):
    assert lengths(extent, ALGORITHMS[m]) == expected


@pytest.mark.parametrize(
    ("m", "size"), [(6, (9, 11)), (4, (14, 7)), (4, (8, 5)), (4, (8, 8)), (2, (5, 4))]
)
def test_the_tiles_of_every_frequency_are_neighbours(m, size):
    p = Conv2d(n=2, c=1, h=size[0], w=size[1], k=1, r=3, s=3, pad=(1, 1))
    tiles = tiles_of(p, (ALGORITHMS[m], ALGORITHMS[m]))
    covered = [
        (t.image, t.row + i, t.column + j)
        for t in tiles
        for i in range(t.m[0])
        for j in range(t.m[1])
    ]
    assert len(covered) == len(set(covered))
    assert {(n, i, j) for n in range(2) for i in range(p.p) for j in range(p.q)} <= set(covered)
    block = in_order(tiles[1:], m)
    assert sorted(block) == sorted(tiles[1:])
    form = BlockForm.of(block, m)
    for down in (False, True):
        for across in (False, True):
            having = [
                place
                for place, tile in enumerate(block)
                if (tile.m[0] == m or not down) and (tile.m[1] == m or not across)
            ]
            assert list(form.rows(down=down, across=across)) == having
