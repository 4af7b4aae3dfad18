from __future__ import annotations

import re

import pytest

from convprof import errors
from convprof.errors import UnknownNameError

TREE = {
    "ConvprofError": (Exception, 1),
    "ToolchainError": (errors.ConvprofError, 1),
    "ThreadsError": (errors.ConvprofError, 1),
    "InputError": (errors.ConvprofError, 2),
    "ProblemError": (errors.InputError, 2),
    "DescriptorError": (errors.InputError, 2),
    "NotComputedError": (errors.DescriptorError, 2),
    "UnknownNameError": (errors.InputError, 2),
    "RefusedError": (errors.InputError, 2),
    "NotAResultError": (errors.InputError, 2),
    "TooLargeError": (errors.InputError, 2),
}


def defined():
    return {
        name: item
        for name, item in vars(errors).items()
        if isinstance(item, type) and issubclass(item, Exception)
    }


def test_the_tree_is_complete():
    assert set(TREE) == set(defined())


@pytest.mark.parametrize("name", TREE)
def test_parent_and_exit_code(name):
    parent, exit_code = TREE[name]
    error = getattr(errors, name)
    assert parent is error.__bases__[0]
    assert exit_code == error.exit_code


def test_the_drawing_shows_the_whole_tree():
    drawn = re.findall(r"^ +[│├└─ ]*(\w+Error)\b", errors.__doc__, re.MULTILINE)
    assert set(TREE) == set(drawn)


def test_errors_are_also_what_python_calls_them():
    assert issubclass(errors.ProblemError, ValueError)
    assert issubclass(errors.DescriptorError, ValueError)
    assert issubclass(errors.UnknownNameError, LookupError)
    assert issubclass(errors.TooLargeError, MemoryError)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tild", "unknown strategy 'tild': did you mean tiled?"),
        ("im2co", "unknown strategy 'im2co': did you mean im2col or im2col-blas?"),
        ("ti", "unknown strategy 'ti': known: direct, im2col, im2col-blas, tiled"),
        ("zzz", "unknown strategy 'zzz': known: direct, im2col, im2col-blas, tiled"),
        ("", "unknown strategy '': known: direct, im2col, im2col-blas, tiled"),
        ("a\x1b[2J\n", r"unknown strategy 'a\x1b[2J\n': known: direct, im2col, im2col-blas, tiled"),
    ],
)
def test_unknown_names(name, message):
    error = UnknownNameError.of("strategy", name, {"tiled", "im2col-blas", "direct", "im2col"})
    assert isinstance(error, UnknownNameError)
    assert message == str(error)


def test_a_long_list_of_known_names_is_cut():
    known = [f"name{number:02}" for number in range(25)]
    message = str(UnknownNameError.of("layer", "zzz", known))
    assert message.endswith("known: " + ", ".join(known[:20]) + ", ...")
    assert str(UnknownNameError.of("layer", "zzz", known[:20])).endswith(", name19")
