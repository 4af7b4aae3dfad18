from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof import units
from convprof.units import Unit


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        ([1.0], "s"),
        ([90.0, 2.0], "s"),
        ([0.999], "ms"),
        ([1e-3, 5.0], "ms"),
        ([2e-6, 1e-3], "µs"),
        ([3e-9, 1.0], "ns"),
        ([1e-12], "ns"),
        ([0.0, 2e-3], "ms"),
        ([0.0], "s"),
        ([], "s"),
        (iter([4e-6]), "µs"),
    ],
)
def test_a_column_has_the_largest_unit_without_leading_zeros(seconds, name):
    assert name == units.time_unit(seconds).name


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        ([22e-3, 20e-6, 1e-6], "ms"),
        ([1.2e-3, 1e-6], "µs"),
        ([1.999e-6], "ns"),
        ([2e-6], "µs"),
        ([5.0, 1e-9], "s"),
        ([0.0], "ns"),
        ([], "ns"),
    ],
)
def test_the_largest_value_decides_where_rows_are_shares(seconds, name):
    assert name == units.table_unit(seconds).name


def test_a_unit_scales():
    assert Unit("ms", 1e-3).scale(0.25) == pytest.approx(250)


@given(st.lists(st.floats(1e-9, 1e6), min_size=1))
def test_the_middle_of_a_column_reads_without_leading_zeros(seconds):
    unit = units.time_unit(seconds)
    scaled = sorted(map(unit.scale, seconds))
    assert scaled[len(scaled) // 2] >= 0.999999


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0123, "0.0123"),
        (4.56, "4.56"),
        (4.5678, "4.57"),
        (45.678, "45.7"),
        (789, "789"),
        (789.4, "789"),
        (12345.6, "12,346"),
        (1.0, "1.00"),
        (-4.5678, "-4.57"),
        (1e-5, "0.0000100"),
    ],
)
def test_digits(value, text):
    assert text == units.digits(value)


@pytest.mark.parametrize(("value", "text"), [(9.996, "10.0"), (99.96, "100"), (0.9999, "1.00")])
def test_digits_that_round_up_to_one_more(value, text):
    assert text == units.digits(value)


def test_digits_can_be_fewer_or_more():
    assert units.digits(4.5678, 2) == "4.6"
    assert units.digits(4.5678, 1) == "5"
    assert units.digits(4.5678, 5) == "4.5678"


@given(st.floats(1e-6, 1e12))
def test_digits_keep_the_value(value):
    text = units.digits(value)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.234, "1.23 s"),
        (1.234e-3, "1.23 ms"),
        (12.34e-6, "12.3 µs"),
        (123.4e-9, "123 ns"),
        (0.5e-9, "0.500 ns"),
        (0, "0 s"),
    ],
)
def test_times(seconds, text):
    assert text == units.time(seconds)


@pytest.mark.parametrize(
    ("value", "base", "text"),
    [
        (217.4e9, "FLOP/s", "217 GFLOP/s"),
        (2.88e12, "FLOP/s", "2.88 TFLOP/s"),
        (3.1e9, "Hz", "3.10 GHz"),
        (1e6, "FLOP", "1.00 MFLOP"),
        (1500, "B/s", "1.50 kB/s"),
        (12, "FLOP", "12.0 FLOP"),
        (0, "FLOP", "0 FLOP"),
        (0.5, "FLOP/B", "0.500 FLOP/B"),
    ],
)
def test_si_prefixes(value, base, text):
    assert text == units.si(value, base)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (48 << 10, "48 KiB"),
        (1.5 * (1 << 20), "1.5 MiB"),
        (260 << 20, "260 MiB"),
        (3 << 30, "3 GiB"),
        (1 << 50, "1024 TiB"),
    ],
)
def test_sizes(number, text):
    assert text == units.size(number)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_cannot_be_are_written_as_they_are(value):
    assert units.digits(value) == str(value)
