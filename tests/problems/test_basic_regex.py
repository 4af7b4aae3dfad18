from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.errors import DescriptorError
from convprof.problems.basic_regex import BasicRegex

CONV = 'mb2ic256ih14oc256oh14kh3ph1n"res4:branch2b*3"'


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (".*res4.*", True),
        ("res4", True),
        ("^mb2ic", True),
        ("^ic", False),
        ('3"$', True),
        ("$", True),
        ("", True),
        ("k[dhw]3.*", True),
        (".*[^k][^d][0-9]kh3[^0-9].*", True),
        ("kh[^3]", False),
        ("[]x]", False),
        ("[^]x]", True),
        ("oh1[[:digit:]]kh", True),
        ("mb1\\|mb2", True),
        ("mb1|mb2", False),  # | is a character: basic syntax
        ("\\(mb1\\|mb3\\)ic", False),
        ("res4+", False),
        ("res4\\+", True),
        ("oc\\?2", True),
        ("branch\\{1\\}", True),
        ("2\\{2,\\}", False),
        ("5\\{1,2\\}6", True),
        ("\\*3", True),
        ("*3", True),  # a star with nothing before it is a character
        ("^*", False),
        ("a^b", False),
        (".", True),
    ],
)
def test_posix_basic_syntax(pattern, matches):
    assert BasicRegex(pattern).search(CONV) is matches


def test_the_empty_text():
    assert BasicRegex("^$").search("")
    assert not BasicRegex(".").search("")
    assert not BasicRegex("^$").search("a")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[a", "[ without ]"),
        ("a\\", "nothing follows the last backslash"),
        ("\\(a", "\\( without \\)"),
        ("a\\)", "\\) without \\("),
        ("a\\{", "\\{ without \\}"),
        ("a\\{x\\}", "is not a number of repeats"),
        ("a\\{3,2\\}", "is not a number of repeats"),
        ("a\\{256\\}", "more than 255 repeats"),
        ("\\(\\(a\\{99\\}\\)\\{99\\}\\)\\{99\\}", "its repeats are too many"),
        ("\\(a\\)\\1", "back-references are not supported"),
        ("[[:nosuch:]]", "is no class"),
        ("a" * 201, "must have at most 200 characters"),
    ],
)
def test_bad_expressions(pattern, message):
    with pytest.raises(DescriptorError) as caught:
        BasicRegex(pattern)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_time_is_linear_where_backtracking_is_exponential():
    # Python's re would not come back from any of them.
    for pattern in ("\\(a*\\)*b", "\\(a*a*a*\\)*c", "\\(\\(a\\+\\)\\+\\)\\+$b", ".*.*.*.*.*.*.*x"):
        assert not BasicRegex(pattern).search("a" * 1000)


def test_work_is_bounded_over_all_texts(monkeypatch):
    monkeypatch.setattr("convprof.problems.basic_regex.MOST_WORK", 2000)
    regex = BasicRegex(".*a.\\{100\\}b")
    texts = [f"{number:020b}".replace("1", "a") * 10 for number in range(1000)]
    with pytest.raises(DescriptorError, match="takes too long; simplify it"):
        any(regex.search(text) for text in texts)


# For these pieces basic syntax and Python's differ by the backslash alone.
PIECES = st.lists(
    st.sampled_from(
        ["a", "b", ".", "a*", "b*", "[ab]", "[^a]*", "\\(ab\\)*", "b\\?", "a\\{1,2\\}"]
    ),
    max_size=6,
).map("".join)


@given(PIECES, st.text("abc", max_size=12), st.booleans(), st.booleans())
def test_agrees_with_python(pieces, text, begin, end):
    pattern = "^" * begin + pieces + "$" * end
    python = re.sub(r"\\([(){}?|+])", r"\1", pattern)
    assert BasicRegex(pattern).search(text) is bool(re.search(python, text))


@given(st.text("ab.*[]^$\\(){},|+?1-:", max_size=30), st.text("ab1-", max_size=20))
def test_any_expression_is_compiled_or_refused(pattern, text):
    try:
        BasicRegex(pattern).search(text)
    except DescriptorError as error:
        assert str(error).isprintable()  # noqa: PT017
