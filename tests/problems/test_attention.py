from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.dtypes import F32
from convprof.errors import DescriptorError, InputError, ProblemError
from convprof.problems import Attention, attention_from_flags, parse


def test_one_layer():
    p = Attention(batch=2, heads=3, tokens=5, dim=7, name="block0")
    assert (p.kind, p.items, p.shape) == ("attention", 6, (2, 3, 5, 7))
    assert p.macs == 2 * 6 * 5 * 5 * 7
    assert p.flops == 2 * p.macs
    assert p.exponentials == 6 * 25
    assert tuple(spec.shape for spec in p.operands("nchw", F32)) == ((2, 3, 5, 7), (2, 2, 3, 5, 7))
    assert p.result("nhwc", F32).shape == (2, 3, 5, 7)
    assert p.bytes_min(F32) == 4 * 4 * 210
    assert p.dims() == {
        "batch": 2, "heads": 3, "tokens": 5, "dim": 7, "key_heads": 3, "keys": 5, "mask": "none"
    }  # fmt: skip
    assert p.descriptor == 'attention:2x3x5x7n"block0"'
    assert p.with_batch(4).shape == (4, 3, 5, 7)
    assert p.with_batch(4).name == "block0"


def test_the_two_products_equal_vit_b16s():
    p = Attention(batch=1, heads=12, tokens=197, dim=64)
    assert p.macs == 12 * (197 * 197 * 64 + 197 * 64 * 197)


def test_other_keys_and_masks():
    p = parse('attention:2x6x5x7:kv3x9:causal_n"decoder"')
    assert p == Attention(batch=2, heads=6, tokens=5, dim=7, key_heads=3, keys=9, mask="causal")
    assert p.descriptor == 'attention:2x6x5x7:kv3x9:causaln"decoder"'
    assert (p.sharing, p.earlier, p.terms) == (2, 4, 16)
    assert p.exponentials == 2 * 6 * (5 + 6 + 7 + 8 + 9)  # the last query has all 9 keys
    assert p.macs == 2 * 7 * p.exponentials
    shapes = [spec.shape for spec in p.operands("nchw", F32)]
    assert shapes == [(2, 6, 5, 7), (2, 2, 3, 9, 7)]
    masks = {"keys": (2, 1, 1, 9), "pairs": (1, 1, 5, 9)}
    for mask, shape in masks.items():
        added = parse(f"attention:2x6x5x7:kv3x9:{mask}")
        assert added.operands("nchw", F32)[2].shape == shape
        assert added.macs == 2 * 12 * 45 * 7
        assert parse(added.descriptor) == added
    assert parse("attention:1x2x3x4:none").descriptor == "attention:1x2x3x4"


@settings(max_examples=50, derandomize=True)
@given(st.tuples(*[st.integers(1, 3000)] * 4), st.text("ab:_ 1", max_size=5))
def test_the_text_is_read_back(sizes, name):
    batch, heads, tokens, dim = sizes
    p = Attention(batch=batch, heads=heads, tokens=tokens, dim=dim, name=name)
    assert (p, p.name) == (parse(p.descriptor), parse(p.descriptor).name)
    assert p == attention_from_flags("x".join(map(str, sizes)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attention", "write BATCHxHEADSxTOKENSxDIM, e.g. attention:1x12x197x64"),
        ("attention1x1x1x1", "write BATCHxHEADSxTOKENSxDIM, e.g. attention:1x12x197x64"),
        ("attention:", "'': write BATCHxHEADSxTOKENSxDIM, e.g. attention:1x12x197x64"),
        ("attention:1x12x197", "'1x12x197': write BATCHxHEADSxTOKENSxDIM"),
        ("attention:1x12xx64", "'1x12xx64': write BATCHxHEADSxTOKENSxDIM"),
        ("attention:1x12x0x64", "0: every dimension must be between 1 and 2147483647"),
        ("attention:1x12x197x4294967296", "4294967296: every dimension must be between 1"),
        ("attention:1x12x197x64:3", "':3': write BATCHxHEADSxTOKENSxDIM"),
        ("attention:1x12x197x64:casual", ':causal, :keys, :pairs, and n"name" may follow'),
        ("attention:1x12x197x64:causal:kv12x9", "':kv12x9': write BATCHxHEADSxTOKENSxDIM"),
        ("attention:1x12x197x64:kv12", "':kv12': write BATCHxHEADSxTOKENSxDIM"),
        ("attention:1x12x197x64:kv0x9", "0: every dimension must be between 1 and 2147483647"),
        ("attention:1x12x197x64\x1b", "'\\x1b': write BATCHxHEADSxTOKENSxDIM"),
        ('attention:1x1x1x1n"a', "n'\"a': the name's closing quote is missing"),
    ],
)
def test_texts_that_mean_nothing(text, message):
    with pytest.raises(DescriptorError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", ["1x12x197", "1x12x197x64x2", "0x1x1x1", "a", ""])
def test_flags_that_mean_nothing(size):
    with pytest.raises(InputError, match=f"^attention={size}: "):
        attention_from_flags(size)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"dim": 1.5}, "dim=1.5: must be a whole number"),
        ({"mask": "casual"}, "mask 'casual': use one of none, causal, keys, pairs"),
        (
            {"heads": 4, "key_heads": 3},
            "4 heads of queries cannot share 3 heads of keys: write a divisor of 4",
        ),
        (
            {"tokens": 4, "keys": 3, "mask": "causal"},
            "causal attention of 4 queries needs as many keys, or more, not 3",
        ),
        ({"dim": 2**30, "tokens": 2**18}, "K and V of 2x1x1x262144x1073741824: more than 2**48"),
        ({"tokens": 2**25}, "the scores of 1x1x33554432x33554432: more than 2**48 elements"),
    ],
)
def test_impossible_sizes(changes, message):
    with pytest.raises(ProblemError) as caught:
        Attention(**{"heads": 1, "tokens": 1, "dim": 1, **changes})
    assert str(caught.value).startswith(message)
