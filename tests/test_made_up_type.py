"""A made-up type passes through ``run`` with a row of the table and a strategy.

What a real type touches besides is in docs/strategies.md.
"""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest

from convprof.cli import main
from convprof.dtypes import DTYPES, DType, tolerance, types
from convprof.errors import InputError
from convprof.machine import peaks
from convprof.machine.peaks import Peak
from convprof.problems import Gemm
from convprof.strategies import registry
from convprof.strategies.base import Prepared, Strategy
from convprof.studies import ceilings, reading, sysinfo

TYPES = {
    "t16": DType("t16", "float16", "", 2, "f32", 2.0**-11, -6e4),
}
P = Gemm(m=5, n=6, k=70)
OPERANDS, RESULT = 5 * 70 + 70 * 6, 5 * 6


class Typed(Prepared):
    """One NumPy product in the accumulator's type."""

    def __init__(self, problem, setting, factor):
        self.problem, self.setting, self._factor = problem, setting, factor

    def bind(self, *operands):
        names = [spec.dtype.numpy for spec in self.problem.operands("nchw", self.setting.types)]
        assert [str(array.dtype) for array in operands] == names
        self._operands = operands

    def run(self):
        of = self.setting.types
        a, b = (array.astype(of.accumulator.numpy) for array in self._operands)
        self._y = (a @ b * self._factor).astype(of.result.numpy)

    def output(self):
        return self._y


class Made(Strategy):
    name: ClassVar[str] = "made"
    kind: ClassVar[str] = "gemm"
    summary: ClassVar[str] = "NumPy in any type"
    dtypes: ClassVar[tuple[str, ...]] = ("t16", "s8:s8:s32")
    factor = 1

    def prepare(self, problem, setting):
        return Typed(problem, setting, self.factor)


@pytest.fixture(autouse=True)
def made(monkeypatch):
    for name, dtype in TYPES.items():
        monkeypatch.setitem(DTYPES, name, dtype)
    strategy, known = Made(), registry._all()
    monkeypatch.setattr(registry, "_all", lambda: (*known, strategy))
    return strategy


@pytest.fixture
def run(capsys, tmp_path):
    """Return a function that runs the command: exit status, all that is printed, the document."""

    def call(dtype, *more):
        path = tmp_path / "result.json"
        words = ["run", P.descriptor, "--dtype", dtype, "-s", "made", "-t", "1"]
        with pytest.raises(SystemExit) as end:
            main([*words, "--budget", "0.002", "--json", str(path), *more])
        printed = capsys.readouterr()
        document = json.loads(path.read_text()) if path.exists() else None
        return end.value.code, printed.out + printed.err, document

    return call


@pytest.mark.parametrize(
    ("dtype", "sizes", "limit"),
    [
        ("t16", (2, 2), 2 * 2**-11 + 2**7 * 70**0.5 * 2**-24),
        ("s8:s8:s32", (1, 4), 0),
    ],
)
def test_a_row_of_the_table_and_a_strategy_are_enough_to_run(dtype, sizes, limit, run):
    status, printed, document = run(dtype)
    assert status == 0, printed
    assert dtype in printed
    assert "made" in printed
    (record,) = document["measurements"]
    assert (record["status"], record["dtype"], record["strategy"]) == ("ok", dtype, "made")
    assert record["bytes_min"] == OPERANDS * sizes[0] + RESULT * sizes[1]
    assert record["bytes_moved"] == record["bytes_min"]
    assert record["max_rel_error"] <= limit == tolerance(types(dtype), P.terms)
    assert (record["peak_fraction"] is not None) == types(dtype).has_peak
    assert reading.measurement(record).dtype == dtype
    peaks_ = document["ceilings"]["peaks"]
    assert {each["dtype"] for each in peaks_} == ({dtype} if types(dtype).has_peak else set())


def test_peaks_are_of_types_with_kernels(monkeypatch):
    asked = []

    def measure(dtype, threads, bits, *, fused):
        asked.append(dtype)
        return Peak("x", bits, dtype, threads, 1e9, 1e9, 1.0, 1, fused)

    monkeypatch.setattr(peaks, "measure", measure)
    monkeypatch.setattr(ceilings.bandwidth, "measure", lambda threads: iter(()))  # noqa: ARG005
    assert "t16" in DTYPES
    list(ceilings.Measured([1], again=True).steps())
    shown = {peak["dtype"] for peak in sysinfo.gather()["ceilings"]["peaks"]}
    assert set(asked) == shown == {"f32", "f64", "bf16", "u8:s8:s32"}


def test_whole_numbers_that_are_a_little_wrong_are_wrong(made, run):
    made.factor = 1 + 2**-6
    status, _, document = run("s8:s8:s32")
    assert status == 3
    assert document["measurements"][0]["status"] == "wrong"


def test_other_strategies_refuse_the_type_by_name(run):
    _, printed, _ = run("t16", "-s", "unrolled")
    assert "unrolled computes f32 and f64, not t16" in printed


@pytest.mark.parametrize("text", ["x16", "f32:x16:f32", "f32:f32", "f32:f32:f32:f32", ""])
def test_a_type_that_is_in_no_table_is_refused(text, run):
    with pytest.raises(InputError, match=r"dtype '"):
        types(text)
    status, printed, document = run(text)
    assert (status, document) == (2, None)
    three = "use three of f32, f64, bf16, f16, s32, s8, u8 and t16, such as u8:s8:s32"
    every = "use f32, f64, bf16, f16, t16, int8 or SOURCE:WEIGHTS:RESULT such as u8:s8:s32"
    assert f"--dtype {text}: {three if text == 'f32:x16:f32' else every}" in printed


def test_a_mixture_of_one_is_that_one():
    assert types("f32:f32:f32") == types("f32")
    assert types("f32:f32:f32").name == "f32"
    assert types("s8:s8:f32").name == "s8:s8:f32"
    assert types("s8:s8:f32").accumulator is DTYPES["s32"]
    assert types("s8:s8:f32").uniform is None


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_the_tolerance_grows_with_the_sum_up_to_a_limit(dtype):
    limits = [tolerance(types(dtype), terms) for terms in (1, 9, 4608, 10**6, 10**9)]
    assert limits == sorted(limits)
    assert limits[0] < 1e-4
    assert limits[-1] < 1e-3
    assert np.finfo(DTYPES[dtype].numpy).eps / 2 == DTYPES[dtype].epsilon
