"""Weights of 8 and 4 bits in libraries: the same product as the reference."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.dtypes import tolerance
from convprof.machine import software
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import Gemm
from convprof.problems.grouped_weights import CHANNEL, WIDTHS, GroupedWeights
from convprof.strategies import registry
from convprof.strategies.base import Setting
from convprof.strategies.peers import onnx_grouped
from convprof.strategies.peers.unsigned_weights import Unsigned

LIBRARIES = ("onnxruntime", "openvino", "torch")
GROUPED = [
    *(GroupedWeights(dtype, 32) for dtype in WIDTHS),
    *(GroupedWeights(dtype, CHANNEL) for dtype in WIDTHS),
]


def product(of, m=3, k=128):
    return Gemm(m=m, n=32, k=k, grouped_weights=of)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("of", GROUPED, ids=lambda of: f"{of.dtype}-{of.group}")
def test_a_library_gives_the_same_product(library, of):
    g, strategy = product(of), registry.find("gemm", library)
    for dtype in strategy.grouped:
        setting = Setting(dtype=dtype)
        reason = strategy.why_not(g, setting)
        if reason is not None:
            pytest.skip(reason)
        operands = Operands(g, setting.types, 1)
        prepared = strategy.prepare(g, setting)
        prepared.bind(*operands.all("nchw"))
        prepared.run()
        assert max_rel_error(operands, prepared.output(), "nchw") <= tolerance(setting.types, g.k)


@pytest.mark.parametrize(
    ("library", "g", "reason"),
    [
        ("onnxruntime", product(GroupedWeights("int4", CHANNEL), k=96), "groups of a power of two"),
        ("openvino", product(GroupedWeights("int4", 32), k=100), "whole groups, not 100 rows"),
        ("torch", product(GroupedWeights("uint8", 32)), "int8 with a scale per channel only"),
    ],
)
def test_other_groups_are_refused(library, g, reason):
    strategy = registry.find("gemm", library)
    assert reason in strategy.why_not(g, Setting())
    assert strategy.why_not(g, Setting()).startswith(f"{library} takes ")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("1.22.1", "and of 8 bits from version 1.23 on"),
        ("1.23.0", None),
        ("nightly", None),
        (None, None),
    ],
)
def test_older_versions_have_no_weights_of_8_bits(monkeypatch, version, reason):
    monkeypatch.setattr(software, "version", lambda package: version)  # noqa: ARG005
    found = onnx_grouped.why_not(GroupedWeights("int8", 32))
    assert found is None if reason is None else found.endswith(reason)
    assert onnx_grouped.why_not(GroupedWeights("int4", 32)) is None


def test_unsigned_weights_mean_the_same_numbers():
    for dtype in WIDTHS:
        of = GroupedWeights(dtype, 32)
        specs = Gemm(m=1, n=6, k=40, grouped_weights=of).operands("nchw", Setting().types)[1:]
        random = np.random.default_rng(0)
        stored = [
            random.integers(0, 1 << of.bits, s.shape).astype(s.dtype.array_type) for s in specs
        ]
        weights = Unsigned.of(of, stored, 40)
        factors, zeros = (
            np.repeat(each, 32, axis=0)[:40] for each in (weights.scales, weights.zeros)
        )
        expected = of.dequantised(stored, 40)
        np.testing.assert_array_equal((weights.whole.astype(float) - zeros) * factors, expected)


def test_an_odd_number_of_halves_fills_its_last_byte():
    weights = Unsigned(*[np.zeros((1, 1), np.uint8)] * 3, bits=4)
    np.testing.assert_array_equal(weights.packed(np.array([[1, 2, 3]], np.uint8)), [[0x21, 0x03]])
