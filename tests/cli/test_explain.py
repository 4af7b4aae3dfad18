"""``convprof explain`` as a user runs it."""

from __future__ import annotations

import re

import pytest

from convprof import cli
from convprof.studies.explain import TOPICS

FIXED = {"attention", "channels", "cycles"}
"""Topics that take no problem."""


@pytest.fixture(autouse=True)
def _one_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def run(capsys, words):
    status = cli._status(["explain", *words.split()])
    out, err = capsys.readouterr()
    return status, out, err


def test_without_a_topic_the_topics_are_listed(capsys):
    status, out, err = run(capsys, "")
    assert status == 0
    assert err == ""
    assert all(re.search(rf"^  {topic} +\w", out, re.MULTILINE) for topic in TOPICS)


@pytest.mark.parametrize("problem", ["", "resnet50:layer1.0.conv2"])
@pytest.mark.parametrize("topic", [*(t for t in TOPICS if t not in FIXED), "winograd --tile 4"])
def test_every_topic_explains_its_own_problem_and_a_named_one(topic, problem, capsys):
    status, out, err = run(capsys, f"{topic} {problem}")
    assert status == 0
    assert err == ""
    assert out.startswith(f"{topic.split()[0]}: ")
    assert "What to take from this" in out or "\nchecked: " in out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


@pytest.mark.parametrize(
    "words", ["channels", "channels --digit 4", "attention", "attention --side 5"]
)
def test_topics_with_an_example_of_their_own(words, capsys):
    status, out, err = run(capsys, words)
    assert (status, err) == (0, "")
    assert out.startswith(f"{words.split()[0]}: ")
    assert "\nchecked: " in out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def test_cycles_measures_and_says_whether_the_product_is_the_peak(capsys):
    status, out, err = run(capsys, "cycles --threads 1 --quiet")
    assert (status, err) == (0, "")
    assert out.startswith("cycles: ")
    assert re.search(r"^(checked|check failed|not checked): ", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 80
    assert "not shown" not in out


def test_a_shape_spelled_with_flags(capsys):
    status, out, _ = run(capsys, "im2col --input 1x2x5x5 --filters 2 --kernel 3 --dilation 2")
    assert status == 0
    assert "np.tile(np.repeat(2 * np.arange(3), 3), 2)" in out
    assert "largest difference 0" in out


def test_what_has_no_effect_is_noted(capsys):
    status, out, err = run(capsys, "tile 64x64:64x64 --mb 4")
    assert status == 0
    assert out.startswith("tile: gemm (64x64) (64x64)")
    assert err.startswith("note: minibatch 4: matrix products have no minibatch")


def test_the_seed_draws_the_numbers(capsys):
    pages = [run(capsys, f"im2col --seed {seed}")[1] for seed in (1, 1, 2)]
    assert pages[0] == pages[1] != pages[2]


def test_colour_on_demand(capsys):
    assert "\x1b[" in run(capsys, "tile --color always")[1]
    assert "\x1b[" not in run(capsys, "tile --color never")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("winograd resnet50:conv1", r"the page needs a 3x3 stride-1 filter; got 7x7 stride 2"),
        ("winograd 8x8:8x8", r"8x8:8x8 is a matrix product; name a convolution"),
        ("im2col 8x8:8x8", r"explain im2col: 8x8:8x8 is a matrix product"),
        ("layout --gemm 3x4x5", r"explain layout: 3x5:5x4 is a matrix product"),
        ("tile resnet50", r"PROBLEM means 24 problems \(resnet50:conv1, .*name one"),
        ("im2col resnt50", r"did you mean resnet50"),
        ("im2col --seed -1", r"'--seed': -1 is not in the range"),
        ("attention --side 6", r"'--side': 6 is not in the range"),
        ("cycles --threads 1,2", r"--threads 1,2"),
        ("cycles --dtype f17", r"f17"),
        ("channels --digit 10", r"'--digit': 10 is not in the range"),
        ("winograd --tile 3", r"'3' is not one of '2', '4'"),
        ("layout --match x --input 1x1x3x3 --filters 1 --kernel 3", r"--match"),
        ("tiles", r"No such command 'tiles'"),
    ],
)
def test_one_clear_line(words, message, capsys):
    status, out, err = run(capsys, words)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert re.search(message, err), err
