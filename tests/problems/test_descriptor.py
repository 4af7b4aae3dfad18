from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convprof.errors import DescriptorError, ProblemError
from convprof.problems import Attention, Conv2d, Gemm, parse

sizes = st.integers(1, 30)
wide_sizes = st.integers(1, 5000) | st.integers(2**31 - 2, 2**31)
names = st.text(
    st.characters(codec="utf-8", exclude_characters='"', exclude_categories=["C", "Z"])
    | st.just(" "),
    max_size=1000,
)


@st.composite
def convs(draw) -> Conv2d:
    groups, r, s = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    dilation = draw(pair)
    return Conv2d(
        n=draw(sizes),
        c=groups * draw(sizes),
        h=draw(sizes) + (r - 1) * dilation[0],
        w=draw(sizes) + (s - 1) * dilation[1],
        k=groups * draw(sizes),
        r=r,
        s=s,
        stride=draw(pair),
        pad=draw(st.tuples(*[st.integers(0, 9)] * 4) | st.tuples(*[st.integers(0, 3)] * 2)),
        dilation=dilation,
        groups=groups,
        name=draw(names),
    )


@settings(max_examples=300)
@given(convs())
def test_every_convolution_survives_its_text(problem):
    again = parse(problem.descriptor)
    assert problem == again
    assert problem.name == again.name
    assert problem.descriptor == again.descriptor


@given(st.builds(Gemm, m=sizes, n=sizes, k=sizes, batch=sizes, name=names))
def test_every_product_survives_its_text(problem):
    again = parse(problem.descriptor)
    assert problem == again
    assert problem.name == again.name


def constructed(kind, **given):
    """Return the problem, or None where its own limits refuse it."""
    try:
        return kind(**given)
    except ProblemError:
        return None


@settings(max_examples=300)
@given(st.tuples(*[wide_sizes] * 4), st.sampled_from(["attention", "product"]))
def test_a_text_is_read_exactly_if_its_problem_can_exist(numbers, what):
    a, b, c, d = numbers
    if what == "attention":
        problem = constructed(Attention, batch=a, heads=b, tokens=c, dim=d)
        text = f"attention:{a}x{b}x{c}x{d}"
    else:
        problem = constructed(Gemm, batch=a, m=b, k=c, n=d)
        text = f"{a}x{b}x{c}:{a}x{c}x{d}"
    if problem is None:
        with pytest.raises((DescriptorError, ProblemError)):
            parse(text)
    else:
        assert problem == parse(text) == parse(problem.descriptor)


@settings(max_examples=300)
@given(
    st.text(max_size=80)
    | st.text('gmbicohwkspdn_x:"0123456789', max_size=60)
    | st.lists(
        st.sampled_from(
            ["ic", "oc", "ih", "kh", "iw", "kw", "sh", "ph", "oh", "dd", "id", "mb", "g"]
        )
        | st.integers(0, 99).map(str),
        max_size=16,
    ).map("".join)
)
def test_any_other_text_is_refused_in_one_line(text):
    message = ""
    try:
        parse(text)
    except (DescriptorError, ProblemError) as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) < 400


@given(convs(), st.randoms())
def test_the_order_of_fields_and_underscores_do_not_matter(problem, random):
    parts, field = [], ""
    for char in problem.descriptor.partition("n")[0] + "$":
        if field and field[-1] in string.digits and char not in string.digits:
            parts.append(field)
            field = ""
        field += char
    random.shuffle(parts)
    assert problem == parse("_" + "__".join(parts) + "_")


BASE = Conv2d(n=2, c=64, h=56, w=56, k=64, r=3, s=3, pad=(1, 1))
FLAT = {"n": 2, "c": 4, "h": 1, "k": 4, "r": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ic64ih56oc64kh3ph1", BASE),
        ("ic64ih56oc64oh56kh3", BASE),
        ("ic64ih56oc64oh56kh3ph1", BASE),
        ("mb1ic64ih56oc64oh56kh3ph1", BASE.with_batch(1)),
        ("g1mb2_ic64ih56iw56_oc64oh56ow56_kh3kw3_sh1sw1_ph1pw1_dh0dw0", BASE),
        ("ic64id1ih56iw56oc64kd1kh3kw3ph1pw1", BASE),
        ("ic64ih56oc64kh3ph1sw1dw0", BASE),
        ("  ic64ih56oc64kh3ph1nname\n", BASE),
        ("ic64ih56oc64kh3", Conv2d(n=2, c=64, h=56, w=56, k=64, r=3, s=3)),
        (
            "ic3ih224oc64oh112kh7sh2ph3",
            Conv2d(n=2, c=3, h=224, w=224, k=64, r=7, s=7, stride=(2, 2), pad=(3, 3)),
        ),
        (  # the padding is deduced: TensorFlow's, with the extra at the end
            "ic3ih224oc64oh112kh7sh2",
            Conv2d(n=2, c=3, h=224, w=224, k=64, r=7, s=7, stride=(2, 2), pad=(2, 2, 3, 3)),
        ),
        (  # strided 1x1: the last column is left over, no padding is negative
            "ic3ih56oc4oh28kh1sh2",
            Conv2d(n=2, c=3, h=56, w=56, k=4, r=1, s=1, stride=(2, 2)),
        ),
        (  # widths given: nothing is taken from the height, not even the stride
            "ic3ih9iw9oc4kh3kw3sh2ph1",
            Conv2d(n=2, c=3, h=9, w=9, k=4, r=3, s=3, stride=(2, 1), pad=(1, 0)),
        ),
        (
            "ic3ih9oc4kh3dh1",
            Conv2d(n=2, c=3, h=9, w=9, k=4, r=3, s=3, dilation=(2, 2)),
        ),
        ("ic4iw9oc4kw3pw1", Conv2d(**FLAT, w=9, s=3, pad=(0, 1))),
        ("ic4iw9oc4kw3sw2ow5", Conv2d(**FLAT, w=9, s=3, stride=(1, 2), pad=(0, 1))),
        ("ic4id1kd1oc4", Conv2d(**FLAT, w=1, s=1)),
        (  # padding that is given may be as large as one likes
            "ic4ih8oc4oh206kh3ph100",
            Conv2d(n=2, c=4, h=8, w=8, k=4, r=3, s=3, pad=(100, 100)),
        ),
        (
            "ic4ih8oc4oh37kh3ph1eh30",
            Conv2d(n=2, c=4, h=8, w=8, k=4, r=3, s=3, pad=(1, 1, 30, 30)),
        ),
        (  # sizes of networks that round up: one output of padding alone
            "ic4ih201oc4oh202kh1ph0",
            Conv2d(n=2, c=4, h=201, w=201, k=4, r=1, s=1, pad=(0, 0, 1, 1)),
        ),
        (  # full padding: every output has an input under its filter
            "ic4ih8oc4oh10kh3",
            Conv2d(n=2, c=4, h=8, w=8, k=4, r=3, s=3, pad=(2, 2)),
        ),
        ("512x256:256x128", Gemm(m=512, n=128, k=256)),
        ("512x256:256x128:512x128", Gemm(m=512, n=128, k=256)),
        ("1x512x256:1x256x128", Gemm(m=512, n=128, k=256)),
        ("2x16x40x64:2x16x64x40", Gemm(m=40, n=40, k=64, batch=32)),
        ('5376x197x197:5376x197x64_n"vit:mm1*12"', Gemm(m=197, n=64, k=197, batch=5376)),
    ],
)
def test_benchdnn_rules(text, expected):
    assert expected == parse(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('ic4ih1oc4kh1n"res: a b_c*3"', "res: a b_c*3"),
        ("ic4ih1oc4kh1nres:conv1", "res:conv1"),
        ('ic4ih1oc4kh1_n"x"', "x"),
        ('ic4ih1oc4kh1n""', ""),
        ("ic4ih1oc4kh1n", ""),
        ("2x3:3x4n", ""),
        (f'ic4ih1oc4kh1n"{"a" * 1000}"', "a" * 1000),
        ('2x3:3x4n"x"', "x"),
        ('2x3:3x4_n"x"', "x"),
        ("2x3:3x4nx", "x"),
    ],
)
def test_names(text, name):
    assert name == parse(text).name


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (BASE, "mb2ic64ih56oc64oh56kh3ph1"),
        (
            Conv2d(c=8, h=9, w=9, k=4, r=3, s=3, groups=4, dilation=(2, 2), name="a/b"),
            'g4mb1ic8ih9oc4oh5kh3ph0dh1n"a/b"',
        ),
        (
            Conv2d(c=8, h=9, w=9, k=4, r=3, s=3, stride=(2, 1)),
            "mb1ic8ih9iw9oc4oh4ow7kh3kw3sh2sw1ph0pw0",
        ),
        (
            Conv2d(c=8, h=224, w=224, k=4, r=3, s=3, stride=(2, 2), pad=(0, 0, 1, 1)),
            "mb1ic8ih224oc4oh112kh3sh2ph0",
        ),
        (
            Conv2d(c=8, h=9, w=9, k=4, r=3, s=3, pad=(1, 1, 30, 1)),
            "mb1ic8ih9iw9oc4oh38ow9kh3kw3ph1pw1eh30ew1",
        ),
        (Conv2d(c=8, h=9, w=9, k=4, r=3, s=3, n=True), "mb1ic8ih9oc4oh7kh3ph0"),
    ],
)
def test_canonical_text(problem, text):
    assert text == problem.descriptor
    assert problem == parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty descriptor: write e.g. mb1ic64ih56oc64kh3ph1 or 512x512:512x512"),
        ("ic0ih5oc1kh1", "'ic0ih5oc1kh1': ic0 at character 1: must be at least 1"),
        ("ic1ih5oc1kh1sh0", "'ic1ih5oc1kh1sh0': sh0 at character 13: must be at least 1"),
        ("ic1zz4", "'ic1zz4': unknown field 'zz' at character 4: known: g mb ic oc"),
        ("ic1kk4", "'ic1kk4': unknown field 'kk' at character 4: did you mean kw or kh or kd?"),
        ("IC4", "'IC4': unknown field 'IC' at character 1: did you mean ic"),
        ("ic1ic2", "'ic1ic2': ic at character 4: given twice; keep one"),
        ("icih3", "'icih3': ic at character 1: no number follows ic; write e.g. ic1"),
        ("ic-3", "'ic-3': ic at character 1: no number follows ic; write e.g. ic1"),
        ("ic3 ih3", "'ic3 ih3': ' ih3' at character 4: expected a field such as ic64 here"),
        ("ih5oc1kh1", "'ih5oc1kh1': missing ic: ic, oc, ih and kh are required"),
        ("ic1oc1kh1", "'ic1oc1kh1': missing ih: ih and kh are required"),
        ("ic1oc1", "'ic1oc1': missing ih: ih and kh are required"),
        ("ic1ih5oc1", "'ic1ih5oc1': missing kh: ih and kh are required"),
        (
            "ic1ih5iw5oc1kh3",
            (
                "'ic1ih5iw5oc1kh3': missing kw: iw5 given, so iw and kw are required; "
                "or leave out every width"
            ),
        ),
        (
            "ic1ih5oc1kh3ph1pw0",
            "'ic1ih5oc1kh3ph1pw0': pw0: without iw and kw the width follows the height; add both",
        ),
        (
            "ic1id5ih5iw5oc1kd3kh3kw3",
            (
                "'ic1id5ih5iw5oc1kd3kh3kw3': id5: 3d convolutions are not supported; "
                "leave out the depth (or make it id1kd1)"
            ),
        ),
        ("ic1id1kd1ih5oc1kh1", "'ic1id1kd1ih5oc1kh1': id is given: give ih and iw as well"),
        ("ic1ih5oc1kh1dd1", "'ic1ih5oc1kh1dd1': missing id: leave out the depth or write id1kd1"),
        (
            "ic1ih2147483648oc1kh1",
            "'ic1ih2147483648oc1kh1': 'ih2147483648 at character 4': must be at most 2147483647",
        ),
        (
            "ic1ih8oc1oh1kh3ph1",
            (
                "'ic1ih8oc1oh1kh3ph1': oh1 does not follow: ih8 kh3 ph1 give at least oh7; "
                "leave out oh to have it deduced"
            ),
        ),
        (  # a deconvolution, or a size that is wrong: padding is never invented for it
            "mb1ic16ih14oc16oh41kh3ph1",
            (
                "'mb1ic16ih14oc16oh41kh3ph1': oh41: with ih14 it takes 28 rows of padding at the "
                "end, under a filter of 3; is this a deconvolution? Leave out oh, or add eh28 if "
            ),
        ),
        (
            "ic96ih55oc3oh227kh11sh4",
            "'ic96ih55oc3oh227kh11sh4': oh227: with ih55 it takes 430 rows of padding at the end",
        ),
        ("ic4iw9oc4ow21kw3pw1", "'ic4iw9oc4ow21kw3pw1': ow21: with iw9 it takes 13 columns of"),
        (
            "ic4ih9oc4oh9kh3ph1eh3",
            "'ic4ih9oc4oh9kh3ph1eh3': oh9 does not follow: ih9 kh3 ph1 eh3 give oh11",
        ),
        ('ic1ih5oc1kh1n"a', "'ic1ih5oc1kh1n\"a': n'\"a': the name's closing quote is missing"),
        ('ic1ih5oc1kh1n"a"kw3', "'ic1ih5oc1kh1n\"a\"kw3': 'kw3' follows the name"),
        ("ic1ih5oc1kh1na\tb", "'ic1ih5oc1kh1na\\tb': name='a\\tb': control characters"),
        (
            "ic1\N{ARABIC-INDIC DIGIT THREE}",
            "'ic1\u0663': '\u0663' at character 4: expected a field",
        ),
        ("ic3ih5oc4kh1g2", "'ic3ih5oc4kh1g2': groups=2: must divide c=3"),
        ("ic1ih3oc1kh5", "'ic1ih3oc1kh5': r=5: a filter of 5 rows (dilation 1) does not fit"),
        ("2x3", "'2x3': 1 tensors: write MxK:KxN, e.g. 1024x512:512x768"),
        ("2:3", "'2:3': '2' is not a matrix: write MxK:KxN, e.g. 1024x512:512x768"),
        ("2x:3x4", "'2x:3x4': '2x' is not a matrix"),
        ("0x3:3x4", "'0x3:3x4': '0x3': every dimension must be at least 1"),
        ("9999999999x3:3x4", "'9999999999x3:3x4': '9999999999x3': every dimension must be at most"),
        ("2x3:4x5", "'2x3:4x5': inner dimensions 3 and 4 differ: write MxK:KxN"),
        ("2x3:3x4:2x5", "'2x3:3x4:2x5': the result is 2x4, not 2x5: leave it out"),
        ("1x2x3:7x3x4", "'1x2x3:7x3x4': batch 1 of A and 7 of B differ: give both the same; broad"),
        ("7x2x3:3x4", "'7x2x3:3x4': batch 7 of A and none of B differ: give both the same; broad"),
        ("2x3:3x4:2x4:2x4", "'2x3:3x4:2x4:2x4': 4 tensors"),
        ("2x3:3x4+1", "'2x3:3x4+1': '+1' at character 8: only n\"name\" may follow"),
    ],
)
def test_bad_texts(text, message):
    with pytest.raises((DescriptorError, ProblemError)) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


def test_long_texts_are_refused_unread():
    with pytest.raises(DescriptorError, match="5000 characters; a descriptor has at most 1300"):
        parse("9" * 5000)
