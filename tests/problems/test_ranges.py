from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convprof.errors import InputError
from convprof.problems.families import MOST_VALUES, parse_range


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("32:2048:x2", (32, 64, 128, 256, 512, 1024, 2048)),
        ("32:2047:X2", (32, 64, 128, 256, 512, 1024)),
        ("64:256:+64", (64, 128, 192, 256)),
        ("1:10:+4", (1, 5, 9)),
        ("7", (7,)),
        ("48, 32,48", (32, 48)),
        ("100:300:+100,32:128:x2,7", (7, 32, 64, 100, 128, 200, 300)),
        ("2:10:x1.5", (2, 3, 4, 7, 10)),
        ("1:3:x1.1", (1, 2, 3)),
        ("5:5:x2", (5,)),
        ("5:5:+1", (5,)),
        ("1:2147483647:x100", (1, 100, 10000, 1000000, 100000000)),
    ],
)
def test_forms(text, values):
    assert values == parse_range(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"'' is not a range; use a:b:\+step"),
        ("1,,2", r"'' is not a range"),
        ("32:64", r"'32:64' is not a range"),
        ("32:64:2", r"is not a range"),
        ("32:64:*2", r"is not a range"),
        ("-1", r"is not a range"),
        ("1:5:+-1", r"is not a range"),
        ("1e3", r"is not a range"),
        ("٣", r"is not a range"),
        ("64:32:x2", r"ends at 32 before it starts at 64; swap them"),
        ("1:5:+0", r"a step of 0 gives no range"),
        ("1:5:x1", r"x1 does not grow"),
        ("1:5:x0.5", r"x0.5 does not grow"),
        ("0", r"0 is not from 1 to 2147483647"),
        ("0:5:+1", r"0 is not from 1"),
        ("4294967296", r"4294967296 is not from 1"),
        ("99999999999999999999", r"is not a range"),
        ("1:2147483647:+1", r"2,147,483,647 points, more than 10,000; take larger steps"),
        ("1:2147483647:x1.000001", r"points, more than 10,000"),
        ("1:9000:+1,10000:19000:+1", r"more than 10,000 points"),
    ],
)
def test_what_is_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=message) as error:
        parse_range(text)
    assert str(error.value).startswith("range='")
    assert "\n" not in str(error.value)


def test_the_largest_range():
    assert len(parse_range(f"1:{MOST_VALUES}:+1")) == MOST_VALUES


@given(st.text(alphabet="0123456789:+x.,", max_size=24))
def test_any_text_gives_rising_numbers_or_one_line(text):
    try:
        values = parse_range(text)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017  # either outcome is right
    else:
        assert values == tuple(sorted(set(values)))
        assert values[0] >= 1
        assert len(values) <= MOST_VALUES
