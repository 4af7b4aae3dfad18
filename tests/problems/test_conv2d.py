from __future__ import annotations

import json

import pytest

from convprof.dtypes import F32
from convprof.errors import ProblemError
from convprof.problems import Conv2d

BASE = {"c": 64, "h": 56, "w": 56, "k": 64, "r": 3, "s": 3}


def conv(**changes) -> Conv2d:
    return Conv2d(**{**BASE, **changes})


def test_a_resnet_layer():
    p = conv(pad=(1, 1))
    assert (p.kind, p.p, p.q) == ("conv2d", 56, 56)
    assert p.macs == 56 * 56 * 64 * 64 * 9
    assert 2 * p.macs == p.flops
    assert p.x_shape("nchw") == (1, 64, 56, 56)
    assert p.x_shape("nhwc") == (1, 56, 56, 64)
    assert p.weight_shape == (64, 64, 3, 3)
    assert p.bytes_min(F32) == 4 * (64 * 64 * 9 + 2 * 64 * 56 * 56)


def test_y_shape_differs_from_x_shape():
    p = conv(k=32, w=60, stride=(2, 1))
    assert p.y_shape("nchw") == (1, 32, 27, 58)
    assert p.y_shape("nhwc") == (1, 27, 58, 32)


def test_unknown_layout():
    with pytest.raises(ProblemError, match="layout='chwn': use nchw or nhwc"):
        conv().x_shape("chwn")


def test_groups():
    depthwise = conv(groups=64)
    assert (depthwise.is_depthwise, depthwise.cg, depthwise.kg) == (True, 1, 1)
    assert depthwise.weight_shape == (64, 1, 3, 3)
    assert depthwise.macs == 54 * 54 * 64 * 9
    assert not conv(c=1).is_depthwise
    assert conv(r=1, s=1, stride=(2, 2)).is_pointwise


def test_strided_pointwise_reads_a_quarter_of_its_input():
    p = conv(r=1, s=1, stride=(2, 2))
    assert p.bytes_min(F32) == 4 * (64 * 64 + 2 * 64 * 28 * 28)


def test_dilated_output_size():
    assert conv(dilation=(2, 2)).p == 52


def test_lists_become_tuples_and_symmetric_padding_a_pair():
    p = conv(stride=[2, 2], pad=[1, 2, 1, 2], dilation=[1, 1])
    assert (p.stride, p.pad, p.pads) == ((2, 2), (1, 2), (1, 2, 1, 2))
    assert {p} == {conv(stride=(2, 2), pad=(1, 2))}


def test_asymmetric_padding_is_kept():
    p = conv(pad=(0, 1, 2, 1))
    assert (p.pads, p.p, p.q) == ((0, 1, 2, 1), 56, 56)
    assert p.pad == p.pads


def test_padding_that_no_tap_reaches_is_immaterial():
    resnet = conv(c=3, h=224, w=224, r=7, s=7, stride=(2, 2), pad=(3, 3))
    assert resnet == conv(c=3, h=224, w=224, r=7, s=7, stride=(2, 2), pad=(3, 3, 2, 2))
    same = conv(h=224, w=224, r=7, s=7, stride=(2, 2), pad=(2, 2, 3, 3))
    assert (same.pads, same.p) == ((2, 2, 3, 3), 112)


def test_the_name_takes_no_part_in_comparisons():
    assert conv(name="a") == conv(name="b")
    assert hash(conv(name="a")) == hash(conv(name="b"))


def test_dims_are_json():
    dims = conv(pad=(1, 1)).dims()
    assert dims == json.loads(json.dumps(dims))
    assert dims["pad"] == [1, 1]
    assert dims["q"] == 56


def test_with_batch_keeps_the_rest():
    p = conv(pad=(1, 0, 2, 0), name="x").with_batch(8)
    assert (p.n, p.pads, p.name) == (8, (1, 0, 2, 0), "x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"c": 0}, "c=0: must be at least 1"),
        ({"n": -1}, "n=-1: must be at least 1"),
        ({"h": 2.5}, "h=2.5: must be a whole number"),
        ({"w": "8"}, "w='8': must be a whole number"),
        ({"k": 2**31}, "k=2147483648: must be at most 2147483647 (2**31 - 1)"),
        ({"k": 10**5000}, "k=(a huge number): must be at most 2147483647 (2**31 - 1)"),
        ({"stride": 2}, "stride=2: give (height, width)"),
        ({"stride": (1, 0)}, "stride=0: must be at least 1"),
        ({"pad": (1, 1, 1)}, "pad=(1, 1, 1): give (height, width) or (top, left, bottom, right)"),
        ({"pad": (0, -1)}, "pad=-1: must be at least 0"),
        ({"dilation": (0, 1)}, "dilation=0: must be at least 1"),
        ({"groups": 5}, "groups=5: must divide c=64; change groups or c so that it does"),
        ({"groups": 4, "k": 6}, "groups=4: must divide k=6; change groups or k so that it does"),
        (
            {"r": 9, "h": 6, "pad": (1, 1)},
            (
                "r=9: a filter of 9 rows (dilation 1) does not fit the padded input of 8 rows; "
                "use a smaller filter or dilation, or more padding"
            ),
        ),
        (
            {"w": 4, "dilation": (1, 2)},
            (
                "s=3: a filter of 5 columns (dilation 2) does not fit "
                "the padded input of 4 columns; use a smaller filter or dilation, or more padding"
            ),
        ),
        (
            {"n": 2**20, "c": 2**20, "h": 2**10},
            (
                "input of 1048576x1048576x1024x56: more than 2**48 elements; "
                "use smaller sizes or a smaller batch"
            ),
        ),
        ({"pad": (2**31 - 1, 0)}, "p=4294967348: must be at most 2147483647 (2**31 - 1)"),
        ({"name": "a\x1b[2J"}, "name='a\\x1b[2J': control characters are not allowed in a name"),
        ({"name": 'a"'}, "name='a\"': double quotes are not allowed in a name"),
        ({"name": 3}, "name=3: must be text"),
    ],
)
def test_impossible_shapes(changes, message):
    with pytest.raises(ProblemError) as caught:
        conv(**changes)
    assert message == str(caught.value)


def test_long_names_are_refused():
    with pytest.raises(ProblemError, match="must have at most 1000 characters"):
        conv(name="x" * 1001)
