"""A few hundred hostile inputs of each reader; ``tests/benchmarks/fuzz.py`` tries more."""

from __future__ import annotations

import pytest
from hostile import READERS
from hostile_bounds import REFUSED, Reader, TooSlowError, judge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convprof.errors import InputError

INPUTS = 200


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_an_answer_or_one_clear_line(reader, tmp_path):
    if reader.needs:
        pytest.importorskip(reader.needs)

    @settings(
        max_examples=INPUTS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.inputs())
    def every(value):
        judge(reader, value, tmp_path)

    every()


def reading(read):
    return Reader("x", st.none, lambda value, _: read(value))


def raising(error):
    def read(_):
        raise error

    return reading(read)


def test_the_judge_takes_refusals_and_raises_the_rest(tmp_path):
    assert judge(raising(InputError("a clear line")), None, tmp_path) == REFUSED
    for message in ("", "two\nlines", "\x1b[2J"):
        with pytest.raises(AssertionError):
            judge(raising(InputError(message)), None, tmp_path)
    with pytest.raises(KeyError):
        judge(raising(KeyError("x")), None, tmp_path)


def endless(_):
    try:
        while True:
            pass
    except Exception:  # noqa: BLE001  # a reader that takes everything for a broken file
        return False


def test_the_judge_stops_what_takes_too_long(tmp_path, monkeypatch):
    signal = pytest.importorskip("signal")
    if not hasattr(signal, "SIGVTALRM"):
        pytest.skip("this system has no timer of a process")
    monkeypatch.setattr("hostile_bounds.LONGEST_S", 0.05)
    with pytest.raises(TooSlowError):
        judge(reading(endless), None, tmp_path)


def test_the_judge_stops_what_takes_too_much_memory(tmp_path):
    import sys

    if sys.platform != "linux":
        pytest.skip("only Linux limits the address space of a process")
    with pytest.raises(MemoryError):
        judge(reading(lambda _: bytearray(3 << 30)), None, tmp_path)
