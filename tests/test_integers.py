"""Rounding up, and blocks of equal size, against definitions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convprof import integers

sizes = st.integers(0, 10_000)
counts = st.integers(1, 300)


@given(st.integers(-(10**30), 10**30), counts)
def test_rounds_up_exactly(dividend: int, divisor: int) -> None:
    assert math.ceil(Fraction(dividend, divisor)) == integers.ceil_div(dividend, divisor)


def test_an_array_is_rounded_up_element_by_element() -> None:
    assert integers.ceil_div(np.array([-4, -2, 0, 1, 3, 4]), 3).tolist() == [-1, 0, 0, 1, 1, 2]


@given(sizes, counts)
def test_the_smallest_multiple(value: int, multiple: int) -> None:
    rounded = integers.round_up(value, multiple)

    assert (rounded % multiple, value <= rounded < value + multiple) == (0, True)


@given(counts, counts)
def test_blocks_are_few_and_as_small_as_that_number_allows(extent: int, most: int) -> None:
    block = integers.even_block(extent, most)
    few = math.ceil(extent / most)

    assert (few, True) == (math.ceil(extent / block), block <= most)
    assert (block - 1) * few < extent


@given(sizes, counts)
def test_parts_follow_each_other_and_differ_by_at_most_one(extent: int, most: int) -> None:
    parts = integers.even_parts(extent, most)
    lengths = [*map(len, parts)] or [0]

    assert list(range(extent)) == list(itertools.chain(*parts))
    assert math.ceil(extent / most) == len(parts)
    assert max(lengths) - min(lengths) <= 1


@given(sizes, counts)
def test_a_split_has_the_number_of_parts(extent: int, parts: int) -> None:
    ranges = integers.split(extent, parts)

    assert (parts, list(range(extent))) == (len(ranges), list(itertools.chain(*ranges)))
