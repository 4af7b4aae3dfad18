"""Conversions between f32 and bytes: every number exactly as ONNX defines it."""

from __future__ import annotations

import numpy as np
import pytest

from convprof.codegen.isa import available
from convprof.measure.operands import Operands, max_rel_error
from convprof.problems import TypeConversion
from convprof.problems.type_conversion import DEQUANTISE, QUANTISE
from convprof.strategies import registry
from convprof.strategies.base import Setting

STRATEGY = registry.find("convert", "quantise")


@pytest.mark.parametrize("isa", available())
@pytest.mark.parametrize("dtype", [QUANTISE, DEQUANTISE])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 1000), (1, 1)], ids=str)
def test_both_directions(shape, dtype, isa):
    problem, setting = TypeConversion(shape=shape), Setting("nhwc", dtype, 1, isa)
    operands = Operands(problem, setting.types, 2)
    prepared = STRATEGY.prepare(problem, setting)
    prepared.bind(*operands.all("nhwc"))
    prepared.run()
    assert prepared.output().dtype == setting.types.result.array_type
    error = max_rel_error(operands, prepared.output(), "nhwc")
    assert error <= (0 if dtype == QUANTISE else 1e-6)


def test_ties_are_rounded_to_even_and_limits_saturate():
    x = np.array([[0.25, 0.75, 1.25, -0.25, 1e30, -1e30, 0.0]], np.float32)
    prepared = STRATEGY.prepare(TypeConversion(shape=x.shape), Setting(dtype=QUANTISE))
    prepared.bind(x, np.array([0.5, 3.0]))
    prepared.run()
    assert prepared.output().tolist() == [[3, 5, 5, 3, 255, 0, 3]]


def test_other_types_are_refused_by_name():
    reason = STRATEGY.why_not(TypeConversion(shape=(1, 2)), Setting(dtype="f32"))
    assert reason == "quantise computes f32:f32:u8 and u8:f32:f32, not f32"
