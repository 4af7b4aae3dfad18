from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.cli.dry_run import command_for
from convprof.errors import ConvprofError, InputError
from convprof.problems import Conv2d, Gemm, parse
from convprof.studies.selection import select

CONV = "mb1ic64ih56oc64oh56kh3ph1"


def test_texts_of_every_kind():
    problems = select([CONV, "2x3:3x4", "resnet50:fc", " vgg16:features.0 "]).problems
    assert [p.c if isinstance(p, Conv2d) else p.k for p in problems] == [64, 3, 2048, 3]


def test_each_shape_once_under_its_first_name():
    selection = select([f'{CONV}n"a"', f'{CONV}n"b"', "2x3:3x4", CONV])
    assert [p.name for p in selection.problems] == ["a", ""]
    assert selection.notes == [
        "2 of 4 problems repeat an earlier shape; each shape is measured once, under its first name"
    ]


def test_a_bare_network_is_all_its_layers():
    selection = select(["resnet50"])
    assert len(selection.problems) == 24
    assert selection.notes[0].startswith("30 of 54 problems repeat")


def test_mb_overrides_every_minibatch(tmp_path):
    path = tmp_path / "shapes"
    path.write_text(f"--stag=axb --mb=3\n{CONV}\n2x3:3x4\n")
    selection = select([CONV, "resnet50:conv1", "resnet50:fc"], batch=[path], mb=8)
    assert [p.n for p in selection.problems if isinstance(p, Conv2d)] == [8, 8]
    assert [p.m for p in selection.problems if isinstance(p, Gemm)] == [8, 2]
    assert "minibatch 8: matrix products have no minibatch and stay as they are" in selection.notes
    assert f"{path}: options of the file: the chosen layout decides: --stag=axb" in selection.notes


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("branch2", ["r:branch2"]),
        ("^r:", ["r:branch2"]),
        ("kh3", ["r:branch2", "x"]),
        ("[[]|x$", ["x"]),
    ],
)
def test_match(match, expected):
    texts = [f'{CONV}n"r:branch2"', 'ic3ih9oc4kh3n"x"', "2x3:3x4"]
    assert expected == [p.name for p in select(texts, match=match).problems]


def test_match_comes_before_duplicates_are_dropped():
    selection = select(["resnet50"], match=r"layer1\.1\.conv2")
    assert [p.name for p in selection.problems] == ["resnet50:layer1.1.conv2"]
    assert selection.notes == []


@pytest.mark.parametrize(
    ("texts", "options", "parts"),
    [
        ([], {}, ["no problem given: name a descriptor (mb1ic64"]),
        ([""], {}, ["empty descriptor"]),
        (
            ["resnet5:conv1"],
            {},
            ["did you mean resnet50 or ", "nor is it a descriptor: unknown field"],
        ),
        (["kc64ih3"], {}, ["unknown network 'kc64ih3'", "did you mean oc"]),
        (["resnet50:conv9"], {}, ["unknown layer of resnet50", "did you mean conv1?"]),
        (["ic64"], {}, ["'ic64': missing oc"]),
        ([CONV], {"mb": 0}, ["mb=0: must be at least 1"]),
        ([CONV], {"match": "("}, ["match='(': not a regular expression"]),
        (
            [CONV],
            {"match": "a{99999999999}"},
            ["match='a{99999999999}': not a regular expression"],
        ),
        ([CONV], {"match": "a" * 201}, ["must have at most 200 characters"]),
        ([CONV], {"match": "zz"}, [f"match='zz': matches none of {CONV}"]),
        (["vgg16"], {"match": "zz"}, ["vgg16:features.0, ", " and 11 more"]),
    ],
)
def test_errors(texts, options, parts):
    with pytest.raises(InputError) as caught:
        select(texts, **options)
    for part in parts:
        assert part in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_means_something_or_is_refused(text):
    message = ""
    try:
        select([text])
    except ConvprofError as error:
        message = str(error)
    assert message.isprintable()


@pytest.mark.parametrize("name", ["", "resnet_50:a*3", "it's $HOME `x` \\"])
def test_commands_can_be_pasted_back(name):
    problem = Conv2d(c=4, h=9, w=8, k=4, r=3, s=3, pad=(0, 1, 1, 1), name=name)
    (word,) = shlex.split(command_for(problem))
    assert (problem, name) == (parse(word), parse(word).name)
