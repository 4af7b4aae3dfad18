"""Names of types that users write."""

from __future__ import annotations

import pytest

from convprof import dtypes


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("fp16", "f16"),
        ("FP64", "f64"),
        ("float32", "f32"),
        ("bfloat16", "bf16"),
        ("half", "f16"),
        ("F32", "f32"),
        ("INT8", "int8"),
        ("i8", "int8"),
        ("uint8", "int8"),
        ("int9", "int8"),
        ("u8", "int8"),
        ("s8", "s8:s8:s32"),
        ("u8:s8", "int8"),
        ("uint8:int8:int32", "int8"),
        ("int8:int8", "s8:s8:s32"),
        ("bf16:bf16", "bf16:bf16:f32"),
        ("u8:s8:32", "int8"),
        *((name, None) for name in ("f32", "bf16", "int8", "u8:s8:s32", "f8", "x16", "s32", "")),
    ],
)
def test_what_another_spelling_means(text, meant):
    assert dtypes.suggestion(text) == meant


def test_a_suggestion_is_a_type_that_a_command_takes():
    assert dtypes.hint("fp16") == "did you mean f16?"
    assert dtypes.hint("fp16", dtypes.COMMON) == "use f32 or f64"
    assert dtypes.hint("int9", dtypes.WITH_PEAK) == "did you mean int8?"
    assert dtypes.hint("f8", dtypes.WITH_PEAK) == "use f32, f64, bf16 or int8"
