"""A problem in a line."""

from __future__ import annotations

import pytest

from convprof.measure.report import describe
from convprof.problems import parse
from convprof.render.describe import problem_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1x4x40x16", "attention 1x4x40x16, 6,400 exponentials besides the FLOPs"),
        ("1x4x40x16:causal", "attention 1x4x40x16, causal, 3,280 exponentials besides the FLOPs"),
        ("2x8x1x32:kv1x64:keys", "attention 2x8x1x32, 64 keys in 1 head, a mask of keys, 1,024"),
        ("1x8x3x32:kv2x3:pairs", "attention 1x8x3x32, 3 keys in 2 heads, a mask of pairs, 72"),
    ],
)
def test_attention_says_its_keys_and_its_mask(text, line):
    fields = describe(parse(f"attention:{text}"))
    assert problem_line(fields, "f32").startswith(line)


def test_a_file_of_an_earlier_version_has_sizes_only():
    fields = describe(parse("attention:1x4x40x16"))
    earlier = {key: fields[key] for key in fields if key not in {"keys", "key_heads", "mask"}}
    assert problem_line(earlier, "") == problem_line(fields, "")
