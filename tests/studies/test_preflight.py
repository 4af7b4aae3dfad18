"""What is refused before anything is measured."""

from __future__ import annotations

import pytest

from convprof.errors import RefusedError, TooLargeError, UnknownNameError
from convprof.machine import peaks
from convprof.machine.model import MachineModel
from convprof.problems import Attention, Conv2d, Gemm
from convprof.strategies.base import Setting
from convprof.studies import preflight

CONV = Conv2d(n=1, c=4, h=5, w=5, k=4, r=3, s=3)
PRODUCT = Gemm(m=4, n=4, k=4)


@pytest.fixture
def _peak(monkeypatch):
    def measure(dtype, threads, bits, *, fused):
        rate = 1e11 * threads
        return peaks.Peak("avx512", bits, dtype, threads, rate, None, None, None, fused)

    monkeypatch.setattr(peaks, "measure", measure)


def test_strategies_that_any_of_the_kinds_has():
    preflight.check_strategies(["direct", "naive", "microkernel+passes"], [CONV, PRODUCT])


def test_the_names_that_are_listed():
    with pytest.raises(UnknownNameError) as caught:
        preflight.check_strategies(["foo"], [PRODUCT])
    listed = str(caught.value).partition("known: ")[2].split(", ")
    assert listed[0] == "auto"
    assert listed[-4:] == ["openvino", "tensorflow", "torch", "..."]
    assert not [name for name in listed if name.startswith("halide")]


def test_of_libraries_only_libraries_are_listed():
    with pytest.raises(UnknownNameError, match="unknown library of gemm 'foo': known: blas,") as it:
        preflight.check_strategies(["foo"], [PRODUCT], preflight.LIBRARY)
    assert "naive" not in str(it.value)


def test_who_takes_one_problem_in_one_setting_is_welcome():
    settings = [Setting(threads=1), Setting(threads=2)]
    preflight.check_takers(["direct"], [CONV, PRODUCT], settings, "library")
    with pytest.raises(RefusedError, match=r"^library=direct: direct runs on one thread, not 2$"):
        preflight.check_takers(["direct"], [CONV, PRODUCT], settings[1:], "library")


@pytest.mark.usefixtures("_peak")
def test_hopeless_work():
    most = Gemm(m=10**5, n=10**5, k=10**4)
    preflight.check_work([PRODUCT, most], "f32", [1], MachineModel.here())
    large = Attention(batch=1, heads=12, tokens=10**6, dim=64)
    with pytest.raises(TooLargeError) as caught:
        preflight.check_work([PRODUCT, large], "f32", [1, 2], MachineModel.here())
    assert str(caught.value) == (
        "attention:1x12x1000000x64: 3,072 TFLOP; at 200 GFLOP/s that is 4.3 hours a call; "
        "use a smaller problem"
    )


@pytest.mark.usefixtures("_peak")
@pytest.mark.parametrize(("threads", "time"), [(1, "33 minutes"), (64, "31 seconds")])
def test_less_than_an_hour_is_in_minutes_or_seconds(threads, time):
    large = Gemm(m=10**5, n=10**5, k=10**4 + 1)
    with pytest.raises(TooLargeError, match=f"that is {time} a call"):
        preflight.check_work([large], "f32", [threads], MachineModel.here())
